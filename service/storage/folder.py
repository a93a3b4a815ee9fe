"""The embedded picture store: files in a folder, under the same keys as in a bucket."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from service.domain import limits
from service.domain.errors import StorageUnavailable
from service.ports import BlobInfo
from service.storage.keys import check_blob, mime_type_of
from service.storage.threads import BoundedThreads, ThreadsFull

Answer = TypeVar("Answer")

_THREADS_COUNT: Final = 4
_ANSWER_SECONDS_MAX: Final = 30.0


class FolderBlobs:
    """Pictures below `root`, served by the HTTP door under `base_url` (`http://host:port/assets`).

    A blob is written to `incoming/`, flushed to the disk and then linked under its key: it is there whole
    or not at all, and a key is never written twice. A crash may leave a file in `incoming/`, which anybody
    may delete while the service is stopped. `reached_by_providers` says whether providers can fetch
    `base_url`. The folder must allow hard links.
    """

    def __init__(
        self,
        root: Path,
        base_url: str,
        *,
        reached_by_providers: bool = False,
        threads_count: int = _THREADS_COUNT,
    ) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._base_url = base_url.rstrip("/")
        self._reached_by_providers = reached_by_providers
        self._threads = BoundedThreads(
            "folder",
            threads_count=threads_count,
            waiting_count_max=limits.renders_running_max,
            answer_seconds_max=_ANSWER_SECONDS_MAX,
        )

    async def put(self, key: str, content: bytes, mime_type: str) -> bool:
        """Store if absent; True when this call wrote it. ValueError when key and content don't agree."""
        return await self._run(lambda: self._put(key, content, mime_type))

    async def head(self, key: str) -> BlobInfo | None:
        """Say whether it is there; a text that is no key names nothing."""
        return await self._run(lambda: self._head(key))

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None when absent."""
        return await self._run(lambda: self._get(key))

    def url(self, key: str) -> tuple[str, int | None]:
        """The address at the HTTP door; it does not end."""
        return f"{self._base_url}/{key}", None

    def served_at(self, base_url: str) -> None:
        """Say where the HTTP door listens, once its port is known."""
        self._base_url = base_url.rstrip("/")

    def provider_url(self, key: str) -> str | None:
        """The same address where providers can reach it."""
        return self.url(key)[0] if self._reached_by_providers else None

    async def ready(self) -> None:
        """Raise StorageUnavailable when the folder cannot be written to."""

        def touch() -> None:
            self._incoming.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._incoming):
                pass

        await self._run(touch)

    async def close(self) -> None:
        """Free the threads; legal twice."""
        self._threads.close()

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        try:
            return await self._threads.run(work)
        except (OSError, ThreadsFull) as error:  # TimeoutError is an OSError
            raise StorageUnavailable("The picture folder did not answer.") from error

    def _put(self, key: str, content: bytes, mime_type: str) -> bool:
        check_blob(key, content, mime_type)
        place = self._root / key
        if not place.exists():
            _make_folder(place.parent)
            _make_folder(self._incoming)
            written = _write_whole(self._incoming, place, content)
        else:
            written = False
        # Also when another writer linked it: we must not promise a blob that a power cut could take back.
        _flush_folder(place.parent)
        return written

    def _head(self, key: str) -> BlobInfo | None:
        mime_type = mime_type_of(key)
        if mime_type is None:
            return None
        try:
            return BlobInfo(key, (self._root / key).stat().st_size, mime_type)
        except FileNotFoundError:
            return None

    def _get(self, key: str) -> bytes | None:
        if mime_type_of(key) is None:
            return None
        try:
            with (self._root / key).open("rb") as file:
                if os.fstat(file.fileno()).st_size > limits.download_bytes_max:
                    raise OSError(f"{key} is larger than any picture that is stored")
                return file.read()
        except FileNotFoundError:
            return None


def _write_whole(incoming: Path, place: Path, content: bytes) -> bool:
    """Write beside, flush, link. False when somebody else linked first."""
    descriptor, name = tempfile.mkstemp(dir=incoming)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        try:
            place.hardlink_to(draft)
        except FileExistsError:
            return False
        return True
    finally:
        draft.unlink()


def _make_folder(folder: Path) -> None:
    """Create it and what is above it, so that it survives a power cut."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
