"""Time and chance, injected."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, injected. MUST NOT run backwards as seen through one instance."""

    def now(self) -> int:
        """Microseconds since 1970-01-01T00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that goes on while the machine sleeps (boot time)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. MUST pass cancellation on."""
        ...


class Dice(Protocol):
    """Everything that is random, injected. MUST NOT block; ids MUST never repeat."""

    def new_id(self) -> str:
        """A UUIDv7, opaque to everybody."""
        ...

    def new_token(self) -> str:
        """32 hex characters that cannot be guessed: the correlation token of one attempt."""
        ...

    def seed(self) -> int:
        """A seed for a picture, 0 to 2**31 - 1."""
        ...

    def jitter(self) -> float:
        """A factor between 0.5 and 1.5."""
        ...
