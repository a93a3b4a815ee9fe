"""What reconciliation compares, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, and_, literal, select, tuple_

from service.database import codec
from service.database.bill_tables import discrepancies, reconciliations
from service.database.snapshots import Snapshots
from service.database.tables import attempts, provider_ids
from service.domain.queries import (
    BilledAttempt,
    DiscrepancyPage,
    DiscrepancyQuery,
    ReconciliationPage,
    ReconciliationQuery,
)

IDS_AT_ONCE: Final = 500


class DatabaseBooksReader:
    """Implements `BooksReader`, on the connections of reports."""

    def __init__(self, reports: Snapshots) -> None:
        self._reports = reports

    async def attempts_used(
        self, provider: str, since: int, before: int, limit: int, after: tuple[int, str] | None = None
    ) -> tuple[BilledAttempt, ...]:
        """The attempts at the provider that were sent and whose usage time is in the span, oldest first."""

        def read(connection: Connection) -> tuple[BilledAttempt, ...]:
            c = attempts.c
            asked = select(attempts).where(
                c.provider == provider,
                c.usage_at >= (since if after is None else max(since, after[0])),
                c.usage_at < before,
                c.dispatched_at.is_not(None),
            )
            if after is not None:
                asked = asked.where(tuple_(c.usage_at, c.id) > tuple_(*(literal(one) for one in after)))
            rows = connection.execute(asked.order_by(c.usage_at, c.id).limit(limit))
            found = [codec.ATTEMPTS.record(row) for row in rows]
            names = _names(connection, [one.id for one in found])
            return tuple(BilledAttempt(one, names.get(one.id, ())) for one in found)

        return await self._reports.read(read)

    async def attempts_of_ids(self, provider: str, ids: tuple[str, ...]) -> Mapping[str, str]:
        """Which attempt has which of these ids."""

        def read(connection: Connection) -> dict[str, str]:
            found: dict[str, str] = {}
            c = provider_ids.c
            for at in range(0, len(ids), IDS_AT_ONCE):
                asked = select(c.provider_id, c.attempt_id).where(
                    c.provider == provider, c.provider_id.in_(ids[at : at + IDS_AT_ONCE])
                )
                found |= {row[0]: row[1] for row in connection.execute(asked)}
            return found

        return await self._reports.read(read)

    async def reconciliations(self, query: ReconciliationQuery) -> ReconciliationPage:
        """A page of comparisons, newest first."""

        def read(connection: Connection) -> ReconciliationPage:
            rows = connection.execute(_reconciliations(query))
            return ReconciliationPage(tuple(codec.RECONCILIATIONS.record(row) for row in rows))

        return await self._reports.read(read)

    async def discrepancies(self, query: DiscrepancyQuery) -> DiscrepancyPage:
        """A page of charges in dispute, newest first."""

        def read(connection: Connection) -> DiscrepancyPage:
            rows = connection.execute(_discrepancies(query))
            return DiscrepancyPage(tuple(codec.DISCREPANCIES.record(row) for row in rows))

        return await self._reports.read(read)


def _names(connection: Connection, attempt_ids: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    c = provider_ids.c
    for at in range(0, len(attempt_ids), IDS_AT_ONCE):
        asked = select(c.attempt_id, c.provider_id).where(
            c.attempt_id.in_(attempt_ids[at : at + IDS_AT_ONCE])
        )
        for attempt_id, provider_id in connection.execute(asked):
            found[attempt_id] = (*found.get(attempt_id, ()), provider_id)
    return found


def _reconciliations(query: ReconciliationQuery) -> Any:
    c = reconciliations.c
    conditions = []
    if query.provider is not None:
        conditions.append(c.provider == query.provider)
    if query.started_from is not None:
        conditions.append(c.started_at >= query.started_from)
    if query.started_before is not None:
        conditions.append(c.started_at < query.started_before)
    place = (c.started_at, c.provider, c.grade, c.range_from, c.number)
    if query.after is not None:
        conditions.append(tuple_(*place) < tuple_(*(literal(one) for one in query.after)))
    return (
        select(reconciliations)
        .where(and_(True, *conditions))
        .order_by(*(one.desc() for one in place))
        .limit(query.limit)
    )


def _discrepancies(query: DiscrepancyQuery) -> Any:
    c = discrepancies.c
    conditions = []
    if query.provider is not None:
        conditions.append(c.provider == query.provider)
    if query.sides:
        conditions.append(c.side.in_([side.value for side in query.sides]))
    if not query.include_resolved:
        conditions.append(c.resolved_at.is_(None))
    if query.used_from is not None:
        conditions.append(c.usage_at >= query.used_from)
    if query.used_before is not None:
        conditions.append(c.usage_at < query.used_before)
    place = (c.usage_at, c.provider, c.side, c.subject)
    if query.after is not None:
        conditions.append(tuple_(*place) < tuple_(*(literal(one) for one in query.after)))
    return (
        select(discrepancies)
        .where(and_(True, *conditions))
        .order_by(*(one.desc() for one in place))
        .limit(query.limit)
    )
