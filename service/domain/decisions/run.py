"""The owner's steps towards a result. Fenced: only the owner of the render, with its current fencing number, may."""

from __future__ import annotations

from dataclasses import replace

from service.domain.commands import (
    Dispatch,
    Fenced,
    Heartbeat,
    MarkUnknown,
    Progress,
    RunOutcome,
    Send,
    TakeOver,
)
from service.domain.decisions.end import UNCONFIRMED, end_render, perhaps_drawn
from service.domain.decisions.events import tell
from service.domain.due import stepped
from service.domain.ledger import void
from service.domain.limits import MICROS_PER_SECOND, lease_seconds, overdue_grace_seconds, send_window_seconds
from service.domain.records import Attempt, AttemptState, Render, RenderState, Replica
from service.domain.render import RENDER_FINAL, can_move, move, move_attempt
from service.domain.world import World


def fenced(world: World, command: Fenced) -> tuple[Render, Attempt] | None:
    """The render and the attempt when the command may act on them; None when it lost them."""
    render = world.renders.get(command.render_id)
    attempt = world.attempts.get(command.attempt_id)
    if render is None or attempt is None or attempt.render_id != render.id:
        return None
    if render.owner != command.owner or render.fence != command.fence or render.state in RENDER_FINAL:
        return None
    return render, attempt


def dispatch(world: World, command: Dispatch) -> Send | RunOutcome:
    """Mark the attempt as about to be sent. A second run of the same command answers the same Send; after the window has
    passed it opens another one, so that whoever takes over knows until when something may still be sent.
    """
    found = fenced(world, command)
    if found is None:
        return RunOutcome.LOST
    render, attempt = found
    send_before = world.now + int(send_window_seconds * MICROS_PER_SECOND)
    if attempt.state is AttemptState.DISPATCHING:
        if (attempt.seed_sent, attempt.input_digest) != (command.seed, command.input_digest):
            # Marked by another dispatch, whose request may be on its way.
            return RunOutcome.LOST
        if attempt.send_before is not None and attempt.send_before < world.now:
            # Nothing was sent until now: by the time of the POST it is looked for in the provider's list.
            attempt = world.put_attempt(
                replace(
                    attempt, send_before=send_before, dispatched_at=world.now, version=attempt.version + 1
                )
            )
            render = world.put_render(stepped(render, attempt))
        return Send(render, attempt)
    if attempt.state is not AttemptState.HELD:
        return RunOutcome.LOST
    if render.cancel_requested_at is not None:
        attempt = world.put_attempt(move_attempt(attempt, AttemptState.CANCELLED, ended_at=world.now))
        void(world, attempt, "cancelled before it was sent")
        end_render(world, render, RenderState.CANCELLED)
        return RunOutcome.CANCELLED
    if any(perhaps_drawn(one) for one in world.attempts_of(render.id)):
        # An earlier attempt turned out to be accepted after this one was prepared: sending would draw the picture twice.
        attempt = world.put_attempt(
            move_attempt(attempt, AttemptState.CANCELLED, ended_at=world.now, failure=UNCONFIRMED)
        )
        void(world, attempt, "an earlier attempt was accepted after all")
        end_render(world, render, RenderState.FAILED, failure=UNCONFIRMED)
        return RunOutcome.CANCELLED
    attempt = world.put_attempt(
        move_attempt(
            attempt,
            AttemptState.DISPATCHING,
            send_before=send_before,
            dispatched_at=world.now,
            seed_sent=command.seed,
            input_digest=command.input_digest,
        )
    )
    render = world.put_render(stepped(move(render, RenderState.DISPATCHING), attempt))
    return Send(render, attempt)


def mark_unknown(world: World, command: MarkUnknown) -> RunOutcome:
    """The POST ended and nobody knows whether it was accepted."""
    found = fenced(world, command)
    if found is None:
        return RunOutcome.LOST
    render, attempt = found
    if attempt.state is AttemptState.DISPATCHING:
        attempt = world.put_attempt(move_attempt(attempt, AttemptState.UNKNOWN))
        render = world.put_render(stepped(replace(render, version=render.version + 1), attempt))
        tell(world, render, attempt.number, "UNKNOWN", command.cause)
    return RunOutcome.DONE


def progress(world: World, command: Progress) -> RunOutcome:
    """Show a step at the provider; late or impossible steps are dropped."""
    found = fenced(world, command)
    if found is None:
        return RunOutcome.LOST
    render, attempt = found
    state = RenderState(command.state)
    moves = state is render.state or can_move(render, state)
    if attempt.state is not AttemptState.ACCEPTED or not moves or render.state is RenderState.STORING:
        return RunOutcome.DONE
    if state is not render.state or command.progress != render.progress:
        world.put_render(replace(render, state=state, version=render.version + 1, progress=command.progress))
    return RunOutcome.DONE


def heartbeat(world: World, command: Heartbeat) -> int:
    """Extend this replica's lease, or end it now; a new replica gets the smallest ordinal that no living one has.

    A replica keeps its ordinal, unless nobody has 0 any more: then whoever beats first takes it, since 0 is who leads.
    """
    lease_until = world.now + (0 if command.leaving else int(lease_seconds * MICROS_PER_SECOND))
    known = world.replicas.get(command.replica_id)
    others = {
        r.ordinal for r in world.replicas.values() if r.id != command.replica_id and r.lease_until > world.now
    }
    if known is not None and known.ordinal not in others and (known.ordinal == 0 or 0 in others):
        ordinal = known.ordinal
    else:
        ordinal = next(n for n in range(len(others) + 1) if n not in others)
    world.replicas.put(command.replica_id, Replica(command.replica_id, ordinal, lease_until))
    return ordinal


def take_over(world: World, command: TakeOver) -> tuple[str, ...]:
    """Give renders on which nobody alive works to this replica; the new fencing number stops whoever wakes up late.

    One of a living owner is taken when its next step is overdue; it is left alone by others for a while then. What an earlier
    run of the same command took is answered again.
    """
    living = {r.id for r in world.replicas.values() if r.lease_until > world.now} - {command.owner}
    payers = []
    for render_id, seen in command.renders:
        render = world.renders.get(render_id)
        if render is None or render.state in RENDER_FINAL:
            continue
        taken = render.owner == command.owner and render.fence == seen + 1
        overdue = render.next_step_at <= world.now
        if not taken and (render.fence != seen or (render.owner in living and not overdue)):
            continue
        if not taken:
            _take(world, render, command.owner, overdue=overdue)
        payers.append(world.attempts_of(render.id)[-1].payer_job)
    return tuple(payers)


def _take(world: World, render: Render, owner: str, *, overdue: bool) -> None:
    left_alone = world.now + int(overdue_grace_seconds * MICROS_PER_SECOND)
    next_step_at = max(render.next_step_at, left_alone) if overdue else render.next_step_at
    taken = replace(render, owner=owner, fence=render.fence + 1, next_step_at=next_step_at)
    world.put_render(taken)
    if render.owner != owner:
        cause = "its next step was overdue" if overdue else "its owner had stopped"
        tell(world, taken, 0, "TAKEN_OVER", f"from {render.owner}: {cause}")
