"""The sandbox's background tasks: every one has an owner and ends with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine


class Chores:
    """Owns tasks: keeps them from being lost, and ends them when the sandbox stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work` in the background; its failure is printed and kept in `failures`."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        failure = task.exception()
        if failure is not None:
            self.failures.append(failure)
            sys.stderr.write(f"sandbox: a background task failed: {failure!r}\n")

    async def stop(self) -> None:
        """Cancel what still runs and wait until it has ended. Stopping twice is harmless."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
