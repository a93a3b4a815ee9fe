"""SummarizeCosts and ListTransfers on the wire."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lightmeter.v1 import drawing_pb2, job_pb2, money_pb2
from lightmeter.v1 import ledger_service_pb2 as pb

from service.domain.queries import OPEN_OUTCOME, CostBasis, CostFigures, CostReport, CostRow, Interval
from service.domain.records import TransferKind
from service.domain.totals import LATENCY_BOUNDS_SECONDS
from service.rpc.identity import Caller, Role
from tests.rpc import samples
from tests.rpc.rig import Rig, opened, refused
from tests.rpc.samples import SECOND, T0

HOUR = 3_600 * SECOND


class Ordinary:
    """Callers without the admin's role."""

    def identify(self, context: object) -> Caller:
        """Always the same."""
        return Caller("default", Role.CALLER)


def at(micros: int) -> Timestamp:
    """A time."""
    stamp = Timestamp()
    stamp.FromMicroseconds(micros)
    return stamp


def day(**fields: object) -> pb.SummarizeCostsRequest:
    """A report over the first day of 2026."""
    span = pb.TimeRange(start_time=at(T0), end_time=at(T0 + 24 * HOUR))
    return pb.SummarizeCostsRequest(**{"range": span} | fields)


def row(*group: str, start: int = T0, **figures: int) -> CostRow:
    """A row of the reader."""
    return CostRow(start, group, CostFigures(**figures))


async def test_a_report_is_asked_for_as_the_caller_says(rig: Rig) -> None:
    """Range, basis, interval, groups and filters become the query."""
    request = day(
        basis=pb.COST_BASIS_BOOKED,
        interval=pb.COST_INTERVAL_DAY,
        group_by=[pb.COST_DIMENSION_MODEL, pb.COST_DIMENSION_LABEL],
        label_key="team",
        filter=pb.CostFilter(
            projects=["growth"], models=["m"], operations=[drawing_pb2.OPERATION_EDIT],
            evidences=[money_pb2.EVIDENCE_ESTIMATE], faults=[job_pb2.FAULT_PROVIDER],
        ),
    )  # fmt: skip
    await rig.books.SummarizeCosts(request, timeout=5)
    [query] = rig.ledger.asked
    assert (T0, T0 + 24 * HOUR, CostBasis.BOOKED, Interval.DAY) == (
        query.start, query.end, query.basis, query.interval,
    )  # fmt: skip
    assert (("model", "label"), "team") == (query.group_by, query.label_key)
    assert {
        "project": ("growth",), "model": ("m",), "operation": ("EDIT",),
        "evidence": ("ESTIMATE",), "fault": ("PROVIDER",),
    } == query.filters  # fmt: skip


async def test_rows_carry_their_groups_and_exact_sums(rig: Rig) -> None:
    """Only what was grouped by is set; an enum without a value is present and unspecified."""
    rig.ledger.report = CostReport(
        (
            row("growth", "fal", "PROVIDER", start=T0, jobs=2, charged_nanos=10, corrected_down_nanos=3),
            row("growth", "", "NONE", start=T0, jobs=1, avoided_nanos=7),
        ),
        CostFigures(jobs=3, charged_nanos=10, corrected_down_nanos=3, avoided_nanos=7),
        T0 + HOUR,
    )
    request = day(group_by=[pb.COST_DIMENSION_PROJECT, pb.COST_DIMENSION_PROVIDER, pb.COST_DIMENSION_FAULT])
    answer = await rig.books.SummarizeCosts(request, timeout=5)
    empty, fal = answer.rows
    assert ("growth", "fal", job_pb2.FAULT_PROVIDER) == (
        fal.group.project,
        fal.group.provider,
        fal.group.fault,
    )
    assert empty.group.HasField("provider")
    assert empty.group.HasField("fault")
    assert not fal.group.HasField("model")
    assert (2, 10, 3, 7) == (
        fal.figures.job_count, fal.figures.charged.amount_nanos,
        fal.figures.corrected_down.amount_nanos, fal.figures.net.amount_nanos,
    )  # fmt: skip
    assert (3, 7, 7) == (
        answer.total.job_count, answer.total.net.amount_nanos, answer.total.avoided.amount_nanos,
    )  # fmt: skip
    assert T0 + HOUR == answer.as_of_time.ToMicroseconds()


async def test_rows_that_look_the_same_are_one_row(rig: Rig) -> None:
    """No evidence and none yet are both unspecified outside, and add up."""
    rig.ledger.report = CostReport(
        (row("NONE", jobs=1, buckets=(1,)), row("UNCONFIRMED", jobs=2, charged_nanos=5, buckets=(0, 2))),
        CostFigures(jobs=3),
        T0,
    )
    answer = await rig.books.SummarizeCosts(
        day(group_by=[pb.COST_DIMENSION_EVIDENCE], include_latency=True), timeout=5
    )
    [only] = answer.rows
    assert (3, 5, 3) == (only.figures.job_count, only.figures.charged.amount_nanos, only.latency.sample_count)
    assert only.group.HasField("evidence")


async def test_a_filter_by_label_keeps_its_rows_only(rig: Rig) -> None:
    """The label is asked for beside the groups and left out again; the total is that of the rows."""
    rig.ledger.report = CostReport(
        (
            row("m1", "ads", charged_nanos=3),
            row("m1", "web", charged_nanos=4),
            row("m2", "ads", charged_nanos=5),
        ),
        CostFigures(charged_nanos=12),
        T0,
    )
    request = day(group_by=[pb.COST_DIMENSION_MODEL], filter=pb.CostFilter(labels={"team": "ads"}))
    answer = await rig.books.SummarizeCosts(request, timeout=5)
    assert [("m1", 3), ("m2", 5)] == [
        (one.group.model, one.figures.charged.amount_nanos) for one in answer.rows
    ]
    assert 8 == answer.total.charged.amount_nanos
    assert not answer.rows[0].group.HasField("label_value")
    assert ("model", "label") == rig.ledger.asked[0].group_by


async def test_pages_of_a_report_are_all_of_its_rows(rig: Rig) -> None:
    """Each row once, by time and then by group, with the total of all pages on each."""
    rows = tuple(row(f"m{group}", start=T0 + hour * HOUR, jobs=1) for hour in range(3) for group in range(3))
    rig.ledger.report = CostReport(rows, CostFigures(jobs=9), T0)
    request = day(group_by=[pb.COST_DIMENSION_MODEL], interval=pb.COST_INTERVAL_HOUR, page_size=4)
    seen = []
    while True:
        page = await rig.books.SummarizeCosts(request, timeout=5)
        seen += [(one.interval_start_time.ToMicroseconds(), one.group.model) for one in page.rows]
        assert 9 == page.total.job_count
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert [(one.interval_start, one.group[0]) for one in rows] == seen


async def test_quantiles_are_bounds_that_hold(rig: Rig) -> None:
    """Half took at most 0.05 s, nine of ten at most 2 s, and the slowest are beyond what is measured."""
    buckets = [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
    buckets[1], buckets[6], buckets[-1] = 50, 45, 5
    rig.ledger.report = CostReport((row(jobs=100, buckets=tuple(buckets)),), CostFigures(), T0)
    answer = await rig.books.SummarizeCosts(day(include_latency=True), timeout=5)
    latency = answer.rows[0].latency
    assert (0.05, 2.0, 100) == (
        latency.p50.ToTimedelta().total_seconds(), latency.p90.ToTimedelta().total_seconds(), latency.sample_count,
    )  # fmt: skip
    assert not latency.HasField("p99")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.SummarizeCostsRequest(), "range.start_time"),
        (day(range=pb.TimeRange(start_time=at(T0 + 1), end_time=at(T0 + HOUR))), "range.start_time"),
        (day(range=pb.TimeRange(start_time=at(T0), end_time=at(T0))), "range.end_time"),
        (day(basis=9), "basis"),
        (day(interval=9), "interval"),
        (day(group_by=[pb.COST_DIMENSION_MODEL] * 2), "group_by[1]"),
        (day(group_by=[0]), "group_by[0]"),
        (day(group_by=[pb.COST_DIMENSION_LABEL]), "label_key"),
        (day(label_key="No!"), "label_key"),
        (day(filter=pb.CostFilter(evidences=[0])), "filter.evidences[0]"),
        (day(as_of_time=at(T0 + 1)), "as_of_time"),
        (day(page_size=501), "page_size"),
    ],
)
async def test_a_wrong_field_of_a_report_is_named(
    rig: Rig, request_: pb.SummarizeCostsRequest, field: str
) -> None:
    """Half-open, whole hours, known values."""
    answer = await refused(rig.books.SummarizeCosts(request_, timeout=5))
    assert ("INVALID_ARGUMENT", "ERROR_REASON_FIELD_INVALID") == (answer.code, answer.reason)
    assert field in answer.fields
    assert [] == rig.ledger.asked


@pytest.mark.parametrize(
    "request_",
    [
        day(range=pb.TimeRange(start_time=at(T0), end_time=at(T0 + 24 * 401 * HOUR))),
        day(filter=pb.CostFilter(labels={"a": "x", "b": "y"})),
        day(filter=pb.CostFilter(labels={"a": "x"}), group_by=[pb.COST_DIMENSION_LABEL], label_key="b"),
    ],
)
async def test_what_the_totals_cannot_tell_is_unsupported(
    rig: Rig, request_: pb.SummarizeCostsRequest
) -> None:
    """Too long, or a question that the totals don't keep the answer to; what would be accepted is said."""
    answer = await refused(rig.books.SummarizeCosts(request_, timeout=5))
    assert ("INVALID_ARGUMENT", "ERROR_REASON_REPORT_UNSUPPORTED") == (answer.code, answer.reason)
    assert answer.metadata["accepted"]


@pytest.mark.parametrize("basis", [pb.COST_BASIS_USAGE, pb.COST_BASIS_BOOKED])
async def test_a_report_can_be_repeated_as_of_an_earlier_hour(rig: Rig, basis: int) -> None:
    """By either time the reader is asked to leave out what was booked later, and the range stays what it was."""
    request = day(basis=basis, as_of_time=at(T0 + 2 * HOUR))
    await rig.books.SummarizeCosts(request, timeout=5)
    [query] = rig.ledger.asked
    assert (T0 + 2 * HOUR, T0 + 24 * HOUR) == (query.as_of, query.end)


async def test_what_has_not_ended_is_shown_in_every_grouping(rig: Rig) -> None:
    """A hold has no outcome, evidence or fault yet: each is present and unspecified, whatever is grouped by."""
    names = ("operation", "origin", "outcome", "evidence", "fault")
    held = row("EDIT", "PROVIDER", OPEN_OUTCOME, "NONE", "NONE", start=T0, held_nanos=7)
    rig.ledger.report = CostReport((held,), CostFigures(held_nanos=7), T0 + HOUR)
    request = day(group_by=[pb.CostDimension.Value(f"COST_DIMENSION_{name.upper()}") for name in names])
    answer = await rig.books.SummarizeCosts(request, timeout=5)
    [shown] = answer.rows
    assert (True, True, True) == tuple(
        shown.group.HasField(name) for name in ("outcome", "evidence", "fault")
    )
    assert (0, 0, 0) == (shown.group.outcome, shown.group.evidence, shown.group.fault)
    assert 7 == shown.figures.held.amount_nanos


async def test_who_sees_which_projects() -> None:
    """An admin sees all unless he names some; everybody else the own one, and asking for others is refused."""
    others = day(filter=pb.CostFilter(projects=["other"]))
    rows = pb.ListTransfersRequest(filter=pb.TransferFilter(projects=["other"]))
    async with opened() as rig:
        await rig.books.SummarizeCosts(day(), timeout=5)
        await rig.books.SummarizeCosts(others, timeout=5)
        await rig.books.ListTransfers(pb.ListTransfersRequest(), timeout=5)
        assert [{}, {"project": ("other",)}] == [one.filters for one in rig.ledger.asked]
        assert [None] == [one.project for one in rig.ledger.asked_transfers]
    async with opened(callers=Ordinary()) as rig:
        await rig.books.SummarizeCosts(day(), timeout=5)
        await rig.books.ListTransfers(pb.ListTransfersRequest(), timeout=5)
        assert [{"project": ("default",)}] == [one.filters for one in rig.ledger.asked]
        assert ["default"] == [one.project for one in rig.ledger.asked_transfers]
        for call in (rig.books.SummarizeCosts(others, timeout=5), rig.books.ListTransfers(rows, timeout=5)):
            assert "ERROR_REASON_ROLE_INSUFFICIENT" == (await refused(call)).reason


async def test_transfers_are_paged_in_booked_order_over_several_projects(rig: Rig) -> None:
    """Each row once, also where two projects' rows share a time."""
    rig.ledger.rows = [
        samples.transfer(source=f"{project}-{index}", project=project, booked_at=T0 + index // 2, ordinal=1)
        for project in ("ads", "web")
        for index in range(5)
    ]
    request = pb.ListTransfersRequest(filter=pb.TransferFilter(projects=["ads", "web"]), page_size=3)
    seen = []
    while True:
        page = await rig.books.ListTransfers(request, timeout=5)
        seen += [(one.book_time.ToMicroseconds(), one.source, one.ordinal) for one in page.transfers]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert sorted((one.booked_at, one.source, one.ordinal) for one in rig.ledger.rows) == seen


async def test_a_transfer_is_shown_whole(rig: Rig) -> None:
    """Accounts, amount, job, evidence, both times; how far the list is complete."""
    rig.ledger.rows = [samples.transfer(kind=TransferKind.CORRECTION, ordinal=2, memo="billed less")]
    page = await rig.books.ListTransfers(pb.ListTransfersRequest(), timeout=5)
    [one] = page.transfers
    assert ("attempt-1", 2, pb.TRANSFER_KIND_CORRECTION) == (one.source, one.ordinal, one.kind)
    assert ("project:default", "provider:fal", samples.PRICE_NANOS) == (
        one.debit, one.credit, one.amount.amount_nanos,
    )  # fmt: skip
    assert (samples.JOB_ID, 1, money_pb2.EVIDENCE_BILLED_UNITS) == (
        one.job_id,
        one.attempt_number,
        one.evidence,
    )
    assert ("fal/flux-1.1-pro@v1", "billed less") == (one.price_version, one.memo)
    assert (T0, T0 + 9 * SECOND) == (one.usage_time.ToMicroseconds(), one.book_time.ToMicroseconds())
    assert T0 + HOUR == page.complete_through.ToMicroseconds()


async def test_the_filters_of_transfers_reach_the_reader(rig: Rig) -> None:
    """Range, kinds, providers and job; a token of another query is refused."""
    request = pb.ListTransfersRequest(
        range=pb.TimeRange(start_time=at(T0), end_time=at(T0 + 1)),
        filter=pb.TransferFilter(providers=["fal"], kinds=[pb.TRANSFER_KIND_POST], job_id="j1"),
    )
    await rig.books.ListTransfers(request, timeout=5)
    [query] = rig.ledger.asked_transfers
    assert (T0, T0 + 1, "j1", ("POST",), ("fal",)) == (
        query.booked_from, query.booked_before, query.job_id, query.kinds, query.providers,
    )  # fmt: skip
    rig.ledger.rows = [samples.transfer(source=str(index)) for index in range(3)]
    token = (await rig.books.ListTransfers(pb.ListTransfersRequest(page_size=1), timeout=5)).next_page_token
    request.page_token = token
    answer = await refused(rig.books.ListTransfers(request, timeout=5))
    assert "ERROR_REASON_PAGE_TOKEN_INVALID" == answer.reason


async def test_a_report_with_too_many_rows_is_refused(rig: Rig) -> None:
    """Nothing is left out silently."""
    rig.ledger.report = CostReport(tuple(row(str(index)) for index in range(10_001)), CostFigures(), T0)
    request = day(group_by=[pb.COST_DIMENSION_MODEL])
    answer = await refused(rig.books.SummarizeCosts(request, timeout=5))
    assert "ERROR_REASON_REPORT_UNSUPPORTED" == answer.reason
