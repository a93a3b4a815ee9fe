"""The real replicate 1.0.7 cannot tell the sandbox from Replicate."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import httpx
import pytest
from PIL import Image
from replicate.exceptions import ModelError, ReplicateError
from replicate.prediction import Prediction

from sandbox import Sandbox
from tests.sandbox.conftest import REPLICATE_KEY, Start, replicate_client

SCHNELL = "black-forest-labs/flux-schnell"
SDXL = "stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"


async def test_a_prediction_is_watched_and_downloaded(start: Start, http: httpx.AsyncClient) -> None:
    """create answers `starting`, the logs show progress, and the output has the size asked for."""
    sandbox = await start(speed=10)
    async with replicate_client(sandbox) as client:
        made = await client.models.predictions.async_create(
            SCHNELL, input={"prompt": "a fox", "aspect_ratio": "16:9", "output_format": "png", "seed": 4}
        )
        statuses = [made.status]
        progress = set()
        while made.status not in ("succeeded", "failed"):
            await made.async_reload()
            statuses.append(made.status)
            progress.add(made.progress.percentage if made.progress else None)
    assert ["starting", "processing", "succeeded"] == list(dict.fromkeys(statuses))
    assert 1.0 in progress
    assert made.logs is not None
    assert made.logs.startswith("Using seed: 4\n")
    assert made.metrics is not None
    assert 1 == made.metrics["image_output_count"]
    assert made.output is not None
    picture = Image.open(io.BytesIO((await http.get(made.output[0])).content))
    assert ((1344, 768), "PNG") == (picture.size, picture.format)


async def test_run_waits_for_the_output(start: Start) -> None:
    """async_run sends Prefer: wait and takes the answer's output, list or single, official or community."""
    sandbox = await start(speed=50)
    async with replicate_client(sandbox) as client:
        several: Any = await client.async_run(SCHNELL, input={"prompt": "x", "num_outputs": 2})
        single = await client.async_run("black-forest-labs/flux-1.1-pro", input={"prompt": "x"})
        community: Any = await client.async_run(SDXL, input={"prompt": "x"}, wait=False)
    assert 2 == len(several)
    assert not isinstance(single, list)
    assert 1 == len(community)


async def test_a_failed_run_raises_the_models_error(instant: Sandbox) -> None:
    """A prediction that ends failed raises ModelError in run(), and costs nothing."""
    async with replicate_client(instant) as client:
        with pytest.raises(ModelError) as caught:
            await client.async_run("sandbox/test-fails", input={"prompt": "x"})
    assert "E1000" in (caught.value.prediction.error or "")
    assert 0 == instant.world.book.totals["replicate"].billed_nanos


async def test_cancel_is_charged_while_running_and_changes_nothing_after(slow: Sandbox) -> None:
    """A running prediction is canceled and charged; a finished one stays succeeded."""
    async with replicate_client(slow) as client:
        made = await client.models.predictions.async_create("openai/gpt-image-2", input={"prompt": "x"})
        entry = slow.world.book.find("replicate", made.id)
        assert entry is not None
        while entry.started_at is None:
            slow.world.clock.advance(0.5)
            await asyncio.sleep(0)
        await made.async_cancel()
        cancelled = (made.status, made.output)
        done = await client.models.predictions.async_create(SCHNELL, input={"prompt": "x"})
        slow.world.clock.advance(60)
        await done.async_wait()
        await done.async_cancel()
    assert ("canceled", None) == cancelled
    assert "succeeded" == done.status
    assert 128_000_000 + 3_000_000 == slow.world.book.totals["replicate"].billed_nanos


async def test_lists_are_paged_newest_first(instant: Sandbox) -> None:
    """100 a page, an absolute cursor URL to the rest, nothing twice."""
    made: list[str] = []
    async with replicate_client(instant) as client:
        for number in range(105):
            one = await client.models.predictions.async_create(SCHNELL, input={"prompt": str(number)})
            made.append(one.id)
        first = await client.predictions.async_list()
        assert first.next is not None
        second = await client.predictions.async_list(first.next)
    listed: list[Prediction] = [*first.results, *second.results]
    assert made[::-1] == [one.id for one in listed]
    assert (100, None) == (len(first.results), second.next)


async def test_files_are_uploaded_read_used_and_deleted(instant: Sandbox) -> None:
    """A file has its hashes and 24 hours, is an input by its address, and is gone when deleted."""
    content = io.BytesIO()
    Image.new("RGB", (512, 256), "red").save(content, "PNG")
    async with replicate_client(instant) as client:
        made = await client.files.async_create(content, filename="red.png", metadata={"a": 1})
        read = await client.files.async_get(made.id)
        listed = await client.files.async_list()
        edit = await client.models.predictions.async_create(
            "black-forest-labs/flux-kontext-pro", input={"prompt": "blue", "input_image": made.urls["get"]}
        )
        await edit.async_reload()
        entry = instant.world.book.find("replicate", edit.id)
        deleted = await client.files.async_delete(made.id)
        with pytest.raises(ReplicateError) as gone:
            await client.files.async_get(made.id)
    assert read == made
    assert [made.id] == [one.id for one in listed]
    assert ("image/png", {"a": 1}) == (made.content_type, made.metadata)
    assert entry is not None
    assert (512, 256) == (entry.pictures[0].width_px, entry.pictures[0].height_px)
    assert (True, 404) == (deleted, gone.value.status)


async def test_models_show_their_schema_and_versions(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """models.get has the input schema with ranges, enums and defaults; secrets are marked."""
    async with replicate_client(instant) as client:
        model = await client.models.async_get("openai/gpt-image-2")
        assert model.latest_version is not None
        schemas = model.latest_version.openapi_schema["components"]["schemas"]
    inputs = schemas["Input"]["properties"]
    assert ["low", "medium", "high", "auto"] == inputs["quality"]["enum"]
    assert (1, 10) == (inputs["number_of_images"]["minimum"], inputs["number_of_images"]["maximum"])
    assert inputs["openai_api_key"]["x-cog-secret"] is True
    assert 200 == (await http.get(f"{instant.replicate_url}/v1/account", headers=REPLICATE_KEY)).status_code


async def test_streams_end_with_done(instant: Sandbox) -> None:
    """The stream address sends the outputs and then `done`."""
    async with replicate_client(instant) as client:
        made = await client.models.predictions.async_create(SCHNELL, input={"prompt": "x"})
        events = [event async for event in made.async_stream()]
    assert ["output", "done"] == [event.event.value for event in events]


async def test_every_model_draws(instant: Sandbox) -> None:
    """Each Replicate model answers its minimal input with pictures and a bill."""
    async with replicate_client(instant) as client:
        for endpoint, model in instant.world.replicate.items():
            if not endpoint.startswith("sandbox/"):
                if model.official:
                    made = await client.models.predictions.async_create(endpoint, input={"prompt": "x"})
                else:
                    made = await client.predictions.async_create(model.version, input={"prompt": "x"})
                await made.async_reload()
                assert "succeeded" == made.status, endpoint
                assert model.single == isinstance(made.output, str), endpoint
    assert 9 == instant.world.book.totals["replicate"].billed_count
