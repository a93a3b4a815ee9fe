"""Taking a request in, and what is known of the pictures that it may be answered with."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from service.domain.commands.command import Command, Lane
from service.domain.errors import LightmeterError
from service.domain.records import Asset
from service.domain.routing import PlannedRoute
from service.domain.value import value
from service.domain.view import JobView


class CacheMode(Enum):
    """USE the cache, REFRESH it with a new picture, or BYPASS it: neither read nor join nor keep."""

    USE = "USE"
    REFRESH = "REFRESH"
    BYPASS = "BYPASS"


@value(frozen=True, slots=True)
class Accept(Command):
    """Take a request in: answered by request_id, from the cache, by joining, or with a new render and its hold."""

    lane: ClassVar[Lane] = Lane.ACCEPT

    job_id: str
    render_id: str
    attempt_id: str
    token: str
    project: str
    request_id: str
    request_digest: str
    fingerprint: str
    scope: str
    cache_mode: CacheMode
    cache_max_age_micros: int | None
    operation: str
    model: str
    content: str
    image_count: int
    plan: tuple[PlannedRoute, ...]
    fresh_micros: int | None
    """How long the result may be served from the cache; None for ever."""
    owner: str
    refusal: LightmeterError | None = None
    """With an empty plan: why nothing may be paid; raised when the cache cannot answer."""
    labels: tuple[tuple[str, str], ...] = ()
    options: str = "{}"
    inputs: tuple[tuple[str, int, str], ...] = ()
    """(role, position, sha256) of every input picture."""
    input_assets: tuple[Asset, ...] = ()
    """Measured inputs that this request brought and that are stored already."""
    max_cost_nanos: int | None = None
    job_timeout_micros: int | None = None
    checked: frozenset[str] = frozenset()
    """Pictures that were just seen in the picture store."""
    input_seconds: float | None = None

    @property
    def has_flight(self) -> bool:
        """BYPASS neither joins nor is joined nor is kept."""
        return self.cache_mode is not CacheMode.BYPASS


@value(frozen=True, slots=True)
class Existing:
    """The request_id is known and the request is the same."""

    view: JobView


@value(frozen=True, slots=True)
class Hit:
    """Answered from the cache."""

    view: JobView


@value(frozen=True, slots=True)
class Joined:
    """Waits for a render that runs already."""

    view: JobView


@value(frozen=True, slots=True)
class New:
    """A new render, owned by the replica that asked; its first attempt holds its ceiling."""

    view: JobView


@value(frozen=True, slots=True)
class NeedsCheck:
    """Nothing was written: look whether these pictures are still there, mark them, accept again."""

    assets: tuple[Asset, ...]


@value(frozen=True, slots=True)
class MarkSeen(Command):
    """These pictures were seen in the picture store just now."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    sha256s: tuple[str, ...]


@value(frozen=True, slots=True)
class MarkGone(Command):
    """These pictures are not in the picture store: they are promised to nobody any more."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    sha256s: tuple[str, ...]


AcceptOutcome = Existing | Hit | Joined | New | NeedsCheck
