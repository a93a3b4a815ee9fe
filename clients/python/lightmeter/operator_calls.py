"""The calls of those who run the service: attempts, switches, the audit. They need the operator's role."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from lightmeter import wire
from lightmeter.connection import Connection, pages
from lightmeter.job import Job
from lightmeter.money import Money, usd
from lightmeter.oversight import Attempt, AuditEvent, Switch, put_scope
from lightmeter.v1 import ledger_service_pb2
from lightmeter.v1 import operator_service_pb2 as pb

PAGE_SIZE: Final = 500


class OperatorCalls:
    """Calls of operators, for AsyncClient and with it for Client."""

    _connection: Connection

    async def list_attempts(
        self,
        *,
        states: Sequence[str] = (),
        provider: str = "",
        route: str = "",
        project: str = "",
        job: Job | str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Attempt]:
        """Dispatches to providers, oldest first, of all projects; without states those that are UNKNOWN. At most `limit`."""
        request = pb.ListAttemptsRequest(
            states=[wire.number(pb.AttemptState, state, "state") for state in states],
            provider=provider,
            route=route,
            project=project,
            job_id=job.job_id if isinstance(job, Job) else job or "",
            page_size=min(limit or PAGE_SIZE, PAGE_SIZE),
        )
        _put_range(request.range, start, end)

        async def fetch(token: str) -> pb.ListAttemptsResponse:
            request.page_token = token
            page: pb.ListAttemptsResponse = await self._connection.call(
                self._connection.operator.ListAttempts, request
            )
            return page

        count = 0
        async for page in pages(fetch):
            for message in page.attempts:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield Attempt.from_proto(message)

    async def resolve_attempt(
        self,
        attempt: Attempt | str,
        *,
        reason: str,
        adopt: str = "",
        not_accepted: bool = False,
        amount: Money | Decimal | str | None = None,
        etag: str = "",
    ) -> Attempt:
        """Decides an UNKNOWN attempt by what you found out; exactly one of the three.

        `adopt` is the provider's id of it: the service goes on from there. `not_accepted` gives the hold back, and the
        render may be sent again: if that is wrong, the picture is paid twice. `amount` is what the provider billed for no
        picture. An Attempt must still be as it was read, else Conflict; so it is after an answer that got lost.
        """
        if (bool(adopt), not_accepted, amount is not None).count(True) != 1:
            raise ValueError("give exactly one of adopt, not_accepted and amount")
        request = pb.ResolveAttemptRequest(reason=reason, etag=etag)
        if isinstance(attempt, Attempt):
            request.attempt_id, request.etag = attempt.attempt_id, etag or attempt.etag
        else:
            request.attempt_id = attempt
        if adopt:
            request.adopt_provider_request_id = adopt
        elif not_accepted:
            request.declare_not_accepted.SetInParent()
        elif amount is not None:
            request.settle_amount.CopyFrom(usd(amount).proto)
        answer: pb.ResolveAttemptResponse = await self._connection.call(
            self._connection.operator.ResolveAttempt, request
        )
        return Attempt.from_proto(answer.attempt)

    async def set_switch(
        self,
        scope: str,
        state: str,
        *,
        reason: str,
        lasts: timedelta | None = None,
        expire_time: datetime | None = None,
    ) -> Switch:
        """Turns `provider:fal`, `route:fal/flux-dev`, `project:growth` or `dispatch` off, to drain, or on.

        It goes on by itself after `lasts`, or at `expire_time`; without either, when somebody sets it.
        """
        if lasts is not None:
            if expire_time is not None:
                raise ValueError("give either lasts or expire_time")
            expire_time = datetime.now(UTC) + lasts
        request = pb.SetSwitchRequest()
        put_scope(request.switch, scope)
        request.switch.state = wire.number(pb.SwitchState, state, "state")
        request.switch.reason = reason
        if expire_time is not None:
            request.switch.expire_time.CopyFrom(wire.as_timestamp(expire_time))
        answer: pb.SetSwitchResponse = await self._connection.call(
            self._connection.operator.SetSwitch, request
        )
        return Switch.from_proto(answer.switch)

    async def switches(self) -> tuple[Switch, ...]:
        """What is not ON, by scope."""

        async def fetch(token: str) -> pb.ListSwitchesResponse:
            request = pb.ListSwitchesRequest(page_size=PAGE_SIZE, page_token=token)
            page: pb.ListSwitchesResponse = await self._connection.call(
                self._connection.operator.ListSwitches, request
            )
            return page

        return tuple([Switch.from_proto(one) async for page in pages(fetch) for one in page.switches])

    async def audit_events(
        self,
        *,
        actor: str = "",
        action: str = "",
        target: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[AuditEvent]:
        """Changes that were made outside the jobs, newest first; at most `limit`."""
        request = pb.ListAuditEventsRequest(
            actor=actor, action=action, target=target, page_size=min(limit or PAGE_SIZE, PAGE_SIZE)
        )
        _put_range(request.range, start, end)

        async def fetch(token: str) -> pb.ListAuditEventsResponse:
            request.page_token = token
            page: pb.ListAuditEventsResponse = await self._connection.call(
                self._connection.operator.ListAuditEvents, request
            )
            return page

        count = 0
        async for page in pages(fetch):
            for message in page.events:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield AuditEvent.from_proto(message)


def _put_range(message: ledger_service_pb2.TimeRange, start: datetime | None, end: datetime | None) -> None:
    if start is not None:
        message.start_time.CopyFrom(wire.as_timestamp(start))
    if end is not None:
        message.end_time.CopyFrom(wire.as_timestamp(end))
