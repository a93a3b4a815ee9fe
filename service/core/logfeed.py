"""Log lines of renders that run on this replica: kept for a moment, given to whoever watches. Best effort, bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from service.domain.exchange import LogLine

_LINES_KEPT = 200
_LINES_PER_RENDER_SEEN = 100


@dataclass(slots=True)
class LogReader:
    """One watcher's place in the feed. `dropped_count` lines were overwritten before it read them."""

    render_id: str
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    dropped_count: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> tuple[tuple[LogLine, ...], int]:
        """What came since the last call, and how many lines were lost before that."""
        lines, dropped = tuple(self.lines), self.dropped_count
        self.lines.clear()
        self.dropped_count = 0
        self.arrived.clear()
        return lines, dropped


class LogFeed:
    """Brings lines from the runner to the watches of the same replica."""

    def __init__(self) -> None:
        self._readers: dict[str, list[LogReader]] = {}

    def open(self, render_id: str) -> LogReader:
        """Read from now on; close it when done."""
        reader = LogReader(render_id)
        self._readers.setdefault(render_id, []).append(reader)
        return reader

    def close(self, reader: LogReader) -> None:
        """Stop reading; legal twice."""
        readers = self._readers.get(reader.render_id, [])
        if reader in readers:
            readers.remove(reader)
        if not readers:
            self._readers.pop(reader.render_id, None)

    def is_read(self, render_id: str) -> bool:
        """Whether anybody watches this render's log here."""
        return render_id in self._readers

    def publish(self, render_id: str, lines: tuple[LogLine, ...]) -> None:
        """Hand new lines to every reader; a slow one loses its oldest."""
        for reader in self._readers.get(render_id, ()):
            room = _LINES_KEPT - len(reader.lines)
            reader.dropped_count += max(0, len(lines) - room)
            reader.lines.extend(lines[-_LINES_KEPT:])
            reader.arrived.set()


class NewLines:
    """Picks the lines that were not seen before, from looks that each show the newest part of a growing log."""

    def __init__(self) -> None:
        self._last: LogLine | None = None

    def of(self, lines: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
        """What stands behind the last line of the look before; everything, when that line is not shown any more."""
        fresh = lines
        if self._last in lines:
            fresh = lines[len(lines) - lines[::-1].index(self._last) :]
        if lines:
            self._last = lines[-1]
        return fresh[-_LINES_PER_RENDER_SEEN:]
