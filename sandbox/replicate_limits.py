"""Replicate's ratelimit headers: how many calls of each kind are left in the current minute."""

from __future__ import annotations

import time

BUCKETS = {"create": 600, "get": 60_000, "cancel": 3000, "list": 3000}
WINDOW_SECONDS = 60


class Limits:
    """Counts calls per kind and minute. It only reports; refusing is a fault's work."""

    def __init__(self) -> None:
        self._window = 0
        self._spent: dict[str, int] = {}

    def spend(self, kind: str) -> dict[str, str]:
        """Count one call and return the headers that say what is left."""
        now = int(time.monotonic())
        if now // WINDOW_SECONDS != self._window:
            self._window, self._spent = now // WINDOW_SECONDS, {}
        self._spent[kind] = self._spent.get(kind, 0) + 1
        return {
            "ratelimit-remaining": str(max(0, BUCKETS[kind] - self._spent[kind])),
            "ratelimit-reset": str(WINDOW_SECONDS - now % WINDOW_SECONDS),
        }
