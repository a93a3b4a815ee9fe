"""From requests of the OperatorService to queries, switches and resolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lightmeter.v1 import ledger_service_pb2
from lightmeter.v1 import operator_service_pb2 as pb

from service.core.oversee import Resolution
from service.domain.errors import EtagMismatch, FieldInvalid, JobNotFound
from service.domain.limits import operator_amount_nanos_max, operator_reason_characters_max
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.queries import AttemptQuery, AuditQuery
from service.domain.records import AttemptState
from service.rpc import enums, syntax
from service.rpc.identity import Caller
from service.rpc.paging import Cursor
from service.rpc.syntax import Faults

NAME_CHARACTERS_MAX: Final = 200
PROVIDER_ID_CHARACTERS_MAX: Final = 128
_ATTEMPT_STATES: Final = enums.members(enums.ATTEMPT_STATES)
_SWITCH_STATES: Final = enums.members(enums.SWITCH_STATES)


def read_attempts(caller: Caller, request: pb.ListAttemptsRequest) -> tuple[AttemptQuery, Cursor]:
    """The query, for one row more than the page has, and the cursor. Raises FieldInvalid and PageTokenInvalid."""
    faults = Faults()
    states = faults.chosen("states", request.states, _ATTEMPT_STATES)
    faults.text("provider", request.provider, NAME_CHARACTERS_MAX)
    faults.text("route", request.route, NAME_CHARACTERS_MAX)
    syntax.project(faults, "project", request.project)
    if request.job_id and not syntax.printable(request.job_id):
        faults.add("job_id", "is no job's id")
    start, end = _range(faults, request.range)
    faults.refuse()
    cursor = Cursor(caller.project, request, request.page_size)
    query = AttemptQuery(
        limit=cursor.size + 1,
        after=cursor.after(request.page_token, (int, str)),
        states=tuple(one.value for one in states) or (AttemptState.UNKNOWN.value,),
        provider=request.provider or None,
        route=request.route or None,
        project=request.project or None,
        job_id=request.job_id or None,
        dispatched_from=start,
        dispatched_before=end,
    )
    return query, cursor


def read_audit(caller: Caller, request: pb.ListAuditEventsRequest) -> tuple[AuditQuery, Cursor]:
    """The same for the audit."""
    faults = Faults()
    for field in ("actor", "action", "target"):
        faults.text(field, getattr(request, field), NAME_CHARACTERS_MAX)
    start, end = _range(faults, request.range)
    faults.refuse()
    cursor = Cursor(caller.project, request, request.page_size)
    query = AuditQuery(
        limit=cursor.size + 1,
        after=cursor.after(request.page_token, (int, str)),
        at_from=start,
        at_before=end,
        actor=request.actor or None,
        action=request.action or None,
        target=request.target or None,
    )
    return query, cursor


def _range(faults: Faults, given: ledger_service_pb2.TimeRange) -> tuple[int | None, int | None]:
    start, end = (
        syntax.micros(faults, f"range.{name}", getattr(given, name)) if given.HasField(name) else None
        for name in ("start_time", "end_time")
    )
    if start is not None and end is not None and end <= start:
        faults.add("range.end_time", "must be later than the start")
    return start, end


def read_resolution(request: pb.ResolveAttemptRequest) -> Resolution:
    """What the operator found out. Raises FieldInvalid, JobNotFound and EtagMismatch."""
    faults = Faults()
    kind = request.WhichOneof("resolution")
    if not request.attempt_id:
        faults.add("attempt_id", "must not be empty", limit=1, actual=0)
    adopted, nanos = None, None
    if kind is None:
        faults.add(
            "resolution", "needs one of adopt_provider_request_id, declare_not_accepted, settle_amount"
        )
    elif kind == "adopt_provider_request_id":
        adopted = request.adopt_provider_request_id
        if not syntax.printable(adopted, PROVIDER_ID_CHARACTERS_MAX):
            faults.add(kind, f"must be 1 to {PROVIDER_ID_CHARACTERS_MAX} printable ASCII characters")
    elif kind == "settle_amount":
        nanos = syntax.dollars(faults, kind, request.settle_amount)
        if nanos > operator_amount_nanos_max:
            limit = operator_amount_nanos_max
            faults.add(f"{kind}.amount_nanos", f"must be at most {limit}", limit=limit, actual=nanos)
    reason = _reason(faults, "reason", request.reason)
    faults.refuse()
    if not syntax.printable(request.attempt_id):
        raise JobNotFound("there is no such attempt")
    return Resolution(
        attempt_id=request.attempt_id,
        reason=reason,
        version=_version(request.etag),
        adopt_provider_id=adopted,
        not_accepted=kind == "declare_not_accepted",
        amount_nanos=nanos,
    )


def _version(etag: str) -> int | None:
    if not etag:
        return None
    if not (etag.isascii() and etag.isdecimal() and len(etag) < 19):
        raise EtagMismatch("this is no etag of an attempt")
    return int(etag)


def _reason(faults: Faults, field: str, text: str) -> str:
    if not text.strip():
        faults.add(field, "must not be empty", limit=1, actual=0)
    return faults.text(field, text, operator_reason_characters_max)


@dataclass(frozen=True, slots=True)
class AskedSwitch:
    """A switch to set."""

    scope: SwitchScope
    target: str
    state: SwitchState
    expires_at: int | None
    reason: str


def read_switch(request: pb.SetSwitchRequest, now: int) -> AskedSwitch:
    """`now` is microseconds since 1970. Raises FieldInvalid."""
    if not request.HasField("switch"):
        raise FieldInvalid.of("switch", "is required")
    given = request.switch
    faults = Faults()
    scope, target = _scope(faults, given)
    state = faults.choice("switch.state", given.state, _SWITCH_STATES)
    if given.state == pb.SWITCH_STATE_UNSPECIFIED:
        faults.add("switch.state", "is required")
    expires_at = None
    if given.HasField("expire_time"):
        expires_at = syntax.micros(faults, "switch.expire_time", given.expire_time)
        if expires_at <= now:
            faults.add("switch.expire_time", "must be in the future")
    reason = _reason(faults, "switch.reason", given.reason)
    faults.refuse()
    assert scope is not None
    assert state is not None
    return AskedSwitch(scope, target, state, None if state is SwitchState.ON else expires_at, reason)


def _scope(faults: Faults, given: pb.Switch) -> tuple[SwitchScope | None, str]:
    kind = given.WhichOneof("scope")
    match kind:
        case "provider":
            return SwitchScope.PROVIDER, _name(faults, "switch.provider", given.provider)
        case "route":
            provider = _name(faults, "switch.route.provider", given.route.provider)
            return SwitchScope.ROUTE, f"{provider}/{_name(faults, 'switch.route.route', given.route.route)}"
        case "project":
            _name(faults, "switch.project", given.project)
            return SwitchScope.PROJECT, syntax.project(faults, "switch.project", given.project)
        case "dispatch":
            return SwitchScope.DISPATCH, ""
        case _:
            faults.add("switch.scope", "needs one of provider, route, project, dispatch")
            return None, ""


def _name(faults: Faults, field: str, name: str) -> str:
    if not name:
        faults.add(field, "must not be empty", limit=1, actual=0)
    return faults.text(field, name, NAME_CHARACTERS_MAX)
