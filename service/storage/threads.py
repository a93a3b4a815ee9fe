"""Blocking work, off the event loop: a few threads, a bounded queue before them, and a limit on waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")


class ThreadsFull(Exception):
    """As much work is waiting as may wait, or the threads are closed."""


class BoundedThreads:
    """A thread pool that refuses instead of queueing without end.

    At most `threads_count` pieces of work run and `waiting_count_max` wait. An answer that takes longer
    than `answer_seconds_max` is given up with TimeoutError; the thread itself goes on to the work's own
    time limits, and counts as busy until then.
    """

    def __init__(
        self, name: str, *, threads_count: int, waiting_count_max: int, answer_seconds_max: float
    ) -> None:
        self._executor = ThreadPoolExecutor(threads_count, thread_name_prefix=name)
        self._open_count_max = threads_count + waiting_count_max
        self._answer_seconds_max = answer_seconds_max
        self._lock = threading.Lock()
        self._open_count = 0
        self._closed = False

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run it in a thread. Cancellation passes at once: work not yet begun never begins, begun work ends.

        Raises ThreadsFull, TimeoutError, and whatever the work raises.
        """
        with self._lock:
            if self._closed or self._open_count >= self._open_count_max:
                raise ThreadsFull(f"{self._open_count} pieces of work are waiting or running")
            future = self._executor.submit(work)
            self._open_count += 1
        future.add_done_callback(self._release)
        try:
            async with asyncio.timeout(self._answer_seconds_max):
                return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if future.cancelled() and task is not None and not task.cancelling():
                raise ThreadsFull("closed before the work began") from None
            raise

    def close(self) -> None:
        """Take no more work and drop what waits; what runs ends by itself. Legal twice."""
        with self._lock:
            self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _release(self, _future: Future[Answer]) -> None:
        with self._lock:
            self._open_count -= 1
