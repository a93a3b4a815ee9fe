"""What a caller asks for: the drawing, its size, and what an edit starts from. All of it enters the
fingerprint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.struct_pb2 import Struct

from lightmeter import wire
from lightmeter.v1 import drawing_pb2 as pb


@dataclass(frozen=True, slots=True)
class Size:
    """An exact size in pixels."""

    width_px: int
    height_px: int

    def __str__(self) -> str:
        return f"{self.width_px}x{self.height_px}"


@dataclass(frozen=True, slots=True)
class AspectRatio:
    """A shape such as 16 to 9. `resolution` is one of half_k, one_k, two_k, four_k, or empty for the model's
    own.
    """

    width: int
    height: int
    resolution: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named shape: square, square_hd, portrait_4_3, portrait_16_9, landscape_4_3 or landscape_16_9."""

    name: str


@dataclass(frozen=True, slots=True)
class AutoSize:
    """The model chooses the shape, within `resolution` where that is given (half_k, one_k, two_k, four_k)."""

    resolution: str = ""


AnySize = Size | AspectRatio | Preset | AutoSize


def parse_size(text: str) -> AnySize:
    """`1024x1536`, `16:9`, `16:9@two_k`, `auto`, or a preset's name; anything else is a ValueError."""
    shape, _, resolution = text.strip().lower().partition("@")
    for mark, kind in (("x", Size), ("×", Size), (":", AspectRatio)):
        left, found, right = shape.partition(mark)
        if found and left.isdecimal() and right.isdecimal():
            if kind is AspectRatio:
                return AspectRatio(int(left), int(right), resolution)
            if resolution:
                raise ValueError(f"size {text!r}: pixels and a resolution say the same thing twice")
            return Size(int(left), int(right))
    if shape == "auto":
        return AutoSize(resolution)
    wire.number(pb.SizePreset, shape, "size")
    return Preset(shape)


def _size_proto(size: AnySize) -> pb.ImageSize:
    message = pb.ImageSize()
    if isinstance(size, Size):
        message.dimensions.width_px, message.dimensions.height_px = size.width_px, size.height_px
        return message
    if isinstance(size, Preset):
        message.preset = wire.number(pb.SizePreset, size.name, "preset")
        return message
    if isinstance(size, AspectRatio):
        message.aspect_ratio.width, message.aspect_ratio.height = size.width, size.height
    else:
        message.auto.SetInParent()
    if size.resolution:
        message.resolution = wire.number(pb.Resolution, size.resolution, "resolution")
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The picture that is asked for. Two equal drawings are the same request and are paid for once.

    Words (`quality`, `format`, `background`) are taken in any letter case; an unknown one is a ValueError
    where the drawing is sent. Absent is not zero: leave `seed`, `guidance`, `steps` and `safety_tolerance`
    None for the service's or the route's own choice. `variation` asks for another picture of the same
    request.
    """

    model: str
    prompt: str
    negative_prompt: str = ""
    size: AnySize | str | None = None
    image_count: int = 1
    seed: int | None = None
    variation: int = 0
    quality: str = ""
    format: str = ""
    background: str = ""
    guidance: float | None = None
    steps: int | None = None
    safety_tolerance: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def replace(self, **changes: Any) -> Drawing:
        """A copy with some fields changed: `ask.replace(variation=1)`."""
        return dataclasses.replace(self, **changes)

    @property
    def proto(self) -> pb.Drawing:
        """The message for the wire."""
        message = pb.Drawing(
            model=self.model,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            image_count=self.image_count,
            seed=self.seed,
            variation=self.variation,
            guidance=self.guidance,
            steps=self.steps,
            safety_tolerance=self.safety_tolerance,
        )
        if self.size is not None:
            size = parse_size(self.size) if isinstance(self.size, str) else self.size
            message.size.CopyFrom(_size_proto(size))
        if self.quality:
            message.quality = wire.number(pb.Quality, self.quality, "quality")
        if self.format:
            message.format = wire.number(pb.ImageFormat, self.format, "format")
        if self.background:
            message.background = wire.number(pb.Background, self.background, "background")
        if self.extra:
            message.extra.CopyFrom(_struct(self.extra))
        return message


def _struct(values: Mapping[str, Any]) -> Struct:
    message = Struct()
    message.update(dict(values))
    return message


@dataclass(frozen=True, slots=True)
class Expansion:
    """How many pixels to add beyond each edge of the first input picture."""

    left_px: int = 0
    top_px: int = 0
    right_px: int = 0
    bottom_px: int = 0

    @property
    def proto(self) -> pb.Expansion:
        """The message for the wire."""
        return pb.Expansion(
            left_px=self.left_px, top_px=self.top_px, right_px=self.right_px, bottom_px=self.bottom_px
        )
