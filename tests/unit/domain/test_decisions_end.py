"""How renders end or go on: Finish, Fail, giving up, and who pays the next attempt."""

import json
from dataclasses import replace
from typing import Any

import pytest

from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.limits import MICROS_PER_SECOND, attempts_per_render_max
from service.domain.records import AssetState, AttemptState, JobState, Origin, RenderState
from tests.support.orders import asset, route
from tests.unit.domain.desk import BROKE, HOLD, Desk

ROUTES = tuple(replace(route("fal"), route=f"fal-{index}") for index in range(5))


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- finish


def test_finish_gives_the_picture_to_everybody_who_waits(desk: Desk) -> None:
    """The payer is charged, the others avoid what it cost; every visible version grows, and final jobs do not change again."""
    first = desk.running()
    joined = [desk.accept() for _ in range(3)]
    desk.result(first)
    before = [desk.view(one).version for one in (first, *joined)]
    assert desk.finish(first) is c.RunOutcome.DONE
    views = [desk.view(one) for one in (first, *joined)]
    assert {JobState.SUCCEEDED} == {view.job.state for view in views}
    assert [None, HOLD, HOLD, HOLD] == [view.job.avoided_nanos for view in views]
    assert all(new.version > old for new, old in zip(views, before, strict=True))
    assert [1] * 4 == [len(view.assets) for view in views]
    assert desk.twice(desk.finish_command(first)) is c.RunOutcome.DONE


def test_fewer_pictures_are_partial_for_all_and_kept_for_nobody(desk: Desk) -> None:
    """The notices travel with the render."""
    first = desk.running()
    joined = desk.accept()
    desk.result(first)
    desk.finish(first, partial=True, notices='[{"code":"FEWER_IMAGES"}]')
    render = desk.render(joined)
    assert (True, None, "FEWER_IMAGES") == (
        render.partial, render.fresh_until, json.loads(render.notices)[0]["code"],
    )  # fmt: skip


@pytest.mark.parametrize("state", [AssetState.DELETING, AssetState.GONE])
def test_a_picture_that_is_not_promised_any_more_is_put_again(desk: Desk, state: AssetState) -> None:
    """PutAgain writes nothing; after the put, Finish makes it present."""
    asked = desk.storing()
    picture = replace(asset(asked.fingerprint), state=state)
    desk.tables.assets[picture.sha256] = picture
    assert c.PutAgain((picture.sha256,)) == desk.twice(desk.finish_command(asked))
    assert desk.finish(asked, put_again=frozenset({picture.sha256})) is c.RunOutcome.DONE
    assert AssetState.PRESENT is desk.tables.assets[picture.sha256].state


def test_a_paid_picture_is_kept_although_its_cancel_came_too_late(desk: Desk) -> None:
    """Nobody waits for it any more, and the next request need not pay again."""
    asked = desk.sent()
    desk.bind(asked)
    assert c.CancelOutcome.PROVIDER_ASKED is desk.cancel(asked)
    desk.result(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE
    assert isinstance(desk.run(desk.orders.accept()), c.Hit)


# -- failover


def test_a_refused_attempt_goes_on_with_the_next_route(desk: Desk) -> None:
    """One transaction gives the old hold back and takes the new one; running it again answers the same."""
    budget = desk.budget(HOLD)
    asked = desk.sent()
    desk.reject(asked)
    command = desk.fail_command(asked)
    outcome = desk.run(command)
    assert isinstance(outcome, c.NextAttempt)
    first, second = desk.attempts(asked)
    assert [("HOLD", 0, "NONE"), ("VOID", 0, "NONE")] == desk.kinds(first)
    assert (2, "replicate", AttemptState.HELD, HOLD) == (
        second.number, second.provider, second.state, second.hold_nanos,
    )  # fmt: skip
    assert (RenderState.PENDING, HOLD) == (desk.render(asked).state, desk.window(budget).held_nanos)
    again = desk.twice(command)
    assert outcome == again
    assert isinstance(desk.dispatch(asked), c.Send)


def test_the_next_hold_is_checked_on_the_net(desk: Desk) -> None:
    """A budget without any room left still lets a route of the same price follow; a dearer one is refused in full."""
    for ceiling, expected in ((HOLD, c.NextAttempt), (HOLD - 1, c.NextAttempt), (HOLD + 1, c.RunOutcome)):
        desk = Desk()
        desk.budget(HOLD)
        asked = desk.sent(plan=(route("fal"), route("replicate", ceiling)))
        desk.reject(asked)
        assert isinstance(desk.fail(asked), expected)
    failure = desk.job(asked).failure
    assert failure is not None
    assert (Reason.BUDGET_EXCEEDED, str(HOLD + 1)) == (failure.reason, failure.metadata["askedNanos"])
    assert ["VOID"] == [kind for kind, _, _ in desk.kinds(desk.attempt(asked))][1:]


def test_a_lowered_budget_does_not_stop_a_failover(desk: Desk) -> None:
    """A net of zero is never refused, whatever the limit is now."""
    desk.budget(HOLD)
    asked = desk.sent()
    desk.budget(1)
    desk.reject(asked)
    assert isinstance(desk.fail(asked), c.NextAttempt)


def test_a_free_end_of_the_attempt_goes_on_too(desk: Desk) -> None:
    """Unbilled failures, and attempts that were never sent."""
    asked = desk.running("a")
    desk.result(asked, "FAILED", surely_unbilled=True)
    assert isinstance(desk.fail(asked), c.NextAttempt)
    unsent = desk.accept("b")
    assert isinstance(desk.fail(unsent), c.NextAttempt)
    assert AttemptState.CANCELLED is desk.attempts(unsent)[0].state


@pytest.mark.parametrize("told", [{}, {"metrics": (("image_count", "1"),)}])
def test_nothing_follows_a_charge_or_what_may_be_one(desk: Desk, told: dict[str, Any]) -> None:
    """Two payments for one picture are nobody's wish: the render fails with its own failure."""
    asked = desk.running()
    desk.result(asked, "FAILED", **told)
    assert desk.fail(asked) is c.RunOutcome.DONE
    assert (JobState.FAILED, BROKE) == (desk.job(asked).state, desk.job(asked).failure)


@pytest.mark.parametrize("step", ["sent", "running"])
def test_the_hold_of_an_open_attempt_is_never_given_back(desk: Desk, step: str) -> None:
    """Whoever says that it failed while the provider may still charge it is not believed."""
    asked = getattr(desk, step)()
    assert desk.twice(desk.fail_command(asked)) is c.RunOutcome.LOST
    if step == "sent":
        desk.unknown(asked)
        assert desk.twice(desk.fail_command(asked)) is c.RunOutcome.LOST


def test_only_the_newest_attempt_fails_the_render(desk: Desk) -> None:
    """A late Fail of the one before is lost."""
    asked = desk.sent()
    desk.reject(asked)
    late = desk.fail_command(asked)
    desk.fail(asked)
    assert desk.twice(replace(late, next_attempt_id="other")) is c.RunOutcome.LOST


def test_an_older_attempt_that_was_charged_after_all_ends_the_failover(desk: Desk) -> None:
    """The second attempt is there already; a third would be another payment."""
    asked = desk.sent(plan=ROUTES)
    desk.reject(asked)
    first = desk.attempt(asked)
    desk.fail(asked)
    desk.dispatch(asked)
    desk.run(c.RecordResult(first.id, ended="SUCCEEDED", metrics=(("image_count", "1"),), images_count=1))
    desk.reject(asked)
    assert desk.fail(asked) is c.RunOutcome.DONE
    assert 2 == len(desk.attempts(asked))


def test_attempts_end_with_the_limit_the_plan_or_a_failure_that_no_route_can_help(desk: Desk) -> None:
    """At most three, each route once."""
    asked = desk.accept("a", plan=ROUTES)
    for _ in range(attempts_per_render_max - 1):
        assert isinstance(desk.fail(asked), c.NextAttempt)
    assert desk.fail(asked) is c.RunOutcome.DONE
    assert ["fal-0", "fal-1", "fal-2"] == [one.route for one in desk.attempts(asked)]
    single = desk.accept("b", plan=ROUTES[:1])
    assert desk.fail(single) is c.RunOutcome.DONE
    hopeless = desk.accept("c")
    assert desk.fail(hopeless, failover=False) is c.RunOutcome.DONE
    for job in (asked, single, hopeless):
        assert (JobState.FAILED, BROKE) == (desk.job(job).state, desk.job(job).failure)


def test_fail_answers_the_same_after_the_end(desk: Desk) -> None:
    """DONE for a render that failed, LOST for one that succeeded; nothing is written."""
    asked = desk.accept("a")
    desk.fail(asked, failover=False)
    assert desk.twice(desk.fail_command(asked)) is c.RunOutcome.DONE
    assert desk.twice(desk.fail_command(desk.drawn("b"))) is c.RunOutcome.LOST


# -- who pays


def test_the_oldest_waiting_job_that_may_pays_the_next_attempt(desk: Desk) -> None:
    """Its origin is PROVIDER from then on; the others share, and only they avoid."""
    labels = (("team", "ads"),)
    desk.budget(HOLD, label_key="team", label_value="ads")
    plan = (route("fal"), route("replicate", HOLD + 1))
    payer = desk.sent(plan=plan, labels=labels)
    late = desk.accept(job_timeout_micros=MICROS_PER_SECOND)
    thrifty = desk.accept(max_cost_nanos=HOLD)
    able, after = desk.accept(), desk.accept()
    desk.clock.advance(1)
    desk.reject(payer)
    assert isinstance(desk.fail(payer), c.NextAttempt)
    assert able.job_id == desk.attempt(payer).payer_job
    origins = [desk.job(one).origin for one in (payer, late, thrifty, able, after)]
    assert [Origin.SHARED] * 3 + [Origin.PROVIDER, Origin.SHARED] == origins
    for step in (desk.dispatch, desk.bind, desk.result, desk.finish):
        step(payer)
    assert [HOLD] * 3 + [None, HOLD] == [
        desk.job(one).avoided_nanos for one in (payer, late, thrifty, able, after)
    ]


def test_max_cost_counts_all_attempts_together(desk: Desk) -> None:
    """What may be spent is what the attempts before have not spent."""
    asked = desk.accept(plan=(route("fal"), route("replicate", HOLD + 1)), max_cost_nanos=HOLD)
    assert desk.fail(asked) is c.RunOutcome.DONE
    assert BROKE == desk.job(asked).failure


def test_nobody_left_to_pay_ends_the_render(desk: Desk) -> None:
    """Detached jobs pay for what was dispatched, never for what comes after."""
    asked = desk.running()
    desk.cancel(asked)
    desk.result(asked, "FAILED", surely_unbilled=True)
    assert desk.fail(asked) is c.RunOutcome.DONE
    assert (RenderState.FAILED, 1) == (desk.render(asked).state, len(desk.attempts(asked)))


def test_a_cancelled_render_ends_cancelled_without_another_attempt(desk: Desk) -> None:
    """Whoever cancels does not want the next route either."""
    asked = desk.sent()
    desk.cancel(asked)
    desk.reject(asked)
    command = desk.fail_command(asked)
    assert desk.run(command) is c.RunOutcome.DONE
    assert (RenderState.CANCELLED, 1) == (desk.render(asked).state, len(desk.attempts(asked)))
    assert desk.twice(command) is c.RunOutcome.DONE


# -- giving up


@pytest.mark.parametrize("step", ["unknown", "running"])
def test_giving_up_charges_the_hold_in_doubt(desk: Desk, step: str) -> None:
    """Kept apart in the window, part of spent; the jobs fail with what may have happened; running it again is DONE."""
    budget = desk.budget(HOLD)
    asked = desk.at(step)
    joined = desk.accept()
    told = None if step == "unknown" else BROKE
    assert desk.unconfirmed(asked, failure=told) is c.RunOutcome.DONE
    assert (HOLD, 0, HOLD) == (
        desk.window(budget).spent_nanos, desk.window(budget).held_nanos, desk.window(budget).unconfirmed_nanos,
    )  # fmt: skip
    for one in (asked, joined):
        failure = desk.job(one).failure
        assert failure is not None
        assert (told.reason if told else Reason.DISPATCH_UNCONFIRMED) is failure.reason
    assert 0 == desk.job(joined).avoided_nanos
    command = c.ResolveUnconfirmed(asked.render_id, asked.attempt_id, asked.owner, 1, failure=told)
    assert desk.twice(command) is c.RunOutcome.DONE


def test_a_search_that_is_given_up_loses_against_the_id_that_it_looked_for(desk: Desk) -> None:
    """The first commit wins: an id that a webhook bound a moment before is followed, not charged in doubt."""
    asked = desk.doubted(desk.at("unknown"))
    desk.bind(asked, source="WEBHOOK")
    command = c.ResolveUnconfirmed(asked.render_id, asked.attempt_id, asked.owner, 1)
    assert desk.twice(command) is c.RunOutcome.LOST
    assert AttemptState.ACCEPTED is desk.attempt(asked).state


@pytest.mark.parametrize("step", ["accept", "sent", "storing"])
def test_giving_up_needs_an_attempt_whose_end_is_open(desk: Desk, step: str) -> None:
    """One that was not sent, is just being sent, or has its result is not given up."""
    asked = getattr(desk, step)()
    command = c.ResolveUnconfirmed(asked.render_id, asked.attempt_id, asked.owner, 1)
    assert desk.twice(command) is c.RunOutcome.LOST


def test_a_lost_result_fails_the_job_and_stays_charged(desk: Desk) -> None:
    """What was drawn is paid, whether it could be fetched or not."""
    asked = desk.storing()
    assert desk.fail(asked, failover=False) is c.RunOutcome.DONE
    assert (RenderState.FAILED, HOLD) == (desk.render(asked).state, desk.attempt(asked).settled_nanos)
