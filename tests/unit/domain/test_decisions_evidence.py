"""What providers say is taken in any state, any number of times, and settles the money by the best of it."""

from dataclasses import replace
from typing import Any

import pytest

from service.domain import commands as c
from service.domain.records import AttemptState, Grade, JobState, RenderState
from tests.support.orders import route
from tests.unit.domain.desk import BROKE, HOLD, REFUSED, Desk, not_sent

UNITS = {"metrics": (("image_count", "1"),)}
POSTED = ("POST", HOLD, "BILLED_UNITS")


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- not sent, refused


def test_what_was_not_sent_may_be_sent_again(desk: Desk) -> None:
    """The attempt is HELD again, its hold untouched; the second run of NotSent writes nothing."""
    asked = desk.sent()
    word = not_sent(desk, asked)
    desk.run(word)
    assert (AttemptState.HELD, None, True) == (
        desk.attempt(asked).state, desk.attempt(asked).send_before, desk.attempt(asked).hold_open,
    )  # fmt: skip
    assert RenderState.PENDING is desk.render(asked).state
    desk.twice(word)
    assert isinstance(desk.dispatch(asked), c.Send)


def test_an_old_word_says_nothing_about_a_newer_marker(desk: Desk) -> None:
    """It comes twice, from a sender that stood still; meanwhile another one's POST is under way, which nobody may send again."""
    asked = desk.sent()
    word = not_sent(desk, asked)
    desk.run(word)
    desk.clock.advance(1)
    desk.dispatch(asked)
    desk.twice(word)
    assert AttemptState.DISPATCHING is desk.attempt(asked).state
    desk.unknown(asked)
    desk.twice(word)
    assert AttemptState.UNKNOWN is desk.attempt(asked).state


def test_not_sent_after_the_id_is_no_news(desk: Desk) -> None:
    """What was accepted was sent."""
    asked = desk.running()
    desk.twice(not_sent(desk, asked))


def test_a_refusal_keeps_the_hold_for_the_next_route(desk: Desk) -> None:
    """It is given back together with the next hold, or with the end of the render."""
    asked = desk.sent()
    rejected = desk.reject(asked)
    assert (AttemptState.REJECTED, True, True) == (rejected.state, rejected.unbilled, rejected.hold_open)
    desk.twice(c.Reject(asked.attempt_id, REFUSED))


def test_an_unclear_post_may_turn_out_refused(desk: Desk) -> None:
    """As long as nobody gave up on it."""
    asked = desk.sent()
    desk.unknown(asked)
    assert AttemptState.REJECTED is desk.reject(asked).state


def test_a_refusal_takes_an_unconfirmed_charge_back(desk: Desk) -> None:
    """Heard after the attempt was given up: what was charged in doubt is corrected to zero, once; the job stays failed."""
    budget = desk.budget(HOLD)
    asked = desk.sent()
    desk.unknown(asked)
    desk.unconfirmed(asked)
    assert (HOLD, HOLD) == (desk.window(budget).spent_nanos, desk.window(budget).unconfirmed_nanos)
    desk.reject(asked)
    assert [
        ("HOLD", 0, "NONE"),
        ("POST", HOLD, "UNCONFIRMED"),
        ("CORRECTION", 0, "BILLED_UNITS"),
    ] == desk.kinds(desk.attempt(asked))
    assert (0, 0) == (desk.window(budget).spent_nanos, desk.window(budget).unconfirmed_nanos)
    desk.twice(c.Reject(asked.attempt_id, REFUSED))
    assert JobState.FAILED is desk.job(asked).state


@pytest.mark.parametrize("step", ["accept", "running", "storing", "drawn"])
def test_a_refusal_after_the_id_or_before_the_post_is_no_news(desk: Desk, step: str) -> None:
    """It cannot be true; nothing is written."""
    asked = getattr(desk, step)()
    desk.twice(c.Reject(asked.attempt_id, REFUSED))


def test_a_refusal_does_not_take_back_what_has_an_id(desk: Desk) -> None:
    """The provider knows the request: only what it says of its end moves the money."""
    asked = desk.running()
    assert desk.unconfirmed(asked, failure=BROKE) is c.RunOutcome.DONE
    desk.twice(c.Reject(asked.attempt_id, REFUSED))


# -- ids


def test_the_first_id_is_canonical_and_others_are_aliases(desk: Desk) -> None:
    """Binding the same id again changes nothing; a different one is kept as another name."""
    asked = desk.sent()
    desk.bind(asked, "one", aliases=("uno",))
    desk.bind(asked, "two", source="WEBHOOK")
    ids = {key: (row.canonical, row.source) for (_, key), row in desk.tables.provider_ids.items()}
    assert {"one": (True, "POST"), "uno": (False, "POST"), "two": (False, "WEBHOOK")} == ids
    assert "one" == desk.attempt(asked).provider_id
    for known in ("one", "two", "uno"):
        desk.twice(c.BindProviderId(asked.attempt_id, "fal", known))


def test_an_id_of_another_attempt_is_not_bound(desk: Desk) -> None:
    """Following it would deliver somebody else's picture."""
    first, second = desk.sent("a"), desk.sent("b")
    desk.bind(first, "one")
    desk.twice(c.BindProviderId(second.attempt_id, "fal", "one"))
    assert AttemptState.DISPATCHING is desk.attempt(second).state


def test_an_id_found_for_an_unknown_attempt_brings_it_back(desk: Desk) -> None:
    """It goes on as if the answer had come."""
    asked = desk.sent()
    desk.unknown(asked)
    desk.bind(asked, source="WEBHOOK")
    assert (AttemptState.ACCEPTED, RenderState.QUEUED) == (
        desk.attempt(asked).state,
        desk.render(asked).state,
    )


def test_an_id_after_giving_up_is_kept_for_reconciliation(desk: Desk) -> None:
    """Final stays final; the id is remembered and money does not move by it."""
    asked = desk.sent()
    desk.unknown(asked)
    desk.unconfirmed(asked)
    version = desk.view(asked).version
    bound = desk.bind(asked, "late")
    assert ("late", AttemptState.FAILED) == (bound.provider_id, bound.state)
    assert version == desk.view(asked).version
    desk.twice(c.BindProviderId(asked.attempt_id, "fal", "late"))


# -- results


def test_a_result_settles_before_any_download(desk: Desk) -> None:
    """The hold becomes the charge by the units, the render is STORING, and a second result writes nothing."""
    budget = desk.budget(HOLD)
    asked = desk.storing()
    attempt = desk.attempt(asked)
    assert [("HOLD", 0, "NONE"), POSTED] == desk.kinds(attempt)
    assert (AttemptState.SUCCEEDED, RenderState.STORING) == (attempt.state, desk.render(asked).state)
    assert (HOLD, 0) == (desk.window(budget).spent_nanos, desk.window(budget).held_nanos)
    desk.twice(c.RecordResult(attempt.id, ended="SUCCEEDED", images_count=1, **UNITS))


@pytest.mark.parametrize("step", ["sent", "running"])
def test_a_result_is_taken_before_the_id_is_known(desk: Desk, step: str) -> None:
    """Whatever our own state, the provider's word counts."""
    asked = getattr(desk, step)()
    assert AttemptState.SUCCEEDED is desk.result(asked).state
    assert desk.finish(asked) is c.RunOutcome.DONE


@pytest.mark.parametrize(
    ("told", "posted"),
    [
        ({"metrics": (("image_count", "2"),)}, ("POST", 2 * HOLD, "BILLED_UNITS")),
        ({"metrics": (), "images_count": 1}, ("POST", HOLD, "ESTIMATE")),
        ({"metrics": (), "images_count": 0}, ("POST", HOLD, "ESTIMATE")),
        ({"metrics": (("predict_time", "3"),), "images_count": 0}, ("POST", HOLD, "ESTIMATE")),
        ({"metrics": (), "surely_unbilled": True}, ("POST", 0, "BILLED_UNITS")),
    ],
)
def test_a_success_is_charged_by_the_best_there_is(desk: Desk, told: dict[str, Any], posted: Any) -> None:
    """Billed units, else our own count, else the estimate; never nothing for want of evidence, never clamped to the hold."""
    asked = desk.running()
    desk.result(asked, **told)
    assert posted == desk.kinds(desk.attempt(asked))[-1]
    assert desk.finish(asked) is c.RunOutcome.DONE


@pytest.mark.parametrize("ended", ["FAILED", "CANCELLED", "ABORTED"])
def test_a_failure_without_evidence_holds_the_ceiling_in_doubt(desk: Desk, ended: str) -> None:
    """It is charged in full as unconfirmed; saying that it cost nothing later takes it back, once."""
    budget = desk.budget(HOLD)
    asked = desk.running()
    desk.result(asked, ended)
    assert ("POST", HOLD, "UNCONFIRMED") == desk.kinds(desk.attempt(asked))[-1]
    assert HOLD == desk.window(budget).unconfirmed_nanos
    desk.result(asked, ended, surely_unbilled=True)
    assert ("CORRECTION", 0, "BILLED_UNITS") == desk.kinds(desk.attempt(asked))[-1]
    assert (0, 0) == (desk.window(budget).spent_nanos, desk.window(budget).unconfirmed_nanos)
    desk.twice(c.RecordResult(asked.attempt_id, ended=ended, failure=BROKE, surely_unbilled=True))


def test_an_unbilled_failure_waits_for_the_next_hold(desk: Desk) -> None:
    """The hold stays open until the render goes on or ends, and a second word writes nothing."""
    asked = desk.running()
    told = desk.result(asked, "FAILED", surely_unbilled=True)
    assert (True, True) == (told.unbilled, told.hold_open)
    desk.twice(c.RecordResult(asked.attempt_id, ended="FAILED", failure=BROKE, surely_unbilled=True))


def test_a_bill_for_an_unbilled_failure_is_believed(desk: Desk) -> None:
    """Whatever was said before: it is charged, and there is no failover any more."""
    asked = desk.running()
    desk.result(asked, "FAILED", surely_unbilled=True)
    charged = desk.result(asked, "FAILED", **UNITS)
    assert (False, HOLD) == (charged.unbilled, charged.settled_nanos)
    assert desk.fail(asked) is c.RunOutcome.DONE


def test_better_evidence_becomes_a_correction(desk: Desk) -> None:
    """To the amount that is true, up or down, in the window that held; weaker or equal evidence writes nothing."""
    budget = desk.budget(2 * HOLD)
    asked = desk.running()
    desk.result(asked, metrics=())
    assert ("POST", HOLD, "ESTIMATE") == desk.kinds(desk.attempt(asked))[-1]
    half = {"metrics": (("image_count", "0.5"),)}
    desk.result(asked, **half)
    assert ("CORRECTION", HOLD // 2, "BILLED_UNITS") == desk.kinds(desk.attempt(asked))[-1]
    assert HOLD // 2 == desk.window(budget).spent_nanos
    for told in ({"metrics": (), "images_count": 5}, {"images_count": 1, **half}, {"charge_ceiling": True}):
        desk.twice(c.RecordResult(asked.attempt_id, ended="SUCCEEDED", **told))
    desk.result(asked, metrics=(("image_count", "3"),))
    correction = desk.transfers(desk.attempt(asked))[-1]
    assert ("project:growth", 3 * HOLD - HOLD // 2, 3, 2) == (
        correction.debit, correction.amount_nanos, correction.ordinal, correction.target_ordinal,
    )  # fmt: skip


def test_a_confirmation_of_an_unconfirmed_amount_is_booked_although_it_moves_nothing(desk: Desk) -> None:
    """A correction of zero: the doubt goes, the money stays."""
    budget = desk.budget(HOLD)
    asked = desk.sent()
    desk.unknown(asked)
    desk.unconfirmed(asked)
    desk.result(asked)
    last = desk.transfers(desk.attempt(asked))[-1]
    assert ("CORRECTION", 0, HOLD) == (last.kind.value, last.amount_nanos, last.total_after_nanos)
    assert (HOLD, 0) == (desk.window(budget).spent_nanos, desk.window(budget).unconfirmed_nanos)


def test_a_success_after_giving_up_corrects_the_money_and_leaves_the_job(desk: Desk) -> None:
    """Final jobs stay as they are; the attempt says what truly happened."""
    asked = desk.sent()
    desk.unknown(asked)
    desk.unconfirmed(asked)
    before = desk.job(asked)
    desk.result(asked, metrics=(("image_count", "2"),))
    assert AttemptState.SUCCEEDED is desk.attempt(asked).state
    assert ("CORRECTION", 2 * HOLD, "BILLED_UNITS") == desk.kinds(desk.attempt(asked))[-1]
    assert (before, RenderState.FAILED) == (desk.job(asked), desk.render(asked).state)


def test_a_charge_in_doubt_after_a_void_is_in_doubt_in_the_window(desk: Desk) -> None:
    """A refused attempt turns out to have run, at a price that nobody tells: unconfirmed, until somebody does."""
    budget = desk.budget(4 * HOLD)
    asked = desk.sent()
    desk.reject(asked)
    desk.fail(asked, failover=False)
    desk.result(asked, "FAILED")
    assert ("CORRECTION", HOLD, "UNCONFIRMED") == desk.kinds(desk.attempt(asked))[-1]
    assert HOLD == desk.window(budget).unconfirmed_nanos
    desk.result(asked, "FAILED", **UNITS)
    assert (HOLD, 0) == (desk.window(budget).spent_nanos, desk.window(budget).unconfirmed_nanos)


def test_a_late_result_of_an_older_attempt_leaves_the_render_to_the_newer(desk: Desk) -> None:
    """It is charged, and the attempt that runs now goes on undisturbed."""
    asked = desk.sent()
    desk.reject(asked)
    first = desk.attempt(asked)
    desk.fail(asked)
    desk.dispatch(asked)
    desk.bind(asked)
    desk.run(c.RecordResult(first.id, ended="SUCCEEDED", images_count=1, **UNITS))
    assert ("CORRECTION", HOLD, "BILLED_UNITS") == desk.kinds(first)[-1]
    assert RenderState.QUEUED is desk.render(asked).state
    desk.progress(asked)
    desk.result(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE


def test_a_success_is_not_taken_back(desk: Desk) -> None:
    """A provider that says later that it failed changes neither state nor money."""
    asked = desk.storing()
    desk.twice(c.RecordResult(asked.attempt_id, ended="FAILED", failure=BROKE, surely_unbilled=True))
    desk.twice(c.RecordResult(asked.attempt_id, ended="CANCELLED", failure=BROKE))


def test_when_a_result_expires_is_reckoned_from_its_arrival(desk: Desk) -> None:
    """By the database's clock; what was told first stays."""
    asked = desk.running()
    attempt = desk.result(asked, result='{"outputs":[1]}', result_expires_in_micros=60)
    assert (desk.clock.now() + 60, '{"outputs":[1]}') == (attempt.result_expires_at, attempt.result)


def test_a_correction_upwards_is_booked_in_full_although_the_room_was_given_away(desk: Desk) -> None:
    """What a post left of its hold is free for others at once; if the bill comes after all, the limit is passed by just that."""
    budget = desk.budget(HOLD)
    first = desk.running("a")
    desk.result(first, metrics=(("image_count", "0.25"),))
    desk.accept("b", plan=(route("fal", HOLD - HOLD // 4),))
    desk.run(c.RecordResult(first.attempt_id, ended="SUCCEEDED", images_count=1, **UNITS))
    window = desk.window(budget)
    assert (HOLD, HOLD - HOLD // 4, 0) == (window.spent_nanos, window.held_nanos, window.overrun_nanos)


def test_what_the_release_before_posted_is_corrected_under_its_grade(desk: Desk) -> None:
    """During a rolling upgrade it posts without saying the grade beside: totals by evidence agree all the same."""
    asked = desk.sent()
    desk.bind(asked)
    desk.result(asked)
    posted = desk.attempt(asked)
    desk.store.tables.attempts[asked.attempt_id] = replace(posted, posted_grade=Grade.NONE)
    desk.run(c.Correct(asked.attempt_id, amount_nanos=posted.total_nanos + 5, grade=Grade.BILLING_EVENT))
    booked = [key.evidence for key, delta in desk.store.tables.totals if delta.corrected_up_nanos]
    assert [Grade.BILLED_UNITS.value] == booked
    assert Grade.BILLED_UNITS is desk.attempt(asked).posted_grade
