"""LedgerService: reports, transfers and receipts."""

from __future__ import annotations

from typing import Any

from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import ledger_service_pb2_grpc

from service.domain.errors import FieldInvalid, JobNotFound, ReportUnsupported
from service.domain.limits import report_rows_max
from service.ports import BooksReader, Clock, JobReader, LedgerExports, LedgerReader
from service.rpc import syntax
from service.rpc.budget_calls import BudgetCalls, BudgetUseCases
from service.rpc.export_calls import ExportCalls, Exports
from service.rpc.identity import Callers
from service.rpc.instants import stamp
from service.rpc.ledger_in import read_report, read_transfers
from service.rpc.ledger_out import figures_message, report_rows, row_message, transfer_message
from service.rpc.paging import Cursor
from service.rpc.receipts import Receipts
from service.rpc.reconciliation_calls import ReconciliationCalls
from service.rpc.whatif_calls import Questions, WhatIfCalls


class LedgerReading(ledger_service_pb2_grpc.LedgerServiceServicer):
    """What is served: an admin sees every project, everybody else the own one."""

    def __init__(
        self, *, callers: Callers, ledger: LedgerReader, jobs: JobReader, receipts: Receipts
    ) -> None:
        self._callers = callers
        self._ledger = ledger
        self._jobs = jobs
        self._receipts = receipts

    async def SummarizeCosts(
        self, request: pb.SummarizeCostsRequest, context: Any
    ) -> pb.SummarizeCostsResponse:
        """Totals by time and by dimensions."""
        caller = self._callers.identify(context)
        asked = read_report(caller, request)
        cursor = Cursor(caller.project, request, request.page_size)
        after = cursor.after(request.page_token, (int, list))
        report = await self._ledger.costs(asked.query)
        if len(report.rows) > report_rows_max:
            raise ReportUnsupported(
                f"the report has more than {report_rows_max} rows; take a shorter range or fewer dimensions",
                metadata={"accepted": f"{report_rows_max} rows"},
            )
        rows, total = report_rows(asked, report)
        if after is not None:
            rows = [row for row in rows if [row.interval_start, list(row.group)] > list(after)]
        shown = rows[: cursor.size]
        response = pb.SummarizeCostsResponse(
            rows=[row_message(asked, row) for row in shown],
            total=figures_message(total),
            as_of_time=stamp(report.as_of),
        )
        if len(rows) > cursor.size:
            last = shown[-1]
            response.next_page_token = cursor.token([last.interval_start, list(last.group)])
        return response

    async def ListTransfers(self, request: pb.ListTransfersRequest, context: Any) -> pb.ListTransfersResponse:
        """A page of the journal."""
        caller = self._callers.identify(context)
        queries, cursor = read_transfers(caller, request)
        pages = [await self._ledger.transfers(query) for query in queries]
        rows = sorted(
            (row for page in pages for row in page.transfers),
            key=lambda row: (row.booked_at, row.source, row.ordinal),
        )
        shown = rows[: cursor.size]
        response = pb.ListTransfersResponse(
            transfers=[transfer_message(row) for row in shown],
            complete_through=stamp(min(page.complete_through for page in pages)),
        )
        if len(rows) > cursor.size:
            last = shown[-1]
            response.next_page_token = cursor.token([last.booked_at, last.source, last.ordinal])
        return response

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Any) -> pb.GetReceiptResponse:
        """The newest receipt of a job."""
        caller = self._callers.identify(context)
        if not request.job_id:
            raise FieldInvalid.of("job_id", "must not be empty", limit=1, actual=0)
        view = await self._jobs.view(request.job_id) if syntax.printable(request.job_id) else None
        if view is None or view.job.project != caller.project:
            raise JobNotFound("this project has no such job")
        return pb.GetReceiptResponse(receipt=await self._receipts.receipt(view))


class LedgerService(LedgerReading, BudgetCalls, ExportCalls, ReconciliationCalls, WhatIfCalls):
    """The servicer: a file for each kind of call."""

    def __init__(
        self,
        *,
        callers: Callers,
        ledger: LedgerReader,
        jobs: JobReader,
        receipts: Receipts,
        budgets: BudgetUseCases,
        books: LedgerExports,
        focus: Exports,
        reconciled: BooksReader,
        whatif: Questions,
        clock: Clock,
    ) -> None:
        super().__init__(callers=callers, ledger=ledger, jobs=jobs, receipts=receipts)
        self._budgets = budgets
        self._books = books
        self._focus = focus
        self._reconciled = reconciled
        self._whatif = whatif
        self._clock = clock
