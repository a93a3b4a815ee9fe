"""Time that a test moves by hand, and dice that fall the same way each time."""

import asyncio
import heapq
import random

from service.clock import UuidSequence

STARTED = 1_767_225_600_000_000  # 2026-01-01T00:00Z


class FakeClock:
    """A Clock that stands still until `advance` moves it. Whoever sleeps is woken when its time has come.

    Time starts at `now_micros`; the monotonic clock starts at 1,000 seconds.
    """

    def __init__(self, now_micros: int = STARTED) -> None:
        self._started = now_micros
        self._elapsed = 0  # microseconds
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self._slept = asyncio.Condition()

    def now(self) -> int:
        """Microseconds since 1970, as far as the test has moved them."""
        return self._started + self._elapsed

    def monotonic(self) -> float:
        """Seconds, as far as the test has moved them."""
        return 1_000.0 + self._elapsed / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved the clock this far; zero gives way once."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        entry = (self._elapsed + round(seconds * 1_000_000), self._count, future)
        heapq.heappush(self._sleepers, entry)
        try:
            async with self._slept:
                self._slept.notify_all()
            await future
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)

    @property
    def sleepers_count(self) -> int:
        """How many are asleep now."""
        return len(self._sleepers)

    def next_wake_seconds(self) -> float | None:
        """How far the clock must move to wake the first sleeper; None when nobody sleeps."""
        return (self._sleepers[0][0] - self._elapsed) / 1_000_000 if self._sleepers else None

    def advance(self, seconds: float) -> None:
        """Move time and wake, in order, everybody whose time has come. They run when the test next awaits."""
        self._elapsed += round(seconds * 1_000_000)
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    async def run(self, seconds: float) -> None:
        """Move time wake-up by wake-up, letting what was woken run (and sleep again) before time goes on."""
        end = self._elapsed + round(seconds * 1_000_000)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.advance((self._sleepers[0][0] - self._elapsed) / 1_000_000)
            await settle()
        self.advance((end - self._elapsed) / 1_000_000)
        await settle()

    async def wait_for_sleepers(self, count: int = 1) -> None:
        """Await until this many are asleep: the signal that the code under test can only wait."""
        async with self._slept:
            await self._slept.wait_for(lambda: len(self._sleepers) >= count)


async def settle(turns: int = 20) -> None:
    """Let tasks that can run do so: `turns` rounds of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)


class SeededDice:
    """A Dice whose whole sequence follows from the seed. Ids are UUIDv7 of the clock, in rising order."""

    def __init__(self, seed: int = 0, clock: FakeClock | None = None) -> None:
        self._random = random.Random(seed)
        self._clock = clock or FakeClock()
        self._ids = UuidSequence(self._random.getrandbits)

    def new_id(self) -> str:
        """The next UUIDv7."""
        return self._ids.next(self._clock.now() // 1_000)

    def new_token(self) -> str:
        """The next 32 hex characters."""
        return f"{self._random.getrandbits(128):032x}"

    def seed(self) -> int:
        """The next seed, 0 to 2**31 - 1."""
        return self._random.getrandbits(31)

    def jitter(self) -> float:
        """The next factor between 0.5 and 1.5."""
        return self._random.uniform(0.5, 1.5)
