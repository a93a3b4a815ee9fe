"""The commands of the store and what they answer.

A command carries the keys of every row that it may create, made before its first try: running it again after an unknown
commit answers the recorded outcome and writes nothing. The lane says which connection runs it.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from service.domain.errors import LightmeterError
from service.domain.failure import Failure
from service.domain.records import Asset, Attempt, Period, Render
from service.domain.routing import PlannedRoute
from service.domain.value import value
from service.domain.view import JobView


class Lane(Enum):
    """Which connection and thread carries a command out."""

    HEARTBEAT = "heartbeat"
    RUN = "run"
    ACCEPT = "accept"


@value(frozen=True, slots=True)
class Command:
    """Base of all commands. `patient` ones (evidence) are retried until committed, whatever the caller's deadline."""

    lane: ClassVar[Lane] = Lane.RUN
    patient: ClassVar[bool] = False


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


AcceptOutcome = Existing | Hit | Joined | New | NeedsCheck


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


@value(frozen=True, slots=True)
class Cancel(Command):
    """End a job at the wish of its caller."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    job_id: str
    project: str | None
    """None for an admin."""
    reason: str = ""


class CancelOutcome(Enum):
    """What the cancel reached."""

    NOT_SENT = "NOT_SENT"
    PROVIDER_ASKED = "PROVIDER_ASKED"
    DETACHED = "DETACHED"
    ALREADY_FINAL = "ALREADY_FINAL"


@value(frozen=True, slots=True)
class Cancelled:
    """The job after the cancel."""

    outcome: CancelOutcome
    view: JobView


@value(frozen=True, slots=True)
class ExpireJobs(Command):
    """End the jobs among these whose deadline has passed."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    job_ids: tuple[str, ...]


@value(frozen=True, slots=True)
class Heartbeat(Command):
    """This replica lives. Answers its ordinal (int)."""

    lane: ClassVar[Lane] = Lane.HEARTBEAT
    replica_id: str


@value(frozen=True, slots=True)
class TakeOver(Command):
    """Own these renders, as far as nobody alive does. Answers the ids of the jobs that pay for them (tuple[str, ...])."""

    render_ids: tuple[str, ...]
    owner: str
    """The replica that takes over; renders that it owned already and lost sight of are taken too."""


# ---------------------------------------------------------------- run, fenced


@value(frozen=True, slots=True)
class Fenced(Command):
    """Acts for a render: only its owner, with the current fencing number, may."""

    render_id: str
    attempt_id: str
    owner: str
    fence: int


@value(frozen=True, slots=True)
class Dispatch(Fenced):
    """Mark the attempt as about to be sent."""

    seed: int | None = None


@value(frozen=True, slots=True)
class Send:
    """Go: one POST, before `send_before` by the sender's own clock."""

    render: Render
    attempt: Attempt


class RunOutcome(Enum):
    """Answers of fenced commands that need no more words."""

    DONE = "DONE"
    LOST = "LOST"
    """Another replica owns the render, or it is final: stop acting."""
    CANCELLED = "CANCELLED"
    """The render ended before it was sent."""


@value(frozen=True, slots=True)
class MarkUnknown(Fenced):
    """The POST ended without an answer that tells whether it was accepted."""

    cause: str = ""


@value(frozen=True, slots=True)
class ResolveUnconfirmed(Fenced):
    """Give up on an UNKNOWN attempt: post its hold as unconfirmed and fail the render."""

    failure: Failure | None = None


@value(frozen=True, slots=True)
class Progress(Fenced):
    """A visible step at the provider. Droppable."""

    state: str = "QUEUED"
    """RenderState QUEUED or RUNNING."""
    progress: str = "{}"


@value(frozen=True, slots=True)
class PutAgain:
    """These pictures are not promised any more: put them again, then finish again."""

    sha256s: tuple[str, ...]


@value(frozen=True, slots=True)
class Finish(Fenced):
    """The pictures are stored: the render and every waiting job succeed. Answers RunOutcome or PutAgain."""

    assets: tuple[tuple[int, Asset, bool], ...] = ()
    """(position, picture, flagged)."""
    partial: bool = False
    keep: bool = True
    """False: never served from the cache (partial or flagged results)."""
    notices: str = "[]"
    phases: str = "{}"
    """Measured seconds as JSON (`download_seconds`, `store_seconds`); kept where the progress stood."""
    put_again: frozenset[str] = frozenset()
    """Pictures that were put once more after a PutAgain."""


@value(frozen=True, slots=True)
class Fail(Fenced):
    """The attempt ended without a picture: go on with the next route if there is one, else end the render."""

    failure: Failure | None = None
    next_attempt_id: str = ""
    next_token: str = ""
    failover: bool = True
    """False when no other route can help."""


@value(frozen=True, slots=True)
class NextAttempt:
    """The render is PENDING again with this attempt."""

    render: Render
    attempt: Attempt


# ---------------------------------------------------------------- evidence (never refused)


@value(frozen=True, slots=True)
class Evidence(Command):
    """What a provider, or our own sender, once told about an attempt. Accepted from anyone, in any state."""

    patient: ClassVar[bool] = True
    attempt_id: str


@value(frozen=True, slots=True)
class NotSent(Evidence):
    """Nothing was sent: the window had passed."""


@value(frozen=True, slots=True)
class Reject(Evidence):
    """The provider surely did not accept it; it costs nothing."""

    failure: Failure


@value(frozen=True, slots=True)
class BindProviderId(Evidence):
    """The provider's id of the attempt. `source` is POST, WEBHOOK, SEARCH or OPERATOR."""

    provider: str
    provider_id: str
    aliases: tuple[str, ...] = ()
    source: str = "POST"
    queue_position: int | None = None


@value(frozen=True, slots=True)
class RecordResult(Evidence):
    """The end at the provider: outcome and evidence. Settles the money."""

    ended: str
    """ports.Ended value."""
    billable_units: str | None = None
    metrics: tuple[tuple[str, str], ...] = ()
    images_count: int = 0
    surely_unbilled: bool = False
    charge_ceiling: bool = False
    """The provider may have charged up to the ceiling and said nothing: post the hold as unconfirmed."""
    failure: Failure | None = None
    result: str = "{}"
    result_expires_in_micros: int | None = None
    queue_seconds: float | None = None
    run_seconds: float | None = None


# ---------------------------------------------------------------- budgets


@value(frozen=True, slots=True)
class SetBudget(Command):
    """Create or change the one budget of (project, label, period). Answers the Budget."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    budget_id: str
    change_id: str
    project: str
    label_key: str
    label_value: str
    period: Period
    limit_nanos: int
    hard: bool
    alert_percents: tuple[int, ...]
    by: str
    reason: str = ""
    revision: int | None = None
    """The revision that the caller saw; None to set regardless."""


@value(frozen=True, slots=True)
class DeleteBudget(Command):
    """End a budget. Its windows and its audit stay."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    budget_id: str
    change_id: str
    by: str
    reason: str = ""
    revision: int | None = None
