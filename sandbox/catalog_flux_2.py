"""FLUX.2 [pro] at both providers: priced by megapixels of what goes in and what comes out (November 2026)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.catalog import PROMPT, RATIO_SIZES, SEED, Ask, Model, Pace, as_format, optional_integer
from sandbox.fields import Field, Problem, size_of
from sandbox.tariffs import first_and_further_megapixels, run_and_megapixels

FAL_FIELDS = (
    PROMPT,
    Field("image_size", "size", default="landscape_4_3", low=64, high=4096),
    SEED,
    Field("safety_tolerance", "choice", default="2", choices=("1", "2", "3", "4", "5")),
    Field("enable_safety_checker", "flag", default=True),
    Field("output_format", "choice", default="jpeg", choices=("jpeg", "png")),
    Field("sync_mode", "flag", default=False),
)
FAL_PICTURES = Field("image_urls", "urls", required=True, low=1, high=8)
REPLICATE_RATIOS = (
    "match_input_image", "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3",
)  # fmt: skip
REPLICATE_FIELDS = (
    PROMPT,
    Field("input_images", "urls", high=8),
    Field("aspect_ratio", "choice", default="1:1", choices=REPLICATE_RATIOS),
    Field(
        "resolution",
        "choice",
        default="1 MP",
        choices=("match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"),
    ),
    Field("width", "integer", low=256, high=2048),
    Field("height", "integer", low=256, high=2048),
    Field("safety_tolerance", "integer", default=2, low=1, high=5),
    SEED,
    Field("output_format", "choice", default="webp", choices=("webp", "jpg", "png")),
    Field("output_quality", "integer", default=80, low=0, high=100),
)
PIXELS_MAX = 2048 * 2048


def _read_fal(filled: Mapping[str, Any]) -> Ask:
    width_px, height_px = size_of(filled["image_size"], (1024, 768))
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=1,
        format=as_format(filled["output_format"]),
        seed=optional_integer(filled["seed"]),
        pictures=tuple(filled.get("image_urls") or ()),
        inline=filled["sync_mode"],
    )


def _read_replicate(filled: Mapping[str, Any]) -> Ask:
    ratio = filled["aspect_ratio"]
    width_px, height_px = RATIO_SIZES.get(ratio, (1024, 1024))
    if ratio == "custom":
        # Rounded to the nearest multiple of 32, as the schema says.
        edges = [int(filled[name] or 1024) for name in ("width", "height")]
        width_px, height_px = ((edge + 16) // 32 * 32 for edge in edges)
    pictures = tuple(filled["input_images"] or ())
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=1,
        format=as_format(filled["output_format"]),
        seed=optional_integer(filled["seed"]),
        pictures=pictures,
        follows_picture=bool(pictures) and ratio == "match_input_image",
    )


def _fal_limits(filled: Mapping[str, Any]) -> list[Problem]:
    width_px, height_px = size_of(filled["image_size"], (1024, 768))
    if width_px * height_px <= PIXELS_MAX:
        return []
    message = f"total pixels must not exceed {PIXELS_MAX}"
    return [Problem(("body", "image_size"), "image_too_large", message, {}, filled["image_size"])]


def flux_2_fal() -> list[Model]:
    """fal's two endpoints, for words alone and for words and pictures."""
    tariff = first_and_further_megapixels("0.03", "0.015")
    return [
        Model(
            "fal",
            endpoint,
            fields,
            _read_fal,
            tariff,
            "units",
            "1",
            Pace(0.4, 5.0, 20),
            family="seedream",
            more_rules=_fal_limits,
        )
        for endpoint, fields in (
            ("fal-ai/flux-2-pro", FAL_FIELDS),
            ("fal-ai/flux-2-pro/edit", (*FAL_FIELDS, FAL_PICTURES)),
        )
    ]


def flux_2_replicate() -> list[Model]:
    """Replicate's only one."""
    return [
        Model(
            "replicate",
            "black-forest-labs/flux-2-pro",
            REPLICATE_FIELDS,
            _read_replicate,
            run_and_megapixels("0.015", "0.015"),
            "dollars",
            "1",
            Pace(0.4, 5.0, 20),
            single=True,
        )
    ]
