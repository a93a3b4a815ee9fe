"""The models that the sandbox plays: their inputs, how those are read, what they cost, how long they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.fields import Field, Problem, size_of
from sandbox.tariffs import Tariff

Provider = Literal["fal", "replicate"]
Format = Literal["jpeg", "png", "webp"]

PROMPT = Field("prompt", "text", required=True, low=1, high=32_000)
SEED = Field("seed", "integer", low=0, high=2**63 - 1)

PIXELS_MAX = 40_000_000

RATIO_SIZES: Mapping[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "21:9": (1536, 640),
    "9:21": (640, 1536),
    "4:3": (1152, 896),
    "3:4": (896, 1152),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "5:4": (1088, 896),
    "4:5": (896, 1088),
    "2:1": (1408, 704),
    "1:2": (704, 1408),
}
"""Aspect ratios of one-megapixel models and the sizes in pixels they draw."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one valid input asks for. `follows_picture`: the output has the first input picture's size."""

    prompt: str
    width_px: int
    height_px: int
    count: int
    format: Format
    seed: int | None = None
    quality: str = ""
    resolution: str = ""
    pictures: tuple[str, ...] = ()
    follows_picture: bool = False
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a request queues and runs at speed 1, in seconds, and how many steps its progress shows."""

    queue_seconds: float
    run_seconds: float
    steps: int


Reader = Callable[[Mapping[str, Any]], Ask]
Extra = Callable[[Mapping[str, Any]], list[Problem]]


def drawable(filled: Mapping[str, Any]) -> list[Problem]:
    """The only rule of most models beyond their single fields: a size that the sandbox can draw."""
    width_px, height_px = size_of(filled.get("image_size"), (1024, 1024))
    if width_px * height_px <= PIXELS_MAX:
        return []
    message = f"total pixels must not exceed {PIXELS_MAX}"
    return [Problem(("body", "image_size"), "image_too_large", message, {}, filled["image_size"])]


@dataclass(frozen=True, slots=True)
class Model:
    """One endpoint of one provider.

    `family` says which fields a fal result has, `single` that a Replicate output is one string instead of a
    list, `flags` that flagged pictures are delivered and billed (False: refused), `orders` which faults a
    test model has, `keeps_pace` that it takes its time in instant mode too.
    """

    provider: Provider
    endpoint: str
    fields: tuple[Field, ...]
    read: Reader
    tariff: Tariff
    unit: str
    unit_price: str
    pace: Pace
    family: str = "flux"
    single: bool = False
    flags: bool = False
    official: bool = True
    keeps_pace: bool = False
    version: str = "hidden"
    more_rules: Extra = drawable
    orders: tuple[tuple[str, Mapping[str, Any]], ...] = ()


def as_format(word: str | None, otherwise: Format = "jpeg") -> Format:
    """The provider's word for a picture format, as ours."""
    match word:
        case "jpg" | "jpeg":
            return "jpeg"
        case "png":
            return "png"
        case "webp":
            return "webp"
        case _:
            return otherwise


def optional_integer(value: Any) -> int | None:
    """A seed that may be absent; both providers accept 42.0 for 42."""
    return None if value is None else int(value)


TEST_ORDERS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "sandbox/test-ok": (),
    "sandbox/test-slow": (),
    "sandbox/test-rejected": (("refuse_input", {}),),
    "sandbox/test-overrun": (("bill_factor", {"factor": "3"}),),
    "sandbox/test-lost-reply": (("drop_after_accept", {}),),
    "sandbox/test-fails": (("fail_run", {}),),
}
"""Test endpoints, the same names at both providers, and the faults that make them what they are."""

TEST_PRICE_USD = "0.01"


def pace_of_test(endpoint: str) -> Pace:
    """How long a test model takes: `test-slow` 20 s with a queue before it, the others hardly anything."""
    if endpoint == "sandbox/test-slow":
        return Pace(queue_seconds=6.0, run_seconds=14.0, steps=20)
    return Pace(queue_seconds=0.05, run_seconds=0.15, steps=4)
