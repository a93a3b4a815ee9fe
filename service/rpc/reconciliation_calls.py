"""The calls of the LedgerService about comparisons with the providers' bills."""

from __future__ import annotations

from typing import Any

from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import ledger_service_pb2_grpc

from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.catalog import PROVIDERS
from service.domain.queries import DiscrepancyQuery, ReconciliationQuery
from service.ports import BooksReader
from service.rpc import enums, syntax
from service.rpc.identity import Callers
from service.rpc.instants import stamp
from service.rpc.money_out import money
from service.rpc.paging import Cursor
from service.rpc.syntax import Faults


class ReconciliationCalls(ledger_service_pb2_grpc.LedgerServiceServicer):
    """ListReconciliations, ListDiscrepancies: for admins, because a provider's bill is that of all projects."""

    _callers: Callers
    _reconciled: BooksReader

    async def ListReconciliations(
        self, request: pb.ListReconciliationsRequest, context: Any
    ) -> pb.ListReconciliationsResponse:
        """A page of comparisons, newest first."""
        caller = self._callers.identify(context)
        faults = Faults()
        _check_provider(faults, request.provider)
        start, end = syntax.open_range(faults, "range", request.range)
        faults.refuse()
        caller.require_admin()
        cursor = Cursor(caller.project, request, request.page_size)
        query = ReconciliationQuery(
            limit=cursor.size + 1,
            provider=request.provider or None,
            after=cursor.after(request.page_token, (int, str, str, int, int)),
            started_from=start,
            started_before=end,
        )
        found = (await self._reconciled.reconciliations(query)).reconciliations
        shown = found[: cursor.size]
        response = pb.ListReconciliationsResponse(reconciliations=[_reconciliation(one) for one in shown])
        if len(found) > cursor.size:
            response.next_page_token = cursor.token(_place(shown[-1]))
        return response

    async def ListDiscrepancies(
        self, request: pb.ListDiscrepanciesRequest, context: Any
    ) -> pb.ListDiscrepanciesResponse:
        """A page of charges in dispute, newest first."""
        caller = self._callers.identify(context)
        faults = Faults()
        _check_provider(faults, request.provider)
        sides: tuple[Side, ...] = faults.chosen("sides", request.sides, enums.members(enums.SIDES))
        start, end = syntax.open_range(faults, "range", request.range)
        faults.refuse()
        caller.require_admin()
        cursor = Cursor(caller.project, request, request.page_size)
        query = DiscrepancyQuery(
            limit=cursor.size + 1,
            provider=request.provider or None,
            sides=sides,
            include_resolved=request.include_resolved,
            after=cursor.after(request.page_token, (int, str, str, str)),
            used_from=start,
            used_before=end,
        )
        found = (await self._reconciled.discrepancies(query)).discrepancies
        shown = found[: cursor.size]
        response = pb.ListDiscrepanciesResponse(discrepancies=[_discrepancy(one) for one in shown])
        if len(found) > cursor.size:
            last = shown[-1]
            response.next_page_token = cursor.token(
                [last.usage_at, last.provider, last.side.value, last.subject]
            )
        return response


def _check_provider(faults: Faults, provider: str) -> None:
    if provider and provider not in PROVIDERS:
        faults.add("provider", f"must be one of {', '.join(PROVIDERS)}", actual=syntax.shown(provider))


def _place(one: Reconciliation) -> list[str | int]:
    return [one.started_at, one.provider, one.grade.value, one.range_from, one.number]


def _reconciliation(one: Reconciliation) -> pb.Reconciliation:
    return pb.Reconciliation(
        reconciliation_id=one.id,
        provider=one.provider,
        range=pb.TimeRange(start_time=stamp(one.range_from), end_time=stamp(one.range_before)),
        evidence=enums.EVIDENCES[one.grade],
        complete=one.complete,
        ledger_amount=money(one.ledger_nanos),
        billed_amount=money(one.billed_nanos),
        corrected=money(one.corrected_nanos),
        drift=money(one.drift_nanos),
        matched_count=one.matched_count,
        unmatched_ledger_count=one.unmatched_ledger_count,
        unmatched_provider_count=one.unmatched_provider_count,
        start_time=stamp(one.started_at),
        finish_time=stamp(one.finished_at),
    )


def _discrepancy(one: Discrepancy) -> pb.Discrepancy:
    message = pb.Discrepancy(
        discrepancy_id=f"{one.provider}-{one.side.value.lower()}-{one.subject}",
        provider=one.provider,
        side=enums.SIDES[one.side],
        endpoint=one.endpoint,
        bill_id=one.bill_id,
        provider_request_id=one.provider_id,
        job_id=one.job_id,
        attempt_number=one.attempt_number,
        usage_time=stamp(one.usage_at),
        create_time=stamp(one.created_at),
        resolution=one.resolution,
    )
    if one.ledger_nanos is not None:
        message.ledger_amount.CopyFrom(money(one.ledger_nanos))
    if one.billed_nanos is not None:
        message.billed_amount.CopyFrom(money(one.billed_nanos))
    if one.resolved_at is not None:
        message.resolve_time.CopyFrom(stamp(one.resolved_at))
    return message
