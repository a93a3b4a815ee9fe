"""Whether bytes are a whole picture, and what it measures: Pillow, in threads, behind the header check."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from typing import Final

from PIL import Image

from service.domain import limits
from service.domain.errors import Overloaded
from service.domain.failure import PictureInvalid, PictureTooLarge
from service.ports import Picture
from service.storage.headers import PictureHeader, read_header
from service.storage.threads import BoundedThreads, ThreadsFull

_THREADS_COUNT: Final = 2
_ANSWER_SECONDS_MAX: Final = 60.0

# Everything that Pillow's decoders raise over broken bytes. MemoryError: a size that the limits let
# through, and that this machine cannot hold.
_BROKEN: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class PillowPictures:
    """The `Pictures` port. Kinds are decided by magic numbers, sizes by the header, wholeness by decoding.

    A JPEG is decoded at an eighth of its size, which still reads every byte of it. Of an animation only the
    first picture is decoded. Width and height are those of the stored pixels: a turn in the EXIF data is
    not applied.
    """

    def __init__(self, *, threads_count: int = _THREADS_COUNT) -> None:
        # Pillow's own bomb limit warns below the size of pictures that providers draw; ours comes from the
        # header, and before Pillow sees a byte. A switch of the whole process.
        Image.MAX_IMAGE_PIXELS = None
        self._threads = BoundedThreads(
            "pictures",
            threads_count=threads_count,
            waiting_count_max=limits.renders_running_max,
            answer_seconds_max=_ANSWER_SECONDS_MAX,
        )

    async def inspect(self, content: bytes, *, bytes_max: int, pixels_max: int) -> Picture:
        """Decode and measure. Raises PictureInvalid, PictureTooLarge, or Overloaded when too many are
        waiting.
        """
        if len(content) > bytes_max:
            raise PictureTooLarge(
                f"The picture has {len(content):,} bytes; at most {bytes_max:,} are taken.",
                limit=bytes_max,
                actual=len(content),
            )
        try:
            return await self._threads.run(lambda: _inspect(content, pixels_max))
        except (ThreadsFull, TimeoutError) as error:
            raise Overloaded("Too many pictures are being read.", retry_after_seconds=1.0) from error

    async def close(self) -> None:
        """Free the threads; legal twice."""
        self._threads.close()


def _inspect(content: bytes, pixels_max: int) -> Picture:
    header = read_header(content)
    _check_size(header, pixels_max)
    try:
        with Image.open(io.BytesIO(content), formats=[header.name]) as image:
            if image.size != (header.width_px, header.height_px):
                raise PictureInvalid("The picture's headers contradict each other about its size.")
            image.draft(None, (max(1, header.width_px // 8), max(1, header.height_px // 8)))
            image.load()
            has_alpha = image.has_transparency_data
            average_color = _average_color(image)
    except _BROKEN as error:
        raise PictureInvalid("The picture is broken or cut off.") from error
    return Picture(
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        mime_type=header.mime_type,
        extension=header.extension,
        width_px=header.width_px,
        height_px=header.height_px,
        has_alpha=has_alpha,
        average_color=average_color,
    )


def _check_size(header: PictureHeader, pixels_max: int) -> None:
    pixels = header.width_px * header.height_px
    if pixels == 0:
        raise PictureInvalid("The picture has no width or no height.")
    if pixels > pixels_max:
        size = f"{header.width_px} × {header.height_px}"
        raise PictureTooLarge(
            f"The picture has {size} pixels; at most {pixels_max:,} are taken.",
            limit=pixels_max,
            actual=pixels,
        )


def _average_color(image: Image.Image) -> str:
    """`#rrggbb`, transparent pixels counting as little as they are seen."""
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in {"RGB", "L"}:
        image = image.convert("RGB")
    pixel = image.resize((1, 1), Image.Resampling.BOX).convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return "#" + "".join(f"{int(part):02x}" for part in pixel)
