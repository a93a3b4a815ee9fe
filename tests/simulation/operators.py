"""People at work: they decide doubts by hand, turn switches, change budgets and restart replicas; now and then they are wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

from service.core.oversee import Resolution
from service.domain import commands as c
from service.domain.errors import LightmeterError
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.records import Attempt, AttemptState, Period
from tests.simulation.callers import PROJECTS, Gone
from tests.simulation.cloud import Asked, Cloud
from tests.simulation.doors import micros
from tests.simulation.loop import VirtualLoop
from tests.simulation.tables import KeptTables
from tests.simulation.trace import Trace
from tests.support.clock import SeededDice

_SECONDS_MAX = 15.0
_WRONG = 0.15
"""How often somebody says something about an attempt that is not so."""


class Operators:
    """Whoever is on duty. `misled` are the attempts about which they were wrong: what those cost is on them."""

    def __init__(
        self,
        seed: int,
        loop: VirtualLoop,
        trace: Trace,
        tables: KeptTables,
        clouds: Mapping[str, Cloud],
        pick: Callable[[], Any],
        restart: Callable[[Any], None],
    ) -> None:
        self._random = random.Random(f"operators {seed}")
        self._dice = SeededDice(seed)
        self._loop = loop
        self._trace = trace
        self._tables = tables
        self._clouds = clouds
        self._pick = pick
        self._restart = restart
        self.misled: set[str] = set()

    async def work(self, pause_seconds: float) -> None:
        """Do something now and then, for ever."""
        while True:
            await asyncio.sleep(self._random.uniform(0.2, 1.8) * pause_seconds)
            replica = self._pick()
            if replica is None:
                continue
            match self._random.randrange(6):
                case 0 | 1 | 2:
                    await self._resolve(replica)
                case 3:
                    await self._switch(replica)
                case 4:
                    await self._budget(replica)
                case _:
                    self._restart(replica)

    async def _try(self, asked: asyncio.Future[Any], what: str, key: str) -> None:
        try:
            await asked
        except (Gone, LightmeterError) as error:
            self._trace.note("operator", what + " in vain", key, type(error).__name__)
        else:
            self._trace.note("operator", what, key)

    # -- doubts

    async def _resolve(self, replica: Any) -> None:
        doubted = (AttemptState.UNKNOWN, AttemptState.DISPATCHING)
        open_ones = [one for one in self._tables.attempts.values() if one.state in doubted]
        if not open_ones:
            return
        attempt = self._random.choice(open_ones)
        asked = self._asked(attempt)
        resolution = self._true(attempt, asked)
        if self._random.random() < _WRONG:
            resolution = self._wrong(attempt)
            self.misled.add(attempt.id)
        work = replica.oversight.resolve
        await self._try(
            replica.ask(lambda: work(resolution, by="operator"), _SECONDS_MAX), "resolved", attempt.id
        )

    def _asked(self, attempt: Attempt) -> Asked | None:
        requests = self._clouds[attempt.provider].requests.values()
        return next((one for one in requests if one.token == attempt.token), None)

    def _true(self, attempt: Attempt, asked: Asked | None) -> Resolution:
        if asked is None:
            # As far as anybody can see; a POST that is still under way nobody sees.
            return Resolution(attempt.id, "it is not there", not_accepted=True)
        if asked.ends_at < self._loop.time() and self._random.random() < 0.3:
            return Resolution(attempt.id, "by the bill", amount_nanos=asked.bill_nanos)
        return Resolution(attempt.id, "it is there", adopt_provider_id=asked.provider_id)

    def _wrong(self, attempt: Attempt) -> Resolution:
        if self._random.random() < 0.5:
            return Resolution(attempt.id, "so it seems", not_accepted=True)
        return Resolution(attempt.id, "so it seems", amount_nanos=12_345_678)

    # -- switches, budgets

    async def _switch(self, replica: Any) -> None:
        chance = self._random
        scope, target = chance.choice(
            (
                (SwitchScope.PROVIDER, "fal"),
                (SwitchScope.PROVIDER, "replicate"),
                (SwitchScope.ROUTE, "fal/test-ok"),
                (SwitchScope.PROJECT, PROJECTS[0]),
                (SwitchScope.DISPATCH, ""),
            )
        )
        state = chance.choice((SwitchState.DRAIN, SwitchState.OFF, SwitchState.OFF, SwitchState.ON))
        expires = micros(self._loop.time() + chance.uniform(3.0, 120.0))
        work = replica.oversight.set_switch
        asked = replica.ask(
            lambda: work(scope, target, state, expires, reason="a try", by="operator"), _SECONDS_MAX
        )
        await self._try(asked, "switched", f"{scope.value} {target} {state.value}")

    async def _budget(self, replica: Any) -> None:
        command = c.SetBudget(
            budget_id=self._dice.new_id(), change_id=self._dice.new_id(), project=self._random.choice(PROJECTS),
            label_key="", label_value="", period=Period.DAY,
            limit_nanos=self._random.choice((30_000_000, 100_000_000, 10**12)), hard=self._random.random() < 0.7,
            alert_percents=(), by="operator",
        )  # fmt: skip
        await self._try(
            replica.ask(lambda: replica.store.execute(command), _SECONDS_MAX), "set a budget", command.project
        )
