"""The seams: what the core needs from the world, as protocols. Every port has a contract suite in tests/contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service.domain.absence import AbsenceRule
from service.domain.exchange import (
    BillPage,
    CancelAnswer,
    DispatchAnswer,
    Health,
    Order,
    Result,
    Scan,
    Search,
    Status,
    WebhookNotice,
)
from service.domain.oversight import Event, Switch
from service.domain.queries import (
    AttemptQuery,
    AuditPage,
    AuditQuery,
    BilledAttempt,
    BudgetState,
    ChargePage,
    ChargeQuery,
    CostQuery,
    CostReport,
    DiscrepancyPage,
    DiscrepancyQuery,
    JobPage,
    JobQuery,
    LedgerSnapshot,
    OpenAttempt,
    ReconciliationPage,
    ReconciliationQuery,
    TransferPage,
    TransferQuery,
)
from service.domain.records import Asset, Attempt, Render
from service.domain.statement import Statement
from service.domain.storage_price import StoredShare
from service.domain.view import JobView

Outcome = TypeVar("Outcome", covariant=True)


class Clock(Protocol):
    """Time, injected. MUST NOT run backwards as seen through one instance."""

    def now(self) -> int:
        """Microseconds since 1970-01-01T00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that goes on while the machine sleeps (boot time)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. MUST pass cancellation on."""
        ...


class Dice(Protocol):
    """Everything that is random, injected. MUST NOT block; ids MUST never repeat."""

    def new_id(self) -> str:
        """A UUIDv7, opaque to everybody."""
        ...

    def new_token(self) -> str:
        """32 hex characters that cannot be guessed: the correlation token of one attempt."""
        ...

    def seed(self) -> int:
        """A seed for a picture, 0 to 2**31 - 1."""
        ...

    def jitter(self) -> float:
        """A factor between 0.5 and 1.5."""
        ...


# ---------------------------------------------------------------- pictures


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a stored picture is, as the store knows it."""

    key: str
    size_bytes: int
    mime_type: str


class Blobs(Protocol):
    """The picture store: immutable blobs under content keys (`images/<aa>/<sha256>.<ext>`).

    Every method MUST NOT block the event loop, MAY be called concurrently, and may raise `StorageUnavailable`
    (with the cause chained) when the store does not answer in time. Cancellation MUST leave either the whole blob or none.
    """

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Store if absent. True when this call wrote it, False when it was there. MUST NOT rewrite a blob."""
        ...

    async def head(self, key: str) -> BlobInfo | None:
        """Say whether it is there; None when not."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The bytes, at most `download_bytes_max`; None when absent."""
        ...

    def url(self, key: str) -> tuple[str, int | None]:
        """A GET URL for callers and the time it ends (microseconds; None = never). MUST NOT do I/O; the same URL is
        answered until half its life has passed.
        """
        ...

    def provider_url(self, key: str) -> str | None:
        """A GET URL that a provider outside can fetch, or None when the store cannot be reached from there."""
        ...

    async def close(self) -> None:
        """Free threads and sockets; legal twice."""
        ...


# ---------------------------------------------------------------- providers


class Provider(Protocol):
    """One provider's queue. Foreign exceptions MUST NOT leave it.

    `dispatch` MUST send at most one POST and never raise for what the wire does: everything doubtful is Unclear. The
    other methods are idempotent, MAY be repeated, and raise `ProviderUnavailable` or `ProviderDenied` (service.domain.failure)
    when there is no answer to be had. Deadlines are inside; cancellation MUST pass.
    """

    @property
    def name(self) -> str:
        """`fal` or `replicate`."""
        ...

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Send the one POST. None when the monotonic clock has passed `send_before` just before sending: nothing was sent."""
        ...

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """One look."""
        ...

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """Fetch result and evidence of an ended request."""
        ...

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Ask the provider to stop."""
        ...

    async def upload(self, content: bytes, mime_type: str) -> str:
        """Give the provider an input picture, answer the URL under which its models can read it."""
        ...

    async def close(self) -> None:
        """Free sockets; legal twice."""
        ...


class ProviderRecords(Protocol):
    """What a provider's own books say, beside the life of one request. Idempotent, MAY be repeated; raises
    `ProviderUnavailable` or `ProviderDenied`. Deadlines are inside; cancellation MUST pass. Every scan is bounded in pages.
    """

    @property
    def absence(self) -> AbsenceRule:
        """When a complete scan without a match proves that a request never arrived."""
        ...

    async def find(self, search: Search) -> Scan:
        """Read the provider's request list over the span and answer the requests whose input is the same."""
        ...

    async def close(self) -> None:
        """Free sockets; legal twice."""
        ...


class ProviderBills(Protocol):
    """What a provider charged, by its own books, for reconciliation. Bills come late, in any order, and may be missing for hours.

    Idempotent, MAY be repeated; raises `ProviderUnavailable` or `ProviderDenied`. Deadlines are inside; cancellation MUST pass.
    """

    async def bills(self, since: int, before: int, page: str | None = None) -> BillPage:
        """A page of what was booked from `since` until before `before` (microseconds), a span of at most
        `bills_span_seconds_max`. `page` is the `next_page` of the answer before, asked with the same span.
        """
        ...

    async def bills_of(self, provider_ids: tuple[str, ...], since: int) -> BillPage:
        """What was booked since then for these requests, at most `bills_asked_count_max` of them, in one page. A request without
        a bill is left out.
        """
        ...


class WebhookCheck(Protocol):
    """Whether a webhook is authentic. Keys are cached and fetched again at a bounded pace, which a forger MUST NOT be able to
    raise. Deadlines are inside; cancellation MUST pass.
    """

    async def check(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Verify signature and time over the raw body. Header names come in lower case. Raises `WebhookForged`, or
        `ProviderUnavailable` while the keys are not to be had.
        """
        ...

    async def close(self) -> None:
        """Free sockets; legal twice."""
        ...


class RouteHealth(Protocol):
    """What the circuit breaker of one provider knows. MUST NOT do I/O."""

    def health(self, endpoint: str) -> Health:
        """The health of a route, by its endpoint. A route never asked is OK."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that could be decoded: measured from its bytes."""

    content: bytes
    sha256: str
    mime_type: str
    extension: str
    width_px: int
    height_px: int
    has_alpha: bool
    thumbhash: bytes = b""
    average_color: str = ""


class Pictures(Protocol):
    """Reading pictures. MUST NOT block the event loop; raises `PictureInvalid`, `PictureTooLarge` (service.domain.failure)."""

    async def inspect(self, content: bytes, *, bytes_max: int, pixels_max: int) -> Picture:
        """Decode far enough to know that it is a whole picture, and measure it."""
        ...


class Downloads(Protocol):
    """Fetching pictures by URL. MUST NOT send credentials or follow redirects to elsewhere; bounded in bytes and time.

    Raises `DownloadFailed` (service.domain.failure; `final` when repeating is useless).
    """

    async def fetch_result(self, provider: str, url: str) -> bytes:
        """A provider's output, from the provider's own hosts only (data: URIs too)."""
        ...

    async def fetch_input(self, url: str) -> bytes:
        """A caller's input: https, public addresses only. Raises InputUrlRefused or InputUrlUnreachable instead."""
        ...


# ---------------------------------------------------------------- store


class Store(Protocol):
    """The one way to change state. See docs/architecture.md for the protocol."""

    async def execute(self, command: Any) -> Any:
        """Carry the command out in one transaction and answer its outcome after the commit.

        MUST be idempotent by the command's own keys; MUST leave no trace when it raises a `LightmeterError` of the decision;
        raises `StoreUnavailable` when the commit is not known after `store_answer_seconds_max` (evidence commands wait on).
        Cancellation of the caller MUST NOT undo a command that was handed in.
        """
        ...


class Hints(Protocol):
    """Wake-ups. Rows are the truth: losing every hint MUST only cost time."""

    def subscribe(self, *keys: str) -> HintSubscription:
        """Listen for changes of jobs and renders by id."""
        ...

    def publish(self, keys: tuple[str, ...]) -> None:
        """Wake whoever listens, here and on the other replicas. The store does this itself for what it changed."""
        ...


class HintSubscription(Protocol):
    """One listener. MUST be closed by whoever opened it; MAY wake without a change."""

    async def wait(self, seconds_max: float) -> bool:
        """Wait for a hint, at most this long. True when one came."""
        ...

    def add(self, key: str) -> None:
        """Listen for one more key."""
        ...

    def close(self) -> None:
        """Stop listening; legal twice."""
        ...


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


class LedgerReader(Protocol):
    """Reads of the books. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def costs(self, query: CostQuery) -> CostReport:
        """A report over totals."""
        ...

    async def transfers(self, query: TransferQuery) -> TransferPage:
        """A page of the journal."""
        ...

    async def budgets(self, project: str | None) -> tuple[BudgetState, ...]:
        """The live budgets with their current windows."""
        ...

    async def snapshot(self) -> LedgerSnapshot:
        """What /metrics/ledger shows."""
        ...

    async def verify(self) -> tuple[str, ...]:
        """Recompute everything from the transfers; one sentence per difference, empty when the books are right."""
        ...


class LedgerExports(Protocol):
    """What finance takes out of the books. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def charges(self, query: ChargeQuery) -> ChargePage:
        """A page of costs: posts, corrections, accruals; only what can't be followed by an earlier one any more."""
        ...

    async def statement(self, project: str, month: str) -> Statement:
        """The account of a project for a UTC month (`2026-11`), in one snapshot."""
        ...


class StorageReader(Protocol):
    """What is kept in the picture store, for its cost. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def shares(self, month_start: int, day: int, day_end: int) -> tuple[StoredShare, ...]:
        """What each project kept at `day_end`, wrote since `day`, and wrote between `month_start` and `day` (microseconds)."""
        ...


class BooksReader(Protocol):
    """What reconciliation compares, and what it found. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def attempts_used(
        self, provider: str, since: int, before: int, limit: int
    ) -> tuple[BilledAttempt, ...]:
        """The attempts at the provider that were sent and whose usage time is in the span (microseconds), oldest first."""
        ...

    async def attempts_of_ids(self, provider: str, provider_ids: tuple[str, ...]) -> Mapping[str, str]:
        """Which attempt has which of these ids: provider_id → attempt id."""
        ...

    async def reconciliations(self, query: ReconciliationQuery) -> ReconciliationPage:
        """A page of comparisons."""
        ...

    async def discrepancies(self, query: DiscrepancyQuery) -> DiscrepancyPage:
        """A page of charges in dispute."""
        ...


class Log(Protocol):
    """Structured log lines. MUST NOT be given prompts, keys, fingerprints or provider texts about balances."""

    def info(self, event: str, **fields: Any) -> Any:
        """Something worth knowing happened."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """Something went wrong that the service handles."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Something went wrong that an operator has to look at."""
        ...
