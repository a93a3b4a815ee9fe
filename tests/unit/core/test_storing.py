"""When a day of storage is charged: after it has ended, once, and for the days that are still within reach."""

from collections.abc import Sequence

import pytest

from service.core.storing import StorageAccrual
from service.domain.limits import accrual_days_count, paging_lag_seconds
from service.domain.records import TransferKind
from service.domain.storage_price import StoragePrice, StoredShare
from tests.support.fake_provider import FakeLog
from tests.unit.domain.desk import Desk

DAY = 24 * 3_600
DAY_MICROS = DAY * 1_000_000
TERABYTE = 10**12


class FakeKept:
    """Implements `StorageReader`: always the same, and notes what was asked."""

    def __init__(self, *shares: StoredShare) -> None:
        self.kept: Sequence[StoredShare] = shares
        self.asked: list[tuple[int, int, int]] = []

    async def shares(self, month_start: int, day: int, day_end: int) -> tuple[StoredShare, ...]:
        """What is kept."""
        self.asked.append((month_start, day, day_end))
        return tuple(self.kept)


class Storehouse:
    """A desk that charges for what is kept."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.kept = FakeKept(StoredShare("growth", TERABYTE, 0, 0), StoredShare("ops", 0, 0, 0))
        self.midnight = self.desk.clock.now() // DAY_MICROS * DAY_MICROS
        self.accrual = self.another()

    def another(self) -> StorageAccrual:
        """The same in another process."""
        return StorageAccrual(self.desk.store, self.kept, StoragePrice(), self.desk.clock, FakeLog())

    def booked(self) -> list[tuple[str, int]]:
        """Sources and amounts."""
        return [
            (row.source, row.amount_nanos)
            for row in self.desk.tables.transfers
            if row.kind is TransferKind.ACCRUAL
        ]


@pytest.fixture
def house() -> Storehouse:
    return Storehouse()


async def test_days_that_have_ended_are_charged_to_who_keeps(house: Storehouse) -> None:
    """The last days before today, each with its own month's length; whoever keeps nothing pays nothing."""
    house.desk.clock.advance(59 * DAY + 3_600)  # 2026-03-01, 01:00
    assert accrual_days_count == await house.accrual.accrue()
    day_nanos = 530_357_143  # 990 GB beyond the free ones, at 0.015 USD a month of 28 days
    assert [(f"storage:growth:2026-02-{day}", day_nanos) for day in (26, 27, 28)] == house.booked()


async def test_a_day_is_looked_at_once_and_charged_once(house: Storehouse) -> None:
    """The same process asks no more; another one asks, and books nothing."""
    house.desk.clock.advance(3_600)
    await house.accrual.accrue()
    before = house.booked()
    asked = len(house.kept.asked)
    assert 0 == await house.accrual.accrue()
    assert asked == len(house.kept.asked)
    assert 0 == await house.another().accrue()
    assert (before, 2 * asked) == (house.booked(), len(house.kept.asked))


async def test_the_next_day_is_charged_when_it_has_ended(house: Storehouse) -> None:
    """Not at midnight, but when what was kept in its last instants is surely committed."""
    house.desk.clock.advance(3_600)
    await house.accrual.accrue()
    house.desk.until(house.midnight + DAY_MICROS + (paging_lag_seconds - 1) * 1_000_000)
    assert 0 == await house.accrual.accrue()
    house.desk.clock.advance(1)
    assert 1 == await house.accrual.accrue()
    month = house.midnight  # the clock starts on the first of January
    assert (month, house.midnight, house.midnight + DAY_MICROS) == house.kept.asked[-1]


async def test_a_day_that_costs_nothing_is_not_booked(house: Storehouse) -> None:
    """Below what is free each month nothing appears in the ledger, and the day is not asked about again."""
    house.kept.kept = (StoredShare("growth", 10**9, 5, 0),)
    house.desk.clock.advance(3_600)
    assert 0 == await house.accrual.accrue()
    assert ([], accrual_days_count) == (house.booked(), len(house.kept.asked))
    await house.accrual.accrue()
    assert accrual_days_count == len(house.kept.asked)
