"""Pictures of the embedded store over HTTP. In the scaled form the bucket serves its own."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.ports import Blobs

_KEPT_FOR_EVER: Final = "public, max-age=31536000, immutable"


class Assets:
    """`GET` and `HEAD` of `/assets/{key}`. A key names its bytes, so an answer never changes."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def show(self, request: Request) -> Response:
        """The picture; 304 when the caller has it; 404 when it is not there or the key is no key."""
        key = request.path_params["key"]
        info = await self._blobs.head(key)
        if info is None:
            raise HTTPException(404, "no such picture")
        tag = f'"{key.rsplit("/", 1)[-1].partition(".")[0]}"'
        headers = {
            "etag": tag,
            "cache-control": _KEPT_FOR_EVER,
            "content-type": info.mime_type,
            # Pages of other origins may show the picture, as they may show one from the bucket.
            "cross-origin-resource-policy": "cross-origin",
        }
        if _has(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            return Response(headers={**headers, "content-length": str(info.size_bytes)})
        content = await self._blobs.get(key)
        if content is None:
            raise HTTPException(404, "no such picture")
        return Response(content, headers=headers)


def _has(if_none_match: str, tag: str) -> bool:
    """Whether the header names the tag (RFC 9110, section 13.1.2: weak comparison, or any with `*`)."""
    tags = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in tags or "*" in tags
