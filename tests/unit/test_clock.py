"""The clock that never runs backwards, the ids in order, and the stand-ins that keep the same promises."""

import asyncio
import uuid

import pytest

from service.clock import Portions, SystemClock, SystemDice, UuidSequence
from service.ports import Clock, Dice
from tests.support.clock import STARTED, FakeClock, SeededDice


def test_clock_and_stand_in_fit_the_ports() -> None:
    """Both clocks and both dice are what the core asks for; the type checker reads this too."""
    clocks: list[Clock] = [SystemClock(), FakeClock()]
    dice: list[Dice] = [SystemDice(SystemClock().now), SeededDice()]
    assert [2, 2] == [len(clocks), len(dice)]


def test_time_does_not_run_backwards() -> None:
    """`now` holds its last value while the machine's clock is behind it."""
    clock = SystemClock()
    ahead = clock.now() + 60_000_000
    clock._last_micros = ahead
    assert ahead == clock.now()


async def test_sleep_passes_cancellation_on() -> None:
    """A cancelled sleeper ends at once, as cancelled."""
    task = asyncio.create_task(SystemClock().sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_ids_are_version_seven_and_rise() -> None:
    """Ids of one millisecond are valid UUIDv7 texts in strictly rising order."""
    dice = SystemDice(lambda: STARTED)
    ids = [dice.new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    parsed = uuid.UUID(ids[-1])
    assert (7, uuid.RFC_4122) == (parsed.version, parsed.variant)
    assert STARTED // 1000 == parsed.int >> 80


def test_ids_rise_over_a_clock_set_back() -> None:
    """An earlier millisecond does not give an earlier id."""
    ids = UuidSequence(lambda bits: 1)
    first = ids.next(2_000)
    assert first < ids.next(1_000) < ids.next(2_000) < ids.next(2_001)


def test_a_full_tail_borrows_from_the_next_millisecond() -> None:
    """When the counter of a millisecond is used up, ids go on rising."""
    ids = UuidSequence(lambda bits: 2**bits - 1)
    first = ids.next(5)
    ids._tail = 2**74 - 2
    second = ids.next(5)
    assert first < second
    assert 6 == uuid.UUID(second).int >> 80


def test_dice_stay_in_their_ranges() -> None:
    """Tokens are 32 hex characters, seeds fit 31 bits, jitter lies between a half and one and a half."""
    for dice in (SystemDice(SystemClock().now), SeededDice(7)):
        token = dice.new_token()
        assert (32, True) == (len(token), int(token, 16) >= 0)
        assert all(0 <= dice.seed() < 2**31 for _ in range(100))
        assert all(0.5 <= dice.jitter() <= 1.5 for _ in range(100))


def test_seeded_dice_repeat_themselves() -> None:
    """Two dice of one seed fall alike, two seeds don't."""

    def falls(seed: int) -> list[object]:
        dice = SeededDice(seed)
        return [dice.new_id(), dice.new_token(), dice.seed(), dice.jitter()]

    assert falls(1) == falls(1)
    assert falls(1) != falls(2)


async def test_advancing_wakes_sleepers_in_order() -> None:
    """The fake clock wakes whoever is due, earliest first, and nobody else."""
    clock = FakeClock()
    woken: list[int] = []

    async def nap(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (3, 1, 2):
            group.create_task(nap(seconds))
        await clock.wait_for_sleepers(3)
        await clock.run(2)
        assert [1, 2] == woken
        assert 1.0 == clock.next_wake_seconds()
        clock.advance(1)
    assert [1, 2, 3] == woken
    assert STARTED + 3_000_000 == clock.now()


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """The fake clock keeps no sleeper that was cancelled."""
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await clock.wait_for_sleepers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 == clock.sleepers_count


async def test_running_the_fake_clock_lets_a_loop_tick() -> None:
    """`run` wakes a loop that sleeps again and again as often as real time would."""
    clock = FakeClock()
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(0.5)
            ticks.append(clock.monotonic())

    task = asyncio.create_task(tick())
    await clock.run(2.0)
    task.cancel()
    assert [1000.5, 1001.0, 1001.5, 1002.0] == ticks


def test_portions_give_every_bit_once() -> None:
    """Bits fit their count, also across portions, and do not repeat."""
    portions = Portions()
    given = [portions.bits(count) for count in (73, 32, 1) * 500]
    assert all(0 <= bits < 2**count for bits, count in zip(given, (73, 32, 1) * 500, strict=True))
    wide = given[::3]
    assert len(wide) == len(set(wide))
    assert {0, 1} == set(given[2::3])
