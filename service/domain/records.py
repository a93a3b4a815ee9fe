"""The rows that the store keeps, as values. One class per table; a field per column.

Times (`*_at`) are microseconds since 1970 UTC by the database's clock. Money is nano-USD. Structured columns whose inside
no query looks at are JSON texts.
"""

from __future__ import annotations

from enum import Enum

from service.domain.failure import Failure
from service.domain.value import value


class JobState(Enum):
    """What a caller sees of a job."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class RenderState(Enum):
    """Where the work stands."""

    PENDING = "PENDING"
    DISPATCHING = "DISPATCHING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    STORING = "STORING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class AttemptState(Enum):
    """Where one dispatch stands. HELD: money is set aside, nothing was sent."""

    HELD = "HELD"
    DISPATCHING = "DISPATCHING"
    UNKNOWN = "UNKNOWN"
    ACCEPTED = "ACCEPTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"


class Origin(Enum):
    """Why a job has its result."""

    PROVIDER = "PROVIDER"
    SHARED = "SHARED"
    CACHE = "CACHE"


class Grade(Enum):
    """How good the evidence of an amount is, worst first."""

    NONE = "NONE"
    UNCONFIRMED = "UNCONFIRMED"
    ESTIMATE = "ESTIMATE"
    BILLED_UNITS = "BILLED_UNITS"
    BILLING_EVENT = "BILLING_EVENT"
    INVOICE = "INVOICE"

    @property
    def rank(self) -> int:
        """Greater is better."""
        return _GRADES.index(self)


_GRADES = list(Grade)


class TransferKind(Enum):
    """What a transfer does to its source."""

    HOLD = "HOLD"
    POST = "POST"
    VOID = "VOID"
    CORRECTION = "CORRECTION"
    ACCRUAL = "ACCRUAL"


class AssetState(Enum):
    """Whether the bytes are in the picture store."""

    PRESENT = "PRESENT"
    DELETING = "DELETING"
    GONE = "GONE"


class Period(Enum):
    """How long a budget's window is, in UTC."""

    DAY = "DAY"
    MONTH = "MONTH"
    TOTAL = "TOTAL"


@value(frozen=True, slots=True)
class Job:
    """One accepted request of a caller."""

    id: str
    project: str
    request_id: str
    request_digest: str
    render_id: str
    origin: Origin
    state: JobState
    version: int
    operation: str
    model: str
    image_count: int
    fingerprint: str
    avoided_nanos: int | None
    max_cost_nanos: int | None
    deadline_at: int | None
    accepted_at: int
    final_at: int | None
    labels: tuple[tuple[str, str], ...]
    options: str
    failure: Failure | None
    input_seconds: float | None = None
    """Time the door spent on inputs before acceptance."""

    @property
    def is_final(self) -> bool:
        """Whether the state can never change again."""
        return self.final_at is not None


@value(frozen=True, slots=True)
class Flight:
    """Points from (scope, fingerprint) to the newest render that was begun for it."""

    scope: str
    fingerprint: str
    render_id: str | None
    good_render_id: str | None = None
    """An older render that succeeded and was fresh when a newer one took its place: it answers when the newer one ends
    without a picture that may be kept."""


@value(frozen=True, slots=True)
class Render:
    """The work behind one or more jobs."""

    id: str
    project: str
    scope: str
    fingerprint: str
    state: RenderState
    version: int
    joinable: bool
    cancel_requested_at: int | None
    owner: str
    fence: int
    next_step_at: int
    operation: str
    model: str
    image_count: int
    plan: str
    content: str
    progress: str
    created_at: int
    finished_at: int | None
    fresh_until: int | None
    """None while not finished or not to be kept; `FOREVER` when it never goes stale."""
    partial: bool = False
    notices: str = "[]"


FOREVER = 2**62


@value(frozen=True, slots=True)
class Attempt:
    """One dispatch of a render to one route, and the source of its transfers."""

    id: str
    render_id: str
    number: int
    payer_job: str
    project: str
    provider: str
    route: str
    endpoint: str
    state: AttemptState
    version: int
    token: str
    price: str
    """The frozen price snapshot, as JSON."""
    hold_nanos: int
    hold_open: bool
    ordinal: int
    """The ordinal of the newest transfer of this source."""
    settled_nanos: int | None
    grade: Grade
    units: str
    usage_at: int
    provider_id: str | None = None
    seed_sent: int | None = None
    send_before: int | None = None
    dispatched_at: int | None = None
    accepted_at: int | None = None
    ended_at: int | None = None
    queue_seconds: float | None = None
    run_seconds: float | None = None
    result: str | None = None
    """What RecordResult was told, as JSON: outputs, seed, notices."""
    result_expires_at: int | None = None
    failure: Failure | None = None
    unbilled: bool = False
    """The evidence says that this attempt costs nothing; its hold is voided by whoever ends or continues the render."""
    input_digest: str = ""
    """Digest of what was sent; empty before it was."""
    posted_grade: Grade = Grade.NONE
    """The grade that closed its hold; what is corrected later is counted there, where the first amount is."""

    @property
    def is_ended(self) -> bool:
        """Whether the provider is done with it, as far as we know."""
        return self.state in _ENDED

    @property
    def total_nanos(self) -> int:
        """What it costs as known now: settled, or nothing yet."""
        return self.settled_nanos or 0


_ENDED = frozenset(
    {AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.CANCELLED, AttemptState.REJECTED}
)


@value(frozen=True, slots=True)
class ProviderId:
    """An id that a provider gave to an attempt; the first one is canonical, the others are aliases."""

    provider: str
    provider_id: str
    attempt_id: str
    source: str
    canonical: bool


@value(frozen=True, slots=True)
class Asset:
    """One stored picture."""

    sha256: str
    extension: str
    mime_type: str
    size_bytes: int
    width_px: int
    height_px: int
    has_alpha: bool
    average_color: str
    state: AssetState
    seen_at: int

    @property
    def key(self) -> str:
        """Its key in the picture store."""
        return f"images/{self.sha256[:2]}/{self.sha256}.{self.extension}"


@value(frozen=True, slots=True)
class RenderAsset:
    """A picture at its place in the result of a render."""

    render_id: str
    position: int
    sha256: str
    flagged: bool


@value(frozen=True, slots=True)
class RenderInput:
    """A picture that a render starts from. `role` is IMAGE or MASK."""

    render_id: str
    role: str
    position: int
    sha256: str


@value(frozen=True, slots=True)
class Budget:
    """A limit on what a project, or a label value in it, may spend in a window."""

    id: str
    project: str
    label_key: str
    label_value: str
    period: Period
    limit_nanos: int
    hard: bool
    alert_percents: tuple[int, ...]
    revision: int
    live: bool
    updated_at: int
    updated_by: str

    def covers(self, project: str, labels: tuple[tuple[str, str], ...]) -> bool:
        """Whether a job of this project with these labels counts against it."""
        return self.project == project and (
            not self.label_key or (self.label_key, self.label_value) in labels
        )


@value(frozen=True, slots=True)
class BudgetChange:
    """One line of the audit of budgets; append-only."""

    id: str
    budget_id: str
    revision: int
    at: int
    by: str
    reason: str
    before: str
    after: str


@value(frozen=True, slots=True)
class Window:
    """What a budget has seen in one window."""

    budget_id: str
    window_start: int
    spent_nanos: int
    held_nanos: int
    overrun_nanos: int
    unconfirmed_nanos: int


@value(frozen=True, slots=True)
class HoldBudget:
    """Which window the hold of an attempt was taken from; its post and corrections go there too."""

    attempt_id: str
    budget_id: str
    window_start: int
    nanos: int


@value(frozen=True, slots=True)
class Transfer:
    """One line of the ledger. Never changed, never deleted; `amount_nanos` is never negative."""

    source: str
    ordinal: int
    kind: TransferKind
    debit: str
    credit: str
    amount_nanos: int
    total_after_nanos: int
    grade: Grade
    evidence_ref: str
    units: str
    price_version: str
    list_price_nanos: int
    discount_nanos: int
    project: str
    model: str
    provider: str
    route: str
    operation: str
    job_id: str
    render_id: str
    attempt_number: int
    usage_at: int
    booked_at: int
    target_ordinal: int | None = None
    memo: str = ""


@value(frozen=True, slots=True)
class Replica:
    """One running process."""

    id: str
    ordinal: int
    lease_until: int
