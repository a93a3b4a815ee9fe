"""Whether there is money left. Pure arithmetic on windows; the store brings the rows under lock.

At every instant `spent - overrun + held <= limit` of a hard budget holds, where overrun is what settled attempts cost
beyond their hold. Admission counts spent in full. Posts are never clamped, holds never shrunk to fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from service.domain.errors import BudgetExceeded
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Budget, Period, Window

_RETRY_SECONDS_MAX = 3_600


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at // MICROS_PER_SECOND, tz=UTC)


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * MICROS_PER_SECOND


def window_start(period: Period, at: int) -> int:
    """The start of the window that holds `at`, UTC, in microseconds; 0 for TOTAL."""
    if period is Period.TOTAL:
        return 0
    moment = _moment(at).replace(hour=0, minute=0, second=0)
    return _micros(moment.replace(day=1) if period is Period.MONTH else moment)


def window_end(period: Period, start: int) -> int | None:
    """The first instant after the window; None for TOTAL."""
    if period is Period.TOTAL:
        return None
    if period is Period.DAY:
        return start + 86_400 * MICROS_PER_SECOND
    moment = _moment(start)
    return _micros(moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1))


def empty_window(budget_id: str, start: int) -> Window:
    """A window in which nothing happened yet."""
    return Window(budget_id, start, 0, 0, 0, 0)


def covering(budgets: Iterable[Budget], project: str, labels: tuple[tuple[str, str], ...]) -> list[Budget]:
    """The live budgets that a job counts against, in a fixed order."""
    return sorted((b for b in budgets if b.live and b.covers(project, labels)), key=lambda b: b.id)


def budget_name(budget: Budget) -> str:
    """How callers read it: `growth/month`, `growth/team=ads/day`."""
    label = f"{budget.label_key}={budget.label_value}/" if budget.label_key else ""
    return f"{budget.project}/{label}{budget.period.value.lower()}"


def check_room(budget: Budget, window: Window, asked_nanos: int, freed_nanos: int, now: int) -> None:
    """Raise BudgetExceeded when a hard budget has no room for the hold.

    `freed_nanos` is what the same transaction gives back to this window; a net of zero or less is never refused.
    """
    net = asked_nanos - freed_nanos
    if not budget.hard or net <= 0 or window.spent_nanos + window.held_nanos + net <= budget.limit_nanos:
        return
    end = window_end(budget.period, window.window_start)
    seconds_left = None if end is None else (end - now) / MICROS_PER_SECOND
    metadata = {
        "budget": budget_name(budget),
        "limitNanos": str(budget.limit_nanos),
        "spentNanos": str(window.spent_nanos),
        "heldNanos": str(window.held_nanos),
        "askedNanos": str(asked_nanos),
    }
    if end is not None:
        metadata["windowEndTime"] = _moment(end).strftime("%Y-%m-%dT%H:%M:%SZ")
    raise BudgetExceeded(
        f"budget {metadata['budget']} has no room for this request",
        metadata=metadata,
        retry_after_seconds=seconds_left
        if seconds_left is not None and seconds_left <= _RETRY_SECONDS_MAX
        else None,
    )


def hold(window: Window, nanos: int) -> Window:
    """Set money aside."""
    return replace(window, held_nanos=window.held_nanos + nanos)


def release(window: Window, hold_nanos: int) -> Window:
    """Give a hold back unspent."""
    return replace(window, held_nanos=window.held_nanos - hold_nanos)


def post(window: Window, hold_nanos: int, amount_nanos: int, *, unconfirmed: bool) -> Window:
    """Turn a hold into money spent, in full, whatever the hold was."""
    return replace(
        window,
        held_nanos=window.held_nanos - hold_nanos,
        spent_nanos=window.spent_nanos + amount_nanos,
        overrun_nanos=window.overrun_nanos + max(0, amount_nanos - hold_nanos),
        unconfirmed_nanos=window.unconfirmed_nanos + (amount_nanos if unconfirmed else 0),
    )


def correct(
    window: Window,
    hold_nanos: int,
    before_nanos: int,
    after_nanos: int,
    *,
    was_unconfirmed: bool,
    is_unconfirmed: bool = False,
) -> Window:
    """Move money spent to what it truly was."""
    doubtful = (after_nanos if is_unconfirmed else 0) - (before_nanos if was_unconfirmed else 0)
    overrun = max(0, after_nanos - hold_nanos) - max(0, before_nanos - hold_nanos)
    return replace(
        window,
        spent_nanos=window.spent_nanos + after_nanos - before_nanos,
        overrun_nanos=window.overrun_nanos + overrun,
        unconfirmed_nanos=window.unconfirmed_nanos + doubtful,
    )
