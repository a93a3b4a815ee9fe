"""Time in the sandbox: real time, plus whatever `POST /admin/clock` added."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta


class Nap:
    """One wait that the passing of time ends, or somebody's `wake`."""

    def __init__(self, clock: SandboxClock, until_seconds: float) -> None:
        self._clock = clock
        self._until_seconds = until_seconds
        self._woken = False
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """End the wait now. Waking before or after the wait is harmless."""
        self._woken = True
        self.stir()

    def stir(self) -> None:
        """Look at the clock again."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> bool:
        """True when the time has passed, False when somebody woke the sleeper before."""
        loop = asyncio.get_running_loop()
        while not self._woken:
            left_seconds = self._until_seconds - self._clock.seconds()
            if left_seconds <= 0:
                return True
            self._future = loop.create_future()
            timer = loop.call_later(left_seconds, self.stir)
            self._clock.sleepers.add(self)
            try:
                await self._future
            finally:
                timer.cancel()
                self._clock.sleepers.discard(self)
        return False


class SandboxClock:
    """A clock that can jump forward. It never runs backwards while the sandbox lives."""

    def __init__(self, speed: float) -> None:
        if speed <= 0:
            raise ValueError("speed must be greater than 0")
        self.speed = speed
        self.sleepers: set[Nap] = set()
        self._offset_seconds = 0.0
        self._start_wall = datetime.now(UTC)
        self._start_seconds = time.monotonic()

    def seconds(self) -> float:
        """Seconds since the sandbox started, jumps included."""
        return time.monotonic() - self._start_seconds + self._offset_seconds

    def now(self) -> datetime:
        """The time of day that the sandbox believes in, UTC."""
        return self.at(self.seconds())

    def at(self, seconds: float) -> datetime:
        """The time of day at `seconds` of this clock, UTC."""
        return self._start_wall + timedelta(seconds=seconds)

    def real_unix_seconds(self) -> int:
        """The true time of day, jumps left out: what webhook signatures are dated with."""
        return int(time.time())

    def scaled(self, seconds: float) -> float:
        """How long `seconds` of the provider's work take at this speed."""
        return seconds / self.speed

    def advance(self, seconds: float) -> None:
        """Jump forward and let every sleeper look at the clock again."""
        if seconds < 0:
            raise ValueError("the clock only goes forward")
        self._offset_seconds += seconds
        for nap in tuple(self.sleepers):
            nap.stir()

    def nap(self, seconds: float) -> Nap:
        """A wait of `seconds` of this clock, not scaled."""
        return Nap(self, self.seconds() + seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock, not scaled."""
        await self.nap(seconds).wait()
