"""Every state has a limit, and every limit has a way out that needs nobody's goodwill."""

from dataclasses import replace
from typing import Any

import pytest

from service.domain import commands as c
from service.domain import due
from service.domain.absence import doubted_from
from service.domain.errors import Reason
from service.domain.failure import Fault, RetryAdvice
from service.domain.limits import MICROS_PER_SECOND, overdue_end_seconds, pending_seconds_max
from service.domain.records import AttemptState, JobState, RenderState
from tests.support.orders import route
from tests.unit.domain.desk import HOLD, Desk, not_sent

HOUR = 3_600


@pytest.fixture
def desk() -> Desk:
    return Desk()


def seconds(micros: int) -> float:
    return micros / MICROS_PER_SECOND


@pytest.mark.parametrize("state", AttemptState)
def test_every_state_of_the_newest_attempt_has_a_limit(desk: Desk, state: AttemptState) -> None:
    """Whatever a render waits for, there is a time by which it has waited long enough."""
    asked = desk.storing()
    attempt = replace(desk.attempt(asked), state=state)
    at = due.limit_at(desk.render(asked), attempt)
    assert desk.clock.now() - HOUR * MICROS_PER_SECOND < at <= due.ends_at(desk.render(asked), attempt)
    assert seconds(at - desk.clock.now()) < 3 * HOUR


def _limit(desk: Desk, asked: c.Accept) -> float:
    """Seconds from now until the render's next step is due; it is what the rows say, and not more."""
    render, attempt = desk.render(asked), desk.attempt(asked)
    assert due.limit_at(render, attempt) == render.next_step_at
    return seconds(render.next_step_at - desk.clock.now())


def test_every_move_sets_the_time_of_the_next_step(desk: Desk) -> None:
    """Held an hour; sent: until it may be doubted; accepted and unknown: the route's own times and more; stored: as long as
    the provider keeps it.
    """
    asked = desk.accept()
    assert pending_seconds_max == _limit(desk, asked)
    desk.dispatch(asked)
    assert 65 == _limit(desk, asked)
    desk.run(not_sent(desk, asked))
    assert pending_seconds_max == _limit(desk, asked)
    desk.clock.advance(10)
    desk.dispatch(asked)
    desk.unknown(asked)
    assert 5 + 600 + 120 + 15 * 60 + HOUR == _limit(desk, asked)
    desk.bind(asked)
    assert 600 + 120 + 30 + HOUR == _limit(desk, asked)
    desk.clock.advance(10)
    desk.progress(asked)
    assert 600 + 120 + 30 + HOUR - 10 == _limit(desk, asked), (
        "a step at the provider is no reason to wait longer"
    )
    desk.result(asked, result_expires_in_micros=7_200 * MICROS_PER_SECOND)
    assert 7_200 + 600 == _limit(desk, asked)
    other = desk.running("b")
    desk.result(other)
    assert HOUR + 600 == _limit(desk, other)


def test_an_ended_attempt_is_followed_up_soon(desk: Desk) -> None:
    """Refused, failed, or proven absent: the next attempt is held within minutes, and has its own hour then."""
    refused, failed, absent = desk.sent("a"), desk.running("b"), desk.sent("c")
    desk.reject(refused)
    desk.result(failed, "FAILED", surely_unbilled=True)
    desk.unknown(absent)
    desk.doubted(absent)
    assert 300 == _limit(desk, refused) + 65 == _limit(desk, failed) + 65
    desk.absent(absent)
    assert 300 == _limit(desk, absent)
    desk.fail(absent)
    assert pending_seconds_max == _limit(desk, absent)


def test_a_dispatch_that_opens_another_window_may_be_doubted_later(desk: Desk) -> None:
    """The window moves, and the limit with it."""
    asked = desk.sent()
    desk.clock.advance(30)
    desk.dispatch(asked)
    assert 65 == _limit(desk, asked)


# -- the last way out


def _end(desk: Desk, *asked: c.Accept) -> Any:
    return desk.run(c.EndOverdue(tuple(one.render_id for one in asked)))


@pytest.mark.parametrize("step", ["accept", "sent", "running", "storing", "unknown", "rejected"])
def test_a_render_ends_by_itself_when_its_time_is_over_and_not_before(desk: Desk, step: str) -> None:
    """One microsecond makes the difference; what was never sent has no further hour. The second run finds nothing to do."""
    asked = desk.at(step)
    attempt = desk.attempt(asked)
    extra = 0.0 if step == "accept" else overdue_end_seconds
    ends = desk.render(asked).next_step_at + int(extra * MICROS_PER_SECOND)
    assert ends == due.ends_at(desk.render(asked), attempt)
    command = c.EndOverdue((asked.render_id, "unknown"))
    desk.until(ends - 1)
    assert 0 == desk.twice(command)
    desk.until(ends)
    fence = desk.render(asked).fence
    assert 1 == desk.run(command)
    assert (JobState.FAILED, RenderState.FAILED) == (desk.job(asked).state, desk.render(asked).state)
    assert not desk.attempt(asked).hold_open
    assert fence + 1 == desk.render(asked).fence, "an owner that wakes up late has lost it"
    assert "OVERDUE" in [kind for kind, _ in desk.events(asked)]
    assert 0 == desk.twice(command)


def test_a_takeover_puts_the_end_not_off(desk: Desk) -> None:
    """Replicas that take a render from each other for ever do not keep it alive."""
    asked = desk.running()
    ends = due.ends_at(desk.render(asked), desk.attempt(asked))
    desk.until(ends)
    desk.run(c.TakeOver(((asked.render_id, 1),), "replica-2"))
    assert desk.render(asked).next_step_at > desk.clock.now()
    assert 1 == _end(desk, asked)


def test_what_was_never_sent_costs_nothing(desk: Desk) -> None:
    """The hold is given back, and asking again is free."""
    asked = desk.accept()
    desk.clock.advance(pending_seconds_max)
    _end(desk, asked)
    assert [("HOLD", 0, "NONE"), ("VOID", 0, "NONE")] == desk.kinds(desk.attempt(asked))
    failure = desk.job(asked).failure
    assert failure is not None
    assert (Reason.ROUTES_UNAVAILABLE, Fault.SERVICE, RetryAdvice.FREE) == (
        failure.reason, failure.fault, failure.retry_advice,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("sent", Reason.DISPATCH_UNCONFIRMED),
        ("unknown", Reason.DISPATCH_UNCONFIRMED),
        ("running", Reason.PROVIDER_FAILED),
    ],
)
def test_what_may_have_been_drawn_is_charged_in_doubt(desk: Desk, step: str, reason: Reason) -> None:
    """Nobody saw the end: the hold becomes an unconfirmed charge that evidence can still correct."""
    budget = desk.budget(HOLD)
    asked = desk.at(step)
    desk.until(due.ends_at(desk.render(asked), desk.attempt(asked)))
    _end(desk, asked)
    assert ("POST", HOLD, "UNCONFIRMED") == desk.kinds(desk.attempt(asked))[-1]
    assert (HOLD, HOLD, 0) == (
        desk.window(budget).spent_nanos, desk.window(budget).unconfirmed_nanos, desk.window(budget).held_nanos,
    )  # fmt: skip
    failure = desk.job(asked).failure
    assert failure is not None
    assert (reason, RetryAdvice.MAY_PAY_AGAIN) == (failure.reason, failure.retry_advice)


def test_a_picture_that_could_not_be_stored_is_lost_and_stays_charged(desk: Desk) -> None:
    """It was drawn; the money does not move."""
    asked = desk.storing()
    before = desk.kinds(desk.attempt(asked))
    desk.until(due.ends_at(desk.render(asked), desk.attempt(asked)))
    _end(desk, asked)
    failure = desk.job(asked).failure
    assert failure is not None
    assert Reason.RESULT_LOST is failure.reason
    assert before == desk.kinds(desk.attempt(asked))
    assert AttemptState.SUCCEEDED is desk.attempt(asked).state


def test_a_refused_attempt_that_nobody_followed_up_tells_its_refusal(desk: Desk) -> None:
    """The job fails with what the attempt failed with, and the hold goes back."""
    asked = desk.at("rejected")
    desk.until(due.ends_at(desk.render(asked), desk.attempt(asked)))
    _end(desk, asked)
    assert desk.attempt(asked).failure == desk.job(asked).failure
    assert 0 == desk.attempt(asked).settled_nanos


def test_a_cancelled_render_ends_cancelled_when_its_time_is_over(desk: Desk) -> None:
    """Nobody waits for it any more; what it may have cost is charged all the same."""
    asked = desk.sent()
    desk.cancel(asked)
    desk.until(due.ends_at(desk.render(asked), desk.attempt(asked)))
    _end(desk, asked)
    assert (RenderState.CANCELLED, HOLD) == (desk.render(asked).state, desk.attempt(asked).settled_nanos)


def test_a_route_that_left_the_plan_still_has_a_limit(desk: Desk) -> None:
    """Without the route's own times the longest start that we ask for counts."""
    asked = desk.running()
    attempt = replace(desk.attempt(asked), route="another")
    assert due.planned_route(desk.render(asked), attempt) is None
    assert due.limit_at(desk.render(asked), attempt) < desk.render(asked).next_step_at
    assert doubted_from(attempt.send_before or 0) < due.limit_at(desk.render(asked), attempt)


def test_the_attempts_own_route_is_found_among_several(desk: Desk) -> None:
    """By provider, name and endpoint together."""
    slow = replace(route("replicate"), run_seconds_max=900)
    asked = desk.accept(plan=(route("fal"), slow))
    attempt = replace(desk.attempt(asked), provider="replicate", route="replicate-one")
    assert slow == due.planned_route(desk.render(asked), attempt)
