"""Replicate's models: inputs from its public model schemas, prices from its pricing page (November 2026)."""

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
from sandbox.catalog_flux_2 import flux_2_replicate
from sandbox.catalog_nano_banana_2 import nano_banana_2_replicate
from sandbox.fields import Field, Problem
from sandbox.tariffs import GPU_L40S_USD_PER_SECOND, per_image, per_image_by_quality, per_second

SDXL_VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
FLUX_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
PRO_RATIOS = ("custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")
KONTEXT_RATIOS = ("match_input_image", *FLUX_RATIOS, "2:1", "1:2")
GPT_RATIOS: Mapping[str, str] = {
    "1:1": "1024x1024",
    "3:2": "1536x1024",
    "2:3": "1024x1536",
    "4:3": "1536x1152",
    "3:4": "1152x1536",
    "16:9": "2048x1152",
    "9:16": "1152x2048",
    "auto": "1024x1024",
}
GPT_SIZES = (*sorted(set(GPT_RATIOS.values())), "2048x2048", "3840x2160", "2160x3840")
GPT_PRICES_USD = {"low": "0.012", "medium": "0.047", "high": "0.128", "auto": "0.128"}
SCHEDULERS = (
    "DDIM",
    "DPMSolverMultistep",
    "HeunDiscrete",
    "KarrasDPM",
    "K_EULER_ANCESTRAL",
    "K_EULER",
    "PNDM",
)

WEBP_JPG_PNG = Field("output_format", "choice", default="webp", choices=("webp", "jpg", "png"))
OUTPUT_QUALITY = Field("output_quality", "integer", default=80, low=0, high=100)
NO_CHECKER = Field("disable_safety_checker", "flag", default=False)
OUTPUTS = Field("num_outputs", "integer", default=1, low=1, high=4)
TOLERANCE = Field("safety_tolerance", "integer", default=2, low=1, high=6)


def _edge(name: str, low_px: int, high_px: int, default_px: int | None = None) -> Field:
    return Field(name, "integer", default=default_px, low=low_px, high=high_px)


def _half(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // 2, size[1] // 2


def _read_flux(filled: Mapping[str, Any]) -> Ask:
    size = RATIO_SIZES[filled["aspect_ratio"]]
    width_px, height_px = _half(size) if filled["megapixels"] == "0.25" else size
    picture = filled.get("image")
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["num_outputs"]),
        format=as_format(filled["output_format"]),
        seed=optional_integer(filled["seed"]),
        pictures=(picture,) if picture else (),
        follows_picture=bool(picture),
    )


def _read_pro(filled: Mapping[str, Any]) -> Ask:
    if filled["aspect_ratio"] == "custom":
        width_px = int(filled["width"] or 1024) // 32 * 32
        height_px = int(filled["height"] or 1024) // 32 * 32
    else:
        width_px, height_px = RATIO_SIZES[filled["aspect_ratio"]]
    picture = filled.get("image_prompt")
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=1,
        format=as_format(filled["output_format"]),
        seed=optional_integer(filled["seed"]),
        pictures=(picture,) if picture else (),
    )


def _read_kontext(filled: Mapping[str, Any]) -> Ask:
    picture = filled["input_image"]
    ratio = filled["aspect_ratio"]
    width_px, height_px = RATIO_SIZES.get(ratio, (1024, 1024))
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=1,
        format=as_format(filled["output_format"]),
        seed=optional_integer(filled["seed"]),
        pictures=(picture,) if picture else (),
        follows_picture=bool(picture) and ratio == "match_input_image",
    )


def _kontext_tolerance(filled: Mapping[str, Any]) -> list[Problem]:
    if filled["input_image"] and filled["safety_tolerance"] > 2:
        message = "safety_tolerance must be at most 2 when input_image is used"
        return [
            Problem(
                ("body", "safety_tolerance"),
                "less_than_equal",
                message,
                {"le": 2},
                filled["safety_tolerance"],
            )
        ]
    return []


def _read_gpt(filled: Mapping[str, Any]) -> Ask:
    named = GPT_RATIOS.get(filled["aspect_ratio"], filled["aspect_ratio"])
    width_px, height_px = (int(edge) for edge in named.split("x"))
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=int(filled["number_of_images"]),
        format=as_format(filled["output_format"]),
        quality=filled["quality"],
        pictures=tuple(filled["input_images"] or ()),
    )


def _read_sdxl(filled: Mapping[str, Any]) -> Ask:
    picture = filled.get("image")
    return Ask(
        prompt=filled["prompt"],
        width_px=int(filled["width"]),
        height_px=int(filled["height"]),
        count=int(filled["num_outputs"]),
        format="png",
        seed=optional_integer(filled["seed"]),
        pictures=(picture,) if picture else (),
        follows_picture=bool(picture),
    )


def _read_seedream(filled: Mapping[str, Any]) -> Ask:
    edge_px = {"1K": 1024, "2K": 2048, "4K": 4096}.get(filled["size"], 2048)
    if filled["size"] == "custom":
        width_px, height_px = int(filled["width"]), int(filled["height"])
    else:
        ratio = RATIO_SIZES.get(filled["aspect_ratio"], (1024, 1024))
        width_px, height_px = ratio[0] * edge_px // 1024, ratio[1] * edge_px // 1024
    digest = hashlib.sha256(filled["prompt"].encode()).digest()
    series = filled["sequential_image_generation"] == "auto"
    pictures = tuple(filled["image_input"] or ())
    return Ask(
        prompt=filled["prompt"],
        width_px=width_px,
        height_px=height_px,
        count=digest[0] % int(filled["max_images"]) + 1 if series else 1,
        format="jpeg",
        pictures=pictures,
        follows_picture=bool(pictures) and filled["aspect_ratio"] == "match_input_image",
    )


def _flux_fields(steps_default: int, steps_max: int) -> tuple[Field, ...]:
    return (
        PROMPT,
        Field("aspect_ratio", "choice", default="1:1", choices=FLUX_RATIOS),
        OUTPUTS,
        Field("num_inference_steps", "integer", default=steps_default, low=1, high=steps_max),
        SEED,
        WEBP_JPG_PNG,
        OUTPUT_QUALITY,
        NO_CHECKER,
        Field("go_fast", "flag", default=True),
        Field("megapixels", "choice", default="1", choices=("1", "0.25")),
    )


def _flux_models() -> list[Model]:
    return [
        Model(
            "replicate",
            "black-forest-labs/flux-schnell",
            _flux_fields(4, 4),
            _read_flux,
            per_image("0.003"),
            "image_output_count",
            "0.003",
            Pace(0.2, 0.6, 4),
        ),
        Model(
            "replicate",
            "black-forest-labs/flux-dev",
            (
                *_flux_fields(28, 50),
                Field("image", "url"),
                Field("guidance", "number", default=3, low=0, high=10),
                Field("prompt_strength", "number", default=0.8, low=0, high=1),
            ),
            _read_flux,
            per_image("0.025"),
            "image_output_count",
            "0.025",
            Pace(0.3, 2.2, 28),
        ),
    ]


def _flux_pro_models() -> list[Model]:
    upsampling = Field("prompt_upsampling", "flag", default=False)
    return [
        Model(
            "replicate",
            "black-forest-labs/flux-1.1-pro",
            (
                PROMPT,
                Field("image_prompt", "url"),
                Field("aspect_ratio", "choice", default="1:1", choices=PRO_RATIOS),
                _edge("width", 256, 1440),
                _edge("height", 256, 1440),
                TOLERANCE,
                SEED,
                upsampling,
                WEBP_JPG_PNG,
                OUTPUT_QUALITY,
            ),
            _read_pro,
            per_image("0.04"),
            "image_output_count",
            "0.04",
            Pace(0.3, 3.2, 25),
            single=True,
        ),
        Model(
            "replicate",
            "black-forest-labs/flux-kontext-pro",
            (
                PROMPT,
                Field("input_image", "url"),
                Field("aspect_ratio", "choice", default="match_input_image", choices=KONTEXT_RATIOS),
                upsampling,
                SEED,
                Field("output_format", "choice", default="png", choices=("jpg", "png")),
                Field("safety_tolerance", "integer", default=2, low=0, high=6),
            ),
            _read_kontext,
            per_image("0.04"),
            "image_output_count",
            "0.04",
            Pace(0.4, 4.0, 30),
            single=True,
            more_rules=_kontext_tolerance,
        ),
    ]


def _gpt_model() -> Model:
    fields = (
        PROMPT,
        Field("quality", "choice", default="auto", choices=("low", "medium", "high", "auto")),
        Field("aspect_ratio", "choice", default="1:1", choices=(*GPT_RATIOS, *GPT_SIZES)),
        Field("input_images", "urls", high=16),
        Field("number_of_images", "integer", default=1, low=1, high=10),
        Field("background", "choice", default="auto", choices=("auto", "transparent", "opaque")),
        Field("moderation", "choice", default="auto", choices=("auto", "low")),
        Field("output_format", "choice", default="webp", choices=("png", "jpeg", "webp")),
        Field("output_compression", "integer", default=90, low=0, high=100),
        Field("user_id", "text"),
        Field("openai_api_key", "text", secret=True),
    )
    return Model(
        "replicate",
        "openai/gpt-image-2",
        fields,
        _read_gpt,
        per_image_by_quality(GPT_PRICES_USD),
        "image_output_count",
        GPT_PRICES_USD["high"],
        Pace(1.5, 6.5, 10),
    )


def _sdxl_model() -> Model:
    fields = (
        Field("prompt", "text", default="An astronaut riding a rainbow unicorn"),
        Field("negative_prompt", "text", default=""),
        Field("image", "url"),
        Field("mask", "url"),
        Field("width", "integer", default=1024, low=64, high=2048),
        Field("height", "integer", default=1024, low=64, high=2048),
        OUTPUTS,
        Field("scheduler", "choice", default="K_EULER", choices=SCHEDULERS),
        Field("num_inference_steps", "integer", default=50, low=1, high=500),
        Field("guidance_scale", "number", default=7.5, low=1, high=50),
        Field("prompt_strength", "number", default=0.8, low=0, high=1),
        SEED,
        Field(
            "refine",
            "choice",
            default="no_refiner",
            choices=("no_refiner", "expert_ensemble_refiner", "base_image_refiner"),
        ),
        Field("high_noise_frac", "number", default=0.8, low=0, high=1),
        Field("refine_steps", "integer", low=1),
        Field("apply_watermark", "flag", default=True),
        Field("lora_scale", "number", default=0.6, low=0, high=1),
        Field("replicate_weights", "text"),
        NO_CHECKER,
    )
    return Model(
        "replicate",
        "stability-ai/sdxl",
        fields,
        _read_sdxl,
        per_second(GPU_L40S_USD_PER_SECOND),
        "seconds",
        str(GPU_L40S_USD_PER_SECOND),
        Pace(0.8, 2.6, 50),
        official=False,
        version=SDXL_VERSION,
    )


def _seedream_model() -> Model:
    fields = (
        PROMPT,
        Field("image_input", "urls", high=10),
        Field("size", "choice", default="2K", choices=("1K", "2K", "4K", "custom")),
        _edge("width", 1024, 4096, 2048),
        _edge("height", 1024, 4096, 2048),
        Field(
            "aspect_ratio",
            "choice",
            default="match_input_image",
            choices=("match_input_image", "1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9"),
        ),
        Field("max_images", "integer", default=1, low=1, high=15),
        Field("sequential_image_generation", "choice", default="disabled", choices=("disabled", "auto")),
        Field("enhance_prompt", "flag", default=True),
    )
    return Model(
        "replicate",
        "bytedance/seedream-4",
        fields,
        _read_seedream,
        per_image("0.03"),
        "image_output_count",
        "0.03",
        Pace(0.5, 3.5, 12),
    )


def replicate_models() -> dict[str, Model]:
    """Every Replicate model that the sandbox knows, by owner/name."""
    tests = [
        Model(
            "replicate",
            endpoint,
            _flux_fields(4, 50),
            _read_flux,
            per_image(TEST_PRICE_USD),
            "image_output_count",
            TEST_PRICE_USD,
            pace_of_test(endpoint),
            orders=orders,
            keeps_pace=endpoint == "sandbox/test-slow",
        )
        for endpoint, orders in TEST_ORDERS.items()
    ]
    everything = (
        *_flux_models(),
        *_flux_pro_models(),
        _gpt_model(),
        _sdxl_model(),
        _seedream_model(),
        *flux_2_replicate(),
        *nano_banana_2_replicate(),
        *tests,
    )
    return {model.endpoint: model for model in everything}
