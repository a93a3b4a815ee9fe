"""Callers who never tire, and the book of what they were told."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lightmeter import AsyncClient, Drawing, Job, RetryPolicy
from lightmeter.errors import (
    BudgetExceeded,
    JobCancelled,
    JobFailed,
    LightmeterError,
    TransportError,
    Unavailable,
    WaitTimeout,
)

PATIENT = RetryPolicy(attempts_max=40, wait_seconds_max=2.0)
CALL_SECONDS_MAX = 60.0
PROJECTS = ("studio", "press", "tight")
RULES = 'budgets: [{project: tight, window: month, limit_usd: "0.15"}]'
"""The last project runs into its budget in the middle of the run."""
_MODELS = ("flux-schnell", "flux-schnell", "flux-dev", "flux-1.1-pro")
_PROMPTS_SHARED = 40


@dataclass
class Asked:
    """One submission, and everything that its caller was told of it."""

    request_id: str
    project: str
    drawing: Drawing
    job_id: str = ""
    final: Job | None = None
    error: str = ""
    """Why the caller knows no end: its patience ended, or it was refused."""


@dataclass
class Told:
    """The callers' book."""

    asked: list[Asked] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)
    """Answers that no outage explains."""


class Callers:
    """`run` asks until `stop`; each caller ends what it has begun."""

    def __init__(self, address: str, seed: int, *, count: int = 12, pause_seconds: float = 0.15) -> None:
        self.told = Told()
        self._address = address
        self._dice = random.Random(seed)
        self._run_id = f"{seed}-{self._dice.getrandbits(32):08x}"
        self._count = count
        self._pause_seconds = pause_seconds
        self._stopping = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Told]:
        """Ask in the background while the block runs, then let everybody finish."""
        clients = {
            name: AsyncClient(self._address, api_key="", project=name, retry=PATIENT) for name in PROJECTS
        }
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._count):
                    group.create_task(self._call_on(clients))
                try:
                    yield self.told
                finally:
                    self._stopping.set()
        finally:
            for client in clients.values():
                await client.close()

    async def _call_on(self, clients: dict[str, AsyncClient]) -> None:
        while not self._stopping.is_set():
            asked, way, cache = self._next()
            self.told.asked.append(asked)
            try:
                await self._ask(clients[asked.project], asked, way, cache)
            except (JobFailed, JobCancelled) as ended:
                self._ended(asked, ended.job)
            except (Unavailable, TransportError, WaitTimeout, BudgetExceeded) as error:
                code = f" {error.code.name}" if isinstance(error, TransportError) else ""
                asked.error = f"{type(error).__name__}{code}"
                self.told.outcomes[asked.error] += 1
            except LightmeterError as error:
                asked.error = repr(error)
                self.told.outcomes["strange"] += 1
                self.told.strange.append(f"{way} {asked.request_id}: {error!r}")
            await asyncio.sleep(self._pause_seconds * self._dice.uniform(0.3, 1.7))

    def _next(self) -> tuple[Asked, str, str]:
        dice = self._dice
        number = len(self.told.asked)
        subject = f"fox {dice.randrange(_PROMPTS_SHARED)}" if dice.random() < 0.3 else f"hare {number}"
        drawing = Drawing(
            model=dice.choice(_MODELS),
            prompt=f"{subject} of run {self._run_id}",
            size="512x512" if dice.random() < 0.8 else "1024x1024",
            image_count=2 if dice.random() < 0.1 else 1,
        )
        project = dice.choices(PROJECTS, (6, 3, 1))[0]
        asked = Asked(f"{self._run_id}-{number}", project, drawing)
        way = dice.choices(("generate", "watch", "poll", "cancel"), (6, 4, 2, 1))[0]
        return asked, way, dice.choices(("use", "bypass", "refresh"), (8, 2, 1))[0]

    async def _ask(self, client: AsyncClient, asked: Asked, way: str, cache: str) -> None:
        pin = self._dice.choice(("fal", "replicate", ""))
        if asked.drawing.model == "flux-1.1-pro":
            pin = ""
        options = {"request_id": asked.request_id, "cache": cache, **({"pin": pin} if pin else {})}
        if way == "generate":
            self._ended(asked, await client.generate(asked.drawing, timeout=CALL_SECONDS_MAX, **options))
            return
        job = await client.start(asked.drawing, timeout=CALL_SECONDS_MAX, **options)
        asked.job_id = job.job_id
        if way == "cancel":
            await asyncio.sleep(self._dice.uniform(0.0, 1.0))
            self._ended(asked, (await client.cancel(job, timeout=CALL_SECONDS_MAX)).job)
        elif way == "watch":
            async for version in client.watch(job, timeout=CALL_SECONDS_MAX):
                job = version
            self._ended(asked, job)
        else:
            for _ in range(60):
                if job.is_final:
                    self._ended(asked, job)
                    return
                await asyncio.sleep(1.0)
                job = await client.get(asked.job_id, timeout=CALL_SECONDS_MAX)
            raise WaitTimeout("asked sixty times", request_id=asked.request_id, job=job)

    def _ended(self, asked: Asked, job: Job) -> None:
        asked.job_id, asked.final = job.job_id, job
        self.told.outcomes[job.state] += 1
