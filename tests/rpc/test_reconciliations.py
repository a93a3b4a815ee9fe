"""ListReconciliations and ListDiscrepancies on the wire."""

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import money_pb2

from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.records import Grade
from service.rpc.identity import Caller, Role
from tests.rpc.rig import Rig, opened, refused
from tests.rpc.samples import T0

DAY = 24 * 3_600 * 1_000_000


class Ordinary:
    """Callers without the admin's role."""

    def identify(self, context: object) -> Caller:
        """Always the same."""
        return Caller("growth", Role.CALLER)


def at(micros: int) -> Timestamp:
    """A time."""
    stamp = Timestamp()
    stamp.FromMicroseconds(micros)
    return stamp


def reconciliation(day: int, **changes: Any) -> Reconciliation:
    """A comparison of a day of January with fal's billing events, made on the next one."""
    made = Reconciliation(
        provider="fal", grade=Grade.BILLING_EVENT, range_from=T0 + day * DAY, number=1,
        range_before=T0 + (day + 1) * DAY, complete=True, ledger_nanos=100, billed_nanos=130, corrected_nanos=20,
        matched_count=7, unmatched_ledger_count=2, unmatched_provider_count=1,
        started_at=T0 + (day + 1) * DAY, finished_at=T0 + (day + 1) * DAY + 5,
    )  # fmt: skip
    return replace(made, **changes)


def discrepancy(subject: str, day: int = 0, **changes: Any) -> Discrepancy:
    """A charge of fal's that no attempt has."""
    made = Discrepancy(
        provider="fal", side=Side.PROVIDER, subject=subject, endpoint="fal-ai/flux/dev", bill_id=subject,
        provider_id="request-9", attempt_id="", job_id="", attempt_number=0, ledger_nanos=None,
        billed_nanos=25_000_000, usage_at=T0 + day * DAY, created_at=T0 + (day + 1) * DAY, resolved_at=None,
        resolution="",
    )  # fmt: skip
    return replace(made, **changes)


def keep(rig: Rig, *rows: Reconciliation | Discrepancy) -> None:
    """Put rows into the tables."""
    tables = rig.store.tables
    for row in rows:
        if isinstance(row, Reconciliation):
            tables.reconciliations[row.provider, row.grade, row.range_from, row.number] = row
        else:
            tables.discrepancies[row.provider, row.side, row.subject] = row


async def compared(rig: Rig, **fields: Any) -> pb.ListReconciliationsResponse:
    """A page of comparisons."""
    answer: pb.ListReconciliationsResponse = await rig.books.ListReconciliations(
        pb.ListReconciliationsRequest(**fields), timeout=5
    )
    return answer


async def disputed(rig: Rig, **fields: Any) -> pb.ListDiscrepanciesResponse:
    """A page of charges in dispute."""
    answer: pb.ListDiscrepanciesResponse = await rig.books.ListDiscrepancies(
        pb.ListDiscrepanciesRequest(**fields), timeout=5
    )
    return answer


async def test_a_comparison_shows_both_sides_and_what_is_unexplained(rig: Rig) -> None:
    """Everything that was kept of it, and the drift: billed minus ledger minus corrected."""
    keep(rig, reconciliation(0))
    [one] = (await compared(rig)).reconciliations
    amounts = (one.ledger_amount, one.billed_amount, one.corrected, one.drift)
    assert [100, 130, 20, 10] == [amount.amount_nanos for amount in amounts]
    assert ("fal", money_pb2.EVIDENCE_BILLING_EVENT, True, 7, 2, 1) == (
        one.provider, one.evidence, one.complete, one.matched_count, one.unmatched_ledger_count,
        one.unmatched_provider_count,
    )  # fmt: skip
    times = (one.range.start_time, one.range.end_time, one.start_time, one.finish_time)
    assert [T0, T0 + DAY, T0 + DAY, T0 + DAY + 5] == [time.ToMicroseconds() for time in times]
    assert one.reconciliation_id


async def test_pages_of_comparisons_follow_one_another(rig: Rig) -> None:
    """Newest first, without gaps and repeats; ids differ; a token of another query is refused."""
    keep(rig, *(reconciliation(day) for day in range(3)), reconciliation(0, number=2))
    first = await compared(rig, page_size=3)
    second = await compared(rig, page_size=3, page_token=first.next_page_token)
    shown = [*first.reconciliations, *second.reconciliations]
    assert [2, 1, 0, 0] == [(one.range.start_time.ToMicroseconds() - T0) // DAY for one in shown]
    assert (4, "") == (len({one.reconciliation_id for one in shown}), second.next_page_token)
    other = pb.ListReconciliationsRequest(provider="fal", page_token=first.next_page_token)
    refusal = await refused(rig.books.ListReconciliations(other, timeout=5))
    assert "ERROR_REASON_PAGE_TOKEN_INVALID" == refusal.reason


async def test_comparisons_are_found_by_provider_and_by_when_they_began(rig: Rig) -> None:
    """Either end of the range may be absent; it is half-open."""
    keep(rig, reconciliation(0), reconciliation(1), reconciliation(1, provider="replicate"))
    assert 1 == len((await compared(rig, provider="replicate")).reconciliations)
    border = at(T0 + 2 * DAY)
    assert 2 == len((await compared(rig, range=pb.TimeRange(start_time=border))).reconciliations)
    assert 1 == len((await compared(rig, range=pb.TimeRange(end_time=border))).reconciliations)


async def test_a_discrepancy_says_who_knows_what(rig: Rig) -> None:
    """An amount that a side does not have is absent, not zero."""
    keep(
        rig,
        discrepancy("bill-1", 1),
        discrepancy(
            "attempt-1", 0, side=Side.LEDGER, bill_id="", attempt_id="attempt-1", job_id="job-1", attempt_number=2,
            ledger_nanos=40, billed_nanos=None,
        ),
    )  # fmt: skip
    stranger, missing = (await disputed(rig)).discrepancies
    assert (pb.DISCREPANCY_SIDE_PROVIDER, False, 25_000_000, "bill-1", "request-9") == (
        stranger.side, stranger.HasField("ledger_amount"), stranger.billed_amount.amount_nanos, stranger.bill_id,
        stranger.provider_request_id,
    )  # fmt: skip
    assert (pb.DISCREPANCY_SIDE_LEDGER, 40, False, "job-1", 2) == (
        missing.side, missing.ledger_amount.amount_nanos, missing.HasField("billed_amount"), missing.job_id,
        missing.attempt_number,
    )  # fmt: skip
    assert (T0 + DAY, T0 + 2 * DAY, False) == (
        stranger.usage_time.ToMicroseconds(), stranger.create_time.ToMicroseconds(), stranger.HasField("resolve_time"),
    )  # fmt: skip
    assert stranger.discrepancy_id != missing.discrepancy_id


async def test_resolved_discrepancies_come_on_demand(rig: Rig) -> None:
    """With when and how."""
    keep(rig, discrepancy("bill-1", resolved_at=T0 + 5, resolution="found on both sides since"))
    assert not (await disputed(rig)).discrepancies
    [ended] = (await disputed(rig, include_resolved=True)).discrepancies
    assert (T0 + 5, "found on both sides since") == (ended.resolve_time.ToMicroseconds(), ended.resolution)


async def test_discrepancies_are_found_by_provider_side_and_usage(rig: Rig) -> None:
    """Several sides are alternatives."""
    keep(
        rig,
        discrepancy("a", 0),
        discrepancy("b", 1, side=Side.AMOUNT),
        discrepancy("c", 2, side=Side.LEDGER, provider="replicate"),
    )

    async def found(**fields: Any) -> str:
        return "".join(one.bill_id for one in (await disputed(rig, **fields)).discrepancies)

    assert "cba" == await found()
    assert "c" == await found(provider="replicate")
    assert "ba" == await found(sides=[pb.DISCREPANCY_SIDE_PROVIDER, pb.DISCREPANCY_SIDE_AMOUNT])
    assert "cb" == await found(range=pb.TimeRange(start_time=at(T0 + DAY)))
    assert "a" == await found(range=pb.TimeRange(end_time=at(T0 + DAY)))


async def test_pages_of_discrepancies_follow_one_another(rig: Rig) -> None:
    """Newest usage first, without gaps and repeats, also where several have one time; a token of another query is refused."""
    keep(rig, *(discrepancy(name, 0) for name in "abc"), discrepancy("d", 1))
    first = await disputed(rig, page_size=3)
    second = await disputed(rig, page_size=3, page_token=first.next_page_token)
    shown = [one.bill_id for page in (first, second) for one in page.discrepancies]
    assert (["d", "c", "b", "a"], "") == (shown, second.next_page_token)
    other = pb.ListDiscrepanciesRequest(include_resolved=True, page_token=first.next_page_token)
    refusal = await refused(rig.books.ListDiscrepancies(other, timeout=5))
    assert "ERROR_REASON_PAGE_TOKEN_INVALID" == refusal.reason


async def test_bills_are_shown_to_admins_only() -> None:
    """A provider's bill is that of all projects: anybody else is ROLE_INSUFFICIENT."""
    async with opened(callers=Ordinary()) as rig:
        for call in (
            rig.books.ListReconciliations(pb.ListReconciliationsRequest(), timeout=5),
            rig.books.ListDiscrepancies(pb.ListDiscrepanciesRequest(), timeout=5),
        ):
            refusal = await refused(call)
            assert ("PERMISSION_DENIED", "ERROR_REASON_ROLE_INSUFFICIENT") == (refusal.code, refusal.reason)


BACKWARDS = pb.TimeRange(start_time=at(T0 + 1), end_time=at(T0))


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (pb.ListReconciliationsRequest(provider="midjourney"), "provider"),
        (pb.ListReconciliationsRequest(range=BACKWARDS), "range.end_time"),
        (pb.ListReconciliationsRequest(page_size=-1), "page_size"),
        (pb.ListReconciliationsRequest(page_size=501), "page_size"),
        (pb.ListDiscrepanciesRequest(provider="midjourney"), "provider"),
        (pb.ListDiscrepanciesRequest(sides=[9]), "sides[0]"),
        (pb.ListDiscrepanciesRequest(sides=[pb.DISCREPANCY_SIDE_LEDGER, 0]), "sides[1]"),
        (pb.ListDiscrepanciesRequest(range=BACKWARDS), "range.end_time"),
        (pb.ListDiscrepanciesRequest(page_size=501), "page_size"),
    ],
)
async def test_a_malformed_request_is_refused_by_its_field(rig: Rig, request_: Any, path: str) -> None:
    """INVALID_ARGUMENT with the field's path."""
    name = type(request_).__name__.removesuffix("Request")
    refusal = await refused(getattr(rig.books, name)(request_, timeout=5))
    assert ("INVALID_ARGUMENT", [path]) == (refusal.code, refusal.fields)


@pytest.mark.parametrize("token", ["x", "!!", "W10", "eyJhIjogMX0", "A" * 5_000])
async def test_what_is_no_token_is_refused(rig: Rig, token: str) -> None:
    """PAGE_TOKEN_INVALID, for both lists."""
    for call in (
        rig.books.ListReconciliations(pb.ListReconciliationsRequest(page_token=token), timeout=5),
        rig.books.ListDiscrepancies(pb.ListDiscrepanciesRequest(page_token=token), timeout=5),
    ):
        assert "ERROR_REASON_PAGE_TOKEN_INVALID" == (await refused(call)).reason
