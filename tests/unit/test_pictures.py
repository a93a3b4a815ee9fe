"""What passes as a picture: whole JPEG, PNG and WebP within the limits, measured from their bytes; nothing
else.
"""

import asyncio
import contextlib
import hashlib
import io
import os
import struct
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from service.domain.errors import Overloaded
from service.domain.failure import PictureInvalid, PictureTooLarge
from service.ports import Picture
from service.storage.pictures import PillowPictures, _inspect

BYTES_MAX = 20 * 1024 * 1024
PIXELS_MAX = 50_000_000


def draw(
    kind: str,
    mode: str = "RGB",
    size: tuple[int, int] = (64, 48),
    color: int | tuple[int, ...] | None = None,
    **options: object,
) -> bytes:
    """A picture file: noise, or one colour."""
    image = Image.effect_noise(size, 80).convert(mode) if color is None else Image.new(mode, size, color)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_claiming(width_px: int, height_px: int) -> bytes:
    """A small PNG whose header claims any size, with valid checksums."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg_claiming(width_px: int, height_px: int) -> bytes:
    """A JPEG whose frame claims any size."""
    whole = bytearray(draw("JPEG"))
    frame = whole.index(b"\xff\xc0")
    struct.pack_into(">HH", whole, frame + 5, height_px, width_px)
    return bytes(whole)


def webp_claiming(width_px: int, height_px: int) -> bytes:
    """An extended WebP whose canvas claims any size."""
    canvas = bytes(4) + (width_px - 1).to_bytes(3, "little") + (height_px - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(canvas)) + canvas + draw("WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.fixture
async def pictures() -> AsyncIterator[PillowPictures]:
    pictures = PillowPictures()
    yield pictures
    await pictures.close()


async def inspect(pictures: PillowPictures, content: bytes) -> Picture:
    return await pictures.inspect(content, bytes_max=BYTES_MAX, pixels_max=PIXELS_MAX)


@pytest.mark.parametrize(
    ("content", "mime_type", "extension"),
    [
        (draw("JPEG"), "image/jpeg", "jpg"),
        (draw("JPEG", progressive=True), "image/jpeg", "jpg"),
        (draw("JPEG", "CMYK"), "image/jpeg", "jpg"),
        (draw("PNG"), "image/png", "png"),
        (draw("PNG", "1"), "image/png", "png"),
        (draw("PNG", "I;16", color=4000), "image/png", "png"),
        (draw("WEBP"), "image/webp", "webp"),
        (draw("WEBP", lossless=True), "image/webp", "webp"),
        (draw("WEBP", "RGBA"), "image/webp", "webp"),
    ],
)
async def test_the_bytes_decide_kind_and_size(
    pictures: PillowPictures, content: bytes, mime_type: str, extension: str
) -> None:
    """Every kind that we take is recognised and measured, whatever its flavour."""
    picture = await inspect(pictures, content)
    assert (mime_type, extension, 64, 48) == (
        picture.mime_type,
        picture.extension,
        picture.width_px,
        picture.height_px,
    )
    assert hashlib.sha256(content).hexdigest() == picture.sha256
    assert content is picture.content


@pytest.mark.parametrize(
    ("content", "has_alpha"),
    [
        (draw("PNG", "RGB"), False),
        (draw("PNG", "RGBA"), True),
        (draw("PNG", "LA"), True),
        (draw("PNG", "P", transparency=0), True),
        (draw("PNG", "P"), False),
        (draw("WEBP", "RGBA", color=(1, 2, 3, 4)), True),
        (draw("WEBP"), False),
        (draw("JPEG"), False),
    ],
)
async def test_transparency_is_seen(pictures: PillowPictures, content: bytes, has_alpha: bool) -> None:
    """A picture with an alpha channel, or a transparent entry in its palette, says so."""
    assert has_alpha == (await inspect(pictures, content)).has_alpha


@pytest.mark.parametrize(
    ("content", "color"),
    [
        (draw("PNG", color=(255, 0, 16)), "#ff0010"),
        (draw("PNG", "L", color=128), "#808080"),
        (draw("PNG", "I;16", color=0x8000), "#808080"),
        (draw("PNG", "P", color=0), "#000000"),
        (draw("WEBP", lossless=True, color=(0, 0, 255)), "#0000ff"),
        (draw("JPEG", color=(255, 255, 255)), "#ffffff"),
    ],
)
async def test_the_average_color_is_that_of_the_picture(
    pictures: PillowPictures, content: bytes, color: str
) -> None:
    """A picture of one colour has that colour."""
    assert color == (await inspect(pictures, content)).average_color


@pytest.mark.parametrize(
    "content",
    [png_claiming(50_000, 50_000), jpeg_claiming(65_000, 65_000), webp_claiming(16_384, 16_384)],
    ids=["png", "jpeg", "webp"],
)
async def test_a_bomb_is_refused_by_its_header(pictures: PillowPictures, content: bytes) -> None:
    """A few kilobytes that claim billions of pixels are refused, and the refusal names the limit."""
    with pytest.raises(PictureTooLarge) as refusal:
        await inspect(pictures, content)
    assert PIXELS_MAX == refusal.value.limit
    assert refusal.value.actual > 200_000_000


async def test_fifty_megabytes_are_refused(pictures: PillowPictures) -> None:
    """A picture above the byte limit is refused with its size, without being looked at."""
    content = draw("JPEG") + bytes(50 * 1024 * 1024)
    with pytest.raises(PictureTooLarge) as refusal:
        await inspect(pictures, content)
    assert (BYTES_MAX, len(content)) == (refusal.value.limit, refusal.value.actual)


async def test_a_picture_at_the_limits_is_taken(pictures: PillowPictures) -> None:
    """Exactly as many bytes and pixels as allowed is not too large; one less allowed is."""
    content = draw("PNG")
    picture = await pictures.inspect(content, bytes_max=len(content), pixels_max=64 * 48)
    assert 64 == picture.width_px
    with pytest.raises(PictureTooLarge):
        await pictures.inspect(content, bytes_max=len(content) - 1, pixels_max=64 * 48)
    with pytest.raises(PictureTooLarge):
        await pictures.inspect(content, bytes_max=len(content), pixels_max=64 * 48 - 1)


@pytest.mark.parametrize(
    "content",
    [draw("JPEG"), draw("JPEG", progressive=True), draw("PNG"), draw("WEBP"), draw("WEBP", lossless=True)],
    ids=["jpeg", "progressive", "png", "webp", "lossless"],
)
async def test_a_cut_off_picture_is_refused(pictures: PillowPictures, content: bytes) -> None:
    """Wherever the end is missing, from all but one byte to one byte, it is not a whole picture."""
    cuts = [*range(1, 40), *range(40, len(content), 41)]
    taken = []
    for cut in cuts:
        try:
            await inspect(pictures, content[:-cut])
            taken.append(cut)
        except PictureInvalid:
            pass
    assert [] == taken


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello, I am a picture", "not a JPEG, PNG or WebP"),
        (b"<html><body>404</body></html>", "not a JPEG, PNG or WebP"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn --><svg viewBox="0 0 1 1"/>', "SVG"),
        (draw("GIF", "P"), "GIF"),
        (b"\0\0\0\x20ftypavif" + bytes(100), "AVIF"),
        (draw("BMP"), "not a JPEG, PNG or WebP"),
        (os.urandom(4096), "not a JPEG, PNG or WebP"),
        (b"\x89PNG\r\n\x1a\n", "ends within its header"),
        (b"\xff\xd8\xff", "ends within its header"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "ends within its header"),
        (png_claiming(0, 10), "no width"),
        (png_claiming(1000, 1000), "broken or cut off"),
        (draw("PNG").replace(b"IDAT", b"IDOT"), "broken"),
        (webp_claiming(65, 48), "broken|contradict"),
        (b"\xff\xd8\xff\xe0\0\x02" + b"\xff\xda" * 201, "scans"),
    ],
)
async def test_what_is_not_a_picture_is_refused(pictures: PillowPictures, content: bytes, words: str) -> None:
    """Bytes of another kind, broken bytes and broken headers are refused with a sentence that helps."""
    with pytest.raises(PictureInvalid, match=words):
        await inspect(pictures, content)


async def test_what_follows_the_end_does_no_harm(pictures: PillowPictures) -> None:
    """A picture with bytes after its end, as some encoders leave them, is taken."""
    assert 64 == (await inspect(pictures, draw("JPEG") + b"trailing")).width_px


WHOLE = [draw("JPEG", size=(16, 16)), draw("PNG", size=(8, 8)), draw("WEBP", size=(16, 16))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_damaged_bytes_never_surprise(content: bytes, changes: list[tuple[int, int]]) -> None:
    """However a picture is damaged, it is taken or refused as a picture, never another error."""
    damaged = bytearray(content)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    with contextlib.suppress(PictureInvalid, PictureTooLarge):
        assert _inspect(bytes(damaged), 1_000_000).width_px > 0


async def test_reading_pictures_leaves_the_loop_free(pictures: PillowPictures) -> None:
    """While large pictures are decoded, other work of the event loop goes on."""
    content = draw("PNG", size=(1000, 1000))
    reading = asyncio.gather(*(inspect(pictures, content) for _ in range(4)))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    await reading
    assert turns > 50


async def test_a_closed_room_reads_nothing(pictures: PillowPictures) -> None:
    """After close, which is legal twice, a picture is refused as overload instead of waiting for ever."""
    await pictures.close()
    await pictures.close()
    with pytest.raises(Overloaded):
        await inspect(pictures, draw("PNG"))
