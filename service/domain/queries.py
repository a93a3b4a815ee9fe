"""What readers ask the database for, and what they get. Pages run over (time, key) and stop `paging_lag_seconds` before now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.focus import ChargeRow
from service.domain.oversight import AuditEvent
from service.domain.records import Attempt, Budget, Render, Transfer, Window
from service.domain.view import JobView


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs; empty tuples and None mean no restriction. Times are accepted_at, half-open, microseconds."""

    project: str | None
    limit: int
    after: tuple[int, str] | None = None
    """(accepted_at, id) of the last row of the page before."""
    newest_first: bool = True
    states: tuple[str, ...] = ()
    """JobState values, compared with the state as it is shown."""
    operations: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    failure_reasons: tuple[str, ...] = ()
    settlements: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    accepted_from: int | None = None
    accepted_before: int | None = None
    fingerprint: str | None = None
    asset_sha256: str | None = None


class CostBasis(Enum):
    """Which of the two times a report goes by."""

    USAGE = "USAGE"
    BOOKED = "BOOKED"


class Interval(Enum):
    """How a report is cut along time; TOTAL is one row for the whole range."""

    TOTAL = "TOTAL"
    HOUR = "HOUR"
    DAY = "DAY"
    MONTH = "MONTH"


GROUPINGS = (
    "project", "model", "provider", "route", "operation", "origin", "outcome", "evidence", "fault", "label",
)  # fmt: skip


OPEN_OUTCOME = "OPEN"
"""The outcome under which a report shows the holds of attempts that have not ended."""


@dataclass(frozen=True, slots=True)
class CostQuery:
    """A report over the totals. Range in whole UTC hours, half-open, microseconds."""

    start: int
    end: int
    basis: CostBasis
    interval: Interval
    group_by: tuple[str, ...]
    """Names of GROUPINGS, without repeats."""
    label_key: str = ""
    """With `label` in group_by: which reporting label."""
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Grouping name (not label) → allowed values."""
    limit: int = 10_000
    with_buckets: bool = True
    """Whether the latency buckets are wanted, which are most of what is added up."""
    as_of: int | None = None
    """Leave out what was booked at this whole UTC hour or later; None: nothing. What is held is of the present all the same."""


@dataclass(frozen=True, slots=True)
class CostFigures:
    """Sums; net is charged + corrected_up - corrected_down."""

    jobs: int = 0
    attempts: int = 0
    images: int = 0
    charged_nanos: int = 0
    corrected_up_nanos: int = 0
    corrected_down_nanos: int = 0
    avoided_nanos: int = 0
    net_estimated_nanos: int = 0
    net_unconfirmed_nanos: int = 0
    held_nanos: int = 0
    latency_micros: int = 0
    buckets: tuple[int, ...] = ()

    @property
    def net_nanos(self) -> int:
        """What it costs in the end."""
        return self.charged_nanos + self.corrected_up_nanos - self.corrected_down_nanos


@dataclass(frozen=True, slots=True)
class CostRow:
    """One line of a report. `group` has the values of group_by in its order."""

    interval_start: int
    group: tuple[str, ...]
    figures: CostFigures


@dataclass(frozen=True, slots=True)
class CostReport:
    """Rows by (interval, group), their total, and the database's time of the snapshot."""

    rows: tuple[CostRow, ...]
    total: CostFigures
    as_of: int


@dataclass(frozen=True, slots=True)
class TransferQuery:
    """Which transfers, in the order (booked_at, source, ordinal)."""

    project: str | None
    limit: int
    after: tuple[int, str, int] | None = None
    booked_from: int | None = None
    booked_before: int | None = None
    job_id: str | None = None
    kinds: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferPage:
    """Transfers, and the booked time below which nothing can still appear."""

    transfers: tuple[Transfer, ...]
    complete_through: int


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A live budget and its current window (None while untouched)."""

    budget: Budget
    window: Window | None


@dataclass(frozen=True, slots=True)
class LedgerSnapshot:
    """Everything that /metrics/ledger shows, read in one snapshot.

    `lifetime` maps (project, model, provider, operation, origin, outcome, evidence) to figures.
    """

    as_of: int
    lifetime: dict[tuple[str, str, str, str, str, str, str], CostFigures]
    held_by_project: dict[str, int]
    unconfirmed_by_project: dict[str, int]
    window_net: dict[tuple[str, str], int]
    """(project, `day` or `month`) → net nanos of the current UTC window by usage time."""
    budgets: tuple[BudgetState, ...]
    attempts_open: dict[tuple[str, str], int]
    """(provider, attempt state) → count."""
    oldest_open_job_at: dict[str, int]
    """Render state → accepted_at of the oldest job that waits in it."""
    stored_bytes_by_project: dict[str, int]
    drift_by_provider: dict[str, int]
    """What the newest comparisons of the last `drift_days_count` days with the provider's own books leave unexplained (nanos)."""
    unmatched: dict[tuple[str, Side], int]
    """(provider, side) → charges in dispute that are open."""


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs in the asked order."""

    views: tuple[JobView, ...]


@dataclass(frozen=True, slots=True)
class AttemptQuery:
    """Which attempts, oldest dispatch first. Empty tuples and None mean no restriction; times are dispatched_at, half-open."""

    limit: int
    after: tuple[int, str] | None = None
    """(dispatched_at, id) of the last row of the page before."""
    states: tuple[str, ...] = ()
    """AttemptState values."""
    provider: str | None = None
    route: str | None = None
    project: str | None = None
    job_id: str | None = None
    dispatched_from: int | None = None
    dispatched_before: int | None = None


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """An attempt with its render, and every id under which the provider knows it (canonical first)."""

    attempt: Attempt
    render: Render
    provider_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which changes, newest first. None means no restriction; times half-open."""

    limit: int
    after: tuple[int, str] | None = None
    """(at, id) of the last row of the page before."""
    at_from: int | None = None
    at_before: int | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of the audit: switches, attempts decided by hand, and budgets (whose changes are kept in a table of their own)."""

    events: tuple[AuditEvent, ...]


@dataclass(frozen=True, slots=True)
class ChargeQuery:
    """Which costs, by booked time (half-open, microseconds), in the order (booked_at, source, ordinal)."""

    project: str | None
    limit: int
    booked_from: int
    booked_before: int
    after: tuple[int, str, int] | None = None

    def following(self, after: tuple[int, str, int], as_of: int) -> ChargeQuery:
        """The next page, of the same moment."""
        return replace(self, after=after, booked_before=min(self.booked_before, as_of))


@dataclass(frozen=True, slots=True)
class ChargePage:
    """Costs, and the booked time below which nothing can still appear in the range."""

    rows: tuple[ChargeRow, ...]
    as_of: int


@dataclass(frozen=True, slots=True)
class BilledAttempt:
    """An attempt that was sent, with every id under which the provider knows it."""

    attempt: Attempt
    provider_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReconciliationQuery:
    """Which comparisons, newest first. Times are started_at, half-open; None means no restriction."""

    limit: int
    provider: str | None = None
    after: tuple[int, str, str, int, int] | None = None
    """(started_at, provider, grade, range_from, number) of the last row of the page before."""
    started_from: int | None = None
    started_before: int | None = None


@dataclass(frozen=True, slots=True)
class DiscrepancyQuery:
    """Which charges in dispute, newest first. Times are usage times, half-open; None means no restriction."""

    limit: int
    provider: str | None = None
    sides: tuple[Side, ...] = ()
    include_resolved: bool = False
    after: tuple[int, str, str, str] | None = None
    """(usage_at, provider, side, subject) of the last row of the page before."""
    used_from: int | None = None
    used_before: int | None = None


@dataclass(frozen=True, slots=True)
class ReconciliationPage:
    """Comparisons in the asked order."""

    reconciliations: tuple[Reconciliation, ...]


@dataclass(frozen=True, slots=True)
class DiscrepancyPage:
    """Charges in dispute in the asked order."""

    discrepancies: tuple[Discrepancy, ...]


@dataclass(frozen=True, slots=True)
class PaidQuery:
    """Which paid renders of one provider, by usage time (half-open, microseconds). Empty tuples mean no restriction."""

    provider: str
    used_from: int
    used_before: int
    limit: int
    after: tuple[int, str] | None = None
    """(usage_at, attempt id) of the last row of the page before."""
    projects: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
