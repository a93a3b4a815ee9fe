"""How long this replica may still act: its lease as it knows it, by its own clock, and shorter than the database knows it."""

from __future__ import annotations

from typing import Final

from service.domain.limits import lease_wait_seconds_max, owner_seconds_max
from service.ports import Clock

_LOOK_SECONDS: Final = 0.5


class Lease:
    """Whoever sends something to a provider asks here first: another replica may own the render by now.

    The clock goes on while the machine or the process is stopped, so a replica that wakes up late knows that it is late.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends = float("-inf")
        self._ordinal: int | None = None

    @property
    def ends(self) -> float:
        """Until when (monotonic seconds) this replica acts."""
        return self._ends

    def beat(self, started: float, ordinal: int = 0) -> None:
        """A heartbeat that was begun at this monotonic time is committed, and gave this replica its ordinal."""
        self._ends = max(self._ends, started + owner_seconds_max)
        self._ordinal = ordinal

    def holds(self) -> bool:
        """Whether this replica may act now."""
        return self._clock.monotonic() < self._ends

    def leads(self) -> bool:
        """Whether this replica does what only one of them needs to do: the living one with the smallest ordinal has 0."""
        return self._ordinal == 0 and self.holds()

    async def held(self) -> bool:
        """Wait until it holds. False when it stays away for `lease_wait_seconds_max`: then others have its renders."""
        until = self._clock.monotonic() + lease_wait_seconds_max
        while not self.holds():
            if self._clock.monotonic() >= until:
                return False
            await self._clock.sleep(_LOOK_SECONDS)
        return True
