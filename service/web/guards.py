"""What every answer of the door carries, and what no request may exceed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.limits import webhook_bytes_max

_TOO_LARGE: Final = 413
_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


class SafeHeaders:
    """Adds the headers that keep a browser from doing more with an answer than showing it; a route's own
    win.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safely)


def _unheard(_path: str) -> None:
    """Nobody counts refusals."""


class BodyLimit:
    """Refuses bodies above `bytes_max` with 413: by their announced length, or while they are read. `refused` is told the path.

    Only webhooks have bodies; fal says that its own may be large, and names no limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        bytes_max: int = webhook_bytes_max,
        *,
        refused: Callable[[str], None] = _unheard,
    ) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > self._bytes_max:
            self._refused(scope["path"])
            refusal = JSONResponse({"error": "body too large"}, _TOO_LARGE, headers={"connection": "close"})
            await refusal(scope, receive, send)
            return
        read_bytes = 0

        async def receive_bounded() -> Message:
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self._bytes_max:
                self._refused(scope["path"])
                raise HTTPException(_TOO_LARGE, "body too large", headers={"connection": "close"})
            return message

        await self._app(scope, receive_bounded, send)
