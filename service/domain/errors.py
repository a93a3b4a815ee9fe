"""The one closed family of errors that callers may see. A class per reason; the wire table is in rpc/errors.py.

    LightmeterError
    ├── request: FieldInvalid, LabelRequired, RequestIdRequired, ParameterUnsupported, NoEligibleRoute,
    │            InputImageInvalid, InputImageTooLarge, InputUrlRefused, InputUrlUnreachable, AssetNotFound,
    │            ContentRejected, ModelNotFound, RouteNotFound, RequestIdReused, MaxCostExceeded, PriceUnknown,
    │            DeadlineUnreachable, PageTokenInvalid, VersionAhead, ReportUnsupported, EtagMismatch
    ├── who:     CredentialsInvalid, RoleInsufficient, ModelNotAllowed, JobNotFound
    ├── money:   BudgetExceeded
    ├── load:    RateLimited, TooManyJobs, TooManyWatches, Overloaded
    ├── away:    RoutesUnavailable, Paused, Draining, StoreUnavailable, StorageUnavailable, WatchEnded
    └── later:   NotOffered

What ends an accepted job is not an exception but a `Failure` (domain/failure.py) with the same reasons.
Programmer mistakes are `assert` or `TypeError`, never members of this family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why something was refused or failed. The names are those of `ErrorReason` on the wire, without the prefix."""

    FIELD_INVALID = "FIELD_INVALID"
    LABEL_REQUIRED = "LABEL_REQUIRED"
    REQUEST_ID_REQUIRED = "REQUEST_ID_REQUIRED"
    PARAMETER_UNSUPPORTED = "PARAMETER_UNSUPPORTED"
    NO_ELIGIBLE_ROUTE = "NO_ELIGIBLE_ROUTE"
    INPUT_IMAGE_INVALID = "INPUT_IMAGE_INVALID"
    INPUT_IMAGE_TOO_LARGE = "INPUT_IMAGE_TOO_LARGE"
    INPUT_URL_REFUSED = "INPUT_URL_REFUSED"
    INPUT_URL_UNREACHABLE = "INPUT_URL_UNREACHABLE"
    ASSET_NOT_FOUND = "ASSET_NOT_FOUND"
    CONTENT_REJECTED = "CONTENT_REJECTED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    MODEL_NOT_ALLOWED = "MODEL_NOT_ALLOWED"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    MAX_COST_EXCEEDED = "MAX_COST_EXCEEDED"
    PRICE_UNKNOWN = "PRICE_UNKNOWN"
    DEADLINE_UNREACHABLE = "DEADLINE_UNREACHABLE"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_MANY_JOBS = "TOO_MANY_JOBS"
    TOO_MANY_WATCHES = "TOO_MANY_WATCHES"
    ROUTES_UNAVAILABLE = "ROUTES_UNAVAILABLE"
    PAUSED = "PAUSED"
    DRAINING = "DRAINING"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    OVERLOADED = "OVERLOADED"
    WATCH_ENDED = "WATCH_ENDED"
    CREDENTIALS_INVALID = "CREDENTIALS_INVALID"
    ROLE_INSUFFICIENT = "ROLE_INSUFFICIENT"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    VERSION_AHEAD = "VERSION_AHEAD"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    REPORT_UNSUPPORTED = "REPORT_UNSUPPORTED"
    INTERNAL = "INTERNAL"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    # Only as the failure of an accepted job.
    PROVIDER_REJECTED_INPUT = "PROVIDER_REJECTED_INPUT"
    PROVIDER_FAILED = "PROVIDER_FAILED"
    NO_IMAGES = "NO_IMAGES"
    PROVIDER_ACCOUNT_BLOCKED = "PROVIDER_ACCOUNT_BLOCKED"
    DISPATCH_UNCONFIRMED = "DISPATCH_UNCONFIRMED"
    JOB_TIMED_OUT = "JOB_TIMED_OUT"
    RESULT_LOST = "RESULT_LOST"
    RESULT_INVALID = "RESULT_INVALID"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    KEY_GONE = "KEY_GONE"
    JOB_CANCELLED = "JOB_CANCELLED"


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its path as in the proto (`drawing.prompt`), and what is wrong with it."""

    field: str
    text: str


class LightmeterError(Exception):
    """A refusal that a caller is meant to read.

    `metadata` goes to the wire as it is: keys lowerCamelCase, values short texts, money in keys ending with `Nanos`.
    `retry_after_seconds` is set only where repeating the very same request can help.
    """

    reason: Reason = Reason.INTERNAL

    def __init__(
        self,
        text: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds


class FieldInvalid(LightmeterError):
    """One or more fields are malformed or out of range."""

    reason = Reason.FIELD_INVALID

    @classmethod
    def of(cls, field: str, text: str, *, limit: object = None, actual: object = None) -> FieldInvalid:
        """The common case: one field, its limit and what was sent."""
        metadata = {"field": field}
        if limit is not None:
            metadata["limit"] = str(limit)
        if actual is not None:
            metadata["actual"] = str(actual)
        return cls(f"{field}: {text}", metadata=metadata, violations=[Violation(field, text)])


class LabelRequired(LightmeterError):
    """The project must send a label that is missing."""

    reason = Reason.LABEL_REQUIRED


class RequestIdRequired(LightmeterError):
    """REFRESH and BYPASS need a request_id, or a repeated call would pay twice."""

    reason = Reason.REQUEST_ID_REQUIRED


class ParameterUnsupported(LightmeterError):
    """`extra` names a parameter that the model does not take, or has the wrong shape."""

    reason = Reason.PARAMETER_UNSUPPORTED


class NoEligibleRoute(LightmeterError):
    """No route of the model can honour the request as it is."""

    reason = Reason.NO_ELIGIBLE_ROUTE


class InputImageInvalid(LightmeterError):
    """An input picture cannot be read, is a bomb, or the mask does not fit."""

    reason = Reason.INPUT_IMAGE_INVALID


class InputImageTooLarge(LightmeterError):
    """An input picture has too many bytes or pixels."""

    reason = Reason.INPUT_IMAGE_TOO_LARGE


class InputUrlRefused(LightmeterError):
    """An input URL is not one that we fetch."""

    reason = Reason.INPUT_URL_REFUSED


class InputUrlUnreachable(LightmeterError):
    """An input URL did not answer with a picture."""

    reason = Reason.INPUT_URL_UNREACHABLE


class AssetNotFound(LightmeterError):
    """No such picture for this project."""

    reason = Reason.ASSET_NOT_FOUND


class ContentRejected(LightmeterError):
    """Our filter refuses the prompt."""

    reason = Reason.CONTENT_REJECTED


class ModelNotFound(LightmeterError):
    """The catalog has no such model."""

    reason = Reason.MODEL_NOT_FOUND


class RouteNotFound(LightmeterError):
    """The pinned provider or route, or the policy, does not exist for this model."""

    reason = Reason.ROUTE_NOT_FOUND


class ModelNotAllowed(LightmeterError):
    """The caller's key may not use this model."""

    reason = Reason.MODEL_NOT_ALLOWED


_DIGEST_PARTS = ("drawing", "inputs", "options")


class RequestIdReused(LightmeterError):
    """The request_id belongs to another request."""

    reason = Reason.REQUEST_ID_REUSED

    @classmethod
    def of(cls, job_id: str, known: str, asked: str) -> RequestIdReused:
        """With the parts in which two request digests (`drawing.inputs.options`) differ."""
        pairs = zip(_DIGEST_PARTS, known.split("."), asked.split("."), strict=True)
        differing = ",".join(name for name, old, new in pairs if old != new)
        return cls(
            "this request_id belongs to another request",
            metadata={"jobId": job_id, "differingFields": differing},
        )


class MaxCostExceeded(LightmeterError):
    """The ceiling of the cheapest eligible route is above `max_cost`."""

    reason = Reason.MAX_COST_EXCEEDED


class PriceUnknown(LightmeterError):
    """No eligible route has a known price."""

    reason = Reason.PRICE_UNKNOWN


class DeadlineUnreachable(LightmeterError):
    """No eligible route is fast enough."""

    reason = Reason.DEADLINE_UNREACHABLE


class BudgetExceeded(LightmeterError):
    """A hard budget has no room for the hold."""

    reason = Reason.BUDGET_EXCEEDED


class RateLimited(LightmeterError):
    """Too many calls."""

    reason = Reason.RATE_LIMITED


class TooManyJobs(LightmeterError):
    """Too many jobs of this project are running."""

    reason = Reason.TOO_MANY_JOBS


class TooManyWatches(LightmeterError):
    """Too many watches are open."""

    reason = Reason.TOO_MANY_WATCHES


class RoutesUnavailable(LightmeterError):
    """All eligible routes are broken, blocked or switched off."""

    reason = Reason.ROUTES_UNAVAILABLE


class Paused(LightmeterError):
    """An operator switched this off."""

    reason = Reason.PAUSED


class Draining(LightmeterError):
    """This replica is stopping."""

    reason = Reason.DRAINING


class StoreUnavailable(LightmeterError):
    """The database did not answer in time. Whether the command was carried out is not known; the same request_id finds out."""

    reason = Reason.STORE_UNAVAILABLE


class StorageUnavailable(LightmeterError):
    """The picture store did not answer."""

    reason = Reason.STORAGE_UNAVAILABLE


class Overloaded(LightmeterError):
    """A bounded queue of this replica is full."""

    reason = Reason.OVERLOADED


class WatchEnded(LightmeterError):
    """The watch reached its age limit; resume it with after_version."""

    reason = Reason.WATCH_ENDED


class CredentialsInvalid(LightmeterError):
    """No, wrong or expired credentials."""

    reason = Reason.CREDENTIALS_INVALID


class RoleInsufficient(LightmeterError):
    """The caller's role is too low."""

    reason = Reason.ROLE_INSUFFICIENT


class JobNotFound(LightmeterError):
    """No such job for this project."""

    reason = Reason.JOB_NOT_FOUND


class VersionAhead(LightmeterError):
    """`after_version` is greater than any version of the job."""

    reason = Reason.VERSION_AHEAD


class PageTokenInvalid(LightmeterError):
    """The page token is damaged or belongs to another query."""

    reason = Reason.PAGE_TOKEN_INVALID


class EtagMismatch(LightmeterError):
    """Somebody else changed it first."""

    reason = Reason.ETAG_MISMATCH


class ReportUnsupported(LightmeterError):
    """The report is too long or asks for a dimension that is not kept."""

    reason = Reason.REPORT_UNSUPPORTED


class NotOffered(LightmeterError):
    """The RPC exists in the contract, and this release does not serve it."""

    reason = Reason.UNIMPLEMENTED
