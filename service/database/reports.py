"""Cost reports: sums over the totals, cut along time, grouped, and filtered. What is held now stands beside them."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Select, Table, case, cast, func, literal, select
from sqlalchemy.sql.elements import ColumnElement

from service.database.ledger_tables import BUCKETS, SUMS
from service.database.sums import Source, rolled_before, sources
from service.database.tables import HOLDING, attempts, job_labels, renders
from service.domain.errors import ReportUnsupported
from service.domain.limits import MICROS_PER_SECOND
from service.domain.queries import (
    OPEN_OUTCOME,
    CostFigures,
    CostQuery,
    CostReport,
    CostRow,
    Interval,
)
from service.domain.records import Grade, Origin

_HOUR: Final = 3_600 * MICROS_PER_SECOND
_DAY: Final = 24 * _HOUR
_NAMES: Final = (*SUMS, "net_estimated_nanos", "net_unconfirmed_nanos")


class Sums:
    """Figures being added up, in the order of `sum_columns`."""

    def __init__(self, count: int) -> None:
        self._values = [0] * count
        self.held = 0

    def add(self, values: Sequence[int]) -> None:
        """Add a row."""
        self._values = list(map(operator.add, self._values, values))

    def join(self, other: Sums) -> None:
        """Add other sums."""
        self.add(other._values)
        self.held += other.held

    def figures(self) -> CostFigures:
        """As an answer."""
        values = self._values
        return CostFigures(
            **dict(zip(_NAMES, values, strict=False)),
            held_nanos=self.held,
            buckets=tuple(values[len(_NAMES) :]),
        )


def sum_columns(table: Table, *, with_buckets: bool = True) -> list[ColumnElement[int]]:
    """What `Sums` adds up."""
    c = table.c
    net = c.charged_nanos + c.corrected_up_nanos - c.corrected_down_nanos
    doubtful = [
        case((c.evidence == grade.value, net), else_=literal(0))
        for grade in (Grade.ESTIMATE, Grade.UNCONFIRMED)
    ]
    buckets = [c[name] for name in BUCKETS] if with_buckets else []
    # As whole numbers, which one engine makes decimals of.
    return [cast(func.sum(one), BigInteger) for one in (*(c[name] for name in SUMS), *doubtful, *buckets)]


def report(connection: Connection, query: CostQuery, now: int) -> CostReport:
    """Carry the query out; `now` is the moment of the snapshot. Raises ReportUnsupported when it comes to more rows than asked
    for at most.
    """
    count = len(_NAMES) + (len(BUCKETS) if query.with_buckets else 0)
    groups: dict[tuple[int, tuple[str, ...]], Sums] = defaultdict(lambda: Sums(count))
    width = 1 + len(query.group_by)
    for source in sources(query, rolled_before(connection)):
        for row in connection.execute(_sums(query, source)):
            groups[_key(query, row)].add(row[width:])
    for row in connection.execute(_held(query)):
        groups[_key(query, row)].held += row[-1]
    if len(groups) > query.limit:
        raise ReportUnsupported(f"the report has more than {query.limit} rows; narrow it")
    total = Sums(count)
    for sums in groups.values():
        total.join(sums)
    rows = tuple(CostRow(start, group, sums.figures()) for (start, group), sums in sorted(groups.items()))
    return CostReport(rows, total.figures(), now if query.as_of is None else min(now, query.as_of))


def _key(query: CostQuery, row: Sequence[Any]) -> tuple[int, tuple[str, ...]]:
    return _interval_start(query, row[0]), tuple(row[1 : 1 + len(query.group_by)])


def _interval_start(query: CostQuery, at: int) -> int:
    """The start of the interval that holds `at`; the range's start for TOTAL."""
    if query.interval is Interval.TOTAL:
        return query.start
    if query.interval is not Interval.MONTH:
        return at
    first = datetime.fromtimestamp(at // MICROS_PER_SECOND, tz=UTC).replace(day=1, hour=0)
    return int(first.timestamp()) * MICROS_PER_SECOND


def _cut(query: CostQuery, hour: ColumnElement[int]) -> ColumnElement[int]:
    """What SQL groups time by: months are days here and are put together in `_interval_start`."""
    if query.interval is Interval.TOTAL:
        return literal(query.start)
    return hour if query.interval is Interval.HOUR else hour - hour % _DAY


def _sums(query: CostQuery, source: Source) -> Select[Any]:
    table = source.table
    conditions = [*source.conditions, *_filters(table, query)]
    if "label" in query.group_by:
        conditions.append(table.c.label_key == query.label_key)
    cut = _cut(query, source.at).label("cut")
    groups = [_dimension(table, name) for name in query.group_by]
    by = groups if query.interval is Interval.TOTAL else [cut, *groups]
    shown: list[Any] = [cut, *groups, *sum_columns(table, with_buckets=query.with_buckets)]
    return select(*shown).where(*conditions).group_by(*by).having(func.count() > 0)


def _dimension(table: Table, name: str) -> ColumnElement[str]:
    return table.c.label_value if name == "label" else table.c[name]


def _filters(table: Table, query: CostQuery) -> Iterable[ColumnElement[bool]]:
    return [table.c[name].in_(values) for name, values in query.filters.items() if values]


def _held(query: CostQuery) -> Select[Any]:
    """Open holds by the time of use; they have no outcome and no evidence yet."""
    value = (
        select(job_labels.c.label_value)
        .where(job_labels.c.job_id == attempts.c.payer_job, job_labels.c.label_key == query.label_key)
        .scalar_subquery()
    )
    columns: dict[str, ColumnElement[Any]] = {
        "project": attempts.c.project,
        "model": renders.c.model,
        "provider": attempts.c.provider,
        "route": attempts.c.route,
        "operation": renders.c.operation,
        "origin": literal(Origin.PROVIDER.value),
        "outcome": literal(OPEN_OUTCOME),
        "evidence": literal(Grade.NONE.value),
        "fault": literal("NONE"),
        "label": func.coalesce(value, ""),
    }
    hour = attempts.c.usage_at - attempts.c.usage_at % _HOUR
    conditions = [columns[name].in_(values) for name, values in query.filters.items() if values]
    held = (
        select(
            _cut(query, hour).label("cut"),
            *(columns[name].label(f"by_{name}") for name in query.group_by),
            attempts.c.hold_nanos.label("nanos"),
        )
        .select_from(attempts.join(renders, renders.c.id == attempts.c.render_id))
        .where(HOLDING, hour >= max(query.start, 1), hour < query.end, *conditions)
        .subquery()
    )
    keys = [held.c.cut, *(held.c[f"by_{name}"] for name in query.group_by)]
    return select(*keys, cast(func.sum(held.c.nanos), BigInteger)).group_by(*keys)
