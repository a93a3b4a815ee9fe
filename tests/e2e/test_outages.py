"""What the service stands on goes away: callers are told at once, nothing accepted is lost, work resumes by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lightmeter import NO_RETRY, AsyncClient, Drawing, Job
from lightmeter.errors import JobFailed, LightmeterError, Unavailable

from sandbox import Sandbox
from tests.chaos.processes import Postgres, postgres
from tests.chaos.proxy import Proxy
from tests.support.postgres import running_postgres
from tests.support.replica import Replica, billed_nanos, posts, running_replica, running_sandbox
from tests.support.seaweed import S3Server, running_s3_server

TOLD_SECONDS_MAX = 5.0
"""The store answers within 3 s; the rest is for a busy machine."""
BACK_SECONDS_MAX = 40.0
BURST = 20


@dataclass
class Wired:
    """A replica that reaches its database, its bucket and its providers through proxies."""

    replica: Replica
    sandbox: Sandbox
    postgres: Postgres
    database: Proxy
    pictures: Proxy
    providers: Proxy

    def impatient(self) -> AsyncClient:
        """A client that repeats nothing."""
        return AsyncClient(
            self.replica.application.grpc_address, api_key="", project="studio", retry=NO_RETRY
        )

    async def ready(self) -> bool:
        """Whether the replica wants calls."""
        return (await self.replica.http("/readyz")).status_code == 200

    async def until_ready(self) -> None:
        """Wait until it does."""
        async with asyncio.timeout(BACK_SECONDS_MAX):
            while not await self.ready():  # noqa: ASYNC110 -- the page is all that tells
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A PostgreSQL that may be restarted; each test has a database of its own in it."""
    with running_postgres():
        yield


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with an empty bucket."""
    with running_s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@asynccontextmanager
async def _forwarding(upstream: Path | tuple[str, int]) -> AsyncIterator[Proxy]:
    proxy = Proxy(upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


@asynccontextmanager
async def _away(wire: Proxy, *, silent: bool = False) -> AsyncIterator[None]:
    """Nothing passes on a wire while the block runs: refused, or in silence."""
    if silent:
        wire.flowing.clear()
    else:
        await wire.refuse()
    try:
        yield
    finally:
        if silent:
            wire.flowing.set()
        else:
            await wire.start()


@pytest.fixture
async def wired(tmp_path: Path, server: None, bucket: S3Server) -> AsyncIterator[Wired]:
    """One replica, everything around it real, and a proxy on each wire."""
    async with AsyncExitStack() as stack:
        running, url = stack.enter_context(postgres())
        yield await _wire_up(stack, tmp_path, running, urlsplit(url).path, bucket)


async def _wire_up(
    stack: AsyncExitStack, folder: Path, running: Postgres, database_name: str, bucket: S3Server
) -> Wired:
    enter = stack.enter_async_context
    sandbox = await enter(running_sandbox(instant=False, speed=20.0))
    database = await enter(_forwarding(running.socket))
    pictures = await enter(_forwarding(_place(bucket.endpoint_url)))
    providers = await enter(_forwarding(_place(sandbox.url)))
    replica = await enter(
        running_replica(
            folder,
            sandbox,
            database_url=f"postgresql://postgres@127.0.0.1:{database.port}{database_name}?sslmode=disable",
            bucket=S3Server(f"http://127.0.0.1:{pictures.port}", bucket.bucket),
            settings={"LIGHTMETER_SANDBOX_URL": f"http://127.0.0.1:{providers.port}"},
        )
    )
    return Wired(replica, sandbox, running, database, pictures, providers)


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _fox(number: object) -> Drawing:
    return Drawing(model="flux-schnell", prompt=f"a fox, number {number}", size="512x512")


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while not done():  # noqa: ASYNC110 -- the providers' book has no bell
            await asyncio.sleep(0.02)


async def _told(call: Awaitable[Any]) -> Unavailable:
    """The refusal of a call, which came in time and says when to ask again."""
    began = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await call
    assert time.monotonic() - began < TOLD_SECONDS_MAX
    assert (refused.value.retry_after or 0) > 0
    return refused.value


async def _drawn(client: AsyncClient, name: str) -> list[Job]:
    """A burst of pictures, by the client with its usual patience."""
    return list(
        await asyncio.gather(
            *(client.generate(_fox(f"{name} {number}"), timeout=BACK_SECONDS_MAX) for number in range(BURST))
        )
    )


def _paid_once(jobs: list[Job], sandbox: Sandbox) -> None:
    assert {"SUCCEEDED"} == {job.state for job in jobs}
    assert len(jobs) == posts(sandbox)
    assert billed_nanos(sandbox) == sum(job.receipt.charged.nanos for job in jobs)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_database_restart_costs_time_only(wired: Wired, mode: str) -> None:
    """PostgreSQL is restarted in the middle of a burst: every picture comes, each paid once, and the books are right."""
    burst = asyncio.ensure_future(_drawn(wired.replica.client(), mode))
    await _until(lambda: posts(wired.sandbox) > 0)
    await wired.postgres.restart(mode)
    _paid_once(await burst, wired.sandbox)
    await wired.until_ready()


@pytest.mark.parametrize("silent", [False, True], ids=["refusing", "silent"])
async def test_callers_are_told_at_once_that_the_database_is_away(wired: Wired, silent: bool) -> None:
    """Submit, look, list and watch end with STORE_UNAVAILABLE and a time to ask again; then all works without a restart."""
    known = await wired.replica.client().generate(_fox("before"), timeout=BACK_SECONDS_MAX)
    async with _away(wired.database, silent=silent), wired.impatient() as client:
        refusals = await asyncio.gather(
            _told(client.start(_fox("during"), request_id="during")),
            _told(client.get(known.job_id)),
            _told(client.cancel(known)),
            _told(anext(client.list())),
            _told(anext(client.watch(known.job_id))),
            *([] if silent else [_told(client.costs())]),  # a report may take as long as its caller waits
        )
        assert not await wired.ready()
    assert {"STORE_UNAVAILABLE"} == {refusal.reason for refusal in refusals}
    jobs = [known, await wired.replica.client().generate(_fox("during"), request_id="during")]
    _paid_once(jobs, wired.sandbox)
    await wired.until_ready()


async def test_pictures_wait_for_their_store(wired: Wired) -> None:
    """The bucket is away when pictures are ready: nothing is drawn again, nothing fails, and they are kept when it is back."""
    async with _away(wired.pictures):
        burst = asyncio.ensure_future(_drawn(wired.replica.client(), "kept later"))
        await _until(lambda: billed_nanos(wired.sandbox) == BURST * 3_000_000)
        assert not await wired.ready()
        assert not burst.done()
    jobs = await burst
    _paid_once(jobs, wired.sandbox)
    (asset,) = jobs[0].assets
    assert asset.size_bytes == len(await wired.replica.client().read(asset.sha256))


async def test_a_provider_that_is_away_costs_nothing(wired: Wired) -> None:
    """Nobody accepts the request: the job ends with a reason and nothing to pay, and the next one works when they are back."""
    async with _away(wired.providers):
        with pytest.raises(JobFailed) as failed:
            await wired.replica.client().generate(_fox("nobody"), timeout=BACK_SECONDS_MAX)
    job = failed.value.job
    assert job.failure is not None
    assert ("ROUTES_UNAVAILABLE", 0, 0) == (
        job.failure.reason,
        job.receipt.charged.nanos,
        job.receipt.held.nanos,
    )
    async with asyncio.timeout(BACK_SECONDS_MAX):
        while True:  # the breaker has to see first that they are back
            try:
                job = await wired.replica.client().generate(_fox("somebody"), timeout=BACK_SECONDS_MAX)
            except (JobFailed, Unavailable):
                await asyncio.sleep(0.5)
            else:
                break
    _paid_once([job], wired.sandbox)


async def test_a_provider_that_is_slow_is_waited_for(wired: Wired) -> None:
    """Submits that take seconds, and a run that takes longer than usual: the picture comes, paid once."""
    for fault in ({"kind": "delay", "args": {"seconds": 3.0}}, {"kind": "slow", "args": {"seconds": 40.0}}):
        wired.sandbox.world.faults.order(fault)
    _paid_once([await wired.replica.client().generate(_fox("slow"), timeout=BACK_SECONDS_MAX)], wired.sandbox)


async def test_a_provider_that_has_too_much_to_do_is_not_pressed(wired: Wired) -> None:
    """429 with Retry-After was no acceptance: another route draws the picture, or the job says when to try again; paid once."""
    wired.sandbox.world.faults.order(
        {"kind": "rate_limited", "provider": "fal", "args": {"retry_after": 1}, "times": 1}
    )
    job = await wired.replica.client().generate(_fox("busy"), timeout=BACK_SECONDS_MAX)
    assert "SUCCEEDED" == job.state
    assert billed_nanos(wired.sandbox) == job.receipt.charged.nanos > 0
    wired.sandbox.world.faults.order(
        {"kind": "rate_limited", "provider": "fal", "args": {"retry_after": 2}, "times": 1}
    )
    with pytest.raises(JobFailed) as failed:
        await wired.replica.client().generate(_fox("pinned"), pin="fal", timeout=BACK_SECONDS_MAX)
    failure = failed.value.job.failure
    assert failure is not None
    assert failure.retry_delay is not None
    assert failure.retry_delay.total_seconds() >= 2
    assert 0 == failed.value.job.receipt.charged.nanos
    assert isinstance(failed.value, LightmeterError)
