"""Nano Banana 2 at both providers: priced by the resolution that is named (November 2026)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.catalog import PROMPT, RATIO_SIZES, SEED, Ask, Model, Pace, as_format, optional_integer
from sandbox.fields import Field
from sandbox.tariffs import per_image_by_factor, per_image_by_resolution

WIDE_RATIOS: Mapping[str, tuple[int, int]] = {
    "4:1": (2048, 512),
    "1:4": (512, 2048),
    "8:1": (2880, 360),
    "1:8": (360, 2880),
}
"""Sizes in pixels at 1K of the shapes that only this model draws."""

RATIOS = (
    "21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16", "4:1", "1:4", "8:1", "1:8",
)  # fmt: skip
FACTORS = {"0.5K": "0.75", "1K": "1", "2K": "1.5", "4K": "2"}
FAL_PRICE_USD = "0.08"
REPLICATE_PRICES_USD = {"1K": "0.067", "2K": "0.101", "4K": "0.151"}
_EDGES = {"0.5K": 1, "1K": 2, "2K": 4, "4K": 8}
"""Edges by resolution, in halves of those at 1K."""

FAL_FIELDS = (
    PROMPT,
    Field("aspect_ratio", "choice", default="auto", choices=("auto", *RATIOS)),
    Field("num_images", "integer", default=1, low=1, high=4),
    Field("output_format", "choice", default="png", choices=("jpeg", "png", "webp")),
    Field("safety_tolerance", "choice", default="4", choices=("1", "2", "3", "4", "5", "6")),
    SEED,
    Field("resolution", "choice", default="1K", choices=tuple(FACTORS)),
    Field("limit_generations", "flag", default=True),
    Field("enable_web_search", "flag", default=False),
    Field("thinking_level", "choice", choices=("minimal", "high")),
    Field("system_prompt", "text", default=""),
    Field("sync_mode", "flag", default=False),
)
FAL_PICTURES = Field("image_urls", "urls", required=True, low=1, high=14)
REPLICATE_FIELDS = (
    PROMPT,
    Field("image_input", "urls", high=14),
    Field("aspect_ratio", "choice", default="match_input_image", choices=("match_input_image", *RATIOS)),
    Field("resolution", "choice", default="1K", choices=tuple(REPLICATE_PRICES_USD)),
    Field("google_search", "flag", default=False),
    Field("image_search", "flag", default=False),
    Field("output_format", "choice", default="jpg", choices=("jpg", "png")),
)


def _size(ratio: str, resolution: str) -> tuple[int, int]:
    width_px, height_px = {**RATIO_SIZES, **WIDE_RATIOS}.get(ratio, (1024, 1024))
    return width_px * _EDGES[resolution] // 2, height_px * _EDGES[resolution] // 2


def _read_fal(filled: Mapping[str, Any]) -> Ask:
    width_px, height_px = _size(filled["aspect_ratio"], filled["resolution"])
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["num_images"]),
        format=as_format(filled["output_format"]),
        seed=optional_integer(filled["seed"]),
        resolution=filled["resolution"],
        pictures=tuple(filled.get("image_urls") or ()),
        inline=filled["sync_mode"],
    )


def _read_replicate(filled: Mapping[str, Any]) -> Ask:
    width_px, height_px = _size(filled["aspect_ratio"], filled["resolution"])
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=1,
        format=as_format(filled["output_format"]),
        resolution=filled["resolution"],
        pictures=tuple(filled["image_input"] or ()),
    )


def nano_banana_2_fal() -> list[Model]:
    """fal's two endpoints, for words alone and for words and pictures."""
    return [
        Model(
            "fal",
            endpoint,
            fields,
            _read_fal,
            per_image_by_factor(FAL_PRICE_USD, FACTORS),
            "images",
            FAL_PRICE_USD,
            Pace(0.5, 4.0, 8),
            family="banana",
        )
        for endpoint, fields in (
            ("fal-ai/nano-banana-2", FAL_FIELDS),
            ("fal-ai/nano-banana-2/edit", (*FAL_FIELDS, FAL_PICTURES)),
        )
    ]


def nano_banana_2_replicate() -> list[Model]:
    """Replicate's only one."""
    return [
        Model(
            "replicate",
            "google/nano-banana-2",
            REPLICATE_FIELDS,
            _read_replicate,
            per_image_by_resolution(REPLICATE_PRICES_USD),
            "image_output_count",
            REPLICATE_PRICES_USD["1K"],
            Pace(0.5, 4.0, 8),
            single=True,
        )
    ]
