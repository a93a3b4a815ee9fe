"""Outages that need processes: a full disk, a replica stopped in the middle of a transaction, memory under a storm."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

from lightmeter import NO_RETRY, AsyncClient, Drawing, Job
from lightmeter.errors import LightmeterError, Unavailable

from sandbox import Sandbox
from tests.chaos.deployment import Replica, foundations
from tests.chaos.wires import Moment
from tests.e2e.test_process import running
from tests.support.replica import billed_nanos, posts, running_sandbox

FULL_BYTES = 4096
TOLD_SECONDS_MAX = 6.0
BACK_SECONDS_MAX = 40.0
STORM_CALLERS = 200
GROWTH_BYTES_MAX = 96 * 1024 * 1024


def _fox(number: object) -> Drawing:
    return Drawing(model="flux-schnell", prompt=f"a fox, number {number}", size="512x512")


def _room_for_files(pid: int, bytes_max: int) -> None:
    """Let no file of a process grow beyond this: what it writes there fails, as on a full disk."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes_max, hard))


async def _refused(client: AsyncClient, number: object) -> LightmeterError | None:
    """What a caller without patience is told, in time; None when it got its job."""
    began = time.monotonic()
    try:
        await client.start(_fox(number), request_id=str(number))
    except Unavailable as refusal:
        assert time.monotonic() - began < TOLD_SECONDS_MAX
        return refusal
    return None


async def test_a_full_disk_refuses_and_forgets_nothing(tmp_path: Path) -> None:
    """SQLite and pictures find no room: submits are refused in time, what was accepted ends once there is room, paid once."""
    async with running_sandbox(instant=False, speed=2.0) as sandbox, running(tmp_path, sandbox) as service:
        address = service.facts["gRPC"]
        async with (
            AsyncClient(address, api_key="", project="studio", retry=NO_RETRY) as client,
            AsyncClient(address, api_key="", project="studio") as patient,
        ):
            accepted = await client.start(_fox("accepted"))
            _room_for_files(service.process.pid, FULL_BYTES)
            refusals = [await _refused(client, f"refused {number}") for number in range(3)]
            assert all(refusal is not None and (refusal.retry_after or 0) > 0 for refusal in refusals)
            assert "QUEUED" == (await client.get(accepted.job_id)).state
            _room_for_files(service.process.pid, resource.RLIM_INFINITY)
            first = await patient.result(accepted, timeout=BACK_SECONDS_MAX)
            again = await patient.generate(
                _fox("refused 0"), request_id="refused 0", timeout=BACK_SECONDS_MAX
            )
        assert 0 == await service.end()
        _paid_once([first, again], sandbox)


def _paid_once(jobs: list[Job], sandbox: Sandbox) -> None:
    assert {"SUCCEEDED"} == {job.state for job in jobs}
    assert len(jobs) == posts(sandbox)
    assert billed_nanos(sandbox) == sum(job.receipt.charged.nanos for job in jobs)


class _StopAtAccept:
    """Stops a replica with SIGSTOP when it wants to commit an Accept; the COMMIT is never sent."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self.stopped = asyncio.Event()
        self.resumed = asyncio.Event()

    async def hook(self, moment: Moment, said: bytes) -> None:
        """Of the commits on the replica's wire."""
        if moment is Moment.BEFORE and b'"HOLD"' in said and not self.stopped.is_set():
            self._replica.program.send(signal.SIGSTOP)
            self.stopped.set()
            await self.resumed.wait()


async def test_a_replica_that_stands_still_in_a_transaction_blocks_nobody(tmp_path: Path) -> None:
    """It holds the locks of a fingerprint and of a budget; another replica answers all the same; back, it joins in; one POST."""
    rules = tmp_path / "lightmeter.yaml"
    rules.write_text('budgets: [{project: studio, window: month, limit_usd: "5"}]')
    async with foundations(tmp_path, "--speed", "10") as deployment, AsyncExitStack() as stack:
        settings = {"LIGHTMETER_CONFIG": str(rules)}
        still, other = [await deployment.add(stack, name, settings) for name in ("still", "other")]
        for replica in (still, other):
            await replica.start()
        stop = _StopAtAccept(still)
        still.commits.append(stop.hook)
        addresses = [f"127.0.0.1:{replica.grpc_port}" for replica in (still, other)]
        clients = [
            await stack.enter_async_context(AsyncClient(address, api_key="", project="studio"))
            for address in addresses
        ]
        waiting = asyncio.ensure_future(clients[0].generate(_fox("same"), timeout=BACK_SECONDS_MAX))
        await asyncio.wait_for(stop.stopped.wait(), BACK_SECONDS_MAX)
        began = time.monotonic()
        jobs = [await clients[1].start(_fox(name)) for name in ("another", "same")]
        assert time.monotonic() - began < TOLD_SECONDS_MAX
        still.program.send(signal.SIGCONT)
        stop.resumed.set()
        ends = [await clients[1].result(job, timeout=BACK_SECONDS_MAX) for job in jobs]
        ends.append(await waiting)
        assert ["SUCCEEDED"] * 3 == [job.state for job in ends]
        assert ends[1].assets[0].sha256 == ends[2].assets[0].sha256
        assert 2 == len(await deployment.billed())
        assert "" == await deployment.verified()


async def test_memory_stays_bounded_while_the_database_is_away(tmp_path: Path) -> None:
    """Hundreds of callers who ask again and again fill no queue: what was given up is let go."""
    async with foundations(tmp_path, "--instant") as deployment, AsyncExitStack() as stack:
        replica = await deployment.add(stack, "alone")
        await replica.start()
        address = f"127.0.0.1:{replica.grpc_port}"
        client = await stack.enter_async_context(
            AsyncClient(address, api_key="", project="studio", retry=NO_RETRY)
        )
        await asyncio.gather(*(client.start(_fox(number)) for number in range(STORM_CALLERS)))
        before = replica.program.rss_bytes
        await replica.to_database.refuse()
        refusals = [
            refusal
            for storm in range(3)
            for refusal in await asyncio.gather(
                *(_refused(client, f"storm {storm} {number}") for number in range(STORM_CALLERS))
            )
        ]
        await replica.to_database.start()
        assert 3 * STORM_CALLERS == sum(refusal is not None for refusal in refusals)
        assert replica.program.rss_bytes < before + GROWTH_BYTES_MAX
        patient = await stack.enter_async_context(AsyncClient(address, api_key="", project="studio"))
        assert "SUCCEEDED" == (await patient.generate(_fox("after"), timeout=BACK_SECONDS_MAX)).state
