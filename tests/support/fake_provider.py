"""Everything outside the process, by hand: a provider that does what it is told, a bucket, pictures, downloads, a log."""

import asyncio
import hashlib
import json
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.domain.absence import AbsenceRule
from service.domain.errors import InputUrlUnreachable, StorageUnavailable
from service.domain.exchange import (
    Accepted,
    CancelAnswer,
    DispatchAnswer,
    Ended,
    Listed,
    Order,
    Output,
    Result,
    Scan,
    Search,
    Stage,
    Status,
    Unclear,
)
from service.domain.failure import DownloadFailed, PictureInvalid, ProviderUnavailable
from service.domain.limits import MICROS_PER_SECOND
from service.domain.sent import input_digest
from service.ports import BlobInfo, Clock, Picture

QUEUED = Status(Stage.QUEUED, queue_position=2)
RUNNING = Status(Stage.RUNNING, fraction=0.5)
ENDED = Status(Stage.ENDED)
GONE = Status(Stage.GONE)


def success(*urls: str, **changes: Any) -> Result:
    """A result with these pictures, one by default, and a bill of one dollar-cent's worth for each."""
    told: dict[str, Any] = {
        "outputs": tuple(Output(url) for url in urls or ("https://provider.invalid/a.png",)),
        "metrics": {"image_output_count": Decimal(len(urls) or 1)},
        "expires_in_seconds": 3_600.0,
    }
    return Result(Ended.SUCCEEDED, **{**told, **changes})


FAL_ABSENCE = AbsenceRule(
    settle_seconds=900.0,
    waits=True,
    scans=2,
    scan_gap_seconds=30.0,
    within_seconds=None,
    dispatch_again=False,
)
REPLICATE_ABSENCE = AbsenceRule(
    settle_seconds=120.0,
    waits=False,
    scans=2,
    scan_gap_seconds=30.0,
    within_seconds=3_000.0,
    dispatch_again=True,
)


@dataclass(frozen=True, slots=True)
class ReplyLost(Unclear):
    """The provider took it, and its answer was lost. Its list shows it so many seconds later."""

    provider_id: str = "unheard"
    listed_after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request that the provider has."""

    listed: Listed
    endpoint: str
    digest: str
    listed_from: int


class FakeProvider:
    """Implements `Provider`. Each queue is emptied in order; an exception in it is raised; an empty one means: all is well.

    `posted` has the order of every POST; `late` many dispatches find that their window has passed.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self.dispatches: deque[DispatchAnswer] = deque()
        self.polls: deque[Status | Exception] = deque()
        self.results: deque[Result | Exception] = deque()
        self.cancels: deque[CancelAnswer | Exception] = deque()
        self.last_poll: Status | Exception = ENDED
        """What polls answer once their queue is empty."""
        self.late = 0
        self.posted: list[Order] = []
        self.polled: list[float] = []
        """The monotonic time of each poll."""
        self.cancelled: list[str] = []
        self.uploads: list[bytes] = []
        self.arrivals: list[Arrival] = []
        """What its list has."""
        self.held_back: asyncio.Event | None = None
        """When set, a POST waits for it."""

    @property
    def name(self) -> str:
        """Which provider it plays."""
        return self._name

    @property
    def clock(self) -> Clock:
        """Its time."""
        return self._clock

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Take the order, unless it is late."""
        if self.late or self._clock.monotonic() > send_before:
            self.late = max(0, self.late - 1)
            return None
        self.posted.append(order)
        provider_id = f"{self._name}-{len(self.posted)}"
        if self.held_back is not None:
            await self.held_back.wait()
        answer = self.dispatches.popleft() if self.dispatches else Accepted(provider_id)
        if isinstance(answer, ReplyLost):
            self.arrive(order, answer.provider_id, listed_after_seconds=answer.listed_after_seconds)
        elif isinstance(answer, Accepted):
            self.arrive(order, answer.provider_id)
        return answer

    def arrive(self, order: Order, provider_id: str, *, listed_after_seconds: float = 0.0) -> None:
        """Take a request in, whatever its sender is told."""
        now = self._clock.now()
        listed_from = now + int(listed_after_seconds * MICROS_PER_SECOND)
        digest = input_digest(json.loads(order.body))
        self.arrivals.append(Arrival(Listed(provider_id, now), order.endpoint, digest, listed_from))

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """One look."""
        await asyncio.sleep(0)
        self.polled.append(self._clock.monotonic())
        return _next(self.polls, self.last_poll)

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """The result."""
        await asyncio.sleep(0)
        return _next(self.results, success())

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Ask to stop."""
        self.cancelled.append(provider_id)
        return _next(self.cancels, CancelAnswer.CANCELLED)

    async def upload(self, content: bytes, mime_type: str) -> str:
        """Take an input."""
        self.uploads.append(content)
        return f"https://{self._name}.invalid/{len(self.uploads)}"

    async def close(self) -> None:
        """Nothing to free."""

    def bodies(self) -> list[dict[str, Any]]:
        """What each POST said."""
        return [json.loads(order.body) for order in self.posted]


class FakeRecords:
    """Implements `ProviderRecords` on what a FakeProvider has. `away` many readings fail, `incomplete` many end too early."""

    def __init__(self, provider: FakeProvider, absence: AbsenceRule) -> None:
        self._provider = provider
        self._absence = absence
        self.away = 0
        self.faults: deque[Exception] = deque()
        """What the next readings raise."""
        self.incomplete = 0
        self.others: tuple[str, ...] = ()
        """Ids that may be the request in another spelling."""
        self.searched: list[float] = []
        """The monotonic time of each reading."""
        self.hanging: asyncio.Event | None = None
        """When set, a reading waits for it."""

    @property
    def absence(self) -> AbsenceRule:
        """When silence proves something."""
        return self._absence

    async def find(self, search: Search) -> Scan:
        """Read the list."""
        await asyncio.sleep(0)
        clock = self._provider.clock
        self.searched.append(clock.monotonic())
        if self.hanging is not None:
            await self.hanging.wait()
        if self.faults:
            raise self.faults.popleft()
        if self.away:
            self.away -= 1
            raise ProviderUnavailable("502")
        complete = not self.incomplete
        self.incomplete = max(0, self.incomplete - 1)
        if not complete:
            return Scan((), complete=False)
        found = [
            one.listed
            for one in self._provider.arrivals
            if (one.endpoint, one.digest) == (search.endpoint, search.input_digest)
            and one.listed_from <= clock.now()
            and search.sent_from <= one.listed.sent_at < search.sent_before
        ]
        return Scan(tuple(sorted(found, key=lambda one: one.sent_at)), complete=True, others=self.others)

    async def close(self) -> None:
        """Nothing to free."""


def _next(queue: deque[Any], otherwise: Any) -> Any:
    answer = queue.popleft() if queue else otherwise
    if isinstance(answer, Exception):
        raise answer
    return answer


class FakeBlobs:
    """Implements `Blobs` in a dictionary. `away` many calls fail."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.away = 0
        self.puts: list[str] = []
        self.readable = True
        """Whether providers can read it."""

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise StorageUnavailable("the bucket is away")

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Store if absent."""
        await asyncio.sleep(0)
        self._answer()
        self.puts.append(key)
        return self.stored.setdefault(key, content) is content

    async def head(self, key: str) -> BlobInfo | None:
        """Look."""
        self._answer()
        return BlobInfo(key, len(self.stored[key]), "image/png") if key in self.stored else None

    async def get(self, key: str) -> bytes | None:
        """Read."""
        self._answer()
        return self.stored.get(key)

    def url(self, key: str) -> tuple[str, int | None]:
        """For callers."""
        return f"https://bucket.invalid/{key}", None

    def provider_url(self, key: str) -> str | None:
        """For providers."""
        return f"https://bucket.invalid/{key}" if self.readable else None

    async def close(self) -> None:
        """Nothing to free."""


class FakePictures:
    """Implements `Pictures`: bytes that begin with `bad` are no picture, all others are 1024 by 1024 pixels."""

    async def inspect(self, content: bytes, *, bytes_max: int, pixels_max: int) -> Picture:
        """Measure."""
        if content.startswith(b"bad"):
            raise PictureInvalid("not a picture")
        return Picture(content, hashlib.sha256(content).hexdigest(), "image/png", "png", 1024, 1024, False)


class FakeDownloads:
    """Implements `Downloads`: every address answers its own words, unless `answers` has something else for it."""

    def __init__(self) -> None:
        self.answers: dict[str, deque[bytes | Exception]] = {}
        self.fetched: list[str] = []

    def say(self, url: str, *answers: bytes | Exception) -> None:
        """What the next fetches of this address get."""
        self.answers.setdefault(url, deque()).extend(answers)

    async def fetch_result(self, provider: str, url: str) -> bytes:
        """A provider's output."""
        await asyncio.sleep(0)
        self.fetched.append(url)
        content: bytes = _next(self.answers.get(url, deque()), url.encode())
        return content

    async def fetch_input(self, url: str) -> bytes:
        """A caller's input."""
        try:
            return await self.fetch_result("", url)
        except DownloadFailed as error:
            raise InputUrlUnreachable(str(error)) from error


class FakeLog:
    """Implements `Log`: keeps the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keep it."""
        self.events.append((event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keep it."""
        self.events.append((event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """Keep it."""
        self.events.append((event, fields))

    def names(self) -> list[str]:
        """The events in order."""
        return [event for event, _ in self.events]
