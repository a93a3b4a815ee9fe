"""What the doors hand to the use cases, and what they get back."""

from __future__ import annotations

from decimal import Decimal

from service.domain.budget import budget_name
from service.domain.commands import CacheMode
from service.domain.drawing import Drawing, Expansion
from service.domain.exchange import LogLine
from service.domain.price import Estimate
from service.domain.queries import BudgetState
from service.domain.routing import PlannedRoute
from service.domain.value import value
from service.domain.view import JobView

__all__ = [
    "InputSource", "Quote", "QuotedRoute", "Submission", "Submitted", "WatchHeartbeat", "WatchLogs", "budget_name",
]  # fmt: skip


@value(frozen=True, slots=True)
class InputSource:
    """An input picture as the caller names it: exactly one of the three. `field` is its path, for errors."""

    field: str
    sha256: str | None = None
    url: str | None = None
    content: bytes | None = None


@value(frozen=True, slots=True)
class Submission:
    """One Generate or Edit after the syntax check. `drawing.inputs` is None; inputs come as sources.

    `request_bytes` are the serialized drawing and the routing options as sent: equal bytes mean an equal preparation.
    """

    project: str
    request_id: str | None
    drawing: Drawing
    images: tuple[InputSource, ...] = ()
    mask: InputSource | None = None
    strength: Decimal | None = None
    expansion: Expansion | None = None
    cache_mode: CacheMode = CacheMode.USE
    cache_max_age_seconds: float | None = None
    policy: str | None = None
    pin_provider: str | None = None
    pin_route: str | None = None
    max_cost_nanos: int | None = None
    job_timeout_seconds: float | None = None
    labels: tuple[tuple[str, str], ...] = ()
    """Sorted by key."""
    request_bytes: bytes = b""


@value(frozen=True, slots=True)
class Submitted:
    """The job, and whether this request_id was known already."""

    view: JobView
    replayed: bool


@value(frozen=True, slots=True)
class QuotedRoute:
    """One route of a quote. `planned` is None when it is not eligible; then `causes` says why: (reason, field, text)."""

    provider: str
    route: str
    endpoint: str
    rank: int
    planned: PlannedRoute | None
    estimate: Estimate | None
    causes: tuple[tuple[str, str, str], ...]


@value(frozen=True, slots=True)
class Quote:
    """What a request would cost now. `cache` is HIT, RUNNING, MISS or BYPASSED; amounts in nano-USD."""

    cache: str
    due_nanos: int
    expected_nanos: int
    ceiling_nanos: int
    routes: tuple[QuotedRoute, ...]
    budgets: tuple[BudgetState, ...]
    effective: Drawing
    fingerprint: str


@value(frozen=True, slots=True)
class WatchHeartbeat:
    """Nothing newer than `version`."""

    version: int
    at: int


@value(frozen=True, slots=True)
class WatchLogs:
    """Log lines of the running attempt; `dropped_count` were lost before them."""

    attempt_number: int
    lines: tuple[LogLine, ...]
    dropped_count: int


WatchEvent = JobView | WatchHeartbeat | WatchLogs
