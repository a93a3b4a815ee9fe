"""The books, read outside the lanes: reports, the journal, budgets, the snapshot for metrics, and the check of it all."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from sqlalchemy import Connection, and_, func, or_, select, tuple_

from service.database import codec
from service.database.bill_tables import discrepancies, reconciliations
from service.database.ledger_tables import (
    budget_windows,
    budgets,
    stored_bytes,
    totals,
    transfers,
)
from service.database.reports import Sums, report, sum_columns
from service.database.snapshots import Snapshots
from service.database.sums import rolled_before, sources
from service.database.tables import HOLDING, UNCONFIRMED, attempts, jobs, renders
from service.database.verify import checks
from service.domain.bills import Side
from service.domain.budget import window_start
from service.domain.ledger import hour
from service.domain.limits import MICROS_PER_SECOND, drift_days_count, paging_lag_seconds
from service.domain.queries import (
    BudgetState,
    CostBasis,
    CostFigures,
    CostQuery,
    CostReport,
    Interval,
    LedgerSnapshot,
    TransferPage,
    TransferQuery,
)
from service.domain.records import Grade, Period

_HOUR: Final = 3_600 * MICROS_PER_SECOND
_DRIFT_MICROS: Final = drift_days_count * 24 * _HOUR
_LIFETIME_KEY: Final = ("project", "model", "provider", "operation", "origin", "outcome", "evidence")
Result = TypeVar("Result")


class DatabaseLedgerReader:
    """Implements `LedgerReader`. `reports` are snapshots on connections of their own, for reads that may take long."""

    def __init__(self, snapshots: Snapshots, reports: Snapshots) -> None:
        self._snapshots = snapshots
        self._reports = reports

    async def costs(self, query: CostQuery) -> CostReport:
        """A report over totals."""
        return await self._reports.read(
            lambda connection: report(connection, query, self._reports.now(connection))
        )

    async def transfers(self, query: TransferQuery) -> TransferPage:
        """A page of the journal."""
        return await self._snapshots.read(
            lambda connection: _transfers(connection, query, self._snapshots.now(connection))
        )

    async def budgets(self, project: str | None) -> tuple[BudgetState, ...]:
        """The live budgets with their current windows."""
        return await self._snapshots.read(
            lambda connection: _budgets(connection, project, self._snapshots.now(connection))
        )

    async def snapshot(self) -> LedgerSnapshot:
        """What /metrics/ledger shows."""
        return await self._reports.read(
            lambda connection: _snapshot(connection, self._reports.now(connection))
        )

    async def verify(self) -> tuple[str, ...]:
        """Recompute everything from the transfers; one sentence per difference, empty when the books are right."""
        found: list[str] = []
        for check in checks():
            found += await self._reports.read(check)
        return tuple(found)


def _transfers(connection: Connection, query: TransferQuery, now: int) -> TransferPage:
    through = now - paging_lag_seconds * MICROS_PER_SECOND
    c = transfers.c
    # The lag keeps pages complete; the few transfers of one job are read as they are.
    conditions = [c.booked_at < through] if query.job_id is None else []
    if query.project is not None:
        conditions.append(c.project == query.project)
    if query.booked_from is not None:
        conditions.append(c.booked_at >= query.booked_from)
    if query.booked_before is not None:
        conditions.append(c.booked_at < query.booked_before)
    if query.job_id is not None:
        conditions.append(c.job_id == query.job_id)
    if query.kinds:
        conditions.append(c.kind.in_(query.kinds))
    if query.providers:
        conditions.append(c.provider.in_(query.providers))
    if query.after is not None:
        conditions.append(tuple_(c.booked_at, c.source, c.ordinal) > tuple_(*query.after))
    statement = (
        select(transfers).where(*conditions).order_by(c.booked_at, c.source, c.ordinal).limit(query.limit)
    )
    return TransferPage(
        tuple(codec.TRANSFERS.record(row) for row in connection.execute(statement)), complete_through=through
    )


def _budgets(connection: Connection, project: str | None, now: int) -> tuple[BudgetState, ...]:
    current = or_(
        *(
            and_(budgets.c.period == period.value, budget_windows.c.window_start == window_start(period, now))
            for period in Period
        )
    )
    joined = budgets.outerjoin(budget_windows, and_(budget_windows.c.budget_id == budgets.c.id, current))
    statement = select(budgets, budget_windows).select_from(joined).where(budgets.c.live)
    if project is not None:
        statement = statement.where(budgets.c.project == project)
    order = (budgets.c.project, budgets.c.label_key, budgets.c.label_value, budgets.c.period)
    width = len(budgets.columns)
    return tuple(
        BudgetState(
            codec.BUDGETS.record(row[:width]),
            codec.WINDOWS.record(row[width:]) if row[width] is not None else None,
        )
        for row in connection.execute(statement.order_by(*order))
    )


def _snapshot(connection: Connection, now: int) -> LedgerSnapshot:
    return LedgerSnapshot(
        as_of=now,
        lifetime=_lifetime(connection),
        held_by_project=_pairs(connection, attempts.c.project, func.sum(attempts.c.hold_nanos), HOLDING),
        unconfirmed_by_project=_pairs(
            connection,
            attempts.c.project,
            func.sum(attempts.c.settled_nanos),
            UNCONFIRMED,
        ),
        window_net=_window_net(connection, now),
        budgets=_budgets(connection, None, now),
        attempts_open=_attempts_open(connection),
        oldest_open_job_at=_oldest(connection),
        stored_bytes_by_project=_stored(connection),
        drift_by_provider=_drift(connection, now),
        unmatched=_unmatched(connection),
    )


def _drift(connection: Connection, now: int) -> dict[str, int]:
    c = reconciliations.c
    day = (c.provider, c.grade, c.range_from)
    newest = (
        select(*day, func.max(c.number).label("number"))
        .where(c.range_from >= now - _DRIFT_MICROS, c.grade != Grade.INVOICE.value)
        .group_by(*day)
        .subquery()
    )
    same = and_(*(newest.c[one.name] == one for one in (*day, c.number)))
    drift = func.sum(c.billed_nanos - c.ledger_nanos - c.corrected_nanos)
    asked = select(c.provider, drift).select_from(reconciliations.join(newest, same)).group_by(c.provider)
    return {provider: int(nanos) for provider, nanos in connection.execute(asked)}


def _unmatched(connection: Connection) -> dict[tuple[str, Side], int]:
    c = discrepancies.c
    asked = (
        select(c.provider, c.side, func.count()).where(c.resolved_at.is_(None)).group_by(c.provider, c.side)
    )
    return {(provider, Side(side)): int(count) for provider, side, count in connection.execute(asked)}


def _lifetime(connection: Connection) -> dict[tuple[str, str, str, str, str, str, str], CostFigures]:
    keys = [totals.c[name] for name in _LIFETIME_KEY]
    sums = sum_columns(totals, with_buckets=False)
    statement = (
        select(*keys, *sums).where(totals.c.usage_hour == 0, totals.c.booked_hour == 0).group_by(*keys)
    )
    found: dict[tuple[str, str, str, str, str, str, str], CostFigures] = {}
    for row in connection.execute(statement):
        added = Sums(len(sums))
        added.add(row[len(keys) :])
        found[row[0], row[1], row[2], row[3], row[4], row[5], row[6]] = added.figures()
    return found


def _pairs(connection: Connection, key: Any, value: Any, where: Any) -> dict[str, int]:
    rows = connection.execute(select(key, value).where(where).group_by(key))
    return {name: int(amount or 0) for name, amount in rows}


def _window_net(connection: Connection, now: int) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    rolled = rolled_before(connection)
    for name, period in (("day", Period.DAY), ("month", Period.MONTH)):
        span = CostQuery(window_start(period, now), hour(now) + _HOUR, CostBasis.USAGE, Interval.TOTAL, ())
        for source in sources(span, rolled):
            c = source.table.c
            net = func.sum(c.charged_nanos + c.corrected_up_nanos - c.corrected_down_nanos)
            for project, amount in _pairs(connection, c.project, net, and_(*source.conditions)).items():
                found[project, name] = found.get((project, name), 0) + amount
    return found


def _attempts_open(connection: Connection) -> dict[tuple[str, str], int]:
    # As it stands, the provider tempts into an index over all attempts of one.
    keys = (attempts.c.provider.concat(""), attempts.c.state)
    statement = select(*keys, func.count()).where(HOLDING).group_by(*keys)
    return {(provider, state): count for provider, state, count in connection.execute(statement)}


def _oldest(connection: Connection) -> dict[str, int]:
    statement = (
        select(renders.c.state, func.min(jobs.c.accepted_at))
        .select_from(jobs.join(renders, renders.c.id == jobs.c.render_id))
        .where(jobs.c.final_at.is_(None))
        .group_by(renders.c.state)
    )
    return {state: int(at) for state, at in connection.execute(statement)}


def _stored(connection: Connection) -> dict[str, int]:
    """As counted last; counting them here would take longer with every picture."""
    c = stored_bytes.c
    return {project: int(size) for project, size in connection.execute(select(c.project, c.size_bytes))}
