"""fal's endpoints: inputs from its public OpenAPI documents, prices from its model pages (November 2026)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sandbox.catalog import (
    PROMPT,
    RATIO_SIZES,
    SEED,
    TEST_ORDERS,
    TEST_PRICE_USD,
    Ask,
    Model,
    Pace,
    as_format,
    optional_integer,
    pace_of_test,
)
from sandbox.catalog_flux_2 import flux_2_fal
from sandbox.catalog_nano_banana_2 import nano_banana_2_fal
from sandbox.fields import Field, Problem, size_of
from sandbox.tariffs import gpt_image_2_fal, per_image, per_megapixel

SYNC_MODE = Field("sync_mode", "flag", default=False)
CHECKER = Field("enable_safety_checker", "flag", default=True)
ENHANCE = Field("enhance_prompt", "flag", default=False)
ACCELERATION = Field("acceleration", "choice", default="none", choices=("none", "regular", "high"))
JPEG_OR_PNG = Field("output_format", "choice", default="jpeg", choices=("jpeg", "png"))
ANY_FORMAT = Field("output_format", "choice", default="png", choices=("jpeg", "png", "webp"))
IMAGE_SIZE = Field("image_size", "size", default="landscape_4_3")
COUNT = Field("num_images", "integer", default=1, low=1, high=4)
RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
BANANA_RATIOS = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")


def _tolerance(default: str) -> Field:
    return Field("safety_tolerance", "choice", default=default, choices=("1", "2", "3", "4", "5", "6"))


def _guidance(low: float, high: float) -> Field:
    return Field("guidance_scale", "number", default=3.5, low=low, high=high)


def _steps(default: int, low: int, high: int) -> Field:
    return Field("num_inference_steps", "integer", default=default, low=low, high=high)


def _read_sized(filled: Mapping[str, Any]) -> Ask:
    width_px, height_px = size_of(filled["image_size"], (1024, 768))
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["num_images"]),
        format=as_format(filled.get("output_format")),
        seed=optional_integer(filled["seed"]),
        inline=filled["sync_mode"],
    )


def _read_following(filled: Mapping[str, Any]) -> Ask:
    ratio = filled.get("aspect_ratio")
    width_px, height_px = RATIO_SIZES.get(ratio or "1:1", (1024, 1024))
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["num_images"]),
        format=as_format(filled.get("output_format")),
        seed=optional_integer(filled["seed"]),
        pictures=(filled["image_url"],),
        follows_picture=ratio is None,
        inline=filled["sync_mode"],
    )


def _read_gpt(filled: Mapping[str, Any]) -> Ask:
    width_px, height_px = size_of(filled["image_size"], (1024, 1024))
    pictures = tuple(filled.get("image_urls") or ())
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["num_images"]),
        format=as_format(filled["output_format"]),
        quality=filled["quality"],
        pictures=pictures,
        follows_picture=bool(pictures) and filled["image_size"] == "auto",
        inline=filled["sync_mode"],
    )


def _read_banana(filled: Mapping[str, Any]) -> Ask:
    width_px, height_px = RATIO_SIZES[filled["aspect_ratio"]]
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["num_images"]),
        format=as_format(filled["output_format"]),
        seed=optional_integer(filled["seed"]),
        inline=filled["sync_mode"],
    )


def _read_seedream(filled: Mapping[str, Any]) -> Ask:
    automatic = {"auto_4K": (4096, 4096)}.get(str(filled["image_size"]), (2048, 2048))
    width_px, height_px = size_of(filled["image_size"], automatic)
    series_max = int(filled["max_images"])
    digest = hashlib.sha256(filled["prompt"].encode()).digest()
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["num_images"]) * (digest[0] % series_max + 1),
        format="jpeg",
        seed=optional_integer(filled["seed"]),
        inline=filled["sync_mode"],
    )


def _seedream_limits(filled: Mapping[str, Any]) -> list[Problem]:
    width_px, height_px = size_of(filled["image_size"], (2048, 2048))
    if 960 * 960 <= width_px * height_px <= 4096 * 4096:
        return []
    return [_size_problem("total pixels must be between 921600 and 16777216", filled["image_size"])]


def _gpt_limits(filled: Mapping[str, Any]) -> list[Problem]:
    value = filled["image_size"]
    width_px, height_px = size_of(value, (1024, 1024))
    named = isinstance(value, str)
    if named:
        return []
    if width_px % 16 or height_px % 16:
        return [
            Problem(
                ("body", "image_size"),
                "multiple_of",
                "Width and height should be multiples of 16",
                {"multiple_of": 16},
                value,
            )
        ]
    if max(width_px, height_px) > 3 * min(width_px, height_px):
        return [_size_problem("aspect ratio must not exceed 3:1", value)]
    if not 655_360 <= width_px * height_px <= 8_294_400:
        return [_size_problem("total pixels must be between 655360 and 8294400", value)]
    return []


def _size_problem(message: str, value: Any) -> Problem:
    return Problem(("body", "image_size"), "one_of", message, {}, value)


GPT_SIZE = Field("image_size", "size", default="landscape_4_3", choices=("auto",), high=3840)
GPT_EDIT_SIZE = Field("image_size", "size", default="auto", choices=("auto",), high=3840)
GPT_QUALITY = Field("quality", "choice", default="high", choices=("auto", "low", "medium", "high"))
SEEDREAM_SIZE = Field(
    "image_size", "size", default={"width": 2048, "height": 2048}, choices=("auto", "auto_2K", "auto_4K")
)

_FLUX = (PROMPT, IMAGE_SIZE, SEED, COUNT, CHECKER, JPEG_OR_PNG, ACCELERATION, SYNC_MODE, _guidance(1, 20))


def _flux_models() -> list[Model]:
    return [
        Model(
            "fal",
            "fal-ai/flux/schnell",
            (*_FLUX, _steps(4, 1, 12)),
            _read_sized,
            per_megapixel("0.003"),
            "megapixels",
            "0.003",
            Pace(0.2, 0.6, 4),
            flags=True,
        ),
        Model(
            "fal",
            "fal-ai/flux/dev",
            (*_FLUX, _steps(28, 1, 50)),
            _read_sized,
            per_megapixel("0.025"),
            "megapixels",
            "0.025",
            Pace(0.3, 2.2, 28),
            flags=True,
        ),
        Model(
            "fal",
            "fal-ai/flux-pro/v1.1",
            (PROMPT, IMAGE_SIZE, SEED, COUNT, JPEG_OR_PNG, _tolerance("2"), ENHANCE, SYNC_MODE),
            _read_sized,
            per_megapixel("0.04"),
            "megapixels",
            "0.04",
            Pace(0.3, 3.2, 25),
            flags=True,
        ),
    ]


def _flux_edit_models() -> list[Model]:
    picture = Field("image_url", "url", required=True, low=1)
    return [
        Model(
            "fal",
            "fal-ai/flux/dev/image-to-image",
            (
                PROMPT,
                picture,
                Field("strength", "number", default=0.95, low=0.01, high=1),
                _steps(40, 10, 50),
                _guidance(1, 20),
                SEED,
                COUNT,
                CHECKER,
                JPEG_OR_PNG,
                ACCELERATION,
                SYNC_MODE,
            ),
            _read_following,
            per_megapixel("0.03"),
            "megapixels",
            "0.03",
            Pace(0.3, 2.8, 40),
            flags=True,
        ),
        Model(
            "fal",
            "fal-ai/flux-pro/kontext",
            (
                PROMPT,
                picture,
                Field("aspect_ratio", "choice", choices=RATIOS),
                _guidance(1, 20),
                SEED,
                COUNT,
                JPEG_OR_PNG,
                _tolerance("2"),
                ENHANCE,
                SYNC_MODE,
            ),
            _read_following,
            per_image("0.04"),
            "images",
            "0.04",
            Pace(0.4, 4.0, 30),
            flags=True,
        ),
    ]


def _gpt_models() -> list[Model]:
    gpt = (PROMPT, GPT_QUALITY, COUNT, ANY_FORMAT, SYNC_MODE)
    pictures = Field("image_urls", "urls", required=True, low=1, high=16)
    return [
        Model(
            "fal",
            "openai/gpt-image-2",
            (*gpt, GPT_SIZE),
            _read_gpt,
            gpt_image_2_fal,
            "units",
            "1",
            Pace(1.5, 6.5, 10),
            family="gpt",
            more_rules=_gpt_limits,
        ),
        Model(
            "fal",
            "openai/gpt-image-2/edit",
            (*gpt, GPT_EDIT_SIZE, pictures, Field("mask_url", "url")),
            _read_gpt,
            gpt_image_2_fal,
            "units",
            "1",
            Pace(1.5, 7.5, 10),
            family="gpt",
            more_rules=_gpt_limits,
        ),
    ]


def _partner_models() -> list[Model]:
    return [
        Model(
            "fal",
            "fal-ai/nano-banana",
            (
                PROMPT,
                Field("aspect_ratio", "choice", default="1:1", choices=BANANA_RATIOS),
                COUNT,
                ANY_FORMAT,
                _tolerance("4"),
                SEED,
                Field("limit_generations", "flag", default=True),
                SYNC_MODE,
            ),
            _read_banana,
            per_image("0.039"),
            "images",
            "0.039",
            Pace(0.5, 4.0, 8),
            family="banana",
        ),
        Model(
            "fal",
            "fal-ai/bytedance/seedream/v4/text-to-image",
            (
                PROMPT,
                SEEDREAM_SIZE,
                Field("num_images", "integer", default=1, low=1, high=6),
                Field("max_images", "integer", default=1, low=1, high=6),
                SEED,
                CHECKER,
                Field("enhance_prompt_mode", "choice", default="standard", choices=("standard", "fast")),
                SYNC_MODE,
            ),
            _read_seedream,
            per_image("0.03"),
            "images",
            "0.03",
            Pace(0.5, 3.5, 12),
            family="seedream",
            more_rules=_seedream_limits,
        ),
    ]


def fal_models() -> dict[str, Model]:
    """Every fal endpoint that the sandbox knows, by id."""
    tests = [
        Model(
            "fal",
            endpoint,
            (*_FLUX, _steps(4, 1, 50)),
            _read_sized,
            per_image(TEST_PRICE_USD),
            "images",
            TEST_PRICE_USD,
            pace_of_test(endpoint),
            flags=True,
            orders=orders,
            keeps_pace=endpoint == "sandbox/test-slow",
        )
        for endpoint, orders in TEST_ORDERS.items()
    ]
    newer = (*flux_2_fal(), *nano_banana_2_fal())
    real = (*_flux_models(), *_flux_edit_models(), *_gpt_models(), *_partner_models(), *newer)
    return {model.endpoint: model for model in (*real, *tests)}
