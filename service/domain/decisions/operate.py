"""What operators decide, and what they are told of prices. Each has its line in the audit, whose id the command brings: a
second run changes nothing.
"""

from __future__ import annotations

import json
from typing import Any

from service.domain import ledger
from service.domain.commands import BindProviderId, ResolveByHand, SetSwitch, TellPrice
from service.domain.decisions.end import UNCONFIRMED, end_failed
from service.domain.decisions.events import tell
from service.domain.decisions.evidence import bind_provider_id, never_accepted
from service.domain.decisions.resolve import ABSENT, may_be_judged
from service.domain.errors import EtagMismatch, FieldInvalid, JobNotFound
from service.domain.money import usd_text
from service.domain.oversight import AuditEvent, Switch, SwitchState
from service.domain.records import Attempt, AttemptState, Grade, Render
from service.domain.render import RENDER_FINAL, fenced_out, move_attempt
from service.domain.world import World


def set_switch(world: World, command: SetSwitch) -> Switch:
    """Keep the position that was chosen. A second run answers the switch as it was set by the first."""
    key = (command.scope, command.target)
    written = world.audit_known.get(command.event_id)
    switch = Switch(
        scope=command.scope,
        target=command.target,
        state=command.state,
        expires_at=command.expires_at,
        reason=command.reason,
        set_by=command.by,
        set_at=world.now if written is None else written.at,
        event_id=command.event_id,
    )
    if written is not None:
        return switch
    known = world.switches.get(key)
    world.switches.put(key, switch)
    details = {
        "scope": command.scope.value,
        "state": command.state.value,
        "before": (known.state if known else SwitchState.ON).value,
        "expires_at": command.expires_at,
    }
    _audit(world, command, "switch.set", switch.name, details)
    return switch


def tell_price(world: World, command: TellPrice) -> bool:
    """Write the news down once. False for what another command has written."""
    written = world.audit_known.get(command.event_id) or next(
        (one for one in world.audit.entries if one.id == command.event_id), None
    )
    if written is None:
        _write(world, command, command.action, command.target, command.details)
    return written is None or written.details == command.details


def resolve_by_hand(world: World, command: ResolveByHand) -> Attempt:
    """End the doubt about an attempt by what an operator found out at the provider."""
    attempt = world.attempts.get(command.attempt_id)
    render = world.renders.get(attempt.render_id) if attempt is not None else None
    if attempt is None or render is None:
        raise JobNotFound("no such attempt")
    if command.event_id in world.audit_known:
        return attempt
    _check(world, command, render, attempt)
    details: dict[str, Any] = {"render": render.id, "before": attempt.state.value}
    if command.adopt_provider_id is not None:
        details |= {"adopt_provider_id": command.adopt_provider_id}
        found = f"adopted as {command.adopt_provider_id}"
        adopted = BindProviderId(attempt.id, attempt.provider, command.adopt_provider_id, source="OPERATOR")
        bind_provider_id(world, adopted)
    elif command.not_accepted:
        details |= {"not_accepted": True}
        found = "not accepted"
        never_accepted(world, attempt, ABSENT, "not accepted, by an operator")
    else:
        assert command.amount_nanos is not None, "one of the three was checked"
        details |= {"amount_nanos": command.amount_nanos}
        found = f"settled at {usd_text(command.amount_nanos)}"
        _settle(world, render, attempt, command.amount_nanos)
    tell(world, render, attempt.number, "RESOLVED_BY_HAND", f"{found}, by {command.by}: {command.reason}")
    _audit(world, command, "attempt.resolve", attempt.id, details)
    return world.attempts.get(attempt.id) or attempt


def _check(world: World, command: ResolveByHand, render: Render, attempt: Attempt) -> None:
    chosen = (
        command.adopt_provider_id is not None,
        command.not_accepted,
        command.amount_nanos is not None,
    )
    if sum(chosen) != 1 or (command.amount_nanos or 0) < 0:
        raise FieldInvalid.of("decision", "exactly one, and no negative amount")
    if command.version is not None and command.version != attempt.version:
        raise EtagMismatch("the attempt was changed by somebody else")
    judged = may_be_judged(world, attempt)
    unsure = attempt.state is AttemptState.UNKNOWN or (attempt.state is AttemptState.DISPATCHING and judged)
    if not unsure or render.state in RENDER_FINAL:
        raise EtagMismatch("the attempt is not in doubt any more", metadata={"state": attempt.state.value})
    if command.adopt_provider_id is None and not judged:
        raise EtagMismatch("the request may still be on its way; wait a minute", retry_after_seconds=60.0)
    if command.adopt_provider_id is not None:
        bound = world.provider_ids.get((attempt.provider, command.adopt_provider_id))
        if bound is not None and bound.attempt_id != attempt.id:
            raise FieldInvalid.of("adopt_provider_request_id", "belongs to another attempt")


def _settle(world: World, render: Render, attempt: Attempt, amount_nanos: int) -> None:
    attempt = world.put_attempt(
        move_attempt(attempt, AttemptState.FAILED, ended_at=world.now, failure=UNCONFIRMED)
    )
    ledger.settle(world, attempt, amount_nanos, Grade.BILLING_EVENT, memo="settled by an operator")
    end_failed(world, world.put_render(fenced_out(render)), UNCONFIRMED)


def _audit(
    world: World, command: SetSwitch | ResolveByHand, action: str, target: str, details: dict[str, Any]
) -> None:
    _write(world, command, action, target, json.dumps(details))


def _write(
    world: World, command: SetSwitch | ResolveByHand | TellPrice, action: str, target: str, details: str
) -> None:
    event = AuditEvent(
        id=command.event_id,
        at=world.now,
        actor=command.by,
        action=action,
        target=target,
        reason=command.reason,
        details=details,
    )
    world.audit.add(event)
