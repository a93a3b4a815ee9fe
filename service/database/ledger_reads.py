"""The books, read outside the lanes: reports, the journal, budgets, the snapshot for metrics, and the check of it all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, and_, func, or_, select, tuple_

from service.database import codec
from service.database.ledger_tables import BUCKETS, SUMS, budget_windows, budgets, totals, transfers
from service.database.reports import Sums, report
from service.database.snapshots import Snapshots
from service.database.tables import assets, attempts, jobs, render_assets, renders
from service.database.verify import differences
from service.domain.budget import window_start
from service.domain.ledger import hour
from service.domain.limits import MICROS_PER_SECOND, paging_lag_seconds
from service.domain.queries import (
    BudgetState,
    CostFigures,
    CostQuery,
    CostReport,
    LedgerSnapshot,
    TransferPage,
    TransferQuery,
)
from service.domain.records import Grade, Period

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
        return await self._reports.read(_all(differences))


def _all(work: Callable[[Connection], Sequence[Result]]) -> Callable[[Connection], tuple[Result, ...]]:
    return lambda connection: tuple(work(connection))


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
        held_by_project=_pairs(
            connection, attempts.c.project, func.sum(attempts.c.hold_nanos), attempts.c.hold_open
        ),
        unconfirmed_by_project=_pairs(
            connection,
            attempts.c.project,
            func.sum(attempts.c.settled_nanos),
            attempts.c.grade == Grade.UNCONFIRMED.value,
        ),
        window_net=_window_net(connection, now),
        budgets=_budgets(connection, None, now),
        attempts_open=_attempts_open(connection),
        oldest_open_job_at=_oldest(connection),
        stored_bytes_by_project=_stored(connection),
    )


def _lifetime(connection: Connection) -> dict[tuple[str, str, str, str, str, str, str], CostFigures]:
    keys = [totals.c[name] for name in _LIFETIME_KEY]
    sums = [func.sum(totals.c[name]) for name in (*SUMS, *BUCKETS)]
    statement = (
        select(*keys, *sums).where(totals.c.usage_hour == 0, totals.c.booked_hour == 0).group_by(*keys)
    )
    found: dict[tuple[str, str, str, str, str, str, str], CostFigures] = {}
    for row in connection.execute(statement):
        added = Sums()
        added.add(row[len(keys) :], row[len(keys) - 1])
        found[row[0], row[1], row[2], row[3], row[4], row[5], row[6]] = added.figures()
    return found


def _pairs(connection: Connection, key: Any, value: Any, where: Any) -> dict[str, int]:
    rows = connection.execute(select(key, value).where(where).group_by(key))
    return {name: int(amount or 0) for name, amount in rows}


def _window_net(connection: Connection, now: int) -> dict[tuple[str, str], int]:
    net = func.sum(totals.c.charged_nanos + totals.c.corrected_up_nanos - totals.c.corrected_down_nanos)
    found: dict[tuple[str, str], int] = {}
    for name, period in (("day", Period.DAY), ("month", Period.MONTH)):
        since = totals.c.usage_hour >= hour(window_start(period, now))
        found |= {
            (project, name): amount
            for project, amount in _pairs(connection, totals.c.project, net, since).items()
        }
    return found


def _attempts_open(connection: Connection) -> dict[tuple[str, str], int]:
    keys = (attempts.c.provider, attempts.c.state)
    statement = select(*keys, func.count()).where(attempts.c.hold_open).group_by(*keys)
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
    """Bytes of the pictures that a project's renders made; a picture of two projects counts for both."""
    pictures = (
        select(renders.c.project, assets.c.sha256, assets.c.size_bytes)
        .select_from(
            render_assets.join(renders, renders.c.id == render_assets.c.render_id).join(
                assets, assets.c.sha256 == render_assets.c.sha256
            )
        )
        .where(assets.c.state == "PRESENT")
        .distinct()
        .subquery()
    )
    statement = select(pictures.c.project, func.sum(pictures.c.size_bytes)).group_by(pictures.c.project)
    return {project: int(size) for project, size in connection.execute(statement)}
