"""Cost reports: sums over the totals, cut along time, grouped, and filtered. What is held now stands beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, and_, func, literal, select
from sqlalchemy.sql.elements import ColumnElement

from service.database.ledger_tables import BUCKETS, SUMS, label_totals, totals
from service.database.tables import attempts, job_labels, renders
from service.domain.errors import ReportUnsupported
from service.domain.limits import MICROS_PER_SECOND
from service.domain.queries import (
    OPEN_OUTCOME,
    CostBasis,
    CostFigures,
    CostQuery,
    CostReport,
    CostRow,
    Interval,
)
from service.domain.records import Grade, Origin

_HOUR: Final = 3_600 * MICROS_PER_SECOND
_DAY: Final = 24 * _HOUR


@dataclass(slots=True)
class Sums:
    """Figures being added up."""

    values: list[int] = field(default_factory=lambda: [0] * (len(SUMS) + len(BUCKETS)))
    estimated: int = 0
    unconfirmed: int = 0
    held: int = 0

    def add(self, values: Sequence[Any], evidence: str) -> None:
        """Add a row of totals: SUMS, then BUCKETS."""
        for index, value in enumerate(values):
            self.values[index] += int(value)
        net = int(values[0]) + int(values[1]) - int(values[2])
        if evidence == Grade.ESTIMATE.value:
            self.estimated += net
        elif evidence == Grade.UNCONFIRMED.value:
            self.unconfirmed += net

    def figures(self) -> CostFigures:
        """As an answer."""
        named = dict(zip(SUMS, self.values, strict=False))
        return CostFigures(
            **named,
            net_estimated_nanos=self.estimated,
            net_unconfirmed_nanos=self.unconfirmed,
            held_nanos=self.held,
            buckets=tuple(self.values[len(SUMS) :]),
        )


def report(connection: Connection, query: CostQuery, now: int) -> CostReport:
    """Carry the query out; `now` is the moment of the snapshot. Raises ReportUnsupported when it comes to more rows than asked for at most."""
    groups: dict[tuple[int, tuple[str, ...]], Sums] = {}
    total = Sums()
    width = len(query.group_by)
    for row in connection.execute(_sums(query)):
        evidence = row[1 + width]
        _group(groups, query, row).add(row[2 + width :], evidence)
        total.add(row[2 + width :], evidence)
    for row in connection.execute(_held(query)):
        _group(groups, query, row).held += int(row[-1])
        total.held += int(row[-1])
    if len(groups) > query.limit:
        raise ReportUnsupported(f"the report has more than {query.limit} rows; narrow it")
    rows = tuple(CostRow(start, group, sums.figures()) for (start, group), sums in sorted(groups.items()))
    return CostReport(rows, total.figures(), now if query.as_of is None else min(now, query.as_of))


def _group(groups: dict[tuple[int, tuple[str, ...]], Sums], query: CostQuery, row: Sequence[Any]) -> Sums:
    key = _interval_start(query, int(row[0])), tuple(row[1 : 1 + len(query.group_by)])
    return groups.setdefault(key, Sums())


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


def _sums(query: CostQuery) -> Select[Any]:
    labelled = "label" in query.group_by
    table = label_totals if labelled else totals
    hour = table.c.usage_hour if query.basis is CostBasis.USAGE else table.c.booked_hour
    conditions = [hour >= max(query.start, 1), hour < query.end, *_filters(table, query)]
    if labelled:
        conditions.append(table.c.label_key == query.label_key)
    if query.as_of is not None:
        conditions.append(table.c.booked_hour < query.as_of)
    cut = _cut(query, hour).label("cut")
    groups = [_dimension(table, name) for name in query.group_by]
    sums = [func.sum(table.c[name]) for name in (*SUMS, *BUCKETS)]
    keys = [cut, *groups, table.c.evidence]
    by = [*groups, table.c.evidence] if query.interval is Interval.TOTAL else keys
    return select(*keys, *sums).where(*conditions).group_by(*by)


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
        .where(and_(attempts.c.hold_open, hour >= max(query.start, 1), hour < query.end), *conditions)
        .subquery()
    )
    keys = [held.c.cut, *(held.c[f"by_{name}"] for name in query.group_by)]
    return select(*keys, func.sum(held.c.nanos)).group_by(*keys)
