"""What a verified webhook does: it binds an id and wakes the owner, whenever and how often it comes, and nothing else."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.core.pokes import poke_key
from service.core.webhooks import Took
from service.domain.commands import BindProviderId
from service.domain.failure import ProviderUnavailable, WebhookForged
from service.domain.limits import poll_with_webhooks_seconds
from service.domain.records import Attempt, AttemptState, JobState
from tests.support.fake_provider import ENDED, QUEUED, RUNNING
from tests.unit.core.late_rig import UNCLEAR, LateRig


@pytest.fixture
async def rig() -> AsyncIterator[LateRig]:
    rig = LateRig()
    yield rig
    await rig.close()


async def posted(rig: LateRig) -> Attempt:
    """An attempt whose POST was just sent and never answered."""
    rig.fal.held_back = asyncio.Event()
    submitted = await rig.submit()
    await rig.until(_posted(rig))
    return rig.attempt(submitted)


async def _posted(rig: LateRig) -> None:
    while not rig.fal.posted:
        await rig.clock.sleep(0.1)


async def test_a_webhook_before_its_posts_answer_binds_the_id(rig: LateRig) -> None:
    """The provider can be quicker than its own answer: the id is committed, and the same answer later changes nothing."""
    attempt = await posted(rig)
    assert Took.BOUND is await rig.hook(attempt, "fal-1")
    row = rig.store.tables.attempts[attempt.id]
    assert (AttemptState.ACCEPTED, "fal-1") == (row.state, row.provider_id)
    assert rig.fal.held_back is not None
    rig.fal.held_back.set()
    await rig.finish()
    assert AttemptState.SUCCEEDED is rig.store.tables.attempts[attempt.id].state
    assert 1 == len(rig.fal.posted)


async def test_a_webhook_wakes_whoever_follows_the_render(rig: LateRig) -> None:
    """The hint goes out under the render's poke key, after the commit."""
    attempt = await posted(rig)
    subscription = rig.store.hints.subscribe(poke_key(attempt.render_id))
    await rig.hook(attempt, "fal-1")
    assert await subscription.wait(0.0)
    subscription.close()


async def test_a_lost_answer_is_found_by_its_webhook(rig: LateRig) -> None:
    """A POST without an answer ends well once the webhook came: one POST, one charge, one picture."""
    rig.fal.dispatches.append(UNCLEAR)
    submitted = await rig.submit()
    await rig.until(_posted(rig))
    await rig.clock.run(1.0)
    assert Took.BOUND is await rig.hook(rig.attempt(submitted), "fal-9")
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state
    assert "fal-9" == rig.attempt(submitted).provider_id
    assert 1 == len(rig.fal.posted)


async def test_a_webhook_that_says_what_is_known_writes_nothing(rig: LateRig) -> None:
    """With the id bound already, the webhook is a wake-up and no command."""
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.until(_posted(rig))
    await rig.clock.run(1.0)
    before = sum(isinstance(one, BindProviderId) for one in rig.store.seen)
    assert Took.BOUND is await rig.hook(rig.attempt(submitted), "fal-1")
    assert before == sum(isinstance(one, BindProviderId) for one in rig.store.seen)


async def test_another_id_of_the_same_request_becomes_an_alias(rig: LateRig) -> None:
    """fal may name the try beside what was submitted: the attempt keeps its own id and gains the other."""
    rig.fal.last_poll = QUEUED
    submitted = await rig.submit()
    await rig.until(_posted(rig))
    await rig.clock.run(1.0)
    assert Took.BOUND is await rig.hook(rig.attempt(submitted), "try-2", "fal-1")
    attempt = rig.attempt(submitted)
    assert "fal-1" == attempt.provider_id
    assert attempt.id == rig.store.tables.provider_ids["fal", "try-2"].attempt_id


async def test_an_id_of_another_attempt_is_not_taken(rig: LateRig) -> None:
    """An id belongs to one attempt: a webhook that gives it to a second one binds nothing and is an error in the log."""
    first = await rig.drawn("a lighthouse")
    rig.fal.dispatches.append(UNCLEAR)
    second = await rig.submit("a harbour")
    await rig.until(_posted_twice(rig))
    await rig.clock.run(1.0)
    assert Took.UNKNOWN is await rig.hook(rig.attempt(second), "fal-1")
    assert rig.attempt(second).provider_id is None
    assert first.attempts[-1].id == rig.store.tables.provider_ids["fal", "fal-1"].attempt_id
    assert "webhook_id_taken" in [event for event, _ in rig.log.events]


async def _posted_twice(rig: LateRig) -> None:
    while len(rig.fal.posted) < 2:
        await rig.clock.sleep(0.1)


async def test_a_webhook_after_the_end_is_a_repetition(rig: LateRig) -> None:
    """When the end is recorded, one that comes again changes no row."""
    view = await rig.drawn()
    image = rig.store.tables.image()
    assert Took.REPEATED is await rig.hook(view.attempts[-1], "fal-1")
    assert image == rig.store.tables.image()
    assert 1 == rig.took(Took.REPEATED)


async def test_an_alias_is_kept_after_the_end_too(rig: LateRig) -> None:
    """The bill may come under the other id: it is bound whenever it is told, and nothing else changes."""
    view = await rig.drawn()
    attempt = view.attempts[-1]
    assert Took.REPEATED is await rig.hook(attempt, "try-2", "fal-1")
    assert attempt.id == rig.store.tables.provider_ids["fal", "try-2"].attempt_id
    assert view.job == rig.store.tables.jobs[view.job.id]


async def test_what_nobody_knows_is_counted_and_binds_nothing(rig: LateRig) -> None:
    """A token of no attempt, of another form, or of another provider writes nothing."""
    view = await rig.drawn()
    attempt = view.attempts[-1]
    seen = len(rig.store.seen)
    assert Took.UNKNOWN is await rig.webhooks.take("fal", "f" * 32, {}, b'["x"]')
    assert Took.UNKNOWN is await rig.webhooks.take("fal", "../../etc", {}, b'["x"]')
    assert Took.UNKNOWN is await rig.hook(attempt, "x", provider="replicate")
    assert seen == len(rig.store.seen)
    assert (2, 1) == (rig.took(Took.UNKNOWN), rig.took(Took.UNKNOWN, "replicate"))


@pytest.mark.parametrize(
    ("fault", "took"),
    [
        (WebhookForged("no", kind="bad_signature"), Took.FORGED),
        (WebhookForged("no", kind="malformed_body"), Took.FORGED),
        (WebhookForged("600 s ago", kind="stale"), Took.STALE),
        (ProviderUnavailable("no keys"), Took.UNAVAILABLE),
    ],
)
async def test_what_is_not_authentic_reads_nothing(rig: LateRig, fault: Exception, took: Took) -> None:
    """The token is not even looked up: a forger learns nothing from the time that an answer takes."""
    view = await rig.drawn()
    rig.checks["fal"].fault = fault
    reads = rig.work.reads_count
    assert took is await rig.hook(view.attempts[-1], "fal-1")
    assert reads == rig.work.reads_count
    assert 1 == rig.took(took)


async def test_forgeries_do_not_fill_the_log(rig: LateRig) -> None:
    """One line a minute per kind, however many come; each one is counted."""
    view = await rig.drawn()
    rig.checks["fal"].fault = WebhookForged("no", kind="bad_signature")
    for _ in range(100):
        await rig.hook(view.attempts[-1], "fal-1")
    assert 1 == [event for event, _ in rig.log.events].count("webhook_refused")
    rig.clock.advance(61.0)
    await rig.hook(view.attempts[-1], "fal-1")
    assert 2 == [event for event, _ in rig.log.events].count("webhook_refused")
    assert 101 == rig.took(Took.FORGED)


async def test_a_database_that_is_away_lets_it_come_again(rig: LateRig) -> None:
    """No answer from the rows is no verdict about the webhook."""
    view = await rig.drawn()
    rig.work.broken_count = 1
    assert Took.UNAVAILABLE is await rig.hook(view.attempts[-1], "fal-1")
    assert Took.REPEATED is await rig.hook(view.attempts[-1], "fal-1")


@pytest.fixture
async def hooked() -> AsyncIterator[LateRig]:
    """A replica whose providers send webhooks."""
    rig = LateRig(webhooks_on=True)
    yield rig
    await rig.close()


async def test_a_webhook_ends_a_render_at_once(hooked: LateRig) -> None:
    """With webhooks on, the provider is asked when one comes, and hardly before."""
    hooked.fal.last_poll = RUNNING
    submitted = await hooked.submit()
    await hooked.until(_posted(hooked))
    await hooked.clock.run(9.0)
    assert 1 == len(hooked.fal.polled)
    hooked.fal.last_poll = ENDED
    before = hooked.clock.monotonic()
    await hooked.hook(hooked.attempt(submitted), "fal-1")
    await hooked.finish()
    assert JobState.SUCCEEDED is hooked.job(submitted).state
    assert 2 == len(hooked.fal.polled)
    assert hooked.clock.monotonic() - before < 1.0


async def test_a_webhook_that_is_lost_costs_time_and_nothing_else(hooked: LateRig) -> None:
    """The slow poll finds what nobody told us."""
    hooked.fal.polls.append(RUNNING)
    started = hooked.clock.monotonic()
    view = await hooked.drawn()
    assert JobState.SUCCEEDED is view.job.state
    assert 2 == len(hooked.fal.polled)
    assert hooked.clock.monotonic() - started <= poll_with_webhooks_seconds * 1.5 + 1


async def test_a_hint_that_is_lost_costs_time_and_nothing_else(hooked: LateRig) -> None:
    """A webhook whose wake-up does not reach the owner is a webhook that was lost."""
    hooked.fal.polls.append(RUNNING)
    submitted = await hooked.submit()
    await hooked.until(_posted(hooked))
    hooked.store.hints.dropping = True
    assert Took.BOUND is await hooked.hook(hooked.attempt(submitted), "fal-1")
    await hooked.finish()
    assert JobState.SUCCEEDED is hooked.job(submitted).state
