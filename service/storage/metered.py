"""A picture store that is timed: the same port, every call observed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from service.ports import BlobInfo, Blobs

Answer = TypeVar("Answer")


class MeteredBlobs:
    """Passes everything on to `blobs`; `observe` gets the seconds of each call that has an answer or an
    error.
    """

    def __init__(
        self, blobs: Blobs, observe: Callable[[float], None], monotonic: Callable[[], float]
    ) -> None:
        self._blobs = blobs
        self._observe = observe
        self._monotonic = monotonic
        self.url = blobs.url
        self.provider_url = blobs.provider_url
        self.close = blobs.close

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Timed."""
        return await self._timed(self._blobs.put(key, content, mime_type))

    async def head(self, key: str) -> BlobInfo | None:
        """Timed."""
        return await self._timed(self._blobs.head(key))

    async def get(self, key: str) -> bytes | None:
        """Timed."""
        return await self._timed(self._blobs.get(key))

    async def _timed(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        started = self._monotonic()
        try:
            return await call
        finally:
            self._observe(self._monotonic() - started)
