"""Two replicas at once, on a real PostgreSQL: each is preempted by the other before and after every statement that locks,
and around its commit. What lies between are reads under those locks, and writes that nobody sees before the commit.
"""

from dataclasses import replace
from typing import Any

from service.domain import commands as c
from service.domain.errors import BudgetExceeded
from service.domain.records import Period
from tests.database.two import FAILURE, Two, two
from tests.support.orders import CEILING_NANOS, Steps
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url", "two"]


def test_two_equal_requests_pay_once(two: Two) -> None:
    """Accept × Accept: one makes the render, the other joins it, in every order."""

    def prepare() -> tuple[c.Accept, c.Accept]:
        subject = two.subject()
        return two.orders.accept(subject), two.orders.accept(subject)

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert {c.New, c.Joined} == {type(one), type(other)}
        assert one.view.job.render_id == other.view.job.render_id

    assert two.every_order(prepare, check) > 40


def test_two_equal_requests_after_a_failure_pay_once(two: Two) -> None:
    """Accept × Accept where the flight points at a render that failed: only the lock on the flight tells them apart."""

    def prepare() -> tuple[c.Accept, c.Accept]:
        failed = _drawn_until(two, 1)
        two.one.run(Steps(failed).fail(FAILURE, failover=False))
        return _same_picture(two, failed), _same_picture(two, failed)

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert {c.New, c.Joined} == {type(one), type(other)}

    two.every_order(prepare, check)


def test_one_request_sent_twice_is_one_job(two: Two) -> None:
    """Accept × the same Accept with new ids: both answers name one job."""

    def prepare() -> tuple[c.Accept, c.Accept]:
        first = two.orders.accept(two.subject())
        again = replace(
            _same_picture(two, first), request_id=first.request_id, request_digest=first.request_digest
        )
        return first, again

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert one.view.job.id == other.view.job.id

    two.every_order(prepare, check)


def _same_picture(two: Two, accept: c.Accept) -> c.Accept:
    return replace(two.orders.accept("again"), fingerprint=accept.fingerprint)


def test_two_requests_share_a_budget_with_room_for_one(two: Two) -> None:
    """Accept × Accept of different pictures: exactly one is taken, in every order."""

    def prepare() -> tuple[c.Accept, c.Accept]:
        project = two.subject()
        two.one.run(two.orders.budget(CEILING_NANOS, project=project))
        return (
            two.orders.accept(two.subject(), project=project, scope=project),
            two.orders.accept(two.subject(), project=project, scope=project),
        )

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert {c.New, BudgetExceeded} == {type(one), type(other)}

    two.every_order(prepare, check)


def _drawn_until(two: Two, steps: int) -> c.Accept:
    accept = two.orders.accept(two.subject())
    for command in Steps(accept).all()[:steps]:
        two.one.run(command)
    return accept


def test_a_request_during_the_finish_has_its_picture(two: Two) -> None:
    """Accept × Finish: it joins in time and ends with the render, or finds the picture; it never waits for nothing."""

    def prepare() -> tuple[c.Command, c.Command]:
        first = _drawn_until(two, 5)
        return _same_picture(two, first), Steps(first).finish()

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert c.RunOutcome.DONE is other
        assert isinstance(one, c.Joined | c.Hit)
        assert "SUCCEEDED" == two.state("jobs", one.view.job.id)

    two.every_order(prepare, check)


def test_a_request_during_a_failure_fails_or_draws_anew(two: Two) -> None:
    """Accept × Fail: it fails with the render that it joined, or makes its own."""

    def prepare() -> tuple[c.Command, c.Command]:
        first = _drawn_until(two, 1)
        fail = Steps(first).fail(FAILURE, failover=False)
        return _same_picture(two, first), fail

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert c.RunOutcome.DONE is other
        expected = "FAILED" if isinstance(one, c.Joined) else "QUEUED"
        assert expected == two.state("jobs", one.view.job.id)
        assert isinstance(one, c.Joined | c.New)

    two.every_order(prepare, check)


def test_a_request_during_a_cancel_never_waits_for_a_dead_render(two: Two) -> None:
    """Accept × Cancel of the only other job: it keeps the render alive, or makes its own."""

    def prepare() -> tuple[c.Command, c.Command]:
        first = _drawn_until(two, 1)
        again = _same_picture(two, first)
        return again, c.Cancel(first.job_id, None)

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        joined = isinstance(one, c.Joined)
        assert (c.CancelOutcome.DETACHED if joined else c.CancelOutcome.NOT_SENT) is other.outcome
        assert "PENDING" == two.state("renders", one.view.job.render_id)
        assert "QUEUED" == two.state("jobs", one.view.job.id)

    two.every_order(prepare, check)


def test_a_request_during_the_dispatch_joins_it(two: Two) -> None:
    """Accept × Dispatch: one POST, and the request waits for it."""

    def prepare() -> tuple[c.Command, c.Command]:
        first = _drawn_until(two, 1)
        again = _same_picture(two, first)
        return again, Steps(first).dispatch()

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(one, c.Joined)
        assert isinstance(other, c.Send)

    two.every_order(prepare, check)


def test_a_new_budget_misses_no_hold(two: Two) -> None:
    """Accept × SetBudget: the hold is in the budget's window, or was refused by it."""

    def prepare() -> tuple[c.Command, c.Command]:
        project = two.subject()
        accept = two.orders.accept(two.subject(), project=project, scope=project)
        return accept, two.orders.budget(CEILING_NANOS - 1, project=project, period=Period.TOTAL)

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        held = two.value(
            "SELECT coalesce(sum(held_nanos), 0) FROM budget_windows WHERE budget_id = %s", other.id
        )
        assert isinstance(one, c.New | BudgetExceeded)
        assert (CEILING_NANOS if isinstance(one, c.New) else 0) == held

    two.every_order(prepare, check)


def test_a_new_budget_misses_no_post(two: Two) -> None:
    """RecordResult × SetBudget: what was held moves to spent in the new budget's window too."""

    def prepare() -> tuple[c.Command, c.Command]:
        project = two.subject()
        accept = two.orders.accept(two.subject(), project=project, scope=project)
        for command in Steps(accept).all()[:3]:
            two.one.run(command)
        return Steps(accept).result(), two.orders.budget(CEILING_NANOS, project=project, period=Period.DAY)

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        row = two.watch.execute(
            "SELECT spent_nanos, held_nanos FROM budget_windows WHERE budget_id = %s", (other.id,)
        ).fetchone()
        assert (CEILING_NANOS, 0) == row

    two.every_order(prepare, check)


def test_giving_up_and_binding_agree(two: Two) -> None:
    """ResolveUnconfirmed × BindProviderId: the id is kept either way; what is charged in doubt is charged before it came."""

    def prepare() -> tuple[c.Command, c.Command]:
        accept = two.orders.accept(two.subject())
        steps = Steps(accept)
        for command in (accept, steps.dispatch(), steps.unknown()):
            two.one.run(command)
        two.long_ago(accept)
        return steps.unconfirmed(), steps.bind()

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(first, c.ResolveUnconfirmed)
        row = two.watch.execute(
            "SELECT provider_id, settled_nanos, ordinal FROM attempts WHERE id = %s", (first.attempt_id,)
        ).fetchone()
        settled = (CEILING_NANOS, 1) if one is c.RunOutcome.DONE else (None, 0)
        assert (f"fal-{first.attempt_id}", *settled) == row

    two.every_order(prepare, check)


def test_two_ends_of_one_render_agree(two: Two) -> None:
    """Finish × Cancel of its only job: the job ends once, and the picture is kept either way."""

    def prepare() -> tuple[c.Command, c.Command]:
        first = _drawn_until(two, 5)
        return Steps(first).finish(), c.Cancel(first.job_id, None)

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(second, c.Cancel)
        assert c.RunOutcome.DONE is one
        late = other.outcome is c.CancelOutcome.ALREADY_FINAL
        assert ("SUCCEEDED" if late else "CANCELLED") == two.state("jobs", second.job_id)

    two.every_order(prepare, check)
