"""Every step boundary of a render, by name, and a replica that is killed exactly there.

Boundaries are recognised on the wires: a commit by what its transaction wrote, a call by its request line.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightmeter import NO_RETRY, AsyncClient, Drawing
from lightmeter.errors import LightmeterError

from tests.chaos.deployment import Deployment, Replica, foundations
from tests.chaos.proxy import Cut
from tests.chaos.wires import Hook, Moment

REACHED_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class Boundary:
    """Where the process ends."""

    name: str
    wire: str
    """commits, provider_calls or picture_calls of the replica."""
    moment: Moment
    word: bytes
    """What is said there, and nowhere else."""
    in_doubt: bool = False
    """Whether it may have been sent while nobody wrote down an answer: then nobody sends it again without proof."""
    arrives: bool = True
    """Whether the provider gets the request before the takeover, or after it."""


BOUNDARIES = (
    Boundary("before the commit of Accept", "commits", Moment.BEFORE, b'"HOLD"'),
    Boundary("after the commit of Accept", "commits", Moment.DONE, b'"HOLD"'),
    Boundary("before the commit of Dispatch", "commits", Moment.BEFORE, b'"DISPATCHING"'),
    Boundary("after the commit of Dispatch", "commits", Moment.DONE, b'"DISPATCHING"', True, False),
    Boundary("before the POST arrives", "provider_calls", Moment.BEFORE, b"POST ", True, False),
    Boundary("before the reply to the POST", "provider_calls", Moment.DONE, b"POST ", True),
    Boundary("after the reply to the POST", "provider_calls", Moment.TOLD, b"POST ", True),
    Boundary("before the commit of BindProviderId", "commits", Moment.BEFORE, b'"ACCEPTED"', True),
    Boundary("after the commit of BindProviderId", "commits", Moment.DONE, b'"ACCEPTED"'),
    Boundary("before the commit of RecordResult", "commits", Moment.BEFORE, b'"STORING"'),
    Boundary("after the commit of RecordResult", "commits", Moment.DONE, b'"STORING"'),
    Boundary("before the put of the picture", "picture_calls", Moment.BEFORE, b"PUT "),
    Boundary("after the put of the picture", "picture_calls", Moment.DONE, b"PUT "),
    Boundary("before the commit of Finish", "commits", Moment.BEFORE, b'"flagged"'),
    Boundary("after the commit of Finish", "commits", Moment.DONE, b'"flagged"'),
)


@dataclass
class Passage:
    """What became of the render whose replica was killed at a boundary."""

    boundary: Boundary
    job: dict[str, Any]
    render: dict[str, Any]
    attempts: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    """The provider's requests for it."""
    job_ids: list[str]
    """What its caller was told, before and after."""


VICTIMS: tuple[tuple[str, ...], ...] = (
    (
        "before the put of the picture",
        "after the put of the picture",
        "before the POST arrives",
        "before the reply to the POST",
        "after the reply to the POST",
    ),
    ("before the commit of Dispatch", "before the commit of Accept"),
    ("after the commit of BindProviderId", "after the commit of Accept"),
    ("after the commit of Dispatch",),
    ("before the commit of BindProviderId",),
    ("before the commit of RecordResult",),
    ("after the commit of RecordResult",),
    ("before the commit of Finish",),
    ("after the commit of Finish",),
)
"""Which boundaries one process dies at: several renders can stand at theirs at once where none holds up another."""


class Passages:
    """Kills replicas with renders at their boundaries, and follows the renders to where they come to rest."""

    def __init__(self, deployment: Deployment, stack: AsyncExitStack, *, seconds_max: float) -> None:
        self._deployment = deployment
        self._stack = stack
        self._seconds_max = seconds_max

    async def all(self) -> list[Passage]:
        """One replica for each group of `VICTIMS`; the survivors of the deployment take over."""
        named = {boundary.name: boundary for boundary in BOUNDARIES}
        assert sorted(named) == sorted(name for group in VICTIMS for name in group)
        starting = asyncio.Semaphore(2)  # as many as there are cores to start them
        killed = await asyncio.gather(
            *(
                self._kill_one(f"victim-{number}", [named[name] for name in group], starting)
                for number, group in enumerate(VICTIMS, 1)
            )
        )
        self._let_time_pass()
        return list(await asyncio.gather(*(self._after(*one) for group in killed for one in group)))

    async def _kill_one(
        self, name: str, boundaries: Sequence[Boundary], starting: asyncio.Semaphore
    ) -> list[tuple[Boundary, list[str]]]:
        """Each boundary, and what its caller was told before."""
        victim = await self._deployment.add(self._stack, name)
        gone = asyncio.Event()
        async with starting, asyncio.TaskGroup() as calls:
            await victim.start()
            first = []
            for boundary in boundaries:
                stand = _Stand(victim, boundary, gone, kills=boundary is boundaries[-1])
                hooks: list[Hook] = getattr(victim, boundary.wire)
                hooks.append(stand.hook)
                first.append(calls.create_task(self._first_call(victim, boundary)))
                async with asyncio.timeout(REACHED_SECONDS_MAX):
                    await stand.reached.wait()
                if boundary is not boundaries[-1]:
                    hooks.remove(stand.hook)
            await victim.program.ended()
            gone.set()
        # Or a victim that still waits for its own end would go on with the renders of one that is gone.
        self._deployment.ask(
            "UPDATE replicas SET lease_until = lease_until + 600000000 WHERE id = %s RETURNING id",
            victim.name,
        )
        return [(boundary, told.result()) for boundary, told in zip(boundaries, first, strict=True)]

    async def _after(self, boundary: Boundary, told: list[str]) -> Passage:
        """The caller asks again, elsewhere, with the same request_id."""
        survivor = self._deployment.replicas[0]
        async with AsyncClient(f"127.0.0.1:{survivor.grpc_port}", api_key="", project="studio") as client:
            again = await client.start(_drawing(boundary), request_id=boundary.name, pin="fal")
        with suppress(TimeoutError):  # what it is like then says more than that it took too long
            await self._until_at_rest(again.job_id, boundary)
        return await self._look(boundary, [*told, again.job_id])

    async def _first_call(self, victim: Replica, boundary: Boundary) -> list[str]:
        """The call that meets the victim: its job's id, or nothing when the connection broke before the answer."""
        address = f"127.0.0.1:{victim.grpc_port}"
        async with AsyncClient(address, api_key="", project="studio", retry=NO_RETRY) as client:
            try:
                job = await client.start(_drawing(boundary), request_id=boundary.name, pin="fal")
            except LightmeterError:
                return []
            return [job.job_id]

    def _let_time_pass(self) -> None:
        """The victims' leases end, and their POSTs are a minute and a bit older: what waits for both need not be waited for."""
        self._deployment.ask("UPDATE replicas SET lease_until = 0 WHERE id LIKE 'victim-%' RETURNING id")
        self._deployment.ask(
            "UPDATE attempts SET send_before = send_before - 70000000, dispatched_at = dispatched_at - 70000000"
            " WHERE state = 'DISPATCHING' RETURNING id"
        )

    async def _until_at_rest(self, job_id: str, boundary: Boundary) -> None:
        """Final, or, where nobody can know whether it arrived, in doubt and in the hands of a living replica."""
        async with asyncio.timeout(self._seconds_max):
            while True:
                (row,) = self._deployment.ask(
                    """SELECT j.state, r.fence, a.state AS attempt FROM jobs AS j JOIN renders AS r ON r.id = j.render_id
                       JOIN attempts AS a ON a.render_id = r.id WHERE j.id = %s ORDER BY a.number DESC LIMIT 1""",
                    job_id,
                )
                doubted = boundary.in_doubt and not boundary.arrives and row["attempt"] == "UNKNOWN"
                if row["state"] != "QUEUED" or (doubted and row["fence"] > 1):
                    return
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, boundary: Boundary, told: list[str]) -> Passage:
        ask, job_id, prompt = self._deployment.ask, told[-1], _drawing(boundary).prompt
        (job,) = ask("SELECT * FROM jobs WHERE id = %s", job_id)
        (render,) = ask("SELECT * FROM renders WHERE id = %s", job["render_id"])
        attempts = ask("SELECT * FROM attempts WHERE render_id = %s ORDER BY number", render["id"])
        entries = [one for one in await self._deployment.billed() if one["input"].get("prompt") == prompt]
        return Passage(boundary, job, render, attempts, entries, told)


class _Stand:
    """Where a render is made to stand still until its process is gone; the last stand of a process kills it."""

    def __init__(self, victim: Replica, boundary: Boundary, gone: asyncio.Event, *, kills: bool) -> None:
        self._victim = victim
        self._boundary = boundary
        self._gone = gone
        self._kills = kills
        self.reached = asyncio.Event()

    async def hook(self, moment: Moment, said: bytes) -> None:
        """Of the boundary's wire."""
        boundary = self._boundary
        if moment is not boundary.moment or boundary.word not in said or self.reached.is_set():
            return
        if self._kills:
            self._victim.program.send(signal.SIGKILL)
        self.reached.set()
        await self._gone.wait()
        raise Cut


def _drawing(boundary: Boundary) -> Drawing:
    return Drawing(model="flux-schnell", prompt=f"killed {boundary.name}", size="512x512")


async def faults_at_boundaries(folder: Path, seconds_max: float) -> dict[str, str]:
    """What went wrong, by the name of the boundary; and, by the name of the check, what is wrong with the books."""
    async with foundations(folder, "--speed", "10") as deployment, AsyncExitStack() as stack:
        survivor = await deployment.add(stack, "survivor")
        await survivor.start()
        passages = await Passages(deployment, stack, seconds_max=seconds_max).all()
        faults = {passage.boundary.name: fault for passage in passages if (fault := fault_of(passage))}
        missing = {boundary.name for boundary in BOUNDARIES} - {passage.boundary.name for passage in passages}
        wrong = await deployment.verified()
        return faults | dict.fromkeys(missing, "not reached") | ({"ledger verify": wrong} if wrong else {})


def fault_of(passage: Passage) -> str:
    """What is wrong with a passage; empty when nothing is."""
    job, boundary = passage.job, passage.boundary
    if len(set(passage.job_ids)) != 1:
        return f"one request_id, two jobs: {passage.job_ids}"
    if len(passage.entries) > 1:
        return f"sent {len(passage.entries)} times"
    states = [attempt["state"] for attempt in passage.attempts]
    where = f"job {job['state']} {job['failure'] or ''}, render {passage.render['state']}, attempts {states}"
    if boundary.in_doubt and not boundary.arrives:
        held = all(attempt["hold_open"] for attempt in passage.attempts)
        in_doubt = states == ["UNKNOWN"] and held and job["state"] == "QUEUED" and not passage.entries
        return "" if in_doubt else f"not in doubt, with its hold: {where}, {len(passage.entries)} sent"
    if job["state"] != "SUCCEEDED":
        return where
    billed = sum(entry["bill_nanos"] for entry in passage.entries)
    settled = sum(attempt["settled_nanos"] or 0 for attempt in passage.attempts)
    if not billed or billed != settled:
        return f"billed {billed}, settled at {settled}"
    return ""
