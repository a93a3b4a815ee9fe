"""Three replicas behind haproxy are restarted one after the other under load, and no caller notices."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from lightmeter import AsyncClient, Drawing, Job
from lightmeter.errors import LightmeterError

from tests.chaos.deployment import Replica, deployed, foundations

CALL_SECONDS_MAX = 30.0
PAUSE_SECONDS = 0.05
HANDOVER_SECONDS_MAX = 10.0
"""Less than the lease of 15 s."""
CALLERS = 4
"""Of each way of calling."""


@dataclass
class Calls:
    """What callers with the client's own patience met."""

    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    asked: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def drawing(self) -> Drawing:
        """A new one each time."""
        self.asked += 1
        return Drawing(model="flux-schnell", prompt=f"hare number {self.asked}", size="512x512")


async def _generate(client: AsyncClient, calls: Calls) -> Job:
    return await client.generate(calls.drawing(), timeout=CALL_SECONDS_MAX)


async def _watch(client: AsyncClient, calls: Calls) -> Job:
    job = await client.start(calls.drawing(), timeout=CALL_SECONDS_MAX)
    versions = [job.version]
    async for version in client.watch(job, timeout=CALL_SECONDS_MAX):
        job = version
        versions.append(job.version)
    assert versions == sorted(versions)
    return job


async def _look(client: AsyncClient, calls: Calls) -> Job:
    job = await client.start(calls.drawing(), timeout=CALL_SECONDS_MAX)
    while not job.is_final:
        await asyncio.sleep(PAUSE_SECONDS)
        job = await client.get(job.job_id, timeout=CALL_SECONDS_MAX)
    return job


async def _call_on(client: AsyncClient, way: str, calls: Calls) -> None:
    ways = {"generate": _generate, "watch": _watch, "look": _look}
    while not calls.over.is_set():
        try:
            job = await ways[way](client, calls)
        except LightmeterError as error:
            calls.failed.append(f"{way}: {error!r}")
        else:
            calls.done[f"{way} {job.state}"] += 1


async def _watches_open(replica: Replica) -> float:
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = (await browser.get(f"http://127.0.0.1:{replica.http_port}/metrics")).text
    (line,) = [one for one in page.splitlines() if one.startswith("lightmeter_watches_open ")]
    return float(line.split()[1])


@pytest.mark.debian("haproxy")
async def test_a_rolling_restart_fails_no_call(tmp_path: Path) -> None:
    """SIGTERM and a new process, three times: every call is answered, watches go on elsewhere, all exit codes are 0."""
    settings = {"LIGHTMETER_DRAIN_SECONDS": "10"}
    calls = Calls()
    async with (
        deployed(tmp_path, "--speed", "2", settings=settings) as deployment,
        AsyncClient(deployment.address, api_key="", project="studio") as client,
        asyncio.TaskGroup() as group,
    ):
        for way in ("generate", "watch", "look"):
            for _ in range(CALLERS):
                group.create_task(_call_on(client, way, calls))
        try:
            codes = []
            for replica in deployment.replicas:
                async with asyncio.timeout(CALL_SECONDS_MAX):
                    while not await _watches_open(replica):  # noqa: ASYNC110 -- its page is all that tells
                        await asyncio.sleep(PAUSE_SECONDS)
                replica.program.send(signal.SIGTERM)
                codes.append(await replica.program.ended())
                await replica.start()
        finally:
            calls.over.set()
    assert [] == calls.failed
    assert [0, 0, 0] == codes
    assert {"generate SUCCEEDED", "watch SUCCEEDED", "look SUCCEEDED"} == calls.done.keys()


async def test_what_the_drain_leaves_over_is_handed_over_at_once(tmp_path: Path) -> None:
    """A render longer than the drain goes on at another replica before any lease has ended, and is not sent again."""
    async with foundations(tmp_path, "--speed", "2") as deployment, AsyncExitStack() as stack:
        settings = {"LIGHTMETER_DRAIN_SECONDS": "1"}
        leaving, staying = [await deployment.add(stack, name, settings) for name in ("leaving", "staying")]
        for replica in (leaving, staying):
            await replica.start()
        await deployment.order("slow", args={"seconds": 30})
        address = f"127.0.0.1:{leaving.grpc_port}"
        async with AsyncClient(address, api_key="", project="studio") as client:
            job = await client.start(Calls().drawing())
            async for version in client.watch(job, timeout=CALL_SECONDS_MAX):
                if version.state == "RUNNING":
                    break
        leaving.program.send(signal.SIGTERM)
        assert 0 == await leaving.program.ended()
        async with asyncio.timeout(HANDOVER_SECONDS_MAX):
            while deployment.ask("SELECT owner FROM renders") != [{"owner": "staying"}]:  # noqa: ASYNC110 -- its row tells
                await asyncio.sleep(PAUSE_SECONDS)
        address = f"127.0.0.1:{staying.grpc_port}"
        async with AsyncClient(address, api_key="", project="studio") as client:
            assert "SUCCEEDED" == (await client.result(job, timeout=60.0)).state
        assert 1 == len(await deployment.billed())
