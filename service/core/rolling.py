"""Keeping reports and metrics quick: days that have ended are summed, and what is kept of pictures is counted, every hour."""

from __future__ import annotations

from collections.abc import Callable

from service.core.housekeeping import Repeater
from service.domain.commands import RecordStored, RollDays
from service.domain.limits import roll_days_max, roll_look_seconds
from service.ports import Clock, Log, StorageReader, Store


async def roll_days(store: Store) -> int:
    """Sum every day that has ended and was not summed yet. Answers how many were."""
    summed = 0
    while True:
        count: int = await store.execute(RollDays(roll_days_max))
        summed += count
        if count < roll_days_max:
            return summed


async def count_stored(store: Store, reader: StorageReader, now: int) -> None:
    """Count what each project keeps now, and keep the answer for the metrics."""
    shares = await reader.shares(now, now, now)
    await store.execute(RecordStored(tuple((one.project, one.size_bytes) for one in shares)))


def rolling(
    store: Store, reader: StorageReader, leads: Callable[[], bool], clock: Clock, log: Log
) -> Repeater:
    """The duty. `leads` says whether this replica does what only one of them needs to do."""

    async def roll() -> None:
        if not leads():
            return
        summed = await roll_days(store)
        if summed:
            log.info("days_summed", days=summed)
        await count_stored(store, reader, clock.now())

    return Repeater("rolling", roll_look_seconds, roll, clock, log)
