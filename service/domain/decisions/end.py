"""How a render ends, and with it every job that waits for it; or how it goes on with the next route."""

from __future__ import annotations

import json
from dataclasses import replace

from service.domain import ledger
from service.domain.commands import Fail, Fenced, Finish, NextAttempt, PutAgain, RunOutcome
from service.domain.decisions.accept import fresh_until
from service.domain.decisions.events import tell
from service.domain.due import planned_route, stepped
from service.domain.errors import BudgetExceeded, Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import MICROS_PER_SECOND, attempts_per_render_max
from service.domain.records import (
    Asset,
    AssetState,
    Attempt,
    AttemptState,
    Grade,
    Job,
    JobState,
    Origin,
    Render,
    RenderAsset,
    RenderState,
)
from service.domain.render import RENDER_FINAL, can_move, move, move_attempt
from service.domain.routing import PlannedRoute
from service.domain.totals import LATENCY_BOUNDS_SECONDS, TotalsDelta
from service.domain.view import worth
from service.domain.world import World

PERHAPS_CHARGED = frozenset({AttemptState.DISPATCHING, AttemptState.UNKNOWN, AttemptState.ACCEPTED})
"""Evidence may still come: their holds are settled by it, or posted as unconfirmed, and never given back on somebody's word."""

UNCONFIRMED = Failure(
    Reason.DISPATCH_UNCONFIRMED,
    "the provider did not say whether it accepted the request; it may have been drawn and billed",
    Fault.PROVIDER,
    RetryAdvice.MAY_PAY_AGAIN,
)


def perhaps_drawn(attempt: Attempt) -> bool:
    """Whether its picture exists or may yet be drawn, as far as the rows say."""
    return attempt.state in PERHAPS_CHARGED or attempt.state is AttemptState.SUCCEEDED


def end_job(
    world: World, job: Job, state: JobState, *, failure: Failure | None = None, images: int = 0
) -> Job:
    """Make a job final: its last version, its avoided cost, its place in the totals."""
    render = world.renders.get(job.render_id)
    attempts = world.attempts_of(job.render_id)
    winning = attempts[-1] if attempts else None
    avoided = None
    if job.origin is Origin.SHARED:
        avoided = worth((winning,)) if winning and state is JobState.SUCCEEDED else 0
    ended = world.put_job(
        replace(
            job,
            state=state,
            # Greater than the sum that was visible while the job waited.
            version=job.version + (render.version if render else 0) + 1,
            final_at=world.now,
            failure=failure,
            avoided_nanos=avoided,
        )
    )
    micros = max(0, world.now - job.accepted_at)
    delta = TotalsDelta(
        jobs=1,
        images=images,
        avoided_nanos=avoided or 0,
        latency_micros=micros,
        buckets={latency_bucket(micros): 1},
    )
    ledger.count_job(world, ended, winning, delta)
    return ended


def latency_bucket(micros: int) -> int:
    """The index of the totals' bucket for a latency."""
    seconds = micros / MICROS_PER_SECOND
    return next(
        (i for i, bound in enumerate(LATENCY_BOUNDS_SECONDS) if seconds <= bound), len(LATENCY_BOUNDS_SECONDS)
    )


def end_render(
    world: World, render: Render, state: RenderState, *, failure: Failure | None = None, images: int = 0
) -> Render:
    """Make a render final and with it every job that waits for it."""
    waiting = world.waiting_jobs(render.id)
    ended = world.put_render(move(render, state, joinable=False, finished_at=world.now))
    job_state = {
        RenderState.SUCCEEDED: JobState.SUCCEEDED,
        RenderState.FAILED: JobState.FAILED,
        RenderState.CANCELLED: JobState.CANCELLED,
    }[state]
    for job in waiting:
        end_job(world, job, job_state, failure=failure, images=images)
    return ended


def own(world: World, command: Fenced) -> tuple[Render, Attempt] | None:
    """The render and the attempt when the command comes from the render's owner, also when the render has ended."""
    render = world.renders.get(command.render_id)
    attempt = world.attempts.get(command.attempt_id)
    if render is None or attempt is None or attempt.render_id != render.id:
        return None
    return (render, attempt) if (render.owner, render.fence) == (command.owner, command.fence) else None


def finish(world: World, command: Finish) -> RunOutcome | PutAgain:
    """The pictures are stored: everybody who waits has them."""
    found = own(world, command)
    if found is None:
        return RunOutcome.LOST
    render, _ = found
    if render.state is RenderState.SUCCEEDED:
        return RunOutcome.DONE
    if render.state in RENDER_FINAL:
        return RunOutcome.LOST
    again = not_promised(world, command.assets, command.put_again)
    if again:
        return PutAgain(again)
    put_pictures(world, render.id, command.assets)
    kept = fresh_until(render, world.now) if command.keep and not command.partial else None
    render = replace(
        render, fresh_until=kept, partial=command.partial, notices=command.notices, progress=command.phases
    )
    end_render(world, render, RenderState.SUCCEEDED, images=len(command.assets))
    return RunOutcome.DONE


def not_promised(
    world: World, assets: tuple[tuple[int, Asset, bool], ...], put_again: frozenset[str]
) -> tuple[str, ...]:
    """Pictures that are about to be deleted, or were: they have to be put once more before anybody is promised them."""
    return tuple(
        asset.sha256
        for _, asset, _ in assets
        if (row := world.assets.get(asset.sha256)) is not None
        and row.state is not AssetState.PRESENT
        and asset.sha256 not in put_again
    )


def put_pictures(world: World, render_id: str, assets: tuple[tuple[int, Asset, bool], ...]) -> None:
    """Give a render its stored pictures."""
    for position, asset, flagged in assets:
        world.assets.put(asset.sha256, replace(asset, state=AssetState.PRESENT, seen_at=world.now))
        world.put_render_asset(RenderAsset(render_id, position, asset.sha256, flagged))


def fail(world: World, command: Fail) -> NextAttempt | RunOutcome:
    """The attempt gave no picture: take the next route if that cannot pay twice and somebody can pay, else end."""
    found = own(world, command)
    if found is None:
        return RunOutcome.LOST
    render, attempt = found
    known = world.attempts.get(command.next_attempt_id)
    if known is not None:
        return NextAttempt(render, known)
    if render.state in RENDER_FINAL:
        return RunOutcome.LOST if render.state is RenderState.SUCCEEDED else RunOutcome.DONE
    if attempt.state in PERHAPS_CHARGED or attempt.number != world.attempts_of(render.id)[-1].number:
        return RunOutcome.LOST
    assert command.failure is not None, "Fail says why"
    failure = command.failure
    if attempt.state is AttemptState.HELD:
        attempt = world.put_attempt(
            move_attempt(attempt, AttemptState.CANCELLED, ended_at=world.now, failure=failure, unbilled=True)
        )
    freed = ledger.void(world, attempt, failure.reason.value) if attempt.hold_open else {}
    route = _next_route(world, render, attempt, command)
    if route is not None:
        following = _next_attempt(world, render, attempt, route, command, freed)
        if isinstance(following, NextAttempt):
            return following
        failure = following or failure
    if any(perhaps_drawn(one) for one in world.attempts_of(render.id) if one.id != attempt.id):
        # An earlier attempt was accepted after all, or succeeded: asking again may be a second charge.
        failure = replace(failure, retry_advice=RetryAdvice.MAY_PAY_AGAIN)
    end_failed(world, render, failure)
    return RunOutcome.DONE


def end_failed(world: World, render: Render, failure: Failure) -> Render:
    """End a render that has no picture: CANCELLED where that was asked for, else FAILED."""
    cancelled = render.cancel_requested_at is not None and can_move(render, RenderState.CANCELLED)
    state = RenderState.CANCELLED if cancelled else RenderState.FAILED
    return end_render(world, render, state, failure=failure)


def _next_route(world: World, render: Render, attempt: Attempt, command: Fail) -> PlannedRoute | None:
    attempts = world.attempts_of(render.id)
    settled_free = attempt.settled_nanos == 0 and attempt.grade.rank >= Grade.BILLED_UNITS.rank
    free = (attempt.unbilled or settled_free) and not any(one.total_nanos for one in attempts)
    doubtful = any(one.state in PERHAPS_CHARGED for one in attempts)
    if not free or doubtful or render.cancel_requested_at is not None:
        return None
    if len(attempts) >= attempts_per_render_max:
        return None
    if command.again and attempt.state is AttemptState.REJECTED:
        return planned_route(render, attempt)
    if not command.failover:
        return None
    tried = {(a.provider, a.route, a.endpoint) for a in attempts}
    planned = (PlannedRoute.from_dict(data) for data in json.loads(render.plan)["routes"])
    return next((r for r in planned if (r.provider, r.route, r.endpoint) not in tried), None)


def _next_attempt(
    world: World,
    render: Render,
    attempt: Attempt,
    route: PlannedRoute,
    command: Fail,
    freed: dict[tuple[str, int], int],
) -> NextAttempt | Failure | None:
    """The next attempt, paid by the oldest waiting job that may; else the failure that this makes of it."""
    assert command.failure is not None, "Fail says why"
    failure = command.failure
    spent = sum(a.total_nanos for a in world.attempts_of(render.id))
    refused: BudgetExceeded | None = None
    for job in world.waiting_jobs(render.id):
        if job.deadline_at is not None and job.deadline_at <= world.now:
            continue
        if job.max_cost_nanos is not None and spent + route.ceiling_nanos > job.max_cost_nanos:
            continue
        following = ledger.new_attempt(
            world, command.next_attempt_id, command.next_token, render.id, attempt.number + 1, job, route
        )
        try:
            held = ledger.take_hold(world, following, job.labels, freed)
        except BudgetExceeded as error:
            refused = error
            continue
        _pay(world, render.id, job)
        # A job shows which attempt it waits for, so another one is another version even where the state stays.
        pending = replace(render, state=RenderState.PENDING, version=render.version + 1, progress="{}")
        assert render.state is RenderState.PENDING or can_move(render, RenderState.PENDING), "it can go on"
        pending = world.put_render(stepped(pending, held))
        cause = (
            f"{failure.reason.value} at {attempt.provider}/{attempt.route}; next {held.provider}/{held.route}"
        )
        tell(world, pending, held.number, "FAILED_OVER", cause)
        return NextAttempt(pending, held)
    if refused is None:
        return None
    return Failure(
        Reason.BUDGET_EXCEEDED, refused.text, Fault.CALLER, RetryAdvice.FREE, metadata=refused.metadata
    )


def _pay(world: World, render_id: str, payer: Job) -> None:
    """Let the origins say who pays from now on: the job that holds is PROVIDER, the others share what it pays for."""
    for job in world.waiting_jobs(render_id):
        origin = Origin.PROVIDER if job.id == payer.id else Origin.SHARED
        if job.origin is not origin:
            world.put_job(replace(job, origin=origin))


def may_hold(world: World, command: Fail) -> tuple[tuple[str, ledger.Labels], ...]:
    """Whoever waits may have to pay the next attempt."""
    return tuple({(job.project, job.labels): None for job in world.waiting_jobs(command.render_id)})
