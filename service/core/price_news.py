"""The duty that tells of prices which changed or will, with what they do to a month like the last one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

from service.core.housekeeping import Repeater
from service.core.pricing import Catalogs, iso_day
from service.domain.catalog import Catalog
from service.domain.commands import TellPrice
from service.domain.limits import (
    MICROS_PER_SECOND,
    price_news_days_count,
    price_news_events_max,
    price_news_look_seconds,
    price_news_renders_max,
    whatif_page_rows,
)
from service.domain.price_news import Effect, PriceMove, moves
from service.domain.queries import AuditQuery, PaidQuery
from service.ports import Clock, Log, OperatorReader, PaidReader, Store

_ACTOR = "service"


class PriceNews:
    """The use case. Each news is in the audit once, whichever replica looks, and however often."""

    def __init__(
        self,
        *,
        store: Store,
        paid: PaidReader,
        oversight: OperatorReader,
        catalogs: Catalogs,
        clock: Clock,
        log: Log,
        renders_max: int = price_news_renders_max,
    ) -> None:
        self._store = store
        self._paid = paid
        self._oversight = oversight
        self._catalogs = catalogs
        self._clock = clock
        self._log = log
        self._renders_max = renders_max
        self._looked: tuple[Catalog, str] | None = None

    async def look(self) -> int:
        """Tell what is news. Answers how many; 0 without a look where the catalog and the day are those of the last one."""
        now = self._clock.now()
        catalog, day = self._catalogs.today(), iso_day(now)
        if self._looked is not None and self._looked[0] is catalog and self._looked[1] == day:
            return 0
        since = now - price_news_days_count * 24 * 3_600 * MICROS_PER_SECOND
        told_count = 0
        for move in moves(catalog, day, await self._paid.priced_with(since)):
            told_count += await self._tell(move, since, now)
        self._looked = (catalog, day)
        return told_count

    async def _tell(self, move: PriceMove, since: int, now: int) -> bool:
        known = await self._oversight.audit(
            AuditQuery(limit=price_news_events_max, action=move.action, target=move.target)
        )
        if any(one.id == move.event_id for one in known.events):
            return False
        effect, complete = await self._effect(move, since, now)
        if not move.announced and effect.renders and not effect.differs:
            # Another source or date, and the same money.
            return False
        details = effect.details(complete=complete)
        news: bool = await self._store.execute(
            TellPrice(
                event_id=move.event_id,
                action=move.action,
                target=move.target,
                reason=move.summary,
                details=json.dumps(details),
                by=_ACTOR,
            )
        )
        if news:
            event = "price_announced" if move.announced else "price_changed"
            self._log.warning(event, route=move.target, **details)
        return news

    async def _effect(self, move: PriceMove, since: int, now: int) -> tuple[Effect, bool]:
        """What it does to the last month's renders of its route, and whether these are all."""
        effect = Effect(move)
        query = PaidQuery(
            provider=move.route.provider,
            used_from=since,
            used_before=now + 1,
            limit=whatif_page_rows,
            models=(move.model,),
            routes=(move.route.name,),
        )
        while effect.renders < self._renders_max:
            page = await self._paid.paid(query)
            await asyncio.to_thread(effect.add, page)
            if len(page) < query.limit:
                return effect, True
            query = replace(query, after=(page[-1].usage_at, page[-1].attempt_id))
        return effect, False


def price_news(news: PriceNews, leads: Callable[[], bool], clock: Clock, log: Log) -> Repeater:
    """The duty. `leads` says whether this replica does what only one of them needs to do."""

    async def look() -> None:
        if leads():
            await news.look()

    return Repeater("price news", price_news_look_seconds, look, clock, log)
