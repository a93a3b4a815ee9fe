"""What a provider is sent: exactly the drawing in its own words."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from service.catalog.loader import load_catalog
from service.domain.catalog import ValueForm, Word
from service.domain.drawing import (
    AspectRatio,
    Background,
    Dimensions,
    Drawing,
    EditInputs,
    ImageFormat,
    InputPicture,
    Operation,
    Quality,
    Resolution,
    Size,
)
from service.domain.fingerprint import content, drawing_from_canonical
from service.domain.routing import check, effective
from service.domain.shape import json_value, shape

CATALOG = load_catalog(sandbox=True)
PICTURE = InputPicture("ab" * 32, "image/png", 1000, 640, 480)
FAL, REPLICATE = "fal", "replicate"
EDIT = {"operation": Operation.EDIT, "inputs": EditInputs((PICTURE,))}


def exact(width_px: int, height_px: int) -> dict[str, Any]:
    return {"size": Size(dimensions=Dimensions(width_px, height_px)), "size_given": True}


def ratio(width: int, height: int, resolution: Resolution | None = None) -> dict[str, Any]:
    return {"size": Size(aspect_ratio=AspectRatio(width, height), resolution=resolution), "size_given": True}


AUTO: dict[str, Any] = {"size": Size(), "size_given": True}

# provider, model, fields of the drawing, body
BODIES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (FAL, "flux-schnell", {}, {"image_size": "square_hd", "num_images": 1, "seed": 7}),
    (
        FAL,
        "flux-dev",
        {
            **exact(1088, 896),
            "image_count": 4,
            "format": ImageFormat.JPEG,
            "guidance": Decimal("3.5"),
            "steps": 28,
            "extra": {"acceleration": "high"},
        },
        {
            "image_size": {"width": 1088, "height": 896},
            "num_images": 4,
            "output_format": "jpeg",
            "guidance_scale": 3.5,
            "num_inference_steps": 28,
            "acceleration": "high",
            "seed": 7,
        },
    ),
    (
        FAL,
        "flux-schnell",
        ratio(16, 9),
        {"image_size": {"width": 1344, "height": 768}, "num_images": 1, "seed": 7},
    ),
    (
        FAL,
        "flux-schnell",
        ratio(1, 1, Resolution.HALF_K),
        {"image_size": "square", "num_images": 1, "seed": 7},
    ),
    (
        FAL,
        "flux-1.1-pro",
        {"safety_tolerance": 5, "extra": {"enhance_prompt": True}},
        {
            "image_size": "square_hd",
            "num_images": 1,
            "safety_tolerance": "5",
            "enhance_prompt": True,
            "seed": 7,
        },
    ),
    (FAL, "gpt-image-2", AUTO, {"image_size": "auto", "num_images": 1, "quality": "auto"}),
    (
        FAL,
        "gpt-image-2",
        {**exact(1024, 1536), "quality": Quality.HIGH, "format": ImageFormat.WEBP},
        {
            "image_size": {"width": 1024, "height": 1536},
            "num_images": 1,
            "quality": "high",
            "output_format": "webp",
        },
    ),
    (
        FAL,
        "gpt-image-2",
        {"operation": Operation.EDIT, "inputs": EditInputs((PICTURE, PICTURE), PICTURE)},
        {
            "image_size": "auto",
            "num_images": 1,
            "quality": "auto",
            "image_urls": ["https://in/0", "https://in/1"],
            "mask_url": "https://in/mask",
        },
    ),
    (
        FAL,
        "flux-dev-img2img",
        {**EDIT, "inputs": EditInputs((PICTURE,), strength=Decimal("0.6"))},
        {"image_url": "https://in/0", "strength": 0.6, "num_images": 1, "seed": 7},
    ),
    (FAL, "flux-kontext-pro", EDIT, {"image_url": "https://in/0", "num_images": 1, "seed": 7}),
    (
        FAL,
        "flux-kontext-pro",
        {**EDIT, **ratio(3, 2)},
        {"image_url": "https://in/0", "aspect_ratio": "3:2", "num_images": 1, "seed": 7},
    ),
    (FAL, "test-ok", {}, {"image_size": "square_hd", "num_images": 1, "seed": 7}),
    (
        REPLICATE,
        "flux-schnell",
        {},
        {"aspect_ratio": "1:1", "megapixels": "1", "num_outputs": 1, "seed": 7},
    ),
    (
        REPLICATE,
        "flux-schnell",
        exact(672, 384),
        {"aspect_ratio": "16:9", "megapixels": "0.25", "num_outputs": 1, "seed": 7},
    ),
    (
        REPLICATE,
        "flux-dev",
        {
            **ratio(21, 9),
            "image_count": 2,
            "format": ImageFormat.JPEG,
            "guidance": Decimal(3),
            "steps": 50,
            "extra": {"go_fast": False, "output_quality": 90},
        },
        {
            "aspect_ratio": "21:9",
            "megapixels": "1",
            "num_outputs": 2,
            "output_format": "jpg",
            "guidance": 3,
            "num_inference_steps": 50,
            "go_fast": False,
            "output_quality": 90,
            "seed": 7,
        },
    ),
    (
        REPLICATE,
        "flux-1.1-pro",
        {**exact(1440, 256), "safety_tolerance": 5, "format": ImageFormat.PNG},
        {
            "aspect_ratio": "custom",
            "width": 1440,
            "height": 256,
            "safety_tolerance": 5,
            "output_format": "png",
            "seed": 7,
        },
    ),
    (REPLICATE, "flux-1.1-pro", ratio(4, 5), {"aspect_ratio": "4:5", "seed": 7}),
    (
        REPLICATE,
        "gpt-image-2",
        {
            **exact(1024, 1536),
            "quality": Quality.HIGH,
            "background": Background.TRANSPARENT,
            "image_count": 3,
        },
        {
            "aspect_ratio": "1024x1536",
            "quality": "high",
            "background": "transparent",
            "number_of_images": 3,
        },
    ),
    (
        REPLICATE,
        "gpt-image-2",
        EDIT,
        {
            "aspect_ratio": "auto",
            "quality": "auto",
            "background": "auto",
            "number_of_images": 1,
            "input_images": ["https://in/0"],
        },
    ),
    (
        REPLICATE,
        "gpt-image-2",
        ratio(16, 9),
        {"aspect_ratio": "16:9", "quality": "auto", "background": "auto", "number_of_images": 1},
    ),
    (
        REPLICATE,
        "flux-dev-img2img",
        {**EDIT, "inputs": EditInputs((PICTURE,), strength=Decimal("0.6"))},
        {"image": "https://in/0", "prompt_strength": 0.6, "num_outputs": 1, "seed": 7},
    ),
    (
        REPLICATE,
        "flux-kontext-pro",
        {**EDIT, "safety_tolerance": 2},
        {
            "input_image": "https://in/0",
            "aspect_ratio": "match_input_image",
            "safety_tolerance": 2,
            "seed": 7,
        },
    ),
    (REPLICATE, "test-fails", {}, {"aspect_ratio": "1:1", "megapixels": "1", "num_outputs": 1, "seed": 7}),
]


@pytest.mark.parametrize(("provider", "model_name", "fields", "body"), BODIES)
def test_bodies_are_word_for_word(
    provider: str, model_name: str, fields: dict[str, Any], body: dict[str, Any]
) -> None:
    """Each provider's own names, presets and types, and not a key more; whole decimals are integers."""
    model = CATALOG.resolve(model_name)
    drawing = effective(model, Drawing(model=model_name, prompt="a fox", **fields))
    (route,) = [one for one in model.routes if one.provider == provider and not check(one, drawing)]
    inputs = drawing.inputs
    shaped = shape(
        route,
        drawing,
        seed=7,
        image_urls=[f"https://in/{index}" for index in range(len(inputs.images))] if inputs else [],
        mask_url="https://in/mask" if inputs and inputs.mask else None,
    )
    assert {"prompt": "a fox", **body} == shaped
    assert json.dumps({"prompt": "a fox", **body}, sort_keys=True) == json.dumps(shaped, sort_keys=True)


def test_what_is_stored_is_shaped_like_what_was_asked() -> None:
    """The body made from the stored text is the body of the request."""
    for provider, name, fields, _ in BODIES:
        model = CATALOG.resolve(name)
        drawing = effective(model, Drawing(model=name, prompt="  a   fox ", **fields))
        again = drawing_from_canonical(content(drawing, revision=model.revision))
        for route in model.routes:
            if route.provider == provider and not check(route, drawing):
                urls = ["https://in/0", "https://in/1"][: len(drawing.inputs.images) if drawing.inputs else 0]
                assert shape(route, drawing, seed=1, image_urls=urls) == shape(
                    route, again, seed=1, image_urls=urls
                )


def test_the_callers_seed_is_sent_when_none_is_rolled() -> None:
    """And nothing where the caller gave none either."""
    model = CATALOG.resolve("flux-dev")
    drawing = effective(model, Drawing(model="flux-dev", prompt="a fox", seed=0))
    assert 0 == shape(model.routes[0], drawing, seed=None)["seed"]
    assert "seed" not in shape(model.routes[0], replace(drawing, seed=None), seed=None)


def test_likeness_is_the_complement_of_departure() -> None:
    """For providers that count the other way round."""
    model = CATALOG.resolve("flux-dev-img2img")
    drawing = effective(
        model,
        Drawing(
            model=model.name,
            prompt="a fox",
            operation=Operation.EDIT,
            inputs=EditInputs((PICTURE,), strength=Decimal("0.9")),
        ),
    )
    route = model.routes[0]
    words = {**route.wording.fields, "strength": Word("likeness", ValueForm.COMPLEMENT)}
    likening = replace(route, wording=replace(route.wording, fields=words))
    assert 0.1 == shape(likening, drawing, seed=None, image_urls=["https://in/0"])["likeness"]


def test_values_of_extra_become_plain_json() -> None:
    """Whole decimals are integers, others the nearest double, at any depth."""
    value = json_value({"a": [Decimal("2.0"), Decimal("0.1"), None, True, "x", 3]})
    assert '{"a": [2, 0.1, null, true, "x", 3]}' == json.dumps(value)
