"""What a route can honour, and how it says what it can't."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.domain.catalog import ExtraRule, ExtraType, Model
from service.domain.drawing import (
    Background,
    Drawing,
    Expansion,
    ImageFormat,
    Quality,
    Resolution,
    Size,
)
from service.domain.errors import (
    LightmeterError,
    NoEligibleRoute,
    ParameterUnsupported,
)
from service.domain.routing import check, plan_routes, survey
from tests.unit.domain.asks import FAL, GIF, PICTURE, REPLICATE, drawing, edit, exact, ratio

# model, request, and the providers that can honour it
HONOURED: list[tuple[str, tuple[Model, Drawing], set[str]]] = [
    ("a plain request", drawing("flux-schnell"), {FAL, REPLICATE}),
    ("a size of a ratio", drawing("flux-schnell", size=exact(1344, 768)), {FAL, REPLICATE}),
    ("a quarter of a megapixel", drawing("flux-schnell", size=exact(512, 512)), {FAL, REPLICATE}),
    ("a size of no ratio", drawing("flux-schnell", size=exact(1024, 768)), {FAL}),
    ("off the grid", drawing("flux-schnell", size=exact(1000, 1000)), set()),
    ("too narrow", drawing("flux-schnell", size=exact(240, 1024)), set()),
    ("too many pixels", drawing("flux-schnell", size=exact(2064, 2048)), set()),
    ("a ratio", drawing("flux-schnell", size=ratio(21, 9)), {FAL, REPLICATE}),
    ("a ratio at half a K", drawing("flux-schnell", size=ratio(1, 1, Resolution.HALF_K)), {FAL, REPLICATE}),
    ("a ratio at four K", drawing("flux-schnell", size=ratio(1, 1, Resolution.FOUR_K)), set()),
    ("a ratio that nobody has", drawing("flux-schnell", size=ratio(7, 5)), set()),
    ("an automatic size", drawing("flux-schnell", size=Size()), set()),
    ("four pictures", drawing("flux-schnell", image_count=4), {FAL, REPLICATE}),
    ("five pictures", drawing("flux-schnell", image_count=5), set()),
    ("four steps", drawing("flux-schnell", steps=4), {FAL, REPLICATE}),
    ("five steps", drawing("flux-schnell", steps=5), {FAL}),
    ("guidance", drawing("flux-schnell", guidance=Decimal("3.5")), {FAL}),
    ("little guidance", drawing("flux-dev", guidance=Decimal("0.5")), {REPLICATE}),
    ("much guidance", drawing("flux-dev", guidance=Decimal(15)), {FAL}),
    ("webp", drawing("flux-dev", format=ImageFormat.WEBP), {REPLICATE}),
    ("png", drawing("flux-dev", format=ImageFormat.PNG), {FAL, REPLICATE}),
    ("svg", drawing("flux-dev", format=ImageFormat.SVG), set()),
    ("a seed", drawing("flux-dev", seed=2**53 - 1), {FAL, REPLICATE}),
    ("a seed that JSON would change", drawing("flux-dev", seed=2**53), set()),
    ("a variation", drawing("flux-dev", variation=5), {FAL, REPLICATE}),
    ("quality of a model without", drawing("flux-dev", quality=Quality.HIGH), set()),
    ("automatic quality of a model without", drawing("flux-dev", quality=Quality.AUTO), {FAL, REPLICATE}),
    ("a negative prompt", drawing("flux-dev", negative_prompt="blur"), set()),
    ("a transparent background", drawing("flux-dev", background=Background.TRANSPARENT), set()),
    ("fal's parameter", drawing("flux-dev", extra={"acceleration": "high"}), {FAL}),
    (
        "Replicate's parameters",
        drawing("flux-dev", extra={"go_fast": True, "output_quality": 100}),
        {REPLICATE},
    ),
    ("parameters of both", drawing("flux-dev", extra={"go_fast": True, "acceleration": "none"}), set()),
    ("a prompt of nothing but spaces", drawing("flux-dev", prompt=" \n\u2003"), set()),
    ("a long prompt", drawing("flux-dev", prompt="x" * 32_000), {FAL, REPLICATE}),
    ("a prompt that is too long", drawing("flux-dev", prompt="x" * 32_001), set()),
    ("the pro grid", drawing("flux-1.1-pro", size=exact(1440, 256)), {FAL, REPLICATE}),
    ("off the pro grid", drawing("flux-1.1-pro", size=exact(1040, 1024)), set()),
    ("beyond the pro edge", drawing("flux-1.1-pro", size=exact(1472, 1024)), set()),
    ("two pro pictures", drawing("flux-1.1-pro", image_count=2), {FAL}),
    ("a pro filter", drawing("flux-1.1-pro", safety_tolerance=6), {FAL, REPLICATE}),
    ("no pro filter", drawing("flux-1.1-pro", safety_tolerance=0), set()),
    ("pro steps", drawing("flux-1.1-pro", steps=20), set()),
    ("gpt", drawing("gpt-image-2"), {FAL, REPLICATE}),
    ("gpt 4K", drawing("gpt-image-2", size=exact(3840, 2160)), {FAL, REPLICATE}),
    ("gpt any size", drawing("gpt-image-2", size=exact(1040, 1040)), {FAL}),
    ("gpt too small", drawing("gpt-image-2", size=exact(800, 800)), set()),
    ("gpt too large", drawing("gpt-image-2", size=exact(3840, 3840)), set()),
    ("gpt three to one", drawing("gpt-image-2", size=exact(3072, 1024)), {FAL}),
    ("gpt longer than three to one", drawing("gpt-image-2", size=exact(3088, 1024)), set()),
    ("gpt automatic", drawing("gpt-image-2", size=Size(), quality=Quality.AUTO), {FAL, REPLICATE}),
    ("gpt seed", drawing("gpt-image-2", seed=1), set()),
    ("gpt ten", drawing("gpt-image-2", image_count=10), {REPLICATE}),
    ("gpt transparent", drawing("gpt-image-2", background=Background.TRANSPARENT), {REPLICATE}),
    ("gpt xhigh", drawing("gpt-image-2", quality=Quality.XHIGH), set()),
    ("gpt edit", edit("gpt-image-2"), {FAL, REPLICATE}),
    ("gpt edit of sixteen", edit("gpt-image-2", images=(PICTURE,) * 16), {FAL, REPLICATE}),
    ("gpt edit of seventeen", edit("gpt-image-2", images=(PICTURE,) * 17), set()),
    ("gpt mask", edit("gpt-image-2", mask=PICTURE), {FAL}),
    ("gpt expansion", edit("gpt-image-2", expansion=Expansion(left_px=10)), set()),
    ("gpt gif", edit("gpt-image-2", images=(GIF,)), set()),
    ("gpt heavy input", edit("gpt-image-2", images=(replace(PICTURE, size_bytes=2**25),)), set()),
    ("an edit by a model that draws", edit("flux-schnell"), set()),
    ("a drawing by a model that edits", drawing("flux-kontext-pro"), set()),
    ("an instruction", edit("flux-kontext-pro"), {FAL, REPLICATE}),
    ("an instruction in 4:5", edit("flux-kontext-pro", size=ratio(4, 5)), {REPLICATE}),
    ("an instruction with an exact size", edit("flux-kontext-pro", size=exact(1024, 1024)), set()),
    ("an instruction for a gif", edit("flux-kontext-pro", images=(GIF,)), {REPLICATE}),
    ("a permissive instruction", edit("flux-kontext-pro", safety_tolerance=3), {FAL}),
    ("a strict instruction", edit("flux-kontext-pro", safety_tolerance=0), {REPLICATE}),
    ("image to image", edit("flux-dev-img2img", strength=Decimal("0.5")), {FAL, REPLICATE}),
    ("image to image, ignored", edit("flux-dev-img2img", strength=Decimal(0)), {REPLICATE}),
    ("image to image, sized", edit("flux-dev-img2img", size=exact(512, 512)), set()),
    ("two images to image", edit("flux-dev-img2img", images=(PICTURE, PICTURE)), set()),
    ("strength of an instruction", edit("flux-kontext-pro", strength=Decimal("0.5")), set()),
]


@pytest.mark.parametrize(
    ("asked", "providers"), [one[1:] for one in HONOURED], ids=[one[0] for one in HONOURED]
)
def test_a_route_takes_exactly_what_it_can_honour(asked: tuple[Model, Drawing], providers: set[str]) -> None:
    """Nothing is changed to fit: what a route can't do as it is asked excludes it, with reasons."""
    plan = survey(*asked)
    assert providers == {one.provider for one in plan.routes}
    assert all(exclusions for _, exclusions in plan.excluded)


# request, field, a word of the message, limit
EXCLUDED: list[tuple[tuple[Model, Drawing], str, str, str]] = [
    (
        drawing("flux-schnell", size=exact(1001, 1024)),
        "drawing.size.dimensions.width_px",
        "multiple of 16",
        "16",
    ),
    (
        drawing("flux-schnell", size=exact(1024, 128)),
        "drawing.size.dimensions.height_px",
        "256 to 2048",
        "256 to 2048",
    ),
    (drawing("flux-schnell", image_count=9), "drawing.image_count", "1 to 4", "4"),
    (drawing("flux-schnell", steps=99), "drawing.steps", "1 to 12", "1 to 12"),
    (drawing("flux-schnell", format=ImageFormat.SVG), "drawing.format", "JPEG, PNG", "JPEG, PNG"),
    (drawing("flux-schnell", negative_prompt="x"), "drawing.negative_prompt", "not supported", "0"),
    (drawing("flux-schnell", prompt="x" * 32_001), "drawing.prompt", "at most 32000", "32000"),
    (drawing("gpt-image-2", size=exact(3088, 1024)), "drawing.size.dimensions", "at most 3:1", "3:1"),
    (drawing("gpt-image-2", seed=7), "drawing.seed", "not supported", ""),
    (
        edit("gpt-image-2", images=(PICTURE, GIF)),
        "inputs.images[1]",
        "image/webp",
        "image/jpeg, image/png, image/webp",
    ),
    (edit("flux-kontext-pro", mask=PICTURE), "inputs.mask", "not supported", ""),
    (edit("flux-schnell"), "operation", "only does GENERATE", "GENERATE"),
]


@pytest.mark.parametrize(("asked", "field", "words", "limit"), EXCLUDED)
def test_a_refusal_names_field_and_limit_of_the_nearest_route(
    asked: tuple[Model, Drawing], field: str, words: str, limit: str
) -> None:
    """Whoever is refused learns what to change."""
    with pytest.raises(NoEligibleRoute) as caught:
        plan_routes(*asked)
    violations = {one.field: one.text for one in caught.value.violations}
    assert words in violations[field]
    assert (field, limit) == (caught.value.metadata["field"], caught.value.metadata["limit"])
    assert caught.value.metadata["route"].count("/") == 1


def test_every_fault_of_a_request_is_named_at_once() -> None:
    """No guessing game: three wrong fields are three violations."""
    asked = drawing("flux-schnell", size=exact(1001, 1024), image_count=9, seed=-1)
    with pytest.raises(NoEligibleRoute) as caught:
        plan_routes(*asked, pin_provider=FAL)
    assert ["drawing.size.dimensions.width_px", "drawing.image_count", "drawing.seed"] == [
        one.field for one in caught.value.violations
    ]


EXTRA: list[tuple[dict[str, Any], str]] = [
    ({"sync_mode": True}, "not a parameter"),
    ({"openai_api_key": "x"}, "not a parameter"),
    ({"go_fast": "yes"}, "true or false"),
    ({"output_quality": 101}, "at most 100"),
    ({"output_quality": -1}, "at least 0"),
    ({"output_quality": Decimal("0.5")}, "whole number"),
    ({"output_quality": True}, "must be a number"),
    ({"output_quality": "80"}, "must be a number"),
    ({"acceleration": "warp"}, "none, regular, high"),
    ({"acceleration": 1}, "must be a text"),
]


@pytest.mark.parametrize(("extra", "words"), EXTRA)
def test_unknown_and_misshapen_parameters_are_named(extra: dict[str, Any], words: str) -> None:
    """The refusal says which parameters there are."""
    provider = FAL if "acceleration" in extra else REPLICATE
    with pytest.raises(ParameterUnsupported) as caught:
        plan_routes(*drawing("flux-dev", extra=extra), pin_provider=provider)
    assert {"acceleration" if provider == FAL else "go_fast,output_quality"} == set(
        caught.value.metadata.values()
    )
    assert words in caught.value.violations[0].text
    assert f"drawing.extra.{next(iter(extra))}" == caught.value.violations[0].field


def test_a_text_parameter_has_a_length() -> None:
    """Free text is bounded like everything else."""
    model, asked = drawing("flux-dev", extra={"style": "x" * 11})
    route = model.route(FAL, "flux-dev")
    assert route is not None
    rule = ExtraRule(ExtraType.TEXT, most=Decimal(10))
    limited = replace(route, limits=replace(route.limits, extra={"style": rule}))
    assert ["must be at most 10 characters"] == [one.message for one in check(limited, asked)]


def test_refusals_are_members_of_the_closed_family() -> None:
    """Whatever is asked, what is raised can be told to a caller."""
    for _, asked, providers in HONOURED:
        if not providers:
            with pytest.raises(LightmeterError):
                plan_routes(*asked)
