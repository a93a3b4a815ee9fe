"""Doubt about an attempt ends by evidence only: proven absent, never sent, found after all, or given up and charged."""

from dataclasses import replace
from typing import Any

import pytest

from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.failure import RetryAdvice
from service.domain.records import AttemptState, JobState, RenderState
from service.domain.render import RENDER_FINAL
from tests.support.orders import route
from tests.unit.domain.desk import BROKE, HOLD, REFUSED, Desk, not_sent

UNITS = {"metrics": (("image_count", "1"),)}
VOIDED = [("HOLD", 0, "NONE"), ("VOID", 0, "NONE")]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def _unknown(desk: Desk, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
    """A render whose request was perhaps accepted, at a time when it may be judged."""
    asked = desk.sent(subject, **changes)
    desk.unknown(asked)
    return desk.doubted(asked)


# -- marked


def test_a_doubt_is_written_down_with_its_cause(desk: Desk) -> None:
    """Once, however often it is marked."""
    asked = desk.sent()
    desk.unknown(asked)
    desk.twice(c.MarkUnknown(asked.render_id, asked.attempt_id, asked.owner, 1, cause="timeout"))
    assert [("UNKNOWN", "timeout")] == desk.events(asked)


# -- absent


def test_what_is_proven_absent_costs_nothing(desk: Desk) -> None:
    """REJECTED and unbilled, with the failure that was given; the hold goes back with what follows. The second run is DONE."""
    asked = _unknown(desk)
    before = desk.view(asked).version
    assert desk.absent(asked, failure=REFUSED) is c.RunOutcome.DONE
    attempt = desk.attempt(asked)
    assert (AttemptState.REJECTED, True, True, REFUSED) == (
        attempt.state, attempt.unbilled, attempt.hold_open, attempt.failure,
    )  # fmt: skip
    assert before < desk.view(asked).version, "a job shows that it is not being confirmed any more"
    assert ("ABSENT", "two scans") == desk.events(asked)[-1]
    command = c.ResolveAbsent(asked.render_id, asked.attempt_id, asked.owner, 1)
    assert desk.twice(command) is c.RunOutcome.DONE
    desk.fail(asked, failover=False)
    assert VOIDED == desk.kinds(desk.attempt(asked))
    assert desk.twice(command) is c.RunOutcome.DONE


def test_a_sender_that_died_before_it_marked_its_doubt_can_be_proven_absent(desk: Desk) -> None:
    """An attempt that still says DISPATCHING is judged like an unknown one, once its POST has surely ended."""
    asked = desk.sent()
    assert desk.absent(asked) is c.RunOutcome.LOST
    desk.doubted(asked)
    assert desk.absent(asked) is c.RunOutcome.DONE
    assert AttemptState.REJECTED is desk.attempt(asked).state


@pytest.mark.parametrize("step", ["sent", "unknown"])
@pytest.mark.parametrize("kind", [c.ResolveAbsent, c.ResolveUnconfirmed])
def test_nobody_judges_an_attempt_whose_request_may_be_on_its_way(desk: Desk, step: str, kind: Any) -> None:
    """Until the window of sending, its longest POST and half a minute more have passed; then one may, to the microsecond."""
    asked = desk.at(step)
    due = (desk.attempt(asked).send_before or 0) + 60_000_000
    command = kind(asked.render_id, asked.attempt_id, asked.owner, 1)
    desk.until(due - 1)
    assert desk.twice(command) is c.RunOutcome.LOST
    desk.until(due)
    assert desk.run(command) is c.RunOutcome.DONE


@pytest.mark.parametrize("step", ["accept", "running", "storing", "drawn"])
def test_only_an_open_doubt_can_be_ended_by_absence(desk: Desk, step: str) -> None:
    """What was not sent, has an id or has ended is not absent."""
    asked = desk.at(step)
    desk.clock.advance(3_600)
    command = c.ResolveAbsent(asked.render_id, asked.attempt_id, asked.owner, 1)
    assert desk.twice(command) is c.RunOutcome.LOST


def test_an_id_that_was_bound_first_makes_absence_fail(desk: Desk) -> None:
    """The provider's own word is the better proof; the render goes on."""
    asked = _unknown(desk)
    desk.bind(asked, source="WEBHOOK")
    assert desk.absent(asked) is c.RunOutcome.LOST
    assert AttemptState.ACCEPTED is desk.attempt(asked).state


def test_an_older_attempt_is_not_proven_absent_any_more(desk: Desk) -> None:
    """Only the newest one stands for the work."""
    asked = _unknown(desk)
    first = desk.attempt(asked)
    desk.absent(asked)
    desk.fail(asked)
    desk.run(c.BindProviderId(first.id, "fal", "late"))
    desk.dispatch(asked)
    command = c.ResolveAbsent(asked.render_id, first.id, asked.owner, 1)
    desk.doubted(asked)
    assert desk.twice(command) is c.RunOutcome.LOST


# -- going on after it


def test_a_request_that_never_arrived_may_go_the_same_way_again(desk: Desk) -> None:
    """Nothing speaks against the route: it comes first, three attempts in all, each with a hold of its own."""
    budget = desk.budget(HOLD)
    asked = _unknown(desk)
    for number in (2, 3):
        desk.absent(asked)
        following = desk.fail(asked, again=True, failover=False)
        assert isinstance(following, c.NextAttempt)
        assert (number, "fal") == (following.attempt.number, following.attempt.provider)
        assert "FAILED_OVER" == desk.events(asked)[-1][0]
        desk.dispatch(asked)
        desk.unknown(asked)
        desk.doubted(asked)
    desk.absent(asked)
    assert desk.fail(asked, again=True) is c.RunOutcome.DONE
    assert 0 == desk.window(budget).held_nanos
    assert [VOIDED] * 3 == [desk.kinds(one) for one in desk.attempts(asked)]


def test_without_again_the_next_route_is_taken(desk: Desk) -> None:
    """The event says from where, to where, and why."""
    asked = _unknown(desk)
    desk.absent(asked)
    following = desk.fail(asked)
    assert "replicate" == following.attempt.provider
    cause = "PROVIDER_FAILED at fal/fal-one; next replicate/replicate-one"
    assert ("FAILED_OVER", cause) == desk.events(asked)[-1]


def test_again_is_only_for_what_never_arrived(desk: Desk) -> None:
    """A failure at the provider speaks against its route, whoever says otherwise."""
    asked = desk.running()
    desk.result(asked, "FAILED", surely_unbilled=True)
    assert "replicate" == desk.fail(asked, again=True).attempt.provider


# -- never sent


def test_a_sender_that_finds_later_that_it_never_sent_ends_the_doubt(desk: Desk) -> None:
    """Somebody doubted it meanwhile: the attempt is REJECTED and free, and may be tried again."""
    asked = desk.sent()
    desk.unknown(asked)
    word = not_sent(desk, asked)
    attempt = desk.run(word)
    assert (AttemptState.REJECTED, True) == (attempt.state, attempt.unbilled)
    assert ("NOT_SENT", "was UNKNOWN, and never sent") == desk.events(asked)[-1]
    desk.twice(word)
    assert isinstance(desk.fail(asked, again=True), c.NextAttempt)


def test_a_charge_in_doubt_is_taken_back_when_nothing_was_sent(desk: Desk) -> None:
    """As with a refusal: corrected to zero, once; the job stays failed."""
    budget = desk.budget(HOLD)
    asked = _unknown(desk)
    desk.unconfirmed(asked)
    assert ("UNCONFIRMED", "DISPATCH_UNCONFIRMED") == desk.events(asked)[-1]
    word = not_sent(desk, asked)
    desk.run(word)
    assert ("CORRECTION", 0, "BILLED_UNITS") == desk.kinds(desk.attempt(asked))[-1]
    assert (0, 0) == (desk.window(budget).spent_nanos, desk.window(budget).unconfirmed_nanos)
    assert "NOT_SENT" == desk.events(asked)[-1][0]
    desk.twice(word)
    assert JobState.FAILED is desk.job(asked).state


@pytest.mark.parametrize(
    "told", [lambda one: c.NotSent(one.id, one.send_before), lambda one: c.Reject(one.id, REFUSED)]
)
def test_what_the_provider_ended_was_sent(desk: Desk, told: Any) -> None:
    """After an end that the provider told, no sender's word takes the charge back."""
    asked = desk.sent()
    desk.result(asked, "FAILED", charge_ceiling=True)
    desk.twice(told(desk.attempt(asked)))


# -- found after all


def test_an_id_for_an_attempt_that_was_thought_absent_brings_it_back(desk: Desk) -> None:
    """It did arrive: before anything else is sent the render goes on with it, and its hold is posted by its result."""
    asked = _unknown(desk)
    desk.absent(asked)
    bound = desk.run(c.BindProviderId(asked.attempt_id, "fal", "late", source="WEBHOOK"))
    assert bound == c.Bound(desk.render(asked), desk.attempt(asked), desk.attempt(asked))
    assert (AttemptState.ACCEPTED, False, None) == (
        bound.attempt.state, bound.attempt.unbilled, bound.attempt.failure,
    )  # fmt: skip
    assert RenderState.QUEUED is bound.render.state
    assert ("FOUND", "by WEBHOOK, was REJECTED: late") == desk.events(asked)[-1]
    assert desk.fail(asked) is c.RunOutcome.LOST, "nothing else is sent while it may be drawn"
    desk.result(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE
    assert [("HOLD", 0, "NONE"), ("POST", HOLD, "BILLED_UNITS")] == desk.kinds(desk.attempt(asked))


def test_what_arrived_after_its_hold_was_voided_is_booked_as_a_correction(desk: Desk) -> None:
    """The render had failed; money follows the evidence, in the window that had held it."""
    budget = desk.budget(HOLD)
    asked = _unknown(desk)
    desk.absent(asked)
    desk.fail(asked, failover=False)
    before = desk.job(asked)
    bound = desk.bind(asked, "late", source="SEARCH")
    assert (AttemptState.ACCEPTED, False) == (bound.state, bound.hold_open)
    desk.result(asked)
    assert [*VOIDED, ("CORRECTION", HOLD, "BILLED_UNITS")] == desk.kinds(desk.attempt(asked))
    assert HOLD == desk.window(budget).spent_nanos
    assert (before, RenderState.FAILED) == (desk.job(asked), desk.render(asked).state)


@pytest.mark.parametrize(
    "told", [lambda one: c.NotSent(one.id, one.send_before), lambda one: c.Reject(one.id, REFUSED)]
)
def test_an_estimate_is_better_than_a_refusal_that_was_wrong(desk: Desk, told: Any) -> None:
    """The charge in doubt was taken back; then its id is found: whatever is known of its cost is booked."""
    asked = _unknown(desk)
    desk.unconfirmed(asked)
    desk.run(told(desk.attempt(asked)))
    desk.bind(asked, "late", source="WEBHOOK")
    desk.twice(c.BindProviderId(asked.attempt_id, "fal", "late", source="WEBHOOK"))
    desk.result(asked, metrics=())
    assert ("CORRECTION", HOLD, "ESTIMATE") == desk.kinds(desk.attempt(asked))[-1]


def test_two_attempts_at_work_at_once_are_told(desk: Desk) -> None:
    """The answer to the binding names both, so that one of them can be stopped where it still queues."""
    asked = _unknown(desk)
    first = desk.attempt(asked)
    desk.absent(asked)
    desk.fail(asked)
    desk.dispatch(asked)
    desk.bind(asked)
    version = desk.view(asked).version
    command = c.BindProviderId(first.id, "fal", "late", source="WEBHOOK")
    bound = desk.run(command)
    assert ("late", desk.attempt(asked).id) == (bound.attempt.provider_id, bound.newest.id)
    assert bound == desk.twice(command)
    assert ["FOUND", "DOUBLE_DISPATCH"] == [kind for kind, _ in desk.events(asked)][-2:]
    assert version == desk.view(asked).version, "the render goes on with its newest attempt"
    desk.run(c.RecordResult(first.id, ended="SUCCEEDED", images_count=1, **UNITS))
    desk.result(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE
    assert [HOLD, HOLD] == [one.total_nanos for one in desk.attempts(asked)]


def test_an_older_attempts_id_does_not_move_a_render_that_sends_the_next(desk: Desk) -> None:
    """The render shows what its newest attempt does: it is being sent."""
    asked = _unknown(desk)
    first = desk.attempt(asked)
    desk.absent(asked)
    desk.fail(asked)
    desk.dispatch(asked)
    bound = desk.run(c.BindProviderId(first.id, "fal", "late", source="WEBHOOK"))
    assert (AttemptState.ACCEPTED, RenderState.DISPATCHING) == (bound.attempt.state, bound.render.state)
    desk.bind(asked)
    assert RenderState.QUEUED is desk.render(asked).state


def test_nothing_is_sent_while_an_earlier_attempt_is_at_work(desk: Desk) -> None:
    """Its id came between the decision to try again and the sending: the second request is never sent, and costs nothing."""
    asked = _unknown(desk)
    first = desk.attempt(asked)
    desk.absent(asked)
    desk.fail(asked)
    bound = desk.run(c.BindProviderId(first.id, "fal", "late", source="WEBHOOK"))
    assert AttemptState.HELD is bound.newest.state
    assert "DOUBLE_DISPATCH" not in [kind for kind, _ in desk.events(asked)]
    assert desk.dispatch(asked) is c.RunOutcome.CANCELLED
    assert VOIDED == desk.kinds(desk.attempt(asked))
    failure = desk.job(asked).failure
    assert failure is not None
    assert (Reason.DISPATCH_UNCONFIRMED, RetryAdvice.MAY_PAY_AGAIN) == (failure.reason, failure.retry_advice)


def test_no_further_attempt_while_an_earlier_one_may_be_drawn(desk: Desk) -> None:
    """The newest was refused, an older one turned out to run: the job ends, and knows that asking again may cost again."""
    asked = _unknown(desk, plan=(route("fal"), route("replicate"), replace(route("fal"), route="fal-two")))
    first = desk.attempt(asked)
    desk.absent(asked)
    desk.fail(asked)
    desk.dispatch(asked)
    desk.run(c.BindProviderId(first.id, "fal", "late"))
    desk.reject(asked)
    assert desk.fail(asked) is c.RunOutcome.DONE
    assert desk.render(asked).state in RENDER_FINAL
    failure = desk.job(asked).failure
    assert failure is not None
    assert RetryAdvice.MAY_PAY_AGAIN is failure.retry_advice


def test_an_id_of_another_attempt_answers_what_stands(desk: Desk) -> None:
    """Nothing is written, and the attempt comes back as it is."""
    first, second = desk.sent("a"), desk.sent("b")
    desk.bind(first, "one")
    bound = desk.twice(c.BindProviderId(second.attempt_id, "fal", "one", source="SEARCH"))
    assert (None, AttemptState.DISPATCHING) == (bound.attempt.provider_id, bound.attempt.state)


def test_an_answer_as_it_should_be_is_no_event(desk: Desk) -> None:
    """A render that goes well has none at all."""
    assert [] == desk.events(desk.drawn())


# -- totals


def test_every_correction_is_counted_where_the_first_amount_is(desk: Desk) -> None:
    """A second correction, too: reports by grade show what became of each amount that was posted in that grade."""
    asked = _unknown(desk)
    desk.unconfirmed(asked)
    desk.bind(asked)
    desk.result(asked, metrics=())
    desk.result(asked, metrics=(("image_count", "0.5"),))
    desk.result(asked, metrics=(("image_count", "2"),))
    grades = {
        key.evidence
        for key, delta in desk.tables.totals
        if delta.charged_nanos or delta.corrected_up_nanos or delta.corrected_down_nanos
    }
    assert {"UNCONFIRMED"} == grades
    voided = _unknown(desk, "b")
    desk.absent(voided)
    desk.fail(voided, failover=False)
    desk.result(voided, "FAILED", failure=BROKE)
    desk.result(voided, "FAILED", **UNITS)
    moved = [key.evidence for key, delta in desk.tables.totals if delta.corrected_up_nanos]
    assert ["UNCONFIRMED", "NONE"] == moved
