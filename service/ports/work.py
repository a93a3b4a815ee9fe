"""Jobs as they are shown, what is to be done, and what operators look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from service.domain.oversight import Event, Switch
from service.domain.queries import (
    AttemptQuery,
    AuditPage,
    AuditQuery,
    JobPage,
    JobQuery,
    OpenAttempt,
)
from service.domain.records import Asset, Attempt, Render
from service.domain.view import JobView


class JobReader(Protocol):
    """Single-statement reads of jobs, outside the lanes. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def view(self, job_id: str) -> JobView | None:
        """The job with render, attempts and pictures, in one snapshot."""
        ...

    async def view_by_request(self, project: str, request_id: str) -> JobView | None:
        """The same, found by the caller's own id."""
        ...

    async def page(self, query: JobQuery) -> JobPage:
        """A page of jobs."""
        ...

    async def asset(self, sha256: str, project: str | None) -> Asset | None:
        """A picture of which this project has a job or an upload (any project for None). The same bytes and timing else."""
        ...

    async def flight(self, scope: str, fingerprint: str) -> tuple[Render, tuple[Attempt, ...]] | None:
        """What the fingerprint points at now, for quotes; nothing is locked."""
        ...

    async def render(self, render_id: str) -> tuple[Render, tuple[Attempt, ...]] | None:
        """A render and its attempts by number; nothing is locked."""
        ...

    async def events(self, render_id: str) -> tuple[Event, ...]:
        """The unusual things that happened to a render, oldest first, at most `events_shown_max`."""
        ...


class WorkReader(Protocol):
    """What is to be done, found in the rows: wake-ups only make it quicker. Single-statement reads outside the lanes;
    MUST NOT block the event loop; raises `StoreUnavailable`. All limits count rows.
    """

    async def due_jobs(self, limit: int) -> tuple[str, ...]:
        """Ids of jobs that are not final and past their deadline by the database's clock."""
        ...

    async def strays(self, owner: str, limit: int) -> tuple[tuple[str, int], ...]:
        """(id, fence) of renders that are not final and owned by `owner`, by a replica whose lease has ended, or by a living
        one whose next step is overdue; oldest first. `owner`'s own ones come whether overdue or not.
        """
        ...

    async def overdue(self, limit: int) -> tuple[str, ...]:
        """Ids of renders that are not final and older than any state may last; oldest first. Candidates for EndOverdue."""
        ...

    async def attempt_of_token(self, token: str) -> JobView | None:
        """The payer's view of the render whose attempt has this correlation token; None for an unknown one."""
        ...

    async def late(self, limit: int) -> tuple[JobView, ...]:
        """Payers' views of ended renders with an attempt of which more may be learnt, dispatched `late_search_seconds` ago at
        most, newest dispatch first: settled as UNCONFIRMED with no end recorded (`result` is None); or bound and without an
        end (ACCEPTED); or SUCCEEDED while its render is not, and still kept by the provider (`result_expires_at`).
        """
        ...

    async def bound(self, provider: str, provider_ids: tuple[str, ...]) -> Mapping[str, str]:
        """Which of these ids belong to an attempt already: provider_id → attempt id."""
        ...

    async def unresolved(self, provider: str, endpoint: str, input_digest: str) -> tuple[Attempt, ...]:
        """Attempts without an id whose input was the same, DISPATCHING, UNKNOWN or given up as UNCONFIRMED; oldest
        dispatch first.
        """
        ...


class OperatorReader(Protocol):
    """What operators look at. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def attempts(self, query: AttemptQuery) -> tuple[OpenAttempt, ...]:
        """A page of attempts."""
        ...

    async def attempt(self, attempt_id: str) -> OpenAttempt | None:
        """One attempt."""
        ...

    async def switches(self) -> tuple[Switch, ...]:
        """The switches that are not ON and not expired by the database's clock, by scope and target."""
        ...

    async def audit(self, query: AuditQuery) -> AuditPage:
        """A page of the audit."""
        ...
