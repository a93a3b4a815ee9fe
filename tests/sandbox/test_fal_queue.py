"""What fal's queue says on the wire, beneath its client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from sandbox import Sandbox
from sandbox.book import Entry
from tests.sandbox.conftest import FAL_KEY, Start

SCHNELL = "fal-ai/flux/schnell"


async def submit(
    http: httpx.AsyncClient, sandbox: Sandbox, endpoint: str = SCHNELL, headers: Any = (), **inputs: Any
) -> httpx.Response:
    """POST to the queue."""
    return await http.post(
        f"{sandbox.fal_url}/queue/{endpoint}",
        json={"prompt": "x", **inputs},
        headers={**FAL_KEY, **dict(headers)},
    )


def entry_of(sandbox: Sandbox, answer: httpx.Response) -> Entry:
    """The book's line for a submit."""
    entry = sandbox.world.book.find("fal", answer.json()["request_id"])
    assert entry is not None
    return entry


async def finish(sandbox: Sandbox, answer: httpx.Response) -> Entry:
    """Let time pass until the request has ended."""
    entry = entry_of(sandbox, answer)
    while entry.ended_at is None:
        sandbox.world.clock.advance(2)
        await asyncio.sleep(0)
    return entry


async def test_the_status_walks_through_its_codes_and_keys(slow: Sandbox, http: httpx.AsyncClient) -> None:
    """202 with a position, 202 with logs, 200 with metrics; logs is null unless asked for."""
    made = await submit(http, slow, "openai/gpt-image-2")
    url = made.json()["status_url"]
    queued = await http.get(url, headers=FAL_KEY)
    assert (202, "IN_QUEUE", True) == (
        queued.status_code,
        queued.json()["status"],
        "queue_position" in queued.json(),
    )
    entry = entry_of(slow, made)
    while entry.started_at is None:
        slow.world.clock.advance(0.5)
        await asyncio.sleep(0)
    for value, kind in (("1", list), ("true", list), ("0", type(None)), ("false", type(None))):
        running = await http.get(url, params={"logs": value}, headers=FAL_KEY)
        assert (202, "IN_PROGRESS") == (running.status_code, running.json()["status"])
        assert isinstance(running.json()["logs"], kind)
    early = await http.get(made.json()["response_url"], headers=FAL_KEY)
    assert (400, "Request is still in progress") == (early.status_code, early.json()["detail"])
    await finish(slow, made)
    first, again = [await http.get(url, headers=FAL_KEY) for _ in range(2)]
    assert (200, "COMPLETED") == (first.status_code, first.json()["status"])
    assert first.json()["metrics"]["inference_time"] > 0
    assert first.content == again.content


async def test_results_repeat_and_carry_the_evidence(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """The result has units and id in its headers, on every read alike; submit and status have none."""
    made = await submit(http, instant, image_size={"width": 2048, "height": 1024}, num_images=2)
    status = await http.get(made.json()["status_url"], headers=FAL_KEY)
    results = [await http.get(made.json()["response_url"], headers=FAL_KEY) for _ in range(2)]
    assert "x-fal-billable-units" not in {**made.headers, **status.headers}
    assert results[0].content == results[1].content
    assert ("4", made.json()["request_id"]) == (
        results[0].headers["x-fal-billable-units"],
        results[0].headers["x-fal-request-id"],
    )


async def test_both_forms_of_addresses_are_taken(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """owner/app and the full id, with and without /response; a stranger's app is not found."""
    made = (await submit(http, instant)).json()["request_id"]
    root = f"{instant.fal_url}/queue"
    for path in ("fal-ai/flux", SCHNELL):
        for tail in ("", "/response", "/status"):
            answer = await http.get(f"{root}/{path}/requests/{made}{tail}", headers=FAL_KEY)
            assert 200 == answer.status_code
    other = await http.get(f"{root}/openai/gpt-image-2/requests/{made}", headers=FAL_KEY)
    assert (404, {"status": "NOT_FOUND"}) == (other.status_code, other.json())


async def test_keys_and_endpoints_are_checked(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """401 without a key or with a bad one, 404 for an unknown endpoint; nothing is accepted."""
    url = f"{instant.fal_url}/queue/{SCHNELL}"
    for headers in ({}, {"Authorization": "Key nocolon"}, {"Authorization": "Key sandbox:invalid"}):
        assert 401 == (await http.post(url, json={"prompt": "x"}, headers=headers)).status_code
    assert 404 == (await submit(http, instant, "fal-ai/nothing")).status_code
    assert 0 == instant.world.book.totals["fal"].accepted


@pytest.mark.parametrize(
    ("endpoint", "inputs", "kind", "field"),
    [
        (SCHNELL, {"num_images": 5}, "less_than_equal", "num_images"),
        (SCHNELL, {"prompt": None}, "missing", "prompt"),
        (SCHNELL, {"output_format": "gif"}, "one_of", "output_format"),
        (SCHNELL, {"image_size": {"width": 14000, "height": 14000}}, "image_too_large", "image_size"),
        ("openai/gpt-image-2", {"image_size": {"width": 1000, "height": 1000}}, "multiple_of", "image_size"),
        ("openai/gpt-image-2", {"image_size": {"width": 3840, "height": 1024}}, "one_of", "image_size"),
        ("openai/gpt-image-2/edit", {"image_urls": []}, "sequence_too_short", "image_urls"),
        ("fal-ai/nano-banana", {"aspect_ratio": "7:3"}, "one_of", "aspect_ratio"),
    ],
)
async def test_invalid_input_is_the_result(
    instant: Sandbox, http: httpx.AsyncClient, endpoint: str, inputs: dict[str, Any], kind: str, field: str
) -> None:
    """The queue takes it, the run refuses it: 422 with loc, msg, type, ctx; free."""
    made = await submit(http, instant, endpoint, **inputs)
    result = await http.get(made.json()["response_url"], headers=FAL_KEY)
    assert (200, 422) == (made.status_code, result.status_code)
    problem = result.json()["detail"][0]
    assert (["body", field], kind) == (problem["loc"][:2], problem["type"])
    assert "false" == result.headers["x-fal-retryable"]
    assert 0 == instant.world.book.totals["fal"].billed_nanos


async def test_unknown_fields_are_ignored(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """A misspelt field leaves the default, and bills it."""
    made = await submit(http, instant, number_of_images=4)
    result = await http.get(made.json()["response_url"], headers=FAL_KEY)
    assert 1 == len(result.json()["images"])


async def test_results_expire_unless_payloads_are_stored(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Without storage: 6 minutes for 10 KB or more, an hour for less; with it 30 days."""
    unstored = {"X-Fal-Store-IO": "0"}
    large = await submit(http, instant, headers=unstored, sync_mode=True)
    small = await submit(http, instant, headers=unstored)
    stored = await submit(http, instant)
    urls = [answer.json()["response_url"] for answer in (large, small, stored)]

    async def codes() -> list[int]:
        return [(await http.get(url, headers=FAL_KEY)).status_code for url in urls]

    inline = (await http.get(urls[0], headers=FAL_KEY)).json()["images"][0]["url"]
    assert inline.startswith("data:image/jpeg;base64,")
    assert [200, 200, 200] == await codes()
    instant.world.clock.advance(361)
    assert [404, 200, 200] == await codes()
    instant.world.clock.advance(3600)
    assert [404, 404, 200] == await codes()


async def test_files_live_as_long_as_their_lifecycle(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """The lifecycle header of the submit bounds the life of the pictures, not of the result."""
    wish = json.dumps({"expiration_duration_seconds": 60})
    made = await submit(http, instant, headers={"X-Fal-Object-Lifecycle-Preference": wish})
    result = (await http.get(made.json()["response_url"], headers=FAL_KEY)).json()
    assert 200 == (await http.get(result["images"][0]["url"])).status_code
    instant.world.clock.advance(61)
    assert 404 == (await http.get(result["images"][0]["url"])).status_code


async def test_the_status_stream_ends_after_completed(start: Start, http: httpx.AsyncClient) -> None:
    """Server-sent status objects, each different from the one before, until COMPLETED."""
    sandbox = await start(speed=20)
    made = await submit(http, sandbox)
    async with http.stream("GET", made.json()["status_url"] + "/stream?logs=1", headers=FAL_KEY) as answer:
        events = [json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: ")]
    assert "text/event-stream" == answer.headers["content-type"].split(";")[0]
    assert ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"] == list(
        dict.fromkeys(event["status"] for event in events)
    )


async def test_only_running_requests_count_as_concurrent(start: Start, http: httpx.AsyncClient) -> None:
    """The queue takes everything; direct calls get 429 when all slots run; positions show who is ahead."""
    sandbox = await start(fal_running_max=2)
    made = [await submit(http, sandbox, "sandbox/test-slow") for _ in range(4)]
    assert [200] * 4 == [answer.status_code for answer in made]
    while sum(entry_of(sandbox, one).started_at is not None for one in made) < 2:
        sandbox.world.clock.advance(3)
        await asyncio.sleep(0)
    direct = await http.post(f"{sandbox.fal_url}/run/{SCHNELL}", json={"prompt": "x"}, headers=FAL_KEY)
    assert (429, "1") == (direct.status_code, direct.headers["x-fal-needs-retry"])
    waiting = [await http.get(one.json()["status_url"], headers=FAL_KEY) for one in made]
    assert 2 == sum(answer.json()["status"] == "IN_QUEUE" for answer in waiting)
    for one in made:
        await finish(sandbox, one)


async def test_a_forgotten_request_is_unknown(start: Start, http: httpx.AsyncClient) -> None:
    """Beyond requests_kept_max the oldest are gone, and stay in the totals."""
    sandbox = await start(instant=True, requests_kept_max=3)
    made = [await submit(http, sandbox, prompt=str(number)) for number in range(5)]
    codes = [(await http.get(one.json()["status_url"], headers=FAL_KEY)).status_code for one in made]
    assert [404, 404, 200, 200, 200] == codes
    assert 5 == sandbox.world.book.totals["fal"].billed_count
