"""Rendering of metrics text: one thread, a short queue, never the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

WAITING_COUNT_MAX: Final = 8
"""A Prometheus or two scrape every few seconds; more than this many at once are a mistake or an attack."""


class TooManyScrapes(Exception):
    """As many renderings as may wait are waiting."""


class Exposition:
    """Renders one text at a time."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="exposition")
        self._open_count = 0

    async def render(self, render: Callable[[], bytes]) -> bytes:
        """Run it in the thread. Raises TooManyScrapes instead of queueing without end."""
        if self._open_count > WAITING_COUNT_MAX:
            raise TooManyScrapes
        self._open_count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, render)
        finally:
            self._open_count -= 1

    def close(self) -> None:
        """Free the thread; legal twice."""
        self._executor.shutdown(wait=False, cancel_futures=True)
