"""A replica acts only while its lease holds, as it knows it: nothing leaves for a provider when others may own the render."""

import asyncio

from service.core.housekeeping import heartbeats, leave
from service.core.lease import Lease
from service.domain import commands as c
from service.domain.limits import heartbeat_seconds, lease_seconds, lease_wait_seconds_max, owner_seconds_max
from service.domain.records import AttemptState, JobState
from tests.support.clock import FakeClock, settle
from tests.support.fake_provider import QUEUED
from tests.support.memory_store import Fault
from tests.unit.core.rig import Rig


def leased() -> tuple[Rig, Lease]:
    """A replica that has not beaten yet, and its lease."""
    first = Rig()
    lease = Lease(first.clock)
    return Rig(beside=first, lease=lease), lease


def test_a_lease_is_counted_from_the_begin_of_its_heartbeat() -> None:
    """And ends before the database's does, whatever the answer took."""
    clock = FakeClock()
    lease = Lease(clock)
    assert not lease.holds()
    started = clock.monotonic()
    clock.advance(3)
    lease.beat(started)
    clock.advance(owner_seconds_max - 3.1)
    assert lease.holds()
    clock.advance(0.1)
    assert not lease.holds()
    assert owner_seconds_max < lease_seconds


def test_an_older_heartbeat_takes_nothing_away() -> None:
    """Answers may come out of order."""
    clock = FakeClock()
    lease = Lease(clock)
    lease.beat(clock.monotonic() + 5)
    lease.beat(clock.monotonic())
    assert clock.monotonic() + 5 + owner_seconds_max == lease.ends


async def test_waiting_for_a_lease_has_an_end() -> None:
    """Whoever waits an hour leaves the render to others."""
    clock = FakeClock()
    waiting = asyncio.get_running_loop().create_task(Lease(clock).held())
    await clock.run(lease_wait_seconds_max - 1)
    assert not waiting.done()
    await clock.run(2)
    assert waiting.result() is False


async def test_the_heartbeat_keeps_it_and_one_that_fails_does_not_lose_it() -> None:
    """A failed one is repeated after a second, not after five."""
    rig = Rig()
    lease = Lease(rig.clock)
    duty = heartbeats(rig.store, lease, "replica-1", rig.clock, rig.log)
    await duty.start()
    await settle()
    for turn in range(60):
        if turn % 10 == 0:
            rig.store.faults.append(Fault(c.Heartbeat, committed=False))
        assert lease.holds()
        await rig.clock.run(1.0)
    await duty.stop()
    await rig.clock.run(owner_seconds_max + heartbeat_seconds)
    assert not lease.holds()


async def test_nothing_is_sent_without_a_lease() -> None:
    """The render waits, and is sent when the lease is back."""
    rig, lease = leased()
    submitted = await rig.submit()
    await rig.clock.run(60)
    assert ([], AttemptState.HELD) == (rig.fal.posted, rig.attempt(submitted).state)
    lease.beat(rig.clock.monotonic())
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.fal.posted))


async def test_a_lease_that_ends_under_the_commit_of_the_marker_stops_the_post() -> None:
    """The marker is taken back, and the render is sent when the lease is back; that does not count as lateness of its own."""
    rig, lease = leased()
    stalls = iter([2.0] * 5)

    def before(command: c.Command) -> None:
        if isinstance(command, c.Dispatch):
            rig.clock.advance(next(stalls, 0.0))

    rig.store.before = before
    submitted = await rig.submit()
    for _ in range(40):
        if [type(one) for one in rig.store.seen].count(c.NotSent) == 5:
            break
        lease.beat(rig.clock.monotonic() - owner_seconds_max + 1.0)
        await rig.clock.run(1.0)
    assert (5, []) == ([type(one) for one in rig.store.seen].count(c.NotSent), rig.fal.posted)
    lease.beat(rig.clock.monotonic())
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.fal.posted))


async def test_a_replica_that_wakes_up_late_sends_nothing() -> None:
    """It was stopped between the marker and the POST for longer than its lease: another one has the render by then."""
    rig, lease = leased()
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    lease.beat(rig.clock.monotonic())
    render = rig.render(submitted)

    def before(command: c.Command) -> None:
        if isinstance(command, c.Dispatch):
            rig.store.before = lambda _: None
            rig.clock.advance(owner_seconds_max + 0.1)
            rig.store.run(c.TakeOver(((render.id, render.fence),), "replica-2"))

    rig.store.before = before
    rig.gate.set()
    await rig.finish()
    assert ([], 2) == (rig.fal.posted, rig.render(submitted).fence)


async def test_a_cancel_is_not_passed_on_without_a_lease() -> None:
    """Somebody else decides about the render then; it is passed on when the lease is back."""
    rig, lease = leased()
    rig.fal.last_poll = QUEUED
    lease.beat(rig.clock.monotonic())
    submitted = await rig.submit()
    await rig.clock.run(owner_seconds_max)
    rig.store.run(c.Cancel(submitted.view.job.id, "growth"))
    await rig.clock.run(30)
    assert [] == rig.fal.cancelled
    lease.beat(rig.clock.monotonic())
    await rig.clock.run(8)
    assert ["fal-1"] == rig.fal.cancelled
    await rig.runner.stop()


async def test_leaving_ends_the_lease_in_the_database_at_once() -> None:
    """And a database that does not answer does not hold the stop up."""
    rig = Rig()
    rig.store.run(c.Heartbeat("replica-1"))
    rig.store.faults.append(Fault(c.Heartbeat, committed=False))
    await leave(rig.store, "replica-1", rig.log)
    assert ["leaving_unsaid"] == rig.log.names()
    assert rig.clock.now() < rig.store.tables.replicas["replica-1"].lease_until
    await leave(rig.store, "replica-1", rig.log)
    assert rig.clock.now() >= rig.store.tables.replicas["replica-1"].lease_until
