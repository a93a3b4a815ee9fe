"""A provider that hands everything on: what wrappers inherit from, so that each shows only what it adds."""

from __future__ import annotations

from service.domain.exchange import CancelAnswer, DispatchAnswer, Order, Result, Status
from service.ports import Provider


class Wrapper:
    """Implements `service.ports.Provider` by asking `inner`; keeps every promise of it."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """The wrapped provider's name."""
        return self._inner.name

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Hand on."""
        return await self._inner.dispatch(order, send_before)

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """Hand on."""
        return await self._inner.poll(endpoint, provider_id)

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """Hand on."""
        return await self._inner.result(endpoint, provider_id)

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Hand on."""
        return await self._inner.cancel(endpoint, provider_id)

    async def upload(self, content: bytes, mime_type: str) -> str:
        """Hand on."""
        return await self._inner.upload(content, mime_type)

    async def close(self) -> None:
        """Hand on."""
        await self._inner.close()
