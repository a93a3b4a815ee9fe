"""What is asked for: the values that decide which picture is drawn. All of it enters the fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from enum import Enum

from service.domain.value import value

JsonValue = None | bool | int | str | Decimal | list["JsonValue"] | dict[str, "JsonValue"]
"""A value of `extra`. Numbers are int or Decimal, never float, so that the canonical text is exact."""


class Operation(Enum):
    """What the job does."""

    GENERATE = "GENERATE"
    EDIT = "EDIT"


class Quality(Enum):
    """How much care the model takes; AUTO leaves it to the provider and is held at the dearest."""

    AUTO = "AUTO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    XHIGH = "XHIGH"
    MAX = "MAX"


class ImageFormat(Enum):
    """Encoding of the picture."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    SVG = "SVG"


class Background(Enum):
    """What lies behind the subject."""

    AUTO = "AUTO"
    OPAQUE = "OPAQUE"
    TRANSPARENT = "TRANSPARENT"


class Resolution(Enum):
    """How many pixels an aspect ratio or automatic size gets."""

    HALF_K = "HALF_K"
    ONE_K = "ONE_K"
    TWO_K = "TWO_K"
    FOUR_K = "FOUR_K"


@value(frozen=True, slots=True)
class Dimensions:
    """An exact size. Presets are turned into this at the door."""

    width_px: int
    height_px: int


@value(frozen=True, slots=True)
class AspectRatio:
    """A shape without a size; lowest terms."""

    width: int
    height: int


@value(frozen=True, slots=True)
class Size:
    """At most one of `dimensions` and `aspect_ratio`; neither is AUTO. `resolution` only without dimensions."""

    dimensions: Dimensions | None = None
    aspect_ratio: AspectRatio | None = None
    resolution: Resolution | None = None

    @property
    def is_auto(self) -> bool:
        """True when the provider or the input picture decides."""
        return self.dimensions is None and self.aspect_ratio is None


@value(frozen=True, slots=True)
class Expansion:
    """How far an edit grows the picture on each side, in pixels."""

    left_px: int = 0
    top_px: int = 0
    right_px: int = 0
    bottom_px: int = 0


@value(frozen=True, slots=True)
class InputPicture:
    """A stored input: named by its bytes, measured by us."""

    sha256: str
    mime_type: str
    size_bytes: int
    width_px: int
    height_px: int


@value(frozen=True, slots=True)
class EditInputs:
    """What an edit starts from. `images` has 1 to 16 entries."""

    images: tuple[InputPicture, ...]
    mask: InputPicture | None = None
    strength: Decimal | None = None
    expansion: Expansion | None = None


@value(frozen=True, slots=True)
class Drawing:
    """One request for pictures, after the door: defaults filled in, text normalised, aliases resolved."""

    model: str
    prompt: str
    operation: Operation = Operation.GENERATE
    negative_prompt: str = ""
    size: Size = field(default_factory=Size)
    size_given: bool = False
    """False when the caller said nothing about size: then the model's default of the catalog applies."""
    image_count: int = 1
    seed: int | None = None
    variation: int = 0
    quality: Quality | None = None
    format: ImageFormat | None = None
    background: Background | None = None
    guidance: Decimal | None = None
    steps: int | None = None
    safety_tolerance: int | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    inputs: EditInputs | None = None
