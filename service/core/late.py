"""What comes after the end: attempts whose render went on or ended without them, and which the provider may have done after all.

Their money is booked to the true amount, their pictures are kept and enter the cache; final jobs stay as they are. Webhooks bring
them at once, and a slow look at the rows finds the others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Final

from service.core.context import RunContext
from service.core.housekeeping import Repeater
from service.core.keep import Keeper
from service.core.matching import look
from service.core.steady import Steady
from service.core.told import record, recorded
from service.domain.catalog import Route
from service.domain.commands import BindProviderId, Bound, LateResult, PutAgain
from service.domain.errors import LightmeterError
from service.domain.exchange import Result, Stage
from service.domain.failure import DoorError, Failure
from service.domain.fingerprint import drawing_from_canonical
from service.domain.limits import (
    MICROS_PER_SECOND,
    late_count_max,
    poll_seconds_max,
    poll_with_webhooks_seconds,
    result_margin_seconds,
)
from service.domain.records import Attempt, AttemptState, Grade, Render, RenderState
from service.domain.render import RENDER_FINAL
from service.domain.view import JobView

LOOK_SECONDS: Final = 60.0
_LOOK_SECONDS_MAX: Final = 3_600.0
_READ_COUNT_MAX: Final = 10 * late_count_max
"""So many are read, and of those that are due so many as may run are begun: none waits behind others that bring nothing."""
_REMEMBERED_COUNT_MAX: Final = 10_000
_GRACE_SECONDS: Final = 30.0
_PUT_AGAIN_MAX: Final = 3
_KEPT_MICROS: Final = 3_600 * MICROS_PER_SECOND
"""As long as every provider keeps a result of which it does not say how long."""
_MARGIN_MICROS: Final = int(result_margin_seconds * MICROS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class _Next:
    """When an attempt is worth the next look."""

    at: float
    pause_seconds: float


class LateResults:
    """Owns one task per attempt that is fetched aside, `late_count_max` at most. `stop` ends them; legal twice and before use."""

    def __init__(self, context: RunContext, *, running_max: int = late_count_max) -> None:
        self._context = context
        self._store = Steady(context.store, context.clock, context.dice, context.log)
        self._keeper = Keeper(context)
        self._running_max = running_max
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._next: OrderedDict[str, _Next] = OrderedDict()
        self._stopped = False

    @property
    def running_count(self) -> int:
        """How many are fetched now."""
        return len(self._tasks)

    def begin(self, attempt: Attempt) -> bool:
        """Fetch what this attempt came to; the provider is asked once or twice. False when it is fetched already, or there is
        no room: then a later look finds it.
        """
        return self._begin(attempt, patient=False)

    def follow_superseded(self, attempt: Attempt) -> bool:
        """The same for an attempt beside which a newer one runs: the provider is asked until its end, at most as long as the
        route may take.
        """
        return self._begin(attempt, patient=True)

    async def look(self) -> None:
        """Begin with the attempts that the rows show and whose time has come. Raises StoreUnavailable."""
        now = self._context.clock.monotonic()
        for view in await self._context.work.late(_READ_COUNT_MAX):
            for attempt in view.attempts:
                if len(self._tasks) >= self._running_max:
                    return
                if self._is_worth(view.render, attempt) and self._is_due(attempt, now):
                    self._begin(attempt, patient=False)

    async def stop(self) -> None:
        """End what still runs; the rows tell what is missing."""
        self._stopped = True
        while tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- which and when

    def _begin(self, attempt: Attempt, *, patient: bool) -> bool:
        if self._stopped or attempt.id in self._tasks or len(self._tasks) >= self._running_max:
            return False
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._supervise(attempt, patient=patient), name=f"late {attempt.id}")
        self._tasks[attempt.id] = task
        task.add_done_callback(partial(self._done, attempt.id))
        return True

    def _done(self, attempt_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(attempt_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._context.log.error("late_stopped", attempt=attempt_id, error=repr(error), exc_info=error)

    def _is_worth(self, render: Render | None, attempt: Attempt) -> bool:
        """The rule of `WorkReader.late`, for one of the attempts of a view."""
        if attempt.state is AttemptState.SUCCEEDED:
            expires = attempt.result_expires_at or (attempt.ended_at or 0) + _KEPT_MICROS
            kept = render is not None and render.state is RenderState.SUCCEEDED
            return not kept and self._context.clock.now() < expires - _MARGIN_MICROS
        unsettled = attempt.grade is Grade.UNCONFIRMED and attempt.result is None
        return unsettled or attempt.state is AttemptState.ACCEPTED

    def _is_due(self, attempt: Attempt, now: float) -> bool:
        known = self._next.get(attempt.id)
        return known is None or now >= known.at

    def _later(self, attempt_id: str) -> None:
        """It brought nothing: look again after twice as long."""
        known = self._next.pop(attempt_id, None)
        pause = LOOK_SECONDS if known is None else min(_LOOK_SECONDS_MAX, known.pause_seconds * 2)
        self._next[attempt_id] = _Next(self._context.clock.monotonic() + pause, pause)
        if len(self._next) > _REMEMBERED_COUNT_MAX:
            self._next.popitem(last=False)

    # -- one attempt

    async def _supervise(self, attempt: Attempt, *, patient: bool) -> None:
        self._later(attempt.id)
        try:
            await self._fetch(attempt, patient=patient)
        except (DoorError, LightmeterError) as error:
            self._context.log.info("late_not_yet", attempt=attempt.id, error=repr(error))

    async def _fetch(self, attempt: Attempt, *, patient: bool) -> None:
        context = self._context
        view = await self._view(attempt)
        known = next((one for one in view.attempts if one.id == attempt.id), None) if view else None
        if view is None or view.render is None or known is None:
            return
        model = context.catalog.models.get(view.render.model)
        route = model.route(known.provider, known.route) if model else None
        if route is None or known.provider not in context.providers:
            context.log.error("route_unknown", attempt=known.id, route=known.route)
            return
        if known.provider_id is None:
            known = await self._found(known, view.render)
            if known is None:
                return
        if known.state is AttemptState.SUCCEEDED:
            # Booked already: only its pictures are missing.
            await self._keep(known, route, recorded(known, context.clock.now()))
            return
        result = await self._ended(known, route, patient=patient)
        if result is None:
            return
        before = known.total_nanos
        known = await self._store.execute(record(known.id, route, result))
        after = known.total_nanos
        context.log.info(
            "late_end",
            attempt=known.id,
            outcome=result.ended.value,
            before_nanos=before,
            after_nanos=after,
        )
        if known.state is AttemptState.SUCCEEDED:
            await self._keep(known, route, result)

    async def _view(self, attempt: Attempt) -> JobView | None:
        return await self._store.until_answered(lambda: self._context.jobs.view(attempt.payer_job))

    async def _found(self, attempt: Attempt, render: Render) -> Attempt | None:
        """Look for it in the provider's own list; None when it is not to be found (yet)."""
        records = self._context.records.get(attempt.provider)
        if records is None:
            return None
        sighting = await look(records, self._context.work, render, attempt)
        if not sighting.provider_ids:
            return None
        first, *aliases = sighting.provider_ids
        bound: Bound = await self._store.execute(
            BindProviderId(attempt.id, attempt.provider, first, aliases=tuple(aliases), source="SEARCH")
        )
        return bound.attempt if bound.attempt.provider_id is not None else None

    async def _ended(self, attempt: Attempt, route: Route, *, patient: bool) -> Result | None:
        """The provider's last word; None when it has none yet. A patient one waits for it as long as the route may take."""
        clock = self._context.clock
        until = clock.monotonic() + route.start_timeout_seconds + route.run_seconds_max + _GRACE_SECONDS
        while True:
            try:
                result = await self._ask(attempt)
            except DoorError:
                if not patient:
                    raise
                result = None
            if result is not None or not patient or clock.monotonic() >= until:
                return result
            pause = poll_with_webhooks_seconds if self._context.webhooks_on else poll_seconds_max
            await clock.sleep(pause * self._context.dice.jitter())

    async def _ask(self, attempt: Attempt) -> Result | None:
        """One look, and the result when there is one."""
        provider, provider_id = self._context.providers[attempt.provider], attempt.provider_id or ""
        status = await provider.poll(attempt.endpoint, provider_id)
        return await provider.result(attempt.endpoint, provider_id) if status.stage is Stage.ENDED else None

    async def _keep(self, attempt: Attempt, route: Route, result: Result) -> None:
        """Store the pictures for the cache, unless the render has some or may still get its own."""
        view = await self._view(attempt)
        render = view.render if view else None
        if render is None or render.state is RenderState.SUCCEEDED or render.state not in RENDER_FINAL:
            return
        kept = await self._keeper.keep(drawing_from_canonical(render.content), attempt, route, result)
        if isinstance(kept, Failure):
            self._context.log.warning("late_not_kept", attempt=attempt.id, reason=kept.reason.value)
            return
        put_again: frozenset[str] = frozenset()
        for _ in range(_PUT_AGAIN_MAX):
            outcome = await self._store.execute(
                LateResult(
                    attempt.id,
                    assets=kept.assets,
                    keep=kept.cacheable,
                    notices=kept.notices,
                    put_again=put_again,
                )
            )
            if not isinstance(outcome, PutAgain):
                self._context.log.info("late_result", attempt=attempt.id, kept=bool(outcome))
                return
            if not await self._keeper.put_again(kept, outcome.sha256s):
                return
            put_again |= frozenset(outcome.sha256s)


def late_looks(late: LateResults, context: RunContext) -> Repeater:
    """The slow look at the rows."""
    return Repeater("late results", LOOK_SECONDS, late.look, context.clock, context.log)
