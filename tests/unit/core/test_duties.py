"""What runs beside the requests: duties that go on whatever fails, deadlines, and renders that nobody works on."""

from dataclasses import replace

import pytest

from service.core.housekeeping import Repeater, deadlines, heartbeats, loop_lag
from service.core.lease import Lease
from service.domain import commands as c
from service.domain.errors import Reason, StoreUnavailable
from service.domain.failure import ProviderUnavailable
from service.domain.limits import heartbeat_seconds, lease_seconds, stray_look_seconds
from service.domain.records import JobState
from service.domain.view import JobView
from tests.support.clock import settle
from tests.support.fake_provider import ENDED, RUNNING
from tests.support.memory_store import Fault, MemoryReader
from tests.unit.core.rig import Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_duty_is_done_again_and_again_until_it_is_stopped(rig: Rig) -> None:
    """Starting and stopping are legal twice, and so is stopping before starting."""
    done: list[float] = []

    async def duty() -> None:
        done.append(rig.clock.monotonic())

    repeater = Repeater("duty", 5.0, duty, rig.clock, rig.log)
    await repeater.stop()
    await repeater.start()
    await repeater.start()
    await rig.clock.run(10)
    assert [1_000.0, 1_005.0, 1_010.0] == done
    await repeater.stop()
    await repeater.stop()
    await rig.clock.run(20)
    assert 3 == len(done)
    await repeater.start()
    await rig.clock.run(1)
    assert 4 == len(done)
    await repeater.stop()


async def test_a_duty_outlives_an_absent_database_and_not_a_fault_of_ours(rig: Rig) -> None:
    """The first is told and tried again; the second ends it, loudly."""
    errors: list[Exception] = [StoreUnavailable("away"), RuntimeError("a bug")]

    async def duty() -> None:
        raise errors.pop(0)

    repeater = Repeater("duty", 5.0, duty, rig.clock, rig.log)
    await repeater.start()
    await rig.clock.run(4)
    assert ["duty_failed"] == rig.log.names()
    await rig.clock.run(4)
    assert ["duty_failed", "duty_ended"] == rig.log.names()
    await repeater.stop()


async def test_a_duty_that_ends_by_a_fault_of_ours_is_reported_once(rig: Rig) -> None:
    """The process must not go on without it; a stop, and an absent database, are no such end."""
    dead: list[str] = []
    errors: list[Exception] = []

    async def duty() -> None:
        raise errors.pop(0)

    for error in (StoreUnavailable("away"), RuntimeError("a bug")):
        errors[:] = [error] * 5
        repeater = Repeater("watchful", 1.0, duty, rig.clock, rig.log)
        repeater.on_death = dead.append
        await repeater.start()
        await rig.clock.run(3)
        await repeater.stop()
    assert ["watchful"] == dead


async def test_a_duty_that_failed_may_be_repeated_sooner(rig: Rig) -> None:
    """Where waiting for the next turn would be too late."""
    done: list[float] = []

    async def duty() -> None:
        done.append(rig.clock.monotonic())
        if len(done) == 2:
            raise StoreUnavailable("away")

    repeater = Repeater("duty", 5.0, duty, rig.clock, rig.log, failed_seconds=1.0)
    await repeater.start()
    await rig.clock.run(12)
    await repeater.stop()
    assert [1_000.0, 1_005.0, 1_006.0, 1_011.0] == done


async def test_heartbeats_keep_the_lease(rig: Rig) -> None:
    """One missed does not lose it."""
    duty = heartbeats(rig.store, Lease(rig.clock), "replica-1", rig.clock, rig.log)
    await duty.start()
    await rig.clock.run(heartbeat_seconds * 3)
    rig.store.faults.append(Fault(c.Heartbeat, committed=False))
    for _ in range(20):
        await rig.clock.run(1.0)
        assert rig.clock.now() < rig.store.tables.replicas["replica-1"].lease_until
    await duty.stop()
    await rig.clock.run(lease_seconds)
    assert rig.clock.now() >= rig.store.tables.replicas["replica-1"].lease_until


async def test_deadlines_end_jobs_and_not_their_renders(rig: Rig) -> None:
    """Within a second or two of their time; the picture is drawn for the cache."""
    rig.fal.last_poll = RUNNING
    due = await rig.submit(job_timeout_seconds=30.0)
    other = await rig.submit()
    duty = deadlines(rig.store, rig.jobs, rig.clock, rig.log)
    await duty.start()
    await rig.clock.run(29)
    assert not rig.job(due).is_final
    await rig.clock.run(3)
    assert Reason.JOB_TIMED_OUT is rig.failure(rig.view(due)).reason
    await duty.stop()
    await rig.runner.stop()
    assert not rig.job(other).is_final


async def test_the_lag_of_the_loop_is_measured(rig: Rig) -> None:
    """A clock that wakes on time has none."""
    duty = loop_lag(rig.metrics, rig.clock, rig.log)
    await duty.start()
    await rig.clock.run(1)
    await duty.stop()
    registry = rig.metrics.registry
    assert 3 <= (registry.get_sample_value("lightmeter_event_loop_lag_seconds_count") or 0)
    assert (registry.get_sample_value("lightmeter_event_loop_lag_seconds_sum") or 0) < 1e-6


async def test_only_strays_are_taken_over_and_each_once(rig: Rig) -> None:
    """What runs here, and what a living replica owns, is left alone."""
    await rig.runner.start()
    rig.store.run(c.Heartbeat("replica-1"))
    beats = heartbeats(rig.store, Lease(rig.clock), "replica-1", rig.clock, rig.log)
    await beats.start()
    rig.fal.last_poll = RUNNING
    mine = await rig.submit("mine")
    theirs = await rig.submit("theirs")
    await settle(40)
    render = rig.render(theirs)
    rig.store.run(c.Heartbeat("replica-2"))
    other = heartbeats(rig.store, Lease(rig.clock), "replica-2", rig.clock, rig.log)
    await other.start()
    tables = rig.store.tables
    tables.renders[render.id] = replace(render, owner="replica-2", fence=2)
    duty = rig.recovery().looks()
    await duty.start()
    await rig.clock.run(60)
    assert (1, 2) == (rig.render(mine).fence, rig.render(theirs).fence)
    await other.stop()
    await rig.runner.stop()
    await rig.runner.start()
    await rig.clock.run(lease_seconds + 3 * heartbeat_seconds)
    assert ("replica-1", 3) == (rig.render(theirs).owner, rig.render(theirs).fence)
    assert 2 == rig.runner.running_count
    for one in (duty, beats):
        await one.stop()
    rig.fal.last_poll = ENDED
    await rig.finish()
    assert (JobState.SUCCEEDED, JobState.SUCCEEDED) == (rig.job(mine).state, rig.job(theirs).state)
    assert 2 == len(rig.fal.posted)


class _SlowReader(MemoryReader):
    """While it reads a job, another replica takes the job's render over."""

    async def view(self, job_id: str) -> JobView | None:
        tables = self._store.tables
        for key, one in tables.renders.items():
            tables.renders[key] = replace(one, owner="replica-3", fence=one.fence + 1)
        return await super().view(job_id)


async def test_what_another_replica_took_meanwhile_is_not_begun(rig: Rig) -> None:
    """Whoever stood still between taking a render and reading it would act under the new owner's name and fence."""
    await rig.runner.start()
    theirs = await rig.submit("theirs")
    await rig.runner.stop()
    await rig.runner.start()
    tables = rig.store.tables
    key = rig.render(theirs).id
    tables.renders[key] = replace(tables.renders[key], owner="replica-2")
    rig.jobs = _SlowReader(rig.store, rig.clock)
    await rig.recovery().look()
    assert ("replica-3", 3) == (tables.renders[key].owner, tables.renders[key].fence)
    assert 0 == rig.runner.running_count


async def test_what_was_lost_and_still_runs_here_does_not_keep_it_from_being_taken(rig: Rig) -> None:
    """This replica stood still and lost the render to one that died; its own old run would ask for the result for an hour."""
    rig.fal.results.extend([ProviderUnavailable("no result")] * 1_000)
    submitted = await rig.submit()
    await rig.clock.run(10)
    assert 1 == rig.runner.running_count
    tables = rig.store.tables
    key = rig.render(submitted).id
    tables.renders[key] = replace(tables.renders[key], owner="replica-2", fence=5)
    duty = rig.recovery().looks()
    await duty.start()
    await rig.clock.run(4 * stray_look_seconds)
    assert ("replica-1", 6, 1) == (
        tables.renders[key].owner,
        tables.renders[key].fence,
        rig.runner.running_count,
    )
    rig.fal.results.clear()
    await rig.clock.run(60)
    assert JobState.SUCCEEDED is rig.job(submitted).state
    await duty.stop()
