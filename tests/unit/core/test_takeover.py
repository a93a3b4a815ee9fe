"""Renders of a replica that died: found within its lease and one look, and gone on with from where their row stands."""

import asyncio
from dataclasses import replace

import pytest

from service.core.housekeeping import heartbeats, leave
from service.core.lease import Lease
from service.core.requests import Submitted
from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.exchange import CancelAnswer, Ended, Result
from service.domain.failure import Failure, Fault, ProviderUnavailable, RetryAdvice
from service.domain.limits import (
    lease_seconds,
    pending_seconds_max,
    stray_look_seconds,
    take_over_count_max,
)
from service.domain.oversight import Switch, SwitchScope, SwitchState
from service.domain.records import AttemptState, JobState, RenderState
from service.domain.view import JobView
from service.metrics import Metrics
from tests.support.clock import settle
from tests.support.fake_provider import ENDED, QUEUED, RUNNING
from tests.unit.core.rig import CATALOG, MODEL, PRICE, Rig

BROKE = Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE)
POSTED = ("POST", PRICE, "BILLED_UNITS")


@pytest.fixture
def rig() -> Rig:
    """The replica that lives."""
    return Rig()


def takeovers(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("lightmeter_lease_takeovers_total") or 0.0


async def accepted_and_dead(rig: Rig, prompt: str = "a lighthouse", **changes: object) -> Submitted:
    """A render whose replica died before it began."""
    dead = Rig(beside=rig, replica_id="replica-0")
    dead.gate = asyncio.Event()
    submitted = await dead.submit(prompt, **changes)
    await dead.runner.stop()
    return submitted


def fence(view: JobView) -> tuple[str, str, str, int]:
    assert view.render is not None
    return view.render.id, view.attempts[-1].id, view.render.owner, view.render.fence


# -- when


async def test_a_dead_replicas_renders_are_taken_within_its_lease_and_one_look(rig: Rig) -> None:
    """It died right after its last heartbeat: not sooner than its lease, and at once after it."""
    rig.store.run(c.Heartbeat("replica-0"))
    died = rig.clock.monotonic()
    submitted = await accepted_and_dead(rig)
    duty = rig.recovery().looks()
    await rig.runner.start()
    await duty.start()
    await rig.clock.run(lease_seconds - 0.1)
    assert "replica-0" == rig.render(submitted).owner
    while rig.render(submitted).owner == "replica-0":
        await rig.clock.run(0.1)
        assert rig.clock.monotonic() - died <= lease_seconds + stray_look_seconds
    assert (("replica-1", 2), 1.0) == (
        (rig.render(submitted).owner, rig.render(submitted).fence),
        takeovers(rig.metrics),
    )
    await duty.stop()
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state


async def test_what_a_drained_replica_left_over_goes_on_at_once(rig: Rig) -> None:
    """It says that it leaves when its last render has stopped."""
    other = Rig(beside=rig, replica_id="replica-0")
    beats = heartbeats(rig.store, Lease(rig.clock), "replica-0", rig.clock, rig.log)
    await beats.start()
    rig.fal.last_poll = RUNNING
    submitted = await other.submit()
    duty = rig.recovery().looks()
    await rig.runner.start()
    await duty.start()
    await rig.clock.run(60)
    assert "replica-0" == rig.render(submitted).owner
    assert 1 == await other.runner.drain(0.0)
    await other.runner.stop()
    await beats.stop()
    await leave(rig.store, "replica-0", rig.log)
    await rig.clock.run(stray_look_seconds)
    assert "replica-1" == rig.render(submitted).owner
    await duty.stop()
    rig.fal.last_poll = ENDED
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.fal.posted))


async def test_an_own_render_that_was_lost_sight_of_is_taken_at_the_second_look(rig: Rig) -> None:
    """At the first its own call may be about to begin it."""
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    await rig.runner.stop()
    rig.gate.set()
    await rig.runner.start()
    recovery = rig.recovery()
    await recovery.look()
    assert 1 == rig.render(submitted).fence
    await recovery.look()
    assert 2 == rig.render(submitted).fence
    await rig.finish()


async def test_a_render_that_waits_too_long_is_taken_from_a_living_owner(rig: Rig) -> None:
    """Its next step is overdue; others leave it alone for a while then."""
    submitted = await accepted_and_dead(rig)
    beats = heartbeats(rig.store, Lease(rig.clock), "replica-0", rig.clock, rig.log)
    await beats.start()
    await rig.runner.start()
    await rig.clock.run(60)
    tables = rig.store.tables
    render = rig.render(submitted)
    recovery = rig.recovery()
    await recovery.look()
    assert "replica-0" == rig.render(submitted).owner
    tables.renders[render.id] = replace(render, next_step_at=rig.clock.now())
    await recovery.look()
    assert "replica-1" == rig.render(submitted).owner
    second = Rig(beside=rig, replica_id="replica-2")
    rig.store.run(c.Heartbeat("replica-1"))
    await second.runner.start()
    await second.recovery().look()
    assert "replica-1" == rig.render(submitted).owner
    await beats.stop()
    await rig.finish()


async def test_many_are_taken_in_one_look(rig: Rig) -> None:
    """A hundred at a time, as long as there is room."""
    count = take_over_count_max + 5
    rig.fal.last_poll = RUNNING
    for number in range(count):
        await accepted_and_dead(rig, f"subject {number}")
    await rig.runner.start()
    await rig.recovery().look()
    assert count == rig.runner.running_count
    await rig.runner.stop()


async def test_a_replica_that_drains_takes_nothing(rig: Rig) -> None:
    """It would only have to be taken from it again."""
    submitted = await accepted_and_dead(rig)
    await rig.runner.start()
    await rig.runner.drain(0.0)
    await rig.recovery().look()
    assert "replica-0" == rig.render(submitted).owner


async def test_a_replica_takes_only_routes_that_its_catalog_knows(rig: Rig) -> None:
    """That is said once; what was not sent yet is taken when another route of its plan is known."""
    sent = await accepted_and_dead(rig, "sent")
    rig.store.run(c.Dispatch(*fence(rig.view(sent)), seed=1, input_digest="d"))
    unsent = await accepted_and_dead(rig, "unsent")
    pinned = await accepted_and_dead(rig, "pinned", pin_provider="fal")
    model = CATALOG.models[MODEL]
    without = replace(model, routes=tuple(one for one in model.routes if one.provider != "fal"))
    recovery = rig.recovery(replace(CATALOG, models={MODEL: without}))
    nothing = rig.recovery(replace(CATALOG, models={}))
    rig.gate = asyncio.Event()
    await rig.runner.start()
    for _ in range(3):
        await nothing.look()
    assert (3, 0) == (rig.log.names().count("route_unknown"), rig.runner.running_count)
    for _ in range(3):
        await recovery.look()
    assert ["replica-0", "replica-1", "replica-0"] == [
        rig.render(one).owner for one in (sent, unsent, pinned)
    ]
    assert 3 + 2 == rig.log.names().count("route_unknown")
    await rig.runner.stop()


# -- from where


@pytest.mark.parametrize("state", list(AttemptState))
async def test_every_state_is_gone_on_with(rig: Rig, state: AttemptState) -> None:
    """One POST at most beside what was sent before the death, one charge, and an end that the row allows."""
    submitted = await accepted_and_dead(rig, pin_provider="replicate")
    view = rig.view(submitted)
    attempt = view.attempts[0]
    run = rig.store.run
    if state is not AttemptState.HELD:
        run(c.Dispatch(*fence(view), seed=1, input_digest="d"))
    if state is AttemptState.UNKNOWN:
        run(c.MarkUnknown(*fence(view)))
    if state is AttemptState.REJECTED:
        run(c.Reject(attempt.id, BROKE))
    if state in (AttemptState.ACCEPTED, AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.CANCELLED):
        run(c.BindProviderId(attempt.id, "replicate", "its-id"))
    if state is AttemptState.SUCCEEDED:
        outputs = '{"outputs": [{"url": "https://provider.invalid/row.png", "flagged": false}]}'
        metrics = (("image_output_count", "1"),)
        run(c.RecordResult(attempt.id, ended="SUCCEEDED", images_count=1, metrics=metrics, result=outputs))
    if state in (AttemptState.FAILED, AttemptState.CANCELLED):
        run(c.RecordResult(attempt.id, ended=state.value, surely_unbilled=True, failure=BROKE))
    assert state is rig.attempt(submitted).state
    await rig.runner.start()
    await rig.recovered()
    view = rig.view(submitted)
    sent_again = state in (AttemptState.HELD, AttemptState.DISPATCHING, AttemptState.UNKNOWN)
    ends_well = sent_again or state in (AttemptState.ACCEPTED, AttemptState.SUCCEEDED)
    assert (JobState.SUCCEEDED if ends_well else JobState.FAILED) is view.job.state
    assert int(sent_again) == len(rig.replicate.posted)
    assert (PRICE if ends_well else 0) == sum(one.total_nanos for one in view.attempts)
    if state is AttemptState.SUCCEEDED:
        assert ["https://provider.invalid/row.png"] == rig.downloads.fetched


@pytest.mark.parametrize("reason", [Reason.CONTENT_REJECTED, Reason.PROVIDER_REJECTED_INPUT])
async def test_a_refusal_of_the_content_is_one_by_every_route(rig: Rig, reason: Reason) -> None:
    """Whoever takes it over asks no other route; a refusal of a size or a format may be one by this route alone."""
    submitted = await accepted_and_dead(rig)
    view = rig.view(submitted)
    rig.store.run(c.Dispatch(*fence(view), seed=1, input_digest="d"))
    rig.store.run(c.Reject(view.attempts[0].id, Failure(reason, "no", Fault.CALLER, RetryAdvice.NEVER)))
    await rig.runner.start()
    await rig.recovered()
    assert (0 if reason is Reason.CONTENT_REJECTED else 1) == len(rig.replicate.posted)


async def test_pictures_are_brought_home_from_the_row_alone(rig: Rig) -> None:
    """What the provider said at the end is in the row: it need not be there, nor know the request any more."""
    submitted = await rig.submit()
    rig.blobs.away = 9_999
    await rig.clock.run(30)
    assert RenderState.STORING is rig.render(submitted).state
    await rig.runner.stop()
    rig.blobs.away = 0
    rig.fal.polls.extend([ProviderUnavailable("502")] * 99)
    rig.fal.results.extend([ProviderUnavailable("502")] * 99)
    await rig.runner.start()
    await rig.recovered()
    assert JobState.SUCCEEDED is rig.job(submitted).state


async def test_a_taken_over_run_keeps_the_limits_that_it_had(rig: Rig) -> None:
    """They count from the dispatch, not from the takeover; but the provider is asked at least once."""
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    await rig.clock.run(300)
    await rig.runner.stop()
    rig.clock.advance(1_800)
    polled = len(rig.fal.polled)
    await rig.runner.start()
    await rig.recovered()
    assert (polled + 1, ["fal-1"]) == (len(rig.fal.polled), rig.fal.cancelled)
    assert JobState.FAILED is rig.job(submitted).state


async def test_a_cancel_that_its_replica_did_not_pass_on_is_passed_on(rig: Rig) -> None:
    """It is in the row."""
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.clock.run(3)
    await rig.runner.stop()
    rig.store.run(c.Cancel(submitted.view.job.id, "growth"))
    rig.fal.cancels.append(CancelAnswer.ASKED)
    rig.fal.results.append(Result(Ended.CANCELLED, failure=BROKE))
    await rig.runner.start()
    duty = rig.recovery().looks()
    await duty.start()
    await rig.clock.run(15)
    assert ["fal-1"] == rig.fal.cancelled
    rig.fal.last_poll = ENDED
    await duty.stop()
    await rig.finish()


# -- what waits, and what waits too long


async def test_what_waited_too_long_is_not_sent_and_ends_without_a_charge(rig: Rig) -> None:
    """An hour after it was accepted."""
    submitted = await accepted_and_dead(rig)
    rig.clock.advance(pending_seconds_max + 1)
    await rig.runner.start()
    recovery = rig.recovery()
    await recovery.look()
    assert 1 == rig.render(submitted).fence
    rig.runner.begin(rig.view(submitted))
    await rig.finish()
    assert ([], AttemptState.HELD) == (rig.fal.posted, rig.attempt(submitted).state)
    await recovery.end_overdue()
    assert (JobState.FAILED, ("VOID", 0, "NONE")) == (
        rig.job(submitted).state,
        rig.kinds(rig.attempt(submitted))[-1],
    )
    assert "renders_overdue" in rig.log.names()


async def test_overdue_renders_are_ended_by_a_duty(rig: Rig) -> None:
    """Whoever owns them."""
    submitted = await accepted_and_dead(rig)
    duty = rig.recovery().ends()
    await duty.start()
    await rig.clock.run(pending_seconds_max - 60)
    assert not rig.job(submitted).is_final
    await rig.clock.run(180)
    assert JobState.FAILED is rig.job(submitted).state
    await duty.stop()


async def test_a_switch_that_is_off_holds_a_dispatch_back_until_it_is_on(rig: Rig) -> None:
    """The render stays PENDING; when it waited too long it is not sent any more."""
    off = Switch(SwitchScope.PROVIDER, "fal", SwitchState.OFF, None, "r", "ops", 0, "e")
    rig.gate = asyncio.Event()
    waits = await rig.submit("waits", pin_provider="fal")
    expires = await rig.submit("expires", pin_provider="fal")
    await settle()
    rig.store.tables.switches[off.scope, off.target] = off
    await rig.switches.refresh()
    rig.gate.set()
    await rig.clock.run(1_800)
    assert ([], RenderState.PENDING) == (rig.fal.posted, rig.render(waits).state)
    rig.store.run(c.Cancel(expires.view.job.id, "growth"))
    rig.store.tables.switches.clear()
    await rig.switches.refresh()
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(waits).state, len(rig.fal.posted))
    rig.store.tables.switches[off.scope, off.target] = off
    rig.gate = asyncio.Event()
    late = await rig.submit("late", pin_provider="fal")
    await rig.switches.refresh()
    rig.gate.set()
    await rig.finish()
    assert (1, AttemptState.HELD) == (len(rig.fal.posted), rig.attempt(late).state)
