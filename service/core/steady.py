"""A Store for whoever may not give up: a render's step is tried again until the database has answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from service.domain.errors import Overloaded, StoreUnavailable
from service.domain.limits import poll_seconds_max, poll_seconds_min
from service.ports import Clock, Dice, Log, Store

Answer = TypeVar("Answer")

STORE_TRIES_MAX: Final = 1_000
"""More than an hour of them; then the row has to wait for whoever looks at it next."""


class Steady:
    """Implements `Store`, around another one. Commands are idempotent, so one whose commit is not known is handed in again."""

    def __init__(self, store: Store, clock: Clock, dice: Dice, log: Log) -> None:
        self._store = store
        self._clock = clock
        self._dice = dice
        self._log = log

    async def execute(self, command: Any) -> Any:
        """The outcome, however long the database is away; raises what the decision raises."""
        return await self.until_answered(lambda: self._store.execute(command))

    async def until_answered(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The same for a read. Raises StoreUnavailable or Overloaded after `STORE_TRIES_MAX` only."""
        pause = poll_seconds_min
        for _ in range(STORE_TRIES_MAX - 1):
            try:
                return await ask()
            except (StoreUnavailable, Overloaded) as error:
                self._log.warning("store_asked_again", error=error.text)
            await self._clock.sleep(pause * self._dice.jitter())
            pause = min(poll_seconds_max, pause * 2)
        return await ask()
