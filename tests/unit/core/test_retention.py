"""What is too old goes, a bounded piece at a time; 0 keeps for ever."""

from collections import deque
from typing import Any

from service.core.retention import Ages, retention
from service.domain import commands as c
from service.domain.errors import StoreUnavailable
from service.domain.limits import (
    MICROS_PER_SECOND,
    prune_look_seconds,
    prune_rounds_max,
    prune_rows_max,
)
from tests.support.clock import FakeClock, settle
from tests.support.fake_provider import FakeLog
from tests.unit.core.rig import Rig

DAY = 24 * 3600 * MICROS_PER_SECOND
NOTHING = c.Pruned(0, 0, 0, 0)
FULL = c.Pruned(0, prune_rows_max, 3, 0)


class Pruning:
    """Implements `Store` for one command; answers what it is told, then that nothing is left."""

    def __init__(self, *answers: c.Pruned | Exception) -> None:
        self.answers = deque(answers)
        self.asked: list[c.Prune] = []

    async def execute(self, command: Any) -> Any:
        """Take it down."""
        self.asked.append(command)
        answer = self.answers.popleft() if self.answers else NOTHING
        if isinstance(answer, Exception):
            raise answer
        return answer


async def looked(store: Pruning, ages: Ages, clock: FakeClock, log: FakeLog | None = None) -> None:
    """One look."""
    duty = retention(store, ages, clock, log or FakeLog())
    await duty.start()
    await settle(60)
    await duty.stop()


async def test_each_kind_has_its_own_age() -> None:
    """Counted back from now. Renders stay for as long as a bill may be corrected, whatever the age of jobs."""
    store, clock = Pruning(), FakeClock()
    await looked(store, Ages(content_days=1, events_days=2, jobs_days=30), clock)
    now = clock.now()
    expected = c.Prune(now - DAY, now - 2 * DAY, now - 30 * DAY, prune_rows_max, now - 400 * DAY)
    assert [expected] == store.asked


async def test_zero_keeps_for_ever() -> None:
    """Nothing ended before the beginning of time."""
    store, clock = Pruning(), FakeClock()
    await looked(store, Ages(content_days=0, events_days=0, jobs_days=0), clock)
    assert [c.Prune(0, 0, 0, prune_rows_max, 0)] == store.asked


async def test_a_look_goes_on_until_nothing_is_left() -> None:
    """As long as one kind fills its limit; what was removed is told."""
    store, log = Pruning(FULL, FULL, c.Pruned(1, 0, 0, 0)), FakeLog()
    await looked(store, Ages(), FakeClock(), log)
    assert (3, ["pruned"] * 3) == (len(store.asked), log.names())


async def test_a_look_is_bounded_and_the_next_one_goes_on() -> None:
    """Never more than so many transactions in a row."""
    store, clock = Pruning(*[FULL] * (prune_rounds_max + 2)), FakeClock()
    duty = retention(store, Ages(), clock, FakeLog())
    await duty.start()
    await settle(100)
    assert prune_rounds_max == len(store.asked)
    await clock.run(prune_look_seconds)
    assert prune_rounds_max + 3 == len(store.asked)
    await duty.stop()


async def test_an_absent_database_is_asked_again_later() -> None:
    """The duty outlives it."""
    store, clock, log = Pruning(StoreUnavailable("away")), FakeClock(), FakeLog()
    duty = retention(store, Ages(), clock, log)
    await duty.start()
    await clock.run(prune_look_seconds + 1)
    assert (2, ["duty_failed"]) == (len(store.asked), log.names())
    await duty.stop()


async def test_old_prompts_go_and_the_books_stay() -> None:
    """On the store's own decision."""
    rig = Rig()
    view = await rig.drawn("a secret")
    assert view.render is not None
    rig.clock.advance(31 * 24 * 3600)
    duty = retention(rig.store, Ages(), rig.clock, rig.log)
    transfers = len(rig.store.tables.transfers)
    await duty.start()
    await settle(60)
    await duty.stop()
    assert "a secret" not in rig.store.tables.renders[view.render.id].content
    assert (transfers, True) == (len(rig.store.tables.transfers), view.job.id in rig.store.tables.jobs)
    rig.check()
