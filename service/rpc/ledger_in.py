"""From requests of the LedgerService to the queries of the ledger's reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from lightmeter.v1 import ledger_service_pb2 as pb

from service.domain.errors import ReportUnsupported
from service.domain.limits import MICROS_PER_SECOND, report_range_hours_max, report_rows_max
from service.domain.queries import CostBasis, CostQuery, Interval, TransferQuery
from service.rpc import enums, syntax
from service.rpc.identity import Caller, Role
from service.rpc.paging import Cursor
from service.rpc.syntax import Faults

_HOUR: Final = 3_600 * MICROS_PER_SECOND
_BASES: Final = {
    pb.COST_BASIS_UNSPECIFIED: CostBasis.USAGE,
    pb.COST_BASIS_USAGE: CostBasis.USAGE,
    pb.COST_BASIS_BOOKED: CostBasis.BOOKED,
}
_INTERVALS: Final = {
    pb.COST_INTERVAL_UNSPECIFIED: Interval.TOTAL,
    pb.COST_INTERVAL_HOUR: Interval.HOUR,
    pb.COST_INTERVAL_DAY: Interval.DAY,
    pb.COST_INTERVAL_MONTH: Interval.MONTH,
}
_DIMENSIONS: Final = {
    number: name.removeprefix("COST_DIMENSION_").lower()
    for name, number in pb.CostDimension.items()
    if number
}
_KINDS: Final = enums.members(enums.TRANSFER_KINDS)
_FILTERS: Final[dict[str, tuple[str, dict[int, Any]]]] = {
    "operation": ("operations", dict(enums.members(enums.OPERATIONS))),
    "origin": ("origins", dict(enums.members(enums.ORIGINS))),
    "outcome": ("outcomes", dict(enums.members(enums.JOB_STATES))),
    "evidence": ("evidences", {n: one for n, one in enums.members(enums.EVIDENCES).items() if n}),
    "fault": ("faults", {n: one for n, one in enums.members(enums.FAULTS).items() if n}),
}
LABEL: Final = "label"


@dataclass(frozen=True, slots=True)
class AskedReport:
    """What to ask the reader for, and what to do with its rows."""

    query: CostQuery
    group_by: tuple[str, ...]
    """The dimensions that the caller sees; the query may have the label beside them."""
    label_value: str | None
    """Keep only rows with this value of the label; None keeps all."""
    include_latency: bool


def read_report(caller: Caller, request: pb.SummarizeCostsRequest) -> AskedReport:
    """Raises FieldInvalid, RoleInsufficient or ReportUnsupported."""
    faults = Faults()
    start, end = syntax.hours(faults, "range", request.range)
    basis = _BASES.get(request.basis)
    if basis is None:
        faults.add("basis", f"unknown value {request.basis}", actual=request.basis)
    interval = _INTERVALS.get(request.interval)
    if interval is None:
        faults.add("interval", f"unknown value {request.interval}", actual=request.interval)
    group_by = _group_by(faults, request)
    filters = _filters(faults, request.filter)
    labels = syntax.labels(faults, "filter.labels", request.filter.labels)
    as_of = None
    if request.HasField("as_of_time"):
        as_of = syntax.micros(faults, "as_of_time", request.as_of_time)
        if as_of % _HOUR:
            faults.add("as_of_time", "must be a whole UTC hour")
    faults.refuse()
    assert basis is not None
    assert interval is not None
    _see(caller, filters)
    label_key = _label_key(request.label_key, labels)
    _check_span(start, end)
    asked = (*group_by, LABEL) if labels and LABEL not in group_by else group_by
    query = CostQuery(
        start=start,
        end=end,
        basis=basis,
        interval=interval,
        group_by=asked,
        label_key=label_key,
        filters=filters,
        limit=report_rows_max + 1,
        with_buckets=request.include_latency,
        as_of=as_of,
    )
    return AskedReport(query, group_by, labels[0][1] if labels else None, request.include_latency)


def _check_span(start: int, end: int) -> None:
    hours = (end - start) // _HOUR
    if hours > report_range_hours_max:
        raise ReportUnsupported(
            f"range: at most {report_range_hours_max} hours",
            metadata={"field": "range", "accepted": f"{report_range_hours_max} hours", "actual": str(hours)},
        )


def _group_by(faults: Faults, request: pb.SummarizeCostsRequest) -> tuple[str, ...]:
    names: list[str] = []
    for index, number in enumerate(request.group_by[: len(_DIMENSIONS) + 1]):
        name = _DIMENSIONS.get(number)
        if name is None:
            faults.add(f"group_by[{index}]", f"unknown value {number}", actual=number)
        elif name in names:
            faults.add(f"group_by[{index}]", "each dimension at most once")
        else:
            names.append(name)
    if LABEL in names and not request.label_key:
        faults.add("label_key", "is required with LABEL in group_by")
    if request.label_key and not syntax.is_label_key(request.label_key):
        faults.add("label_key", "is no label's key")
    return tuple(names)


def _filters(faults: Faults, asked: pb.CostFilter) -> dict[str, tuple[str, ...]]:
    filters: dict[str, tuple[str, ...]] = {}
    for name in ("project", "model", "provider", "route"):
        values = faults.names(f"filter.{name}s", getattr(asked, f"{name}s"))
        if values:
            filters[name] = values
    for name, (field, known) in _FILTERS.items():
        chosen = faults.chosen(f"filter.{field}", getattr(asked, field), known)
        if chosen:
            filters[name] = tuple(str(one.value) for one in chosen)
    return filters


def _see(caller: Caller, filters: dict[str, tuple[str, ...]]) -> None:
    """Limit the report to what the caller may see; an admin sees every project."""
    if "project" in filters:
        for project in filters["project"]:
            caller.seeing(project)
    elif caller.role is not Role.ADMIN:
        filters["project"] = (caller.project,)


def _label_key(grouped: str, labels: tuple[tuple[str, str], ...]) -> str:
    if len(labels) > 1 or (labels and grouped and labels[0][0] != grouped):
        raise ReportUnsupported(
            "a report can look at one label only", metadata={"field": "filter.labels", "accepted": "1"}
        )
    return labels[0][0] if labels else grouped


# ---------------------------------------------------------------- transfers


def read_transfers(caller: Caller, request: pb.ListTransfersRequest) -> tuple[list[TransferQuery], Cursor]:
    """One query per project that is asked for, each for one row more than the page has, and the cursor."""
    faults = Faults()
    projects = faults.names("filter.projects", request.filter.projects)
    providers = faults.names("filter.providers", request.filter.providers)
    kinds = faults.chosen("filter.kinds", request.filter.kinds, _KINDS)
    booked_from, booked_before = syntax.open_range(faults, "range", request.range)
    job_id = request.filter.job_id
    if job_id and not syntax.printable(job_id):
        faults.add("filter.job_id", "is no job's id")
    faults.refuse()
    seen: list[str | None] = [caller.seeing(one) for one in projects]
    if not seen:
        seen = [None if caller.role is Role.ADMIN else caller.project]
    cursor = Cursor(caller.project, request, request.page_size)
    after = cursor.after(request.page_token, (int, str, int))
    queries = [
        TransferQuery(
            project=project,
            limit=cursor.size + 1,
            after=after,
            booked_from=booked_from,
            booked_before=booked_before,
            job_id=job_id or None,
            kinds=tuple(one.value for one in kinds),
            providers=providers,
        )
        for project in dict.fromkeys(seen)
    ]
    return queries, cursor
