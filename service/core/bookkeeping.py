"""The duty that compares the last days with the providers' books, again and again: bills come late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from service.core.housekeeping import Repeater
from service.core.reconcile import DAY_MICROS, Reconciler, TooMuchToCompare
from service.domain.bills import Reconciliation
from service.domain.budget import window_start
from service.domain.failure import ProviderDenied, ProviderUnavailable
from service.domain.limits import (
    MICROS_PER_SECOND,
    reconcile_days_count,
    reconcile_look_seconds,
    reconcile_seconds,
)
from service.domain.records import Period
from service.ports import Clock, Log


@dataclass(frozen=True, slots=True)
class DaysCompared:
    """What comparing some days came to, and in one sentence each what could not be compared."""

    reconciliations: tuple[Reconciliation, ...]
    left_out: tuple[str, ...]


async def compare_days(
    reconciler: Reconciler, clock: Clock, log: Log, days_count: int = reconcile_days_count
) -> DaysCompared:
    """Compare today and the days before, oldest first, with every provider. One that cannot be read is skipped, and said."""
    today = window_start(Period.DAY, clock.now())
    found, left_out = [], []
    for provider in reconciler.providers:
        for back in range(days_count - 1, -1, -1):
            day = today - back * DAY_MICROS
            try:
                found.append(await reconciler.compare_day(provider, day))
            except TooMuchToCompare as error:
                log.warning("not_compared_with_bill", provider=provider, days_back=back, error=str(error))
                left_out.append(f"{provider}, {day_name(day)}: {error}")
            except (ProviderUnavailable, ProviderDenied) as error:
                log.warning("not_compared_with_bill", provider=provider, days_back=back, error=str(error))
                left_out.append(f"{provider}, from {day_name(day)} on: {error}")
                break
    return DaysCompared(tuple(found), tuple(left_out))


def day_name(day: int) -> str:
    """`2026-11-21`."""
    return datetime.fromtimestamp(day // MICROS_PER_SECOND, tz=UTC).strftime("%Y-%m-%d")


def bookkeeping(reconciler: Reconciler, leads: Callable[[], bool], clock: Clock, log: Log) -> Repeater:
    """The duty. It leaves providers in peace while a process starts, and starts again. `leads` says whether this replica does
    what only one of them needs to do.
    """
    due = clock.monotonic() + reconcile_look_seconds

    async def compare() -> None:
        nonlocal due
        if leads() and clock.monotonic() >= due:
            due = clock.monotonic() + reconcile_seconds
            await compare_days(reconciler, clock, log)

    return Repeater("bookkeeping", reconcile_look_seconds, compare, clock, log)
