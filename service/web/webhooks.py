"""Webhooks of the providers over HTTP: bounded in bytes, time and number; the answers say as little as possible."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from service.core.webhooks import Took, Webhooks
from service.domain.limits import webhook_answer_seconds_max, webhooks_running_max

PATH: Final = "/webhooks/{provider}/{token}"

_TAKEN: Final = frozenset({Took.BOUND, Took.REPEATED, Took.LATE, Took.UNKNOWN})
_REFUSED: Final = frozenset({Took.FORGED, Took.STALE})


class WebhookPages:
    """`POST /webhooks/{provider}/{token}`. 200 need not come again; 401 is not authentic; everything else may be repeated."""

    def __init__(
        self,
        webhooks: Webhooks,
        *,
        answer_seconds_max: float = webhook_answer_seconds_max,
        running_max: int = webhooks_running_max,
    ) -> None:
        self._webhooks = webhooks
        self._answer_seconds_max = answer_seconds_max
        self._running_max = running_max
        self._running_count = 0

    async def take(self, request: Request) -> Response:
        """Read it whole, hand it in, and answer after the commit."""
        provider = request.path_params["provider"]
        if not self._webhooks.knows(provider):
            return _answer(404, "not found")
        if self._running_count >= self._running_max:
            self._webhooks.count(provider, Took.UNAVAILABLE)
            return _come_again()
        self._running_count += 1
        try:
            return await self._take(provider, request)
        finally:
            self._running_count -= 1

    def too_large(self, path: str) -> None:
        """A body was refused for its size before it reached this page."""
        parts = path.split("/")
        if len(parts) == PATH.count("/") + 1 and parts[1] == "webhooks" and self._webhooks.knows(parts[2]):
            self._webhooks.count(parts[2], Took.TOO_LARGE)

    async def _take(self, provider: str, request: Request) -> Response:
        try:
            async with asyncio.timeout(self._answer_seconds_max):
                body = await request.body()
        except (TimeoutError, ClientDisconnect):
            self._webhooks.count(provider, Took.INCOMPLETE)
            return _answer(408, "incomplete", connection="close")
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            async with asyncio.timeout(self._answer_seconds_max):
                took = await self._webhooks.take(provider, request.path_params["token"], headers, body)
        except TimeoutError:
            self._webhooks.count(provider, Took.UNAVAILABLE)
            return _come_again()
        if took in _TAKEN:
            return JSONResponse({"taken": True})
        return _answer(401, "not accepted") if took in _REFUSED else _come_again()


def _answer(status: int, text: str, **headers: str) -> Response:
    return JSONResponse({"error": text}, status, headers=headers)


def _come_again() -> Response:
    return JSONResponse({"error": "unavailable"}, 503, headers={"retry-after": "1"})
