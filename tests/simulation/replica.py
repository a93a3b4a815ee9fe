"""One replica of the service on simulated doors: the composition root's work, without its doors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from service.core.cancel import Cancellations
from service.core.context import RunContext
from service.core.housekeeping import Repeater, deadlines, heartbeats, leave
from service.core.inputs import Inputs
from service.core.late import LateResults, late_looks
from service.core.lease import Lease
from service.core.logfeed import LogFeed
from service.core.oversee import Oversight
from service.core.prepare import Preparer
from service.core.recover import Recovery
from service.core.run import RenderRun
from service.core.runner import Runner
from service.core.submit import Submissions, SubmitRules
from service.core.switches import SwitchBoard
from service.core.watch import Watches
from service.core.webhooks import Took, Webhooks
from service.domain.catalog import Catalog
from service.domain.commands import Heartbeat
from service.domain.errors import LightmeterError
from service.metrics import Metrics
from service.providers.breaker import Breaker
from tests.simulation.callers import Gone
from tests.simulation.cloud import Cloud
from tests.simulation.database import Database, HintsDoor, ReadsDoor, StoreDoor
from tests.simulation.doors import (
    BlobsDoor,
    Bucket,
    DownloadsDoor,
    LogDoor,
    ProviderDoor,
    ReplicaClock,
    Signatures,
)
from tests.simulation.gate import Gate
from tests.simulation.loop import Life, Process, VirtualLoop
from tests.simulation.mishaps import Mishaps
from tests.simulation.trace import Trace
from tests.simulation.twists import Twists
from tests.support.clock import SeededDice
from tests.support.fake_provider import FakePictures

_DRAIN_SECONDS = 8.0


class Surroundings:
    """What all replicas of a run share."""

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        mishaps: Mishaps,
        trace: Trace,
        database: Database,
        clouds: Mapping[str, Cloud],
        catalog: Catalog,
        preparer: Preparer,
        metrics: Metrics,
        twists: Twists,
        broken: Callable[..., None],
    ) -> None:
        self.loop = loop
        self.mishaps = mishaps
        self.trace = trace
        self.database = database
        self.clouds = clouds
        self.catalog = catalog
        self.preparer = preparer
        self.metrics = metrics
        self.twists = twists
        self.broken = broken
        self.bucket = Bucket()


class Replica:
    """A process with everything that the service runs in one. `start` brings it up; whoever kills its process needs no more."""

    def __init__(self, name: str, seed: int, around: Surroundings) -> None:
        self.name = name
        self.ready = False
        self._around = around
        self._calls: dict[asyncio.Task[Any], asyncio.Future[Any]] = {}
        loop, mishaps, database = around.loop, around.mishaps, around.database
        self.process = Process(name)
        loop.processes.append(self.process)
        gate = Gate(loop, self.process, mishaps)
        self._gate = gate
        chance = mishaps.random
        clock = ReplicaClock(loop, chance.uniform(-0.5, 0.5), chance.uniform(10.0, 10_000.0), mishaps.pace)
        twists = around.twists
        store = twists.store(StoreDoor(gate, database, mishaps))
        reads: Any = ReadsDoor(gate, database, mishaps)
        self._hints = HintsDoor(loop, gate, database, mishaps)
        doors = {key: ProviderDoor(cloud, gate, loop, mishaps, clock) for key, cloud in around.clouds.items()}
        log = LogDoor(lambda event, *words: around.trace.note(name, event, *words), around.broken)
        feed, lease = LogFeed(), Lease(clock)
        self._board = SwitchBoard(reads, self._hints, clock, log)
        self._store, self._clock, self._log, self._lease = store, clock, log, lease
        self.context = RunContext(
            store=store, jobs=reads, work=reads,
            providers={key: Breaker(twists.provider(door), clock) for key, door in doors.items()},
            records=doors, catalog=around.catalog, blobs=BlobsDoor(around.bucket, gate, mishaps),
            pictures=FakePictures(), downloads=DownloadsDoor(around.clouds, gate, mishaps), hints=self._hints, feed=feed,
            clock=clock, dice=SeededDice(seed, clock), log=log,  # type: ignore[arg-type]  # any clock will do
            metrics=around.metrics, tag=len_tag, lease=lease, switches=self._board,
            superseded=self._superseded, webhooks_on=mishaps.weather.webhooks,
        )  # fmt: skip
        self.late = LateResults(self.context)
        run = RenderRun(self.context)
        self.runner = Runner(run.run, log, unstored=lambda: run.unstored_count)
        self.cancellations = Cancellations(store, self._hints)
        self.watches = Watches(reads, self._hints, feed, clock, around.metrics)
        self.webhooks = self._webhooks(gate, reads)
        self.store = store
        self.oversight = Oversight(
            store=store, reader=reads, board=self._board, hints=self._hints, catalog=around.catalog,
            absences={key: door.absence for key, door in doors.items()}, dice=self.context.dice,
        )  # fmt: skip
        self._duties: tuple[Repeater, ...] = ()
        self.submissions = Submissions(
            store=store, jobs=reads, preparer=around.preparer,
            inputs=Inputs(reads, self.context.blobs, self.context.pictures, self.context.downloads, clock),
            blobs=self.context.blobs, runner=self.runner, dice=self.context.dice, metrics=around.metrics,
            replica_id=name, rules=SubmitRules(), switches=self._board,
        )  # fmt: skip

    def _webhooks(self, gate: Gate, reads: Any) -> Webhooks:
        check = Signatures(gate, self._around.mishaps)
        return Webhooks(
            checks={"fal": check, "replicate": check},
            work=reads,
            store=self._store,
            hints=self._hints,
            late=self.late,
            clock=self._clock,
            log=self._log,
            metrics=self._around.metrics,
        )

    def _superseded(self, attempt: Any) -> bool:
        return self.late.follow_superseded(attempt)

    @property
    def answers(self) -> bool:
        """Whether a load balancer would send it a call: it was ready, and nobody has noticed anything since."""
        return self.ready and self.process.life in (Life.ALIVE, Life.STOPPED)

    def start(self) -> None:
        """Begin to live."""
        self._around.loop.spawn(self.process, self._serve(), f"{self.name} serves")

    async def _serve(self) -> None:
        await self._runner_and_board()
        context = self.context
        recovery = Recovery(
            store=self._store,
            jobs=context.jobs,
            work=context.work,
            runner=self.runner,
            catalog=context.catalog,
            replica_id=self.name,
            clock=self._clock,
            log=self._log,
            metrics=context.metrics,
        )
        self._duties = (
            heartbeats(self._store, self._lease, self.name, self._clock, self._log),
            deadlines(self._store, context.work, self._clock, self._log),
            recovery.looks(),
            recovery.ends(),
            late_looks(self.late, context),
        )
        for duty in self._duties:
            await duty.start()
        self.ready = True

    async def leave(self) -> None:
        """As after SIGTERM: no new calls, running renders end or are left to others, and the others are told."""
        self.ready = False
        await self.runner.drain(_DRAIN_SECONDS)
        for duty in reversed(self._duties):
            await duty.stop()
        await self.late.stop()
        await self.runner.stop()
        await self._board.stop()
        await leave(self._store, self.name, self._log)

    async def _runner_and_board(self) -> None:
        """As a start that fails and is tried again."""
        while True:
            started = self._clock.monotonic()
            try:
                await self._store.execute(Heartbeat(self.name))
                self._lease.beat(started)
                await self._board.start()
                break
            except LightmeterError:
                await self._clock.sleep(1.0)
        await self.runner.start()

    # -- calls from outside

    def ask(self, work: Callable[[], Coroutine[Any, Any, Any]], seconds_max: float) -> asyncio.Future[Any]:
        """Have it do something; Gone when it dies or the time is up. Cancelling the future ends the call."""
        loop = self._around.loop
        answer: asyncio.Future[Any] = loop.create_future()
        if self.process.life is Life.DEAD:
            loop.call_later(0.01, _hang_up, answer, context=loop.world)
            return answer
        task = loop.spawn(self.process, work(), f"{self.name} answers")
        self._calls[task] = answer
        timer = loop.call_later(seconds_max, _hang_up, answer, context=loop.world)

        def answered(done: asyncio.Task[Any]) -> None:
            self._calls.pop(done, None)
            timer.cancel()
            if answer.done():
                if not done.cancelled():
                    done.exception()  # nobody is there to hear it
            elif done.cancelled():
                answer.set_exception(Gone())
            elif (error := done.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(done.result())

        def left(future: asyncio.Future[Any]) -> None:
            if not task.done() and (future.cancelled() or isinstance(future.exception(), Gone)):
                task.cancel()

        task.add_done_callback(answered, context=loop.world)
        answer.add_done_callback(left, context=loop.world)
        return answer

    def deliver(
        self, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> asyncio.Future[Any]:
        """A webhook comes in."""

        async def take() -> Took:
            return await self.webhooks.take(provider, token, headers, body)

        return self.ask(take, 10.0)

    def died(self) -> None:
        """Its connections break, and nobody hears from it again."""
        self.ready = False
        self._hints.close()
        for answer in list(self._calls.values()):
            _hang_up(answer)
        self._calls.clear()


def _hang_up(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(Gone())
        answer.exception()


def len_tag(fingerprint: str) -> str:
    """A tag that tells nothing."""
    return f"tag of {len(fingerprint)}"
