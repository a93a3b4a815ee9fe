"""The duty that keeps reports quick: every day that has ended, and what is kept now, and only where this replica leads."""

from collections.abc import Sequence
from typing import Any

from service.core.rolling import roll_days, rolling
from service.domain.commands import RecordStored, RollDays
from service.domain.limits import roll_days_max, roll_look_seconds
from service.domain.storage_price import StoredShare
from tests.support.clock import FakeClock, settle
from tests.support.fake_provider import FakeLog


class Days:
    """Implements `Store`: so many days are left to be summed."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.seen: list[Any] = []

    async def execute(self, command: Any) -> Any:
        """Sum some of them."""
        self.seen.append(command)
        if not isinstance(command, RollDays):
            return None
        count = min(self.left, command.days_max)
        self.left -= count
        return count


class Kept:
    """Implements `StorageReader`."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, int]] = []

    async def shares(self, month_start: int, day: int, day_end: int) -> Sequence[StoredShare]:
        """The same each time."""
        self.asked.append((month_start, day, day_end))
        return (StoredShare("growth", 7, 1, 2),)


async def test_all_days_that_have_ended_are_summed() -> None:
    """Command after command, until one has less to do than it might."""
    for left in (0, 1, roll_days_max, 3 * roll_days_max + 2):
        days = Days(left)
        assert left == await roll_days(days)
        assert (0, left // roll_days_max + 1) == (days.left, len(days.seen))


async def test_it_is_done_every_hour_by_the_one_that_leads() -> None:
    """Days, then bytes as they are now; nothing where another replica leads."""
    clock, kept, days, leads = FakeClock(), Kept(), Days(2), [False]
    duty = rolling(days, kept, lambda: leads[0], clock, FakeLog())
    await duty.start()
    await settle()
    assert [] == days.seen
    leads[0] = True
    await clock.run(roll_look_seconds)
    await duty.stop()
    assert [RollDays(roll_days_max), RecordStored((("growth", 7),))] == days.seen
    assert [(clock.now(),) * 3] == kept.asked
