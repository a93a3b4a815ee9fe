"""Sandboxes, the providers' own packages pointed at them, and a receiver of webhooks."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import fal_client
import fal_client.client as fal_module
import httpx
import pytest
from replicate.client import Client

from sandbox import Sandbox, SandboxOptions
from tests.sandbox.receiver import Receiver

FAL_KEY = {"Authorization": "Key sandbox:key"}
REPLICATE_KEY = {"Authorization": "Bearer sandbox-key"}

Start = Callable[..., Awaitable[Sandbox]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start sandboxes with the given options; all are stopped at the end, and none may have failed inside."""
    async with AsyncExitStack() as stack:
        running: list[Sandbox] = []

        async def one(**options: Any) -> Sandbox:
            sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(**{"seed": 1, **options})))
            running.append(sandbox)
            return sandbox

        yield one
        assert [] == [failure for sandbox in running for failure in sandbox.world.chores.failures]


@pytest.fixture
async def instant(start: Start) -> Sandbox:
    """A sandbox whose requests end before their submit is answered."""
    return await start(instant=True, billing_delay_seconds=0.0)


@pytest.fixture
async def slow(start: Start) -> Sandbox:
    """A sandbox at its real pace; tests let its time pass with the clock."""
    return await start()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client that follows nothing and retries nothing."""
    # A bare context: nothing here speaks TLS, and loading certificates would take longer than most tests.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(timeout=10, trust_env=False, verify=context) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """An address for webhooks."""
    async with Receiver() as one:
        yield one


@contextmanager
def pointed_at(sandbox: Sandbox, **constants: Any) -> Iterator[None]:
    """fal-client's addresses, set to the sandbox for a while: the package has no argument for them."""
    wanted = {
        "QUEUE_URL_FORMAT": f"{sandbox.fal_url}/queue/",
        "RUN_URL_FORMAT": f"{sandbox.fal_url}/run/",
        "REST_URL": f"{sandbox.fal_url}/rest",
        "CDN_URL": sandbox.fal_url,
        **constants,
    }
    before = {name: getattr(fal_module, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(fal_module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(fal_module, name, value)


@asynccontextmanager
async def replicate_client(sandbox: Sandbox) -> AsyncIterator[Client]:
    """The real client at the sandbox, polling often."""
    client = Client(api_token="sandbox-key", base_url=sandbox.replicate_url)
    client.poll_interval = 0.01
    try:
        yield client
    finally:
        await client._async_client.aclose()


class FalClients:
    """Makes fal clients and closes them."""

    def __init__(self) -> None:
        self._clients: list[fal_client.AsyncClient] = []

    def __call__(self) -> fal_client.AsyncClient:
        client = fal_client.AsyncClient(key="sandbox:key")
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await (await client._client).aclose()


@pytest.fixture
async def fal_clients() -> AsyncIterator[FalClients]:
    """The real fal-client package."""
    clients = FalClients()
    yield clients
    await clients.close()
