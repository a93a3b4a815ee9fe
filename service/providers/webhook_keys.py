"""Keys that verify a provider's webhooks: fetched when needed, kept for a while, asked for again at a
bounded pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from service.domain.failure import ProviderUnavailable
from service.domain.limits import webhook_keys_pace_seconds, webhook_keys_seconds
from service.ports import Clock

Keys = TypeVar("Keys")
FAILURE_PACE_SECONDS: Final = 5.0


class KeptKeys(Generic[Keys]):
    """Keys and when they were fetched.

    A forger must not be able to make us ask the provider as often as he knocks: keys that do not fit are
    fetched anew once a minute at most, keys that could not be fetched every five seconds; whoever comes in
    between is told that they are not to be had.
    """

    def __init__(
        self,
        provider: str,
        clock: Clock,
        fetch: Callable[[], Awaitable[Keys]],
        *,
        kept_seconds: float = webhook_keys_seconds,
        pace_seconds: float = webhook_keys_pace_seconds,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._fetch = fetch
        self._kept_seconds = kept_seconds
        self._pace_seconds = pace_seconds
        self._fetching = asyncio.Lock()
        self._keys: Keys | None = None
        self._fetched_at = 0.0
        self._not_before = 0.0

    async def current(self) -> Keys:
        """The kept keys, fetched when there are none or they are too old. Raises ProviderUnavailable."""
        async with self._fetching:
            keys = self._keys
            if keys is None or self._clock.monotonic() - self._fetched_at >= self._kept_seconds:
                keys = await self._renew()
            return keys

    async def newer(self, than: Keys) -> Keys | None:
        """Other keys than these, which did not fit; None when these are the newest that may be had now. Raises
        ProviderUnavailable when it is time to ask and the provider does not answer.
        """
        async with self._fetching:
            if self._keys is not None and self._keys is not than:
                return self._keys
            if self._clock.monotonic() - self._fetched_at < self._pace_seconds:
                return None
            return await self._renew()

    async def _renew(self) -> Keys:
        now = self._clock.monotonic()
        if now < self._not_before:
            raise ProviderUnavailable(
                f"{self._provider}: webhook keys are not to be had",
                retry_after_seconds=self._not_before - now,
            )
        # Before the call: one that is cancelled or fails counts too.
        self._not_before = now + FAILURE_PACE_SECONDS
        keys = await self._fetch()
        self._keys, self._fetched_at, self._not_before = keys, self._clock.monotonic(), 0.0
        return keys
