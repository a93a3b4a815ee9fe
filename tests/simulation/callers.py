"""Whoever asks for pictures: the same ones again and again, some in a hurry, some gone before the answer; what they were told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from service.core.requests import InputSource, Submission
from service.domain.commands import CacheMode
from service.domain.drawing import Drawing, Operation
from service.domain.errors import (
    Draining,
    LightmeterError,
    Overloaded,
    RequestIdReused,
    StorageUnavailable,
    StoreUnavailable,
)
from service.domain.limits import watch_heartbeat_seconds
from service.domain.view import JobView
from tests.simulation.loop import VirtualLoop
from tests.simulation.trace import Trace

_AGAIN = (StoreUnavailable, Overloaded, Draining, StorageUnavailable)
_TRIES_MAX = 8
_DEADLINE_SECONDS = 20.0
PROJECTS = ("growth", "press")


class Gone(Exception):
    """The connection broke, or the call's deadline passed: what became of the call is not known."""


class Server(Protocol):
    """A replica, as callers see it."""

    submissions: Any
    watches: Any
    cancellations: Any

    def ask(self, work: Callable[[], Coroutine[Any, Any, Any]], seconds_max: float) -> asyncio.Future[Any]:
        """Have it do something; Gone when its connection breaks or the time is up."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was once told about a job."""

    job_id: str
    project: str
    request_id: str | None
    version: int
    state: str
    final: bool


def _brought(number: int) -> InputSource:
    """One of a few input pictures, in either of the ways in which callers bring them."""
    field = "edit.inputs.images[0]"
    if number == 0:
        return InputSource(field, url="https://callers.invalid/cat.png")
    return InputSource(field, content=f"picture {number}".encode())


class Callers:
    """The load of one run."""

    def __init__(self, seed: int, loop: VirtualLoop, trace: Trace, pick: Callable[[], Server | None]) -> None:
        self._random = random.Random(f"callers {seed}")
        self._loop = loop
        self._trace = trace
        self._pick = pick
        self.told: list[Told] = []
        self.wrong: list[tuple[str, str]] = []
        """What callers noticed by themselves: (sentence, job)."""
        self.refused: dict[str, int] = {}

    async def load(self, count: int, seconds: float) -> list[BaseException]:
        """Let so many callers come within the time, and wait for the last to go. Answers what none of them expected."""
        chance = self._random
        prompts = [f"a lighthouse {n}" for n in range(max(2, count // 6))]
        tasks = []
        for number in range(count):
            script = self._script(number, chance.choice(prompts), chance.uniform(0.0, seconds))
            tasks.append(self._loop.create_task(script, name=f"caller {number}"))
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        return [one for one in ended if one is not None]

    def _submission(self, number: int, prompt: str) -> Submission:
        chance = self._random
        edit = chance.random() < 0.2
        mode = chance.choices((CacheMode.USE, CacheMode.REFRESH, CacheMode.BYPASS), (7, 1, 1))[0]
        seed = chance.choice((None, None, None, 7))
        return Submission(
            project=chance.choice(PROJECTS),
            request_id=f"request-{number}",
            drawing=Drawing(model="flux-kontext-pro", prompt=prompt, operation=Operation.EDIT, seed=seed)
            if edit
            else Drawing(model="test-ok", prompt=prompt, image_count=chance.choice((1, 1, 2)), seed=seed),
            images=(_brought(chance.randrange(3)),) if edit else (),
            cache_mode=mode,
            pin_provider=chance.choice((None, None, None, "replicate", "fal")),
            max_cost_nanos=chance.choice((None, None, None, None, 40_000_000, 10_000_000)),
            job_timeout_seconds=chance.choice((None, None, None, None, 40.0, 300.0)),
            labels=(("team", chance.choice(("ads", "web"))),),
        )

    async def _script(self, number: int, prompt: str, after: float) -> None:
        chance = self._random
        await asyncio.sleep(after)
        submission = self._submission(number, prompt)
        if chance.random() < 0.1:
            await self._vanish(submission)
            if chance.random() < 0.5:
                return
        view = await self._submit(submission)
        if view is None:
            return
        match chance.randrange(6):
            case 0 | 1:
                await self._watch(view, submission)
            case 2:
                await asyncio.sleep(chance.uniform(0.0, 30.0))
                await self._cancel(view, submission)
            case 3:
                again = await self._submit(submission)
                if again is not None and again.job.id != view.job.id:
                    self.wrong.append(
                        (f"a repeated request got another job than {view.job.id}", again.job.id)
                    )
            case 4:
                await self._wait(view, submission)
            case _:
                pass

    async def _vanish(self, submission: Submission) -> None:
        """Ask, and be gone before the answer."""
        server = self._pick()
        if server is not None:
            asked = server.ask(lambda: server.submissions.submit(submission), _DEADLINE_SECONDS)
            await asyncio.sleep(self._random.uniform(0.0, 0.02))
            asked.cancel()

    async def _submit(self, submission: Submission) -> JobView | None:
        """Ask until there is an answer; the job, or None when it is refused."""
        for _ in range(_TRIES_MAX):
            server = self._pick()
            try:
                if server is None:
                    raise Gone
                asked = server.ask(lambda one=server: one.submissions.submit(submission), _DEADLINE_SECONDS)
                submitted = await asked
            except (Gone, *_AGAIN):
                await asyncio.sleep(self._random.uniform(0.2, 4.0))
            except RequestIdReused as error:
                self.wrong.append(
                    (f"the same request was taken for another: {error}", submission.request_id or "")
                )
                return None
            except LightmeterError as error:
                name = type(error).__name__
                self.refused[name] = self.refused.get(name, 0) + 1
                return None
            else:
                self._hear(submitted.view, submission)
                view: JobView = submitted.view
                return view
        return None

    def _hear(self, view: JobView, submission: Submission) -> None:
        job = view.job
        self.told.append(
            Told(job.id, job.project, submission.request_id, view.version, job.state.value, job.is_final)
        )
        self._trace.note("caller", "told", job.id, job.state.value, view.version)

    async def _cancel(self, view: JobView, submission: Submission) -> None:
        for _ in range(_TRIES_MAX):
            server = self._pick()
            try:
                if server is None:
                    raise Gone
                cancelled = await server.ask(
                    lambda one=server: one.cancellations.cancel(view.job.id, view.job.project, ""),
                    _DEADLINE_SECONDS,
                )
            except (Gone, *_AGAIN):
                await asyncio.sleep(self._random.uniform(0.2, 4.0))
            else:
                self._hear(cancelled.view, submission)
                if not cancelled.view.job.is_final:
                    self.wrong.append(("a cancelled job is not final", view.job.id))
                return

    async def _wait(self, view: JobView, submission: Submission) -> None:
        server = self._pick()
        if server is not None:
            try:
                later = await server.ask(lambda: server.watches.wait_final(view, 15.0), _DEADLINE_SECONDS)
            except (Gone, *_AGAIN):
                return
            self._hear(later, submission)

    async def _watch(self, view: JobView, submission: Submission) -> None:
        """Watch to the end; resume elsewhere when the replica goes away."""
        version = 0
        for _ in range(_TRIES_MAX):
            server = self._pick()
            if server is None:
                await asyncio.sleep(1.0)
                continue
            seen: list[Any] = []

            async def follow(one: Server = server, after: int = version, seen: list[Any] = seen) -> None:
                async for event in one.watches.watch(view.job.id, view.job.project, after):
                    seen.append(event)  # noqa: PERF401 -- what was seen counts also when the watch breaks off

            try:
                await server.ask(follow, 8 * watch_heartbeat_seconds)
                ended = True
            except (Gone, *_AGAIN):
                ended = False
            for event in seen:
                if isinstance(event, JobView):
                    if event.version < version or (event.version == version and not event.job.is_final):
                        self.wrong.append(
                            (f"a watch went from version {version} to {event.version}", view.job.id)
                        )
                    version = event.version
                    self._hear(event, submission)
            if ended:
                if not (self.told and any(t.final for t in self.told if t.job_id == view.job.id)):
                    self.wrong.append(("a watch ended before its job", view.job.id))
                return
            await asyncio.sleep(self._random.uniform(0.1, 2.0))
