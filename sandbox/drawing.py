"""The pictures: landscapes whose colours and hills come from the request, which is written on them.

Everything on a picture is decided by its recipe, so the same recipe gives the same bytes, and pictures need
not be kept: they are drawn again when somebody downloads them again.
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

from sandbox.catalog import PIXELS_MAX, Format

Colour = tuple[int, int, int]

PROMPT_DRAWN_MAX_CHARACTERS = 400
PROMPT_LINES_MAX = 4
JPEG_QUALITY = 85

PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((24, 38, 82), (242, 142, 103), (255, 221, 148), (104, 78, 122), (66, 55, 98), (33, 32, 66)),
    ((66, 133, 178), (231, 240, 222), (255, 250, 224), (120, 168, 158), (72, 122, 116), (36, 76, 78)),
    ((250, 214, 165), (250, 240, 215), (232, 98, 82), (214, 158, 122), (160, 104, 92), (92, 60, 64)),
    ((16, 24, 48), (62, 92, 134), (236, 240, 248), (44, 66, 106), (28, 44, 78), (12, 20, 40)),
    ((129, 90, 160), (250, 178, 172), (255, 236, 190), (112, 84, 150), (78, 62, 122), (46, 40, 84)),
    ((92, 164, 138), (240, 236, 188), (250, 206, 108), (84, 142, 104), (50, 104, 84), (24, 62, 60)),
    ((228, 92, 74), (252, 190, 110), (255, 240, 200), (170, 62, 74), (112, 40, 66), (58, 24, 50)),
    ((176, 210, 226), (248, 246, 240), (250, 200, 160), (164, 186, 196), (112, 140, 156), (62, 88, 106)),
)
"""Sky above, sky below, sun, far hill, middle hill, near hill."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a picture depends on. `thumbnail` is the input picture of an edit, as JPEG bytes."""

    prompt: str
    model: str
    seed: int
    width_px: int
    height_px: int
    index: int
    count: int
    format: Format
    thumbnail: bytes | None = None
    black: bool = False

    def digest(self) -> bytes:
        """32 bytes that decide the composition."""
        parts = (self.prompt, self.model, self.seed, self.width_px, self.height_px, self.index)
        return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()


class Painter:
    """Draws and encodes. Safe to use from several threads: fonts are kept per thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    def paint(self, recipe: Recipe) -> bytes:
        """The encoded picture, of exactly the size and format of its recipe."""
        return encode(self.draw(recipe), recipe.format)

    def draw(self, recipe: Recipe) -> Image.Image:
        """The picture before encoding."""
        size = (recipe.width_px, recipe.height_px)
        if recipe.black:
            return Image.new("RGB", size, (0, 0, 0))
        digest = recipe.digest()
        palette = PALETTES[digest[0] % len(PALETTES)]
        picture = _sky(size, palette)
        pen = ImageDraw.Draw(picture)
        _sun(pen, size, palette, digest)
        for layer in range(3):
            _hill(pen, size, palette[3 + layer], digest, layer)
        if recipe.thumbnail is not None:
            _inlay(picture, recipe.thumbnail, palette)
        self._write(pen, recipe, palette)
        return picture

    def _font(self, size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        fonts: dict[int, ImageFont.FreeTypeFont | ImageFont.ImageFont] | None = getattr(
            self._local, "fonts", None
        )
        if fonts is None or len(fonts) > 64:
            fonts = self._local.fonts = {}
        if size_px not in fonts:
            fonts[size_px] = ImageFont.load_default(size_px)
        return fonts[size_px]

    def _write(self, pen: ImageDraw.ImageDraw, recipe: Recipe, palette: tuple[Colour, ...]) -> None:
        width_px, height_px = recipe.width_px, recipe.height_px
        edge_px = min(width_px, height_px)
        large, small = self._font(max(9, edge_px // 24)), self._font(max(8, edge_px // 38))
        margin_px = max(3, edge_px // 24)
        lines = _wrapped(recipe.prompt, large, width_px - 2 * margin_px)
        step_px, foot_px = max(11, edge_px * 10 // 180), max(10, edge_px // 24)
        top_px = height_px - margin_px - foot_px - step_px * len(lines)
        ink, paper = (255, 252, 245), palette[5]
        pen.rectangle((0, top_px - margin_px // 2, width_px, height_px), fill=paper)
        for number, line in enumerate(lines):
            pen.text((margin_px, top_px + number * step_px), line, font=large, fill=ink)
        kind = "edit" if recipe.thumbnail is not None else "sandbox"
        foot = f"{recipe.model}  seed {recipe.seed}  {width_px}x{height_px}"
        foot += f"  {recipe.index + 1}/{recipe.count}  {kind}"
        pen.text((margin_px, height_px - margin_px // 2 - foot_px), foot, font=small, fill=palette[2])


def encode(picture: Image.Image, picture_format: Format) -> bytes:
    """The picture's bytes: JPEG, PNG or WebP, chosen for speed."""
    out = io.BytesIO()
    match picture_format:
        case "jpeg":
            picture.save(out, "JPEG", quality=JPEG_QUALITY)
        case "png":
            picture.save(out, "PNG", compress_level=1)
        case "webp":
            picture.save(out, "WEBP", quality=80, method=0)
    return out.getvalue()


def measure(data: bytes) -> tuple[tuple[int, int], bytes]:
    """Size of an input picture in pixels, and a thumbnail. Raises OSError or ValueError if undecodable."""
    with Image.open(io.BytesIO(data)) as picture:
        size = picture.size
        if size[0] * size[1] > PIXELS_MAX:
            raise ValueError("too many pixels")
        picture.draft("RGB", (768, 768))
        small = picture.convert("RGB")
    small.thumbnail((768, 768))
    return size, encode(small, "jpeg")


def _sky(size: tuple[int, int], palette: tuple[Colour, ...]) -> Image.Image:
    horizon_px = max(1, size[1] * 62 // 100)
    column = Image.new("L", (1, size[1]), 255)
    column.paste(Image.linear_gradient("L").resize((1, horizon_px)), (0, 0))
    return ImageOps.colorize(column, palette[0], palette[1]).resize(size, Image.Resampling.NEAREST)


def _sun(pen: ImageDraw.ImageDraw, size: tuple[int, int], palette: tuple[Colour, ...], digest: bytes) -> None:
    width_px, height_px = size
    radius_px = min(size) * (9 + digest[1] % 6) // 100
    x_px = width_px * (20 + digest[2] % 60) // 100
    y_px = height_px * (18 + digest[3] % 22) // 100
    for ring, share in ((1.5, 0.22), (1.22, 0.45), (1.0, 1.0)):
        below = min(1.0, y_px / max(1, height_px * 0.62))
        sky = tuple(int(palette[0][part] * (1 - below) + palette[1][part] * below) for part in range(3))
        fill = tuple(int(sky[part] * (1 - share) + palette[2][part] * share) for part in range(3))
        reach = int(radius_px * ring)
        pen.ellipse((x_px - reach, y_px - reach, x_px + reach, y_px + reach), fill=fill)


def _hill(pen: ImageDraw.ImageDraw, size: tuple[int, int], colour: Colour, digest: bytes, layer: int) -> None:
    width_px, height_px = size
    level = 0.50 + 0.11 * layer
    first, second, third = digest[4 + 3 * layer : 7 + 3 * layer]
    points: list[tuple[float, float]] = []
    for step in range(49):
        x = step / 48
        wave = math.sin(x * (3 + first % 5) + second) * 0.05 + math.sin(x * (9 + third % 7) + first) * 0.018
        points.append((x * width_px, height_px * (level + wave)))
    pen.polygon([*points, (width_px, height_px), (0, height_px)], fill=colour)


def _inlay(picture: Image.Image, thumbnail: bytes, palette: tuple[Colour, ...]) -> None:
    """Show the input picture, tinted, in a frame in the upper part."""
    with Image.open(io.BytesIO(thumbnail)) as source:
        room = (picture.width * 78 // 100, picture.height * 62 // 100)
        scale = min(room[0] / source.width, room[1] / source.height)
        size = (max(1, int(source.width * scale)), max(1, int(source.height * scale)))
        inlay = source.convert("RGB").resize(size)
    inlay = Image.blend(inlay, Image.new("RGB", size, palette[1]), 0.22)
    left, top = (picture.width - size[0]) // 2, picture.height * 5 // 100
    frame_px = max(2, min(picture.size) // 90)
    pen = ImageDraw.Draw(picture)
    pen.rectangle(
        (left - frame_px, top - frame_px, left + size[0] + frame_px - 1, top + size[1] + frame_px - 1),
        fill=(255, 252, 245),
    )
    picture.paste(inlay, (left, top))


def _wrapped(prompt: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: int) -> list[str]:
    words = " ".join(prompt[:PROMPT_DRAWN_MAX_CHARACTERS].split()).split(" ")
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > room_px:
            if len(lines) == PROMPT_LINES_MAX:
                lines[-1] += " …"
                break
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
