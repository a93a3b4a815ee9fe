"""What a provider did after all: its money is booked to the nano, its picture enters the cache, and final jobs stay."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from service.core.late import LOOK_SECONDS, LateResults
from service.core.requests import Submitted
from service.core.webhooks import Took
from service.domain.commands import BindProviderId, LateResult, RecordResult
from service.domain.errors import Reason
from service.domain.exchange import Ended, Refused, Result
from service.domain.failure import DownloadFailed, Failure, Fault, ProviderUnavailable, RetryAdvice
from service.domain.records import Attempt, AttemptState, Grade, JobState, Origin, RenderState
from service.domain.view import JobView
from tests.support.fake_provider import GONE, RUNNING, ReplyLost
from tests.support.memory_store import Fault as StoreFault
from tests.unit.core.late_rig import LateRig
from tests.unit.core.rig import PRICE

URL = "https://provider.invalid/a.png"
FREE = Result(
    Ended.FAILED,
    failure=Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE),
    surely_unbilled=True,
)


@pytest.fixture
async def rig() -> AsyncIterator[LateRig]:
    rig = LateRig()
    yield rig
    await rig.close()


async def given_up(rig: LateRig, prompt: str = "a lighthouse") -> Submitted:
    """A job that failed because nobody knows what became of its POST; its hold is charged in full."""
    submitted = await rig.unconfirmed(prompt)
    job, attempt = rig.job(submitted), rig.attempt(submitted)
    assert (JobState.FAILED, Reason.DISPATCH_UNCONFIRMED) == (
        job.state,
        rig.failure(rig.view(submitted)).reason,
    )
    assert (Grade.UNCONFIRMED, None) == (attempt.grade, attempt.provider_id)
    return submitted


async def still_running(rig: LateRig) -> Submitted:
    """A job that failed because its provider did not finish within the route's limits."""
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    await rig.finish()
    attempt = rig.attempt(submitted)
    assert (JobState.FAILED, Grade.UNCONFIRMED) == (rig.job(submitted).state, attempt.grade)
    assert attempt.provider_id is not None
    return submitted


def in_the_cache(view: JobView) -> tuple[Origin, JobState]:
    """How an equal request is answered from the cache."""
    return view.job.origin, view.job.state


HIT = (Origin.CACHE, JobState.SUCCEEDED)


# ---------------------------------------------------------------- by webhook


async def test_a_late_webhook_books_the_truth_and_keeps_the_picture(rig: LateRig) -> None:
    """The charge becomes the true amount, the picture answers the next equal request, and the job stays failed."""
    submitted = await given_up(rig)
    failed = rig.job(submitted)
    assert Took.LATE is await rig.hook(rig.attempt(submitted), "fal-9")
    await rig.fetched()
    attempt = rig.attempt(submitted)
    assert (AttemptState.SUCCEEDED, "fal-9", PRICE) == (
        attempt.state,
        attempt.provider_id,
        attempt.settled_nanos,
    )
    assert "CORRECTION" == rig.kinds(attempt)[-1][0]
    assert failed == rig.job(submitted)
    assert HIT == in_the_cache(await rig.drawn())
    assert 1 == len(rig.fal.posted)


async def test_a_late_webhook_is_answered_before_its_result_is_there(rig: LateRig) -> None:
    """The provider's call waits for the commit of the id, not for pictures."""
    submitted = await given_up(rig)
    await rig.hook(rig.attempt(submitted), "fal-9")
    assert ([], 1) == (rig.downloads.fetched, rig.late.running_count)
    assert "fal-9" == rig.attempt(submitted).provider_id
    await rig.fetched()


async def test_a_late_webhook_twice_is_one_correction(rig: LateRig) -> None:
    """However often it comes, money and picture are booked once."""
    submitted = await given_up(rig)
    attempt = rig.attempt(submitted)
    await rig.hook(attempt, "fal-9")
    await rig.hook(attempt, "fal-9")
    await rig.fetched()
    assert Took.REPEATED is await rig.hook(attempt, "fal-9")
    assert 1 == sum(isinstance(one, RecordResult) for one in rig.store.seen)
    assert 1 == len(rig.downloads.fetched)


async def test_what_failed_for_nothing_is_given_back(rig: LateRig) -> None:
    """A late word that nothing was billed takes the whole charge back."""
    submitted = await given_up(rig)
    rig.fal.results.append(FREE)
    await rig.hook(rig.attempt(submitted), "fal-9")
    await rig.fetched()
    attempt = rig.attempt(submitted)
    assert (AttemptState.FAILED, 0) == (attempt.state, attempt.settled_nanos)
    assert not any(isinstance(one, LateResult) for one in rig.store.seen)


# ---------------------------------------------------------------- by looking


async def test_a_look_finds_it_in_the_providers_list(rig: LateRig) -> None:
    """Without a webhook, a request that shows up in the list after the job was given up is bound, booked and kept."""
    submitted = await rig.unconfirmed(answer=ReplyLost("timeout", "no answer", provider_id="fal-9"))
    assert Grade.UNCONFIRMED is rig.attempt(submitted).grade
    await rig.looked()
    attempt = rig.attempt(submitted)
    assert ("fal-9", AttemptState.SUCCEEDED) == (attempt.provider_id, attempt.state)
    assert "SEARCH" == rig.store.tables.provider_ids["fal", "fal-9"].source
    assert HIT == in_the_cache(await rig.drawn())


async def test_a_look_finds_nothing_where_nothing_arrived(rig: LateRig) -> None:
    """What is not in the list stays unconfirmed: nothing is bound, nothing is sent."""
    submitted = await given_up(rig)
    await rig.looked()
    assert (Grade.UNCONFIRMED, None) == (rig.attempt(submitted).grade, rig.attempt(submitted).provider_id)
    assert 1 == len(rig.fal.posted)


async def test_a_request_that_took_too_long_is_fetched_when_it_ends(rig: LateRig) -> None:
    """A render that was given up while its provider still ran is booked and kept once the provider is done."""
    submitted = await still_running(rig)
    await rig.looked()
    assert Grade.UNCONFIRMED is rig.attempt(submitted).grade
    rig.fal.last_poll = success_poll()
    rig.clock.advance(LOOK_SECONDS + 1)
    await rig.looked()
    assert (AttemptState.SUCCEEDED, PRICE) == (
        rig.attempt(submitted).state,
        rig.attempt(submitted).settled_nanos,
    )
    assert JobState.FAILED is rig.job(submitted).state
    assert HIT == in_the_cache(await rig.drawn())


def success_poll() -> Any:
    """The provider is done."""
    return replace(RUNNING, stage=type(RUNNING.stage).ENDED)


async def test_looks_that_bring_nothing_become_rare(rig: LateRig) -> None:
    """Each look at the same attempt waits twice as long as the one before, an hour at most."""
    await still_running(rig)
    polled = len(rig.fal.polled)
    for _ in range(24 * 60 - 120):
        await rig.looked()
        rig.clock.advance(LOOK_SECONDS)
    assert 20 <= len(rig.fal.polled) - polled <= 35


async def test_nothing_is_looked_at_that_ended_well(rig: LateRig) -> None:
    """Finished renders cost no look at the provider."""
    await rig.drawn()
    polled = len(rig.fal.polled)
    await rig.looked()
    assert polled == len(rig.fal.polled)


async def test_a_forgotten_request_stays_as_it_is(rig: LateRig) -> None:
    """An id that the provider does not know is no evidence: the charge stays unconfirmed."""
    submitted = await still_running(rig)
    rig.fal.last_poll = GONE
    await rig.looked()
    assert Grade.UNCONFIRMED is rig.attempt(submitted).grade


# ---------------------------------------------------------------- when something breaks


async def test_pictures_that_are_gone_leave_the_money_right(rig: LateRig) -> None:
    """The charge is corrected before any download; without pictures the render stays failed."""
    submitted = await given_up(rig)
    rig.downloads.say(URL, DownloadFailed("gone", final=True))
    await rig.hook(rig.attempt(submitted), "fal-9")
    await rig.fetched()
    assert PRICE == rig.attempt(submitted).settled_nanos
    assert RenderState.FAILED is rig.render(submitted).state
    assert "late_not_kept" in [event for event, _ in rig.log.events]


async def test_a_crash_between_money_and_picture_is_made_good(rig: LateRig) -> None:
    """What was booked and not kept is kept by a later look, from the row, without asking the provider again."""
    submitted = await given_up(rig)
    attempt = rig.attempt(submitted)
    await rig.store.execute(BindProviderId(attempt.id, "fal", "fal-9", source="WEBHOOK"))
    outputs = '{"outputs": [{"url": "https://provider.invalid/b.png", "flagged": false}]}'
    await rig.store.execute(
        RecordResult(
            attempt.id,
            ended="SUCCEEDED",
            metrics=(("image_output_count", "1"),),
            images_count=1,
            result=outputs,
            result_expires_in_micros=3_600_000_000,
        )
    )
    polled = len(rig.fal.polled)
    await rig.looked()
    assert polled == len(rig.fal.polled)
    assert ["https://provider.invalid/b.png"] == rig.downloads.fetched
    assert HIT == in_the_cache(await rig.drawn())


async def test_an_answer_of_the_provider_that_is_away_is_waited_for(rig: LateRig) -> None:
    """No answer is no end: the next look asks again."""
    submitted = await given_up(rig)
    rig.fal.polls.append(ProviderUnavailable("503"))
    await rig.hook(rig.attempt(submitted), "fal-9")
    await rig.fetched()
    assert Grade.UNCONFIRMED is rig.attempt(submitted).grade
    rig.clock.advance(LOOK_SECONDS + 1)
    await rig.looked()
    assert (AttemptState.SUCCEEDED, PRICE) == (
        rig.attempt(submitted).state,
        rig.attempt(submitted).settled_nanos,
    )


@pytest.mark.parametrize("kind", [RecordResult, LateResult])
@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_that_is_not_known_is_handed_in_again(
    rig: LateRig, kind: Any, *, committed: bool
) -> None:
    """Whether it was committed or not, the second try ends in the same books."""
    submitted = await given_up(rig)
    rig.store.faults.append(StoreFault(kind, committed=committed))
    await rig.hook(rig.attempt(submitted), "fal-9")
    await rig.fetched()
    assert PRICE == rig.attempt(submitted).settled_nanos
    assert HIT == in_the_cache(await rig.drawn())


async def test_a_defect_is_loud_and_ends_nothing_else(rig: LateRig) -> None:
    """A fault of ours in one attempt is an error in the log; the next look goes on."""
    submitted = await given_up(rig)
    rig.fal.polls.append(KeyError("a defect"))  # type: ignore[arg-type]  # what no adapter raises
    await rig.hook(rig.attempt(submitted), "fal-9")
    await rig.fetched()
    assert "late_stopped" in [event for event, _ in rig.log.events]
    rig.clock.advance(LOOK_SECONDS + 1)
    await rig.looked()
    assert AttemptState.SUCCEEDED is rig.attempt(submitted).state


async def test_two_replicas_at_once_book_and_keep_once(rig: LateRig) -> None:
    """Whoever comes second finds everything done: one correction, one picture."""
    submitted = await given_up(rig)
    attempt = rig.attempt(submitted)
    await rig.store.execute(BindProviderId(attempt.id, "fal", "fal-9", source="WEBHOOK"))
    other = LateResults(replace(rig.context, work=rig.work))
    assert (True, True) == (rig.late.begin(attempt), other.begin(attempt))
    await rig.fetched()
    while other.running_count:
        await rig.clock.run(1.0)
    rig.check()
    corrections = [kind for kind, _, _ in rig.kinds(rig.attempt(submitted)) if kind == "CORRECTION"]
    assert 1 == len(corrections)
    assert HIT == in_the_cache(await rig.drawn())


# ---------------------------------------------------------------- bounds and life


async def test_no_more_are_fetched_at_once_than_may(rig: LateRig) -> None:
    """Above the limit a look begins no more; the others are begun when there is room."""
    for number in range(3):
        await given_up(rig, f"lighthouse {number}")
    late = LateResults(replace(rig.context, work=rig.work), running_max=2)
    await late.look()
    assert 2 == late.running_count
    while late.running_count:
        await rig.clock.run(1.0)
    searched = len(rig.records["fal"].searched)
    await late.look()
    assert 1 == late.running_count
    while late.running_count:
        await rig.clock.run(1.0)
    assert searched + 1 == len(rig.records["fal"].searched)
    await late.stop()


async def test_stopping_is_legal_at_any_time(rig: LateRig) -> None:
    """Stop before use, twice, and in the middle; afterwards nothing is begun."""
    submitted = await given_up(rig)
    attempt = rig.attempt(submitted)
    never = LateResults(rig.context)
    await never.stop()
    await never.stop()
    assert rig.late.begin(attempt)
    await rig.late.stop()
    assert (0, False) == (rig.late.running_count, rig.late.begin(attempt))
    rig.check()


# ---------------------------------------------------------------- superseded attempts


async def test_a_superseded_attempt_is_followed_to_its_end(rig: LateRig) -> None:
    """Its money is booked when the provider is done, however long that takes; the newer attempt's picture stays the result."""
    view = await superseded(rig)
    first, second = view.attempts
    assert (AttemptState.SUCCEEDED, "replicate") == (second.state, second.provider)
    rig.fal.polls.extend([RUNNING] * 5 + [ProviderUnavailable("503")] + [RUNNING] * 5)
    assert rig.late.follow_superseded(first)
    await rig.fetched()
    row = rig.store.tables.attempts[first.id]
    assert (AttemptState.SUCCEEDED, PRICE) == (row.state, row.settled_nanos)
    assert view.assets == rig.store.tables.world(rig.clock.now()).view(view.job).assets


async def superseded(rig: LateRig) -> JobView:
    """A job that was drawn at the second provider, after the first had said that it refuses; the first one lied."""
    refusal = Failure(Reason.ROUTES_UNAVAILABLE, "full", Fault.PROVIDER, RetryAdvice.FREE)
    rig.fal.dispatches.append(Refused(refusal, "rate_limited"))
    view = await rig.drawn()
    first: Attempt = view.attempts[0]
    assert AttemptState.REJECTED is first.state
    await rig.store.execute(BindProviderId(first.id, "fal", "fal-9", source="WEBHOOK"))
    return view
