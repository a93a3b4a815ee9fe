"""Runs renders: one supervised task per render that this replica owns, bounded in number, drained before the store closes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from service.domain.errors import Draining, Overloaded, StorageUnavailable
from service.domain.limits import renders_running_max, results_unstored_max
from service.domain.view import JobView
from service.ports import Log

Answer = TypeVar("Answer")


async def to_the_end(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Await something that a cancellation must not cut in two: the cancellation is raised only after its end."""
    whole = asyncio.gather(work)
    try:
        return (await asyncio.shield(whole))[0]
    except asyncio.CancelledError:
        while not whole.done():
            try:
                await asyncio.wait([whole])
            except asyncio.CancelledError:  # asked again, and still it has to end first
                continue
        raise


class Runner:
    """Owns the tasks of running renders. `start` before `begin`; `drain` lets them end; `stop` ends what is left."""

    def __init__(
        self,
        run: Callable[[JobView], Awaitable[None]],
        log: Log,
        *,
        running_max: int = renders_running_max,
        unstored: Callable[[], int] = lambda: 0,
    ) -> None:
        self._run = run
        self._log = log
        self._running_max = running_max
        self._unstored = unstored
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._fences: dict[str, int] = {}
        self._draining = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Take work from now on."""
        self._loop = asyncio.get_running_loop()
        self._draining = False

    async def drain(self, seconds_max: float) -> int:
        """Take no new work and wait for what runs. Answers how many renders still run; their rows tell where they stand."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds_max):
                # A request that was let in before the drain begins its render during it.
                while self._tasks:
                    await asyncio.wait(list(self._tasks.values()))
        except TimeoutError:
            return len(self._tasks)
        return 0

    async def stop(self) -> None:
        """End what still runs. A dispatch under way is shielded and finishes its commit first. Legal twice."""
        self._draining = True
        while tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def running_count(self) -> int:
        """How many renders run here."""
        return len(self._tasks)

    @property
    def has_room(self) -> bool:
        """Whether `begin` may be called for one more."""
        return not self._draining and len(self._tasks) < self._running_max

    def runs(self, render_id: str) -> bool:
        """Whether this render runs here."""
        return render_id in self._tasks

    def let_go(self, render_id: str, fence: int) -> None:
        """End what runs here of a render whose fencing number has grown since: others have had it, and whoever takes it next
        may be us. A dispatch under way ends first.
        """
        task = self._tasks.get(render_id)
        if task is not None and self._fences[render_id] < fence:
            self._log.info("render_let_go", render=render_id)
            task.cancel()

    def check_room(self) -> None:
        """Raise Draining or Overloaded when no new render can be taken."""
        if self._draining:
            raise Draining("this replica is stopping", retry_after_seconds=1.0)
        if len(self._tasks) >= self._running_max:
            raise Overloaded(
                "too many pictures are being drawn here",
                metadata={"limit": str(self._running_max)},
                retry_after_seconds=1.0,
            )
        if self._unstored() >= results_unstored_max:
            # Every further render would be paid for, and perhaps lost.
            raise StorageUnavailable(
                "paid pictures wait for the picture store; it has to come back first",
                metadata={"limit": str(results_unstored_max)},
                retry_after_seconds=5.0,
            )

    def begin(self, view: JobView) -> None:
        """Run a new render in the background; one that runs here already is left alone."""
        assert self._loop is not None, "the runner was not started"
        assert view.render is not None, "a new job has its render"
        render_id = view.render.id
        if render_id in self._tasks:
            return
        task = self._loop.create_task(self._supervise(view), name=f"render {render_id}")
        self._tasks[render_id] = task
        self._fences[render_id] = view.render.fence
        task.add_done_callback(lambda _: self._ended(render_id))

    def _ended(self, render_id: str) -> None:
        self._tasks.pop(render_id, None)
        self._fences.pop(render_id, None)

    async def _supervise(self, view: JobView) -> None:
        try:
            await self._run(view)
        except Exception as error:
            # The row says where the render stands; whoever owns it next goes on from there.
            self._log.error("render_stopped", render=view.job.render_id, error=repr(error), exc_info=True)
