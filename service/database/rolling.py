"""Summing days of booking that have ended, and keeping what was counted. Each day is summed once: `rolled_days` says which."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Table

from service.database import ledger_tables as money
from service.database.dialect import Dialect
from service.database.session import Session
from service.domain.commands import RecordStored, RollDays
from service.domain.limits import MICROS_PER_SECOND, roll_settle_seconds

DAY: Final = 24 * 3_600 * MICROS_PER_SECOND
_SETTLE: Final = roll_settle_seconds * MICROS_PER_SECOND


class Rolling:
    """Prebuilt for one engine; used by one thread at a time."""

    def __init__(self, dialect: Dialect) -> None:
        p = dialect.param
        self._lock = dialect.lock_table(money.rolled_days, readers_too=False)
        self._last = "SELECT max(booked_day) FROM rolled_days"
        self._first = "SELECT min(booked_hour) FROM totals WHERE booked_hour > 0"
        self._mark = f"INSERT INTO rolled_days (booked_day, rolled_at) VALUES ({p('day')}, {p('now')})"
        self._sums = [
            _sum(money.totals, money.day_totals, money.DIMENSIONS, p("day"), p("end")),
            _sum(
                money.label_totals,
                money.day_label_totals,
                (*money.DIMENSIONS, "label_key", "label_value"),
                p("day"),
                p("end"),
            ),
        ]
        self._lock_stored = dialect.lock_table(money.stored_bytes, readers_too=False)
        self._forget_stored = "DELETE FROM stored_bytes"
        self._stored = dialect.insert(money.stored_bytes)

    def roll(self, session: Session, command: RollDays, now: int) -> int:
        """Sum the next days, in order and without a gap. Answers how many."""
        if self._lock is not None:
            session.run(self._lock)
        day = self._next(session)
        count = 0
        while day is not None and count < command.days_max and day + DAY + _SETTLE <= now:
            for statement in self._sums:
                session.run(statement, {"day": day, "end": day + DAY})
            session.run(self._mark, {"day": day, "now": now})
            day += DAY
            count += 1
        return count

    def _next(self, session: Session) -> int | None:
        last: Any = session.rows(self._last)[0][0]
        if last is not None:
            return int(last) + DAY
        first: Any = session.rows(self._first)[0][0]
        return None if first is None else int(first) // DAY * DAY

    def record_stored(self, session: Session, command: RecordStored, now: int) -> None:
        """Replace what was counted before."""
        if self._lock_stored is not None:
            session.run(self._lock_stored)
        session.run(self._forget_stored)
        self._stored(session, [[project, size, now] for project, size in sorted(command.sizes)])


def _sum(source: Table, into: Table, keys: tuple[str, ...], day: str, end: str) -> str:
    sums = (*money.SUMS, *money.BUCKETS)
    named, summed = ", ".join((*keys, *sums)), ", ".join(f"sum({name})" for name in sums)
    usage_day = f"usage_hour - usage_hour % {DAY}"
    # The percent sign is doubled for the driver whose parameters have one.
    usage_day = usage_day.replace("%", "%%") if day.startswith("%") else usage_day
    return (
        f"INSERT INTO {into.name} (usage_day, booked_day, {named}) "
        f"SELECT {usage_day}, {day}, {', '.join(keys)}, {summed} FROM {source.name} "
        f"WHERE booked_hour >= {day} AND booked_hour < {end} GROUP BY {usage_day}, {', '.join(keys)}"
    )
