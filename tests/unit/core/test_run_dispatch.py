"""A render up to its POST: one POST for each attempt, the next route when that is free, and nothing lost when the store is."""

import asyncio

import pytest

from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.exchange import Accepted, DispatchAnswer, Refused, Unclear
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import send_window_seconds
from service.domain.records import AttemptState, JobState, Origin, RenderState
from tests.support.clock import settle
from tests.support.memory_store import Fault as StoreFault
from tests.unit.core.rig import PRICE, Rig

REFUSED = Failure(Reason.ROUTES_UNAVAILABLE, "too many requests", Fault.PROVIDER, RetryAdvice.FREE)
UNCLEAR = Unclear("timeout", "no answer")


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_render_goes_well(rig: Rig) -> None:
    """One POST, the id bound, the result charged, the picture stored, the job final with it."""
    view = await rig.drawn()
    assert (JobState.SUCCEEDED, Origin.PROVIDER) == (view.job.state, view.job.origin)
    assert (1, 0) == (len(rig.fal.posted), len(rig.replicate.posted))
    assert [("HOLD", 0, "NONE"), ("POST", PRICE, "BILLED_UNITS")] == rig.kinds(view.attempts[0])
    assert ["fal-1"] == [row.provider_id for row in rig.store.tables.provider_ids.values()]
    assert [asset.key for _, asset in view.assets] == list(rig.blobs.stored)
    order = rig.fal.posted[0]
    assert (view.attempts[0].token, view.attempts[0].seed_sent) == (order.token, rig.fal.bodies()[0]["seed"])


async def test_the_marker_is_committed_before_the_post_and_the_id_right_after(rig: Rig) -> None:
    """Nobody ever finds a sent request that the rows know nothing of."""
    rig.fal.held_back = asyncio.Event()
    submitted = await rig.submit()
    await settle()
    assert 1 == len(rig.fal.posted)
    assert AttemptState.DISPATCHING is rig.attempt(submitted).state
    rig.fal.held_back.set()
    await settle(10)
    names = [type(one).__name__ for one in rig.store.seen]
    assert ["Accept", "Dispatch", "BindProviderId"] == names[:3]
    await rig.finish()


async def test_a_refusal_goes_on_with_the_next_route(rig: Rig) -> None:
    """The first hold is given back with the second; the failover is counted and told."""
    rig.fal.dispatches.append(Refused(REFUSED, "rate_limited"))
    view = await rig.drawn()
    assert JobState.SUCCEEDED is view.job.state
    assert [("HOLD", 0, "NONE"), ("VOID", 0, "NONE")] == rig.kinds(view.attempts[0])
    assert [("HOLD", 0, "NONE"), ("POST", PRICE, "BILLED_UNITS")] == rig.kinds(view.attempts[1])
    assert view.render is not None
    assert "FAILED_OVER" in view.render.notices


async def test_every_route_refusing_fails_the_job_for_nothing(rig: Rig) -> None:
    """With the last refusal as its failure."""
    for provider in (rig.fal, rig.replicate):
        provider.dispatches.append(Refused(REFUSED, "rate_limited"))
    view = await rig.drawn()
    assert (JobState.FAILED, REFUSED) == (view.job.state, view.job.failure)
    assert 0 == sum(attempt.total_nanos for attempt in view.attempts)


async def test_a_fatal_refusal_asks_no_other_route(rig: Rig) -> None:
    """What is refused for its content is refused everywhere."""
    rig.fal.dispatches.append(Refused(REFUSED, "content", fatal=True))
    view = await rig.drawn()
    assert (JobState.FAILED, 0) == (view.job.state, len(rig.replicate.posted))


async def test_an_unclear_post_is_never_sent_again(rig: Rig) -> None:
    """One POST in all; where nobody can be asked the hold is charged in doubt, and the caller is told so."""
    rig.fal.dispatches.append(UNCLEAR)
    rig.records["fal"].away = 9_999
    view = await rig.drawn()
    assert Reason.DISPATCH_UNCONFIRMED is rig.failure(view).reason
    assert (1, 0) == (len(rig.fal.posted), len(rig.replicate.posted))
    assert [("HOLD", 0, "NONE"), ("POST", PRICE, "UNCONFIRMED")] == rig.kinds(view.attempts[0])


async def test_what_could_not_be_sent_in_time_is_marked_and_sent_again(rig: Rig) -> None:
    """The marker is taken back each time; the third time the render fails without a charge."""
    rig.fal.late = 2
    view = await rig.drawn()
    assert (JobState.SUCCEEDED, 1) == (view.job.state, len(rig.fal.posted))
    rig.fal.late = 3
    view = await rig.drawn("another")
    assert (Reason.ROUTES_UNAVAILABLE, 1) == (rig.failure(view).reason, len(rig.fal.posted))
    assert [("HOLD", 0, "NONE"), ("VOID", 0, "NONE")] == rig.kinds(view.attempts[0])


async def test_a_slow_commit_of_the_marker_sends_nothing(rig: Rig) -> None:
    """The window is measured from before the command is handed in."""
    slow = iter([send_window_seconds + 1])

    def before(command: c.Command) -> None:
        if isinstance(command, c.Dispatch):
            rig.clock.advance(next(slow, 0.0))

    rig.store.before = before
    view = await rig.drawn()
    assert (JobState.SUCCEEDED, 1) == (view.job.state, len(rig.fal.posted))
    assert 1 == [type(one) for one in rig.store.seen].count(c.NotSent)


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize(
    ("kind", "answer"),
    [(c.Dispatch, None), (c.Finish, None), (c.Fail, Refused(REFUSED, "x")), (c.MarkUnknown, UNCLEAR),
     (c.ResolveUnconfirmed, UNCLEAR)],
)  # fmt: skip
async def test_a_step_whose_commit_is_not_known_is_asked_again(
    rig: Rig, kind: type[c.Command], answer: DispatchAnswer | None, committed: bool
) -> None:
    """Committed or not: the render ends as it would have, with one POST for each attempt."""
    if answer is not None:
        rig.fal.dispatches.append(answer)
    rig.records["fal"].away = 9_999
    rig.store.faults.extend(StoreFault(kind, committed=committed) for _ in range(2))
    view = await rig.drawn()
    assert not rig.store.faults
    assert (JobState.FAILED if answer is UNCLEAR else JobState.SUCCEEDED) is view.job.state
    assert len(view.attempts) == len(rig.fal.posted) + len(rig.replicate.posted)


async def test_a_refusal_of_what_has_an_id_is_not_believed(rig: Rig) -> None:
    """The id came from elsewhere while the POST was under way: it is followed, and nothing is sent to another route."""
    rig.fal.held_back = asyncio.Event()
    rig.fal.dispatches.append(Refused(REFUSED, "rate_limited"))
    submitted = await rig.submit()
    await settle()
    rig.store.run(c.BindProviderId(rig.attempt(submitted).id, "fal", "told-elsewhere", source="WEBHOOK"))
    rig.fal.held_back.set()
    await rig.finish()
    assert (JobState.SUCCEEDED, 0) == (rig.job(submitted).state, len(rig.replicate.posted))


async def test_a_cancel_before_the_post_sends_nothing(rig: Rig) -> None:
    """The dispatch finds the render gone."""
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    rig.store.run(c.Cancel(submitted.view.job.id, "growth"))
    rig.gate.set()
    await rig.finish()
    assert (JobState.CANCELLED, []) == (rig.job(submitted).state, rig.fal.posted)


async def test_a_stop_lets_a_post_under_way_commit_its_id(rig: Rig) -> None:
    """However often it is asked to stop: what was sent can be found again."""
    rig.fal.held_back = asyncio.Event()
    submitted = await rig.submit()
    await settle()
    loop = asyncio.get_running_loop()
    stops = [loop.create_task(rig.runner.stop()) for _ in range(3)]
    await settle()
    assert not any(stop.done() for stop in stops)
    rig.fal.held_back.set()
    await asyncio.gather(*stops)
    assert (AttemptState.ACCEPTED, "fal-1") == (
        rig.attempt(submitted).state,
        rig.attempt(submitted).provider_id,
    )
    assert RenderState.QUEUED is rig.render(submitted).state


async def test_a_lost_fence_ends_the_run_without_a_trace(rig: Rig) -> None:
    """Another replica owns the render: nothing is sent, nothing failed."""
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    rig.store.run(c.TakeOver(((rig.render(submitted).id, rig.render(submitted).fence),), "replica-1"))
    rig.gate.set()
    await rig.finish()
    assert ([], AttemptState.HELD) == (rig.fal.posted, rig.attempt(submitted).state)


@pytest.mark.parametrize("told", ["id", "nothing", "refusal", "not sent"])
async def test_a_render_taken_over_under_its_post_waits_for_it(rig: Rig, told: str) -> None:
    """Nobody gives up on it before its POST must have ended; then its row says how to go on, and a second POST never follows
    one that may have been taken.
    """
    rig.gate = asyncio.Event()
    submitted = await rig.submit()
    await rig.runner.stop()
    rig.gate.set()
    attempt = rig.attempt(submitted)
    render = rig.render(submitted)
    rig.store.run(c.Dispatch(render.id, attempt.id, render.owner, render.fence))
    rig.store.run(c.TakeOver(((render.id, render.fence),), "replica-1"))
    await rig.runner.start()
    rig.runner.begin(rig.view(submitted))
    await rig.clock.run(30)
    evidence: dict[str, c.Command] = {
        "id": c.BindProviderId(attempt.id, "fal", "late"),
        "refusal": c.Reject(attempt.id, REFUSED),
        "not sent": c.NotSent(attempt.id, rig.attempt(submitted).send_before or 0),
    }
    if told in evidence:
        rig.store.run(evidence[told])
    assert not rig.job(submitted).is_final
    await rig.finish()
    state = JobState.FAILED if told == "nothing" else JobState.SUCCEEDED
    posted = (len(rig.fal.posted), len(rig.replicate.posted))
    assert (state, {"refusal": (0, 1), "not sent": (1, 0)}.get(told, (0, 0))) == (
        rig.job(submitted).state,
        posted,
    )


async def test_an_accepted_id_is_what_is_polled(rig: Rig) -> None:
    """Aliases are kept, and the place in the queue is shown at once."""
    rig.fal.dispatches.append(Accepted("one", aliases=("uno",), queue_position=4))
    submitted = await rig.submit()
    await settle(8)
    assert {"one", "uno"} == {provider_id for _, provider_id in rig.store.tables.provider_ids}
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(submitted).state
