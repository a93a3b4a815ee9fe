"""Submissions: what is sent, what is repeated, and how a call ends."""

import asyncio
from decimal import Decimal

import grpc
import lightmeter
import pytest
from lightmeter import AsyncClient, Drawing, RetryPolicy, Size
from lightmeter.v1 import drawing_pb2, job_pb2
from lightmeter.v1 import image_service_pb2 as pb

from tests.client.fake_service import FakeServer, Script, drawing_job, event, job, refusal

ASK = Drawing(model="gpt-image-2", prompt="a fox in snow", size=Size(1024, 1536), quality="high")
DONE = pb.GenerateResponse(job=job())
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def test_a_drawing_and_its_options_arrive_as_written(client: AsyncClient, script: Script) -> None:
    script.on("Generate", DONE)
    await client.generate(
        ASK.replace(variation=1, seed=0, background="opaque"),
        request_id="banner-7",
        max_cost=Decimal("0.20"),
        labels={"team": "growth"},
        cache="refresh",
        pin="fal/gpt-image-2",
        job_timeout=60,
    )
    (sent,) = script.asked["Generate"]
    assert 1536 == sent.drawing.size.dimensions.height_px
    assert (drawing_pb2.QUALITY_HIGH, 1) == (sent.drawing.quality, sent.drawing.variation)
    assert sent.drawing.HasField("seed")
    assert not sent.drawing.HasField("steps")
    assert ("banner-7", 200_000_000) == (sent.options.request_id, sent.options.max_cost.amount_nanos)
    assert {"team": "growth"} == dict(sent.options.labels)
    assert job_pb2.CACHE_MODE_REFRESH == sent.options.cache_mode
    assert ("fal", "gpt-image-2") == (sent.options.pin.provider, sent.options.pin.route)
    assert (60, 25) == (sent.options.job_timeout.seconds, sent.options.wait.seconds)


async def test_unavailable_is_repeated_with_the_same_request_id(client: AsyncClient, script: Script) -> None:
    script.on("Generate", refusal(UNAVAILABLE), refusal(UNAVAILABLE, "STORE_UNAVAILABLE"), DONE)
    found = await client.generate(ASK)
    first, second, third = [sent.options.request_id for sent in script.asked["Generate"]]
    assert len(first) > 16
    assert first == second == third
    assert "job-1" == found.job_id


async def test_two_submissions_have_two_request_ids(client: AsyncClient, script: Script) -> None:
    script.on("Generate", DONE)
    await asyncio.gather(client.start(ASK), client.start(ASK))
    assert 2 == len({sent.options.request_id for sent in script.asked["Generate"]})


async def test_a_call_that_hangs_is_repeated_until_the_callers_timeout(
    client: AsyncClient, script: Script
) -> None:
    script.on("Generate", asyncio.Event())
    with pytest.raises(lightmeter.WaitTimeout) as caught:
        await client.generate(ASK, timeout=0.1, request_id="mine")
    assert isinstance(caught.value, TimeoutError)
    assert "mine" == caught.value.request_id


async def test_retries_end_after_some_failures(client: AsyncClient, script: Script) -> None:
    script.on("Generate", refusal(UNAVAILABLE, "OVERLOADED"))
    with pytest.raises(lightmeter.Unavailable) as caught:
        await client.generate(ASK)
    assert 4 == len(script.asked["Generate"])
    assert "OVERLOADED" == caught.value.reason


async def test_a_negative_pushback_forbids_the_retry(client: AsyncClient, script: Script) -> None:
    script.on("Generate", refusal(UNAVAILABLE, "ROUTES_UNAVAILABLE", pushback="-1"))
    with pytest.raises(lightmeter.Unavailable):
        await client.generate(ASK)
    assert 1 == len(script.asked["Generate"])


async def test_a_wait_longer_than_the_policy_allows_ends_the_retries(
    client: AsyncClient, script: Script
) -> None:
    script.on("Generate", refusal(UNAVAILABLE, "ROUTES_UNAVAILABLE", retry_seconds=3600))
    with pytest.raises(lightmeter.Unavailable) as caught:
        await client.generate(ASK)
    assert 3600 == caught.value.retry_after
    assert 1 == len(script.asked["Generate"])


async def test_a_wait_that_the_service_asks_for_is_kept(server: FakeServer, script: Script) -> None:
    script.on("Generate", refusal(UNAVAILABLE, "DRAINING", retry_seconds=0.2), DONE)
    loop = asyncio.get_running_loop()
    async with AsyncClient(server.address, retry=RetryPolicy(first_seconds=0.001)) as client:
        began = loop.time()
        await client.start(ASK)
    assert loop.time() - began >= 0.2


@pytest.mark.parametrize("code", ["UNKNOWN", "INTERNAL", "CANCELLED"])
async def test_an_answer_that_was_broken_off_is_asked_for_again(
    client: AsyncClient, script: Script, code: str
) -> None:
    """Without the service's reason it is no word of the service: a proxy says so when the server behind it dies."""
    broken = refusal(grpc.StatusCode[code])
    script.on("Generate", broken, pb.GenerateResponse(job=job("QUEUED", 1)))
    script.on("WatchJob", broken, [event(job())])
    assert "SUCCEEDED" == (await client.generate(ASK)).state
    first, second = script.asked["Generate"]
    assert first.options.request_id == second.options.request_id


async def test_only_unavailable_is_repeated(client: AsyncClient, script: Script) -> None:
    script.on("Generate", refusal(grpc.StatusCode.INTERNAL, "INTERNAL", metadata={"incidentId": "42"}))
    with pytest.raises(lightmeter.InternalError) as caught:
        await client.generate(ASK)
    assert "42" == caught.value.incident_id
    assert 1 == len(script.asked["Generate"])


async def test_generate_watches_until_the_job_is_final(client: AsyncClient, script: Script) -> None:
    script.on("Generate", pb.GenerateResponse(job=job("QUEUED", 1), replayed=True))
    script.on("WatchJob", [event(drawing_job("DRAWING", 2, fraction=0.6)), event(job(version=5))])
    stages: list[tuple[str, float | None]] = []
    found = await client.generate(ASK, on_progress=lambda p: stages.append((p.stage, p.fraction)))
    assert [("DRAWING", 0.6)] == stages
    assert ("SUCCEEDED", 5) == (found.state, found.version)
    assert "$0.128" == str(found.receipt.charged)
    assert not script.asked["Generate"][0].options.HasField("wait")


async def test_start_does_not_wait_for_the_picture(client: AsyncClient, script: Script) -> None:
    script.on("Generate", pb.GenerateResponse(job=job("QUEUED", 1), replayed=True))
    started = await client.start(ASK)
    assert ("QUEUED", True, False) == (started.state, started.replayed, started.is_final)
    assert [] == script.asked["WatchJob"]


async def test_a_failed_job_is_raised_with_its_advice(client: AsyncClient, script: Script) -> None:
    failure = job_pb2.Failure(
        reason="ERROR_REASON_PROVIDER_FAILED",
        code=10,
        message="the model ran out of memory",
        fault=job_pb2.FAULT_PROVIDER,
        retry_advice=job_pb2.RETRY_ADVICE_MAY_PAY_AGAIN,
    )
    script.on("Generate", pb.GenerateResponse(job=job("FAILED", failure=failure)))
    with pytest.raises(lightmeter.JobFailed) as caught:
        await client.generate(ASK)
    error = caught.value
    assert ("PROVIDER_FAILED", "PROVIDER", "MAY_PAY_AGAIN") == (error.reason, error.fault, error.retry_advice)
    assert grpc.StatusCode.ABORTED is error.code
    assert "job-1" == error.job.job_id


async def test_a_cancelled_job_is_raised_as_such(client: AsyncClient, script: Script) -> None:
    script.on("Generate", pb.GenerateResponse(job=job("CANCELLED")))
    with pytest.raises(lightmeter.JobCancelled):
        await client.generate(ASK)


async def test_a_timeout_while_waiting_tells_the_job(client: AsyncClient, script: Script) -> None:
    script.on("Generate", pb.GenerateResponse(job=job("QUEUED", 1)))
    script.on("WatchJob", [event(drawing_job("DRAWING", 2)), asyncio.Event()])
    with pytest.raises(lightmeter.WaitTimeout) as caught:
        await client.generate(ASK, timeout=0.3, on_progress=lambda _: None)
    assert caught.value.job is not None
    assert ("job-1", "request-1") == (caught.value.job.job_id, caught.value.request_id)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_cost": 0.1}, TypeError),
        ({"max_cost": "a lot"}, ValueError),
        ({"cache": "sometimes"}, ValueError),
        ({"pin": "fal", "policy": "cheapest"}, ValueError),
        ({"colour": "red"}, TypeError),
    ],
)
async def test_what_can_not_be_meant_is_refused_before_it_is_sent(
    client: AsyncClient, script: Script, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await client.generate(ASK, **options)  # type: ignore[arg-type] # that is the point
    assert [] == script.asked["Generate"]


async def test_key_and_project_travel_as_metadata(server: FakeServer, script: Script) -> None:
    script.on("Generate", DONE)
    async with AsyncClient(server.address, api_key="k-1", project="growth") as client:
        await client.generate(ASK)
    sent = script.metadata[0]
    assert ("Bearer k-1", "growth") == (sent["authorization"], sent["lightmeter-project"])
