"""A door on a free port, a client in front of it, and what it is shown."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal

import httpx
from prometheus_client import CollectorRegistry

from service.metrics import Family, Metrics
from service.web.routes import Sources
from service.web.server import HttpServer

CHARGED = Family(
    "lightmeter_ledger_charged_usd_total",
    "Charged.",
    ("project",),
    [(("p",), Decimal("0.128"))],
    counter=True,
)


class World:
    """What the door is shown; a test changes what it needs."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.render = self.metrics.expose
        self.figures: Sequence[Family] | bytes = [CHARGED]
        self.checks: Mapping[str, bool] = {"store": True, "storage": True}
        self.fault: Exception | None = None
        self.forever = False

    def expose(self) -> bytes:
        return self.render()

    async def ledger(self) -> Sequence[Family] | bytes:
        if self.fault is not None:
            raise self.fault
        return self.figures

    async def readiness(self) -> Mapping[str, bool]:
        if self.fault is not None:
            raise self.fault
        if self.forever:
            await asyncio.Event().wait()
        return self.checks


@contextlib.asynccontextmanager
async def running(sources: Sources) -> AsyncIterator[tuple[HttpServer, httpx.AsyncClient]]:
    """A door on a free port, and a client in front of it; both are gone afterwards."""
    server = HttpServer(sources, host="127.0.0.1", port=0)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
            yield server, client
    finally:
        await server.stop()
