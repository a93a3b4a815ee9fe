"""fal's uploads, as fal-client 1.0.3 makes them: a CDN token, one POST, parts, and the older way."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.answers import TooLarge, as_json, read_body, spoiled
from sandbox.fal_queue import refuse_key
from sandbox.fal_shapes import stamp
from sandbox.uploads import Upload
from sandbox.world import World

TOKEN_SECONDS = 600
PARTS_MAX = 10_000
DEFAULT_NAME = "upload.bin"


class FalUploads:
    """The door at /fal/rest/storage and at the CDN's /fal/files."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Where this door is."""
        return [
            Route("/fal/rest/storage/auth/token", self.token, methods=["POST"]),
            Route("/fal/rest/storage/upload/initiate", self.initiate, methods=["POST"]),
            Route("/fal/files/upload", self.upload, methods=["POST"]),
            Route("/fal/files/upload/multipart", self.open_multipart, methods=["POST"]),
            Route("/fal/files/u/{id}/{name}/multipart/{upload}/complete", self.complete, methods=["POST"]),
            Route("/fal/files/u/{id}/{name}/multipart/{upload}/{part:int}", self.part, methods=["PUT"]),
            Route("/fal/files/u/{id}/{name}", self.file, methods=["PUT", "GET", "HEAD"]),
        ]

    async def token(self, request: Request) -> Response:
        """A token for the CDN."""
        refused = refuse_key(request)
        if refused is not None:
            return refused
        expires = self._world.clock.now() + timedelta(seconds=TOKEN_SECONDS)
        token = hashlib.sha256(stamp(expires).encode()).hexdigest()
        # The client appends /files/upload to base_url, and only for files sent in parts.
        return as_json(
            {
                "token": f"sandbox.{token}",
                "token_type": "Bearer",
                "base_url": self._world.fal_url,
                "expires_at": expires.isoformat(),
            }
        )

    async def initiate(self, request: Request) -> Response:
        """The older way: an address to PUT the file to, and the one it will have."""
        refused = refuse_key(request)
        if refused is not None:
            return refused
        wish = json.loads(await request.body())
        upload = self._new(
            request, str(wish.get("file_name") or DEFAULT_NAME), str(wish.get("content_type")), b""
        )
        self._world.uploads.add(upload)
        return as_json({"upload_url": upload.url, "file_url": upload.url})

    async def upload(self, request: Request) -> Response:
        """A whole file in one POST."""
        refused = refuse_key(request) or self._spoiled()
        if refused is not None:
            return refused
        try:
            data = await read_body(request, self._world.options.upload_max_bytes)
        except TooLarge:
            return as_json({"detail": "File too large"}, 413)
        kind = request.headers.get("content-type", "application/octet-stream")
        upload = self._new(request, request.headers.get("x-fal-file-name") or DEFAULT_NAME, kind, data)
        self._world.uploads.add(upload)
        return as_json({"access_url": upload.url})

    async def open_multipart(self, request: Request) -> Response:
        """Begin a file that comes in parts."""
        refused = refuse_key(request)
        if refused is not None:
            return refused
        kind = request.headers.get("content-type", "application/octet-stream")
        upload = self._new(request, request.headers.get("x-fal-file-name") or DEFAULT_NAME, kind, b"")
        self._world.uploads.add(upload)
        return as_json({"access_url": upload.url, "uploadId": upload.id})

    async def part(self, request: Request) -> Response:
        """One part."""
        upload = self._find(request)
        number = request.path_params["part"]
        if upload is None or not 1 <= number <= PARTS_MAX:
            return as_json({"detail": "Not Found"}, 404)
        upload.parts[number] = await read_body(request, self._world.options.upload_max_bytes)
        return as_json({}, 200, {"ETag": f'"{hashlib.sha256(upload.parts[number]).hexdigest()[:32]}"'})

    async def complete(self, request: Request) -> Response:
        """Put the parts together."""
        upload = self._find(request)
        if upload is None:
            return as_json({"detail": "Not Found"}, 404)
        listed = [int(part["partNumber"]) for part in json.loads(await request.body())["parts"]]
        if sorted(listed) != sorted(upload.parts):
            return as_json({"detail": "Parts are missing"}, 400)
        upload.data = b"".join(upload.parts[number] for number in sorted(upload.parts))
        upload.parts.clear()
        self._world.uploads.add(upload)
        return as_json({"access_url": upload.url})

    async def file(self, request: Request) -> Response:
        """GET: the file. PUT: the bytes of a file that was announced with `initiate`."""
        upload = self._find(request)
        if upload is None:
            return as_json({"detail": "Not Found"}, 404)
        if request.method != "PUT":
            return Response(
                upload.data, 200, {"Cache-Control": "public, max-age=31536000"}, upload.content_type
            )
        upload.data = await read_body(request, self._world.options.upload_max_bytes)
        self._world.uploads.add(upload)
        return Response(b"", 200)

    def _find(self, request: Request) -> Upload | None:
        return self._world.uploads.get("fal", request.path_params["id"])

    def _new(self, request: Request, name: str, kind: str, data: bytes) -> Upload:
        world = self._world
        upload_id = world.dice.file_id(world.dice.next_number())
        safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)[:120]
        now = world.clock.seconds()
        lifecycle = request.headers.get("x-fal-object-lifecycle")
        seconds = json.loads(lifecycle).get("expiration_duration_seconds") if lifecycle else None
        return Upload(
            id=upload_id,
            provider="fal",
            name=name,
            content_type=kind,
            data=data,
            created_at=now,
            expires_at=None if seconds is None else now + float(seconds),
            url=f"{world.fal_url}/files/u/{upload_id}/{safe}",
        )

    def _spoiled(self) -> Response | None:
        fault = self._world.faults.claim_call("fal", "upload")
        return None if fault is None else spoiled(fault)
