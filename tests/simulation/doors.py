"""What one replica sees of the world: its clock, the providers, the picture store, downloads, its log. Everything can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from service.domain.absence import AbsenceRule
from service.domain.errors import Reason, StorageUnavailable
from service.domain.exchange import (
    Accepted,
    CancelAnswer,
    DispatchAnswer,
    Order,
    Refused,
    Result,
    Scan,
    Search,
    Status,
    Unclear,
    WebhookNotice,
)
from service.domain.failure import (
    DownloadFailed,
    Failure,
    Fault,
    ProviderDenied,
    ProviderUnavailable,
    RetryAdvice,
    WebhookForged,
)
from service.domain.limits import dispatch_post_seconds_max, provider_call_seconds_max
from service.ports import BlobInfo
from tests.simulation.cloud import Cloud
from tests.simulation.gate import Gate
from tests.simulation.loop import VirtualLoop
from tests.simulation.mishaps import Mishaps

STARTED = 1_767_225_540_000_000
"""2025-12-31T23:59Z: day, month and year end in the middle of the load."""


def micros(seconds: float) -> int:
    """A second of the run as the world's time of day."""
    return STARTED + round(seconds * 1_000_000)


class WorldClock:
    """Implements `Clock` for the database and whoever else is never wrong about the time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> int:
        """The world's time."""
        return micros(self._loop.time())

    def monotonic(self) -> float:
        """Seconds of the run."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(0.0, seconds))


class ReplicaClock(WorldClock):
    """A replica's clock: a little wrong about the time of day; it goes on while the replica is stopped."""

    def __init__(
        self, loop: VirtualLoop, skew_seconds: float, boot_seconds: float, pace: Callable[[float], float]
    ) -> None:
        super().__init__(loop)
        self._pace = pace
        self._skew = round(skew_seconds * 1_000_000)
        self._boot = boot_seconds

    def now(self) -> int:
        """The time of day as this replica believes it to be."""
        return super().now() + self._skew

    def monotonic(self) -> float:
        """Seconds since it was switched on."""
        return super().monotonic() + self._boot

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(0.0, self._pace(seconds)))


class ProviderDoor:
    """Implements `Provider` and `ProviderRecords`: one POST at most, everything doubtful is Unclear."""

    def __init__(
        self, cloud: Cloud, gate: Gate, loop: VirtualLoop, mishaps: Mishaps, clock: ReplicaClock
    ) -> None:
        self._cloud = cloud
        self._gate = gate
        self._loop = loop
        self._mishaps = mishaps
        self._clock = clock

    @property
    def name(self) -> str:
        """Which provider."""
        return self._cloud.name

    @property
    def absence(self) -> AbsenceRule:
        """What its list proves."""
        return self._cloud.absence

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """The one POST, unless it is too late for it."""
        await self._gate.silence(0.001)
        if self._clock.monotonic() > send_before:
            return None
        return await self.post(order, send_before)

    async def post(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """What the wire makes of it."""
        mishaps, weather, random = self._mishaps, self._mishaps.weather, self._mishaps.random
        there, back = random.uniform(0.01, 0.1), random.uniform(0.01, 0.1)
        if mishaps.happens(weather.refused):
            return await self._gate.call("POST.refused", lambda: refusal(random.randrange(6)), there=there)
        patience = random.choice((0.5, 5.0, dispatch_post_seconds_max))
        if mishaps.happens(weather.post_lost):
            await self._gate.silence(patience)
            return Unclear("timeout", "no answer in time")
        if mishaps.happens(weather.post_slow):
            there = random.choice((random.uniform(1.0, 29.0), random.uniform(29.0, 55.0)))
        lost = mishaps.happens(weather.reply_lost)
        if lost or there + back > dispatch_post_seconds_max:
            self._gate.later(there, lambda: self._cloud.accept(order) and None)
            await self._gate.silence(patience if lost else dispatch_post_seconds_max)
            return Unclear(random.choice(("timeout", "http_502", "broken")), "no usable answer")

        began = self._loop.time()

        def accept() -> DispatchAnswer | None:
            if self._loop.time() - began > there + 0.001 and self._clock.monotonic() >= send_before:
                return None  # the process stood still before the first byte had left, and looked at its clock once more
            return Accepted(self._cloud.accept(order).provider_id)

        return await self._gate.call("POST", accept, there=there, back=back)

    async def _look(self, name: str, effect: Callable[[], Any]) -> Any:
        """A call that may be repeated."""
        mishaps, weather, random = self._mishaps, self._mishaps.weather, self._mishaps.random
        if mishaps.happens(weather.unavailable):
            error = ProviderUnavailable(
                "no answer", retry_after_seconds=random.choice((None, None, 2.0, 20.0))
            )
            after = random.choice((0.05, 0.05, provider_call_seconds_max))
            return await self._gate.refuse(name + ".unavailable", error, after=after)
        if mishaps.happens(weather.denied):
            return await self._gate.refuse(
                name + ".denied", ProviderDenied("the account is locked"), after=0.05
            )
        return await self._gate.call(name, effect, there=0.03, back=0.02)

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """One look."""
        answer: Status = await self._look("poll", lambda: self._cloud.status(provider_id))
        return answer

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """The result."""

        def read() -> Result:
            result = self._cloud.result(provider_id)
            if result is None:
                raise ProviderUnavailable("there is no result yet")
            return result

        answer: Result = await self._look("result", read)
        return answer

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Ask it to stop."""
        answer: CancelAnswer = await self._look("cancel", lambda: self._cloud.cancel(provider_id))
        return answer

    async def upload(self, content: bytes, mime_type: str) -> str:
        """Take an input."""
        answer: str = await self._look("upload", lambda: f"https://{self.name}.invalid/upload")
        return answer

    async def find(self, search: Search) -> Scan:
        """Read its list."""
        weather = self._mishaps.weather
        if weather.list_dead == "away" or self._mishaps.happens(weather.list_away):
            await self._gate.refuse("find.away", ProviderUnavailable("the list is away"), after=0.5)
        answer: Scan = await self._look("find", lambda: self._cloud.listed(search, micros))
        return answer

    async def close(self) -> None:
        """Nothing to free."""


def refusal(kind: int) -> Refused:
    """One of the ways in which a provider refuses."""
    failure = Failure(Reason.RATE_LIMITED, "refused", Fault.PROVIDER, RetryAdvice.FREE)
    match kind:
        case 0 | 1:
            return Refused(failure, "rate_limited", retry_after_seconds=2.0)
        case 2:
            return Refused(failure, "unreachable")
        case 3:
            return Refused(failure, "account_blocked")
        case 4:
            rejected = Failure(Reason.CONTENT_REJECTED, "not this", Fault.CALLER, RetryAdvice.NEVER)
            return Refused(rejected, "content", fatal=True)
        case _:
            return Refused(failure, "invalid_input")


class Bucket:
    """What is in the picture store."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}


class BlobsDoor:
    """Implements `Blobs`."""

    def __init__(self, bucket: Bucket, gate: Gate, mishaps: Mishaps) -> None:
        self._bucket = bucket
        self._gate = gate
        self._mishaps = mishaps

    async def _ask(self, name: str, effect: Callable[[], Any]) -> Any:
        if self._mishaps.storage_fails():
            if name == "put" and self._mishaps.random.random() < 0.5:
                self._gate.later(0.1, effect)  # stored, and nobody is told
            return await self._gate.refuse(
                name + ".away", StorageUnavailable("the bucket is away"), after=2.0
            )
        return await self._gate.call(name, effect, there=0.01, back=0.005)

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Store if absent."""
        answer: bool = await self._ask("put", lambda: self._bucket.stored.setdefault(key, content) is content)
        return answer

    async def head(self, key: str) -> BlobInfo | None:
        """Look."""
        stored = self._bucket.stored
        answer: BlobInfo | None = await self._ask(
            "head", lambda: BlobInfo(key, len(stored[key]), "image/png") if key in stored else None
        )
        return answer

    async def get(self, key: str) -> bytes | None:
        """Read."""
        answer: bytes | None = await self._ask("get", lambda: self._bucket.stored.get(key))
        return answer

    def url(self, key: str) -> tuple[str, int | None]:
        """For callers."""
        return f"https://bucket.invalid/{key}", None

    def provider_url(self, key: str) -> str | None:
        """For providers."""
        return None if self._mishaps.weather.private else f"https://bucket.invalid/{key}"

    async def close(self) -> None:
        """Nothing to free."""


class DownloadsDoor:
    """Implements `Downloads`."""

    def __init__(self, clouds: Mapping[str, Cloud], gate: Gate, mishaps: Mishaps) -> None:
        self._clouds = clouds
        self._gate = gate
        self._mishaps = mishaps

    async def fetch_result(self, provider: str, url: str) -> bytes:
        """A provider's output."""
        if self._mishaps.happens(self._mishaps.weather.download_fails):
            await self._gate.refuse("download.fails", DownloadFailed("broken off", final=False), after=1.0)

        def fetch() -> bytes:
            content = self._clouds[provider].picture(url)
            if content is None:
                raise DownloadFailed("gone", final=True)
            return content

        return await self._gate.call("download", fetch, there=0.05, back=0.1)

    async def fetch_input(self, url: str) -> bytes:
        """A caller's input."""
        return await self._gate.call("input", url.encode, there=0.05)


class Signatures:
    """Implements `WebhookCheck`: a webhook says by itself whether it is forged, and which request it is about."""

    def __init__(self, gate: Gate, mishaps: Mishaps) -> None:
        self._gate = gate
        self._mishaps = mishaps

    async def check(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Whether it is authentic."""
        if self._mishaps.happens(self._mishaps.weather.unavailable):
            await self._gate.refuse("keys", ProviderUnavailable("the keys are away"), after=1.0)
        if headers.get("x-signature") != "good":
            raise WebhookForged("not signed by the provider", kind="signature")
        return WebhookNotice(body.decode())

    async def close(self) -> None:
        """Nothing to free."""


class LogDoor:
    """Implements `Log`: into the trace; a fault of ours is broken to the witness."""

    def __init__(self, note: Callable[..., None], broken: Callable[..., None]) -> None:
        self._note = note
        self._broken = broken

    def info(self, event: str, **fields: Any) -> None:
        """Something happened."""
        self._note("log " + event, *(str(one) for name, one in fields.items() if name != "exc_info"))

    def warning(self, event: str, **fields: Any) -> None:
        """Something went wrong."""
        self.info(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something that an operator has to look at."""
        self.info(event, **fields)
        if event in ("render_stopped", "duty_ended"):
            self._broken(f"{event}: {fields.get('error')}", str(fields.get("render", "")))
