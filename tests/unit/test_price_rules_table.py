"""Every price of the catalog against worked examples: a whole request, what it may cost, and what its evidence comes to.

The figures were worked out by hand from the public page that stands beside each (read in November 2026), and not
with the code under test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from service.catalog.loader import load_catalog
from service.domain.drawing import (
    AspectRatio,
    Dimensions,
    Drawing,
    EditInputs,
    InputPicture,
    Operation,
    Quality,
    Resolution,
    Size,
)
from service.domain.price import Certainty, PriceSnapshot, UsageEvidence
from service.domain.price_data import RULE_KINDS
from service.domain.routing import check, effective, plan_routes, price_ask

CATALOG = load_catalog(sandbox=True)
EXACT, ESTIMATE, CEILING = Certainty.EXACT, Certainty.ESTIMATE, Certainty.CEILING_ONLY


@dataclass(frozen=True)
class Case:
    """One request at one route. Amounts in nano-dollars; `settled` is None where the evidence settles nothing."""

    model: str
    route: str
    asked: Mapping[str, Any]
    expected: int
    ceiling: int
    certainty: Certainty
    evidence: UsageEvidence
    settled: int | None
    source: str


def px(width: int, height: int) -> Size:
    return Size(dimensions=Dimensions(width, height))


def inputs(*sizes: tuple[int, int]) -> EditInputs:
    pictures = tuple(
        InputPicture(f"{index}" * 64, "image/png", 1000, *size) for index, size in enumerate(sizes)
    )
    return EditInputs(pictures)


def units(value: str) -> UsageEvidence:
    return UsageEvidence(Decimal(value))


def metrics(**values: str) -> UsageEvidence:
    return UsageEvidence(metrics={name: Decimal(value) for name, value in values.items()})


EDIT = Operation.EDIT
SQUARE = px(1024, 1024)
WIDE = Size(aspect_ratio=AspectRatio(16, 9))
FAL, REPLICATE = "https://fal.ai/models/", "https://replicate.com/"
MEGAPIXELS_UP = "rounded up; 1024x1024 counts as one megapixel on the page of fal-ai/flux-2-pro"

CASES = [
    # --- per megapixel, rounded up per picture
    Case("flux-schnell", "fal/flux-schnell", {"size": SQUARE, "image_count": 4}, 12_000_000, 12_000_000, ESTIMATE,
         units("4"), 12_000_000, f"{FAL}fal-ai/flux/schnell: 0.003 per megapixel, {MEGAPIXELS_UP}"),
    Case("flux-schnell", "fal/flux-schnell", {"size": px(1040, 1024)}, 6_000_000, 6_000_000, ESTIMATE,
         units("1.02"), 3_060_000, f"{FAL}fal-ai/flux/schnell: sixteen columns more are a second megapixel"),
    Case("flux-dev", "fal/flux-dev", {"size": WIDE}, 25_000_000, 25_000_000, ESTIMATE,
         units("1.0"), 25_000_000, f"{FAL}fal-ai/flux/dev: 0.025, 16:9 is sent as 1344x768"),
    Case("flux-1.1-pro", "fal/flux-1.1-pro", {"size": px(1440, 1440)}, 80_000_000, 80_000_000, ESTIMATE,
         units("2"), 80_000_000, f"{FAL}fal-ai/flux-pro/v1.1: 0.04 per megapixel, 2,073,600 pixels"),
    Case("flux-dev-img2img", "fal/flux-dev-img2img", {"operation": EDIT, "inputs": inputs((2000, 1500))},
         90_000_000, 90_000_000, ESTIMATE, units("3"), 90_000_000,
         f"{FAL}fal-ai/flux/dev/image-to-image: 0.03 per megapixel of a picture of the input's size"),
    # --- first and further megapixels, inputs counted; the header's unit has no price
    Case("flux-2-pro", "fal/flux-2-pro", {"size": px(512, 512)}, 30_000_000, 30_000_000, ESTIMATE,
         units("1"), None, f"{FAL}fal-ai/flux-2-pro: 0.03 for the first megapixel, 512x512 is one"),
    Case("flux-2-pro", "fal/flux-2-pro", {"size": px(1920, 1088)}, 45_000_000, 45_000_000, ESTIMATE,
         units("2"), None, f"{FAL}fal-ai/flux-2-pro: 1920x1080 is 0.045"),
    Case("flux-2-pro", "fal/flux-2-pro-edit", {"operation": EDIT, "size": SQUARE, "inputs": inputs((1920, 1080))},
         60_000_000, 60_000_000, ESTIMATE, units("3"), None,
         f"{FAL}fal-ai/flux-2-pro/edit: 0.03 + 2 x 0.015 for three megapixels in and out"),
    # --- per run plus per megapixel
    Case("flux-2-pro", "replicate/flux-2-pro", {"size": SQUARE}, 30_728_640, 45_000_000, ESTIMATE,
         metrics(run_count="1", image_output_megapixel_count="1.048576", image_input_megapixel_count="0"), 30_728_640,
         f"{REPLICATE}black-forest-labs/flux-2-pro: 0.015 per run, input and output megapixel"),
    Case("flux-2-pro", "replicate/flux-2-pro", {"operation": EDIT, "size": SQUARE, "inputs": inputs((1000, 1000))},
         45_728_640, 60_000_000, ESTIMATE,
         metrics(image_output_megapixel_count="1", image_input_megapixel_count="1"), 45_000_000,
         f"{REPLICATE}black-forest-labs/flux-2-pro: one run, one megapixel in, one out"),
    # --- per image
    Case("flux-schnell", "replicate/flux-schnell", {"size": SQUARE, "image_count": 4}, 12_000_000, 12_000_000, EXACT,
         metrics(image_output_count="3"), 9_000_000, f"{REPLICATE}pricing: 3.00 per thousand output images"),
    Case("flux-dev", "replicate/flux-dev", {"size": SQUARE}, 25_000_000, 25_000_000, EXACT,
         metrics(image_count="1"), 25_000_000, f"{REPLICATE}pricing: 0.025 per output image, by the metric's older name"),
    Case("flux-1.1-pro", "replicate/flux-1.1-pro", {"size": px(1440, 1440)}, 40_000_000, 40_000_000, EXACT,
         metrics(image_output_count="1"), 40_000_000, f"{REPLICATE}pricing: 0.04 per output image of any size"),
    Case("flux-dev-img2img", "replicate/flux-dev-img2img", {"operation": EDIT, "inputs": inputs((2000, 1500))},
         25_000_000, 25_000_000, EXACT, metrics(image_output_count="1"), 25_000_000,
         f"{REPLICATE}pricing: flux-dev costs the same from a picture"),
    Case("flux-kontext-pro", "fal/flux-kontext-pro", {"operation": EDIT, "image_count": 2, "inputs": inputs((640, 480))},
         80_000_000, 80_000_000, EXACT, units("2"), 80_000_000, f"{FAL}fal-ai/flux-pro/kontext: 0.04 per image"),
    Case("flux-kontext-pro", "replicate/flux-kontext-pro", {"operation": EDIT, "inputs": inputs((640, 480))},
         40_000_000, 40_000_000, EXACT, metrics(image_output_count="1"), 40_000_000,
         f"{REPLICATE}pricing: 0.04 per output image"),
    # --- per image, as many as the provider returns at most
    Case("seedream-4", "fal/seedream-4", {"size": px(4096, 4096)}, 30_000_000, 30_000_000, EXACT,
         units("1"), 30_000_000, f"{FAL}fal-ai/bytedance/seedream/v4/text-to-image: 0.03 per image"),
    Case("seedream-4", "fal/seedream-4", {"image_count": 2, "extra": {"max_images": 4}}, 240_000_000, 240_000_000, CEILING,
         units("5"), 150_000_000, f"{FAL}fal-ai/bytedance/seedream/v4/text-to-image: num_images x max_images at most"),
    Case("seedream-4", "replicate/seedream-4", {"extra": {"max_images": 15}}, 450_000_000, 450_000_000, CEILING,
         metrics(image_output_count="4"), 120_000_000, f"{REPLICATE}bytedance/seedream-4: 0.03 per output image"),
    # --- by size and quality, plus tokens
    Case("gpt-image-2", "fal/gpt-image-2", {"prompt": "a fox", "size": px(1536, 1024), "quality": Quality.MEDIUM},
         42_100_000, 50_100_000, ESTIMATE, units("0.0421"), 42_100_000,
         f"{FAL}openai/gpt-image-2: the row 1024x1536 lying down, 0.05 in cents; 2 tokens, rounded up to 0.0001"),
    Case("gpt-image-2", "fal/gpt-image-2", {"prompt": "a fox", "size": px(2048, 1152), "quality": Quality.LOW},
         4_800_000, 10_100_000, ESTIMATE, units("0.0062"), 6_200_000,
         f"{FAL}openai/gpt-image-2: held like the next larger row, 2560x1440; 16 x 9 x 4359296 / 4000000 = 157 tokens expected"),
    Case("gpt-image-2", "fal/gpt-image-2", {"prompt": "a fox", "size": Size(), "quality": Quality.AUTO},
         410_100_000, 410_100_000, CEILING, units("0.0421"), 42_100_000,
         f"{FAL}openai/gpt-image-2: automatic size and quality hold the dearest cell, 0.41"),
    Case("gpt-image-2", "fal/gpt-image-2-edit",
         {"prompt": "a fox", "operation": EDIT, "size": SQUARE, "quality": Quality.LOW, "inputs": inputs((1024, 1024))},
         14_300_000, 22_400_000, ESTIMATE, units("0.0143"), 14_300_000,
         f"{FAL}openai/gpt-image-2/edit: 0.006 + 1024 tokens at 8 USD per million + 2 at 5; held: 0.01 + 1536 + 5 tokens"),
    Case("gpt-image-2", "replicate/gpt-image-2", {"quality": Quality.MEDIUM, "size": SQUARE, "image_count": 10},
         470_000_000, 470_000_000, EXACT, metrics(image_output_count="10"), 470_000_000,
         f"{REPLICATE}openai/gpt-image-2: 0.047 per output image at medium quality"),
    Case("gpt-image-2", "replicate/gpt-image-2", {"size": SQUARE}, 128_000_000, 128_000_000, EXACT,
         metrics(image_output_count="1"), 128_000_000, f"{REPLICATE}openai/gpt-image-2: auto costs as much as high"),
    # --- tiers by resolution
    Case("nano-banana-2", "fal/nano-banana-2", {"size": Size()}, 80_000_000, 80_000_000, ESTIMATE,
         units("1"), 80_000_000, f"{FAL}fal-ai/nano-banana-2: 0.08 at 1K, which is the default"),
    Case("nano-banana-2", "fal/nano-banana-2",
         {"size": Size(aspect_ratio=AspectRatio(16, 9), resolution=Resolution.FOUR_K), "image_count": 2},
         320_000_000, 320_000_000, ESTIMATE, units("4"), 320_000_000, f"{FAL}fal-ai/nano-banana-2: twice the price at 4K"),
    Case("nano-banana-2", "fal/nano-banana-2-edit",
         {"operation": EDIT, "inputs": inputs((9, 9)),
          "size": Size(aspect_ratio=AspectRatio(1, 1), resolution=Resolution.HALF_K)},
         60_000_000, 60_000_000, ESTIMATE, units("0.75"), 60_000_000, f"{FAL}fal-ai/nano-banana-2/edit: three quarters at 0.5K"),
    Case("nano-banana-2", "replicate/nano-banana-2",
         {"size": Size(aspect_ratio=AspectRatio(1, 1), resolution=Resolution.TWO_K)},
         101_000_000, 101_000_000, EXACT, metrics(image_output_count="1"), 101_000_000,
         f"{REPLICATE}google/nano-banana-2: 0.101 at 2K"),
    # --- seconds of hardware
    Case("sdxl", "replicate/sdxl", {"image_count": 2, "steps": 30}, 4_875_000, 58_500_000, ESTIMATE,
         metrics(predict_time="3.721"), 3_627_975, f"{REPLICATE}pricing: 0.000975 per second of gpu-l40s, 3.721 s"),
    # --- the sandbox's own
    Case("test-ok", "fal/test-ok", {"image_count": 3}, 30_000_000, 30_000_000, EXACT, units("3"), 30_000_000, "the sandbox"),
    Case("test-ok", "replicate/test-ok", {}, 10_000_000, 10_000_000, EXACT,
         metrics(image_output_count="1"), 10_000_000, "the sandbox"),
]  # fmt: skip


def drawn(case: Case, name: str | None = None) -> Drawing:
    """The request as it would be sent, by one of the model's names."""
    given = {"prompt": "a", **case.asked}
    asked = Drawing(model=name or case.model, size_given="size" in case.asked, **given)
    return effective(CATALOG.resolve(asked.model), asked)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.route} {case.source[-60:]}" for case in CASES])
def test_a_request_is_held_and_settled_as_its_source_says(case: Case) -> None:
    """Expected, ceiling, certainty, and what the frozen price makes of the provider's evidence; by every name of the model."""
    model = CATALOG.resolve(case.model)
    provider, name = case.route.split("/")
    for spelled in (case.model, *model.aliases):
        drawing = drawn(case, spelled)
        plan = plan_routes(model, drawing, pin_provider=provider, pin_route=name)
        route = model.route(provider, name)
        assert route is not None
        assert route.price is not None
        planned = plan.routes[0]
        estimate = route.price.estimate(price_ask(route, drawing))
        assert (case.expected, case.ceiling, case.certainty) == (
            planned.expected_nanos,
            planned.ceiling_nanos,
            estimate.certainty,
        )
        charge = PriceSnapshot.from_json(planned.price_json).settle(case.evidence)
        assert case.settled == (None if charge is None else charge.nanos)


def test_every_price_of_the_catalog_has_a_case() -> None:
    """A new route, or a new model, comes with its worked example here. The test models share one price."""
    priced = {
        (model.name, f"{route.provider}/{route.name}")
        for model in CATALOG.models.values()
        for route in model.routes
        if model.name == "test-ok" or not model.test
    }
    assert priced == {(case.model, case.route) for case in CASES}
    assert all(case.source for case in CASES)


def test_every_kind_of_rule_is_used_by_a_real_model_or_known_not_to_be() -> None:
    """Nothing real is free, and whoever is billed in tokens alone is not offered; every other price is."""
    used = {route.price.kind for model in CATALOG.models.values() for route in model.routes if route.price}
    assert {"free", "tokens", "unpriced"} == set(RULE_KINDS) - used


@pytest.mark.parametrize("model", [one.name for one in CATALOG.models.values()])
def test_an_automatic_quality_is_held_at_the_dearest(model: str) -> None:
    """Whatever the provider may choose was set aside for: no named quality has a higher ceiling."""
    for route in CATALOG.resolve(model).routes:
        for quality in route.limits.qualities:
            ceilings = [
                route.price.estimate(price_ask(route, asked)).ceiling_nanos or 0
                for asked in (
                    Drawing(model=model, prompt="a", size=SQUARE, quality=one)
                    for one in (quality, Quality.AUTO)
                )
                if route.price is not None and not check(route, asked)
            ]
            assert ceilings == sorted(ceilings)
