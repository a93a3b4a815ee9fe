"""The only clock, dice and ids of the service: system time, UUIDv7, tokens, seeds, jitter."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

# Linux counts CLOCK_BOOTTIME on through a suspend; elsewhere the monotonic clock is the nearest there is.
_CLOCK_THROUGH_SUSPEND: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_UUID_TAIL_BITS: Final = 74
_UUID_STEP_BITS: Final = 32
_SEED_MAX: Final = 2**31 - 1
_TOKEN_BYTES: Final = 16
_PORTION_BYTES: Final = 4_096
_LOW_BITS: Final = 2**62 - 1
_NODE_BITS: Final = 2**48 - 1


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
        self._ids = UuidSequence(Portions().bits)
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


class Portions:
    """Random bits of the operating system, asked for in portions: a call for each id would take longer than the rest of it.

    Not for two threads at once.
    """

    def __init__(self) -> None:
        self._portion = b""
        self._used = 0

    def bits(self, count: int) -> int:
        """So many random bits, none of them given before."""
        start = self._used
        end = start + (count + 7) // 8
        if end > len(self._portion):
            self._portion = os.urandom(_PORTION_BYTES)
            start, end = 0, end - start
        self._used = end
        return int.from_bytes(self._portion[start:end]) >> (-count % 8)


class UuidSequence:
    """UUIDv7 in rising order (RFC 9562, section 6.2, method 2: the random tail counts in random steps).

    Ids of one instance rise strictly even when the clock stands still or goes back. `randbits` is the chance.
    """

    def __init__(self, randbits: Callable[[int], int]) -> None:
        self._randbits = randbits
        self._lock = threading.Lock()
        self._millis = -1
        self._tail = 0
        self._head = ""

    def next(self, millis: int) -> str:
        """The next id for this millisecond since 1970, or for a later one where earlier ids lead."""
        with self._lock:
            if millis > self._millis:
                self._millis = millis
                self._begin()
            else:
                self._tail += 1 + self._randbits(_UUID_STEP_BITS)
                if self._tail >> _UUID_TAIL_BITS:
                    self._millis += 1
                    self._begin()
            # The head, version 7 and 12 bits, variant 10 and 62 bits.
            tail = self._tail
            low = 0b10 << 62 | tail & _LOW_BITS
            return f"{self._head}-7{tail >> 62:03x}-{low >> 48:04x}-{low & _NODE_BITS:012x}"

    def _begin(self) -> None:
        """A new millisecond: its 48 bits as text, and a tail whose top bit stays free for a burst to count in."""
        digits = f"{self._millis:012x}"
        self._head = f"{digits[:8]}-{digits[8:]}"
        self._tail = self._randbits(_UUID_TAIL_BITS - 1)
