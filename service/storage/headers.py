"""What the first bytes of a picture say, read without decoding anything: its kind and its size.

A decoder sets memory aside for the size that the header claims (WebP's does it when it opens the file), so
the claim is read here first and held against the limit. Sources: PNG (W3C, third edition), JPEG (ITU-T
T.81), WebP container (developers.google.com/speed/webp/docs/riff_container).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from service.domain.failure import PictureInvalid

# Start of a frame; 0xC4, 0xC8 and 0xCC in the same range are tables and extensions.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_JPEG_SEGMENTS_COUNT_MAX: Final = 1_000
_JPEG_SCANS_COUNT_MAX: Final = 200
"""Every scan of a progressive picture is a pass over all its pixels; encoders write about ten."""

_PNG_END: Final = b"\0\0\0\0IEND\xae\x42\x60\x82"

_MARKUP: Final = re.compile(rb"\s*(<\?xml|<!--|<!doctype|<svg|<html|<[a-z])", re.IGNORECASE)
_MARKUP_BYTES_MAX: Final = 4_096
_WEBP_LOSSLESS: Final = 0x2F


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the bytes claim to be. `name` is Pillow's name of the format."""

    name: str
    mime_type: str
    extension: str
    width_px: int
    height_px: int


def read_header(content: bytes) -> PictureHeader:
    """Kind and size of a JPEG, PNG or WebP, by its magic numbers. Raises PictureInvalid for everything
    else.
    """
    try:
        if content.startswith(b"\xff\xd8\xff"):
            return PictureHeader("JPEG", "image/jpeg", "jpg", *_jpeg_size(content))
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return PictureHeader("PNG", "image/png", "png", *_png_size(content))
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return PictureHeader("WEBP", "image/webp", "webp", *_webp_size(content))
    except (struct.error, IndexError) as error:
        raise PictureInvalid("The picture ends within its header.") from error
    raise PictureInvalid(_what_else(content))


def _what_else(content: bytes) -> str:
    """A sentence about bytes that are no picture of ours; what most callers get wrong is named."""
    if not content:
        return "The picture is empty."
    start = content[:_MARKUP_BYTES_MAX]
    if b"<svg" in start.lower() and _MARKUP.match(start.removeprefix(b"\xef\xbb\xbf")):
        return "SVG is a drawing program, not a picture; send JPEG, PNG or WebP."
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF is not taken; send JPEG, PNG or WebP."
    if start[4:8] == b"ftyp":
        return "AVIF, HEIF and video are not taken; send JPEG, PNG or WebP."
    return "The bytes are not a JPEG, PNG or WebP picture."


def _png_size(content: bytes) -> tuple[int, int]:
    length, kind, width_px, height_px = struct.unpack_from(">I4sII", content, 8)
    if kind != b"IHDR" or length != 13:
        raise PictureInvalid("The PNG does not begin with its header.")
    if content.rfind(_PNG_END) < 0:  # decoders don't miss it once they have all pixels
        raise PictureInvalid("The PNG is cut off.")
    return width_px, height_px


def _jpeg_size(content: bytes) -> tuple[int, int]:
    if content.count(b"\xff\xda") > _JPEG_SCANS_COUNT_MAX:
        raise PictureInvalid(f"The JPEG has more than {_JPEG_SCANS_COUNT_MAX} scans.")
    position = 2
    for _ in range(_JPEG_SEGMENTS_COUNT_MAX):
        if content[position] != 0xFF:
            raise PictureInvalid("The JPEG is broken before its frame.")
        while content[position] == 0xFF:  # any number of fill bytes
            position += 1
        marker = content[position]
        position += 1
        if marker in _JPEG_BARE:
            continue
        (length,) = struct.unpack_from(">H", content, position)
        if marker in _JPEG_FRAMES:
            height_px, width_px = struct.unpack_from(">HH", content, position + 3)
            return width_px, height_px
        position += length
    raise PictureInvalid("The JPEG has no frame among its first segments.")


def _webp_size(content: bytes) -> tuple[int, int]:
    chunk = content[12:16]
    if chunk == b"VP8X":
        width, height = _exactly(content, 24, 3), _exactly(content, 27, 3)
        return 1 + int.from_bytes(width, "little"), 1 + int.from_bytes(height, "little")
    if chunk == b"VP8L":
        if content[20] != _WEBP_LOSSLESS:
            raise PictureInvalid("The lossless WebP has no signature.")
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        if _exactly(content, 23, 3) != b"\x9d\x01\x2a":
            raise PictureInvalid("The lossy WebP does not begin with a key frame.")
        width_px, height_px = struct.unpack_from("<HH", content, 26)
        return width_px & 0x3FFF, height_px & 0x3FFF
    raise PictureInvalid("The WebP begins with neither picture nor extension.")


def _exactly(content: bytes, start: int, count: int) -> bytes:
    part = content[start : start + count]
    if len(part) < count:
        raise IndexError(start)
    return part
