"""From attempts, switches and audit events to the wire."""

from __future__ import annotations

import json
from typing import Any, Final

from lightmeter.v1 import operator_service_pb2 as pb

from service.domain.oversight import AuditEvent, Switch, SwitchScope
from service.domain.queries import OpenAttempt
from service.rpc import enums
from service.rpc.errors import cut
from service.rpc.instants import put_time
from service.rpc.money_out import money, settlement

DETAIL_BYTES_MAX: Final = 2_000
_INTEGER_EXACT_MAX: Final = 2**53
"""A Struct's numbers are doubles; greater integers go as text."""


def etag_of(version: int) -> str:
    """The etag of an attempt's version."""
    return str(version)


def attempt_message(shown: OpenAttempt, *, search_ends_at: int | None, cause: str) -> pb.Attempt:
    """`search_ends_at` in microseconds; `cause` is why it is UNKNOWN, where that is known."""
    attempt = shown.attempt
    message = pb.Attempt(
        attempt_id=attempt.id,
        job_id=attempt.payer_job,
        attempt_number=attempt.number,
        project=attempt.project,
        model=shown.render.model,
        state=enums.ATTEMPT_STATES[attempt.state],
        settlement=settlement(attempt),
        evidence=enums.EVIDENCES[attempt.grade],
        held=money(attempt.hold_nanos if attempt.hold_open else 0),
        detail=cut(_detail(shown, cause), DETAIL_BYTES_MAX),
        etag=etag_of(attempt.version),
    )
    message.route.provider, message.route.route = attempt.provider, attempt.route
    message.route.endpoint = attempt.endpoint
    canonical = attempt.provider_id or next(iter(shown.provider_ids), "")
    message.route.provider_request_id = canonical
    message.other_provider_request_ids.extend(one for one in shown.provider_ids if one != canonical)
    if not attempt.hold_open:
        message.settled.CopyFrom(money(attempt.total_nanos))
    if attempt.dispatched_at is not None:
        put_time(message.dispatch_time, attempt.dispatched_at)
    if search_ends_at is not None:
        put_time(message.resolve_deadline_time, search_ends_at)
    if attempt.ended_at is not None:
        put_time(message.finish_time, attempt.ended_at)
    return message


def _detail(shown: OpenAttempt, cause: str) -> str:
    failure = shown.attempt.failure
    if failure is None:
        return cause
    said = f" ({failure.provider_message})" if failure.provider_message else ""
    return f"{failure.message}{said}"


def switch_message(switch: Switch) -> pb.Switch:
    """A switch as it is now."""
    message = pb.Switch(state=enums.SWITCH_STATES[switch.state], reason=switch.reason, setter=switch.set_by)
    match switch.scope:
        case SwitchScope.PROVIDER:
            message.provider = switch.target
        case SwitchScope.ROUTE:
            message.route.provider, _, message.route.route = switch.target.partition("/")
        case SwitchScope.PROJECT:
            message.project = switch.target
        case SwitchScope.DISPATCH:
            message.dispatch.SetInParent()
    put_time(message.set_time, switch.set_at)
    if switch.expires_at is not None:
        put_time(message.expire_time, switch.expires_at)
    return message


def audit_message(event: AuditEvent) -> pb.AuditEvent:
    """One change that was made outside the jobs."""
    message = pb.AuditEvent(
        event_id=event.id,
        actor=event.actor,
        action=event.action,
        target=event.target,
        reason=event.reason,
    )
    put_time(message.event_time, event.at)
    details = json.loads(event.details or "{}")
    if details:
        message.details.update({str(key): _plain(one) for key, one in details.items()})
    return message


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _INTEGER_EXACT_MAX:
        return str(value)
    return value
