"""Files that callers upload, at both providers: kept in memory, bounded in bytes, gone when they expire."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog import Provider
from sandbox.clock import SandboxClock


@dataclass(slots=True)
class Upload:
    """One uploaded file."""

    id: str
    provider: Provider
    name: str
    content_type: str
    data: bytes
    created_at: float
    expires_at: float | None
    url: str
    metadata: dict[str, Any] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The hash of its bytes, hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def md5(self) -> str:
        """The older hash that Replicate also shows, hex."""
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()


class Uploads:
    """All uploads; the oldest give way when `kept_max_bytes` is passed."""

    def __init__(self, clock: SandboxClock, kept_max_bytes: int) -> None:
        self._clock = clock
        self._kept_max_bytes = kept_max_bytes
        self._kept_bytes = 0
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._ids_by_url: dict[str, str] = {}

    def add(self, upload: Upload) -> None:
        """Keep a file, or replace the bytes of one of the same id."""
        self.remove(upload.id)
        self._uploads[upload.id] = upload
        self._ids_by_url[upload.url] = upload.id
        self._kept_bytes += len(upload.data)
        while self._kept_bytes > self._kept_max_bytes and len(self._uploads) > 1:
            self.remove(next(iter(self._uploads)))

    def get(self, provider: Provider, upload_id: str) -> Upload | None:
        """The file, unless unknown or expired."""
        upload = self._uploads.get(upload_id)
        if upload is None or upload.provider != provider:
            return None
        if upload.expires_at is not None and self._clock.seconds() >= upload.expires_at:
            self.remove(upload_id)
            return None
        return upload

    def by_url(self, url: str) -> Upload | None:
        """The file that is served at this address."""
        upload_id = self._ids_by_url.get(url)
        if upload_id is None:
            return None
        return self.get(self._uploads[upload_id].provider, upload_id)

    def of(self, provider: Provider) -> list[Upload]:
        """The newest files of a provider, at most a page of 100."""
        newest = [upload for upload in reversed(self._uploads.values()) if upload.provider == provider]
        return [upload for upload in newest[:100] if self.get(provider, upload.id) is not None]

    def remove(self, upload_id: str) -> bool:
        """Forget a file; False when there was none."""
        upload = self._uploads.pop(upload_id, None)
        if upload is None:
            return False
        self._ids_by_url.pop(upload.url, None)
        self._kept_bytes -= len(upload.data)
        return True

    def clear(self) -> None:
        """Forget all files."""
        for upload_id in tuple(self._uploads):
            self.remove(upload_id)
