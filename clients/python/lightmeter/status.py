"""From a gRPC status to an error of ours. The one place where foreign errors become the tree in errors.py."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from lightmeter import errors
from lightmeter.errors import LightmeterError, Refused, TransportError, Violation

DOMAIN: Final = "lightmeter"
_PUSHBACK: Final = "grpc-retry-pushback-ms"

_BY_REASON: Final[dict[str, type[Refused]]] = {
    "FIELD_INVALID": errors.FieldInvalid,
    "LABEL_REQUIRED": errors.FieldInvalid,
    "REQUEST_ID_REQUIRED": errors.FieldInvalid,
    "PARAMETER_UNSUPPORTED": errors.FieldInvalid,
    "VERSION_AHEAD": errors.FieldInvalid,
    "PAGE_TOKEN_INVALID": errors.FieldInvalid,
    "REPORT_UNSUPPORTED": errors.FieldInvalid,
    "NO_ELIGIBLE_ROUTE": errors.NoEligibleRoute,
    "INPUT_IMAGE_INVALID": errors.InputRefused,
    "INPUT_IMAGE_TOO_LARGE": errors.InputRefused,
    "INPUT_URL_REFUSED": errors.InputRefused,
    "INPUT_URL_UNREACHABLE": errors.InputRefused,
    "CONTENT_REJECTED": errors.ContentRejected,
    "ASSET_NOT_FOUND": errors.NotFound,
    "MODEL_NOT_FOUND": errors.NotFound,
    "ROUTE_NOT_FOUND": errors.NotFound,
    "JOB_NOT_FOUND": errors.NotFound,
    "MODEL_NOT_ALLOWED": errors.NotAllowed,
    "CREDENTIALS_INVALID": errors.NotAllowed,
    "ROLE_INSUFFICIENT": errors.NotAllowed,
    "REQUEST_ID_REUSED": errors.RequestIdReused,
    "MAX_COST_EXCEEDED": errors.CostRefused,
    "PRICE_UNKNOWN": errors.CostRefused,
    "DEADLINE_UNREACHABLE": errors.CostRefused,
    "BUDGET_EXCEEDED": errors.BudgetExceeded,
    "RATE_LIMITED": errors.LimitReached,
    "TOO_MANY_JOBS": errors.LimitReached,
    "TOO_MANY_WATCHES": errors.LimitReached,
    "ROUTES_UNAVAILABLE": errors.Unavailable,
    "DRAINING": errors.Unavailable,
    "STORE_UNAVAILABLE": errors.Unavailable,
    "STORAGE_UNAVAILABLE": errors.Unavailable,
    "OVERLOADED": errors.Unavailable,
    "WATCH_ENDED": errors.Unavailable,
    "PAUSED": errors.Paused,
    "ETAG_MISMATCH": errors.Conflict,
    "UNIMPLEMENTED": errors.Unsupported,
    "INTERNAL": errors.InternalError,
}

# For reasons that are newer than this client. RESOURCE_EXHAUSTED is not a budget unless the reason says so.
_BY_CODE: Final[dict[grpc.StatusCode, type[Refused]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.FieldInvalid,
    grpc.StatusCode.OUT_OF_RANGE: errors.FieldInvalid,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.PERMISSION_DENIED: errors.NotAllowed,
    grpc.StatusCode.UNAUTHENTICATED: errors.NotAllowed,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitReached,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unsupported,
    grpc.StatusCode.INTERNAL: errors.InternalError,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status as the retry rule sees it: the error, and whether the service forbade a retry."""

    error: LightmeterError
    retry_forbidden: bool


def verdict(call: grpc.aio.AioRpcError) -> Verdict:
    """Reads a failed call. Without the service's ErrorInfo it is a TransportError, whatever its code."""
    trailers = [(key, value) for key, value in (call.trailing_metadata() or ())]
    forbidden = any(key == _PUSHBACK and _is_negative(value) for key, value in trailers)
    return Verdict(_error(call), forbidden)


def _is_negative(value: str | bytes) -> bool:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return text.strip().startswith("-")


def _error(call: grpc.aio.AioRpcError) -> LightmeterError:
    code, text = call.code(), call.details() or ""
    details = _details(call)
    info = error_details_pb2.ErrorInfo()
    if not any(detail.Unpack(info) and info.domain == DOMAIN for detail in details):
        return TransportError(f"{code.name}: {text}" if text else code.name, code=code)
    reason = info.reason.removeprefix("ERROR_REASON_")
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, Refused)
    return kind(
        text,
        reason=reason,
        code=code,
        metadata=dict(info.metadata),
        violations=tuple(_violations(details)),
        retry_after=_retry_after(details),
    )


def _details(call: grpc.aio.AioRpcError) -> list[Any]:
    try:
        # The published types know the synchronous call only; the error has the same three methods.
        status: status_pb2.Status | None = rpc_status.from_call(cast("grpc.Call", call))
        return list(status.details) if status is not None else []
    except (ValueError, DecodeError):
        return []  # details of another code than the status are no word of the service


def _violations(details: Iterable[Any]) -> Iterable[Violation]:
    request = error_details_pb2.BadRequest()
    for detail in details:
        if detail.Unpack(request):
            for violation in request.field_violations:
                yield Violation(violation.field, violation.description)


def _retry_after(details: Iterable[Any]) -> float | None:
    info = error_details_pb2.RetryInfo()
    for detail in details:
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None
