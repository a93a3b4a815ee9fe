"""The runner's lifecycle: it owns its tasks, drains them, and returns from stop only when they have ended."""

import asyncio

import pytest

from service.core.runner import Runner, to_the_end
from service.domain.errors import Draining, Overloaded
from service.domain.view import JobView
from tests.support.clock import settle
from tests.support.fake_provider import FakeLog
from tests.unit.domain.desk import Desk


class Work:
    """A run that waits for its gate; knows what began, ended and was cut off."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.began: list[str] = []
        self.ended: list[str] = []
        self.error: Exception | None = None

    async def run(self, view: JobView) -> None:
        """Run one render."""
        self.began.append(view.job.render_id)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.ended.append("cut off")
            raise
        if self.error is not None:
            raise self.error
        self.ended.append(view.job.render_id)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


def views(count: int) -> list[JobView]:
    desk = Desk()
    return [desk.view(desk.accept(f"subject {index}")) for index in range(count)]


async def test_stopping_is_legal_at_any_time(work: Work, log: FakeLog) -> None:
    """Before the start, twice, and draining beside it."""
    runner = Runner(work.run, log)
    await runner.stop()
    assert 0 == await runner.drain(1.0)
    await runner.start()
    await runner.start()
    runner.begin(views(1)[0])
    await settle()
    await runner.stop()
    await runner.stop()
    assert (["cut off"], 0) == (work.ended, runner.running_count)


async def test_a_drain_waits_for_what_runs_and_takes_nothing_new(work: Work, log: FakeLog) -> None:
    """It answers how many still run at its end; draining twice is legal."""
    runner = Runner(work.run, log)
    await runner.start()
    for view in views(2):
        runner.begin(view)
    assert 2 == await runner.drain(0.0)
    with pytest.raises(Draining):
        runner.check_room()
    assert not runner.has_room
    work.gate.set()
    assert 0 == await runner.drain(60.0)
    assert (2, []) == (len(work.ended), log.events)
    await runner.stop()


async def test_a_drain_waits_for_what_begins_during_it(work: Work, log: FakeLog) -> None:
    """A request that was let in just before the drain has its render begun a moment later: it is waited for like the others."""
    runner = Runner(work.run, log)
    await runner.start()
    first, second = views(2)
    runner.begin(first)
    draining = asyncio.ensure_future(runner.drain(60.0))
    await settle()
    gate, work.gate = work.gate, asyncio.Event()
    runner.begin(second)
    await settle()
    gate.set()
    await settle()
    assert not draining.done()
    work.gate.set()
    assert (0, 2) == (await draining, len(work.ended))


async def test_a_runner_that_was_stopped_can_start_again(work: Work, log: FakeLog) -> None:
    """It takes work again."""
    runner = Runner(work.run, log)
    await runner.start()
    await runner.stop()
    await runner.start()
    runner.check_room()
    runner.begin(views(1)[0])
    work.gate.set()
    await settle()
    assert (1, 0) == (len(work.ended), runner.running_count)


async def test_there_is_room_for_a_bounded_number(work: Work, log: FakeLog) -> None:
    """Then it is overloaded, until one has ended."""
    runner = Runner(work.run, log, running_max=2)
    await runner.start()
    for view in views(2):
        assert runner.has_room
        runner.begin(view)
    with pytest.raises(Overloaded) as caught:
        runner.check_room()
    assert ("2", False) == (caught.value.metadata["limit"], runner.has_room)
    work.gate.set()
    await settle()
    runner.check_room()


async def test_a_render_runs_once_here(work: Work, log: FakeLog) -> None:
    """Beginning it again while it runs changes nothing."""
    runner = Runner(work.run, log)
    await runner.start()
    view = views(1)[0]
    for _ in range(3):
        runner.begin(view)
        await settle()
    assert (1, True) == (len(work.began), runner.runs(view.job.render_id))
    work.gate.set()
    await settle()
    assert not runner.runs(view.job.render_id)
    runner.begin(view)
    await settle()
    assert 2 == len(work.began)


async def test_a_fault_in_one_render_takes_no_other_along(work: Work, log: FakeLog) -> None:
    """It is told, and its place is free again."""
    runner = Runner(work.run, log)
    await runner.start()
    work.error = RuntimeError("a bug")
    runner.begin(views(1)[0])
    work.gate.set()
    await settle()
    assert (["render_stopped"], 0) == (log.names(), runner.running_count)
    work.error = None
    runner.begin(views(1)[0])
    await settle()
    assert 1 == len(work.ended)


async def test_a_stop_waits_for_what_must_not_be_cut_in_two(log: FakeLog) -> None:
    """However often it is asked: what is shielded ends first, with its work done."""
    gate, steps = asyncio.Event(), list[str]()

    async def whole() -> None:
        steps.append("begun")
        await gate.wait()
        steps.append("committed")

    async def run(view: JobView) -> None:
        await to_the_end(whole())
        steps.append("never")

    runner = Runner(run, log)
    await runner.start()
    runner.begin(views(1)[0])
    await settle()
    stops = [asyncio.get_running_loop().create_task(runner.stop()) for _ in range(3)]
    await settle()
    assert not any(one.done() for one in stops)
    gate.set()
    await asyncio.gather(*stops)
    assert (["begun", "committed"], 0) == (steps, runner.running_count)


async def test_what_is_awaited_to_the_end_answers_and_raises_as_usual() -> None:
    """Shielding changes nothing for whoever is not cancelled."""

    async def answer() -> int:
        return 7

    async def fail() -> int:
        raise ValueError("no")

    assert 7 == await to_the_end(answer())
    with pytest.raises(ValueError, match="no"):
        await to_the_end(fail())
