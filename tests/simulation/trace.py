"""What happened, in order: a digest of everything, and the newest lines for whoever looks for a cause."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

_LINES_KEPT = 200_000


class Trace:
    """Every event of a run. Two runs went the same way when their digests are equal."""

    def __init__(self, now: Any) -> None:
        self._now = now
        self._hash = hashlib.blake2b(digest_size=16)
        self._lines: deque[tuple[float, str, str, tuple[Any, ...]]] = deque(maxlen=_LINES_KEPT)
        self.count = 0

    def note(self, who: str, what: str, *words: Any) -> None:
        """Something happened."""
        line = (self._now(), who, what, words)
        self.count += 1
        self._hash.update(repr(line).encode())
        self._lines.append(line)

    @property
    def digest(self) -> str:
        """Of everything so far."""
        return self._hash.hexdigest()

    def about(self, keys: set[str], limit: int = 80) -> list[str]:
        """The newest lines that name one of these, or that say what befell a replica; oldest first."""
        found = []
        for at, who, what, words in reversed(self._lines):
            texts = [str(word) for word in words]
            if what in ("killed", "stopped", "resumed", "born") or any(
                key in text for text in texts for key in keys
            ):
                found.append(f"{at:12.6f} {who:<10} {what:<24} {' '.join(texts)[:300]}")
                if len(found) == limit:
                    break
        return found[::-1]
