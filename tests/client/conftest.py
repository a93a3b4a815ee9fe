"""A scripted service, and a patient client of it whose waits are too short to notice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from lightmeter import AsyncClient, RetryPolicy
from lightmeter.cli.app import build
from typer.testing import CliRunner, Result

from tests.client.fake_service import FakeServer, Script

Run = Callable[..., Awaitable[Result]]
QUICK = RetryPolicy(attempts_max=4, first_seconds=0.001, wait_seconds_max=0.01)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    """A running fake service."""
    async with FakeServer() as running:
        yield running


@pytest.fixture
def script(server: FakeServer) -> Script:
    """What the fake service answers and was asked."""
    return server.script


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[AsyncClient]:
    """A client of the fake service."""
    async with AsyncClient(server.address, api_key="", project="", retry=QUICK) as connected:
        yield connected


@pytest.fixture
def run(server: FakeServer) -> Run:
    """Runs the command line against the fake service, in another thread than the service's."""

    async def invoke(*arguments: str) -> Result:
        runner = CliRunner(
            env={"LIGHTMETER_ADDRESS": server.address, "LIGHTMETER_API_KEY": "", "COLUMNS": "200"}
        )
        return await asyncio.to_thread(runner.invoke, build(), list(arguments))

    return invoke
