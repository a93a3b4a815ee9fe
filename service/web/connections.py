"""Connections of the HTTP door that do not ask anything: closed after a while, so that silence can't keep others out.

uvicorn counts connections, refuses those beyond its limit, and waits for the head of a request as long as it takes. Whoever opens
enough connections and says nothing would keep health checks and webhooks out for ever.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS_MAX: Final = 10
"""From the connection, or the first byte of a further request, to the end of the request's head. More bytes give no more time."""


class Connection(H11Protocol):
    """uvicorn's protocol with an end to waiting for a request's head."""

    head_seconds_max: float = HEAD_SECONDS_MAX
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # asyncio says BaseTransport
        """Begin to wait."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Go on to wait while the head is not whole."""
        super().data_received(data)
        if self._serves:
            self._drop_timer()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for."""
        self._drop_timer()
        super().connection_lost(exc)

    @property
    def _serves(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds_max, self._give_up)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if not self._serves:
            self.transport.close()


def with_patience(head_seconds_max: float) -> type[Connection]:
    """The class of connections that wait so long; uvicorn makes them itself."""
    return type(Connection.__name__, (Connection,), {"head_seconds_max": head_seconds_max})
