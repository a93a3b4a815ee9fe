"""OperatorService: attempts that nobody can tell about, switches, and the audit."""

from __future__ import annotations

from typing import Any, Protocol

from lightmeter.v1 import operator_service_pb2 as pb
from lightmeter.v1 import operator_service_pb2_grpc

from service.core.oversee import Resolution
from service.domain.oversight import Switch, SwitchScope, SwitchState
from service.domain.queries import OpenAttempt
from service.domain.records import AttemptState
from service.ports import Clock, JobReader, OperatorReader
from service.rpc.identity import Caller, Callers, Role
from service.rpc.operator_in import read_attempts, read_audit, read_resolution, read_switch
from service.rpc.operator_out import attempt_message, audit_message, switch_message
from service.rpc.paging import Cursor


class Oversees(Protocol):
    """The use cases of SetSwitch and ResolveAttempt; see `service.core.oversee`."""

    async def set_switch(
        self,
        scope: SwitchScope,
        target: str,
        state: SwitchState,
        expires_at: int | None,
        *,
        reason: str,
        by: str,
    ) -> Switch:
        """MUST have set nothing when it raises RouteNotFound."""
        ...

    async def resolve(self, resolution: Resolution, *, by: str) -> OpenAttempt:
        """MUST have changed nothing when it raises JobNotFound, EtagMismatch or FieldInvalid."""
        ...

    def search_ends_at(self, shown: OpenAttempt) -> int | None:
        """MUST NOT do I/O. Microseconds; None for what is not UNKNOWN."""
        ...


class OperatorService(operator_service_pb2_grpc.OperatorServiceServicer):
    """The servicer. Every call needs the operator's role; the audit names who called."""

    def __init__(
        self, *, callers: Callers, oversight: Oversees, reader: OperatorReader, jobs: JobReader, clock: Clock
    ) -> None:
        self._callers = callers
        self._oversight = oversight
        self._reader = reader
        self._jobs = jobs
        self._clock = clock

    async def ListAttempts(self, request: pb.ListAttemptsRequest, context: Any) -> pb.ListAttemptsResponse:
        """A page of attempts, oldest dispatch first."""
        query, cursor = read_attempts(self._operator(context), request)
        found = await self._reader.attempts(query)
        shown = found[: cursor.size]
        response = pb.ListAttemptsResponse(attempts=[await self._attempt(one) for one in shown])
        if len(found) > cursor.size:
            last = shown[-1].attempt
            response.next_page_token = cursor.token([last.dispatched_at or 0, last.id])
        return response

    async def ResolveAttempt(
        self, request: pb.ResolveAttemptRequest, context: Any
    ) -> pb.ResolveAttemptResponse:
        """Decide the fate of an UNKNOWN attempt by hand."""
        caller = self._operator(context)
        resolved = await self._oversight.resolve(read_resolution(request), by=caller.name)
        return pb.ResolveAttemptResponse(attempt=attempt_message(resolved, search_ends_at=None, cause=""))

    async def SetSwitch(self, request: pb.SetSwitchRequest, context: Any) -> pb.SetSwitchResponse:
        """Turn something off or on."""
        caller = self._operator(context)
        asked = read_switch(request, self._clock.now())
        switch = await self._oversight.set_switch(
            asked.scope, asked.target, asked.state, asked.expires_at, reason=asked.reason, by=caller.name
        )
        return pb.SetSwitchResponse(switch=switch_message(switch))

    async def ListSwitches(self, request: pb.ListSwitchesRequest, context: Any) -> pb.ListSwitchesResponse:
        """A page of what is not ON, read from the database, not from this replica's board."""
        caller = self._operator(context)
        cursor = Cursor(caller.project, request, request.page_size)
        after = cursor.after(request.page_token, (str, str))
        keyed = sorted(((one.scope.value, one.target), one) for one in await self._reader.switches())
        left = [(key, one) for key, one in keyed if after is None or key > after]
        shown = left[: cursor.size]
        response = pb.ListSwitchesResponse(switches=[switch_message(one) for _, one in shown])
        if len(left) > cursor.size:
            response.next_page_token = cursor.token(list(shown[-1][0]))
        return response

    async def ListAuditEvents(
        self, request: pb.ListAuditEventsRequest, context: Any
    ) -> pb.ListAuditEventsResponse:
        """A page of the audit, newest first."""
        query, cursor = read_audit(self._operator(context), request)
        found = (await self._reader.audit(query)).events
        shown = found[: cursor.size]
        response = pb.ListAuditEventsResponse(events=[audit_message(one) for one in shown])
        if len(found) > cursor.size:
            response.next_page_token = cursor.token([shown[-1].at, shown[-1].id])
        return response

    def _operator(self, context: Any) -> Caller:
        caller = self._callers.identify(context)
        caller.require(Role.OPERATOR)
        return caller

    async def _attempt(self, shown: OpenAttempt) -> pb.Attempt:
        attempt = shown.attempt
        cause = ""
        if attempt.state is AttemptState.UNKNOWN:
            told = [
                one
                for one in await self._jobs.events(attempt.render_id)
                if one.kind == AttemptState.UNKNOWN.value and one.attempt_number == attempt.number
            ]
            cause = told[-1].cause if told else ""
        return attempt_message(shown, search_ends_at=self._oversight.search_ends_at(shown), cause=cause)
