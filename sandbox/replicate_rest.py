"""The rest of Replicate's API: files, models and their schemas, the account, hardware, the webhook secret."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.answers import TooLarge, as_json, listless, problem, read_body, spoiled
from sandbox.catalog import Model
from sandbox.fields import PRESETS, Field
from sandbox.multipart import MultipartError, parse_form
from sandbox.replicate_api import NO_MODEL, refuse_token
from sandbox.replicate_shapes import stamp
from sandbox.uploads import Upload
from sandbox.world import World

FILE_SECONDS = 24 * 3600.0
NAME_MAX_BYTES = 255
FORM_MAX_BYTES = 64 * 1024
JSON_TYPES = {
    "text": "string",
    "url": "string",
    "choice": "string",
    "flag": "boolean",
    "integer": "integer",
    "number": "number",
    "urls": "array",
    "size": "string",
}


class ReplicateRest:
    """The door at /replicate/v1 for everything but predictions."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Where this door is."""
        root = "/replicate/v1"
        return [
            Route(f"{root}/files", self.files, methods=["GET", "POST"]),
            Route(f"{root}/files/{{id}}", self.file, methods=["GET", "DELETE"]),
            Route(f"{root}/files/{{id}}/download", self.download, methods=["GET"]),
            Route(f"{root}/account", self.account, methods=["GET"]),
            Route(f"{root}/webhooks/default/secret", self.secret, methods=["GET"]),
            Route(f"{root}/models", self.models, methods=["GET"]),
            Route(f"{root}/models/{{owner}}/{{name}}", self.model, methods=["GET"]),
            Route(f"{root}/models/{{owner}}/{{name}}/versions/{{version}}", self.model, methods=["GET"]),
        ]

    async def files(self, request: Request) -> Response:
        """POST: upload a file (multipart field `content`). GET: the newest files."""
        refused = refuse_token(request)
        if refused is not None:
            return refused
        if request.method == "GET":
            found = [self._shown(upload) for upload in self._world.uploads.of("replicate")]
            return as_json({"previous": None, "next": None, "results": found})
        fault = self._world.faults.claim_call("replicate", "upload")
        if fault is not None:
            return spoiled(fault)
        try:
            body = await read_body(request, self._world.options.upload_max_bytes + FORM_MAX_BYTES)
            form = parse_form(request.headers.get("content-type", ""), body)
        except TooLarge:
            return problem(413, "The file is too large", "Request entity too large")
        except MultipartError as error:
            return problem(400, str(error), "Bad request")
        content = form.get("content")
        if content is None:
            return problem(422, "- content is required", "Invalid input")
        if len(content.data) > self._world.options.upload_max_bytes:
            return problem(413, "The file is too large", "Request entity too large")
        name = content.file_name or "file"
        if len(name.encode()) > NAME_MAX_BYTES:
            return problem(422, "- filename is longer than 255 bytes", "Invalid input")
        metadata = json.loads(form["metadata"].data) if "metadata" in form else {}
        upload = self._new(name, content.content_type, content.data, metadata)
        self._world.uploads.add(upload)
        return as_json(self._shown(upload), 201)

    def _new(self, name: str, kind: str, data: bytes, metadata: dict[str, Any]) -> Upload:
        world = self._world
        upload_id = world.dice.file_id(world.dice.next_number())
        now = world.clock.seconds()
        return Upload(
            id=upload_id,
            provider="replicate",
            name=name,
            content_type=kind,
            data=data,
            created_at=now,
            expires_at=now + FILE_SECONDS,
            url=f"{world.replicate_url}/v1/files/{upload_id}",
            metadata=metadata,
        )

    async def file(self, request: Request) -> Response:
        """GET: what is known of a file. DELETE: 204."""
        refused = refuse_token(request)
        if refused is not None:
            return refused
        upload = self._world.uploads.get("replicate", request.path_params["id"])
        if upload is None:
            return problem(404, NO_MODEL)
        if request.method == "DELETE":
            self._world.uploads.remove(upload.id)
            return Response(b"", 204)
        return as_json(self._shown(upload))

    async def download(self, request: Request) -> Response:
        """The file's bytes. The real one asks for owner, expiry and signature; here nobody is asked."""
        upload = self._world.uploads.get("replicate", request.path_params["id"])
        if upload is None:
            return problem(404, NO_MODEL)
        return Response(upload.data, 200, None, upload.content_type)

    async def account(self, request: Request) -> Response:
        """Who the token belongs to."""
        refused = refuse_token(request)
        body = {"type": "organization", "username": "sandbox", "name": "Sandbox", "github_url": None}
        return refused or as_json(body)

    async def secret(self, request: Request) -> Response:
        """The secret that webhooks are signed with."""
        fault = self._world.faults.claim_list("replicate", "webhook-secret")
        if fault is not None:
            return listless("replicate", fault)
        return refuse_token(request) or as_json({"key": self._world.webhooks.replicate_secret})

    async def models(self, request: Request) -> Response:
        """Every model that the sandbox plays."""
        refused = refuse_token(request)
        found = [self._model(model) for model in self._world.replicate.values()]
        return refused or as_json({"previous": None, "next": None, "results": found})

    async def model(self, request: Request) -> Response:
        """One model with its input schema, or one version of it."""
        refused = refuse_token(request)
        if refused is not None:
            return refused
        model = self._world.replicate.get(f"{request.path_params['owner']}/{request.path_params['name']}")
        version = request.path_params.get("version")
        if model is None or version not in (None, model.version):
            return problem(404, NO_MODEL)
        return as_json(self._model(model) if version is None else self._version(model))

    def _model(self, model: Model) -> dict[str, Any]:
        owner, name = model.endpoint.split("/")
        return {
            "url": f"{self._world.url}/{model.endpoint}",
            "owner": owner,
            "name": name,
            "description": "Played by the sandbox.",
            "visibility": "public",
            "is_official": model.official,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": self._world.book.totals["replicate"].accepted,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": self._version(model),
        }

    def _version(self, model: Model) -> dict[str, Any]:
        uri = {"type": "string", "format": "uri"}
        output = uri if model.single else {"type": "array", "items": uri}
        required = [one.name for one in model.fields if one.required]
        inputs = {
            "type": "object",
            "properties": {one.name: _schema(one) for one in model.fields},
            "required": required,
        }
        return {
            "id": model.version,
            "created_at": "2026-01-01T00:00:00.000000Z",
            "cog_version": "0.16.0",
            "openapi_schema": {
                "openapi": "3.0.2",
                "components": {"schemas": {"Input": inputs, "Output": output}},
            },
        }

    def _shown(self, upload: Upload) -> dict[str, Any]:
        clock = self._world.clock
        return {
            "id": upload.id,
            "name": upload.name,
            "content_type": upload.content_type,
            "size": len(upload.data),
            "etag": upload.md5,
            "checksums": {"sha256": upload.sha256, "md5": upload.md5},
            "metadata": upload.metadata,
            "created_at": stamp(clock.at(upload.created_at), 3),
            "expires_at": None if upload.expires_at is None else stamp(clock.at(upload.expires_at), 3),
            "urls": {"get": upload.url},
        }


def _schema(one: Field) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": JSON_TYPES[one.kind]}
    if one.kind == "url":
        shown["format"] = "uri"
    if one.kind == "urls":
        shown["items"] = {"type": "string", "format": "uri"}
    if one.choices:
        shown["enum"] = list(one.choices) if one.kind == "choice" else [*PRESETS, *one.choices]
    if one.default is not None:
        shown["default"] = one.default
    if one.kind in ("integer", "number"):
        shown |= {
            name: value for name, value in (("minimum", one.low), ("maximum", one.high)) if value is not None
        }
    if one.secret:
        shown |= {"x-cog-secret": True, "format": "password"}
    return shown
