"""What can go wrong, as one tree. Catch the class that you can do something about.

    LightmeterError
    ├── TransportError         a status that the service did not write: the network, a proxy, a deadline
    ├── WaitTimeout            the caller's own timeout passed; the job goes on (also a TimeoutError)
    ├── AssetCorrupt           a picture's bytes are not what its name says
    ├── JobFailed              the job was accepted and failed later
    │   └── JobCancelled
    └── Refused                the service said no; `reason` is its ErrorReason
        ├── FieldInvalid       a malformed request: `violations` lists every wrong field
        ├── NoEligibleRoute    each field is fine, and no route can express all of them together
        ├── InputRefused       an input picture or its URL can't be used
        ├── ContentRejected    the content is not allowed
        ├── NotFound           no such job, model, route or picture: `suggestion`
        ├── NotAllowed         the key is wrong or may not do this
        ├── RequestIdReused    the request_id belongs to another request: `job_id`, `differing_fields`
        ├── CostRefused        max_cost, an unknown price, or a job_timeout that no route can keep
        ├── BudgetExceeded     a hard budget has no room: `budget`, `limit`, `spent`, `held`, `asked`, …
        ├── LimitReached       too many calls, jobs or watches
        ├── Unavailable        nobody can take it now, after all retries
        ├── Paused             an operator switched it off
        ├── Conflict           it was changed since it was read
        ├── Unsupported        this release of the service does not offer it
        └── InternalError      a defect of the service: `incident_id`

Names of reasons are those of ErrorReason in the protos without `ERROR_REASON_`. A reason that this client
does not know becomes the class of its gRPC code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import grpc

from lightmeter.money import Money

if TYPE_CHECKING:
    from lightmeter.job import Job


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its path in the request (`drawing.prompt`), and what is wrong with it."""

    field: str
    text: str


class LightmeterError(Exception):
    """The root of the tree.

    `reason` is the service's reason (empty where the service said nothing), `code` the gRPC code, `metadata`
    the reason's details as the protos list them, `retry_after` seconds that the service asks to wait, if it
    does.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.reason else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross process borders whole; the default would lose what is passed by keyword."""
        return _revive, (type(self), self.args, self.__dict__)

    def _money(self, key: str) -> Money | None:
        """An amount from the metadata; None where it is missing or no number."""
        digits = self.metadata.get(key, "")
        return Money(int(digits)) if digits.removeprefix("-").isdecimal() else None


def _revive(kind: type[LightmeterError], args: tuple[Any, ...], state: dict[str, Any]) -> LightmeterError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class TransportError(LightmeterError):
    """A status without the service's own reason: the network, a proxy, a deadline. Never a decision about
    money.
    """


class WaitTimeout(LightmeterError, TimeoutError):
    """The caller's timeout passed. The job, if it was accepted, goes on: find it again by `request_id`."""

    def __init__(self, message: str, *, request_id: str = "", job: Job | None = None) -> None:
        super().__init__(message, code=grpc.StatusCode.DEADLINE_EXCEEDED)
        self.request_id = request_id
        self.job = job


class AssetCorrupt(LightmeterError):
    """The bytes that arrived don't have the SHA-256 that names the picture."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=grpc.StatusCode.DATA_LOSS)


class JobFailed(LightmeterError):
    """The job was accepted and failed later.

    `fault` says whose fault it is (CALLER, PROVIDER, OPERATOR, SERVICE), `retry_advice` whether asking again
    makes sense (NEVER, FREE, MAY_PAY_AGAIN). `job` has everything else, its receipt too.
    """

    def __init__(self, job: Job) -> None:
        failure = job.failure
        super().__init__(
            (failure.message if failure else "") or f"job {job.job_id} ended as {job.state}",
            reason=failure.reason if failure else "",
            code=_CODES.get(failure.code, grpc.StatusCode.UNKNOWN) if failure else grpc.StatusCode.CANCELLED,
            metadata=failure.metadata if failure else {},
            retry_after=failure.retry_delay.total_seconds() if failure and failure.retry_delay else None,
        )
        self.job = job
        self.fault = failure.fault if failure else ""
        self.retry_advice = failure.retry_advice if failure else ""


class JobCancelled(JobFailed):
    """Somebody cancelled the job. `job.receipt` says what it costs all the same."""


class Refused(LightmeterError):
    """The service said no. Nothing was accepted, unless the class says otherwise."""


class FieldInvalid(Refused):
    """A malformed request. `violations` lists every wrong field; `metadata` has field, limit and actual of
    the first.
    """


class NoEligibleRoute(Refused):
    """Each field is valid, and no route of the model can express all of them together."""


class InputRefused(Refused):
    """An input picture is no picture, too large, or its URL can't be fetched."""


class ContentRejected(Refused):
    """The content is not allowed. `metadata` has `ruleId` and `stage`."""


class NotFound(Refused):
    """No such job, model, route or picture for this project."""

    @property
    def suggestion(self) -> str:
        """The nearest name that exists; empty where there is none."""
        return self.metadata.get("suggestion", "")


class NotAllowed(Refused):
    """The key is missing or wrong, or may not do this."""


class RequestIdReused(Refused):
    """The project has used this request_id for another request."""

    @property
    def job_id(self) -> str:
        """The job that has the request_id."""
        return self.metadata.get("jobId", "")

    @property
    def differing_fields(self) -> tuple[str, ...]:
        """What differs between the two requests."""
        return tuple(
            filter(None, (part.strip() for part in self.metadata.get("differingFields", "").split(",")))
        )


class CostRefused(Refused):
    """`max_cost` is below the ceiling, no price is known, or no route is fast enough for `job_timeout`."""


class BudgetExceeded(Refused):
    """The hold does not fit into a hard budget."""

    @property
    def budget(self) -> str:
        """The budget's name."""
        return self.metadata.get("budget", "")

    @property
    def limit(self) -> Money | None:
        """What the budget allows in its window."""
        return self._money("limitNanos")

    @property
    def spent(self) -> Money | None:
        """What is spent in the window."""
        return self._money("spentNanos")

    @property
    def held(self) -> Money | None:
        """What is set aside in the window."""
        return self._money("heldNanos")

    @property
    def asked(self) -> Money | None:
        """The hold that did not fit."""
        return self._money("askedNanos")

    @property
    def window_end(self) -> datetime | None:
        """When the window ends; None for a budget without windows."""
        try:
            return datetime.fromisoformat(self.metadata["windowEndTime"])
        except (KeyError, ValueError):
            return None


class LimitReached(Refused):
    """Too many calls, unfinished jobs or open watches. `retry_after` says when to come back."""


class Unavailable(Refused):
    """Nobody can take it now, and the retries are used up. Repeat it later with the same request_id."""


class Paused(Refused):
    """An operator switched off what the request needs; `metadata` has `scope` and `expireTime`."""


class Conflict(Refused):
    """It was changed since it was read. Read it again."""


class Unsupported(Refused):
    """This release of the service does not offer the call or the option."""


class InternalError(Refused):
    """A defect of the service. Whether the call had an effect is not known."""

    @property
    def incident_id(self) -> str:
        """What finds it in the service's logs."""
        return self.metadata.get("incidentId", "")


_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
