"""The one POST of a dispatch. Nothing here tries again, on no status and on no fault: each POST may be paid.

Neither provider knows an idempotency key, and fal-client repeats a submit up to ten times (observed with
fal-client 1.0.3: a connection dropped after the POST was read, 429, 409, an nginx 502). So dispatches never
go through a package.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx

from service.domain.exchange import Refused, Unclear
from service.domain.limits import dispatch_post_seconds_max
from service.ports import Clock
from service.providers.errors import NOTHING_SENT, PERHAPS_SENT, unreachable
from service.providers.wire import (
    CONNECT_SECONDS_MAX,
    USER_AGENT,
    Answer,
    GuardedTransport,
    no_cookies,
    plain_transport,
    read_answer,
)

POSTS_PARALLEL_MAX: Final = 256
_ABOUT_TO_SEND: Final = "http11.send_request_headers.started"
"""What httpcore tells its `trace` extension just before the first byte of a request."""


class _TooLateError(Exception):
    """The window closed while the connection was made."""


def posting_transport(tls: ssl.SSLContext | None) -> httpx.AsyncBaseTransport:
    """A connection per POST: a kept one may be stale, and would make an unclear dispatch out of nothing."""
    return plain_transport(tls, connections_max=POSTS_PARALLEL_MAX, keep_alive_max=0)


class OnePost:
    """An HTTP client that can only be used for dispatches: no keep-alive (a stale connection would make an
    unclear dispatch out of nothing), no retries, no redirects, HTTP/1.1, no proxies out of the environment,
    one deadline.
    """

    def __init__(
        self,
        provider: str,
        clock: Clock,
        origins: Iterable[str],
        *,
        transport: httpx.AsyncBaseTransport,
        seconds_max: float = dispatch_post_seconds_max,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._seconds_max = seconds_max
        self._client = httpx.AsyncClient(
            transport=GuardedTransport(origins, transport),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"},
            timeout=httpx.Timeout(seconds_max, connect=CONNECT_SECONDS_MAX, pool=CONNECT_SECONDS_MAX),
            cookies=no_cookies(),
            trust_env=False,
            follow_redirects=False,
        )

    async def send(
        self, url: str, headers: Mapping[str, str], content: bytes, send_before: float
    ) -> Answer | Refused | Unclear | None:
        """Send it. None: too late, nothing was sent. Refused: no connection, nothing was sent. Unclear:
        whatever else the wire did. An Answer may have any status. Never raises for what the wire does;
        cancellation passes.
        """

        async def look(event: str, _info: Mapping[str, Any]) -> None:
            # The connection stands, nothing has left: making it may have taken long, and so may the machine have slept.
            if event == _ABOUT_TO_SEND and self._clock.monotonic() >= send_before:
                raise _TooLateError

        request = self._client.build_request(
            "POST", url, headers=dict(headers), content=content, extensions={"trace": look}
        )
        if self._clock.monotonic() >= send_before:
            return None
        try:
            async with asyncio.timeout(self._seconds_max):
                response = await self._client.send(request, stream=True)
                try:
                    return await read_answer(response)
                finally:
                    await response.aclose()
        except _TooLateError:
            return None
        except NOTHING_SENT:
            return unreachable(self._provider)
        except PERHAPS_SENT as error:
            slow = isinstance(error, httpx.TimeoutException | TimeoutError)
            return Unclear("timeout" if slow else "broken", f"{self._provider}: {type(error).__name__}")

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self._client.aclose()
