"""Watches: they resume by themselves, skip what is unknown, and end with the job."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import lightmeter
import pytest
from lightmeter import AsyncClient
from lightmeter.v1 import image_service_pb2 as pb

from tests.client.fake_service import Script, drawing_job, event, job, refusal

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def versions(found: AsyncIterator[lightmeter.Job]) -> list[int]:
    """The versions that a watch yields."""
    return [version.version async for version in found]


async def test_a_watch_resumes_after_the_version_it_has(client: AsyncClient, script: Script) -> None:
    script.on(
        "WatchJob",
        refusal(UNAVAILABLE, "WATCH_ENDED", before=(event(drawing_job("WAITING", 2)),)),
        refusal(UNAVAILABLE, before=(event(drawing_job("DRAWING", 4)),)),
        [event(job(version=9))],
    )
    assert [2, 4, 9] == await versions(client.watch("job-1"))
    assert [0, 2, 4] == [sent.after_version for sent in script.asked["WatchJob"]]


async def test_a_job_is_watched_from_its_own_version(client: AsyncClient, script: Script) -> None:
    script.on("GetJob", pb.GetJobResponse(job=drawing_job("DRAWING", 7)))
    script.on("WatchJob", [event(job(version=9))])
    assert [9] == await versions(client.watch(await client.get("job-1")))
    assert 7 == script.asked["WatchJob"][0].after_version


async def test_unknown_events_are_skipped(client: AsyncClient, script: Script) -> None:
    newer = pb.WatchJobResponse()
    newer.ParseFromString(b"\x9a\x06\x03abc")  # field 99, which no release has yet
    heartbeat = pb.WatchJobResponse(heartbeat=pb.Heartbeat(version=1))
    script.on("WatchJob", [heartbeat, newer, event(job(version=2))])
    assert [2] == await versions(client.watch("job-1"))


async def test_a_version_is_never_yielded_twice(client: AsyncClient, script: Script) -> None:
    again = event(drawing_job("DRAWING", 2))
    script.on("WatchJob", [again, again, event(drawing_job("WAITING", 1)), event(job(version=3))])
    assert [2, 3] == await versions(client.watch("job-1"))


async def test_a_stream_that_ends_before_the_job_is_opened_again(client: AsyncClient, script: Script) -> None:
    script.on("WatchJob", [], [event(job())])
    assert [3] == await versions(client.watch("job-1"))


async def test_a_service_that_never_gets_further_is_given_up(client: AsyncClient, script: Script) -> None:
    heartbeat = pb.WatchJobResponse(heartbeat=pb.Heartbeat(version=1))
    script.on("WatchJob", refusal(UNAVAILABLE, "DRAINING", before=(heartbeat,)))
    with pytest.raises(lightmeter.Unavailable):
        await versions(client.watch("job-1"))
    assert 4 == len(script.asked["WatchJob"])


async def test_an_unknown_job_ends_the_watch_at_once(client: AsyncClient, script: Script) -> None:
    script.on("WatchJob", refusal(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"))
    with pytest.raises(lightmeter.NotFound):
        await versions(client.watch("job-1"))
    assert 1 == len(script.asked["WatchJob"])


async def test_a_failed_job_is_yielded_and_not_raised(client: AsyncClient, script: Script) -> None:
    script.on("WatchJob", [event(job("FAILED", 5))])
    assert [5] == await versions(client.watch("job-1"))


async def test_logs_and_previews_are_asked_for_only_when_wanted(client: AsyncClient, script: Script) -> None:
    log = pb.WatchJobResponse(log=pb.LogBatch(lines=[pb.LogLine(text="step 3", attempt_number=1)]))
    preview = pb.WatchJobResponse(preview=pb.Preview(index=0, content=b"half", fraction=0.5))
    script.on("WatchJob", [log, preview, event(job())])
    heard: list[object] = []
    await versions(
        client.watch(
            "job-1", on_log=lambda line: heard.append(line.text), on_preview=lambda p: heard.append(p.content)
        )
    )
    await versions(client.watch("job-1"))
    assert ["step 3", b"half"] == heard
    first, second = script.asked["WatchJob"]
    assert (True, True) == (first.include_logs, first.include_previews)
    assert (False, False) == (second.include_logs, second.include_previews)


async def test_leaving_a_watch_early_ends_its_stream(client: AsyncClient, script: Script) -> None:
    ended = asyncio.Event()

    class Parts(list[object]):
        """Stream parts that notice when nobody reads on."""

        def __iter__(self) -> Iterator[object]:
            try:
                yield from super().__iter__()
            finally:
                ended.set()

    script.on("WatchJob", Parts([event(drawing_job("DRAWING", 2)), asyncio.Event()]))
    watch = client.watch("job-1")
    await anext(watch)
    await watch.aclose()
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_watch_ends_at_the_callers_timeout(client: AsyncClient, script: Script) -> None:
    script.on("WatchJob", [event(drawing_job("DRAWING", 2)), asyncio.Event()])
    with pytest.raises(lightmeter.WaitTimeout):
        await versions(client.watch("job-1", timeout=0.1))
