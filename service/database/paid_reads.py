"""What was drawn and paid, for pricing it anew."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, func, literal, select, tuple_

from service.database.ledger_tables import transfers
from service.database.snapshots import Snapshots
from service.database.tables import attempts, renders
from service.domain.price_news import PricedWith
from service.domain.queries import PaidQuery
from service.domain.records import AttemptState, TransferKind
from service.domain.whatif import PaidRender


class DatabasePaidReader:
    """Implements `PaidReader`, on the connections of reports."""

    def __init__(self, reports: Snapshots) -> None:
        self._reports = reports

    async def paid(self, query: PaidQuery) -> tuple[PaidRender, ...]:
        """A page by (usage_at, attempt id)."""

        def read(connection: Connection) -> tuple[PaidRender, ...]:
            return tuple(PaidRender(*row) for row in connection.execute(_page(query)))

        return await self._reports.read(read)

    async def priced_with(self, since: int) -> tuple[PricedWith, ...]:
        """Grouped over the holds that were booked since then."""

        def read(connection: Connection) -> tuple[PricedWith, ...]:
            c = transfers.c
            route = (c.model, c.provider, c.route, c.price_version)
            asked = (
                select(*route, func.max(c.usage_at), func.count())
                .where(c.booked_at >= since, c.kind == TransferKind.HOLD.value)
                .group_by(*route)
                .order_by(*route)
            )
            return tuple(
                PricedWith(model, provider, name, price.rpartition("@")[2], used_at, count)
                for model, provider, name, price, used_at, count in connection.execute(asked)
            )

        return await self._reports.read(read)


def _page(query: PaidQuery) -> Select[Any]:
    a, r = attempts.c, renders.c
    asked = (
        select(
            a.id,
            a.usage_at,
            a.project,
            r.model,
            a.provider,
            a.route,
            r.operation,
            a.price,
            a.settled_nanos,
            r.content,
        )
        .join_from(attempts, renders, r.id == a.render_id)
        .where(
            a.provider == query.provider,
            a.usage_at >= (query.used_from if query.after is None else max(query.used_from, query.after[0])),
            a.usage_at < query.used_before,
            a.state == AttemptState.SUCCEEDED.value,
            a.settled_nanos.is_not(None),
        )
    )
    for column, values in (
        (a.project, query.projects),
        (r.model, query.models),
        (a.route, query.routes),
        (r.operation, query.operations),
    ):
        if values:
            asked = asked.where(column.in_(values))
    if query.after is not None:
        asked = asked.where(tuple_(a.usage_at, a.id) > tuple_(*(literal(one) for one in query.after)))
    return asked.order_by(a.usage_at, a.id).limit(query.limit)
