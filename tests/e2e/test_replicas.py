"""Two replicas on one PostgreSQL: callers can't tell which one they met, and the provider is asked once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest
from lightmeter import BudgetExceeded, Drawing, Job, JobCancelled, Money

from sandbox import Sandbox
from tests.support.replica import (
    WAIT_SECONDS_MAX,
    Replica,
    billed_nanos,
    entries,
    posts,
    running_replica,
    running_sandbox,
)

HARE = Drawing(model="flux-dev", prompt="a hare under northern lights", size="1024x768")
RULES = 'budgets: [{project: tight, window: month, limit_usd: "0.0075"}]'

Pair = tuple[Replica, Replica]


@pytest.fixture
async def paced() -> AsyncIterator[Sandbox]:
    """Providers that take their time, a tenth of the real one."""
    async with running_sandbox(instant=False, speed=10.0) as running:
        yield running


@pytest.fixture
async def pair(tmp_path: Path, paced: Sandbox, postgres_url: str) -> AsyncIterator[Pair]:
    """Two replicas with one database, one folder of pictures and one sandbox."""
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                running_replica(tmp_path, paced, database_url=postgres_url, rules=RULES)
            )
            for _ in range(2)
        ]
        yield first, second


async def test_equal_requests_on_both_are_one_post(pair: Pair, paced: Sandbox) -> None:
    """Twenty at once, ten on each: one POST, one charge, one picture."""
    clients = [replica.client() for replica in pair] * 10
    jobs = await asyncio.gather(*(client.generate(HARE, timeout=WAIT_SECONDS_MAX) for client in clients))
    assert 1 == posts(paced)
    assert billed_nanos(paced) == sum(job.receipt.charged.nanos for job in jobs)
    assert 1 == len({asset.sha256 for job in jobs for asset in job.assets})
    assert 1 == [job.origin for job in jobs].count("PROVIDER")


async def test_a_watch_on_the_other_replica_sees_it_through(pair: Pair) -> None:
    """Versions grow there too, up to the final one, and the picture can be read there."""
    first, second = (replica.client() for replica in pair)
    started = await first.start(HARE)
    seen: list[Job] = [job async for job in second.watch(started.job_id, timeout=WAIT_SECONDS_MAX)]
    versions = [job.version for job in seen]
    assert versions == sorted(set(versions))
    assert "SUCCEEDED" == seen[-1].state
    assert seen[-1].receipt == (await first.get(started.job_id)).receipt
    (asset,) = seen[-1].assets
    assert await first.read(asset.sha256) == await second.read(asset.sha256)


async def test_a_cancel_on_the_other_replica_reaches_the_provider(pair: Pair, paced: Sandbox) -> None:
    """The job is final at once on both, and the replica that owns the render passes it on."""
    first, second = (replica.client() for replica in pair)
    job = await first.start(Drawing(model="test-slow", prompt="take your time"), pin="replicate")
    async for version in second.watch(job, timeout=WAIT_SECONDS_MAX):
        if version.route is not None and version.route.provider_request_id:
            break
    waiting = asyncio.ensure_future(first.result(job))
    cancelled = await second.cancel(job)
    assert "CANCELLED" == cancelled.job.state
    with pytest.raises(JobCancelled):
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await waiting
    (entry,) = entries(paced)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while entry.outcome is None:  # noqa: ASYNC110 -- the provider ends it in its own time
            await asyncio.sleep(0.05)
    assert entry.cancel_asked


async def test_a_hard_budget_holds_over_both(pair: Pair, paced: Sandbox) -> None:
    """Ten different requests at once on two replicas: as many are accepted as the budget has room for."""
    clients = [replica.client("tight") for replica in pair] * 5
    asked = [
        Drawing(model="flux-schnell", prompt=f"fox number {number}", size="1024x1024") for number in range(10)
    ]
    answers = await asyncio.gather(
        *(client.generate(one, timeout=WAIT_SECONDS_MAX) for client, one in zip(clients, asked, strict=True)),
        return_exceptions=True,
    )
    refused = [one for one in answers if isinstance(one, BudgetExceeded)]
    drawn = [one for one in answers if isinstance(one, Job)]
    assert (2, 8) == (len(drawn), len(refused))
    assert (2, 6_000_000) == (posts(paced), billed_nanos(paced))
    total = (await clients[0].costs(projects=["tight"])).total
    assert (Money(6_000_000), Money(0)) == (total.net, total.held)


async def test_a_request_id_is_one_job_on_both(pair: Pair, paced: Sandbox) -> None:
    """A caller that repeats itself elsewhere after a lost answer gets the job that it has."""
    first, second = (replica.client() for replica in pair)
    jobs = await asyncio.gather(
        *(
            client.generate(HARE, cache="bypass", request_id="once", timeout=WAIT_SECONDS_MAX)
            for client in (first, second)
        )
    )
    assert 1 == len({job.job_id for job in jobs}) == posts(paced)
    assert [False, True] == sorted(job.replayed for job in jobs)


async def test_a_stopped_replica_leaves_no_connection(
    tmp_path: Path, paced: Sandbox, postgres_url: str
) -> None:
    """Whatever it was reading when it was stopped: the database has nobody left to serve, without waiting for a collector."""
    gc.disable()
    try:
        async with running_replica(tmp_path, paced, database_url=postgres_url) as replica:
            client = replica.client()
            callers = [asyncio.ensure_future(client.costs()) for _ in range(20)]
            callers += [asyncio.ensure_future(client.generate(HARE)) for _ in range(20)]
            await client.start(HARE)
            for caller in callers:
                caller.cancel()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lightmeter'"
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                # The server needs a moment to see that somebody hung up.
                while connection.execute(connected).fetchone() != (0,):  # noqa: ASYNC110 -- another process's event
                    await asyncio.sleep(0.02)
    finally:
        gc.enable()
    await asyncio.gather(*callers, return_exceptions=True)
