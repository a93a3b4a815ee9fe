"""What one batch sees: the rows that were loaded under lock, and everything that its commands changed so far.

A later command sees what an earlier one in the batch decided. Every change is journaled, so that a command that raises
leaves no trace: the store takes a `mark()` before each command and calls `rollback(mark)` when it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.oversight import AuditEvent, Event, Switch, SwitchScope
from service.domain.records import (
    Asset,
    Attempt,
    Budget,
    BudgetChange,
    Flight,
    Grade,
    HoldBudget,
    Job,
    ProviderId,
    Render,
    RenderAsset,
    RenderInput,
    Replica,
    Transfer,
    Window,
)
from service.domain.totals import TotalsDelta, TotalsKey
from service.domain.view import JobView

Key = TypeVar("Key")
Row = TypeVar("Row")
Mark = int

_ABSENT = object()


class Rows(Generic[Key, Row]):
    """The rows of one table by key: as loaded, and as changed."""

    def __init__(self, journal: list[Callable[[], None]]) -> None:
        self._journal = journal
        self._loaded: dict[Key, Row] = {}
        self._changed: dict[Key, Row] = {}

    def load(self, key: Key, row: Row) -> None:
        """Take in a row that was read. Reading again replaces what was read before."""
        self._loaded[key] = row

    def get(self, key: Key) -> Row | None:
        """The row as it stands now, or None."""
        found = self._changed.get(key)
        return found if found is not None else self._loaded.get(key)

    def put(self, key: Key, row: Row) -> None:
        """Insert or replace."""
        old = self._changed.get(key, _ABSENT)
        changed = self._changed

        def undo() -> None:
            if old is _ABSENT:
                del changed[key]
            else:
                changed[key] = old  # type: ignore[assignment]  # _ABSENT was excluded just above

        self._journal.append(undo)
        changed[key] = row

    def values(self) -> Iterator[Row]:
        """Every row as it stands now."""
        yield from self._changed.values()
        for key, row in self._loaded.items():
            if key not in self._changed:
                yield row

    def inserted(self) -> list[tuple[Key, Row]]:
        """Rows that the database does not have yet."""
        return [(key, row) for key, row in self._changed.items() if key not in self._loaded]

    def changes(self) -> list[tuple[Key, Row | None, Row]]:
        """Every row that differs from what was loaded: (key, as loaded or None, as it stands now)."""
        loaded = self._loaded
        return [
            (key, old, row)
            for key, row in self._changed.items()
            if (old := loaded.get(key)) is not row and old != row
        ]

    def updated(self) -> list[tuple[Key, Row]]:
        """Rows that the database has in an older form."""
        return [(k, row) for k, row in self._changed.items() if k in self._loaded and self._loaded[k] != row]


Entry = TypeVar("Entry")


class Log(Generic[Entry]):
    """Rows that are only ever added."""

    def __init__(self, journal: list[Callable[[], None]]) -> None:
        self._journal = journal
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Append one."""
        self.entries.append(entry)
        self._journal.append(self._pop)

    def _pop(self) -> None:
        self.entries.pop()


class World:
    """All rows of one batch. `now` is the database's time of the batch in microseconds."""

    def __init__(self, now: int, reporting_labels: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.now = now
        self.reporting_labels = reporting_labels or {}
        self._journal: list[Callable[[], None]] = []
        journal = self._journal
        self.jobs: Rows[str, Job] = Rows(journal)
        self.flights: Rows[tuple[str, str], Flight] = Rows(journal)
        self.renders: Rows[str, Render] = Rows(journal)
        self.attempts: Rows[str, Attempt] = Rows(journal)
        self.provider_ids: Rows[tuple[str, str], ProviderId] = Rows(journal)
        self.assets: Rows[str, Asset] = Rows(journal)
        self.render_assets: Rows[tuple[str, int], RenderAsset] = Rows(journal)
        self.render_inputs: Rows[tuple[str, str, int], RenderInput] = Rows(journal)
        self.budgets: Rows[str, Budget] = Rows(journal)
        self.windows: Rows[tuple[str, int], Window] = Rows(journal)
        self.hold_budgets: Rows[tuple[str, str], HoldBudget] = Rows(journal)
        self.replicas: Rows[str, Replica] = Rows(journal)
        self.transfers: Log[Transfer] = Log(journal)
        self.budget_changes: Log[BudgetChange] = Log(journal)
        self.totals: Log[tuple[TotalsKey, TotalsDelta]] = Log(journal)
        self.label_totals: Log[tuple[TotalsKey, str, str, TotalsDelta]] = Log(journal)
        self.budget_changes_known: dict[str, BudgetChange] = {}
        self.discrepancies: Rows[tuple[str, Side, str], Discrepancy] = Rows(journal)
        self.reconciliations: Rows[tuple[str, Grade, int, int], Reconciliation] = Rows(journal)
        self.switches: Rows[tuple[SwitchScope, str], Switch] = Rows(journal)
        self.events: Log[Event] = Log(journal)
        self.audit: Log[AuditEvent] = Log(journal)
        self.sources_known: set[str] = set()
        """Sources among those named by the batch that have transfers already."""
        self.audit_known: dict[str, AuditEvent] = {}
        """Lines of the audit that an earlier try of a command of this batch has written, by id."""
        self.ended: Log[tuple[Job, Attempt | None]] = Log(journal)
        """Jobs that became final in this batch, with the attempt that stands for their work: for metrics, after the commit."""
        self._jobs_by_request: dict[tuple[str, str], str] = {}
        self._jobs_by_render: dict[str, list[str]] = {}
        self._attempts_by_render: dict[str, list[str]] = {}
        self._assets_by_render: dict[str, dict[int, None]] = {}
        self._holds_by_attempt: dict[str, list[str]] = {}

    # -- loading (called by the store)

    def load_jobs(self, jobs: Iterable[Job]) -> None:
        """Take in job rows."""
        for job in jobs:
            self.jobs.load(job.id, job)
            self._index_job(job)

    def load_attempts(self, attempts: Iterable[Attempt]) -> None:
        """Take in attempt rows."""
        for attempt in attempts:
            self.attempts.load(attempt.id, attempt)
            self._index_attempt(attempt)

    def load_render_assets(self, rows: Iterable[RenderAsset]) -> None:
        """Take in the pictures of renders."""
        for row in rows:
            self.render_assets.load((row.render_id, row.position), row)
            self._assets_by_render.setdefault(row.render_id, {})[row.position] = None

    def load_hold_budgets(self, rows: Iterable[HoldBudget]) -> None:
        """Take in where the holds of attempts were taken from."""
        for row in rows:
            self.hold_budgets.load((row.attempt_id, row.budget_id), row)
            self._index_hold(row)

    # -- changing (called by decisions)

    def put_job(self, job: Job) -> Job:
        """Insert or replace a job."""
        self.jobs.put(job.id, job)
        self._index_job(job)
        return job

    def put_render(self, render: Render) -> Render:
        """Insert or replace a render."""
        self.renders.put(render.id, render)
        return render

    def put_attempt(self, attempt: Attempt) -> Attempt:
        """Insert or replace an attempt."""
        self.attempts.put(attempt.id, attempt)
        self._index_attempt(attempt)
        return attempt

    def put_render_asset(self, row: RenderAsset) -> None:
        """Give a render a picture."""
        self.render_assets.put((row.render_id, row.position), row)
        self._assets_by_render.setdefault(row.render_id, {})[row.position] = None

    def put_hold_budget(self, row: HoldBudget) -> None:
        """Remember which window a hold was taken from."""
        self.hold_budgets.put((row.attempt_id, row.budget_id), row)
        self._index_hold(row)

    # -- reading

    def job_by_request(self, project: str, request_id: str) -> Job | None:
        """The job of a request_id."""
        job_id = self._jobs_by_request.get((project, request_id))
        return self.jobs.get(job_id) if job_id is not None else None

    def waiting_jobs(self, render_id: str) -> list[Job]:
        """The jobs of a render that are not final, oldest first."""
        rows = (self.jobs.get(job_id) for job_id in self._jobs_by_render.get(render_id, ()))
        waiting = {job.id: job for job in rows if job and job.render_id == render_id and not job.is_final}
        return sorted(waiting.values(), key=lambda job: (job.accepted_at, job.id))

    def attempts_of(self, render_id: str) -> tuple[Attempt, ...]:
        """The attempts of a render by number."""
        rows = [self.attempts.get(key) for key in self._attempts_by_render.get(render_id, ())]
        return tuple(sorted((row for row in rows if row is not None), key=lambda row: row.number))

    def assets_of(self, render_id: str) -> tuple[tuple[RenderAsset, Asset], ...]:
        """The pictures of a render by position; those whose asset row was loaded."""
        found = []
        for position in sorted(self._assets_by_render.get(render_id, ())):
            row = self.render_assets.get((render_id, position))
            asset = self.assets.get(row.sha256) if row else None
            if row is not None and asset is not None:
                found.append((row, asset))
        return tuple(found)

    def holds_of(self, attempt_id: str) -> list[HoldBudget]:
        """The windows that the hold of an attempt was taken from."""
        rows = (
            self.hold_budgets.get((attempt_id, key)) for key in self._holds_by_attempt.get(attempt_id, ())
        )
        return [row for row in rows if row is not None]

    def view(self, job: Job) -> JobView:
        """The job as it is shown now."""
        render = self.renders.get(job.render_id)
        return JobView(job, render, self.attempts_of(job.render_id), self.assets_of(job.render_id))

    # -- leaving no trace

    def mark(self) -> Mark:
        """A point to roll back to."""
        return len(self._journal)

    def rollback(self, mark: Mark) -> None:
        """Undo everything since the mark."""
        while len(self._journal) > mark:
            self._journal.pop()()

    def _index_job(self, job: Job) -> None:
        self._jobs_by_request[job.project, job.request_id] = job.id
        ids = self._jobs_by_render.setdefault(job.render_id, [])
        if job.id not in ids[-8:]:
            ids.append(job.id)

    def _index_attempt(self, attempt: Attempt) -> None:
        ids = self._attempts_by_render.setdefault(attempt.render_id, [])
        if attempt.id not in ids:
            ids.append(attempt.id)

    def _index_hold(self, row: HoldBudget) -> None:
        ids = self._holds_by_attempt.setdefault(row.attempt_id, [])
        if row.budget_id not in ids:
            ids.append(row.budget_id)
