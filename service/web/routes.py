"""The routes of the HTTP door, and what each answers when something is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from service.core.webhooks import Webhooks
from service.domain.errors import LightmeterError
from service.metrics import CONTENT_TYPE, Family, expose_families
from service.ports import Blobs
from service.web.assets import Assets
from service.web.exposition import Exposition, TooManyScrapes
from service.web.guards import BodyLimit, SafeHeaders
from service.web.webhooks import PATH as WEBHOOKS_PATH
from service.web.webhooks import WebhookPages

LEDGER_SECONDS_MAX: Final = 8.0
"""Below the ten seconds that Prometheus waits by default."""
READINESS_SECONDS_MAX: Final = 2.0
"""Below the three seconds that container health checks usually wait."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the door shows.

    `expose` renders this replica's metrics (blocking, called in a thread). `ledger` reads the exact totals
    of the whole ledger in one snapshot, as families or as ready text. `readiness` says, by name, whether
    what the replica needs is there. `assets` is the embedded picture store; None where a bucket serves the
    pictures. `webhooks` takes what the providers send; None where they were not told where to.
    """

    expose: Callable[[], bytes]
    ledger: Callable[[], Awaitable[Sequence[Family] | bytes]]
    readiness: Callable[[], Awaitable[Mapping[str, bool]]]
    assets: Blobs | None = None
    webhooks: Webhooks | None = None


def http_app(sources: Sources, exposition: Exposition, draining: Callable[[], bool]) -> ASGIApp:
    """The ASGI application. `draining` is asked at each look at readiness."""
    pages = _Pages(sources, exposition, draining)
    routes: list[BaseRoute] = [
        Route("/metrics", pages.metrics),
        Route("/metrics/ledger", pages.ledger),
        Route("/healthz", pages.health),
        Route("/readyz", pages.readiness),
    ]
    if sources.assets is not None:
        routes.append(Route("/assets/{key:path}", Assets(sources.assets).show, methods=["GET", "HEAD"]))
    hooks = None if sources.webhooks is None else WebhookPages(sources.webhooks)
    if hooks is not None:
        routes.append(Route(WEBHOOKS_PATH, hooks.take, methods=["POST"]))
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _http_fault,
            LightmeterError: _away,
            TooManyScrapes: _away,
            TimeoutError: _away,
        },
    )
    app.router.redirect_slashes = False  # it would send a caller to whatever host its request names
    limited = BodyLimit(app) if hooks is None else BodyLimit(app, refused=hooks.too_large)
    return SafeHeaders(limited)  # outermost, so that a fault inside carries the headers too


class _Pages:
    """The pages that are made here."""

    def __init__(self, sources: Sources, exposition: Exposition, draining: Callable[[], bool]) -> None:
        self._sources = sources
        self._exposition = exposition
        self._draining = draining

    async def metrics(self, _request: Request) -> Response:
        """This replica's counters and histograms."""
        return _text(await self._exposition.render(self._sources.expose))

    async def ledger(self, _request: Request) -> Response:
        """Exact totals of the whole ledger."""
        async with asyncio.timeout(LEDGER_SECONDS_MAX):
            figures = await self._sources.ledger()
        if isinstance(figures, bytes):
            return _text(figures)
        return _text(await self._exposition.render(lambda: expose_families(figures)))

    async def health(self, _request: Request) -> Response:
        """200 as long as the process can answer at all; a restart would help where it can't."""
        return PlainTextResponse("ok\n")

    async def readiness(self, _request: Request) -> Response:
        """200 when this replica should get calls, 503 while it drains or while something it needs is away."""
        draining = self._draining()
        try:
            async with asyncio.timeout(READINESS_SECONDS_MAX):
                checks = dict(await self._sources.readiness())
        except (LightmeterError, TimeoutError):
            checks = {"answer": False}
        ready = not draining and all(checks.values())
        return JSONResponse(
            {"ready": ready, "draining": draining, "checks": checks}, status_code=200 if ready else 503
        )


def _text(content: bytes) -> Response:
    return Response(content, headers={"content-type": CONTENT_TYPE})


async def _http_fault(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    return JSONResponse({"error": fault.detail}, status_code=fault.status_code, headers=fault.headers)


async def _away(_request: Request, _fault: Exception) -> Response:
    """The causes stay in the log and the metrics: this door has no credentials."""
    return JSONResponse({"error": "unavailable"}, status_code=503, headers={"retry-after": "1"})
