"""Downloads: output pictures, drawn on the way out, for as long as the provider keeps them."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox.answers import Dropped, as_json, read_fault
from sandbox.book import Entry
from sandbox.catalog import Provider
from sandbox.pictures import CONTENT_KINDS
from sandbox.replicate_shapes import is_removed
from sandbox.world import World


class Files:
    """The door at /fal/files and /replicate/delivery; no key is asked for, as at the real ones."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Where this door is."""
        return [
            Route("/fal/files/b/{id}/{index:int}.{extension}", self.fal, methods=["GET", "HEAD"]),
            Route(
                "/replicate/delivery/{prefix}/{id}/out-{index:int}.{extension}",
                self.replicate,
                methods=["GET", "HEAD"],
            ),
        ]

    async def fal(self, request: Request) -> Response:
        """A picture of a fal request, until its lifecycle header's time is over."""
        entry = self._find("fal", request)
        if entry is None:
            return as_json({"detail": "Not Found"}, 404)
        assert entry.ended_at is not None
        limit = entry.files_expire_seconds
        if limit is not None and self._world.clock.seconds() >= entry.ended_at + limit:
            return as_json({"detail": "Not Found"}, 404)
        return await self._send(entry, request, "public, max-age=31536000")

    async def replicate(self, request: Request) -> Response:
        """A picture of a prediction, for one hour."""
        entry = self._find("replicate", request)
        if entry is None or is_removed(self._world, entry):
            return Response("Not Found", 404)
        return await self._send(entry, request, "public,max-age=3600")

    def _find(self, provider: Provider, request: Request) -> Entry | None:
        entry = self._world.book.find(provider, request.path_params["id"])
        if entry is None or entry.fault("lost_files") is not None:
            return None
        return entry if 0 <= request.path_params["index"] < len(entry.pictures) else None

    async def _send(self, entry: Entry, request: Request, cache: str) -> Response:
        spoiled = read_fault(entry, "download")
        if spoiled is not None:
            return spoiled
        assert entry.ask is not None
        data = await self._world.pictures.bytes_of(entry, request.path_params["index"])
        headers = {"Cache-Control": cache, "ETag": f'"{hashlib.sha256(data).hexdigest()[:32]}"'}
        kind = CONTENT_KINDS[entry.ask.format]
        if entry.fault("truncated_image") is not None:
            return Truncated(data, kind)
        return Response(data, 200, headers, kind)


class Truncated(Dropped):
    """Promises all the bytes, sends half of them, and hangs up."""

    def __init__(self, data: bytes, kind: str) -> None:
        super().__init__(data, 200, None, kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half, then drop."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        body = bytes(self.body)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await super().__call__(scope, receive, send)
