"""What finance takes out of the books: pages of costs, and the statement of a month."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, case, func, literal, select, tuple_

from service.database import codec
from service.database.ledger_tables import totals, transfers
from service.database.snapshots import Snapshots
from service.database.tables import jobs
from service.domain.focus import CHARGING, ChargeRow
from service.domain.limits import MICROS_PER_SECOND, hold_days_max, paging_lag_seconds
from service.domain.queries import ChargePage, ChargeQuery
from service.domain.records import Origin, TransferKind
from service.domain.statement import Statement, StatementLine, is_closed, month_span

_CLOSING = (TransferKind.POST.value, TransferKind.VOID.value)


class DatabaseLedgerExports:
    """Implements `LedgerExports`, on the connections of reports."""

    def __init__(self, reports: Snapshots) -> None:
        self._reports = reports

    async def charges(self, query: ChargeQuery) -> ChargePage:
        """A page of costs, with the labels of the jobs that pay."""
        return await self._reports.read(
            lambda connection: _charges(connection, query, self._reports.now(connection))
        )

    async def statement(self, project: str, month: str) -> Statement:
        """The account of a month. Raises ValueError for what is no month."""
        span = month_span(month)
        if span is None:
            raise ValueError(f"{month!r} is no month")
        return await self._reports.read(
            lambda connection: _statement(connection, project, month, span, self._reports.now(connection))
        )


def _charges(connection: Connection, query: ChargeQuery, now: int) -> ChargePage:
    as_of = min(query.booked_before, now - paging_lag_seconds * MICROS_PER_SECOND)
    c = transfers.c
    conditions = [
        c.kind.in_([kind.value for kind in CHARGING]),
        # Said twice for a page further on: an engine may take only this for its index, and read the pages before it again.
        c.booked_at >= (query.booked_from if query.after is None else query.after[0]),
        c.booked_at < as_of,
    ]
    if query.project is not None:
        conditions.append(c.project == query.project)
    if query.after is not None:
        conditions.append(tuple_(c.booked_at, c.source, c.ordinal) > tuple_(*query.after))
    joined = transfers.outerjoin(jobs, jobs.c.id == c.job_id)
    statement = (
        select(transfers, jobs.c.labels)
        .select_from(joined)
        .where(*conditions)
        .order_by(c.booked_at, c.source, c.ordinal)
        .limit(query.limit)
    )
    return ChargePage(tuple(_charge(row) for row in connection.execute(statement)), as_of)


def _charge(row: Any) -> ChargeRow:
    *transfer, labels = row
    pairs = () if labels is None else tuple((key, value) for key, value in json.loads(labels))
    return ChargeRow(codec.TRANSFERS.record(transfer), pairs)


def _statement(
    connection: Connection, project: str, month: str, span: tuple[int, int], now: int
) -> Statement:
    start, end = span
    return Statement(
        project=project,
        month=month,
        closed=is_closed(end, now),
        opening_held_nanos=_held_at(connection, project, start),
        closing_held_nanos=_held_at(connection, project, min(end, now)),
        lines=tuple(_lines(connection, project, start, end)),
    )


def _lines(connection: Connection, project: str, start: int, end: int) -> list[StatementLine]:
    c = totals.c
    corrected = c.corrected_up_nanos - c.corrected_down_nanos
    paid = c.origin == Origin.PROVIDER.value
    keys = (c.provider, c.model, c.operation)

    def where(condition: Any, value: Any) -> Any:
        return func.coalesce(func.sum(case((condition, value), else_=literal(0))), 0)

    statement = (
        select(
            *keys,
            where(paid, c.jobs),
            where(paid, c.images),
            func.sum(c.charged_nanos),
            where(c.usage_hour >= start, corrected),
            where(c.usage_hour < start, corrected),
        )
        .where(c.project == project, c.booked_hour >= max(start, 1), c.booked_hour < end)
        .group_by(*keys)
        .order_by(*keys)
    )
    lines = [
        StatementLine(row[0], row[1], row[2], *map(int, row[3:])) for row in connection.execute(statement)
    ]
    return [line for line in lines if any((line.charged_nanos, *_corrections(line)))]


def _corrections(line: StatementLine) -> tuple[int, int]:
    return line.corrected_this_month_nanos, line.corrected_earlier_months_nanos


def _held_at(connection: Connection, project: str, at: int) -> int:
    """What open holds set aside at an instant: those taken before it and not closed before it."""
    closing = transfers.alias("closing")
    closed = (
        select(literal(1))
        .where(
            closing.c.source == transfers.c.source,
            closing.c.ordinal == 1,
            closing.c.kind.in_(_CLOSING),
            closing.c.booked_at < at,
        )
        .exists()
    )
    oldest = at - hold_days_max * 24 * 3_600 * MICROS_PER_SECOND
    statement = select(func.coalesce(func.sum(transfers.c.amount_nanos), 0)).where(
        transfers.c.project == project,
        transfers.c.booked_at >= oldest,
        transfers.c.booked_at < at,
        transfers.c.kind == TransferKind.HOLD.value,
        ~closed,
    )
    return int(connection.execute(statement).scalar_one())
