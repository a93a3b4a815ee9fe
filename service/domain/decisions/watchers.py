"""What ends a single job from the caller's side: a cancel, a deadline. Never the attempt, never the books."""

from __future__ import annotations

import json
from dataclasses import replace

from service.domain import ledger
from service.domain.commands import Cancel, Cancelled, CancelOutcome, ExpireJobs
from service.domain.decisions.end import end_job, end_render
from service.domain.decisions.events import tell
from service.domain.errors import JobNotFound, Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.records import AttemptState, Job, JobState, Render, RenderState
from service.domain.render import move_attempt
from service.domain.routing import PlannedRoute
from service.domain.world import World

_TIMED_OUT = Failure(
    Reason.JOB_TIMED_OUT,
    "the job's own time limit passed; the picture may still be drawn and cached",
    Fault.CALLER,
    RetryAdvice.FREE,
)


def cancel(world: World, command: Cancel) -> Cancelled:
    """End the job at once. The render stops only when nobody else waits and stopping saves money.

    A second run finds the job final and says so: a cancel names nothing by which it could be told from another one.
    """
    job = world.jobs.get(command.job_id)
    if job is None or (command.project is not None and job.project != command.project):
        raise JobNotFound("no such job")
    if job.is_final:
        return Cancelled(CancelOutcome.ALREADY_FINAL, world.view(job))
    render = world.renders.get(job.render_id)
    assert render is not None, "a job that is not final has its render"
    if any(other.id != job.id for other in world.waiting_jobs(render.id)):
        outcome = CancelOutcome.DETACHED
    else:
        outcome = _stop(world, render)
    job = world.jobs.get(job.id) or job
    if not job.is_final:
        job = end_job(world, job, JobState.CANCELLED)
    return Cancelled(outcome, world.view(job))


def _stop(world: World, render: Render) -> CancelOutcome:
    """Stop a render that nobody waits for any more, as far as that saves money."""
    attempts = world.attempts_of(render.id)
    last = attempts[-1]
    if last.state is AttemptState.HELD:
        ended = world.put_attempt(move_attempt(last, AttemptState.CANCELLED, ended_at=world.now))
        ledger.void(world, ended, "cancelled before it was sent")
        end_render(world, render, RenderState.CANCELLED)
        return CancelOutcome.NOT_SENT
    queues = render.state in (RenderState.DISPATCHING, RenderState.QUEUED)
    if queues or (render.state is RenderState.RUNNING and _time_priced(render, last.route)):
        render = world.put_render(
            replace(render, joinable=False, cancel_requested_at=world.now, version=render.version + 1)
        )
        tell(world, render, last.number, "CANCEL_ASKED", "nobody waits for it any more")
        return CancelOutcome.PROVIDER_ASKED
    return CancelOutcome.DETACHED


def _time_priced(render: Render, route: str) -> bool:
    planned = (PlannedRoute.from_dict(data) for data in json.loads(render.plan)["routes"])
    return any(one.route == route and one.time_priced for one in planned)


def expire_jobs(world: World, command: ExpireJobs) -> tuple[Job, ...]:
    """Fail the jobs whose deadline has passed. The render goes on."""
    ended = []
    for job_id in command.job_ids:
        job = world.jobs.get(job_id)
        if job is None or job.is_final or job.deadline_at is None or job.deadline_at > world.now:
            continue
        ended.append(end_job(world, job, JobState.FAILED, failure=_TIMED_OUT))
    return tuple(ended)
