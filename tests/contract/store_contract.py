"""What every store promises. An implementation binds it with a fixture `opened`; see test_store.py."""

import asyncio
from dataclasses import replace

import pytest

from service.database.open import Database
from service.domain import commands as c
from service.domain.errors import BudgetExceeded, JobNotFound, Reason, RequestIdReused
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.records import AssetState, AttemptState, JobState, Origin, RenderState
from service.domain.view import JobView
from tests.support.orders import CEILING_NANOS, Orders, Steps, asset, draw, sha

FAILURE = Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE)
LABELS = (("team", "ads"), ("order", "7"))


async def seen(opened: Database, accept: c.Accept) -> JobView:
    """The job as readers see it."""
    view = await opened.jobs.view(accept.job_id)
    assert view is not None
    return view


async def spent_and_held(opened: Database, project: str = "growth") -> list[tuple[int, int]]:
    """Of every live budget's current window."""
    states = await opened.ledger.budgets(project)
    return [(s.window.spent_nanos, s.window.held_nanos) if s.window else (0, 0) for s in states]


class StoreContract:
    """The suite. The database is empty at the start, and its books are right at the end of each test."""

    @pytest.fixture
    def orders(self) -> Orders:
        return Orders()

    # -- one command after another

    async def test_a_run_that_goes_well(self, opened: Database, orders: Orders) -> None:
        """From acceptance to the picture: states, versions that grow, the price, and the picture."""
        accept = orders.accept(labels=LABELS)
        versions = []
        for command in Steps(accept).all():
            await opened.store.execute(command)
            versions.append((await seen(opened, accept)).version)
        assert sorted(versions) == versions
        assert versions[0] < versions[-1]
        view = await seen(opened, accept)
        assert view.render is not None
        assert (JobState.SUCCEEDED, RenderState.SUCCEEDED) == (view.job.state, view.render.state)
        assert LABELS == view.job.labels
        assert [CEILING_NANOS] == [attempt.settled_nanos for attempt in view.attempts]
        picture = asset(accept.fingerprint).sha256
        assert [(0, picture, AssetState.PRESENT)] == [
            (place.position, shown.sha256, shown.state) for place, shown in view.assets
        ]

    async def test_every_command_run_twice_changes_nothing(self, opened: Database, orders: Orders) -> None:
        """Idempotency: the second run of each step answers, and leaves every row as it was."""
        accept = orders.accept()
        for command in Steps(accept).all():
            await opened.store.execute(command)
            before = await seen(opened, accept)
            await opened.store.execute(command)
            assert before == await seen(opened, accept)

    async def test_a_repeated_request_answers_the_same_job(self, opened: Database, orders: Orders) -> None:
        """The same request_id with the same request is the same job, whoever sends it again with new ids."""
        first = orders.accept()
        assert isinstance(await opened.store.execute(first), c.New)
        again = replace(orders.accept(), request_id=first.request_id)
        outcome = await opened.store.execute(again)
        assert isinstance(outcome, c.Existing)
        assert first.job_id == outcome.view.job.id
        assert await opened.jobs.view(again.job_id) is None

    async def test_a_request_id_of_another_request_is_refused(self, opened: Database, orders: Orders) -> None:
        """The same request_id with another request names what differs, and writes nothing."""
        first = orders.accept("a lighthouse")
        await opened.store.execute(first)
        with pytest.raises(RequestIdReused) as refusal:
            await opened.store.execute(replace(orders.accept("a boat"), request_id=first.request_id))
        assert first.job_id == refusal.value.metadata["jobId"]

    async def test_request_ids_of_projects_do_not_meet(self, opened: Database, orders: Orders) -> None:
        """Two projects may use one request_id."""
        first = orders.accept()
        second = replace(orders.accept(project="other"), request_id=first.request_id)
        await opened.store.execute(first)
        assert isinstance(await opened.store.execute(second), c.New)
        view = await opened.jobs.view_by_request("other", first.request_id)
        assert view is not None
        assert second.job_id == view.job.id

    async def test_a_running_render_is_joined(self, opened: Database, orders: Orders) -> None:
        """The second request for the same picture waits for the first one's render, and both end together."""
        first, second = orders.accept(), orders.accept()
        await opened.store.execute(first)
        assert isinstance(await opened.store.execute(second), c.Joined)
        for command in Steps(first).all()[1:]:
            await opened.store.execute(command)
        view = await seen(opened, second)
        assert (JobState.SUCCEEDED, Origin.SHARED, CEILING_NANOS) == (
            view.job.state,
            view.job.origin,
            view.job.avoided_nanos,
        )

    async def test_a_finished_picture_is_found(self, opened: Database, orders: Orders) -> None:
        """The third request costs nothing and is final at once."""
        await draw(opened.store, orders.accept())
        found = await opened.store.execute(orders.accept())
        assert isinstance(found, c.Hit)
        assert (JobState.SUCCEEDED, Origin.CACHE, CEILING_NANOS) == (
            found.view.job.state,
            found.view.job.origin,
            found.view.job.avoided_nanos,
        )
        assert found.view == await opened.jobs.view(found.view.job.id)

    @pytest.mark.parametrize("mode", [c.CacheMode.REFRESH, c.CacheMode.BYPASS])
    async def test_refresh_and_bypass_draw_anew(
        self, opened: Database, orders: Orders, mode: c.CacheMode
    ) -> None:
        """Neither reads the cache; only a refreshed picture is found afterwards."""
        await draw(opened.store, orders.accept())
        anew = orders.accept(cache_mode=mode)
        assert isinstance(await opened.store.execute(anew), c.New)
        for command in Steps(anew).all()[1:]:
            await opened.store.execute(command)
        found = await opened.store.execute(orders.accept())
        assert isinstance(found, c.Hit)
        assert (anew.render_id == found.view.job.render_id) is (mode is c.CacheMode.REFRESH)

    async def test_a_refresh_passes_a_running_render(self, opened: Database, orders: Orders) -> None:
        """A REFRESH while the same picture is being drawn makes its own render, which is joined from then on."""
        first = orders.accept()
        await opened.store.execute(first)
        anew = orders.accept(cache_mode=c.CacheMode.REFRESH)
        assert isinstance(await opened.store.execute(anew), c.New)
        joined = await opened.store.execute(orders.accept())
        assert isinstance(joined, c.Joined)
        assert anew.render_id == joined.view.job.render_id

    async def test_a_picture_that_is_gone_is_drawn_anew(self, opened: Database, orders: Orders) -> None:
        """After MarkGone the cache promises it to nobody; after MarkSeen it would again."""
        first = orders.accept()
        await draw(opened.store, first)
        picture = sha(first.fingerprint)
        await opened.store.execute(c.MarkGone((picture,)))
        assert isinstance(await opened.store.execute(orders.accept()), c.New)
        await opened.store.execute(c.MarkSeen((picture,)))
        known = await opened.jobs.asset(picture, "growth")
        assert known is not None
        assert AssetState.PRESENT is known.state

    async def test_a_picture_that_left_is_put_again(self, opened: Database, orders: Orders) -> None:
        """Finish on a picture that is promised no more asks for the bytes again, then takes it."""
        first, second = orders.accept("one"), orders.accept("two")
        picture = asset("same bytes")
        for command in [*Steps(first).all()[:-1], Steps(first).finish(picture)]:
            await opened.store.execute(command)
        await opened.store.execute(c.MarkGone((picture.sha256,)))
        for command in Steps(second).all()[:-1]:
            await opened.store.execute(command)
        finish = Steps(second).finish(picture)
        assert c.PutAgain((picture.sha256,)) == await opened.store.execute(finish)
        again = replace(finish, put_again=frozenset({picture.sha256}))
        assert c.RunOutcome.DONE is await opened.store.execute(again)

    # -- ends

    async def test_cancel_before_the_dispatch_frees_the_hold(self, opened: Database, orders: Orders) -> None:
        """Nothing was sent, nothing is charged, and the budget has its room back."""
        await opened.store.execute(orders.budget(CEILING_NANOS))
        first = orders.accept()
        await opened.store.execute(first)
        assert [(0, CEILING_NANOS)] == await spent_and_held(opened)
        cancelled = await opened.store.execute(c.Cancel(first.job_id, "growth"))
        assert c.CancelOutcome.NOT_SENT is cancelled.outcome
        assert [(0, 0)] == await spent_and_held(opened)
        assert c.RunOutcome.LOST is await opened.store.execute(Steps(first).dispatch())

    async def test_cancel_of_one_of_two_leaves_the_other(self, opened: Database, orders: Orders) -> None:
        """A job that leaves does not take the render with it."""
        first, second = orders.accept(), orders.accept()
        await opened.store.execute(first)
        await opened.store.execute(second)
        cancelled = await opened.store.execute(c.Cancel(first.job_id, "growth"))
        assert c.CancelOutcome.DETACHED is cancelled.outcome
        for command in Steps(first).all()[1:]:
            await opened.store.execute(command)
        assert JobState.CANCELLED is (await seen(opened, first)).job.state
        assert JobState.SUCCEEDED is (await seen(opened, second)).job.state

    async def test_a_foreign_job_cannot_be_cancelled(self, opened: Database, orders: Orders) -> None:
        """It does not exist for another project."""
        first = orders.accept()
        await opened.store.execute(first)
        with pytest.raises(JobNotFound):
            await opened.store.execute(c.Cancel(first.job_id, "other"))

    async def test_a_refused_dispatch_goes_on_elsewhere(self, opened: Database, orders: Orders) -> None:
        """After a definite refusal the next route gets the hold, in one step, and the first one's is given back."""
        await opened.store.execute(orders.budget(CEILING_NANOS))
        first = orders.accept()
        steps = Steps(first)
        for command in (first, steps.dispatch(), c.Reject(first.attempt_id, FAILURE)):
            await opened.store.execute(command)
        fail = steps.fail(FAILURE, next_attempt_id=orders.dice.new_id(), next_token=orders.dice.new_token())
        outcome = await opened.store.execute(fail)
        assert isinstance(outcome, c.NextAttempt)
        assert "replicate" == outcome.attempt.provider
        assert [(0, CEILING_NANOS)] == await spent_and_held(opened)
        assert outcome == await opened.store.execute(fail)

    async def test_a_failure_ends_every_waiting_job(self, opened: Database, orders: Orders) -> None:
        """Without another route the render fails, its jobs with it, and nothing stays held."""
        first, second = orders.accept(), orders.accept()
        await opened.store.execute(first)
        await opened.store.execute(second)
        await opened.store.execute(Steps(first).fail(FAILURE, failover=False))
        for accept in (first, second):
            view = await seen(opened, accept)
            assert (JobState.FAILED, FAILURE) == (view.job.state, view.job.failure)
        assert isinstance(await opened.store.execute(orders.accept()), c.New)

    async def test_a_failed_refresh_leaves_the_older_picture_where_it_was(
        self, opened: Database, orders: Orders
    ) -> None:
        """Requests and quotes find it again; while the newer one runs, that is what they find."""
        older = orders.accept()
        await draw(opened.store, older)
        refresh = orders.accept(cache_mode=c.CacheMode.REFRESH)
        await opened.store.execute(refresh)
        for pointed in (refresh, older):
            found = await opened.jobs.flight("growth", older.fingerprint)
            assert found is not None
            assert (pointed.render_id, pointed.attempt_id) == (found[0].id, found[1][0].id)
            await opened.store.execute(Steps(refresh).fail(FAILURE, failover=False))
        hit = await opened.store.execute(orders.accept())
        assert isinstance(hit, c.Hit)
        assert older.render_id == hit.view.job.render_id

    async def test_an_attempt_whose_end_is_never_told_is_charged_as_unconfirmed(
        self, opened: Database, orders: Orders
    ) -> None:
        """Given up, it costs its ceiling until somebody knows better; late evidence corrects it."""
        await opened.store.execute(orders.budget(10 * CEILING_NANOS))
        first = orders.accept()
        steps = Steps(first)
        given_up = replace(steps.unconfirmed(), failure=FAILURE)
        for command in (first, steps.dispatch(), steps.bind(), given_up):
            await opened.store.execute(command)
        assert [(CEILING_NANOS, 0)] == await spent_and_held(opened)
        state = (await opened.ledger.budgets("growth"))[0]
        assert state.window is not None
        assert CEILING_NANOS == state.window.unconfirmed_nanos
        late = replace(steps.result(), images_count=2, metrics=(("image_count", "2"),))
        await opened.store.execute(late)
        assert [(2 * CEILING_NANOS, 0)] == await spent_and_held(opened)
        assert AttemptState.SUCCEEDED is (await seen(opened, first)).attempts[0].state

    async def test_a_passed_deadline_fails_the_job_alone(self, opened: Database, orders: Orders) -> None:
        """The render goes on for the others."""
        first = orders.accept(job_timeout_micros=0)
        second = orders.accept()
        await opened.store.execute(first)
        await opened.store.execute(second)
        due = await opened.work.due_jobs(10)
        assert (first.job_id,) == due
        await opened.store.execute(c.ExpireJobs(due))
        assert JobState.FAILED is (await seen(opened, first)).job.state
        assert JobState.QUEUED is (await seen(opened, second)).job.state
        assert () == await opened.work.due_jobs(10)

    async def test_only_the_owner_with_the_newest_fence_acts(self, opened: Database, orders: Orders) -> None:
        """Fenced commands of another replica, or with an old number, are lost."""
        first = orders.accept()
        await opened.store.execute(first)
        dispatch = Steps(first).dispatch()
        for foreign in (replace(dispatch, owner="replica-2"), replace(dispatch, fence=0)):
            assert c.RunOutcome.LOST is await opened.store.execute(foreign)
        assert isinstance(await opened.store.execute(dispatch), c.Send)

    # -- together

    async def test_commands_of_one_batch_see_each_other(self, opened: Database, orders: Orders) -> None:
        """Of many equal requests at once, one makes the render and the others join it."""
        accepts = [orders.accept() for _ in range(40)]
        outcomes = await asyncio.gather(*(opened.store.execute(accept) for accept in accepts))
        kinds = [type(outcome) for outcome in outcomes]
        assert (1, 39) == (kinds.count(c.New), kinds.count(c.Joined))

    async def test_one_request_sent_many_times_at_once_is_one_job(
        self, opened: Database, orders: Orders
    ) -> None:
        """All answers name the same job."""
        first = orders.accept()
        again = [replace(orders.accept(), request_id=first.request_id) for _ in range(30)]
        outcomes = await asyncio.gather(*(opened.store.execute(accept) for accept in (first, *again)))
        assert {first.job_id} == {outcome.view.job.id for outcome in outcomes}

    async def test_a_budget_holds_for_a_whole_batch(self, opened: Database, orders: Orders) -> None:
        """Of 20 requests at once, exactly as many are taken as the limit has room for."""
        await opened.store.execute(orders.budget(7 * CEILING_NANOS))
        accepts = [orders.accept(f"picture {number}") for number in range(20)]
        outcomes = await asyncio.gather(
            *(opened.store.execute(accept) for accept in accepts), return_exceptions=True
        )
        assert 7 == sum(isinstance(outcome, c.New) for outcome in outcomes)
        assert 13 == sum(isinstance(outcome, BudgetExceeded) for outcome in outcomes)
        assert [(0, 7 * CEILING_NANOS)] == await spent_and_held(opened)

    async def test_a_refusal_leaves_no_trace(self, opened: Database, orders: Orders) -> None:
        """No job, no flight, no hold, no burnt request_id: with room, the very same command is taken."""
        budget = orders.budget(CEILING_NANOS - 1)
        await opened.store.execute(budget)
        refused = orders.accept()
        with pytest.raises(BudgetExceeded):
            await opened.store.execute(refused)
        assert await opened.jobs.view(refused.job_id) is None
        assert await opened.jobs.flight("growth", refused.fingerprint) is None
        assert [(0, 0)] == await spent_and_held(opened)
        more = replace(budget, change_id=orders.dice.new_id(), limit_nanos=CEILING_NANOS)
        await opened.store.execute(more)
        assert isinstance(await opened.store.execute(refused), c.New)

    @pytest.mark.parametrize("bad", ["\0", "\ud800"])
    async def test_a_bad_command_fails_alone(self, opened: Database, orders: Orders, bad: str) -> None:
        """Text that a database cannot keep does not take the rest of its batch along."""
        accepts = [orders.accept(f"picture {number}") for number in range(9)]
        accepts[4] = replace(accepts[4], content=f"bad {bad} text", request_id=f"bad {bad} id")
        outcomes = await asyncio.gather(
            *(opened.store.execute(accept) for accept in accepts), return_exceptions=True
        )
        good = [outcome for index, outcome in enumerate(outcomes) if index != 4]
        assert all(isinstance(outcome, c.New) for outcome in good)

    async def test_a_programmers_mistake_fails_alone(self, opened: Database, orders: Orders) -> None:
        """Evidence on an attempt that nobody made fails, and its neighbours are carried out."""
        accept = orders.accept()
        await opened.store.execute(accept)
        outcomes = await asyncio.gather(
            opened.store.execute(c.NotSent("nobody's", 0)),
            opened.store.execute(Steps(accept).dispatch()),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], AssertionError)
        assert isinstance(outcomes[1], c.Send)

    async def test_a_caller_who_leaves_does_not_undo(self, opened: Database, orders: Orders) -> None:
        """A command that was handed in is carried out, though its caller was cancelled."""
        accept = orders.accept()
        calling = asyncio.ensure_future(opened.store.execute(accept))
        await asyncio.sleep(0)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        follower = await opened.store.execute(orders.accept())
        assert isinstance(follower, c.Joined)
        assert accept.render_id == follower.view.job.render_id
