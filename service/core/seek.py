"""An attempt that was perhaps accepted: found again by its webhook or in the provider's list, proven absent, or given up.

Nothing is ever sent again on a guess. Evidence that comes by itself (the sender's own late word, a webhook) is in the row; the
list is asked beside it, from early on and ever more rarely. Absence counts only where the provider's rule says that it can.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from service.core.context import RunContext
from service.core.doubles import doubled
from service.core.errand import Errand
from service.core.matching import Sighting, look
from service.core.steady import Steady
from service.domain.absence import AbsenceRule, absent_from, doubted_from, search_until
from service.domain.catalog import Route
from service.domain.commands import (
    BindProviderId,
    Bound,
    MarkUnknown,
    ResolveAbsent,
    ResolveUnconfirmed,
    RunOutcome,
)
from service.domain.errors import Overloaded, Reason, StoreUnavailable
from service.domain.failure import Failure, Fault, ProviderDenied, ProviderUnavailable, RetryAdvice
from service.domain.limits import (
    MICROS_PER_SECOND,
    cancel_settle_seconds,
    search_seconds_max,
    search_seconds_min,
    searches_running_max,
)
from service.domain.records import Attempt, AttemptState
from service.domain.render import RENDER_FINAL
from service.ports import HintSubscription

_OPEN = frozenset({AttemptState.DISPATCHING, AttemptState.UNKNOWN})
_PAUSE_GROWTH = 1.5
_MICROS = MICROS_PER_SECOND
_NEVER = 2**62
_CLOCKS_MICROS = 2 * MICROS_PER_SECOND
"""How far our clock may be ahead of the database's, which judges: a judgement that comes too early is refused."""

NEVER_ARRIVED = Failure(
    Reason.DISPATCH_UNCONFIRMED,
    "the request never reached the provider; nothing was drawn or billed",
    Fault.PROVIDER,
    RetryAdvice.FREE,
)


@dataclass(slots=True)
class _Quest:
    """What the seeker remembers between two looks. Times in microseconds."""

    rule: AbsenceRule | None
    doubted_at: int
    absent_at: int
    absent_until: int
    """Absence counts from the one to the other."""
    until: int
    look_at: int
    not_before: int = 0
    """The provider wants to be left alone until then."""
    pause_seconds: float = search_seconds_min
    absent_count: int = 0
    absent_seen_at: int | None = None

    def shorten(self, cancelled_at: int | None) -> None:
        """Once nobody waits for it, its settlement is not kept open for longer; what is found later corrects it."""
        if cancelled_at is not None:
            self.until = max(
                self.doubted_at, min(self.until, cancelled_at + int(cancel_settle_seconds * _MICROS))
            )


class Seeker:
    """Stays with an attempt until its row says what became of it."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._store = Steady(context.store, context.clock, context.dice, context.log)
        self._searches = {name: asyncio.Semaphore(searches_running_max) for name in context.records}

    async def seek(self, errand: Errand, attempt: Attempt, route: Route) -> Attempt | None:
        """The attempt as its row tells it, once it tells; None when the render ended or is not ours any more."""
        subscription = self._context.hints.subscribe(errand.render.id)
        try:
            known, cancelled_at = await self._row(errand, attempt)
            quest = self._quest(known or attempt, route)
            while known is not None and known.state in _OPEN:
                now = self._context.clock.now()
                quest.shorten(cancelled_at)
                if known.state is AttemptState.DISPATCHING and now >= quest.doubted_at:
                    if not await self._mark(errand, known):
                        return None
                elif now >= quest.until:
                    await self._store.execute(ResolveUnconfirmed(*errand.fence(known)))
                    last, _ = await self._row(errand, known)
                    return None if last is None or last.state in _OPEN else last
                elif now >= quest.look_at:
                    if await self._has_turn(known, quest, subscription):
                        await self._look(errand, known, quest)
                else:
                    await subscription.wait(self._pause(known, quest, now))
                known, cancelled_at = await self._row(errand, known)
            return known
        finally:
            subscription.close()

    def _quest(self, attempt: Attempt, route: Route) -> _Quest:
        records = self._context.records.get(attempt.provider) if attempt.input_digest else None
        sent_before = attempt.send_before or 0
        doubted = doubted_from(sent_before) + _CLOCKS_MICROS
        now = self._context.clock.now()
        if records is None:
            # Nothing can be looked for: what comes by itself until then is all that will be known.
            return _Quest(None, doubted, doubted, doubted, until=doubted, look_at=doubted)
        rule = records.absence
        limits = (sent_before, route.start_timeout_seconds, route.run_seconds_max)
        until = search_until(rule, *limits)
        return _Quest(
            rule,
            doubted,
            absent_at=absent_from(rule, *limits),
            absent_until=_NEVER if rule.within_seconds is None else until,
            # Whoever takes over late still looks, whatever the time: what arrived is there to be found.
            until=max(
                until, now + int(2 * (search_seconds_max + rule.scans * rule.scan_gap_seconds) * _MICROS)
            ),
            look_at=now + int(search_seconds_min * _MICROS),
        )

    @staticmethod
    def _pause(attempt: Attempt, quest: _Quest, now: int) -> float:
        """Until the next thing is due, by the clock."""
        due = min(quest.look_at, quest.until)
        if attempt.state is AttemptState.DISPATCHING:
            due = min(due, quest.doubted_at)
        return max(0, due - now) / _MICROS

    async def _row(self, errand: Errand, attempt: Attempt) -> tuple[Attempt | None, int | None]:
        """The attempt as it is committed, None when there is nothing left to do for it here; and since when nobody wants it."""
        view = await self._store.until_answered(lambda: self._context.jobs.view(attempt.payer_job))
        if view is None or view.render is None or view.render.state in RENDER_FINAL:
            return None, None
        if (view.render.owner, view.render.fence) != (errand.render.owner, errand.render.fence):
            return None, None
        found = next((one for one in view.attempts if one.id == attempt.id), None)
        return found, view.render.cancel_requested_at

    async def _mark(self, errand: Errand, attempt: Attempt) -> bool:
        command = MarkUnknown(*errand.fence(attempt), cause="its sender gave no word")
        return await self._store.execute(command) is not RunOutcome.LOST

    async def _has_turn(self, attempt: Attempt, quest: _Quest, subscription: HintSubscription) -> bool:
        """Wait until a reading may begin. False when a hint came first, or time has passed: then the row is read again, since
        others may read for minutes and a webhook says at once what is looked for.
        """
        clock = self._context.clock
        due = quest.doubted_at if attempt.state is AttemptState.DISPATCHING else quest.until
        due = min(due, clock.now() + int(search_seconds_max * _MICROS))
        while self._searches[attempt.provider].locked():
            left = (due - clock.now()) / _MICROS
            pause = min(left, search_seconds_min * self._context.dice.jitter())
            if left <= 0 or await subscription.wait(pause):
                return False
        return True

    async def _look(self, errand: Errand, attempt: Attempt, quest: _Quest) -> None:
        """One search of the provider's list, and what follows from it."""
        begun = self._context.clock.now()
        sighting = await self._sight(errand, attempt, quest)
        if sighting is not None and sighting.provider_ids:
            await self._bind(attempt, sighting.provider_ids)
        elif sighting is not None and self._proves_absence(quest, sighting, begun):
            await self._resolve_absent(errand, attempt, quest)
        quest.look_at = self._next_look(quest)

    def _next_look(self, quest: _Quest) -> int:
        """Ever more rarely; but at the first moment that counts, and then as far apart as readings have to be that count."""
        now = self._context.clock.now()
        if quest.rule is not None and now >= quest.absent_at:
            gap = int(quest.rule.scan_gap_seconds * _MICROS)
            return max((quest.absent_seen_at or now) + gap, quest.not_before, now + _MICROS)
        planned = now + int(quest.pause_seconds * self._context.dice.jitter() * _MICROS)
        quest.pause_seconds = min(search_seconds_max, quest.pause_seconds * _PAUSE_GROWTH)
        return max(min(planned, quest.absent_at), quest.not_before)

    async def _sight(self, errand: Errand, attempt: Attempt, quest: _Quest) -> Sighting | None:
        """None when there was no answer."""
        records = self._context.records[attempt.provider]
        try:
            async with self._searches[attempt.provider]:
                return await look(records, self._context.work, errand.render, attempt)
        except ProviderUnavailable as error:
            seconds = min(error.retry_after_seconds or 0.0, search_seconds_max)
            quest.not_before = self._context.clock.now() + int(seconds * _MICROS)
            self._context.log.warning("search_unanswered", attempt=attempt.id, error=repr(error))
        except (ProviderDenied, StoreUnavailable, Overloaded) as error:
            self._context.log.warning("search_unanswered", attempt=attempt.id, error=repr(error))
        return None

    def _proves_absence(self, quest: _Quest, sighting: Sighting, begun: int) -> bool:
        """Whether this was the last scan that was missing. A match in between starts the count anew."""
        rule = quest.rule
        if rule is None or not sighting.absent:
            quest.absent_count = 0
            return False
        if begun < quest.absent_at:
            return False
        quest.absent_count += 1
        quest.absent_seen_at = begun
        return quest.absent_count >= rule.scans and begun < quest.absent_until

    async def _bind(self, attempt: Attempt, provider_ids: tuple[str, ...]) -> None:
        first, *aliases = provider_ids
        self._context.log.info("dispatch_found", attempt=attempt.id, request=first)
        bound: Bound = await self._store.execute(
            BindProviderId(attempt.id, attempt.provider, first, aliases=tuple(aliases), source="SEARCH")
        )
        if bound.newest.id != bound.attempt.id:
            await doubled(self._context, bound)

    async def _resolve_absent(self, errand: Errand, attempt: Attempt, quest: _Quest) -> None:
        if attempt.state is AttemptState.DISPATCHING and not await self._mark(errand, attempt):
            return
        memo = f"{quest.absent_count} whole readings of the provider's list without it"
        self._context.log.info("dispatch_absent", attempt=attempt.id)
        await self._store.execute(ResolveAbsent(*errand.fence(attempt), failure=NEVER_ARRIVED, memo=memo))
