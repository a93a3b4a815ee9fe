"""The one table to the wire: each member of the domain's error family to a gRPC code and an ErrorReason.

Every status has a google.rpc.ErrorInfo with the domain `lightmeter`; BadRequest, QuotaFailure and RetryInfo where they fit.
The whole status stays below 6 KiB, because longer ones get lost in trailers: texts are cut, then violations are left out
and counted. Whatever is not of the family becomes INTERNAL with a fixed sentence and an id that finds the log line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from service.domain import errors
from service.domain.errors import LightmeterError, Reason
from service.domain.limits import error_status_bytes_max, field_violations_count_max, violation_text_bytes_max
from service.rpc.enums import REASONS

DOMAIN: Final = "lightmeter"
DETAILS_TRAILER: Final = "grpc-status-details-bin"
PUSHBACK_TRAILER: Final = "grpc-retry-pushback-ms"
INTERNAL_TEXT: Final = "the service failed; the incident id finds it in its log"

_NANOS: Final = 1_000_000_000
_METADATA_COUNT_MAX: Final = 16
_BAD: Final = grpc.StatusCode.INVALID_ARGUMENT
_ABSENT: Final = grpc.StatusCode.NOT_FOUND
_UNFIT: Final = grpc.StatusCode.FAILED_PRECONDITION
_SPENT: Final = grpc.StatusCode.RESOURCE_EXHAUSTED
_AWAY: Final = grpc.StatusCode.UNAVAILABLE
_DENIED: Final = grpc.StatusCode.PERMISSION_DENIED

# Codes that generic clients repeat by themselves: without RetryInfo they are told not to.
_REPEATED: Final = frozenset({_SPENT, _AWAY, grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL})


@dataclass(frozen=True, slots=True)
class Wire:
    """How an error looks outside. `retry_seconds` is the RetryInfo where the error brings none of its own."""

    code: grpc.StatusCode
    reason: Reason
    retry_seconds: float | None = None
    quota: bool = False


def _wire(
    kind: type[LightmeterError],
    code: grpc.StatusCode,
    retry_seconds: float | None = None,
    *,
    quota: bool = False,
) -> tuple[type[LightmeterError], Wire]:
    return kind, Wire(code, kind.reason, retry_seconds, quota)


TABLE: Final[Mapping[type[LightmeterError], Wire]] = dict(
    [
        _wire(errors.FieldInvalid, _BAD),
        _wire(errors.LabelRequired, _BAD),
        _wire(errors.RequestIdRequired, _BAD),
        _wire(errors.ParameterUnsupported, _BAD),
        _wire(errors.NoEligibleRoute, _BAD),
        _wire(errors.InputImageInvalid, _BAD),
        _wire(errors.InputImageTooLarge, _BAD),
        _wire(errors.InputUrlRefused, _BAD),
        _wire(errors.InputUrlUnreachable, _UNFIT),
        _wire(errors.AssetNotFound, _ABSENT),
        _wire(errors.ContentRejected, _BAD),
        _wire(errors.ModelNotFound, _ABSENT),
        _wire(errors.RouteNotFound, _ABSENT),
        _wire(errors.ModelNotAllowed, _DENIED),
        _wire(errors.RequestIdReused, grpc.StatusCode.ALREADY_EXISTS),
        _wire(errors.MaxCostExceeded, _UNFIT),
        _wire(errors.PriceUnknown, _UNFIT),
        _wire(errors.DeadlineUnreachable, _UNFIT),
        _wire(errors.BudgetExceeded, _SPENT, quota=True),
        _wire(errors.RateLimited, _SPENT, 1.0, quota=True),
        _wire(errors.TooManyJobs, _SPENT, 1.0, quota=True),
        _wire(errors.TooManyWatches, _SPENT, 1.0, quota=True),
        _wire(errors.RoutesUnavailable, _AWAY),
        _wire(errors.Paused, _UNFIT),
        _wire(errors.Draining, _AWAY, 0.1),
        _wire(errors.StoreUnavailable, _AWAY, 1.0),
        _wire(errors.StorageUnavailable, _AWAY, 1.0),
        _wire(errors.Overloaded, _AWAY, 1.0),
        _wire(errors.WatchEnded, _AWAY, 0.1),
        _wire(errors.CredentialsInvalid, grpc.StatusCode.UNAUTHENTICATED),
        _wire(errors.RoleInsufficient, _DENIED),
        _wire(errors.JobNotFound, _ABSENT),
        _wire(errors.VersionAhead, grpc.StatusCode.OUT_OF_RANGE),
        _wire(errors.PageTokenInvalid, _BAD),
        _wire(errors.EtagMismatch, grpc.StatusCode.ABORTED),
        _wire(errors.ReportUnsupported, _BAD),
        _wire(errors.NotOffered, grpc.StatusCode.UNIMPLEMENTED),
    ]
)

# The codes of reasons that only accepted jobs have; a call that reports such a job is OK.
_JOB_CODES: Final[Mapping[Reason, grpc.StatusCode]] = {
    Reason.PROVIDER_REJECTED_INPUT: _BAD,
    Reason.PROVIDER_FAILED: grpc.StatusCode.ABORTED,
    Reason.NO_IMAGES: grpc.StatusCode.ABORTED,
    Reason.PROVIDER_ACCOUNT_BLOCKED: _UNFIT,
    Reason.DISPATCH_UNCONFIRMED: grpc.StatusCode.UNKNOWN,
    Reason.JOB_TIMED_OUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.RESULT_LOST: grpc.StatusCode.DATA_LOSS,
    Reason.RESULT_INVALID: grpc.StatusCode.DATA_LOSS,
    Reason.KEY_GONE: grpc.StatusCode.ABORTED,
    Reason.JOB_CANCELLED: grpc.StatusCode.CANCELLED,
}

CODES: Final[Mapping[Reason, grpc.StatusCode]] = {
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
    **{wire.reason: wire.code for wire in TABLE.values()},
    **_JOB_CODES,
}
"""The gRPC code of every reason, be it of a call or of a failed job."""


@dataclass(frozen=True, slots=True)
class ErrorStatus:
    """What a call is aborted with."""

    code: grpc.StatusCode
    text: str
    trailers: tuple[tuple[str, str | bytes], ...]


def full_reason(reason: Reason) -> str:
    """The name on the wire, such as `ERROR_REASON_BUDGET_EXCEEDED`."""
    assert REASONS[reason], f"{reason.value} is never sent"
    return f"ERROR_REASON_{reason.value}"


def cut(text: str, bytes_max: int = violation_text_bytes_max) -> str:
    """A text that fits into so many bytes of UTF-8; a cut one ends with an ellipsis."""
    content = text.encode("utf-8", "replace")
    if len(content) <= bytes_max:
        return content.decode()
    return content[: bytes_max - 3].decode("utf-8", "ignore") + "…"


def status_of(error: LightmeterError) -> ErrorStatus:
    """The status of a member of the family."""
    wire = TABLE[type(error)]
    retry_seconds = wire.retry_seconds if error.retry_after_seconds is None else error.retry_after_seconds
    kept = list(error.metadata.items())[:_METADATA_COUNT_MAX]
    metadata = {cut(key): cut(value) for key, value in kept}
    quota = None
    if wire.quota:
        quota = error_details_pb2.QuotaFailure()
        subject = error.metadata.get("budget", wire.reason.value)
        quota.violations.add(subject=cut(subject), description=cut(error.text))
    violations = [(cut(one.field), cut(one.text)) for one in error.violations]
    return _assembled(wire.code, wire.reason, error.text, metadata, violations, quota, retry_seconds)


def internal_status(incident_id: str) -> ErrorStatus:
    """The status of whatever is unknown: it tells nothing but where to look."""
    metadata = {"incidentId": incident_id}
    return _assembled(grpc.StatusCode.INTERNAL, Reason.INTERNAL, INTERNAL_TEXT, metadata, [], None, None)


def _assembled(
    code: grpc.StatusCode,
    reason: Reason,
    text: str,
    metadata: Mapping[str, str],
    violations: list[tuple[str, str]],
    quota: error_details_pb2.QuotaFailure | None,
    retry_seconds: float | None,
) -> ErrorStatus:
    kept = min(len(violations), field_violations_count_max)
    while True:
        info = error_details_pb2.ErrorInfo(reason=full_reason(reason), domain=DOMAIN, metadata=metadata)
        if kept < len(violations):
            info.metadata["omittedCount"] = str(len(violations) - kept)
        details: list[Message] = [info]
        if violations:
            bad = error_details_pb2.BadRequest()
            for field, description in violations[:kept]:
                bad.field_violations.add(field=field, description=description)
            details.append(bad)
        if quota is not None:
            details.append(quota)
        if retry_seconds is not None:
            details.append(_retry_info(retry_seconds))
        status = status_pb2.Status(code=code.value[0], message=cut(text), details=map(_packed, details))
        content = status.SerializeToString()
        if len(content) < error_status_bytes_max or kept == 0:
            break
        kept -= 1
    trailers: list[tuple[str, str | bytes]] = [(DETAILS_TRAILER, content)]
    if retry_seconds is None and code in _REPEATED:
        trailers.append((PUSHBACK_TRAILER, "-1"))
    return ErrorStatus(code, status.message, tuple(trailers))


def _retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds, info.retry_delay.nanos = divmod(max(0, round(seconds * _NANOS)), _NANOS)
    return info


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
