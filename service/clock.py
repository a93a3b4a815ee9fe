"""The only clock, dice and ids of the service: system time, UUIDv7, tokens, seeds, jitter."""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

# Linux counts CLOCK_BOOTTIME on through a suspend; elsewhere the monotonic clock is the nearest there is.
_CLOCK_THROUGH_SUSPEND: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_UUID_TAIL_BITS: Final = 74
_UUID_STEP_MAX: Final = 2**32
_SEED_MAX: Final = 2**31 - 1
_TOKEN_BYTES: Final = 16


class SystemClock:
    """The machine's clock, never running backwards as seen through one instance; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_micros = 0

    def now(self) -> int:
        """Microseconds since 1970-01-01T00:00Z; stands still while the machine's clock is set back."""
        micros = time.time_ns() // 1_000
        with self._lock:
            self._last_micros = max(self._last_micros, micros)
            return self._last_micros

    def monotonic(self) -> float:
        """Seconds since boot, suspended time included."""
        return time.clock_gettime(_CLOCK_THROUGH_SUSPEND)

    async def sleep(self, seconds: float) -> None:
        """Wait; nothing or less than nothing gives way to the loop once."""
        await asyncio.sleep(max(0.0, seconds))


class SystemDice:
    """Chance from the operating system, safe from any thread. The milliseconds of `now` lead the ids."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._ids = UuidSequence(secrets.randbits)
        self._jitter = random.Random()  # its own instance: nobody outside can seed it

    def new_id(self) -> str:
        """A UUIDv7 greater than every one that this instance gave before."""
        return self._ids.next(self._now() // 1_000)

    def new_token(self) -> str:
        """128 bits from the operating system, as 32 hex characters."""
        return secrets.token_hex(_TOKEN_BYTES)

    def seed(self) -> int:
        """A seed for a picture, 0 to 2**31 - 1."""
        return secrets.randbelow(_SEED_MAX + 1)

    def jitter(self) -> float:
        """A factor between 0.5 and 1.5."""
        return self._jitter.uniform(0.5, 1.5)


class UuidSequence:
    """UUIDv7 in rising order (RFC 9562, section 6.2, method 2: the random tail counts in random steps).

    Ids of one instance rise strictly even when the clock stands still or goes back. `randbits` is the chance.
    """

    def __init__(self, randbits: Callable[[int], int]) -> None:
        self._randbits = randbits
        self._lock = threading.Lock()
        self._millis = -1
        self._tail = 0

    def next(self, millis: int) -> str:
        """The next id for this millisecond since 1970, or for a later one where earlier ids lead."""
        with self._lock:
            if millis > self._millis:
                self._millis = millis
                # The top bit stays free, so that a burst within the millisecond has room to count in.
                self._tail = self._randbits(_UUID_TAIL_BITS - 1)
            else:
                self._tail += 1 + self._randbits(_UUID_STEP_MAX.bit_length() - 1)
                if self._tail >> _UUID_TAIL_BITS:
                    self._millis += 1
                    self._tail = self._randbits(_UUID_TAIL_BITS - 1)
            return _uuid7_text(self._millis, self._tail)


def _uuid7_text(millis: int, tail: int) -> str:
    """The canonical text: 48 bits of milliseconds, version 7, 12 bits, variant 10, 62 bits."""
    high, low = tail >> 62, tail & (2**62 - 1)
    digits = f"{(millis << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
