"""OperatorService: promised by the contract, served by a later release."""

from __future__ import annotations

from typing import Any

from lightmeter.v1 import operator_service_pb2 as pb
from lightmeter.v1 import operator_service_pb2_grpc

from service.domain.errors import NotOffered
from service.rpc.identity import Callers


class OperatorService(operator_service_pb2_grpc.OperatorServiceServicer):
    """Every method tells who may call it before it says that it is not offered."""

    def __init__(self, *, callers: Callers) -> None:
        self._callers = callers

    async def ListAttempts(self, request: pb.ListAttemptsRequest, context: Any) -> pb.ListAttemptsResponse:
        """Not served yet."""
        raise self._refusal("ListAttempts", context)

    async def ResolveAttempt(
        self, request: pb.ResolveAttemptRequest, context: Any
    ) -> pb.ResolveAttemptResponse:
        """Not served yet."""
        raise self._refusal("ResolveAttempt", context)

    async def SetSwitch(self, request: pb.SetSwitchRequest, context: Any) -> pb.SetSwitchResponse:
        """Not served yet."""
        raise self._refusal("SetSwitch", context)

    async def ListSwitches(self, request: pb.ListSwitchesRequest, context: Any) -> pb.ListSwitchesResponse:
        """Not served yet."""
        raise self._refusal("ListSwitches", context)

    async def ListAuditEvents(
        self, request: pb.ListAuditEventsRequest, context: Any
    ) -> pb.ListAuditEventsResponse:
        """Not served yet."""
        raise self._refusal("ListAuditEvents", context)

    def _refusal(self, method: str, context: Any) -> NotOffered:
        self._callers.identify(context).require_admin()
        return NotOffered(f"{method} is not offered by this release")
