"""Charging for pictures that are kept: each UTC day that has ended, once, for the days that are still within reach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from service.core.housekeeping import Repeater
from service.domain.commands import AccrueStorage
from service.domain.limits import (
    MICROS_PER_SECOND,
    accrual_days_count,
    accrual_look_seconds,
    paging_lag_seconds,
)
from service.domain.storage_price import StoragePrice, charges_of_day
from service.ports import Clock, Log, StorageReader, Store

_DAY = timedelta(days=1)


class StorageAccrual:
    """The use case. Running it again charges nothing twice: a day's transfer has the day in its name."""

    def __init__(
        self, store: Store, reader: StorageReader, price: StoragePrice, clock: Clock, log: Log
    ) -> None:
        self._store = store
        self._reader = reader
        self._price = price
        self._clock = clock
        self._log = log
        self._charged: set[datetime] = set()
        """Days that need no look any more: reading what is kept reads every picture's row."""

    async def accrue(self) -> int:
        """Charge the last days that have ended. Answers how many transfers were booked."""
        # What was kept in a day's last instants has had its time to commit.
        now = self._clock.now() // MICROS_PER_SECOND - paging_lag_seconds
        today = datetime.fromtimestamp(now, tz=UTC).replace(hour=0, minute=0, second=0)
        days = [today - back * _DAY for back in range(accrual_days_count, 0, -1)]
        self._charged.intersection_update(days)
        booked = 0
        for day in days:
            if day not in self._charged:
                booked += await self._charge(day)
                self._charged.add(day)
        return booked

    async def _charge(self, day: datetime) -> int:
        month = day.replace(day=1)
        days_of_month = ((month + 31 * _DAY).replace(day=1) - month).days
        shares = await self._reader.shares(_micros(month), _micros(day), _micros(day + _DAY))
        charges = charges_of_day(self._price, shares, days_of_month)
        if not any(one.nanos for one in charges):
            return 0
        name = day.strftime("%Y-%m-%d")
        booked: int = await self._store.execute(
            AccrueStorage(_micros(day), name, charges, self._price.version)
        )
        if booked:
            self._log.info("storage_charged", day=name, projects=booked)
        return booked


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * MICROS_PER_SECOND


def storage_accrual(accrual: StorageAccrual, leads: Callable[[], bool], clock: Clock, log: Log) -> Repeater:
    """The duty. `leads` says whether this replica does what only one of them needs to do."""

    async def accrue() -> None:
        if leads():
            await accrual.accrue()

    return Repeater("storage accrual", accrual_look_seconds, accrue, clock, log)
