"""From a request to bytes: inputs are fetched and measured, outputs drawn when they are downloaded."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import httpx

from sandbox.book import Entry
from sandbox.catalog import Ask, Format
from sandbox.drawing import Painter, Recipe, measure
from sandbox.fields import Problem
from sandbox.options import SandboxOptions
from sandbox.outgoing import Outgoing
from sandbox.uploads import Uploads

CONTENT_KINDS: dict[Format, str] = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
EXTENSIONS: dict[Format, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}
INPUT_MAX_BYTES = 50 * 1024 * 1024


class InputError(Exception):
    """An input picture could not be fetched or decoded; `problem` says so in fal's vocabulary."""

    def __init__(self, kind: str, message: str, url: str) -> None:
        super().__init__(message)
        shown = url if len(url) < 200 else url[:200] + "…"
        self.problem = Problem(("body", "image_url"), kind, message, {}, shown)


class Pictures:
    """Draws in a small thread pool, remembers recent encodings, and knows the input pictures of edits."""

    def __init__(self, options: SandboxOptions, uploads: Uploads, outgoing: Outgoing) -> None:
        self._options = options
        self._uploads = uploads
        self._painter = Painter()
        self._pool = ThreadPoolExecutor(options.drawing_threads, thread_name_prefix="sandbox-drawing")
        self._encoded: OrderedDict[Recipe, bytes] = OrderedDict()
        self._encoded_bytes = 0
        self._thumbnails: OrderedDict[str, bytes] = OrderedDict()
        self._outgoing = outgoing
        self.drawn_count = 0

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def bytes_of(self, entry: Entry, index: int) -> bytes:
        """The bytes of one output picture; faults on it included."""
        data = await self._paint(self.recipe(entry, index))
        if entry.fault("corrupt_image") is not None:
            return data[:16] + bytes((byte ^ 0x5A) for byte in data[16:])
        return data

    def recipe(self, entry: Entry, index: int) -> Recipe:
        """How one output picture of an ended request is drawn."""
        assert entry.ask is not None
        picture = entry.pictures[index]
        return Recipe(
            prompt=entry.ask.prompt,
            model=entry.model.endpoint,
            seed=entry.seed,
            width_px=picture.width_px,
            height_px=picture.height_px,
            index=index,
            count=len(entry.pictures),
            format=entry.ask.format,
            thumbnail=self._thumbnails.get(entry.input_shas[0]) if entry.input_shas else None,
            black=picture.flagged,
        )

    async def _paint(self, recipe: Recipe) -> bytes:
        known = self._encoded.get(recipe)
        if known is not None:
            self._encoded.move_to_end(recipe)
            return known
        data = await asyncio.get_running_loop().run_in_executor(self._pool, self._painter.paint, recipe)
        self.drawn_count += 1
        if recipe not in self._encoded:
            self._encoded[recipe] = data
            self._encoded_bytes += len(data)
        while self._encoded_bytes > self._options.pictures_cached_max_bytes:
            _, oldest = self._encoded.popitem(last=False)
            self._encoded_bytes -= len(oldest)
        return data

    async def load_inputs(self, entry: Entry, ask: Ask) -> tuple[tuple[int, int], ...]:
        """Fetch and measure every input picture: their sizes in pixels. Raises InputError."""
        sizes = []
        shas = []
        for url in ask.pictures:
            data = await self._fetch(url)
            try:
                size, thumbnail = await asyncio.get_running_loop().run_in_executor(self._pool, measure, data)
            except (OSError, ValueError, SyntaxError) as error:
                raise InputError("image_load_error", "Failed to load the image", url) from error
            sha = hashlib.sha256(data).hexdigest()
            self._thumbnails[sha] = thumbnail
            if len(self._thumbnails) > self._options.inputs_kept_max:
                self._thumbnails.popitem(last=False)
            sizes.append(size)
            shas.append(sha)
        entry.input_shas = tuple(shas)
        return tuple(sizes)

    async def _fetch(self, url: str) -> bytes:
        if url.startswith("data:"):
            _, _, encoded = url.partition(",")
            try:
                return base64.b64decode(encoded, validate=True)
            except binascii.Error as error:
                raise InputError("image_load_error", "Failed to decode the data URI", url) from error
        upload = self._uploads.by_url(url)
        if upload is not None:
            return upload.data
        if not self._outgoing.allows(url):
            raise InputError("file_download_error", "Failed to download the file: host not allowed", url)
        try:
            response = await self._outgoing.get(url)
        except httpx.HTTPError as error:
            raise InputError("file_download_error", "Failed to download the file", url) from error
        if response.status_code != 200:
            raise InputError("file_download_error", "Failed to download the file", url)
        if len(response.content) > INPUT_MAX_BYTES:
            raise InputError("file_too_large", "The file is too large", url)
        return response.content
