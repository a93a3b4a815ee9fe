"""One seed: several replicas, callers and mishaps for some minutes, then quiet until everything has ended, then the account."""

from __future__ import annotations

import asyncio
import gc
import random
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry

from service.catalog.loader import load_catalog
from service.core.prepare import Preparer
from service.core.pricing import Catalogs
from service.domain import commands as c
from service.domain.catalog import Catalog
from service.domain.limits import dispatch_post_seconds_max, unknown_grace_seconds
from service.domain.records import Period
from service.metrics import Metrics
from tests.simulation.callers import Callers
from tests.simulation.closing import account, overlooked
from tests.simulation.cloud import Asked, Cloud, facts
from tests.simulation.database import Database
from tests.simulation.doors import WorldClock, micros
from tests.simulation.loop import Life, Process, Stuck, VirtualLoop
from tests.simulation.mishaps import Mishaps
from tests.simulation.notices import Notices
from tests.simulation.operators import Operators
from tests.simulation.replica import Replica, Surroundings
from tests.simulation.report import Report
from tests.simulation.rules import Rules
from tests.simulation.tables import Change
from tests.simulation.trace import Trace
from tests.simulation.twists import Twists
from tests.support.clock import FakeClock, SeededDice

JOBS_PER_SEED = 20
_LOAD_SECONDS = 150.0
_QUIET_SECONDS_MAX = 2 * 3_600.0
"""What a provider never hands out is asked for an hour; nothing else takes longer."""
_AFTER_SECONDS = (120.0,) * 7 + (4 * 3_600.0,)
"""How long a run goes on once everything has ended: late evidence comes late."""
_LOOK_SECONDS = 5.0


@cache
def _catalog() -> Catalog:
    return load_catalog(sandbox=True)


@cache
def _preparer() -> Preparer:
    return Preparer(Catalogs(_catalog(), FakeClock()))


@cache
def _metrics() -> Metrics:
    return Metrics(CollectorRegistry())


class Simulation:
    """One run. What it finds is in its report; nothing outside is touched."""

    def __init__(
        self, seed: int, twists: Twists | None = None, *, jobs: int = JOBS_PER_SEED, **weather: Any
    ) -> None:
        self.report = Report(seed)
        self._seed = seed
        self._jobs = jobs
        self._loop = VirtualLoop()
        self._loop.set_exception_handler(self._failed)
        self._chance = random.Random(f"run {seed}")
        self._mishaps = Mishaps(seed, self._loop.time, **weather)
        self._mishaps.on_kill = self._kill
        self._mishaps.on_stop = self._stop
        self._trace = Trace(self._loop.time)
        twists = twists or Twists()
        self._database = Database(WorldClock(self._loop), self._trace, self)
        self._database.carry_out = twists.decide(self._database.carry_out)  # type: ignore[method-assign]  # a planted fault
        self._rules = Rules(self._database.tables)
        self._clouds = {
            name: Cloud(name, self._loop, self._mishaps, self._trace) for name in ("fal", "replicate")
        }
        for cloud in self._clouds.values():
            cloud.on_accepted = self._accepted
        self._around = Surroundings(
            loop=self._loop, mishaps=self._mishaps, trace=self._trace, database=self._database,
            clouds=self._clouds, catalog=_catalog(), preparer=_preparer(), metrics=_metrics(), twists=twists,
            broken=self.broken,
        )  # fmt: skip
        notices = Notices(self._loop, self._mishaps, self._pick, self.broken)
        for cloud in self._clouds.values():
            cloud.on_ended = notices.ended
        self._replicas: list[Replica] = []
        self._born = 0
        self._callers = Callers(seed, self._loop, self._trace, self._pick)
        self._stop_early: asyncio.Future[None] = self._loop.create_future()
        self._keys: set[str] = set()
        self._closed = False
        self._rested_from = 0.0
        self._people: asyncio.Task[None] | None = None
        self._operators = Operators(
            seed, self._loop, self._trace, self._database.tables, self._clouds, self._pick, self._restart
        )

    def run(self) -> Report:
        """Live through it."""
        enabled = gc.isenabled()
        gc.disable()  # what is collected when must not decide anything
        try:
            try:
                self._loop.run_until_complete(self._main())
            except Stuck as error:
                self.broken(str(error))
            self._close()
        finally:
            self._loop.unwind()
            if enabled:
                gc.enable()
        return self.report

    # -- what is noticed on the way

    def committed(self, who: str, command: c.Command, outcome: Any, change: Change) -> None:
        """A command was carried out: the rules look at it."""
        self.report.commits += 1
        for sentence, key in self._rules.look(who, command, change):
            self.broken(f"{sentence} ({type(command).__name__} of {who})", key)
        for event in change.lines.get("events", ()):
            self.report.seen[event.kind] = self.report.seen.get(event.kind, 0) + 1
            if event.kind == "OVERDUE":
                self.broken("a render had to be ended because nobody went on with it", event.render_id)

    def broken(self, text: str, *keys: str) -> None:
        """Something is not as it should be: the run ends here."""
        if self._closed:
            return  # tasks that are ended one by one at the very end may say what they like
        self.report.broken_invariants += 1
        self._find(text, *keys)
        if not self._stop_early.done():
            self._stop_early.set_result(None)

    def _find(self, text: str, *keys: str) -> None:
        self.report.findings.append(
            f"{self._loop.time():.3f} s: {text} [{' '.join(key for key in keys if key)}]"
        )
        if not self._keys:
            self._keys = {key for key in keys if key}

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self._closed:
            self.broken(f"{context.get('message')}: {context.get('exception')!r}")

    def _accepted(self, name: str, asked: Asked) -> None:
        """A provider took a request in: is another one of the same render there, that is or will be paid?"""
        self.report.posts += 1
        attempt = next(
            (one for one in self._database.tables.attempts.values() if one.token == asked.token), None
        )
        if attempt is None:
            self.broken(f"{name} was sent a request without an attempt", asked.token)
            return
        last = (attempt.send_before or 0) + int(
            (dispatch_post_seconds_max + unknown_grace_seconds) * 1_000_000
        )
        if micros(asked.received_at) > last:
            self.broken(f"{asked.provider_id} was sent when nobody expected it any more", attempt.id)
        mates = {one.token for one in self._database.tables.kept.attempts_of(attempt.render_id)}
        misled = any(
            one.id in self._operators.misled
            for one in self._database.tables.kept.attempts_of(attempt.render_id)
        )
        for cloud in self._clouds.values():
            for other in cloud.requests.values():
                if other is not asked and other.token in mates and other.bill_nanos > 0 and not misled:
                    self.report.paid_twice += 1
                    self._find(f"sent twice: {facts(other)}; {facts(asked)}", attempt.render_id, attempt.id)

    # -- replicas

    def _bear(self) -> Replica:
        self._born += 1
        replica = Replica(f"replica-{self._born}", self._seed * 1_000 + self._born, self._around)
        self._replicas.append(replica)
        self._trace.note(replica.name, "born")
        replica.start()
        return replica

    def _pick(self) -> Replica | None:
        able = [one for one in self._replicas if one.answers]
        return self._chance.choice(able) if able else None

    def _of(self, process: Process) -> Replica:
        return next(one for one in self._replicas if one.process is process)

    def _kill(self, process: Process, call: str) -> None:
        self.report.kills += 1
        self._trace.note(process.name, "killed", call)
        self._bury(self._of(process))
        if not self._mishaps.quiet:
            self._loop.call_later(
                self._chance.choice((0.5, 3.0, 20.0, 40.0)), self._bear_again, context=self._loop.world
            )

    def _power_cut(self) -> None:
        """All of them at once; what was on its way to the wire may be there or not."""
        if not self._mishaps.quiet:
            for replica in list(self._replicas):
                self._kill(replica.process, "power cut")

    def _bury(self, replica: Replica) -> None:
        replica.process.kill()
        replica.died()
        self._replicas.remove(replica)

    def _bear_again(self) -> None:
        if not self._mishaps.quiet or not self._replicas:
            self._bear()

    def _restart(self, replica: Replica) -> None:
        """As a rolling restart does: it leaves, and another one comes."""
        if not replica.ready:
            return
        replica.ready = False
        self._trace.note(replica.name, "asked to leave")

        def left(_task: asyncio.Task[None]) -> None:
            if replica in self._replicas:
                self._trace.note(replica.name, "left")
                self._bury(replica)

        leaving = self._loop.spawn(replica.process, replica.leave(), f"{replica.name} leaves")
        leaving.add_done_callback(left, context=self._loop.world)
        self._loop.call_later(self._chance.uniform(0.0, 10.0), self._bear_again, context=self._loop.world)

    def _stop(self, process: Process, call: str, seconds: float) -> None:
        self.report.stops += 1
        self._trace.note(process.name, "stopped", call, seconds)
        process.stop()
        self._loop.call_later(seconds, self._resume, process, context=self._loop.world)

    def _resume(self, process: Process) -> None:
        if process.life is Life.STOPPED:
            self._trace.note(process.name, "resumed")
            process.resume(self._loop)

    # -- the run

    async def _main(self) -> None:
        chance = self._chance
        count = chance.choice((1, 2, 3, 3))
        self._budgets()
        self._mishaps.plan_outages(_LOAD_SECONDS)
        for _ in range(count):
            self._bear()
        for _ in range(self._mishaps.weather.power_cuts):
            self._loop.call_later(self._chance.uniform(0.0, _LOAD_SECONDS), self._power_cut)
        load = self._loop.create_task(self._callers.load(self._jobs, _LOAD_SECONDS), name="load")
        if self._mishaps.weather.operator:
            self._people = self._loop.create_task(
                self._operators.work(4.0 / self._mishaps.weather.operator), name="people"
            )
        await asyncio.wait([load, self._stop_early], return_when=asyncio.FIRST_COMPLETED)
        if load.done() and not self._stop_early.done():
            for error in load.result():
                self.broken(f"a caller was told what nobody should be told: {error!r}")
            await self._rest(chance.uniform(0.0, 90.0))
        await self._quiet()

    async def _rest(self, seconds: float) -> None:
        await asyncio.wait([self._stop_early], timeout=seconds)

    async def _quiet(self) -> None:
        """Nothing bad happens any more; one replica is left, and has all the time it needs."""
        self._mishaps.quiet = True
        if self._people is not None:
            self._people.cancel()
        self._trace.note("run", "quiet")
        able = [one for one in self._replicas if one.answers]
        for replica in [one for one in self._replicas if one not in able[:1]]:
            self._bury(replica)
        if not self._replicas:
            self._bear()
        self._resume(self._replicas[0].process)
        until = self._loop.time() + _QUIET_SECONDS_MAX
        while self._loop.time() < until and not self._stop_early.done():
            if self._is_over():
                self._rested_from = self._loop.time()
                await self._rest(self._chance.choice(_AFTER_SECONDS))
                return
            await self._rest(_LOOK_SECONDS)

    def _is_over(self) -> bool:
        tables = self._database.tables
        return all(one.finished_at is not None for one in tables.renders.values()) and all(
            one.is_final for one in tables.jobs.values()
        )

    def _budgets(self) -> None:
        dice = SeededDice(self._seed, WorldClock(self._loop))  # type: ignore[arg-type]  # any clock will do
        for project, key, value, limit, hard in (
            ("growth", "", "", self._chance.choice((60_000_000, 200_000_000, 10**12)), True),
            ("growth", "team", "ads", self._chance.choice((40_000_000, 10**12)), True),
            ("press", "", "", 50_000_000, False),
        ):
            self._database.carry_out(
                "run",
                c.SetBudget(
                    budget_id=dice.new_id(), change_id=dice.new_id(), project=project, label_key=key,
                    label_value=value, period=Period.DAY, limit_nanos=limit, hard=hard, alert_percents=(), by="run",
                ),
            )  # fmt: skip

    def _close(self) -> None:
        report = self.report
        tables = self._database.tables
        report.jobs = len(tables.jobs)
        report.seconds_lived = self._loop.time()
        report.digest = self._trace.digest
        if not report.broken_invariants:
            found = account(
                tables, self._clouds, self._callers, self._around.bucket.stored, self._operators.misled
            )
            report.lost, report.paid_twice = found.lost, max(report.paid_twice, found.paid_twice)
            report.unexplained_nanos, report.unconfirmed_nanos = (
                found.unexplained_nanos,
                found.unconfirmed_nanos,
            )
            if self._loop.time() - self._rested_from > 2 * 3_600 and self._rested_from:
                lists_work = not self._mishaps.weather.list_dead
                found.findings += overlooked(tables, self._clouds, lists_work, self._rested_from)
            named = report.lost or report.paid_twice or report.unexplained_nanos
            report.broken_invariants += len(found.findings) if found.findings and not named else 0
            for sentence, key in found.findings:
                self._find(sentence, key)
        self._closed = True
        if report.findings:
            report.lines = self._trace.about(self._widened(self._keys))

    def _widened(self, keys: set[str]) -> set[str]:
        """The render with its jobs, attempts, tokens and requests at the providers."""
        tables = self._database.tables
        found = set(keys)
        for attempt in tables.attempts.values():
            if attempt.id in keys or attempt.render_id in keys or attempt.token in keys:
                found |= {attempt.render_id}
        for job in tables.jobs.values():
            if job.id in keys:
                found |= {job.render_id}
        for attempt in tables.attempts.values():
            if attempt.render_id in found:
                found |= {attempt.id, attempt.token}
        for job in tables.jobs.values():
            if job.render_id in found:
                found |= {job.id}
        for cloud in self._clouds.values():
            found |= {one.provider_id for one in cloud.requests.values() if one.token in found}
        return found


def simulate(seed: int, twists: Twists | None = None, *, jobs: int = JOBS_PER_SEED, **weather: Any) -> Report:
    """Run one seed. `weather` changes what the seed brings, by the names of `Weather`."""
    return Simulation(seed, twists, jobs=jobs, **weather).run()
