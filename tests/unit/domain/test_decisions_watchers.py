"""Cancels and deadlines end jobs, never the books; budgets are set and ended with an audit."""

import json

import pytest

from service.domain import commands as c
from service.domain.errors import BudgetExceeded, EtagMismatch, JobNotFound, Reason
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import AttemptState, JobState, Origin, Period, RenderState
from tests.support.orders import route
from tests.unit.domain.desk import HOLD, Desk

SECOND = MICROS_PER_SECOND


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- cancel


def test_a_cancel_before_the_post_gives_the_hold_back(desk: Desk) -> None:
    """NOT_SENT: the render ends cancelled, nothing is charged, nobody can join it."""
    budget = desk.budget(HOLD)
    asked = desk.accept()
    assert c.CancelOutcome.NOT_SENT is desk.cancel(asked)
    assert (JobState.CANCELLED, RenderState.CANCELLED) == (desk.job(asked).state, desk.render(asked).state)
    assert AttemptState.CANCELLED is desk.attempt(asked).state
    assert (0, 0) == (desk.window(budget).held_nanos, desk.window(budget).spent_nanos)
    assert isinstance(desk.run(desk.orders.accept()), c.New)


@pytest.mark.parametrize("bound", [False, True])
def test_a_cancel_in_the_queue_asks_the_provider(desk: Desk, bound: bool) -> None:
    """PROVIDER_ASKED: the job ends at once, nobody joins any more, the attempt and its hold stay until its end."""
    asked = desk.sent()
    if bound:
        desk.bind(asked)
    assert c.CancelOutcome.PROVIDER_ASKED is desk.cancel(asked)
    render = desk.render(asked)
    assert (False, desk.clock.now()) == (render.joinable, render.cancel_requested_at)
    assert (JobState.CANCELLED, True) == (desk.job(asked).state, desk.attempt(asked).hold_open)
    desk.result(asked, "CANCELLED")
    desk.fail(asked)
    assert (RenderState.CANCELLED, HOLD) == (desk.render(asked).state, desk.attempt(asked).total_nanos)


@pytest.mark.parametrize("time_priced", [False, True])
def test_a_cancel_while_it_is_drawn_stops_only_what_is_priced_by_time(desk: Desk, time_priced: bool) -> None:
    """Elsewhere stopping saves nothing: the render finishes, is charged, and is kept for the next request."""
    one = route("fal")
    plan = (
        type(one)(**{**{name: getattr(one, name) for name in one.__slots__}, "time_priced": time_priced}),
    )
    asked = desk.running(plan=plan)
    outcome = c.CancelOutcome.PROVIDER_ASKED if time_priced else c.CancelOutcome.DETACHED
    assert outcome is desk.cancel(asked)
    assert time_priced is not desk.render(asked).joinable
    desk.result(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE
    assert HOLD == desk.attempt(asked).settled_nanos
    assert JobState.CANCELLED is desk.job(asked).state
    assert isinstance(desk.run(desk.orders.accept()), c.Hit)


def test_a_payer_that_cancels_while_others_wait_still_pays(desk: Desk) -> None:
    """DETACHED: the render goes on for the others; the transfers name the payer, the others avoid."""
    payer = desk.running()
    other = desk.accept()
    assert c.CancelOutcome.DETACHED is desk.cancel(payer)
    assert desk.render(other).cancel_requested_at is None
    desk.result(other)
    desk.finish(other)
    assert (JobState.CANCELLED, JobState.SUCCEEDED) == (desk.job(payer).state, desk.job(other).state)
    assert {payer.job_id} == {row.job_id for row in desk.tables.transfers}
    assert HOLD == desk.job(other).avoided_nanos


def test_the_last_one_to_leave_stops_the_render(desk: Desk) -> None:
    """Joiners that leave before detach; only then does it matter where the render stands."""
    payer = desk.accept()
    other = desk.accept()
    assert c.CancelOutcome.DETACHED is desk.cancel(other)
    assert c.CancelOutcome.NOT_SENT is desk.cancel(payer)


def test_a_cancel_while_it_is_stored_detaches(desk: Desk) -> None:
    """It is paid already; the picture is kept."""
    asked = desk.storing()
    assert c.CancelOutcome.DETACHED is desk.cancel(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE


def test_a_cancel_of_a_final_job_changes_nothing(desk: Desk) -> None:
    """ALREADY_FINAL, however it ended, and as often as one likes."""
    for asked in (desk.drawn("a"), desk.accept("a")):
        outcome = desk.twice(c.Cancel(asked.job_id, asked.project))
        assert c.CancelOutcome.ALREADY_FINAL is outcome.outcome


def test_jobs_of_others_look_as_if_they_were_not_there(desk: Desk) -> None:
    """Unless an admin asks."""
    asked = desk.accept()
    for job_id, project in ((asked.job_id, "ads"), ("unknown", "growth"), ("unknown", None)):
        with pytest.raises(JobNotFound):
            desk.twice(c.Cancel(job_id, project))
    assert c.CancelOutcome.NOT_SENT is desk.run(c.Cancel(asked.job_id, None)).outcome


@pytest.mark.parametrize("step", ["accept", "sent", "running", "storing"])
def test_a_cancel_makes_the_visible_version_grow(desk: Desk, step: str) -> None:
    """Whatever the render showed before."""
    asked = getattr(desk, step)()
    before = desk.view(asked).version
    desk.cancel(asked)
    assert before < desk.view(asked).version


# -- deadlines


def test_a_deadline_ends_the_job_and_not_the_render(desk: Desk) -> None:
    """Only jobs that are due and not final; the picture is drawn, charged to the payer and cached all the same."""
    due = desk.running(job_timeout_micros=SECOND)
    later = desk.accept(job_timeout_micros=2 * SECOND)
    ever = desk.accept()
    ids = (due.job_id, later.job_id, ever.job_id, "unknown")
    assert () == desk.twice(c.ExpireJobs(ids))
    desk.clock.advance(1)
    before = desk.view(due).version
    assert [due.job_id] == [job.id for job in desk.run(c.ExpireJobs(ids))]
    failure = desk.job(due).failure
    assert failure is not None
    assert (JobState.FAILED, Reason.JOB_TIMED_OUT) == (desk.job(due).state, failure.reason)
    assert before < desk.view(due).version
    assert () == desk.twice(c.ExpireJobs(ids))
    desk.result(due)
    desk.finish(due)
    assert (JobState.FAILED, JobState.SUCCEEDED) == (desk.job(due).state, desk.job(later).state)
    assert {due.job_id} == {row.job_id for row in desk.tables.transfers}


# -- budgets


def test_a_budget_begins_with_what_its_window_has_seen(desk: Desk) -> None:
    """Spent and held before it was set count; what is held now is posted to it later."""
    desk.drawn("a")
    running = desk.running("b")
    budget = desk.budget(3 * HOLD)
    assert (HOLD, HOLD) == (desk.window(budget).spent_nanos, desk.window(budget).held_nanos)
    desk.result(running)
    assert (2 * HOLD, 0) == (desk.window(budget).spent_nanos, desk.window(budget).held_nanos)
    desk.accept("c")
    with pytest.raises(BudgetExceeded):
        desk.run(desk.orders.accept("d"))


def test_a_lowered_limit_refuses_new_holds_only(desk: Desk) -> None:
    """What is held is posted in full, whatever the limit is now."""
    budget = desk.budget(HOLD)
    running = desk.running()
    lowered = desk.budget(1)
    assert (budget.id, 2) == (lowered.id, lowered.revision)
    desk.result(running)
    assert HOLD == desk.window(budget).spent_nanos
    with pytest.raises(BudgetExceeded):
        desk.run(desk.orders.accept("b"))


def test_a_budget_keeps_its_id_and_every_change_is_audited(desk: Desk) -> None:
    """Before, after, by whom; setting what is set already writes nothing, and neither does the same command again."""
    command = desk.orders.budget(HOLD)
    first = desk.run(command)
    assert first == desk.twice(command)
    assert first == desk.twice(desk.orders.budget(HOLD))
    second = desk.budget(2 * HOLD, revision=1, reason="more")
    assert (first.id, 2) == (second.id, second.revision)
    change = desk.tables.budget_changes[-1]
    limits = [json.loads(text)["limit_nanos"] for text in (change.before, change.after)]
    assert ([HOLD, 2 * HOLD], "more", 2) == (limits, change.reason, change.revision)
    assert desk.budget(5, period=Period.DAY).id != first.id


def test_a_change_that_saw_another_revision_is_refused(desk: Desk) -> None:
    """Setting and ending alike; revision 0 means that there is none yet."""
    with pytest.raises(EtagMismatch):
        desk.twice(desk.orders.budget(HOLD, revision=1))
    budget = desk.budget(HOLD, revision=0)
    for command in (
        desk.orders.budget(1, revision=0),
        desk.orders.budget(1, revision=2),
        c.DeleteBudget(budget.id, "change", by="tests", revision=2),
    ):
        with pytest.raises(EtagMismatch):
            desk.twice(command)


def test_an_ended_budget_refuses_nobody_and_its_holds_are_still_posted(desk: Desk) -> None:
    """Its window and audit stay; a new budget of the same words is another one."""
    budget = desk.budget(HOLD)
    running = desk.running()
    command = c.DeleteBudget(budget.id, "change", by="tests")
    assert desk.run(command) == desk.twice(command)
    assert desk.twice(c.DeleteBudget(budget.id, "another", by="tests")) is None
    desk.accept("b")
    desk.result(running)
    assert (HOLD, 0) == (desk.window(budget).spent_nanos, desk.window(budget).held_nanos)
    assert "" == desk.tables.budget_changes[-1].after
    again = desk.budget(HOLD)
    assert (True, 1) == (again.id != budget.id, again.revision)


# -- totals


def test_totals_count_jobs_attempts_and_reporting_labels(desk: Desk) -> None:
    """Each final job once with its images, each attempt once; labels that are reported have rows of their own."""
    desk.drawn(labels=(("team", "ads"), ("other", "x")))
    desk.accept(labels=(("team", "web"),))
    jobs = [(key.origin, key.outcome, delta.images) for key, delta in desk.tables.totals if delta.jobs]
    assert [(Origin.PROVIDER.value, "SUCCEEDED", 1), (Origin.CACHE.value, "SUCCEEDED", 1)] == jobs
    charged = [(key.provider, delta.charged_nanos) for key, delta in desk.tables.totals if delta.attempts]
    assert [("fal", HOLD)] == charged
    values = [(name, value) for _, name, value, delta in desk.tables.label_totals if delta.jobs]
    assert [("team", "ads"), ("team", "web")] == values
