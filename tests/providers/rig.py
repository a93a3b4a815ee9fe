"""An adapter, the sandbox that it talks to, and a clock in the test's hand."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from sandbox import Sandbox, SandboxOptions
from service.domain.exchange import Accepted, DispatchAnswer, Order
from service.ports import Provider
from service.providers.fal import FalProvider
from service.providers.replicate import ReplicateProvider
from service.providers.wire import trust
from tests.support.clock import FakeClock

FAL_ENDPOINT = "fal-ai/flux/dev"
REPLICATE_ENDPOINT = "black-forest-labs/flux-schnell"
SDXL = "stability-ai/sdxl:7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
TOKEN = "0123456789abcdef0123456789abcdef"


def order(provider: str, endpoint: str, **inputs: Any) -> Order:
    """An order for one picture."""
    body = json.dumps({"prompt": "a fox", "seed": 7, **inputs}).encode()
    return Order(provider, endpoint, body, TOKEN, start_timeout_seconds=600, run_seconds_max=60)


@dataclass
class Rig:
    """One provider at one sandbox."""

    sandbox: Sandbox
    provider: Provider
    denied: Provider
    """The same provider with a key that is not accepted."""
    clock: FakeClock
    endpoint: str

    def fault(self, kind: str, *, times: int | None = 1, **args: Any) -> None:
        """Order a fault for the next request."""
        wish = {"kind": kind, "args": args, "times": times, "provider": self.provider.name}
        self.sandbox.world.faults.order(wish)

    async def send(
        self, *, seconds_left: float = 5.0, endpoint: str = "", **inputs: Any
    ) -> DispatchAnswer | None:
        """Dispatch one order."""
        wanted = order(self.provider.name, endpoint or self.endpoint, **inputs)
        return await self.provider.dispatch(wanted, self.clock.monotonic() + seconds_left)

    async def accepted(self, *, endpoint: str = "", **inputs: Any) -> str:
        """Dispatch one order that is accepted; its id."""
        answer = await self.send(endpoint=endpoint, **inputs)
        assert isinstance(answer, Accepted)
        return answer.provider_id

    @property
    def counts(self) -> tuple[int, int]:
        """POSTs that the provider saw, and requests that it accepted."""
        totals = self.sandbox.world.book.totals[self.provider.name]
        return totals.posts, totals.accepted


@cache
def tls() -> ssl.SSLContext:
    """Made once: it takes 25 ms."""
    return trust()


def make_fal(url: str, clock: FakeClock, *, key: str = "sandbox:key", **args: Any) -> FalProvider:
    """fal at `url`, the root of what plays it."""
    return FalProvider(
        key, clock, queue_url=f"{url}/queue", rest_url=f"{url}/rest", cdn_url=url, tls=tls(), **args
    )


def make_replicate(url: str, clock: FakeClock, *, key: str = "sandbox:key", **args: Any) -> ReplicateProvider:
    """Replicate at `url`."""
    return ReplicateProvider(key, clock, base_url=url, tls=tls(), **args)


@asynccontextmanager
async def fal_rig(*, instant: bool = True, **args: Any) -> AsyncIterator[Rig]:
    """fal, played by a sandbox of its own."""
    clock = FakeClock()
    async with Sandbox(SandboxOptions(seed=1, instant=instant)) as sandbox:
        provider = make_fal(sandbox.fal_url, clock, **args)
        denied = make_fal(sandbox.fal_url, clock, key="sandbox:invalid")
        try:
            yield Rig(sandbox, provider, denied, clock, FAL_ENDPOINT)
        finally:
            await provider.close()
            await denied.close()


@asynccontextmanager
async def replicate_rig(*, instant: bool = True, **args: Any) -> AsyncIterator[Rig]:
    """Replicate, played by a sandbox of its own."""
    clock = FakeClock()
    async with Sandbox(SandboxOptions(seed=1, instant=instant)) as sandbox:
        provider = make_replicate(sandbox.replicate_url, clock, **args)
        denied = make_replicate(sandbox.replicate_url, clock, key="sandbox:invalid")
        try:
            yield Rig(sandbox, provider, denied, clock, REPLICATE_ENDPOINT)
        finally:
            await provider.close()
            await denied.close()
