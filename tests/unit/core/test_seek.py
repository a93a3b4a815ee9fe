"""What was perhaps sent: found in the provider's list, proven absent, or given up; and never sent again on a guess."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from service.core.pokes import poke_key
from service.core.requests import Submitted
from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.exchange import Unclear
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import search_seconds_max
from service.domain.records import AttemptState, JobState
from tests.support.clock import settle
from tests.support.fake_provider import ReplyLost
from tests.unit.core.lost import asked, name, of, run_seconds
from tests.unit.core.rig import PRICE, Rig

__all__ = ["name"]

NOT_ACCEPTED = Unclear("timeout", "no answer")
LOST = ReplyLost("timeout", "no answer")
REFUSED = Failure(Reason.ROUTES_UNAVAILABLE, "too many requests", Fault.PROVIDER, RetryAdvice.FREE)
POSTED = ("POST", PRICE, "BILLED_UNITS")
VOID = ("VOID", 0, "NONE")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    one = Rig()
    yield one
    await one.runner.stop()


# -- found


async def test_an_accepted_request_whose_answer_was_lost_is_found_and_followed(rig: Rig, name: str) -> None:
    """One POST, one charge, and the caller gets the picture within seconds; meanwhile the job shows CONFIRMING."""
    provider, _ = of(rig, name)
    provider.dispatches.append(LOST)
    submitted = await asked(rig, name)
    await settle()
    assert AttemptState.UNKNOWN is rig.attempt(submitted).state
    started = rig.clock.monotonic()
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(provider.posted))
    assert ("unheard", POSTED) == (rig.attempt(submitted).provider_id, rig.kinds(rig.attempt(submitted))[-1])
    assert ["SEARCH"] == [row.source for row in rig.store.tables.provider_ids.values()]
    assert rig.clock.monotonic() - started < 10


async def test_a_request_that_is_listed_late_is_found_late(rig: Rig, name: str) -> None:
    """Still queued, or the list is behind: silence before its time proves nothing."""
    provider, _ = of(rig, name)
    late = 100.0 if name == "replicate" else run_seconds(name) + 600
    provider.dispatches.append(replace(LOST, listed_after_seconds=late))
    submitted = await asked(rig, name)
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(provider.posted))


async def test_a_list_that_is_away_is_asked_again(rig: Rig, name: str) -> None:
    """And ever more rarely, at least once a minute or so."""
    provider, records = of(rig, name)
    provider.dispatches.append(LOST)
    records.away = 12
    submitted = await asked(rig, name)
    await rig.finish()
    assert (JobState.SUCCEEDED, 13) == (rig.job(submitted).state, len(records.searched))
    pauses = [after - before for before, after in zip(records.searched, records.searched[1:], strict=False)]
    assert pauses[0] < 10 < pauses[-1] <= search_seconds_max * 1.5


async def test_a_webhook_binds_before_the_search_does(rig: Rig, name: str) -> None:
    """The poke wakes the seeker, which reads the row again and follows at once."""
    provider, records = of(rig, name)
    provider.dispatches.append(NOT_ACCEPTED)
    records.away = 999
    submitted = await asked(rig, name)
    await rig.clock.run(60)
    attempt = rig.attempt(submitted)
    rig.store.run(c.BindProviderId(attempt.id, name, "told", source="WEBHOOK"))
    rig.store.hints.publish((poke_key(attempt.render_id),))
    bound_at = rig.clock.monotonic()
    await rig.finish()
    assert (JobState.SUCCEEDED, "told") == (rig.job(submitted).state, rig.attempt(submitted).provider_id)
    assert rig.clock.monotonic() - bound_at < 1


async def test_an_id_that_was_bound_without_a_hint_is_seen(rig: Rig, name: str) -> None:
    """Rows are the truth: losing every hint only costs time."""
    rig.store.hints.dropping = True
    provider, records = of(rig, name)
    provider.dispatches.append(NOT_ACCEPTED)
    records.away = 999
    submitted = await asked(rig, name)
    await rig.clock.run(60)
    rig.store.run(c.BindProviderId(rig.attempt(submitted).id, name, "told", source="WEBHOOK"))
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state


# -- absent


async def test_what_never_arrived_at_replicate_is_sent_once_more(rig: Rig) -> None:
    """After two whole readings 30 s apart, the first no sooner than 120 s after the last moment of sending; the first attempt
    costs nothing.
    """
    rig.replicate.dispatches.append(NOT_ACCEPTED)
    started = rig.clock.monotonic()
    submitted = await asked(rig, "replicate")
    await rig.finish()
    view = rig.view(submitted)
    assert (JobState.SUCCEEDED, 2, 2) == (view.job.state, len(rig.replicate.posted), len(view.attempts))
    assert (VOID, POSTED) == tuple(rig.kinds(attempt)[-1] for attempt in view.attempts)
    assert view.attempts[0].token != view.attempts[1].token
    assert 120 + 30 <= rig.clock.monotonic() - started < 200


async def test_what_never_arrived_at_fal_is_never_sent_again(rig: Rig) -> None:
    """Its list shows what has started: absence counts after start timeout, run limit and a quarter of an hour; then the job
    fails for nothing, and no other route is asked.
    """
    rig.fal.dispatches.append(NOT_ACCEPTED)
    started = rig.clock.monotonic()
    submitted = await rig.submit()
    await rig.finish()
    view = rig.view(submitted)
    assert (Reason.DISPATCH_UNCONFIRMED, RetryAdvice.FREE) == (
        rig.failure(view).reason,
        rig.failure(view).retry_advice,
    )
    assert (1, 0, VOID) == (len(rig.fal.posted), len(rig.replicate.posted), rig.kinds(view.attempts[0])[-1])
    assert rig.clock.monotonic() - started > run_seconds("fal") + 900


@pytest.mark.parametrize("hindrance", ["incomplete", "others"])
async def test_a_list_that_may_hide_it_proves_nothing(rig: Rig, hindrance: str, name: str) -> None:
    """Read in part only, or with a request in it that may be ours in another spelling: given up at the horizon, in doubt."""
    provider, records = of(rig, name)
    provider.dispatches.append(NOT_ACCEPTED)
    if hindrance == "incomplete":
        records.incomplete = 9_999
    else:
        records.others = ("a stranger",)
    submitted = await asked(rig, name)
    await rig.finish()
    view = rig.view(submitted)
    assert Reason.DISPATCH_UNCONFIRMED is rig.failure(view).reason
    assert (1, ("POST", PRICE, "UNCONFIRMED")) == (len(provider.posted), rig.kinds(view.attempts[0])[-1])


async def test_a_list_that_stays_away_ends_in_doubt(rig: Rig, name: str) -> None:
    """At Replicate after 50 minutes, when the list may have lost what it had; never sent again."""
    provider, records = of(rig, name)
    provider.dispatches.append(NOT_ACCEPTED)
    records.away = 99_999
    started = rig.clock.monotonic()
    submitted = await asked(rig, name)
    await rig.finish()
    assert ("POST", PRICE, "UNCONFIRMED") == rig.kinds(rig.attempt(submitted))[-1]
    assert 1 == len(provider.posted)
    if name == "replicate":
        assert 3_000 <= rig.clock.monotonic() - started < 3_100


async def test_a_match_between_two_empty_readings_begins_the_count_anew(rig: Rig) -> None:
    """Two in a row are wanted."""
    rig.replicate.dispatches.append(NOT_ACCEPTED)
    submitted = await asked(rig, "replicate")
    records = rig.records["replicate"]
    await rig.clock.run(130)
    assert 1 == len([at for at in records.searched if at >= 1_000.0 + 125])
    records.others = ("a stranger",)
    await rig.clock.run(30)
    records.others = ()
    await rig.clock.run(15)
    assert AttemptState.UNKNOWN is rig.view(submitted).attempts[0].state
    await rig.clock.run(60)
    assert AttemptState.REJECTED is rig.view(submitted).attempts[0].state
    await rig.finish()


async def test_an_id_that_comes_with_the_last_reading_wins(rig: Rig) -> None:
    """Whoever commits first: a bound id makes the proof of absence fail."""
    rig.replicate.dispatches.append(NOT_ACCEPTED)
    submitted = await asked(rig, "replicate")

    def before(command: c.Command) -> None:
        if isinstance(command, c.ResolveAbsent):
            rig.store.before = lambda _: None
            rig.store.run(c.BindProviderId(command.attempt_id, "replicate", "late", source="WEBHOOK"))

    rig.store.before = before
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.replicate.posted))


async def test_absence_is_not_believed_when_the_list_may_have_lost_it(rig: Rig) -> None:
    """Replicate's inputs are gone an hour after the end: whoever comes so late can find it, and not prove its absence."""
    rig.replicate.dispatches.append(NOT_ACCEPTED)
    submitted = await asked(rig, "replicate")
    await rig.clock.run(1)
    await rig.runner.stop()
    rig.clock.advance(3_100)
    searched = len(rig.records["replicate"].searched)
    await rig.runner.start()
    await rig.recovered()
    assert len(rig.records["replicate"].searched) >= searched + 2
    assert (1, ("POST", PRICE, "UNCONFIRMED")) == (
        len(rig.replicate.posted),
        rig.kinds(rig.attempt(submitted))[-1],
    )


# -- equal requests


async def twins(rig: Rig, name: str, answers: tuple[Unclear, Unclear]) -> tuple[Submitted, Submitted]:
    """Two projects ask for the same seed at the same time."""
    provider, _ = of(rig, name)
    provider.dispatches.extend(answers)
    first = await rig.submit(pin_provider=name, drawing={"seed": 7})
    await rig.clock.run(1)
    second = await rig.submit(pin_provider=name, drawing={"seed": 7}, project="research")
    return first, second


async def test_two_equal_requests_that_arrived_are_told_apart_by_time(rig: Rig, name: str) -> None:
    """As many as attempts without an id: the older request belongs to the older attempt."""
    first, second = await twins(
        rig, name, (replace(LOST, provider_id="older"), replace(LOST, provider_id="newer"))
    )
    await rig.finish()
    assert ("older", "newer") == (rig.attempt(first).provider_id, rig.attempt(second).provider_id)
    assert {JobState.SUCCEEDED} == {rig.job(one).state for one in (first, second)}


async def test_one_of_two_equal_requests_is_given_to_nobody(rig: Rig, name: str) -> None:
    """Whose it is can't be known: both end in doubt, and neither is sent again."""
    first, second = await twins(rig, name, (LOST, NOT_ACCEPTED))
    await rig.finish()
    for one in (first, second):
        assert (None, ("POST", PRICE, "UNCONFIRMED")) == (
            rig.attempt(one).provider_id,
            rig.kinds(rig.attempt(one))[-1],
        )
    assert 2 == len(of(rig, name)[0].posted)


async def test_equal_requests_with_seeds_of_ours_are_never_mistaken(rig: Rig, name: str) -> None:
    """Where the caller gave no seed, each attempt has its own: one arrived, and one did not."""
    provider, _ = of(rig, name)
    provider.dispatches.extend([LOST, NOT_ACCEPTED])
    first = await rig.submit(pin_provider=name)
    second = await rig.submit(pin_provider=name, project="research")
    await rig.finish()
    assert (JobState.SUCCEEDED, "unheard") == (rig.job(first).state, rig.attempt(first).provider_id)
    assert AttemptState.REJECTED is rig.view(second).attempts[0].state


async def test_an_id_of_another_attempt_is_not_taken(rig: Rig, name: str) -> None:
    """An equal request that went well is in the list too: it belongs to its own attempt."""
    provider, _ = of(rig, name)
    await rig.submit(pin_provider=name, drawing={"seed": 7}, project="research")
    await settle()
    provider.dispatches.append(NOT_ACCEPTED)
    submitted = await asked(rig, name, seed=7)
    await rig.finish()
    assert AttemptState.REJECTED is rig.view(submitted).attempts[0].state
    assert VOID == rig.kinds(rig.view(submitted).attempts[0])[-1]
