"""Two who act for one render: what arrives after it was sent again is counted, stopped, and delivered and charged once."""

import asyncio

import pytest

from service.core.requests import Submitted
from service.core.seek import NEVER_ARRIVED
from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.exchange import Output, Unclear
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import (
    heartbeat_seconds,
    lease_seconds,
)
from service.domain.records import JobState
from service.domain.view import JobView
from service.metrics import Metrics
from tests.support.clock import settle
from tests.support.fake_provider import ENDED, QUEUED, RUNNING, ReplyLost, success
from tests.unit.core.rig import PRICE, Rig

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


# -- twice


async def doubled(rig: Rig, *, queued: bool) -> tuple[Rig, Submitted]:
    """A sender that hung so long that its request was proven absent and sent again; then its own arrives after all."""
    sender = Rig(beside=rig, replica_id="replica-0")
    rig.replicate.held_back = hung = asyncio.Event()
    submitted = await sender.submit(pin_provider="replicate")
    await settle()
    rig.replicate.held_back = None
    await rig.runner.start()
    await rig.recovered()
    assert (JobState.SUCCEEDED, 2) == (rig.job(submitted).state, len(rig.replicate.posted))
    rig.replicate.last_poll = QUEUED if queued else RUNNING
    hung.set()
    await sender.finish()
    return sender, submitted


@pytest.mark.parametrize("queued", [True, False])
async def test_a_request_that_arrives_after_it_was_sent_again_is_counted_stopped_and_fetched_aside(
    rig: Rig, queued: bool
) -> None:
    """It is cancelled only where it still queues, and costs nothing there; its money is booked by whoever fetches it."""
    sender, submitted = await doubled(rig, queued=queued)
    first = rig.view(submitted).attempts[0]
    assert [first.id] == [one.id for one in sender.superseded]
    assert ([first.provider_id] if queued else []) == rig.replicate.cancelled
    told = {"provider": "replicate", "route": first.route}
    counted = sender.metrics.registry.get_sample_value("lightmeter_double_dispatches_total", told)
    assert (1.0, True) == (counted, "double_dispatch" in sender.log.names())
    assert JobState.SUCCEEDED is rig.job(submitted).state
    assert POSTED == rig.kinds(rig.attempt(submitted))[-1]


async def test_an_id_that_comes_before_the_next_attempt_was_sent_stops_it(rig: Rig) -> None:
    """Proven absent, and there after all: the next attempt is not sent, and the first one's picture is fetched aside."""
    rig.replicate.dispatches.append(Unclear("timeout", "no answer"))
    submitted = await rig.submit(pin_provider="replicate")

    def before(command: c.Command) -> None:
        if isinstance(command, c.Dispatch) and rig.view(submitted).attempts[-1].number == 2:
            rig.store.before = lambda _: None
            rig.store.run(c.BindProviderId(rig.view(submitted).attempts[0].id, "replicate", "after-all"))

    rig.store.before = before
    await rig.finish()
    assert (1, JobState.FAILED) == (len(rig.replicate.posted), rig.job(submitted).state)
    assert [] == rig.replicate.cancelled


async def test_a_search_that_finds_what_others_gave_up_hands_it_over(rig: Rig) -> None:
    """The seeker was slow: by then its render has another owner and another attempt, which was not sent yet. Nothing is
    cancelled: the found one is the only picture.
    """
    rig.replicate.dispatches.append(ReplyLost("timeout", "no answer"))
    submitted = await rig.submit(pin_provider="replicate")
    await settle()
    rig.records["replicate"].away = 999
    await rig.clock.run(150)
    render, first = rig.render(submitted), rig.attempt(submitted)

    def before(command: c.Command) -> None:
        if isinstance(command, c.BindProviderId):
            rig.store.before = lambda _: None
            rig.store.run(c.TakeOver(((render.id, render.fence),), "replica-2"))
            taken = (render.id, first.id, "replica-2", render.fence + 1)
            rig.store.run(c.ResolveAbsent(*taken, failure=NEVER_ARRIVED))
            again = c.Fail(*taken, failure=NEVER_ARRIVED, next_attempt_id="n", next_token="t", again=True)
            assert isinstance(rig.store.run(again), c.NextAttempt)

    rig.store.run(c.Heartbeat("replica-2"))
    rig.store.tables.replicas.pop("replica-1", None)
    rig.store.before = before
    rig.records["replicate"].away = 0
    await rig.clock.run(90)
    assert ([first.id], []) == ([one.id for one in rig.superseded], rig.replicate.cancelled)
    counted = {"provider": "replicate", "route": first.route}
    assert not rig.metrics.registry.get_sample_value("lightmeter_double_dispatches_total", counted)
    assert 0 == rig.runner.running_count


async def test_a_late_sender_whose_attempt_is_still_the_newest_leaves_it_to_the_new_owner(rig: Rig) -> None:
    """Its id is bound, the new owner follows it, and nothing is sent twice."""
    sender = Rig(beside=rig, replica_id="replica-0")
    rig.replicate.held_back = hung = asyncio.Event()
    submitted = await sender.submit(pin_provider="replicate")
    await settle()
    rig.replicate.held_back = None
    await rig.runner.start()
    recovery = rig.recovery()
    await recovery.look()
    await rig.clock.run(20)
    hung.set()
    await sender.finish()
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.replicate.posted))
    assert ([], 1) == (sender.superseded, len(rig.view(submitted).attempts))
    assert 1 == len([one for one in rig.store.tables.transfers if one.kind.value == "POST"])


async def test_two_followers_of_one_render_deliver_and_charge_once(rig: Rig) -> None:
    """The one that lost it stops when it is told so."""
    first = Rig(beside=rig, replica_id="replica-0")
    rig.fal.last_poll = RUNNING
    submitted = await first.submit()
    await rig.clock.run(10)
    await rig.runner.start()
    await rig.recovery().look()
    rig.fal.last_poll = QUEUED
    await rig.clock.run(20)
    assert (0, 1) == (first.runner.running_count, rig.runner.running_count)
    rig.fal.last_poll = ENDED
    rig.fal.results.append(success(outputs=(Output("https://provider.invalid/a.png"),)))
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state
    assert heartbeat_seconds < lease_seconds
