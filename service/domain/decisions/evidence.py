"""What a provider, or our own sender, once told about an attempt. Accepted from anyone, in any state, any number of times."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from service.domain import ledger
from service.domain.commands import BindProviderId, Bound, NotSent, RecordResult, Reject
from service.domain.decisions.events import tell
from service.domain.due import planned_route, stepped
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.price import PriceSnapshot, UsageEvidence
from service.domain.records import Attempt, AttemptState, Grade, ProviderId, Render, RenderState
from service.domain.render import ATTEMPT_MOVES, RENDER_FINAL, can_move, move, move_attempt
from service.domain.world import World

NEVER_SENT = Failure(
    Reason.ROUTES_UNAVAILABLE, "the request was never sent to the provider", Fault.SERVICE, RetryAdvice.FREE
)

_PERHAPS_ACCEPTED = frozenset({AttemptState.DISPATCHING, AttemptState.UNKNOWN, AttemptState.REJECTED})
"""States in which an id of the provider is news: it has the request."""

_JUDGED = frozenset({AttemptState.REJECTED, AttemptState.FAILED, AttemptState.CANCELLED})
"""States in which it was believed to have ended."""

_ENDS = {
    "SUCCEEDED": AttemptState.SUCCEEDED,
    "FAILED": AttemptState.FAILED,
    "CANCELLED": AttemptState.CANCELLED,
    "ABORTED": AttemptState.CANCELLED,
}


def _rows(world: World, attempt_id: str) -> tuple[Render, Attempt]:
    attempt = world.attempts.get(attempt_id)
    render = world.renders.get(attempt.render_id) if attempt else None
    assert attempt is not None, "evidence names an attempt that we made"
    assert render is not None, "an attempt has its render"
    return render, attempt


def not_sent(world: World, command: NotSent) -> Attempt:
    """Nothing was sent. The attempt may be dispatched again as long as nobody doubted it; afterwards it is REJECTED, and what
    was charged in doubt is taken back. No news about a marker that somebody else set since.
    """
    render, attempt = _rows(world, command.attempt_id)
    if attempt.send_before != command.send_before:
        return attempt
    if attempt.state is not AttemptState.DISPATCHING:
        ended = never_accepted(world, attempt, NEVER_SENT, "never sent")
        if ended is not attempt:
            tell(world, render, attempt.number, "NOT_SENT", f"was {attempt.state.value}, and never sent")
        return ended
    attempt = world.put_attempt(
        move_attempt(attempt, AttemptState.HELD, send_before=None, dispatched_at=None)
    )
    if render.state is RenderState.DISPATCHING:
        world.put_render(stepped(move(render, RenderState.PENDING), attempt))
    return attempt


def reject(world: World, command: Reject) -> Attempt:
    """Surely not accepted. The hold is given back by whoever continues or ends the render, together with the next hold.

    Heard after the attempt was given up as unconfirmed, it takes the charge back; after the provider's id it is no news.
    """
    _, attempt = _rows(world, command.attempt_id)
    return never_accepted(world, attempt, command.failure, "refused")


def never_accepted(world: World, attempt: Attempt, failure: Failure, memo: str) -> Attempt:
    """The attempt never reached its provider's queue: it costs nothing. No news once the provider has named an id, or nothing
    was ever sent.
    """
    if attempt.provider_id is not None:
        return attempt
    if attempt.grade is Grade.UNCONFIRMED and attempt.result is None:
        return ledger.settle(world, attempt, 0, Grade.BILLED_UNITS, memo=memo)
    if attempt.state not in (AttemptState.DISPATCHING, AttemptState.UNKNOWN):
        return attempt
    doubted = attempt.state is AttemptState.UNKNOWN
    attempt = world.put_attempt(
        move_attempt(attempt, AttemptState.REJECTED, ended_at=world.now, failure=failure, unbilled=True)
    )
    render, _ = _rows(world, attempt.id)
    if render.state in RENDER_FINAL:
        ledger.void(world, attempt, memo)
    else:
        # A job shows that it is being confirmed: that ends now.
        world.put_render(stepped(replace(render, version=render.version + doubted), attempt))
    return world.attempts.get(attempt.id) or attempt


def bind_provider_id(world: World, command: BindProviderId) -> Bound:
    """Keep the provider's id. The first one is canonical; a different one becomes an alias; the same one changes nothing."""
    render, attempt = _rows(world, command.attempt_id)
    bound = world.provider_ids.get((command.provider, command.provider_id))
    if bound is None or bound.attempt_id == attempt.id:
        for provider_id in (command.provider_id, *command.aliases):
            key = (command.provider, provider_id)
            if world.provider_ids.get(key) is None:
                canonical = attempt.provider_id is None and provider_id == command.provider_id
                world.provider_ids.put(
                    key, ProviderId(command.provider, provider_id, attempt.id, command.source, canonical)
                )
        if attempt.provider_id is None:
            render, attempt = _found(world, render, attempt, command)
    # An id that belongs to another attempt changes nothing: following it here would deliver somebody else's picture.
    return Bound(render, attempt, world.attempts_of(render.id)[-1])


def _found(world: World, render: Render, attempt: Attempt, command: BindProviderId) -> tuple[Render, Attempt]:
    """The provider has the attempt: whatever was believed of it before."""
    was = attempt
    refuted = attempt.settled_nanos == 0 and attempt.grade is Grade.BILLED_UNITS and attempt.result is None
    attempt = replace(
        attempt,
        provider_id=command.provider_id,
        accepted_at=world.now,
        # That it cost nothing was said because it was never accepted; any word of the provider is better than that.
        grade=Grade.NONE if refuted else attempt.grade,
        version=attempt.version + 1,
    )
    if attempt.state in _PERHAPS_ACCEPTED:
        attempt = replace(
            move_attempt(attempt, AttemptState.ACCEPTED), ended_at=None, failure=None, unbilled=False
        )
    attempt = world.put_attempt(attempt)
    newest = world.attempts_of(render.id)[-1]
    current = newest.id == attempt.id and attempt.state is AttemptState.ACCEPTED
    if current and render.state is RenderState.DISPATCHING:
        progress = {} if command.queue_position is None else {"queue_position": command.queue_position}
        moved = move(render, RenderState.QUEUED, progress=json.dumps(progress))
        render = world.put_render(stepped(moved, attempt))
    if command.source != "POST" or was.state in _JUDGED:
        cause = f"by {command.source}, was {was.state.value}: {command.provider_id}"
        tell(world, render, attempt.number, "FOUND", cause)
    if newest.id != attempt.id and newest.dispatched_at is not None:
        tell(world, render, attempt.number, "DOUBLE_DISPATCH", f"attempt {newest.number} was sent meanwhile")
    return render, attempt


def record_result(world: World, command: RecordResult) -> Attempt:
    """The end at the provider. Settles the money at once; a later and better word becomes a correction."""
    render, attempt = _rows(world, command.attempt_id)
    state = _ENDS[command.ended]
    if state is not attempt.state and state in ATTEMPT_MOVES[attempt.state]:
        expires = command.result_expires_in_micros
        attempt = world.put_attempt(
            move_attempt(
                attempt,
                state,
                ended_at=world.now,
                result=command.result,
                result_expires_at=None if expires is None else world.now + expires,
                failure=command.failure,
                queue_seconds=command.queue_seconds,
                run_seconds=command.run_seconds,
            )
        )
        newest = attempt.number == world.attempts_of(render.id)[-1].number
        if state is AttemptState.SUCCEEDED and newest and can_move(render, RenderState.STORING):
            render = world.put_render(stepped(move(render, RenderState.STORING, progress="{}"), attempt))
        elif newest and render.state not in RENDER_FINAL:
            render = world.put_render(stepped(render, attempt))
    elif state is not attempt.state:
        return attempt
    amount, grade, units = charge(render, attempt, command)
    unbilled = amount == 0 and command.surely_unbilled
    if unbilled and attempt.hold_open and attempt.state is not AttemptState.SUCCEEDED:
        if render.state not in RENDER_FINAL:
            news = not attempt.unbilled
            return (
                world.put_attempt(replace(attempt, unbilled=True, version=attempt.version + 1))
                if news
                else attempt
            )
        ledger.void(world, attempt, "unbilled")
        return world.attempts.get(attempt.id) or attempt
    return ledger.settle(world, attempt, amount, grade, units=units)


def charge(render: Render, attempt: Attempt, command: RecordResult) -> tuple[int, Grade, str]:
    """What the evidence comes to: nano-USD, how good it is, and the units in words."""
    if command.surely_unbilled:
        return 0, Grade.BILLED_UNITS, "unbilled"
    price = PriceSnapshot.from_json(attempt.price)
    if command.charge_ceiling or not price.is_known:
        return attempt.hold_nanos, Grade.UNCONFIRMED, ""
    units = command.billable_units
    evidence = UsageEvidence(
        billable_units=None if units is None else Decimal(units),
        metrics={name: Decimal(value) for name, value in command.metrics},
        images_count=command.images_count or None,
    )
    charged = price.settle(evidence)
    if charged is not None:
        return charged.nanos, Grade.BILLED_UNITS if charged.billed else Grade.ESTIMATE, charged.units
    if command.ended == "SUCCEEDED":
        return _expected(render, attempt), Grade.ESTIMATE, ""
    return attempt.hold_nanos, Grade.UNCONFIRMED, ""


def _expected(render: Render, attempt: Attempt) -> int:
    """The estimate that stands in for missing evidence."""
    route = planned_route(render, attempt)
    return attempt.hold_nanos if route is None else route.expected_nanos
