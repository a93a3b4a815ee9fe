"""A render after its POST: followed within its limits, charged by what was said, and its pictures brought home."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.exchange import (
    CancelAnswer,
    Ended,
    LogLine,
    Refused,
    Result,
    Stage,
    Status,
)
from service.domain.failure import (
    Failure,
    Fault,
    ProviderDenied,
    ProviderUnavailable,
    RetryAdvice,
)
from service.domain.limits import poll_seconds_max, poll_seconds_min
from service.domain.records import AttemptState, JobState, RenderState
from tests.support.fake_provider import ENDED, GONE, QUEUED, RUNNING, success
from tests.support.memory_store import Fault as StoreFault
from tests.unit.core.rig import CATALOG, MODEL, PRICE, Rig

BROKE = Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE)
INVALID = Failure(Reason.PROVIDER_REJECTED_INPUT, "a bad field", Fault.CALLER, RetryAdvice.NEVER)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def limit_seconds() -> float:
    """The limits of fal's route, together."""
    route = CATALOG.models[MODEL].routes[0]
    assert "fal" == route.provider
    return route.start_timeout_seconds + route.run_seconds_max


# -- following


async def test_progress_is_shown_step_by_step(rig: Rig) -> None:
    """Every step that a provider shows, also when it goes back into the queue; log lines go to whoever watches."""
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    reader = rig.feed.open(rig.render(submitted).id)
    logged = Status(Stage.RUNNING, logs=(LogLine("step 1"), LogLine("step 2")))
    for status in (QUEUED, RUNNING, QUEUED, logged):
        rig.fal.polls.extend([status] * 3)
    rig.gate.set()
    await rig.finish()
    steps = [one for one in rig.store.seen if isinstance(one, c.Progress)]
    assert ["QUEUED", "RUNNING", "QUEUED", "RUNNING"] == [one.state for one in steps]
    assert [{"queue_position": 2}, {"fraction": 0.5}, {"queue_position": 2}, {"last_log": "step 2"}] == [
        json.loads(one.progress) for one in steps
    ]
    assert ["step 1", "step 2"] == [line.text for line in reader.take()[0]]


async def test_polls_slow_down_with_the_age_of_a_render(rig: Rig) -> None:
    """Never faster than half a second nor slower than five, before the jitter."""
    rig.store.hints.dropping = True
    rig.fal.polls.extend([QUEUED] * 60)
    await rig.drawn()
    pauses = [after - before for before, after in zip(rig.fal.polled, rig.fal.polled[1:], strict=False)]
    assert poll_seconds_min * 0.5 <= min(pauses)
    assert max(pauses) <= poll_seconds_max * 1.5
    assert sum(pauses[:5]) < sum(pauses[-5:])


async def test_polls_that_fail_are_repeated(rig: Rig) -> None:
    """No answer, wrong answers, a pause that the provider asks for: the request is not lost by them."""
    rig.fal.polls.extend(
        [ProviderUnavailable("502"), ProviderUnavailable("429", retry_after_seconds=20.0), RUNNING]
    )
    view = await rig.drawn()
    assert JobState.SUCCEEDED is view.job.state
    assert 20.0 <= rig.fal.polled[2] - rig.fal.polled[1] < 30.0


async def test_progress_may_be_dropped(rig: Rig) -> None:
    """An absent database costs a step on the display, nothing else."""
    rig.store.faults.append(StoreFault(c.Progress, committed=False))
    rig.fal.polls.extend([RUNNING] * 3)
    view = await rig.drawn()
    assert (JobState.SUCCEEDED, True) == (view.job.state, "progress_dropped" in rig.log.names())


async def test_a_run_beyond_its_limits_is_stopped_and_charged_in_doubt(rig: Rig) -> None:
    """The provider is asked to stop; what it bills nobody knows."""
    rig.fal.last_poll = RUNNING
    started = rig.clock.monotonic()
    view = await rig.drawn()
    assert (Reason.PROVIDER_FAILED, ["fal-1"]) == (rig.failure(view).reason, rig.fal.cancelled)
    assert ("POST", PRICE, "UNCONFIRMED") == rig.kinds(view.attempts[0])[-1]
    assert limit_seconds() < rig.clock.monotonic() - started < limit_seconds() + 60


async def test_a_forgotten_id_counts_only_after_a_minute(rig: Rig) -> None:
    """Three times over sixty seconds; an answer in between starts the count anew."""
    rig.fal.polls.extend([GONE, GONE, GONE, *[RUNNING] * 20])
    rig.fal.last_poll = GONE
    view = await rig.drawn()
    assert Reason.PROVIDER_FAILED is rig.failure(view).reason
    assert 60.0 <= rig.fal.polled[-1] - rig.fal.polled[23]
    assert AttemptState.FAILED is view.attempts[0].state
    rig.fal.polls.extend([GONE] * 3)
    rig.fal.last_poll = ENDED
    assert JobState.SUCCEEDED is (await rig.drawn("another")).job.state


async def test_a_blocked_account_does_not_lose_a_paid_render(rig: Rig) -> None:
    """It waits past the route's limits while the provider keeps the result."""
    rig.fal.last_poll = ProviderDenied("403")
    submitted = await rig.submit()
    await rig.clock.run(limit_seconds() + 300)
    assert not rig.job(submitted).is_final
    rig.fal.last_poll = ENDED
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state
    rig.fal.last_poll = ProviderDenied("403")
    rig.fal.cancels.append(ProviderDenied("403"))
    view = await rig.drawn("another")
    assert ("POST", PRICE, "UNCONFIRMED") == rig.kinds(view.attempts[0])[-1]


async def test_a_finished_request_is_asked_for_its_result_while_it_is_kept(rig: Rig) -> None:
    """However late it finished; only then the money is charged in doubt."""
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    await rig.clock.run(limit_seconds())
    rig.fal.last_poll = ENDED
    rig.fal.results.extend([ProviderUnavailable("502"), ProviderDenied("401"), ProviderUnavailable("502")])
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state
    rig.fal.results.extend([ProviderUnavailable("502")] * 2_000)
    view = await rig.drawn("another")
    assert Reason.RESULT_LOST is rig.failure(view).reason
    assert ("POST", PRICE, "UNCONFIRMED") == rig.kinds(view.attempts[0])[-1]


# -- cancel


async def test_a_cancel_is_passed_on_and_the_end_awaited(rig: Rig) -> None:
    """The provider is asked until it answers; what it bills for the cancelled request is charged."""
    rig.fal.last_poll = QUEUED
    rig.fal.cancels.extend([ProviderUnavailable("502"), CancelAnswer.ASKED])
    submitted = await rig.submit()
    await rig.clock.run(10)
    outcome: c.Cancelled = rig.store.run(c.Cancel(submitted.view.job.id, "growth"))
    assert c.CancelOutcome.PROVIDER_ASKED is outcome.outcome
    await rig.clock.run(20)
    assert ["fal-1"] * 2 == rig.fal.cancelled
    rig.fal.last_poll = ENDED
    rig.fal.results.append(Result(Ended.CANCELLED, failure=BROKE))
    await rig.finish()
    assert (RenderState.CANCELLED, JobState.CANCELLED) == (
        rig.render(submitted).state,
        rig.job(submitted).state,
    )
    assert ("POST", PRICE, "UNCONFIRMED") == rig.kinds(rig.attempt(submitted))[-1]
    assert [] == rig.replicate.posted


async def test_a_cancel_that_came_too_late_brings_the_picture(rig: Rig) -> None:
    """It is paid, so it is kept for the next request."""
    rig.fal.last_poll = QUEUED
    rig.fal.cancels.append(CancelAnswer.TOO_LATE)
    submitted = await rig.submit()
    await rig.clock.run(3)
    rig.store.run(c.Cancel(submitted.view.job.id, "growth"))
    rig.fal.last_poll = ENDED
    await rig.finish()
    again = await rig.submit()
    assert (JobState.SUCCEEDED, True) == (again.view.job.state, again.view.job.is_final)


# -- what it costs


@pytest.mark.parametrize(
    ("provider", "result", "grade", "failover"),
    [
        ("fal", Result(Ended.FAILED, failure=BROKE, surely_unbilled=True), "VOID", True),
        ("fal", Result(Ended.FAILED, failure=BROKE), "UNCONFIRMED", False),
        ("fal", Result(Ended.FAILED, failure=BROKE, billable_units=Decimal(1)), "BILLED_UNITS", False),
        ("fal", Result(Ended.FAILED, failure=INVALID, surely_unbilled=True), "VOID", False),
        (
            "replicate",
            Result(Ended.FAILED, failure=BROKE, metrics={"predict_time": Decimal(3)}),
            "VOID",
            True,
        ),
        ("replicate", Result(Ended.CANCELLED, failure=BROKE), "UNCONFIRMED", False),
        ("replicate", Result(Ended.ABORTED, failure=BROKE, surely_unbilled=True), "VOID", True),
    ],
)
async def test_a_failed_run_costs_what_the_evidence_and_the_route_say(
    rig: Rig, provider: str, result: Result, grade: str, failover: bool
) -> None:
    """Only what costs nothing goes on with the next route, and only where another route can help."""
    other = {"fal": "replicate", "replicate": "fal"}[provider]
    first, second = getattr(rig, provider), getattr(rig, other)
    if provider == "replicate":
        second.dispatches.append(_refusal())
    first.results.append(result)
    view = await rig.drawn()
    last = next(one for one in view.attempts if one.provider == provider)
    kind, total, shown = rig.kinds(last)[-1]
    assert grade in (kind, shown)
    assert (0 if grade == "VOID" else PRICE) == total
    goes_on = failover and provider == "fal"
    assert (JobState.SUCCEEDED if goes_on else JobState.FAILED) is view.job.state
    assert (1 if goes_on else 0) == len(second.posted) - (provider == "replicate")


def _refusal() -> Any:
    return Refused(Failure(Reason.ROUTES_UNAVAILABLE, "no", Fault.PROVIDER, RetryAdvice.FREE), "rate_limited")


async def test_a_bill_above_the_hold_is_charged_in_full(rig: Rig) -> None:
    """And the caller is told."""
    rig.fal.results.append(success(metrics={}, billable_units=Decimal(3)))
    view = await rig.drawn()
    assert ("POST", 3 * PRICE, "BILLED_UNITS") == rig.kinds(view.attempts[0])[-1]
    assert view.render is not None
    assert "OVERRUN" in view.render.notices


async def test_the_money_is_settled_before_any_download(rig: Rig) -> None:
    """Trouble with the bucket never delays a post."""
    rig.blobs.away = 5
    order: list[str] = []
    rig.store.before = lambda command: order.append(f"{type(command).__name__} {len(rig.downloads.fetched)}")
    view = await rig.drawn()
    assert "RecordResult 0" in order
    assert JobState.SUCCEEDED is view.job.state
