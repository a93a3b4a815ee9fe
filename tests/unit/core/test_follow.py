"""Following: woken by webhooks and cancels and by nothing of its own, patient with what may be paid, bounded after a cancel."""

from decimal import Decimal

import pytest

from service.core.cancel import Cancellations
from service.core.pokes import poke_key
from service.core.requests import Submitted
from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.exchange import CancelAnswer, Ended, Result, Stage, Status
from service.domain.failure import Failure, Fault, ProviderDenied, ProviderUnavailable, RetryAdvice
from service.domain.limits import cancel_settle_seconds, poll_with_webhooks_seconds, result_kept_seconds
from service.domain.records import AttemptState, JobState, RenderState
from tests.support.clock import settle
from tests.support.fake_provider import ENDED, GONE, QUEUED, RUNNING
from tests.unit.core.rig import CATALOG, MODEL, PRICE, Rig

STOPPED = Failure(Reason.PROVIDER_FAILED, "client cancelled", Fault.PROVIDER, RetryAdvice.MAY_PAY_AGAIN)
PATIENT = "gpt-image-2"
"""A model whose routes may take longer than the bill of a cancelled request is awaited."""
UNCONFIRMED = ("POST", PRICE, "UNCONFIRMED")
VOID = ("VOID", 0, "NONE")


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture
def hooked() -> Rig:
    """With webhooks on."""
    return Rig(webhooks_on=True)


def limit_seconds() -> float:
    """The limits of fal's route, together."""
    route = next(one for one in CATALOG.models[MODEL].routes if one.provider == "fal")
    return route.start_timeout_seconds + route.run_seconds_max


def poke(rig: Rig, submitted: Submitted) -> None:
    """What a webhook does once its id is bound."""
    rig.store.hints.publish((poke_key(rig.render(submitted).id),))


async def cancel(rig: Rig, submitted: Submitted) -> None:
    """What CancelJob does."""
    await Cancellations(rig.store, rig.store.hints).cancel(submitted.view.job.id, "growth", "")


# -- when it looks


async def test_its_own_commits_wake_nobody(rig: Rig) -> None:
    """A step at each poll, and not a poll for each step."""
    rig.fal.polls.extend(Status(Stage.QUEUED, queue_position=place) for place in range(20, 0, -1))
    await rig.drawn()
    pauses = [after - before for before, after in zip(rig.fal.polled, rig.fal.polled[1:], strict=False)]
    assert (21, True) == (len(rig.fal.polled), min(pauses) >= 0.25)


async def test_with_webhooks_polling_is_a_safety_net(hooked: Rig) -> None:
    """One look at once, for what is ready already; then one in half a minute or so."""
    hooked.fal.last_poll = RUNNING
    submitted = await hooked.submit()
    await hooked.clock.run(120)
    assert 3 <= len(hooked.fal.polled) <= 1 + 120 / (poll_with_webhooks_seconds * 0.5)
    assert hooked.fal.polled[0] < 1_000.1
    hooked.fal.last_poll = ENDED
    await hooked.finish()
    assert JobState.SUCCEEDED is hooked.job(submitted).state


async def test_a_webhook_leads_to_a_look_at_once(hooked: Rig) -> None:
    """The result is fetched by its owner, from the provider."""
    hooked.fal.last_poll = RUNNING
    submitted = await hooked.submit()
    await hooked.clock.run(7)
    hooked.fal.last_poll = ENDED
    at = hooked.clock.monotonic()
    poke(hooked, submitted)
    await hooked.finish()
    assert (JobState.SUCCEEDED, at) == (hooked.job(submitted).state, hooked.fal.polled[-1])


async def test_a_webhook_that_comes_too_early_costs_one_look(hooked: Rig) -> None:
    """Webhooks say that something happened, not what; the safety net goes on."""
    hooked.fal.last_poll = RUNNING
    submitted = await hooked.submit()
    await hooked.clock.run(5)
    looks = len(hooked.fal.polled)
    poke(hooked, submitted)
    await hooked.clock.run(10)
    assert looks + 1 <= len(hooked.fal.polled) <= looks + 2
    await hooked.runner.stop()


async def test_a_cancel_is_passed_on_at_once(hooked: Rig) -> None:
    """Polling pauses for half a minute; the cancel wakes it by the key of webhooks."""
    hooked.fal.last_poll = QUEUED
    submitted = await hooked.submit()
    await hooked.clock.run(11)
    await cancel(hooked, submitted)
    await settle(60)
    assert ["fal-1"] == hooked.fal.cancelled
    await hooked.runner.stop()


async def test_a_cancel_whose_hint_is_lost_is_passed_on_by_the_next_look(rig: Rig) -> None:
    """Rows are the truth."""
    rig.store.hints.dropping = True
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.clock.run(11)
    await cancel(rig, submitted)
    await rig.clock.run(12)
    assert ["fal-1"] == rig.fal.cancelled
    await rig.runner.stop()


async def test_a_cancel_that_reaches_no_provider_wakes_nobody(rig: Rig) -> None:
    """Another job waits for the render: it goes on undisturbed."""
    rig.fal.last_poll = QUEUED
    first = await rig.submit()
    await rig.submit()
    subscription = rig.store.hints.subscribe(poke_key(rig.render(first).id))
    await cancel(rig, first)
    assert not await rig.until(subscription.wait(0.1))
    await rig.runner.stop()


# -- what a cancel costs


async def test_what_began_since_the_last_look_is_not_stopped(hooked: Rig) -> None:
    """Its price is due anyway: with webhooks the row may be half a minute old. The picture is drawn and kept for others."""
    hooked.fal.last_poll = QUEUED
    submitted = await hooked.submit()
    await hooked.clock.run(5)
    hooked.fal.last_poll = RUNNING
    await cancel(hooked, submitted)
    await hooked.clock.run(40)
    assert [] == hooked.fal.cancelled
    hooked.fal.last_poll = ENDED
    await hooked.finish()
    render = hooked.render(submitted)
    assert (JobState.CANCELLED, RenderState.SUCCEEDED) == (hooked.job(submitted).state, render.state)
    assert render.fresh_until is not None


async def test_what_is_priced_by_time_is_stopped_under_way(hooked: Rig) -> None:
    """Each second less is money."""
    hooked.replicate.last_poll = QUEUED
    submitted = await hooked.submit(model="sdxl", pin_provider="replicate")
    await hooked.clock.run(5)
    hooked.replicate.last_poll = RUNNING
    await cancel(hooked, submitted)
    await settle(60)
    assert ["replicate-1"] == hooked.replicate.cancelled
    await hooked.runner.stop()


@pytest.mark.parametrize("word", [Ended.CANCELLED, Ended.FAILED])
async def test_what_was_taken_out_of_the_queue_costs_nothing(rig: Rig, word: Ended) -> None:
    """The provider said CANCELLED, it was never seen to run, and no units are named."""
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.clock.run(10)
    await cancel(rig, submitted)
    await settle(60)
    rig.fal.last_poll = ENDED
    rig.fal.results.append(Result(word, failure=STOPPED))
    await rig.finish()
    assert (RenderState.CANCELLED, VOID) == (
        rig.render(submitted).state,
        rig.kinds(rig.attempt(submitted))[-1],
    )
    assert [] == rig.replicate.posted


async def test_a_cancelled_request_that_the_provider_forgets_costs_nothing(rig: Rig) -> None:
    """It was taken out of the queue, and its id is not known any more."""
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.clock.run(10)
    await cancel(rig, submitted)
    await settle(60)
    rig.fal.last_poll = GONE
    await rig.finish()
    assert (RenderState.CANCELLED, VOID) == (
        rig.render(submitted).state,
        rig.kinds(rig.attempt(submitted))[-1],
    )


@pytest.mark.parametrize("seen", ["running", "asked"])
async def test_what_may_have_run_is_charged_in_doubt(rig: Rig, seen: str) -> None:
    """It was seen to run, or the provider only took note of the wish."""
    rig.fal.polls.extend([RUNNING] * 2 if seen == "running" else [])
    rig.fal.last_poll = QUEUED
    if seen == "asked":
        rig.fal.cancels.append(CancelAnswer.ASKED)
    submitted = await rig.submit()
    await rig.clock.run(20)
    await cancel(rig, submitted)
    await settle(60)
    rig.fal.last_poll = ENDED
    rig.fal.results.append(Result(Ended.CANCELLED, failure=STOPPED))
    await rig.finish()
    assert UNCONFIRMED == rig.kinds(rig.attempt(submitted))[-1]


async def test_evidence_outweighs_the_word_of_the_cancel(rig: Rig) -> None:
    """What names metrics is charged by them."""
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.clock.run(10)
    await cancel(rig, submitted)
    await settle(60)
    rig.fal.last_poll = ENDED
    rig.fal.results.append(Result(Ended.CANCELLED, failure=STOPPED, metrics={"predict_time": Decimal(1)}))
    await rig.finish()
    assert VOID != rig.kinds(rig.attempt(submitted))[-1]


@pytest.mark.parametrize("silence", [RUNNING, ProviderUnavailable("502"), ProviderDenied("403")])
async def test_a_cancelled_jobs_bill_is_awaited_for_a_quarter_of_an_hour(
    rig: Rig, silence: Status | Exception
) -> None:
    """Then its hold is charged as unconfirmed; late evidence corrects it."""
    rig.fal.last_poll = QUEUED
    rig.fal.cancels.append(CancelAnswer.ASKED)
    submitted = await rig.submit(model=PATIENT, pin_provider="fal")
    route = next(one for one in CATALOG.models[PATIENT].routes if one.provider == "fal")
    assert route.start_timeout_seconds + route.run_seconds_max > cancel_settle_seconds + 120
    await rig.clock.run(10)
    await cancel(rig, submitted)
    await settle(60)
    rig.fal.last_poll = silence
    await rig.clock.run(cancel_settle_seconds - 60)
    assert rig.attempt(submitted).hold_open
    await rig.clock.run(120)
    kind, _, grade = rig.kinds(rig.attempt(submitted))[-1]
    assert ("POST", "UNCONFIRMED", JobState.CANCELLED) == (kind, grade, rig.job(submitted).state)
    await rig.finish()


# -- patience


@pytest.mark.parametrize("silence", [ProviderUnavailable("502"), ProviderDenied("402")])
async def test_a_provider_that_is_away_does_not_lose_what_may_be_paid(
    rig: Rig, silence: ProviderUnavailable | ProviderDenied
) -> None:
    """Past the route's limits, as long as a result would be kept; then the provider is asked to stop, in doubt."""
    rig.fal.last_poll = silence
    submitted = await rig.submit()
    await rig.clock.run(limit_seconds() + 600)
    assert AttemptState.ACCEPTED is rig.attempt(submitted).state
    rig.fal.last_poll = ENDED
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state
    rig.fal.last_poll = silence
    rig.fal.cancels.append(CancelAnswer.ASKED)
    started = rig.clock.monotonic()
    view = await rig.drawn("another")
    assert (UNCONFIRMED, True) == (
        rig.kinds(view.attempts[0])[-1],
        rig.clock.monotonic() - started >= result_kept_seconds,
    )


async def test_a_request_that_never_left_the_queue_goes_on_with_the_next_route(rig: Rig) -> None:
    """Its time is over, the provider takes it out of its queue: it cost nothing, so another one may be asked."""
    rig.fal.last_poll = QUEUED
    view = await rig.drawn()
    assert (JobState.SUCCEEDED, ["fal-1"]) == (view.job.state, rig.fal.cancelled)
    assert ([VOID], 1) == ([rig.kinds(view.attempts[0])[-1]], len(rig.replicate.posted))


async def test_a_render_that_was_ended_meanwhile_is_not_followed_any_longer(rig: Rig) -> None:
    """Its next step says so."""
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.clock.run(5)
    render = rig.render(submitted)
    rig.store.run(c.TakeOver(((render.id, render.fence),), "replica-1"))
    rig.fal.last_poll = RUNNING
    await rig.clock.run(10)
    assert 0 == rig.runner.running_count
