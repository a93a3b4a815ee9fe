"""From reports and transfers to the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, Final

from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import money_pb2

from service.domain.drawing import Operation
from service.domain.failure import Fault
from service.domain.queries import OPEN_OUTCOME, CostFigures, CostReport, CostRow
from service.domain.records import Grade, JobState, Origin, Transfer
from service.domain.totals import LATENCY_BOUNDS_SECONDS
from service.rpc import enums
from service.rpc.instants import span_of_seconds, stamp
from service.rpc.ledger_in import LABEL, AskedReport
from service.rpc.money_out import money

_QUANTILES: Final = (("p50", 50), ("p90", 90), ("p99", 99))
_ENUMS: Final[Mapping[str, tuple[type[Enum], enums.Numbers[Any]]]] = {
    "operation": (Operation, enums.OPERATIONS),
    "origin": (Origin, enums.ORIGINS),
    "outcome": (JobState, enums.JOB_STATES),
    "evidence": (Grade, enums.EVIDENCES),
    "fault": (Fault, enums.FAULTS),
}


def report_rows(asked: AskedReport, report: CostReport) -> tuple[list[CostRow], CostFigures]:
    """The rows as the caller asked for them, and their total.

    Rows that look the same outside are added up: the label that was only filtered by goes, and two grades without
    evidence are one.
    """
    at = asked.query.group_by.index(LABEL) if asked.label_value is not None else -1
    merged: dict[tuple[int, tuple[str, ...]], CostFigures] = {}
    for row in report.rows:
        if asked.label_value is not None and row.group[at] != asked.label_value:
            continue
        pairs = zip(asked.query.group_by, row.group, strict=True)
        group = tuple(_seen(name, value) for name, value in pairs if name in asked.group_by)
        key = (row.interval_start, group)
        merged[key] = added(merged[key], row.figures) if key in merged else row.figures
    rows = [CostRow(start, group, figures) for (start, group), figures in sorted(merged.items())]
    if asked.label_value is None:
        return rows, report.total
    total = CostFigures()
    for one in rows:
        total = added(total, one.figures)
    return rows, total


def _seen(name: str, value: str) -> str:
    return Grade.NONE.value if name == "evidence" and value == Grade.UNCONFIRMED.value else value


def added(one: CostFigures, other: CostFigures) -> CostFigures:
    """The sum of two rows."""
    sums: dict[str, Any] = {
        field.name: getattr(one, field.name) + getattr(other, field.name)
        for field in fields(CostFigures)
        if field.name != "buckets"
    }
    length = max(len(one.buckets), len(other.buckets))
    padded = [(*figures.buckets, *[0] * (length - len(figures.buckets))) for figures in (one, other)]
    return CostFigures(**sums, buckets=tuple(a + b for a, b in zip(*padded, strict=True)))


def figures_message(figures: CostFigures) -> pb.CostFigures:
    """Sums; `held` belongs to the present."""
    return pb.CostFigures(
        job_count=figures.jobs,
        attempt_count=figures.attempts,
        image_count=figures.images,
        charged=money(figures.charged_nanos),
        corrected_up=money(figures.corrected_up_nanos),
        corrected_down=money(figures.corrected_down_nanos),
        net=money(figures.net_nanos),
        held=money(figures.held_nanos),
        avoided=money(figures.avoided_nanos),
        net_estimated=money(figures.net_estimated_nanos),
        net_unconfirmed=money(figures.net_unconfirmed_nanos),
    )


def row_message(asked: AskedReport, row: CostRow) -> pb.CostRow:
    """One row of a report."""
    message = pb.CostRow(
        interval_start_time=stamp(row.interval_start or asked.query.start),
        group=_group(zip(asked.group_by, row.group, strict=True)),
        figures=figures_message(row.figures),
    )
    if asked.include_latency and any(row.figures.buckets):
        message.latency.CopyFrom(latency(row.figures.buckets))
    return message


def _group(pairs: Iterable[tuple[str, str]]) -> pb.CostGroup:
    group = pb.CostGroup()
    for name, value in pairs:
        if name == LABEL:
            group.label_value = value
        elif name in _ENUMS:
            kind, table = _ENUMS[name]
            # Present and unspecified: the rows have no such value, or not yet.
            setattr(group, name, table[kind(value)] if value not in ("", OPEN_OUTCOME) else 0)
        else:
            setattr(group, name, value)
    return group


def latency(buckets: tuple[int, ...]) -> money_pb2.Latency:
    """Quantiles as the upper bounds of their buckets: "at most this long" is then true. Beyond the last: absent."""
    count = sum(buckets)
    message = money_pb2.Latency(sample_count=count)
    for name, percent in _QUANTILES:
        reached = 0
        for index, jobs in enumerate(buckets):
            reached += jobs
            if reached * 100 >= count * percent:
                if index < len(LATENCY_BOUNDS_SECONDS):
                    getattr(message, name).CopyFrom(span_of_seconds(LATENCY_BOUNDS_SECONDS[index]))
                break
    return message


def transfer_message(transfer: Transfer) -> pb.Transfer:
    """One row of the ledger."""
    return pb.Transfer(
        source=transfer.source,
        ordinal=transfer.ordinal,
        kind=enums.TRANSFER_KINDS[transfer.kind],
        debit=transfer.debit,
        credit=transfer.credit,
        amount=money(transfer.amount_nanos),
        job_id=transfer.job_id,
        attempt_number=transfer.attempt_number,
        evidence=enums.EVIDENCES[transfer.grade],
        price_version=transfer.price_version,
        usage_time=stamp(transfer.usage_at),
        book_time=stamp(transfer.booked_at),
        memo=transfer.memo,
    )
