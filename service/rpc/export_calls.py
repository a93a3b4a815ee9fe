"""The calls of the LedgerService that finance files: statements and FOCUS exports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import ledger_service_pb2_grpc

from service.core.export import ExportBegin, ExportEnd, ExportPart
from service.domain.drawing import Operation
from service.domain.errors import ReportUnsupported
from service.domain.focus import COLUMNS, FOCUS_VERSION
from service.domain.limits import MICROS_PER_SECOND, export_page_rows, report_range_hours_max
from service.domain.queries import ChargeQuery
from service.domain.statement import Statement, StatementLine, month_span
from service.ports import Clock, LedgerExports
from service.rpc import enums, syntax
from service.rpc.identity import Caller, Callers
from service.rpc.instants import stamp
from service.rpc.money_out import money
from service.rpc.syntax import Faults

_HOUR: Final = 3_600 * MICROS_PER_SECOND


class Exports(Protocol):
    """`service.core.export.FocusExport`."""

    def export(self, query: ChargeQuery) -> AsyncIterator[ExportPart]:
        """Begin, chunks, end."""
        ...


class ExportCalls(ledger_service_pb2_grpc.LedgerServiceServicer):
    """GetStatement, ExportFocus. An admin sees every project, everybody else the own one."""

    _callers: Callers
    _clock: Clock
    _books: LedgerExports
    _focus: Exports

    async def GetStatement(self, request: pb.GetStatementRequest, context: Any) -> pb.GetStatementResponse:
        """The account of one project for one month."""
        caller = self._callers.identify(context)
        faults = Faults()
        syntax.project(faults, "project", request.project)
        span = month_span(request.month)
        if span is None:
            faults.add("month", "must be a UTC month such as 2026-11", actual=syntax.shown(request.month))
        elif span[0] > self._clock.now():
            faults.add("month", "has not begun", actual=request.month)
        faults.refuse()
        return _statement(await self._books.statement(caller.seeing(request.project), request.month))

    async def ExportFocus(
        self, request: pb.ExportFocusRequest, context: Any
    ) -> AsyncIterator[pb.ExportFocusResponse]:
        """The costs of a range as CSV; without its trailer it is to be thrown away."""
        query = _read_export(self._callers.identify(context), request)
        async for part in self._focus.export(query):
            yield _part(part)


def _read_export(caller: Caller, request: pb.ExportFocusRequest) -> ChargeQuery:
    faults = Faults()
    syntax.project(faults, "project", request.project)
    start, end = syntax.hours(faults, "range", request.range)
    if request.HasField("as_of_time"):
        end = min(end, syntax.micros(faults, "as_of_time", request.as_of_time))
    faults.refuse()
    hours = (end - start) // _HOUR
    if hours > report_range_hours_max:
        raise ReportUnsupported(
            f"range: at most {report_range_hours_max} hours",
            metadata={"field": "range", "accepted": f"{report_range_hours_max} hours", "actual": str(hours)},
        )
    project = caller.seeing(request.project) if request.project else caller.sees_all_or_own()
    return ChargeQuery(project, export_page_rows, start, max(start, end))


def _part(part: ExportPart) -> pb.ExportFocusResponse:
    if isinstance(part, bytes):
        return pb.ExportFocusResponse(chunk=part)
    if isinstance(part, ExportBegin):
        header = pb.FocusHeader(focus_version=FOCUS_VERSION, columns=COLUMNS, as_of_time=stamp(part.as_of))
        return pb.ExportFocusResponse(header=header)
    assert isinstance(part, ExportEnd)
    trailer = pb.FocusTrailer(
        row_count=part.row_count, billed_cost=money(part.billed_nanos), sha256=part.sha256
    )
    return pb.ExportFocusResponse(trailer=trailer)


def _statement(statement: Statement) -> pb.GetStatementResponse:
    return pb.GetStatementResponse(
        project=statement.project,
        month=statement.month,
        closed=statement.closed,
        opening_held=money(statement.opening_held_nanos),
        charged=money(statement.charged_nanos),
        corrected_this_month=money(statement.corrected_this_month_nanos),
        corrected_earlier_months=money(statement.corrected_earlier_months_nanos),
        storage=money(statement.storage_nanos),
        total=money(statement.total_nanos),
        closing_held=money(statement.closing_held_nanos),
        rows=[_line(line) for line in statement.lines],
        sha256=statement.sha256,
    )


def _line(line: StatementLine) -> pb.StatementRow:
    operation: Any = enums.OPERATIONS[Operation(line.operation)] if line.operation else 0
    return pb.StatementRow(
        model=line.model,
        provider=line.provider,
        operation=operation,
        job_count=line.jobs,
        image_count=line.images,
        charged=money(line.charged_nanos),
        corrected_this_month=money(line.corrected_this_month_nanos),
        corrected_earlier_months=money(line.corrected_earlier_months_nanos),
        total=money(line.total_nanos),
    )
