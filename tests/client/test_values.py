"""Values: money, drawings, quotes, and what the look-ups send and return."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import lightmeter
import pytest
from lightmeter import AsyncClient, Drawing, Money, Size, parse_size, usd
from lightmeter.v1 import drawing_pb2, job_pb2, ledger_service_pb2, model_service_pb2, money_pb2
from lightmeter.v1 import image_service_pb2 as pb

from tests.client.fake_service import Script, job, money


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (128_000_000, "$0.128"),
        (100_000_000, "$0.10"),
        (0, "$0"),
        (5_000_000_000, "$5.00"),
        (-2_000_000, "-$0.002"),
        (1, "$0.000000001"),
        (1_234_500_000_000, "$1,234.50"),
    ],
)
def test_money_is_written_as_people_write_it(nanos: int, text: str) -> None:
    assert text == str(Money(nanos))


@pytest.mark.parametrize("amount", ["0.128", "$0.128", Decimal("0.128"), Money(128_000_000)])
def test_dollars_become_exact_amounts(amount: str | Decimal | Money) -> None:
    assert Money(128_000_000) == usd(amount)
    assert Decimal("0.128") == usd(amount).usd


@pytest.mark.parametrize(
    ("amount", "error"),
    [
        (0.1, TypeError),
        (True, TypeError),
        ("ten", ValueError),
        ("NaN", ValueError),
        ("1e30", ValueError),
        ("0.0000000001", ValueError),
    ],
)
def test_what_is_no_exact_amount_is_refused(amount: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        usd(amount)  # type: ignore[arg-type] # that is the point


def test_another_currency_is_not_taken_for_dollars() -> None:
    with pytest.raises(ValueError, match="EUR"):
        Money.from_proto(money_pb2.Money(currency_code="EUR", amount_nanos=1))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024x1536", Size(1024, 1536)),
        ("16:9", lightmeter.AspectRatio(16, 9)),
        ("16:9@two_k", lightmeter.AspectRatio(16, 9, "two_k")),
        ("auto", lightmeter.AutoSize()),
        ("square_hd", lightmeter.Preset("square_hd")),
    ],
)
def test_sizes_are_read_from_text(text: str, size: object) -> None:
    assert size == parse_size(text)


@pytest.mark.parametrize("text", ["big", "10x", "x10", "1024x1024@two_k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_sizes_arrive_in_their_own_fields() -> None:
    """A ratio with a resolution is no preset and no exact size."""
    sent = Drawing(model="m", prompt="p", size="16:9@two_k", extra={"style": "pen"}).proto
    assert (16, 9) == (sent.size.aspect_ratio.width, sent.size.aspect_ratio.height)
    assert drawing_pb2.RESOLUTION_TWO_K == sent.size.resolution
    assert "pen" == sent.extra["style"]


def test_an_unknown_word_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="auto, low, medium, high, xhigh, max"):
        _ = Drawing(model="m", prompt="p", quality="best").proto


def quote() -> model_service_pb2.QuoteResponse:
    """A quote with an exact and an estimated route, one that is excluded, and a budget."""
    answer = model_service_pb2.QuoteResponse(
        cache="QUOTE_CACHE_MISS", expected=money(128_000_000), ceiling=money(128_000_000)
    )
    exact = answer.routes.add(provider="replicate", route="gpt-image-2", rank=1, eligible=True)
    exact.expected.CopyFrom(money(128_000_000))
    exact.ceiling.CopyFrom(money(128_000_000))
    exact.certainty = model_service_pb2.PRICE_CERTAINTY_EXACT
    exact.latency.p50.FromSeconds(21)
    exact.explanation = "cheapest healthy route"
    about = answer.routes.add(provider="fal", route="gpt-image-2", rank=2, eligible=True)
    about.expected.CopyFrom(money(165_000_000))
    about.ceiling.CopyFrom(money(170_000_000))
    about.certainty = model_service_pb2.PRICE_CERTAINTY_ESTIMATE
    about.latency.p50.FromSeconds(18)
    about.health = model_service_pb2.ROUTE_HEALTH_OK
    out = answer.routes.add(provider="fal", route="other")
    out.exclusions.add(reason="ERROR_REASON_NO_ELIGIBLE_ROUTE", message="takes no exact sizes")
    answer.budgets.add(
        budget="growth/day", limit=money(5_000_000_000), left_after=money(4_000_000_000), fits=True
    )
    return answer


async def test_a_quote_explains_itself(client: AsyncClient, script: Script) -> None:
    script.on("Quote", quote())
    found = await client.quote(Drawing(model="gpt-image-2", prompt="a fox"), pin="fal")
    assert [
        "1 replicate/gpt-image-2  $0.128        exact     p50 21 s  cheapest healthy route",
        "2 fal/gpt-image-2        $0.165-0.170  estimate  p50 18 s  ok",
        "- fal/other              unknown                           takes no exact sizes",
        "budget growth/day: fits, $4.00 of $5.00 left after it",
    ] == found.explain().splitlines()
    assert Money(128_000_000) == found.ceiling
    assert "fal" == script.asked["Quote"][0].generate.options.pin.provider


async def test_a_quote_with_pictures_is_that_of_an_edit(client: AsyncClient, script: Script) -> None:
    script.on("Quote", quote())
    await client.quote(Drawing(model="kontext", prompt="a hat"), b"bytes")
    assert b"bytes" == script.asked["Quote"][0].edit.inputs.images[0].content


async def test_costs_are_asked_by_month_and_gathered_from_all_pages(
    client: AsyncClient, script: Script
) -> None:
    def page(model: str, token: str) -> ledger_service_pb2.SummarizeCostsResponse:
        answer = ledger_service_pb2.SummarizeCostsResponse(next_page_token=token)
        row = answer.rows.add()
        row.group.model, row.group.label_value, row.group.origin = model, "growth", job_pb2.ORIGIN_CACHE
        row.figures.net.CopyFrom(money(400))
        row.figures.net_estimated.CopyFrom(money(100))
        answer.total.net.CopyFrom(money(800))
        return answer

    script.on("SummarizeCosts", page("a", "more"), page("b", ""))
    report = await client.costs(by=["model", "label:team", "origin"], month="2026-12", basis="booked")
    sent = script.asked["SummarizeCosts"][0]
    assert datetime(2026, 12, 1, tzinfo=UTC) == sent.range.start_time.ToDatetime(UTC)
    assert datetime(2027, 1, 1, tzinfo=UTC) == sent.range.end_time.ToDatetime(UTC)
    assert ("team", ledger_service_pb2.COST_BASIS_BOOKED) == (sent.label_key, sent.basis)
    assert [{"model": "a", "label": "growth", "origin": "CACHE"}, "b"] == [
        dict(report.rows[0].group),
        report.rows[1].group["model"],
    ]
    assert (Decimal("0.25"), Money(800)) == (report.rows[0].figures.estimated_share, report.total.net)


async def test_transfers_are_read_page_by_page_up_to_a_limit(client: AsyncClient, script: Script) -> None:
    rows = [ledger_service_pb2.Transfer(kind="TRANSFER_KIND_HOLD", ordinal=at) for at in range(3)]
    script.on("ListTransfers", ledger_service_pb2.ListTransfersResponse(transfers=rows, next_page_token="x"))
    found = [row.ordinal async for row in client.transfers("job-1", kinds=["hold"], limit=5)]
    assert [0, 1, 2, 0, 1] == found
    assert "job-1" == script.asked["ListTransfers"][0].filter.job_id


async def test_a_job_can_be_found_by_its_request_id(client: AsyncClient, script: Script) -> None:
    script.on("GetJob", pb.GetJobResponse(job=job()))
    await client.get(request_id="banner-7", full=True)
    (sent,) = script.asked["GetJob"]
    assert ("banner-7", pb.JOB_VIEW_FULL) == (sent.request_id, sent.view)
    with pytest.raises(ValueError, match="either"):
        await client.get("job-1", request_id="banner-7")


async def test_a_list_of_jobs_carries_its_filter(client: AsyncClient, script: Script) -> None:
    script.on("ListJobs", pb.ListJobsResponse(jobs=[job()]))
    since = datetime(2026, 11, 1, tzinfo=UTC)
    found = [
        item
        async for item in client.list(
            states=["failed"],
            failure_reasons=["no-images"],
            labels={"team": "growth"},
            create_time_from=since,
            limit=1,
        )
    ]
    assert 1 == len(found)
    (sent,) = script.asked["ListJobs"]
    assert [job_pb2.JOB_STATE_FAILED] == list(sent.filter.states)
    assert 39 == sent.filter.failure_reasons[0]
    assert ({"team": "growth"}, 1) == (dict(sent.filter.labels), sent.page_size)
    assert since == sent.filter.create_time_from.ToDatetime(UTC)


async def test_cancelling_says_what_it_did(client: AsyncClient, script: Script) -> None:
    script.on("CancelJob", pb.CancelJobResponse(job=job("CANCELLED"), outcome=pb.CANCEL_OUTCOME_DETACHED))
    found = await client.cancel("job-1", reason="changed my mind")
    assert ("DETACHED", True) == (found.outcome, found.job.is_final)
    assert "changed my mind" == script.asked["CancelJob"][0].reason


async def test_a_cached_job_shows_its_age(client: AsyncClient, script: Script) -> None:
    cached = job()
    cached.origin = job_pb2.ORIGIN_CACHE
    cached.render_time.FromJsonString("2026-11-21T11:59:48.100Z")
    script.on("GetJob", pb.GetJobResponse(job=cached))
    assert timedelta(seconds=12) == (await client.get("job-1")).age


async def test_what_is_not_known_is_none_and_not_zero(client: AsyncClient, script: Script) -> None:
    script.on("GetJob", pb.GetJobResponse(job=job("QUEUED")))
    found = await client.get("job-1")
    assert (None, None, None) == (found.seed_used, found.timing.total, found.receipt.avoided)


async def test_a_value_newer_than_the_client_becomes_its_number(client: AsyncClient, script: Script) -> None:
    newer = job()
    newer.origin = 77  # type: ignore[assignment] # a value that no release has yet
    script.on("GetJob", pb.GetJobResponse(job=newer))
    assert "77" == (await client.get("job-1")).origin
