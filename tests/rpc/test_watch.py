"""WatchJob on the wire: what the core says arrives as it is, and the stream ends as it should."""

import asyncio

import grpc
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import job_pb2

from service.core.requests import WatchHeartbeat, WatchLogs
from service.domain.errors import JobNotFound, TooManyWatches, VersionAhead, WatchEnded
from service.domain.exchange import LogLine
from tests.rpc import samples
from tests.rpc.rig import Rig, refused

WATCH = pb.WatchJobRequest(job_id=samples.JOB_ID, after_version=3, include_logs=True)


async def test_events_arrive_in_order_and_the_stream_ends_after_the_final_job(rig: Rig) -> None:
    """Heartbeat, job, log, final job, OK."""
    line = LogLine("x" * 2_100, "WARN", samples.T0)
    rig.watches.events = [
        WatchHeartbeat(3, samples.T0),
        samples.running_view(),
        WatchLogs(1, (LogLine("step 1"), line), 4),
        samples.done_view(),
    ]
    call = rig.images.WatchJob(WATCH, timeout=5)
    beat, running, log, done = [event async for event in call]
    assert (3, samples.T0 // samples.SECOND) == (beat.heartbeat.version, beat.heartbeat.send_time.seconds)
    assert (job_pb2.JOB_STATE_RUNNING, 4) == (running.job.state, running.job.version)
    assert (4, ["step 1", "x" * 1_997 + "…"]) == (log.log.dropped_count, [one.text for one in log.log.lines])
    assert [False, True] == [one.HasField("time") for one in log.log.lines]
    assert (job_pb2.JOB_STATE_SUCCEEDED, 7) == (done.job.state, done.job.version)
    assert grpc.StatusCode.OK == await call.code()


async def test_the_core_is_asked_for_the_job_of_the_callers_project(rig: Rig) -> None:
    """Id, project, version and the wish for logs are handed on."""
    rig.watches.events = [samples.done_view()]
    metadata = (("lightmeter-project", "growth"),)
    assert 1 == len([event async for event in rig.images.WatchJob(WATCH, metadata=metadata, timeout=5)])
    assert [(samples.JOB_ID, "growth", 3, True)] == rig.watches.asked


async def test_too_many_lines_keep_the_newest(rig: Rig) -> None:
    """A batch has at most 100 lines, and what is cut counts as dropped."""
    rig.watches.events = [WatchLogs(1, tuple(LogLine(str(number)) for number in range(130)), 5)]
    [event] = [event async for event in rig.images.WatchJob(WATCH, timeout=5)]
    assert ("30", 100, 35) == (event.log.lines[0].text, len(event.log.lines), event.log.dropped_count)


async def test_refusals_before_the_first_event_are_errors_of_the_call(rig: Rig) -> None:
    """Unknown job, a version ahead, too many watches: each with its code."""
    for error, code in (
        (JobNotFound("x"), "NOT_FOUND"),
        (VersionAhead("x", metadata={"field": "after_version"}), "OUT_OF_RANGE"),
        (TooManyWatches("x"), "RESOURCE_EXHAUSTED"),
    ):
        rig.watches.events = [error]
        answer = await refused(rig.images.WatchJob(WATCH, timeout=5))
        assert (code, f"ERROR_REASON_{error.reason.value}") == (answer.code, answer.reason)


async def test_an_error_in_the_middle_comes_after_the_events_before_it(rig: Rig) -> None:
    """What was sent stays sent; the caller resumes with the last version."""
    rig.watches.events = [samples.running_view(), WatchEnded("an hour is over")]
    call = rig.images.WatchJob(WATCH, timeout=5)
    assert 4 == (await call.read()).job.version
    answer = await refused(call)
    assert ("UNAVAILABLE", "ERROR_REASON_WATCH_ENDED") == (answer.code, answer.reason)


async def test_a_caller_that_hangs_up_ends_the_watch(rig: Rig) -> None:
    """Nothing is left subscribed behind a cancelled stream."""
    rig.watches.events = [samples.running_view(), asyncio.Event().wait()]
    call = rig.images.WatchJob(WATCH, timeout=5)
    await call.read()
    assert 1 == rig.watches.open_count
    call.cancel()
    await _until(lambda: rig.watches.open_count == 0)
    method = {"grpc_service": "lightmeter.v1.ImageService", "grpc_method": "WatchJob"}
    await _until(lambda: rig.sample("grpc_server_handled_total", **method, grpc_code="CANCELLED") == 1)


async def test_a_drain_ends_watches_with_a_reason_and_lets_calls_finish(rig: Rig) -> None:
    """Watches are told to go on elsewhere; a call in work is answered; a new one is refused."""
    rig.watches.events = [samples.running_view(), asyncio.Event().wait()]
    watch = rig.images.WatchJob(WATCH, timeout=5)
    await watch.read()
    release = asyncio.Event()
    rig.submissions.hold = release
    generate = rig.images.Generate(_request(), timeout=5)
    await rig.submissions.reached.wait()
    await rig.server.drain()
    answer = await refused(watch)
    assert ("UNAVAILABLE", "ERROR_REASON_DRAINING", None) == (answer.code, answer.reason, answer.pushback)
    assert 0 == rig.watches.open_count
    new = await refused(rig.images.Generate(_request(), timeout=5))
    assert ("UNAVAILABLE", "ERROR_REASON_DRAINING") == (new.code, new.reason)
    assert 1 == rig.server.calls_open
    release.set()
    assert samples.JOB_ID == (await generate).job.job_id
    assert 0 == rig.server.calls_open


def _request() -> pb.GenerateRequest:
    request = pb.GenerateRequest()
    request.drawing.model, request.drawing.prompt = "flux-schnell", "a fox"
    return request


async def _until(reached: object) -> None:
    """Give the loop a bounded number of turns until it is so."""
    for _ in range(500):
        if reached():  # type: ignore[operator] # a condition
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it did not come to that")
