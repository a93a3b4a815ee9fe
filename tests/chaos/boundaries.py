"""Every step boundary of a render, by name, and a replica that is killed exactly there.

Boundaries are recognised on the wires: a commit by what its transaction wrote, a call by its request line.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from lightmeter import NO_RETRY, AsyncClient, Drawing
from lightmeter.errors import LightmeterError

from tests.chaos.deployment import Deployment, Replica
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


class Passages:
    """Kills a replica at each boundary, all at about the same time, and follows the renders to where they come to rest."""

    def __init__(self, deployment: Deployment, stack: AsyncExitStack) -> None:
        self._deployment = deployment
        self._stack = stack

    async def all_of(self, boundaries: Sequence[Boundary], seconds_max: float) -> list[Passage]:
        """One replica for each boundary; the survivors of the deployment take over."""
        victims = [
            await self._deployment.add(self._stack, f"victim-{number}")
            for number, _ in enumerate(boundaries, 1)
        ]
        starting = asyncio.Semaphore(2)  # as many as there are cores to start them
        return list(
            await asyncio.gather(
                *(
                    self._passage(boundary, victim, starting, seconds_max)
                    for boundary, victim in zip(boundaries, victims, strict=True)
                )
            )
        )

    async def _passage(
        self, boundary: Boundary, victim: Replica, starting: asyncio.Semaphore, seconds_max: float
    ) -> Passage:
        drawing = Drawing(model="flux-schnell", prompt=f"killed {boundary.name}", size="512x512")
        request_id = boundary.name
        reached = asyncio.Event()
        async with starting:
            await victim.start()
            hooks: list[Hook] = getattr(victim, boundary.wire)
            hooks.append(_killer(victim, boundary, reached))
            told = await self._first_call(victim, drawing, request_id)
            async with asyncio.timeout(REACHED_SECONDS_MAX):
                await reached.wait()
            await victim.program.ended()
        self._let_time_pass(victim.name)
        survivor = self._deployment.replicas[0]
        async with AsyncClient(f"127.0.0.1:{survivor.grpc_port}", api_key="", project="studio") as client:
            again = await client.start(drawing, request_id=request_id, pin="fal")
        told.append(again.job_id)
        await self._until_at_rest(again.job_id, boundary, seconds_max)
        return await self._look(boundary, again.job_id, drawing.prompt, told)

    async def _first_call(self, victim: Replica, drawing: Drawing, request_id: str) -> list[str]:
        """The call that meets the victim: its job's id, or nothing when the connection broke before the answer."""
        address = f"127.0.0.1:{victim.grpc_port}"
        async with AsyncClient(address, api_key="", project="studio", retry=NO_RETRY) as client:
            try:
                job = await client.start(
                    drawing, request_id=request_id, pin="fal", timeout=REACHED_SECONDS_MAX
                )
            except LightmeterError:
                return []
            return [job.job_id]

    def _let_time_pass(self, name: str) -> None:
        """The victim's lease ends, and its POST is a minute and a bit older: what waits for both need not be waited for."""
        self._deployment.ask("UPDATE replicas SET lease_until = 0 WHERE id = %s RETURNING id", name)
        self._deployment.ask(
            "UPDATE attempts SET send_before = send_before - 70000000, dispatched_at = dispatched_at - 70000000"
            " WHERE state = 'DISPATCHING' AND render_id IN (SELECT id FROM renders WHERE owner = %s) RETURNING id",
            name,
        )

    async def _until_at_rest(self, job_id: str, boundary: Boundary, seconds_max: float) -> None:
        """Final, or, where nobody can know whether it arrived, in doubt and in the hands of a living replica."""
        async with asyncio.timeout(seconds_max):
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

    async def _look(self, boundary: Boundary, job_id: str, prompt: str, told: list[str]) -> Passage:
        ask = self._deployment.ask
        (job,) = ask("SELECT * FROM jobs WHERE id = %s", job_id)
        (render,) = ask("SELECT * FROM renders WHERE id = %s", job["render_id"])
        attempts = ask("SELECT * FROM attempts WHERE render_id = %s ORDER BY number", render["id"])
        entries = [one for one in await self._deployment.billed() if one["input"].get("prompt") == prompt]
        return Passage(boundary, job, render, attempts, entries, told)


def _killer(victim: Replica, boundary: Boundary, reached: asyncio.Event) -> Hook:
    async def hook(moment: Moment, said: bytes) -> None:
        if moment is boundary.moment and boundary.word in said and not reached.is_set():
            victim.program.send(signal.SIGKILL)
            reached.set()
            if moment is not Moment.TOLD:
                raise Cut

    return hook


def fault_of(passage: Passage) -> str:
    """What is wrong with a passage; empty when nothing is."""
    job, boundary = passage.job, passage.boundary
    if len(set(passage.job_ids)) != 1:
        return f"one request_id, two jobs: {passage.job_ids}"
    if len(passage.entries) > 1:
        return f"sent {len(passage.entries)} times"
    if boundary.in_doubt and not boundary.arrives:
        states = [attempt["state"] for attempt in passage.attempts]
        held = all(attempt["hold_open"] for attempt in passage.attempts)
        if passage.entries or states != ["UNKNOWN"] or not held or job["state"] != "QUEUED":
            return f"not in doubt, with its hold: {job['state']}, {states}, {len(passage.entries)} sent"
        return ""
    if job["state"] != "SUCCEEDED":
        return f"{job['state']}: {job['failure']}"
    billed = sum(entry["bill_nanos"] for entry in passage.entries)
    settled = sum(attempt["settled_nanos"] or 0 for attempt in passage.attempts)
    if not billed or billed != settled:
        return f"billed {billed}, settled at {settled}"
    return ""
