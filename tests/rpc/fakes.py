"""What stands in the core's place: hand-written, scripted by each test, remembering what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from service.core.requests import Quote, Submission, Submitted, WatchEvent
from service.domain.commands import Cancelled
from service.domain.drawing import EditInputs
from service.domain.exchange import Health
from service.domain.failure import PictureInvalid, PictureTooLarge
from service.domain.oversight import Event
from service.domain.queries import (
    BudgetState,
    ChargePage,
    ChargeQuery,
    CostFigures,
    CostQuery,
    CostReport,
    JobPage,
    JobQuery,
    LedgerSnapshot,
    TransferPage,
    TransferQuery,
)
from service.domain.records import Asset, Attempt, Render, Transfer
from service.domain.statement import Statement
from service.domain.view import JobView
from service.ports import BlobInfo, Picture
from tests.rpc import samples


@dataclass
class FakeSubmissions:
    """Answers every submission with `answer`, or raises it; `hold` keeps it waiting, `reached` tells that it waits."""

    answer: Any = None
    asked: list[Submission] = field(default_factory=list)
    hold: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, submission: Submission) -> Submitted:
        """Remember and answer."""
        self.asked.append(submission)
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer or Submitted(samples.done_view(), replayed=False)


@dataclass
class FakeQuotes:
    """Answers every quote with `answer`, or raises it."""

    answer: Any = None
    asked: list[tuple[Submission, EditInputs | None]] = field(default_factory=list)

    async def quote(self, submission: Submission, inputs: EditInputs | None = None) -> Quote:
        """Remember and answer."""
        self.asked.append((submission, inputs))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@dataclass
class FakePictures:
    """Every picture is 64 by 32, except the bytes `broken` and `huge`."""

    async def inspect(self, content: bytes, *, bytes_max: int, pixels_max: int) -> Picture:
        """Measure without looking."""
        if content == b"broken":
            raise PictureInvalid("is no picture")
        if content == b"huge":
            raise PictureTooLarge("too many pixels", limit=pixels_max, actual=pixels_max + 1)
        return Picture(content, sha256(content).hexdigest(), "image/png", "png", 64, 32, has_alpha=False)


@dataclass
class FakeWatches:
    """Plays `events`: an event is sent, an error is raised, anything awaitable is awaited first."""

    events: list[Any] = field(default_factory=list)
    final: JobView | None = None
    asked: list[tuple[str, str | None, int, bool]] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    open_count: int = 0

    async def watch(
        self, job_id: str, project: str | None, after_version: int, *, logs: bool = False
    ) -> AsyncIterator[WatchEvent]:
        """Play the script."""
        self.asked.append((job_id, project, after_version, logs))
        self.open_count += 1
        try:
            for event in self.events:
                if isinstance(event, BaseException):
                    raise event
                if hasattr(event, "__await__"):
                    await event
                else:
                    yield event
        finally:
            self.open_count -= 1

    async def wait_final(self, view: JobView, seconds: float) -> JobView:
        """Remember for how long, and answer at once."""
        self.waited.append(seconds)
        return self.final or view


@dataclass
class FakeCancellations:
    """Answers every cancel with `answer`, or raises it."""

    answer: Any = None
    asked: list[tuple[str, str | None, str]] = field(default_factory=list)

    async def cancel(self, job_id: str, project: str | None, reason: str) -> Cancelled:
        """Remember and answer."""
        self.asked.append((job_id, project, reason))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@dataclass
class FakeJobs:
    """A JobReader over a list of views, in the order of their acceptance."""

    views: list[JobView] = field(default_factory=list)
    assets: dict[tuple[str, str], Asset] = field(default_factory=dict)
    asked: list[JobQuery] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)

    async def events(self, render_id: str) -> tuple[Event, ...]:
        """What was unusual about a render."""
        return tuple(one for one in self.told if one.render_id == render_id)

    async def view(self, job_id: str) -> JobView | None:
        """By id."""
        return next((one for one in self.views if one.job.id == job_id), None)

    async def view_by_request(self, project: str, request_id: str) -> JobView | None:
        """By the caller's id."""
        found = (one for one in self.views if (one.job.project, one.job.request_id) == (project, request_id))
        return next(found, None)

    async def page(self, query: JobQuery) -> JobPage:
        """Project, states, order and place are honoured; other filters are only remembered."""
        self.asked.append(query)
        keyed = sorted(
            (
                ((one.job.accepted_at, one.job.id), one)
                for one in self.views
                if one.job.project == query.project
            ),
            key=lambda pair: pair[0],
            reverse=query.newest_first,
        )
        if query.states:
            keyed = [(key, one) for key, one in keyed if one.job.state.value in query.states]
        if query.after is not None:
            after = query.after
            keyed = [(key, one) for key, one in keyed if (key < after if query.newest_first else key > after)]
        return JobPage(tuple(one for _, one in keyed[: query.limit]))

    async def due_jobs(self, limit: int) -> tuple[str, ...]:
        """None are due."""
        return ()

    async def asset(self, sha256: str, project: str | None) -> Asset | None:
        """Only what the project has."""
        return self.assets.get((sha256, project or ""))

    async def flight(self, scope: str, fingerprint: str) -> tuple[Render, tuple[Attempt, ...]] | None:
        """Nothing flies."""
        return None


@dataclass
class FakeLedger:
    """A LedgerReader over given rows."""

    report: CostReport = field(default_factory=lambda: CostReport((), CostFigures(), samples.T0))
    rows: list[Transfer] = field(default_factory=list)
    asked: list[CostQuery] = field(default_factory=list)
    asked_transfers: list[TransferQuery] = field(default_factory=list)

    async def costs(self, query: CostQuery) -> CostReport:
        """The given report, whatever was asked."""
        self.asked.append(query)
        return self.report

    async def transfers(self, query: TransferQuery) -> TransferPage:
        """Project, job and place are honoured."""
        self.asked_transfers.append(query)
        rows = [
            one
            for one in sorted(self.rows, key=lambda row: (row.booked_at, row.source, row.ordinal))
            if query.project in (None, one.project)
            and query.job_id in (None, one.job_id)
            and (query.after is None or (one.booked_at, one.source, one.ordinal) > query.after)
        ]
        return TransferPage(tuple(rows[: query.limit]), samples.T0 + 3_600 * samples.SECOND)

    states: list[BudgetState] = field(default_factory=list)
    pages: list[ChargePage] = field(default_factory=list)
    asked_charges: list[ChargeQuery] = field(default_factory=list)
    account: Statement | None = None

    async def budgets(self, project: str | None) -> tuple[BudgetState, ...]:
        """The given ones of the project."""
        return tuple(one for one in self.states if project in (None, one.budget.project))

    async def charges(self, query: ChargeQuery) -> ChargePage:
        """The next of the given pages."""
        self.asked_charges.append(query)
        return self.pages.pop(0)

    async def statement(self, project: str, month: str) -> Statement:
        """The given one, for whatever project and month."""
        assert self.account is not None, "a test gives the account"
        return replace(self.account, project=project, month=month)

    async def snapshot(self) -> LedgerSnapshot:
        """Never asked for by this door."""
        raise AssertionError("the gRPC door takes no snapshots")

    async def verify(self) -> tuple[str, ...]:
        """Right."""
        return ()


@dataclass
class FakeBlobs:
    """Blobs in memory."""

    content: dict[str, bytes] = field(default_factory=dict)
    url_expires_at: int | None = None

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Store if absent."""
        return self.content.setdefault(key, content) is content

    async def head(self, key: str) -> BlobInfo | None:
        """Whether it is there."""
        return BlobInfo(key, len(self.content[key]), "image/png") if key in self.content else None

    async def get(self, key: str) -> bytes | None:
        """The bytes."""
        return self.content.get(key)

    def url(self, key: str) -> tuple[str, int | None]:
        """Where a caller would read it."""
        return f"http://localhost/assets/{key}", self.url_expires_at

    def provider_url(self, key: str) -> str | None:
        """Nobody outside reads it."""
        return None

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class FakeLog:
    """Remembers lines."""

    lines: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)

    def info(self, event: str, **fields: Any) -> None:
        """Keep the line."""
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keep the line."""
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """Keep the line."""
        self.lines.append(("error", event, fields))


@dataclass
class FakeHealth:
    """A RouteHealth that a test sets."""

    by_endpoint: dict[str, Health] = field(default_factory=dict)

    def health(self, endpoint: str) -> Health:
        """OK unless set."""
        return self.by_endpoint.get(endpoint, Health.OK)
