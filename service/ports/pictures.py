"""Pictures: where they are kept, read and fetched from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """What a stored picture is, as the store knows it."""

    key: str
    size_bytes: int
    mime_type: str


class Blobs(Protocol):
    """The picture store: immutable blobs under content keys (`images/<aa>/<sha256>.<ext>`).

    Every method MUST NOT block the event loop, MAY be called concurrently, and may raise `StorageUnavailable`
    (with the cause chained) when the store does not answer in time. Cancellation MUST leave either the whole blob or none.
    """

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Store if absent. True when this call wrote it, False when it was there. MUST NOT rewrite a blob."""
        ...

    async def head(self, key: str) -> BlobInfo | None:
        """Say whether it is there; None when not."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The bytes, at most `download_bytes_max`; None when absent."""
        ...

    def url(self, key: str) -> tuple[str, int | None]:
        """A GET URL for callers and the time it ends (microseconds; None = never). MUST NOT do I/O; the same URL is
        answered until half its life has passed.
        """
        ...

    def provider_url(self, key: str) -> str | None:
        """A GET URL that a provider outside can fetch, or None when the store cannot be reached from there."""
        ...

    async def close(self) -> None:
        """Free threads and sockets; legal twice."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that could be decoded: measured from its bytes."""

    content: bytes
    sha256: str
    mime_type: str
    extension: str
    width_px: int
    height_px: int
    has_alpha: bool
    thumbhash: bytes = b""
    average_color: str = ""


class Pictures(Protocol):
    """Reading pictures. MUST NOT block the event loop; raises `PictureInvalid`, `PictureTooLarge` (service.domain.failure)."""

    async def inspect(self, content: bytes, *, bytes_max: int, pixels_max: int) -> Picture:
        """Decode far enough to know that it is a whole picture, and measure it."""
        ...


class Downloads(Protocol):
    """Fetching pictures by URL. MUST NOT send credentials or follow redirects to elsewhere; bounded in bytes and time.

    Raises `DownloadFailed` (service.domain.failure; `final` when repeating is useless).
    """

    async def fetch_result(self, provider: str, url: str) -> bytes:
        """A provider's output, from the provider's own hosts only (data: URIs too)."""
        ...

    async def fetch_input(self, url: str) -> bytes:
        """A caller's input: https, public addresses only. Raises InputUrlRefused or InputUrlUnreachable instead."""
        ...
