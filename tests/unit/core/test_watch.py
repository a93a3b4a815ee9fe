"""Watching: every visible version that a reader has time for, the final one always once, with and without hints."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.core.requests import Submitted, WatchEvent, WatchHeartbeat, WatchLogs
from service.core.watch import Watches
from service.domain import commands as c
from service.domain.errors import JobNotFound, TooManyWatches, VersionAhead
from service.domain.exchange import LogLine, Stage, Status
from service.domain.limits import poll_seconds_max, watch_heartbeat_seconds
from service.domain.records import JobState
from service.domain.view import JobView
from tests.support.clock import settle
from tests.support.fake_provider import ENDED, QUEUED, RUNNING
from tests.unit.core.rig import Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def collect(events: AsyncIterator[WatchEvent]) -> list[Any]:
    """Every event until the end."""
    return [event async for event in events]


def watching(
    rig: Rig, submitted: Submitted, after: int = 0, *, logs: bool = False
) -> asyncio.Task[list[Any]]:
    """Somebody who reads as fast as events come."""
    events = rig.watches.watch(submitted.view.job.id, "growth", after, logs=logs)
    return asyncio.get_running_loop().create_task(collect(events))


async def next_event(events: AsyncIterator[WatchEvent]) -> Any:
    """The next event, without time passing."""
    return await asyncio.wait_for(anext(events), 5.0)


async def end(rig: Rig) -> None:
    """Let the render end."""
    rig.fal.last_poll = ENDED
    await rig.finish()
    await settle()


@pytest.mark.parametrize("dropping", [False, True])
async def test_a_watch_ends_with_the_final_job(rig: Rig, dropping: bool) -> None:
    """Versions rise, each state is a state of the job, the last is final; dropped hints only cost time."""
    rig.store.hints.dropping = dropping
    rig.fal.polls.extend([QUEUED] * 5 + [RUNNING] * 5)
    submitted = await rig.submit()
    task = watching(rig, submitted)
    await rig.finish()
    await rig.clock.run(poll_seconds_max)
    events = [event for event in await task if isinstance(event, JobView)]
    versions = [event.version for event in events]
    assert sorted(set(versions)) == versions
    assert JobState.SUCCEEDED is events[-1].job.state
    assert not any(event.job.is_final for event in events[:-1])
    assert not rig.store.hints.subscriptions


async def test_the_first_event_comes_at_once(rig: Rig) -> None:
    """The job, or a heartbeat when nothing is newer than what the reader has seen."""
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    await rig.clock.run(5)
    version = rig.view(submitted).version
    for after, kind in ((0, JobView), (version - 1, JobView), (version, WatchHeartbeat)):
        events = rig.watches.watch(submitted.view.job.id, "growth", after)
        first = await next_event(events)
        assert (kind, version) == (type(first), first.version)
        await events.aclose()
    await end(rig)


async def test_a_final_job_is_sent_once_and_the_watch_ends(rig: Rig) -> None:
    """Also to a reader who has seen its last version."""
    view = await rig.drawn()
    for after in (0, view.version):
        events = await collect(rig.watches.watch(view.job.id, "growth", after))
        assert [view] == events


async def test_a_version_of_the_future_is_refused(rig: Rig) -> None:
    """It cannot be of this job."""
    view = await rig.drawn()
    with pytest.raises(VersionAhead) as caught:
        await collect(rig.watches.watch(view.job.id, "growth", view.version + 1))
    assert {"field": "after_version", "limit": str(view.version), "actual": str(view.version + 1)} == (
        caught.value.metadata
    )


@pytest.mark.parametrize(("job", "project"), [("unknown", "growth"), ("", "ads"), ("unknown", None)])
async def test_unknown_jobs_and_those_of_others_look_alike(rig: Rig, job: str, project: str | None) -> None:
    """Nobody learns which ids exist."""
    view = await rig.drawn()
    with pytest.raises(JobNotFound):
        await collect(rig.watches.watch(job or view.job.id, project, 0))


async def test_heartbeats_come_while_nothing_happens(rig: Rig) -> None:
    """Every fifteen seconds, with the version that the reader has."""
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    await rig.clock.run(5)
    task = watching(rig, submitted)
    version = rig.view(submitted).version
    await rig.clock.run(4 * watch_heartbeat_seconds + 1)
    await end(rig)
    beats = [event for event in await task if isinstance(event, WatchHeartbeat)]
    assert 4 == len(beats)
    assert {version} == {beat.version for beat in beats}
    gaps = {after.at - before.at for before, after in itertools.pairwise(beats)}
    assert all(gap <= (watch_heartbeat_seconds + 1) * 1_000_000 for gap in gaps)


async def test_a_slow_reader_gets_the_newest(rig: Rig) -> None:
    """What it had no time for is skipped, never queued."""
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    events = rig.watches.watch(submitted.view.job.id, "growth", 0)
    first = await next_event(events)
    rig.gate.set()
    await rig.finish()
    last = await next_event(events)
    assert (False, True) == (first.job.is_final, last.job.is_final)
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_a_cancel_and_a_failover_reach_the_reader(rig: Rig) -> None:
    """Whatever makes the job final ends its watches."""
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    other = await rig.submit()
    task, stays = watching(rig, submitted), watching(rig, other)
    await settle()
    rig.store.run(c.Cancel(submitted.view.job.id, "growth"))
    await settle()
    assert JobState.CANCELLED is (await task)[-1].job.state
    assert not stays.done()
    await end(rig)
    assert JobState.SUCCEEDED is (await stays)[-1].job.state


async def test_log_lines_come_to_those_who_ask(rig: Rig) -> None:
    """In order, with the attempt that they belong to, and before the end."""
    lines = (LogLine("step 1"), LogLine("step 2"))
    rig.fal.polls.extend([RUNNING, Status(Stage.RUNNING, logs=lines), RUNNING])
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    asks, does_not = watching(rig, submitted, logs=True), watching(rig, submitted)
    await settle()
    rig.gate.set()
    await rig.finish()
    await settle()
    logs = [event for event in await asks if isinstance(event, WatchLogs)]
    assert [(1, lines, 0)] == [(one.attempt_number, one.lines, one.dropped_count) for one in logs]
    assert not any(isinstance(event, WatchLogs) for event in await does_not)
    assert not rig.feed.is_read(rig.render(submitted).id)


@pytest.mark.parametrize(("dropping", "seconds_max"), [(False, 0.0), (True, poll_seconds_max)])
async def test_how_long_the_last_version_took_is_measured(
    rig: Rig, dropping: bool, seconds_max: float
) -> None:
    """Once per watch that saw the end: at once with a hint, within a poll without; not for a job that was final before."""
    rig.store.hints.dropping = dropping
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    task = watching(rig, submitted)
    await settle()
    rig.gate.set()
    await rig.finish()
    await rig.clock.run(poll_seconds_max)
    await task
    await collect(rig.watches.watch(submitted.view.job.id, "growth", 0))
    registry = rig.metrics.registry
    assert 1 == registry.get_sample_value("lightmeter_watch_delivery_seconds_count")
    took = registry.get_sample_value("lightmeter_watch_delivery_seconds_sum")
    assert took is not None
    assert 0.0 <= took <= seconds_max
    assert dropping is (took > 0.0)


async def test_the_number_of_watches_is_bounded_and_given_back(rig: Rig) -> None:
    """However a watch ends: by the job, by its reader, by an error."""
    watches = Watches(rig.jobs, rig.store.hints, rig.feed, rig.clock, rig.metrics, open_max=1)
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    job_id = submitted.view.job.id
    events = watches.watch(job_id, "growth", 0)
    await next_event(events)
    with pytest.raises(TooManyWatches):
        await next_event(watches.watch(job_id, "growth", 0))
    await events.aclose()
    with pytest.raises(JobNotFound):
        await next_event(watches.watch("unknown", "growth", 0))
    await end(rig)
    assert 1 == len(await collect(watches.watch(job_id, "growth", 0)))
    assert 0 == rig.metrics.registry.get_sample_value("lightmeter_watches_open")


@pytest.mark.parametrize("dropping", [False, True])
async def test_waiting_answers_when_the_job_is_final_or_the_time_is_over(rig: Rig, dropping: bool) -> None:
    """Never later than asked, and at once for a final job."""
    rig.store.hints.dropping = dropping
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    started = rig.clock.monotonic()
    view = await rig.until(rig.watches.wait_final(submitted.view, 10.0))
    assert (False, True) == (view.job.is_final, 10.0 <= rig.clock.monotonic() - started < 10.5)
    rig.fal.last_poll = ENDED
    view = await rig.until(rig.watches.wait_final(submitted.view, 25.0))
    assert view.job.is_final
    await rig.finish()
    reads = rig.jobs.reads_count
    assert view == await rig.watches.wait_final(view, 25.0)
    assert reads == rig.jobs.reads_count
    assert not rig.store.hints.subscriptions
