"""The real fal-client 1.0.3 cannot tell the sandbox from fal."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import fal_client
import httpx
import pytest
from PIL import Image

from sandbox import Sandbox
from tests.sandbox.conftest import FalClients, Start, pointed_at

SCHNELL = "fal-ai/flux/schnell"


async def test_subscribe_shows_the_queue_the_progress_and_the_picture(
    start: Start, fal_clients: FalClients, http: httpx.AsyncClient
) -> None:
    """subscribe sees positions, then logs, then the result, whose picture has the size that was asked for."""
    sandbox = await start(speed=4)
    seen: list[fal_client.Status] = []
    with pointed_at(sandbox):
        result = await fal_clients().subscribe(
            SCHNELL,
            {"prompt": "a fox", "seed": 7, "image_size": "square_hd"},
            with_logs=True,
            interval=0.02,
            on_queue_update=seen.append,
        )
    kinds = [type(status).__name__ for status in seen]
    assert ["Queued", "InProgress", "Completed"] == list(dict.fromkeys(kinds))
    completed = seen[-1]
    assert isinstance(completed, fal_client.Completed)
    assert completed.logs
    assert completed.metrics["inference_time"] > 0
    assert "4/4" in completed.logs[-1]["message"]
    image = result["images"][0]
    picture = Image.open(io.BytesIO((await http.get(image["url"])).content))
    assert ((1024, 1024), "JPEG") == (picture.size, picture.format)
    assert (1024, 1024, 7) == (image["width"], image["height"], result["seed"])


async def test_addresses_from_the_server_equal_the_rebuilt_ones(
    instant: Sandbox, fal_clients: FalClients
) -> None:
    """The submit answer's URLs are owner/app ones, as the client rebuilds them from an id."""
    with pointed_at(instant):
        client = fal_clients()
        handle = await client.submit("fal-ai/flux/dev/image-to-image", {"prompt": "x", "image_url": "data:,"})
        rebuilt = await client.get_handle("fal-ai/flux/dev/image-to-image", handle.request_id)
    assert handle.response_url.endswith(f"/fal-ai/flux/requests/{handle.request_id}")
    assert (handle.response_url, handle.status_url, handle.cancel_url) == (
        rebuilt.response_url,
        rebuilt.status_url,
        rebuilt.cancel_url,
    )


async def test_a_failed_request_completes_and_its_result_raises(
    instant: Sandbox, fal_clients: FalClients
) -> None:
    """fal has no FAILED: the status is COMPLETED with an error, and the result answers with the error."""
    with pointed_at(instant):
        client = fal_clients()
        handle = await client.submit("sandbox/test-fails", {"prompt": "x"})
        status = await handle.status()
        with pytest.raises(fal_client.client.FalClientHTTPError) as caught:
            await handle.get()
    assert isinstance(status, fal_client.Completed)
    assert "internal_server_error" == status.error_type
    assert 500 == caught.value.status_code
    assert 0 == instant.world.book.totals["fal"].billed_nanos


async def test_cancel_is_taken_in_the_queue_asked_for_while_running_and_refused_after(
    slow: Sandbox, fal_clients: FalClients, http: httpx.AsyncClient
) -> None:
    """200 from the queue, 202 while running (which finishes and bills), 400 when too late, 404 for nobody."""
    world = slow.world
    with pointed_at(slow):
        client = fal_clients()
        queued = await client.submit("openai/gpt-image-2", {"prompt": "x"})
        await queued.cancel()
        await world.works.wait_end(_entry(slow, queued.request_id), 5)
        with pytest.raises(fal_client.client.FalClientHTTPError) as too_late:
            await queued.cancel()
        with pytest.raises(fal_client.client.FalClientHTTPError) as gone:
            await queued.get()
        with pytest.raises(fal_client.client.FalClientHTTPError) as unknown:
            await client.cancel(SCHNELL, "nobody")
        running = await client.submit("openai/gpt-image-2", {"prompt": "x"})
        entry = _entry(slow, running.request_id)
        while entry.started_at is None:
            world.clock.advance(1)
            await asyncio.sleep(0)
        auth = {"Authorization": "Key sandbox:key"}
        asked = await http.put(running.cancel_url, headers=auth)
        world.clock.advance(60)
        await running.get()
    assert (400, 499, 404) == (too_late.value.status_code, gone.value.status_code, unknown.value.status_code)
    assert '{"status": "ALREADY_COMPLETED"}' == too_late.value.message
    assert (202, "CANCELLATION_REQUESTED") == (asked.status_code, asked.json()["status"])
    assert 1 == world.book.totals["fal"].billed_count


async def test_run_and_stream_answer_with_the_output(start: Start, fal_clients: FalClients) -> None:
    """run returns the output at once, stream sends progress and then the output."""
    sandbox = await start(speed=20)
    with pointed_at(sandbox):
        client = fal_clients()
        result = await client.run(
            SCHNELL, {"prompt": "x", "num_images": 2}, start_timeout=30, hint="a runner"
        )
        events = [event async for event in client.stream("fal-ai/flux/dev", {"prompt": "x"})]
    assert 2 == len(result["images"])
    assert 1 == len(events[-1]["images"])


async def test_uploads_arrive_whole_and_in_parts_and_the_older_way(
    instant: Sandbox, fal_clients: FalClients, http: httpx.AsyncClient
) -> None:
    """What upload() returns serves the bytes again, for one POST, for parts, and for the fallback."""
    data = bytes(range(256)) * 64
    with pointed_at(instant, MULTIPART_THRESHOLD=4096, MULTIPART_CHUNK_SIZE=5000):
        client = fal_clients()
        whole = await client.upload(data[:4096], "image/png", "a fox.png")
        parts = await client.upload(data, "application/octet-stream")
        lifecycle = fal_client.client.StorageSettings(expires_in="1h")
        older = await client.upload(data, "image/png", repository="fal", lifecycle=lifecycle)
    answers = [await http.get(url) for url in (whole, parts, older)]
    assert [data[:4096], data, data] == [answer.content for answer in answers]
    assert "image/png" == answers[0].headers["content-type"]
    instant.world.clock.advance(3601)
    assert [200, 200, 404] == [(await http.get(url)).status_code for url in (whole, parts, older)]


async def test_an_upload_is_the_input_of_an_edit(instant: Sandbox, fal_clients: FalClients) -> None:
    """The uploaded picture decides the edit's size."""
    picture = Image.new("RGB", (640, 480), "red")
    with pointed_at(instant):
        client = fal_clients()
        url = await client.upload_image(picture)
        inputs = {"prompt": "make it blue", "image_url": url}
        result = await client.subscribe("fal-ai/flux-pro/kontext", inputs)
    assert (640, 480) == (result["images"][0]["width"], result["images"][0]["height"])


async def test_the_clients_own_retries_are_paid_for(instant: Sandbox, fal_clients: FalClients) -> None:
    """After a lost reply fal-client submits again, and the book shows every POST accepted and billed."""
    with pointed_at(instant, MAX_ATTEMPTS=3), pytest.raises(httpx.RemoteProtocolError):
        await fal_clients().submit("sandbox/test-lost-reply", {"prompt": "x"})
    totals = instant.world.book.totals["fal"]
    assert (3, 3, 3, 30_000_000) == (totals.posts, totals.accepted, totals.billed_count, totals.billed_nanos)
    assert 3 == max(entry.posts for entry in instant.world.book.newest_first("fal"))


async def test_a_start_that_is_late_ends_with_the_users_own_timeout(
    slow: Sandbox, fal_clients: FalClients
) -> None:
    """X-Fal-Request-Timeout bounds the queueing: 504, marked as the user's, unbilled."""
    slow.world.faults.order({"kind": "stuck"})
    with pointed_at(slow):
        handle = await fal_clients().submit(SCHNELL, {"prompt": "x"}, start_timeout=5)
        slow.world.clock.advance(6)
        with pytest.raises(fal_client.client.FalClientHTTPError) as caught:
            await handle.get()
    assert 504 == caught.value.status_code
    assert "user" == caught.value.response_headers["x-fal-request-timeout-type"]
    assert 0 == slow.world.book.totals["fal"].billed_count


async def test_every_endpoint_draws(instant: Sandbox, fal_clients: FalClients) -> None:
    """Each fal endpoint answers its minimal input with pictures and a bill."""
    minimal: dict[str, Any] = {"prompt": "a fox"}
    with pointed_at(instant):
        client = fal_clients()
        url = await client.upload_image(Image.new("RGB", (1024, 1024), "green"))
        for endpoint in instant.world.fal:
            if not endpoint.startswith("sandbox/"):
                inputs = minimal | {"image_url": url, "image_urls": [url]}
                result = await client.subscribe(endpoint, inputs)
                assert result["images"][0]["url"].startswith(instant.url), endpoint
    totals = instant.world.book.totals["fal"]
    assert 13 == totals.billed_count


def _entry(sandbox: Sandbox, request_id: str) -> Any:
    entry = sandbox.world.book.find("fal", request_id)
    assert entry is not None
    return entry
