"""The body that a provider is sent: a drawing in a route's own words, and nothing that the catalog does not
name.

What the drawing leaves open is left out, so that the provider's own default applies. `sync_mode` and the like
are never sent, because no route has a word for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from service.domain.catalog import Route, RouteLimits, SizeForm, SizeWording, ValueForm, Word
from service.domain.drawing import Dimensions, Drawing, JsonValue

FIELDS: Final = (
    "prompt",
    "negative_prompt",
    "image_count",
    "seed",
    "quality",
    "format",
    "background",
    "guidance",
    "steps",
    "safety_tolerance",
    "strength",
    "images",
    "mask",
)
"""Our names of what a route may have a word for. The size is worded by itself."""

_AUTO: Final = "AUTO"


def shape(
    route: Route,
    drawing: Drawing,
    *,
    seed: int | None,
    image_urls: Sequence[str] = (),
    mask_url: str | None = None,
) -> dict[str, Any]:
    """The JSON body for a drawing that `check` found nothing against.

    `seed` is the one to send (the caller's, or one that was rolled for this attempt); it is left out where
    the route takes none. `image_urls` and `mask_url` are where the provider can read the drawing's input
    pictures.
    """
    given = _given(drawing, seed, image_urls, mask_url)
    body: dict[str, Any] = dict(route.wording.always)
    for name, word in route.wording.fields.items():
        value = _worded(word, given[name])
        if value is not None:
            body[word.name] = value
    body.update(_size(route.wording.size, route.limits, drawing))
    for key, value in drawing.extra.items():
        body[key] = json_value(value)
    return body


def _given(
    drawing: Drawing, seed: int | None, image_urls: Sequence[str], mask_url: str | None
) -> Mapping[str, Any]:
    return {
        "prompt": drawing.prompt,
        "negative_prompt": drawing.negative_prompt or None,
        "image_count": drawing.image_count,
        "seed": drawing.seed if seed is None else seed,
        "quality": _AUTO if drawing.quality is None else drawing.quality.value,
        "format": None if drawing.format is None else drawing.format.value,
        "background": _AUTO if drawing.background is None else drawing.background.value,
        "guidance": drawing.guidance,
        "steps": drawing.steps,
        "safety_tolerance": drawing.safety_tolerance,
        "strength": None if drawing.inputs is None else drawing.inputs.strength,
        "images": list(image_urls) or None,
        "mask": mask_url,
    }


def _worded(word: Word, value: Any) -> Any:
    """A value in the form that the route wants; None when there is nothing to say."""
    if value is None:
        return None
    match word.form:
        case ValueForm.WORDS:
            return word.words.get(value)
        case ValueForm.COMPLEMENT:
            return json_value(1 - value)
        case ValueForm.TEXT:
            return str(json_value(value))
        case ValueForm.ONE:
            return value[0]
        case ValueForm.LIST | ValueForm.PLAIN:
            return json_value(value)


def _size(words: SizeWording, limits: RouteLimits, drawing: Drawing) -> dict[str, Any]:
    """The fields that say the size."""
    if words.form is SizeForm.NONE:
        return {}
    if drawing.size.is_auto:
        return {words.name: words.auto} if words.auto else {}
    exact = drawing.size.dimensions
    if words.form is SizeForm.IMAGE_SIZE:
        return {words.name: _image_size(words, limits, drawing)}
    if exact is not None and words.form is SizeForm.EDGES:
        return {words.width_field: exact.width_px, words.height_field: exact.height_px}
    if exact is not None and words.form is SizeForm.RATIO_OR_EDGES:
        return {
            words.name: words.custom,
            words.width_field: exact.width_px,
            words.height_field: exact.height_px,
        }
    if exact is not None and words.form is SizeForm.RATIO_OR_TEXT:
        return {words.name: f"{exact.width_px}x{exact.height_px}"}
    if exact is not None:
        entry = limits.ratio_yielding(exact)
    else:
        assert drawing.size.aspect_ratio is not None
        entry = limits.ratio_size(drawing.size.aspect_ratio, drawing.size.resolution)
    assert entry is not None, "the route can't honour this size"
    body: dict[str, Any] = {words.name: f"{entry.ratio.width}:{entry.ratio.height}"}
    if words.resolution_field:
        body[words.resolution_field] = words.resolution_words[entry.resolution]
    return body


def _image_size(words: SizeWording, limits: RouteLimits, drawing: Drawing) -> str | dict[str, int]:
    size: Dimensions | None = drawing.size.dimensions
    if size is None:
        assert drawing.size.aspect_ratio is not None
        entry = limits.ratio_size(drawing.size.aspect_ratio, drawing.size.resolution)
        size = None if entry is None else entry.dimensions
    assert size is not None, "the route can't honour this size"
    return words.presets.get(size) or {"width": size.width_px, "height": size.height_px}


def json_value(value: JsonValue) -> Any:
    """A value as the standard JSON encoder takes it: whole decimals as integers, others as the nearest
    double.
    """
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list():
            return [json_value(item) for item in value]
        case dict():
            return {key: json_value(item) for key, item in value.items()}
        case _:
            return value
