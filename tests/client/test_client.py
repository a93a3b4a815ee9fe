"""The blocking client: the same calls without asyncio."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import grpc
import lightmeter
import pytest
from lightmeter import Client
from lightmeter.v1 import image_service_pb2 as pb

from tests.client.conftest import QUICK
from tests.client.fake_service import (
    PICTURE,
    FakeServer,
    Script,
    drawing_job,
    event,
    job,
    picture_parts,
    refusal,
)
from tests.client.test_submit import ASK

T = TypeVar("T")


@pytest.fixture
def blocking(server: FakeServer) -> Iterator[Client]:
    """A blocking client of the fake service, which runs in the test's own loop."""
    with Client(server.address, api_key="", project="", retry=QUICK) as connected:
        yield connected


async def off(call: Callable[[], T]) -> T:
    """Calls the blocking client from another thread, as the loop has the service to run."""
    return await asyncio.to_thread(call)


async def test_a_blocking_generate_retries_watches_and_reports(blocking: Client, script: Script) -> None:
    script.on("Generate", refusal(grpc.StatusCode.UNAVAILABLE), pb.GenerateResponse(job=job("QUEUED", 1)))
    script.on("WatchJob", [event(drawing_job("DRAWING", 2)), event(job())])
    stages: list[str] = []
    found = await off(lambda: blocking.generate(ASK, on_progress=lambda p: stages.append(p.stage)))
    assert (["DRAWING"], "SUCCEEDED") == (stages, found.state)
    first, second = script.asked["Generate"]
    assert first.options.request_id == second.options.request_id


async def test_blocking_lists_are_iterators_over_all_pages(blocking: Client, script: Script) -> None:
    script.on(
        "ListJobs",
        pb.ListJobsResponse(jobs=[job(version=1), job(version=2)], next_page_token="more"),
        pb.ListJobsResponse(jobs=[job(version=3)]),
    )
    found = await off(lambda: [item.version for item in blocking.list(states=["succeeded"])])
    assert [1, 2, 3] == found
    assert ["", "more"] == [sent.page_token for sent in script.asked["ListJobs"]]


async def test_a_blocking_watch_may_be_left_early(blocking: Client, script: Script) -> None:
    script.on("WatchJob", [event(drawing_job("DRAWING", 2)), asyncio.Event()])
    assert 2 == await off(lambda: next(iter(blocking.watch("job-1"))).version)


async def test_blocking_errors_are_the_same_errors(blocking: Client, script: Script) -> None:
    script.on("GetJob", refusal(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"))
    with pytest.raises(lightmeter.NotFound):
        await off(lambda: blocking.get("job-1"))


async def test_pictures_are_read_through_the_blocking_client(
    blocking: Client, script: Script, tmp_path: Path
) -> None:
    script.on("Generate", pb.GenerateResponse(job=job()))
    script.on("DownloadAsset", picture_parts())
    asset = (await off(lambda: blocking.generate(ASK))).assets[0]
    assert PICTURE == await off(lambda: blocking.read(asset))
    assert PICTURE == (await off(lambda: blocking.save(asset, tmp_path / "a.png"))).read_bytes()
    with pytest.raises(TypeError, match=r"client\.read"):
        await asset.read()


async def test_a_callback_that_calls_the_client_is_told_so(blocking: Client, script: Script) -> None:
    script.on("WatchJob", [event(drawing_job("DRAWING", 2)), event(job())])
    with pytest.raises(RuntimeError, match="callback"):
        await off(lambda: blocking.result("job-1", on_progress=lambda _: blocking.get("job-1")))


def test_closing_twice_is_fine() -> None:
    """Closing ends the thread, and a second time does nothing."""
    client = Client("127.0.0.1:1")
    client.close()
    client.close()
    assert client.address == "127.0.0.1:1"
