"""Outages: a provider, or a part of it, that is down, slow or overloaded for a while, whoever asks for what.

Where a fault hits one request, an outage stands before the doors and meets every call: to a provider, to a
path, of a method. Calls that it turns away are in no book but for one count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from sandbox.book import Book
from sandbox.clock import Nap, SandboxClock

OUTAGES_MAX: Final = 100
MODES: Final[Mapping[str, str]] = {
    "status": "Every call is answered with `code`, and Retry-After where `retry_after` is given.",
    "drop": "Every connection is closed without an answer, the request unread.",
    "hang": "No call is answered; when the outage ends, the connections are closed.",
    "slow": "Every call is taken as usual, `delay_seconds` late.",
    "refuse": "Nobody listens on the port: connections are refused. It meets both providers and needs `seconds`.",
}


class OutageError(ValueError):
    """An order for an outage that does not exist."""


@dataclass(slots=True)
class Outage:
    """One outage. `until`: seconds of the sandbox's clock, None = until it is withdrawn. `path` is a glob."""

    number: int
    mode: str
    provider: str | None = None
    path: str = "*"
    method: str | None = None
    until: float | None = None
    code: int = 503
    retry_after: int | None = None
    delay_seconds: float = 1.0
    hits: int = 0

    def meets(self, provider: str, path: str, method: str) -> bool:
        """Whether it meets such a call."""
        return (
            self.mode != "refuse"
            and self.provider in (None, provider)
            and self.method in (None, method)
            and fnmatchcase(path, self.path)
        )


class Outages:
    """All standing outages."""

    def __init__(self, clock: SandboxClock, book: Book, seconds_max: float) -> None:
        self._clock = clock
        self._book = book
        self._seconds_max = seconds_max
        self._standing: list[Outage] = []
        self._next_number = 1
        self._waiting: set[Nap] = set()
        self.close_port: Callable[[float], None] | None = None
        """How the port is closed for so many seconds; whoever owns the port puts it here."""

    def order(self, wish: Mapping[str, Any]) -> Outage:
        """Take {mode, seconds?, provider?, path?, method?, code?, retry_after?, delay_seconds?}. Raises OutageError."""
        known = ("mode", "seconds", "provider", "path", "method", "code", "retry_after", "delay_seconds")
        unknown = set(wish) - set(known)
        if unknown:
            raise OutageError(f"unknown key {min(unknown)!r}; known are {', '.join(known)}")
        if wish.get("mode") not in MODES:
            raise OutageError(f"mode must be one of {', '.join(MODES)}")
        if wish.get("provider") not in (None, "fal", "replicate"):
            raise OutageError("provider must be fal or replicate")
        seconds = wish.get("seconds")
        refuses = wish["mode"] == "refuse"
        if refuses and (seconds is None or self.close_port is None):
            raise OutageError("refuse needs seconds: nobody could end it, the port is closed")
        if len(self.standing()) >= OUTAGES_MAX:
            raise OutageError(f"at most {OUTAGES_MAX} outages")
        given = {name: value for name, value in wish.items() if name != "seconds" and value is not None}
        until = None if seconds is None else self._clock.seconds() + float(seconds)
        outage = Outage(self._next_number, until=until, **given)
        self._next_number += 1
        self._standing.append(outage)
        if refuses and self.close_port is not None:
            self.close_port(min(float(seconds or 0.0), self._seconds_max))
        return outage

    def standing(self) -> list[Outage]:
        """The outages of now."""
        now = self._clock.seconds()
        self._standing = [one for one in self._standing if one.until is None or now < one.until]
        return self._standing

    def withdraw(self, number: int | None = None) -> int:
        """End one outage, or all; how many there were. A closed port opens when its time has come."""
        standing = self.standing()
        kept = [] if number is None else [one for one in standing if one.number != number]
        self._standing = kept
        for nap in tuple(self._waiting):
            nap.wake()
        return len(standing) - len(kept)

    def meeting(self, path: str, method: str) -> Outage | None:
        """The first outage that meets this call; it is counted."""
        provider = path.split("/")[1] if path.count("/") else ""
        if provider not in ("fal", "replicate"):
            return None
        for outage in self.standing():
            if outage.meets(provider, path, method):
                outage.hits += 1
                if outage.mode != "slow":
                    self._book.totals[provider].turned_away += 1
                return outage
        return None

    async def sit_out(self, outage: Outage) -> None:
        """Return when the outage is over."""
        while outage in self.standing():
            left = self._seconds_max if outage.until is None else outage.until - self._clock.seconds()
            nap = self._clock.nap(left)
            self._waiting.add(nap)
            try:
                await nap.wait()
            finally:
                self._waiting.discard(nap)

    async def delay(self, seconds: float) -> None:
        """Wait, at most as long as any connection is held open."""
        await self._clock.sleep(min(seconds, self._seconds_max))
