"""A replica with webhooks, late results and a provider's list, on fakes."""

import json
from collections.abc import Mapping
from dataclasses import replace

from service.core.late import LateResults, late_looks
from service.core.requests import Submitted
from service.core.webhooks import Took, Webhooks
from service.domain.exchange import Unclear, WebhookNotice
from service.domain.failure import WebhookForged
from service.domain.records import Attempt
from tests.support.clock import settle
from tests.support.memory_reads import MemoryWork
from tests.unit.core.rig import Rig

UNCLEAR = Unclear("timeout", "no answer")


class FakeCheck:
    """Implements `WebhookCheck`: a body names the ids, or an exception is raised in its place."""

    def __init__(self) -> None:
        self.fault: Exception | None = None

    async def check(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Believe it."""
        if self.fault is not None:
            raise self.fault
        ids = json.loads(body)
        if not ids:
            raise WebhookForged("no ids", kind="malformed_body")
        return WebhookNotice(ids[0], tuple(ids[1:]))

    async def close(self) -> None:
        """Nothing to free."""


class LateRig(Rig):
    """The rig with what comes after the end."""

    def __init__(self, *, webhooks_on: bool = False) -> None:
        super().__init__(webhooks_on=webhooks_on)
        self.work = MemoryWork(self.store, self.clock)
        self.late = LateResults(replace(self.context, work=self.work))
        self.look = late_looks(self.late, self.context)
        self.checks = {"fal": FakeCheck(), "replicate": FakeCheck()}
        self.webhooks = Webhooks(
            checks=self.checks,
            work=self.work,
            store=self.store,
            hints=self.store.hints,
            late=self.late,
            clock=self.clock,
            log=self.log,
            metrics=self.metrics,
        )

    async def close(self) -> None:
        """End what runs; a POST that is held back is let go, because its commit is waited for."""
        if self.fal.held_back is not None:
            self.fal.held_back.set()
        await self.late.stop()
        await self.runner.stop()

    async def hook(self, attempt: Attempt, *ids: str, provider: str = "") -> Took:
        """A webhook about an attempt, by its token."""
        body = json.dumps(ids).encode()
        return await self.webhooks.take(provider or attempt.provider, attempt.token, {}, body)

    async def unconfirmed(self, prompt: str = "a lighthouse", answer: Unclear = UNCLEAR) -> Submitted:
        """A job whose POST got no answer, and that was given up because the provider's list was away all the time."""
        self.fal.dispatches.append(answer)
        self.records["fal"].away = 1_000_000
        submitted = await self.submit(prompt)
        await self.finish()
        self.records["fal"].away = 0
        return submitted

    async def fetched(self, seconds_max: float = 4_000.0) -> None:
        """Let time pass until nothing is fetched aside any more; the books are right at the end."""
        ends = self.clock.monotonic() + seconds_max
        while self.late.running_count:
            await settle()
            step = self.clock.next_wake_seconds()
            if self.late.running_count and step is not None:
                self.clock.advance(step)
            assert self.clock.monotonic() < ends, "it does not end"
        self.check()

    async def looked(self) -> None:
        """One look at the rows, and what follows from it."""
        await self.late.look()
        await self.fetched()

    def took(self, took: Took, provider: str = "fal") -> float:
        """How often the metrics say that this became of a webhook."""
        labels = {"provider": provider, "outcome": took.value}
        return self.metrics.registry.get_sample_value("lightmeter_webhooks_total", labels) or 0.0
