"""What is exchanged with a provider: an order out, and its answers back, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from service.domain.failure import Failure


@dataclass(frozen=True, slots=True)
class Order:
    """One dispatch, shaped: exactly what the provider is sent."""

    provider: str
    endpoint: str
    body: bytes
    """The model's input as JSON (UTF-8), without provider envelope."""
    token: str
    start_timeout_seconds: int
    run_seconds_max: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took it. `aliases` are further ids it used for the same request."""

    provider_id: str
    aliases: tuple[str, ...] = ()
    queue_position: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Surely not accepted and surely not billed; the next route may be tried."""

    failure: Failure
    kind: str
    """For metrics: unauthorized, account_blocked, invalid_input, content, not_found, rate_limited, unreachable."""
    retry_after_seconds: float | None = None
    fatal: bool = False
    """True when no other route can help (the input itself is refused by its content)."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Perhaps accepted. MUST NOT be sent again."""

    kind: str
    text: str


DispatchAnswer = Accepted | Refused | Unclear


class Stage(Enum):
    """Where a request stands at the provider."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    ENDED = "ENDED"
    GONE = "GONE"
    """The provider says that it does not know the id (404)."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the provider's log."""

    text: str
    level: str = "INFO"
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a running request."""

    stage: Stage
    queue_position: int | None = None
    fraction: float | None = None
    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """One picture as the provider offers it; sizes are claims, not measurements."""

    url: str
    mime_type: str | None = None
    flagged: bool = False


class Ended(Enum):
    """How a request ended at the provider."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    ABORTED = "ABORTED"


@dataclass(frozen=True, slots=True)
class Result:
    """What the provider said at the end: outputs, and the evidence of what it bills."""

    ended: Ended
    outputs: tuple[Output, ...] = ()
    failure: Failure | None = None
    billable_units: Decimal | None = None
    """fal's `x-fal-billable-units`; None when the header is missing."""
    metrics: Mapping[str, Decimal] = field(default_factory=dict)
    """Replicate's metrics, numbers only."""
    surely_unbilled: bool = False
    seed: int | None = None
    queue_seconds: float | None = None
    run_seconds: float | None = None
    expires_in_seconds: float | None = None
    """How long the provider keeps the result, from now."""
    notices: tuple[str, ...] = ()


class CancelAnswer(Enum):
    """What the provider says to a cancel."""

    CANCELLED = "CANCELLED"
    ASKED = "ASKED"
    TOO_LATE = "TOO_LATE"
    UNKNOWN_ID = "UNKNOWN_ID"


class Health(Enum):
    """Whether a route is worth asking, as this replica has met it."""

    OK = "OK"
    DEGRADED = "DEGRADED"
    """It failed lately, or the next dispatch is a trial."""
    OPEN = "OPEN"
    """It keeps failing: dispatches are refused here until a trial is due."""
    ACCOUNT_BLOCKED = "ACCOUNT_BLOCKED"
    """The provider refuses our account: true for all its routes."""


@dataclass(frozen=True, slots=True)
class Search:
    """A request that was perhaps accepted, to be looked for in the provider's own list."""

    endpoint: str
    input_digest: str
    """`service.domain.sent.input_digest` of what was sent."""
    sent_from: int
    """Microseconds: the list is read from here, clocks may differ by a little."""
    sent_before: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A request in the provider's list whose input equals what was sent."""

    provider_id: str
    sent_at: int
    """Microseconds, by the provider's clock."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One reading of the provider's list. ABSENT is a complete scan without matches; an incomplete one without is no answer."""

    matches: tuple[Listed, ...]
    """By time, oldest first; whether one of them belongs to another attempt is not known here."""
    complete: bool
    """Whether the list was read to its end, over the whole span, and every row of it could be compared."""
    others: tuple[str, ...] = ()
    """Ids of the span that may be the request in another spelling: the endpoint is the same and the input is not, or the other
    way round. One that belongs to no attempt forbids the conclusion that nothing arrived."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What the provider's own books charge for one request, or, where they name no money, what the charge is made of."""

    bill_id: str
    """The same at each reading."""
    provider_id: str
    endpoint: str
    at: int
    """Microseconds, by the provider's clock: when it was booked (fal), when the request ended (Replicate)."""
    nanos: int | None = None
    """The charge in nano-USD as the provider states it. None: it states none, and `metrics` are to be priced."""
    units: Decimal | None = None
    unit_price: Decimal | None = None
    """USD per unit."""
    discount_percent: Decimal | None = None
    metrics: Mapping[str, Decimal] = field(default_factory=dict)
    ended: Ended | None = None
    """How the request ended, where the books say so (Replicate)."""


@dataclass(frozen=True, slots=True)
class BillPage:
    """A part of the provider's bills."""

    bills: tuple[Bill, ...]
    next_page: str | None = None
    """What to ask for next; None at the end."""
    unreadable_count: int = 0
    """Rows that could not be read: the span is not complete."""


@dataclass(frozen=True, slots=True)
class WebhookNotice:
    """What an authentic webhook says: the provider's ids of the request. Results are never taken from it."""

    provider_id: str
    aliases: tuple[str, ...] = ()
