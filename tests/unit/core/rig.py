"""One replica without doors or database: submissions, runner and watches on fakes, and a clock that the test moves."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from service.catalog.loader import load_catalog
from service.core.context import RunContext
from service.core.inputs import Inputs
from service.core.lease import Lease
from service.core.logfeed import LogFeed
from service.core.prepare import Preparer
from service.core.pricing import Catalogs
from service.core.recover import Recovery
from service.core.requests import Submission, Submitted
from service.core.run import RenderRun
from service.core.runner import Runner
from service.core.submit import Submissions, SubmitRules
from service.core.switches import SwitchBoard
from service.core.watch import Watches
from service.domain.catalog import Catalog
from service.domain.drawing import Drawing
from service.domain.failure import Failure
from service.domain.records import Attempt, Job, Render
from service.domain.view import JobView
from service.metrics import Metrics
from tests.support.books import faults
from tests.support.clock import FakeClock, SeededDice, settle
from tests.support.fake_provider import (
    FAL_ABSENCE,
    REPLICATE_ABSENCE,
    FakeBlobs,
    FakeDownloads,
    FakeLog,
    FakePictures,
    FakeProvider,
    FakeRecords,
)
from tests.support.memory_reads import MemoryOperators
from tests.support.memory_store import MemoryReader, MemoryStore

Answer = TypeVar("Answer")

CATALOG = load_catalog(sandbox=True)
MODEL = "test-ok"
_TURNS_MAX = 50
PRICE = 10_000_000
"""What a picture of MODEL costs at either provider; fal is asked first."""


class Sight:
    """What is committed, in short words."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)

    def check(self) -> None:
        """The books are right."""
        assert [] == faults(self.store.tables)

    def view(self, submitted: Submitted) -> JobView:
        """The job as it is committed."""
        tables = self.store.tables
        return tables.world(self.clock.now()).view(tables.jobs[submitted.view.job.id])

    def job(self, submitted: Submitted) -> Job:
        return self.view(submitted).job

    def render(self, submitted: Submitted) -> Render:
        render = self.view(submitted).render
        assert render is not None
        return render

    def attempt(self, submitted: Submitted) -> Attempt:
        return self.view(submitted).attempts[-1]

    def failure(self, view: JobView) -> Failure:
        assert view.job.failure is not None
        return view.job.failure

    def kinds(self, attempt: Attempt) -> list[tuple[str, int, str]]:
        """(kind, total after, grade) of each transfer."""
        rows = [row for row in self.store.tables.transfers if row.source == attempt.id]
        return [(row.kind.value, row.total_after_nanos, row.grade.value) for row in rows]


class LongLease(Lease):
    """One that never ends, for tests that are not about it."""

    @property
    def ends(self) -> float:
        return float("inf")

    def holds(self) -> bool:
        return True


class Rig(Sight):
    """Everything that the use cases need, ready to be told what goes wrong."""

    def __init__(
        self,
        *,
        rules: SubmitRules | None = None,
        lease: Lease | None = None,
        webhooks_on: bool = False,
        replica_id: str = "replica-1",
        beside: "Rig | None" = None,
        catalog: Catalog = CATALOG,
        unpriced: Mapping[str, int] | None = None,
    ) -> None:
        """`beside` another one: a second replica on the same store, clock and providers. `unpriced` as in `Catalogs`."""
        super().__init__()
        self.catalog = catalog
        self.unpriced = unpriced or {}
        self.dice = SeededDice(3, self.clock)
        self.fal = FakeProvider("fal", self.clock)
        self.replicate = FakeProvider("replicate", self.clock)
        self.blobs = FakeBlobs()
        self.downloads = FakeDownloads()
        if beside is not None:
            self.clock, self.store, self.dice = beside.clock, beside.store, beside.dice
            self.fal, self.replicate = beside.fal, beside.replicate
            self.blobs, self.downloads = beside.blobs, beside.downloads
        self.records = {
            "fal": FakeRecords(self.fal, FAL_ABSENCE),
            "replicate": FakeRecords(self.replicate, REPLICATE_ABSENCE),
        }
        self.replica_id = replica_id
        self.jobs = MemoryReader(self.store, self.clock)
        self.lease = lease or LongLease(self.clock)
        self.superseded: list[Attempt] = []
        self.pictures = FakePictures()
        self.feed = LogFeed()
        self.log = FakeLog()
        self.metrics = Metrics(CollectorRegistry())
        self.operators = MemoryOperators(self.store, self.clock)
        self.switches = SwitchBoard(self.operators, self.store.hints, self.clock, self.log)
        self.context = self._context(webhooks_on=webhooks_on)
        self.gate: asyncio.Event | None = None
        """When set, renders begin to run only after it."""
        self._run = RenderRun(self.context).run
        self.runner = Runner(self._begun, self.log)
        self.watches = Watches(self.jobs, self.store.hints, self.feed, self.clock, self.metrics)
        self.submissions = self._submissions(rules or SubmitRules())

    def _context(self, *, webhooks_on: bool) -> RunContext:
        return RunContext(
            store=self.store,
            jobs=self.jobs,
            work=self.jobs,
            providers={"fal": self.fal, "replicate": self.replicate},
            records=self.records,
            catalog=self.catalog,
            blobs=self.blobs,
            pictures=self.pictures,
            downloads=self.downloads,
            hints=self.store.hints,
            lease=self.lease,
            switches=self.switches,
            superseded=self._fetched_aside,
            webhooks_on=webhooks_on,
            feed=self.feed,
            clock=self.clock,
            dice=self.dice,
            log=self.log,
            metrics=self.metrics,
            tag=lambda fingerprint: f"tag of {len(fingerprint)}",
        )

    def _submissions(self, rules: SubmitRules) -> Submissions:
        return Submissions(
            store=self.store,
            jobs=self.jobs,
            preparer=Preparer(Catalogs(self.catalog, self.clock, self.unpriced)),
            switches=self.switches,
            inputs=Inputs(self.jobs, self.blobs, self.pictures, self.downloads, self.clock),
            blobs=self.blobs,
            runner=self.runner,
            dice=self.dice,
            metrics=self.metrics,
            replica_id=self.replica_id,
            rules=rules,
        )

    def _fetched_aside(self, attempt: Attempt) -> bool:
        self.superseded.append(attempt)
        return True

    async def _begun(self, view: JobView) -> None:
        if self.gate is not None:
            await self.gate.wait()
        await self._run(view)

    # -- asking

    def asked(self, prompt: str = "a lighthouse", **changes: Any) -> Submission:
        """A request as the doors hand it in."""
        drawing = Drawing(model=changes.pop("model", MODEL), prompt=prompt, **changes.pop("drawing", {}))
        told = {"project": "growth", "request_id": None, "drawing": drawing}
        return Submission(**{**told, **changes})

    async def submit(self, prompt: str = "a lighthouse", **changes: Any) -> Submitted:
        """Hand one in; the runner is started if it was not."""
        await self.runner.start()
        return await self.submissions.submit(self.asked(prompt, **changes))

    async def drawn(self, prompt: str = "a lighthouse", **changes: Any) -> JobView:
        """Hand one in and let time pass until its render ended."""
        submitted = await self.submit(prompt, **changes)
        await self.finish()
        return self.view(submitted)

    async def finish(self, seconds_max: float = 20_000.0) -> None:
        """Let time pass until nothing runs any more; the books are right at the end."""
        ends = self.clock.monotonic() + seconds_max
        while self.runner.running_count:
            await self._step(lambda: self.runner.running_count == 0)
            assert self.clock.monotonic() < ends, "the render did not end in time"
        self.check()

    def recovery(self, catalog: Catalog = CATALOG) -> Recovery:
        """What finds renders that nobody works on."""
        return Recovery(
            store=self.store,
            jobs=self.jobs,
            work=self.jobs,
            runner=self.runner,
            catalog=catalog,
            replica_id=self.replica_id,
            clock=self.clock,
            log=self.log,
            metrics=self.metrics,
        )

    async def recovered(self) -> None:
        """Let the recovery find what nobody runs, and let that run to its end."""
        duty = self.recovery().looks()
        await duty.start()
        for _ in range(_TURNS_MAX):
            await self.clock.run(1.0)
            if self.runner.running_count:
                break
        await duty.stop()
        await self.finish()

    async def _step(self, done: Callable[[], bool]) -> None:
        """Let whoever can run do so; when all are asleep, move the clock to the first that wakes."""
        for _ in range(_TURNS_MAX):
            await settle(20)
            if done():
                return
            step = self.clock.next_wake_seconds()
            if step is not None:
                self.clock.advance(step)
                return
        raise AssertionError("everybody waits for nothing")

    async def until(self, work: Coroutine[Any, Any, Answer], seconds_max: float = 1_000.0) -> Answer:
        """Let time pass until this has ended."""
        task = asyncio.get_running_loop().create_task(work)
        ends = self.clock.monotonic() + seconds_max
        try:
            while not task.done():
                await self._step(task.done)
                assert self.clock.monotonic() < ends, "it does not end"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return task.result()
