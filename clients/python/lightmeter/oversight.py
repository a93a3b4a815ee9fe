"""What operators look at as values: attempts, switches, the audit. Every value keeps its message in `.proto`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict

from lightmeter import wire
from lightmeter.money import Money
from lightmeter.v1 import money_pb2
from lightmeter.v1 import operator_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Attempt:
    """One dispatch of a render to one route. `settled` is None while nothing is posted or voided."""

    attempt_id: str
    job_id: str
    attempt_number: int
    project: str
    model: str
    provider: str
    route: str
    state: str
    provider_request_ids: tuple[str, ...]
    settlement: str
    evidence: str
    held: Money
    settled: Money | None
    dispatch_time: datetime | None
    resolve_deadline_time: datetime | None
    finish_time: datetime | None
    detail: str
    etag: str
    proto: pb.Attempt = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.Attempt) -> Attempt:
        """Reads a message."""
        ids = (message.route.provider_request_id, *message.other_provider_request_ids)
        return cls(
            attempt_id=message.attempt_id,
            job_id=message.job_id,
            attempt_number=message.attempt_number,
            project=message.project,
            model=message.model,
            provider=message.route.provider,
            route=message.route.route,
            state=wire.word(pb.AttemptState, message.state),
            provider_request_ids=tuple(one for one in ids if one),
            settlement=wire.word(money_pb2.Settlement, message.settlement),
            evidence=wire.word(money_pb2.Evidence, message.evidence),
            held=Money.from_proto(message.held),
            settled=wire.money(message, "settled"),
            dispatch_time=wire.time(message, "dispatch_time"),
            resolve_deadline_time=wire.time(message, "resolve_deadline_time"),
            finish_time=wire.time(message, "finish_time"),
            detail=message.detail,
            etag=message.etag,
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class Switch:
    """What an operator took out of use. `scope` is written `provider:fal`, `route:fal/flux-dev`, `project:growth` or
    `dispatch`; `state` is ON, DRAIN or OFF.
    """

    scope: str
    state: str
    expire_time: datetime | None
    reason: str
    setter: str
    set_time: datetime | None
    proto: pb.Switch = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.Switch) -> Switch:
        """Reads a message."""
        return cls(
            scope=_scope_text(message),
            state=wire.word(pb.SwitchState, message.state),
            expire_time=wire.time(message, "expire_time"),
            reason=message.reason,
            setter=message.setter,
            set_time=wire.time(message, "set_time"),
            proto=message,
        )


def _scope_text(message: pb.Switch) -> str:
    match message.WhichOneof("scope"):
        case "provider":
            return f"provider:{message.provider}"
        case "route":
            return f"route:{message.route.provider}/{message.route.route}"
        case "project":
            return f"project:{message.project}"
        case "dispatch":
            return "dispatch"
        case _:
            return ""


def put_scope(message: pb.Switch, text: str) -> None:
    """Writes a scope, as `Switch.scope` has it, into a message; a ValueError says how it is written."""
    kind, _, target = text.partition(":")
    if kind == "provider" and target:
        message.provider = target
    elif kind == "route" and "/" in target:
        message.route.provider, _, message.route.route = target.partition("/")
    elif kind == "project" and target:
        message.project = target
    elif text == "dispatch":
        message.dispatch.SetInParent()
    else:
        raise ValueError(
            f"scope {text!r} is not one of provider:NAME, route:PROVIDER/NAME, project:NAME, dispatch"
        )


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One change that was made outside the jobs."""

    event_id: str
    time: datetime | None
    actor: str
    action: str
    target: str
    reason: str
    details: Mapping[str, Any]
    proto: pb.AuditEvent = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.AuditEvent) -> AuditEvent:
        """Reads a message."""
        return cls(
            event_id=message.event_id,
            time=wire.time(message, "event_time"),
            actor=message.actor,
            action=message.action,
            target=message.target,
            reason=message.reason,
            details=MessageToDict(message.details),
            proto=message,
        )
