"""An adapter's books and webhook check, the sandbox that they read, and a receiver of its webhooks."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.book import Entry
from service.domain.exchange import Search
from service.domain.limits import MICROS_PER_SECOND
from service.domain.sent import input_digest
from service.ports import ProviderBills, ProviderRecords, WebhookCheck
from service.providers.fal_records import FalRecords
from service.providers.fal_webhooks import FalWebhooks
from service.providers.replicate_records import ReplicateRecords
from service.providers.replicate_webhooks import ReplicateWebhooks
from tests.providers.rig import Rig, fal_rig, order, replicate_rig, tls
from tests.sandbox.receiver import Delivery, Receiver
from tests.support.clock import FakeClock


class Books(ProviderRecords, ProviderBills, Protocol):
    """What one class offers to searches and to reconciliation."""


@dataclass
class BooksRig:
    """One provider's books at one sandbox. `clock` starts at the true time, by which the sandbox dates webhooks."""

    rig: Rig
    books: Books
    bounded: Books
    """The same, reading one page at most."""
    denied: Books
    check: WebhookCheck
    clock: FakeClock
    receiver: Receiver

    def fault(self, kind: str, **args: Any) -> None:
        """Order a fault for the next request."""
        self.rig.fault(kind, **args)

    def trouble(self, endpoint: str, *, times: int = 1, **args: Any) -> None:
        """Order an answer of a list, or of the keys of webhooks."""
        wish = {"kind": "list_unavailable", "endpoint": endpoint, "times": times, "args": args}
        self.rig.sandbox.world.faults.order({**wish, "provider": self.rig.provider.name})

    def search(self, *, before: float = 120.0, after: float = 120.0, **inputs: Any) -> Search:
        """A search for what `send` sends, so many seconds round now."""
        body = json.loads(order(self.rig.provider.name, self.rig.endpoint, **inputs).body)
        now = int(self.rig.sandbox.world.clock.now().timestamp() * MICROS_PER_SECOND)
        return Search(
            self.rig.endpoint,
            input_digest(body),
            now - int(before * MICROS_PER_SECOND),
            now + int(after * MICROS_PER_SECOND),
        )

    @property
    def entries(self) -> list[Entry]:
        """What the sandbox accepted, oldest first."""
        return list(self.rig.sandbox.world.book.newest_first(self.rig.provider.name))[::-1]  # type: ignore[arg-type]  # a Literal there

    async def delivered(self, kind: str = "", **args: Any) -> Delivery:
        """What the first webhook of a request brings that has this fault."""
        if kind:
            self.fault(kind, **args)
        await self.rig.accepted()
        return await self.receiver.next()

    @property
    def span(self) -> tuple[int, int]:
        """A day round now, in microseconds."""
        now = int(self.rig.sandbox.world.clock.now().timestamp() * MICROS_PER_SECOND)
        half = 12 * 3600 * MICROS_PER_SECOND
        return now - half, now + half


def now_clock() -> FakeClock:
    """A clock that stands at the true time."""
    return FakeClock(time.time_ns() // 1_000)


@asynccontextmanager
async def fal_books(*, instant: bool = True, **args: Any) -> AsyncIterator[BooksRig]:
    """fal's."""
    clock = now_clock()
    async with Receiver() as receiver, fal_rig(instant=instant, webhook_base_url=receiver.url) as rig:
        url = rig.sandbox.fal_url
        made: Mapping[str, Any] = {"platform_url": f"{url}/api/v1", "tls": tls(), **args}
        books = FalRecords("sandbox:key", clock, **made)
        bounded = FalRecords("sandbox:key", clock, **made, pages_max=1)
        denied = FalRecords("sandbox:invalid", clock, **made)
        check = FalWebhooks(clock, rest_url=f"{url}/rest", tls=tls())
        try:
            yield BooksRig(rig, books, bounded, denied, check, clock, receiver)
        finally:
            for one in (books, bounded, denied, check):
                await one.close()


@asynccontextmanager
async def replicate_books(*, instant: bool = True, **args: Any) -> AsyncIterator[BooksRig]:
    """Replicate's."""
    clock = now_clock()
    async with Receiver() as receiver, replicate_rig(instant=instant, webhook_base_url=receiver.url) as rig:
        made: Mapping[str, Any] = {"base_url": rig.sandbox.replicate_url, "tls": tls(), **args}
        books = ReplicateRecords("sandbox:key", clock, **made)
        bounded = ReplicateRecords("sandbox:key", clock, **made, pages_max=1)
        denied = ReplicateRecords("sandbox:invalid", clock, **made)
        check = ReplicateWebhooks("sandbox:key", clock, base_url=rig.sandbox.replicate_url, tls=tls())
        try:
            yield BooksRig(rig, books, bounded, denied, check, clock, receiver)
        finally:
            for one in (books, bounded, denied, check):
                await one.close()
