"""The board of switches: what it answers, how it stays up to date, and what it does while the database is away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.core.switches import SWITCHES_KEY, SwitchBoard
from service.domain.commands import SetSwitch
from service.domain.errors import MaxCostExceeded, Paused, StoreUnavailable
from service.domain.limits import MICROS_PER_SECOND, switches_look_seconds
from service.domain.oversight import Switch, SwitchScope, SwitchState
from tests.support.clock import FakeClock, SeededDice, settle
from tests.support.fake_provider import FakeLog
from tests.support.memory_reads import MemoryOperators
from tests.support.memory_store import MemoryStore
from tests.support.orders import route

FAL, REPLICATE = route("fal"), route("replicate")
PLAN = (FAL, REPLICATE)
SCOPES = [
    (SwitchScope.DISPATCH, ""),
    (SwitchScope.PROJECT, "growth"),
    (SwitchScope.PROVIDER, "fal"),
    (SwitchScope.ROUTE, "fal/fal-one"),
]


class Wall:
    """A board on a store in memory, and a hand that turns switches."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.dice = SeededDice(1, self.clock)
        self.store = MemoryStore(self.clock)
        self.reader = MemoryOperators(self.store, self.clock)
        self.log = FakeLog()
        self.board = SwitchBoard(self.reader, self.store.hints, self.clock, self.log)

    def turn(
        self, scope: SwitchScope, target: str, state: SwitchState, *, seconds: float | None = None
    ) -> None:
        """Set it in the database; nobody is told."""
        until = None if seconds is None else self.clock.now() + int(seconds * MICROS_PER_SECOND)
        self.store.run(SetSwitch(self.dice.new_id(), scope, target, state, until, "INC-7", "default"))

    def refusal(self, project: str = "growth", plan: tuple[Any, ...] = PLAN) -> Any:
        """What a request with this plan is told when nothing is left of it."""
        return self.board.narrow(project, plan, None)[1]


@pytest.fixture
async def wall() -> AsyncIterator[Wall]:
    """A wall whose board is stopped at the end."""
    one = Wall()
    yield one
    await one.board.stop()


@pytest.mark.parametrize(("scope", "target"), SCOPES)
@pytest.mark.parametrize("state", list(SwitchState))
async def test_a_switch_keeps_new_work_out_and_off_holds_accepted_work_back(
    wall: Wall, scope: SwitchScope, target: str, state: SwitchState
) -> None:
    """DRAIN and OFF both take the route out of a plan; only OFF stops what was accepted; ON does neither."""
    wall.turn(scope, target, state)
    await wall.board.start()
    assert (state is not SwitchState.ON) is (wall.board.against("fal", "fal-one", "growth") is not None)
    assert (state is SwitchState.OFF) is (wall.board.held_back("fal", "fal-one", "growth") is not None)


@pytest.mark.parametrize(
    ("scope", "target", "kept"),
    [
        (SwitchScope.DISPATCH, "", ()),
        (SwitchScope.PROJECT, "growth", ()),
        (SwitchScope.PROJECT, "other", PLAN),
        (SwitchScope.PROVIDER, "fal", (REPLICATE,)),
        (SwitchScope.ROUTE, "replicate/replicate-one", (FAL,)),
        (SwitchScope.ROUTE, "fal/replicate-one", PLAN),
    ],
)
async def test_a_plan_keeps_the_routes_that_are_in_use(
    wall: Wall, scope: SwitchScope, target: str, kept: tuple[Any, ...]
) -> None:
    """In their order; a plan of which nothing is left is refused with PAUSED."""
    wall.turn(scope, target, SwitchState.DRAIN)
    await wall.board.start()
    routes, refused = wall.board.narrow("growth", PLAN, None)
    assert (kept, not kept) == (routes, isinstance(refused, Paused))


async def test_the_refusal_says_what_is_off_and_until_when(wall: Wall) -> None:
    """Scope, state, reason, and the time at which it goes on by itself where there is one."""
    wall.turn(SwitchScope.PROVIDER, "fal", SwitchState.DRAIN, seconds=1_800)
    await wall.board.start()
    refused = wall.refusal(plan=(FAL,))
    assert {
        "scope": "provider:fal",
        "state": "DRAIN",
        "reason": "INC-7",
        "expireTime": "2026-01-01T00:30:00Z",
    } == refused.metadata
    assert None is wall.refusal(plan=(REPLICATE,))
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.OFF)
    await wall.board.refresh()
    assert {"scope": "dispatch", "state": "OFF", "reason": "INC-7"} == wall.refusal().metadata


async def test_a_switch_comes_before_the_requests_own_faults_only_where_it_stops_everything(
    wall: Wall,
) -> None:
    """A plan that was empty before keeps its own refusal, unless the project or all dispatches are off."""
    await wall.board.start()
    dear = MaxCostExceeded("too dear")
    wall.turn(SwitchScope.PROVIDER, "fal", SwitchState.OFF)
    await wall.board.refresh()
    assert ((), dear) == wall.board.narrow("growth", (), dear)
    wall.turn(SwitchScope.PROJECT, "growth", SwitchState.OFF)
    await wall.board.refresh()
    assert isinstance(wall.board.narrow("growth", (), dear)[1], Paused)


async def test_a_board_does_not_start_without_having_read(wall: Wall) -> None:
    """What an operator has stopped must not be taken in by a replica that knows no better."""
    wall.reader.broken_count = 1
    with pytest.raises(StoreUnavailable):
        await wall.board.start()


async def test_a_hint_brings_the_news_at_once(wall: Wall) -> None:
    """No time passes between the hint and the board's knowledge."""
    await wall.board.start()
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.OFF)
    wall.store.hints.publish((SWITCHES_KEY,))
    await settle()
    assert isinstance(wall.refusal(), Paused)


async def test_without_any_hint_the_news_comes_within_a_look(wall: Wall) -> None:
    """Hints only make it quicker: the rows are read again every second."""
    wall.store.hints.dropping = True
    await wall.board.start()
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.OFF)
    await wall.clock.run(switches_look_seconds)
    assert isinstance(wall.refusal(), Paused)
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.ON)
    await wall.clock.run(switches_look_seconds)
    assert None is wall.refusal()


async def test_while_the_database_is_away_the_last_reading_stays(wall: Wall) -> None:
    """An outage neither lifts a switch nor sets one; it is told once, and the reading goes on after it."""
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.OFF)
    await wall.board.start()
    wall.reader.broken_count = 10_000
    await wall.clock.run(600.0)
    assert isinstance(wall.refusal(), Paused)
    assert ["switches_unread"] == wall.log.names()
    wall.reader.broken_count = 0
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.ON)
    await wall.clock.run(3 * switches_look_seconds)
    assert None is wall.refusal()


async def test_a_switch_expires_even_while_the_database_is_away(wall: Wall) -> None:
    """Its time was promised when it was set; nobody has to read anything for it to pass."""
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.OFF, seconds=30)
    await wall.board.start()
    wall.reader.broken_count = 10_000
    await wall.clock.run(29.0)
    assert isinstance(wall.refusal(), Paused)
    await wall.clock.run(1.0)
    assert None is wall.refusal()


class Held(MemoryOperators):
    """Each reading is made when it is asked for, and handed out when the test lets it go."""

    gates: list[asyncio.Event]

    async def switches(self) -> tuple[Switch, ...]:
        """What the rows said at the asking."""
        gate = asyncio.Event()
        self.gates.append(gate)
        found = await super().switches()
        await gate.wait()
        return found


async def test_readings_that_overtake_each_other_leave_the_newest(wall: Wall) -> None:
    """One that was begun earlier counts while nothing newer is there, and never replaces what is newer."""
    reader = Held(wall.store, wall.clock)
    reader.gates = []
    board = SwitchBoard(reader, wall.store.hints, wall.clock, wall.log)
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.DRAIN)
    first = _task(board.refresh())
    await settle()
    second = _task(board.refresh())
    await settle()
    wall.turn(SwitchScope.DISPATCH, "", SwitchState.OFF)
    third = _task(board.refresh())
    await settle()
    reader.gates[0].set()
    await first
    assert isinstance(board.narrow("growth", PLAN, None)[1], Paused)
    reader.gates[2].set()
    await third
    reader.gates[1].set()
    await second
    assert None is not board.held_back("fal", "fal-one", "growth")


async def test_accepted_work_waits_until_it_is_on(wall: Wall) -> None:
    """The wait ends within a look of the switch, and says that it may go."""
    wall.turn(SwitchScope.PROVIDER, "fal", SwitchState.OFF)
    await wall.board.start()
    waiting = _task(wall.board.wait_until_on("fal", "fal-one", "growth", 3_600.0))
    await wall.clock.run(100.0)
    assert not waiting.done()
    wall.turn(SwitchScope.PROVIDER, "fal", SwitchState.ON)
    await wall.clock.run(2 * switches_look_seconds)
    assert waiting.done()
    assert await waiting


async def test_a_wait_that_is_too_long_says_that_it_is_still_off(wall: Wall) -> None:
    """False after so many seconds, and not before."""
    wall.turn(SwitchScope.PROVIDER, "fal", SwitchState.OFF)
    await wall.board.start()
    waiting = _task(wall.board.wait_until_on("fal", "fal-one", "growth", 10.0))
    await wall.clock.run(9.0)
    assert not waiting.done()
    await wall.clock.run(1.0)
    assert waiting.done()
    assert not await waiting


async def test_a_board_may_be_stopped_at_any_time(wall: Wall) -> None:
    """Before its start, twice, and after it; nobody listens any more then."""
    await wall.board.stop()
    await wall.board.start()
    await wall.board.start()
    await wall.board.stop()
    await wall.board.stop()
    assert set() == wall.store.hints.subscriptions


def _task(work: Any) -> Any:
    return asyncio.get_running_loop().create_task(work)


async def test_a_board_that_breaks_says_so(wall: Wall) -> None:
    """A defect of the reader ends the looking: it is logged, and whoever runs the process is told."""
    told: list[str] = []
    wall.board.on_death = told.append
    await wall.board.start()

    class Broken(MemoryOperators):
        async def switches(self) -> tuple[Switch, ...]:
            raise RuntimeError("a defect")

    wall.board._reader = Broken(wall.store, wall.clock)
    await wall.clock.run(2 * switches_look_seconds)
    assert ["switches"] == told
    assert "duty_ended" in wall.log.names()
