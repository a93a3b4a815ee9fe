"""Pictures on their way in (what a caller hands to an edit) and out (the bytes of a result, by URL)."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import ipaddress
import os
import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from lightmeter.job import Asset
from lightmeter.v1 import drawing_pb2 as pb

INLINE_BYTES_MAX: Final = 3 * 1024 * 1024
"""All inline pictures of one request together; the service refuses more, and gRPC itself 4 MiB messages."""
CHUNK_BYTES: Final = 256 * 1024
URL_SECONDS: Final = 10.0
"""How long a picture's URL may stay silent before the picture is read over gRPC instead."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class PillowImage(Protocol):
    """What is asked of a Pillow image; Pillow itself is not needed for anything else."""

    def save(self, fp: io.BytesIO, format: str) -> None:  # noqa: A002 - Pillow's own word
        """Writes the picture in a format."""
        ...


Picture = bytes | os.PathLike[str] | str | Asset | PillowImage
"""An input: bytes, a path, an https URL, the SHA-256 of a known picture, an Asset or a Pillow image."""


async def load(pictures: Sequence[Picture]) -> list[pb.InputImage]:
    """Messages for the wire, in order. Files are read and Pillow images encoded off the event loop."""
    return [await asyncio.to_thread(_load, picture) for picture in pictures]


def _load(picture: Picture) -> pb.InputImage:
    if isinstance(picture, bytes | bytearray | memoryview):
        return pb.InputImage(content=bytes(picture))
    if isinstance(picture, Asset):
        return pb.InputImage(asset_sha256=picture.sha256)
    if isinstance(picture, str):
        if picture.startswith(("https://", "http://")):
            return pb.InputImage(url=picture)
        if _SHA256.fullmatch(picture):
            return pb.InputImage(asset_sha256=picture)
    if isinstance(picture, str | os.PathLike):
        return pb.InputImage(content=Path(picture).read_bytes())
    if hasattr(picture, "save"):
        file = io.BytesIO()
        picture.save(file, format="PNG")
        return pb.InputImage(content=file.getvalue())
    raise TypeError(
        f"{type(picture).__name__} is no picture: give bytes, a path, a URL, a SHA-256 or an Asset"
    )


def too_large(images: Sequence[pb.InputImage]) -> list[pb.InputImage]:
    """The inline pictures to upload, largest first, so that the rest fits into one message."""
    inline = sorted((image for image in images if image.content), key=lambda image: -len(image.content))
    total = sum(len(image.content) for image in inline)
    chosen = []
    for image in inline:
        if total <= INLINE_BYTES_MAX:
            break
        chosen.append(image)
        total -= len(image.content)
    return chosen


def is_genuine(data: bytes, sha256: str) -> bool:
    """Whether the bytes are those that the name promises."""
    return hashlib.sha256(data).hexdigest() == sha256


class UrlReader:
    """Reads pictures by URL, and remembers the hosts that it can't reach so as not to wait for them again."""

    def __init__(self) -> None:
        self._unreachable: set[str] = set()

    async def read(self, asset: Asset) -> bytes | None:
        """The checked bytes, or None where they have to come another way: every failure here is only a
        detour.
        """
        parts = urlsplit(asset.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.netloc in self._unreachable:
            return None
        try:
            data = await asyncio.to_thread(_fetch, asset.url, parts.hostname, asset.size_bytes)
        except (TimeoutError, ConnectionError, URLError) as error:
            if not isinstance(error, HTTPError):
                self._unreachable.add(parts.netloc)
            return None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        return data if is_genuine(data, asset.sha256) else None


def _fetch(url: str, host: str, size_bytes: int) -> bytes:
    # A proxy is for other machines; what is served on this one is fetched directly.
    proxies = [urllib.request.ProxyHandler({})] if _is_loopback(host) else []
    opener = urllib.request.build_opener(*proxies)
    with opener.open(url, timeout=URL_SECONDS) as answer:  # the scheme was checked by the caller
        data: bytes = answer.read(size_bytes + 1)
    return data


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
