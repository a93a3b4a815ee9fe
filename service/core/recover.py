"""Renders that nobody works on: of a replica that died, or that this one lost sight of. They are taken over and gone on with.

A call can end between the commit that accepted its request and the start of its render; a process can end anywhere. The rows
are the truth: whatever is not final and runs nowhere is found here, and what nobody can go on with is ended.
"""

from __future__ import annotations

import json

from service.core.housekeeping import Repeater
from service.core.runner import Runner
from service.domain.catalog import Catalog
from service.domain.commands import EndOverdue, TakeOver
from service.domain.due import ends_at
from service.domain.limits import (
    end_overdue_count_max,
    overdue_look_seconds,
    renders_running_max,
    stray_look_seconds,
    take_over_count_max,
)
from service.domain.records import Attempt, AttemptState, Render
from service.metrics import Metrics
from service.ports import Clock, JobReader, Log, Store, WorkReader

_ROUNDS_MAX = 1 + renders_running_max // take_over_count_max


class Recovery:
    """Finds strays, decides which of them this replica may claim, and begins what it got."""

    def __init__(
        self,
        *,
        store: Store,
        jobs: JobReader,
        work: WorkReader,
        runner: Runner,
        catalog: Catalog,
        replica_id: str,
        clock: Clock,
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._work = work
        self._runner = runner
        self._catalog = catalog
        self._replica_id = replica_id
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._suspected: set[tuple[str, int]] = set()
        """Own renders that were idle at the look before."""
        self._foreign: set[str] = set()
        """Renders whose route is not in this catalog, and of which that was said."""

    def looks(self) -> Repeater:
        """Look for strays; those of a dead replica are taken within its lease and one look."""
        return Repeater("recovery", stray_look_seconds, self.look, self._clock, self._log)

    def ends(self) -> Repeater:
        """End what is beyond every limit."""
        return Repeater("overdue", overdue_look_seconds, self.end_overdue, self._clock, self._log)

    async def look(self) -> None:
        """Take over what can be gone on with, at most `take_over_count_max` at a time. Raises StoreUnavailable."""
        if not self._runner.has_room:
            return
        found = await self._work.strays(self._replica_id, renders_running_max + take_over_count_max)
        for render_id, fence in found:
            # It was lost while this replica stood still, and what runs of it here would keep it from being taken again.
            self._runner.let_go(render_id, fence)
        idle = [one for one in found if not self._runner.runs(one[0])]
        self._foreign &= {render_id for render_id, _ in idle}
        waiting: set[tuple[str, int]] = set()
        for index in range(min(_ROUNDS_MAX, 1 + len(idle) // take_over_count_max)):
            start = index * take_over_count_max
            some = idle[start : start + take_over_count_max]
            claimed = [stray for stray in some if await self._may_claim(stray, waiting)]
            if claimed and self._runner.has_room:
                await self._take(tuple(claimed))
        self._suspected = waiting

    async def _may_claim(self, stray: tuple[str, int], waiting: set[tuple[str, int]]) -> bool:
        found = await self._jobs.render(stray[0])
        if found is None:
            return False
        render, attempts = found
        if ends_at(render, attempts[-1]) <= self._clock.now():
            # Its time is over: taking it would only put off its end.
            return False
        if not self._knows(render, attempts):
            if render.id not in self._foreign:
                self._foreign.add(render.id)
                self._log.warning("route_unknown", render=render.id, model=render.model)
            return False
        if render.owner == self._replica_id and stray not in self._suspected:
            # It was accepted a moment ago, and its own call is about to begin it: only the second look counts.
            waiting.add(stray)
            return False
        return True

    def _knows(self, render: Render, attempts: tuple[Attempt, ...]) -> bool:
        """Whether this catalog has the route; for what was not sent yet, another one of the plan will do."""
        model = self._catalog.models.get(render.model)
        newest = attempts[-1]
        if model is None or model.route(newest.provider, newest.route) is not None:
            return model is not None
        tried = {(one.provider, one.route) for one in attempts}
        planned = {(one["provider"], one["route"]) for one in json.loads(render.plan)["routes"]}
        left = planned - tried if newest.state is AttemptState.HELD else ()
        return any(model.route(provider, route) is not None for provider, route in left)

    async def _take(self, strays: tuple[tuple[str, int], ...]) -> None:
        payers: tuple[str, ...] = await self._store.execute(TakeOver(strays, self._replica_id))
        for job_id in payers:
            view = await self._jobs.view(job_id)
            render = view.render if view is not None else None
            # Read after the commit: while this replica stood still another one may have taken it, and would be acted for.
            mine = render is not None and render.owner == self._replica_id and render.finished_at is None
            if view is not None and render is not None and mine:
                self._metrics.store.lease_takeovers.inc()
                self._log.info("render_taken_over", render=render.id)
                self._runner.begin(view)

    async def end_overdue(self) -> None:
        """End what nobody could go on with in all the time that its state may take. Raises StoreUnavailable."""
        for _ in range(_ROUNDS_MAX):
            found = await self._work.overdue(end_overdue_count_max)
            if not found:
                return
            ended: int = await self._store.execute(EndOverdue(found))
            if ended:
                self._log.warning("renders_overdue", ended_count=ended)
            if ended < end_overdue_count_max:
                return
