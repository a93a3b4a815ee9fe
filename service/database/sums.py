"""Where the sums of a report are read: days that have ended from their own rows, everything else hour by hour.

What was booked before `rolled_before` (a midnight) is in the rows of days. A span of usage or booking need not begin or end at
midnight: what the days do not cover is read from the hours, so that every answer is the same as from the hours alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select

from service.database.ledger_tables import day_label_totals, day_totals, label_totals, rolled_days, totals
from service.database.rolling import DAY
from service.domain.queries import CostBasis, CostQuery, Interval


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one table that belong to the report, and the time that it goes by."""

    table: Table
    at: ColumnElement[int]
    conditions: tuple[ColumnElement[bool], ...]


def rolled_before(connection: Connection) -> int:
    """Up to when what was booked is in the rows of days; 0: nothing is."""
    last: Any = connection.execute(select(func.max(rolled_days.c.booked_day))).scalar_one()
    return 0 if last is None else int(last) + DAY


def sources(query: CostQuery, rolled: int) -> Iterator[Source]:
    """Parts without overlap that together are the report's rows."""
    labelled = "label" in query.group_by
    hours, days = (label_totals, day_label_totals) if labelled else (totals, day_totals)
    start, end = max(query.start, 1), query.end
    first, last = -(-start // DAY) * DAY, end // DAY * DAY
    whole = rolled if query.as_of is None else min(rolled, query.as_of // DAY * DAY)
    if query.interval is Interval.HOUR or first >= last or whole <= 0:
        yield _hours(hours, query, start, end)
    elif query.basis is CostBasis.USAGE:
        yield from _by_usage(hours, days, query, (start, first, last, end), whole)
    elif first < (last := min(last, whole)):
        c = days.c
        yield Source(days, c.booked_day, (c.booked_day >= first, c.booked_day < last))
        yield from (_hours(hours, query, a, b) for a, b in ((start, first), (last, end)) if a < b)
    else:
        yield _hours(hours, query, start, end)


def _by_usage(
    hours: Table, days: Table, query: CostQuery, at: tuple[int, int, int, int], whole: int
) -> Iterator[Source]:
    start, first, last, end = at
    c, h = days.c, hours.c
    yield Source(days, c.usage_day, (c.usage_day >= first, c.usage_day < last, c.booked_day < whole))
    # Added to nothing, the time of use is no key: few hours were booked since, and these are found by that.
    used = h.usage_hour + 0
    yield Source(
        hours, h.usage_hour, (h.booked_hour >= whole, *_until(query, hours), used >= start, used < end)
    )
    edges = [(a, b) for a, b in ((start, first), (last, end)) if a < b]
    for a, b in edges:
        yield Source(hours, h.usage_hour, (h.usage_hour >= a, h.usage_hour < b, h.booked_hour < whole))


def _hours(hours: Table, query: CostQuery, start: int, end: int) -> Source:
    h = hours.c
    at = h.usage_hour if query.basis is CostBasis.USAGE else h.booked_hour
    return Source(hours, at, (at >= start, at < end, *_until(query, hours)))


def _until(query: CostQuery, hours: Table) -> tuple[ColumnElement[bool], ...]:
    return () if query.as_of is None else (hours.c.booked_hour < query.as_of,)
