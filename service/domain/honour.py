"""Whether a route can honour a drawing exactly, and if not, every reason why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from service.domain.catalog import ExactSizes, ExtraRule, ExtraType, NumberRange, Route, RouteLimits, SizeForm
from service.domain.drawing import Dimensions, Drawing, EditInputs, JsonValue, Operation, Size
from service.domain.errors import Reason
from service.domain.money import decimal_text


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One reason why a route can't take a drawing: the field as in the proto, a sentence, and the limit it
    meets.
    """

    reason: Reason
    field: str
    message: str
    limit: str = ""


def check(route: Route, drawing: Drawing) -> tuple[Exclusion, ...]:
    """All that stands in the way of an effective drawing, but for the price. Empty when the route can honour
    it.
    """
    if drawing.operation not in route.operations:
        does = ", ".join(sorted(operation.value for operation in route.operations))
        return (_no("operation", f"the route only does {does}", does),)
    limits = route.limits
    return (
        *_texts(limits, drawing),
        *_size(route, drawing.size),
        *_numbers(limits, drawing),
        *_choices(limits, drawing),
        *_extra(limits, drawing),
        *_inputs(limits, drawing),
    )


def _no(field: str, message: str, limit: object = "") -> Exclusion:
    return Exclusion(Reason.NO_ELIGIBLE_ROUTE, field, message, str(limit))


def _texts(limits: RouteLimits, drawing: Drawing) -> Iterator[Exclusion]:
    if not drawing.prompt:
        yield _no("drawing.prompt", "must say something", 1)
    if len(drawing.prompt) > limits.prompt_characters_max:
        most = limits.prompt_characters_max
        yield _no("drawing.prompt", f"at most {most} characters", most)
    if len(drawing.negative_prompt) > limits.negative_prompt_characters_max:
        most = limits.negative_prompt_characters_max
        yield _no("drawing.negative_prompt", f"at most {most} characters" if most else "not supported", most)


def _size(route: Route, size: Size) -> Iterator[Exclusion]:
    limits = route.limits
    if size.dimensions is not None:
        yield from _exact_size(route, size.dimensions)
    elif size.aspect_ratio is not None:
        ratio = size.aspect_ratio
        if ratio not in limits.aspect_ratios:
            known = ", ".join(f"{one.width}:{one.height}" for one in limits.aspect_ratios)
            yield _no("drawing.size.aspect_ratio", f"one of {known}" if known else "not supported", known)
        elif size.resolution is not None and not (
            limits.resolutions_named and limits.ratio_size(ratio, size.resolution)
        ):
            yield _resolutions(limits)
    elif not limits.auto_size:
        yield _no("drawing.size", "an automatic size is not supported")
    elif size.resolution is not None:
        yield _resolutions(limits)


def _resolutions(limits: RouteLimits) -> Exclusion:
    known = ", ".join(one.value for one in limits.resolutions)
    return _no("drawing.size.resolution", f"one of {known}" if known else "not supported", known)


def _exact_size(route: Route, size: Dimensions) -> Iterator[Exclusion]:
    limits = route.limits
    field = "drawing.size.dimensions"
    if size in limits.exact_sizes:
        return
    if limits.size_range is not None:
        yield from _off_range(limits.size_range, size)
        return
    if route.wording.size.form is SizeForm.RATIO:
        if limits.ratio_yielding(size) is not None:
            return
        known = _listed([one.dimensions for one in limits.ratio_sizes if one.dimensions is not None])
    else:
        known = _listed(limits.exact_sizes)
    yield _no(field, f"one of {known}" if known else "exact sizes are not supported", known)


def _listed(sizes: Sequence[Dimensions]) -> str:
    return ", ".join(f"{size.width_px}x{size.height_px}" for size in sizes)


def _off_range(allowed: ExactSizes, size: Dimensions) -> Iterator[Exclusion]:
    field = "drawing.size.dimensions"
    for name, edge in (("width_px", size.width_px), ("height_px", size.height_px)):
        if edge % allowed.multiple_px:
            yield _no(f"{field}.{name}", f"must be a multiple of {allowed.multiple_px}", allowed.multiple_px)
        if not allowed.edge_min_px <= edge <= allowed.edge_max_px:
            bounds = f"{allowed.edge_min_px} to {allowed.edge_max_px}"
            yield _no(f"{field}.{name}", f"must be {bounds} pixels", bounds)
    pixels = size.width_px * size.height_px
    if pixels < allowed.pixels_min or (allowed.pixels_max and pixels > allowed.pixels_max):
        bounds = f"{allowed.pixels_min} to {allowed.pixels_max or 'any number of'}"
        yield _no(field, f"width times height must be {bounds} pixels", bounds)
    shorter, longer = sorted((size.width_px, size.height_px))
    if allowed.ratio_max is not None and longer > allowed.ratio_max * shorter:
        most = f"{decimal_text(allowed.ratio_max)}:1"
        yield _no(field, f"the edges' ratio must be at most {most}", most)


def _numbers(limits: RouteLimits, drawing: Drawing) -> Iterator[Exclusion]:
    if not 1 <= drawing.image_count <= limits.image_count_max:
        yield _no("drawing.image_count", f"must be 1 to {limits.image_count_max}", limits.image_count_max)
    if drawing.seed is not None and (limits.seed_max is None or not 0 <= drawing.seed <= limits.seed_max):
        words = "not supported" if limits.seed_max is None else f"must be 0 to {limits.seed_max}"
        yield _no("drawing.seed", words, "" if limits.seed_max is None else limits.seed_max)
    yield from _in_range("drawing.guidance", drawing.guidance, limits.guidance)
    yield from _in_range("drawing.steps", drawing.steps, limits.steps)
    yield from _in_range("drawing.safety_tolerance", drawing.safety_tolerance, limits.safety_tolerance)


def _in_range(field: str, value: Decimal | int | None, allowed: NumberRange | None) -> Iterator[Exclusion]:
    if value is None:
        return
    if allowed is None:
        yield _no(field, "not supported")
    elif not allowed.least <= value <= allowed.most:
        bounds = f"{decimal_text(allowed.least)} to {decimal_text(allowed.most)}"
        yield _no(field, f"must be {bounds}", bounds)


def _choices(limits: RouteLimits, drawing: Drawing) -> Iterator[Exclusion]:
    given: tuple[tuple[str, Enum | None, Sequence[Enum]], ...] = (
        ("drawing.quality", drawing.quality, limits.qualities),
        ("drawing.format", drawing.format, limits.formats),
        ("drawing.background", drawing.background, limits.backgrounds),
    )
    for field, value, allowed in given:
        if value is not None and value not in allowed:
            known = ", ".join(str(one.value) for one in allowed)
            yield _no(field, f"one of {known}" if known else "not supported", known)


def _extra(limits: RouteLimits, drawing: Drawing) -> Iterator[Exclusion]:
    for key, value in drawing.extra.items():
        rule = limits.extra.get(key)
        wrong = "not a parameter of this route" if rule is None else _misshapen(rule, value)
        if wrong:
            accepted = ", ".join(sorted(limits.extra))
            yield Exclusion(Reason.PARAMETER_UNSUPPORTED, f"drawing.extra.{key[:64]}", wrong, accepted)


def _misshapen(rule: ExtraRule, value: JsonValue) -> str:
    """What is wrong with a value; empty when nothing is."""
    if rule.type is ExtraType.BOOLEAN:
        return "" if isinstance(value, bool) else "must be true or false"
    if rule.type is ExtraType.TEXT:
        if not isinstance(value, str):
            return "must be a text"
        if rule.choices:
            return "" if value in rule.choices else f"must be one of {', '.join(rule.choices)}"
        return _out_of_bounds(rule, Decimal(len(value)), "characters")
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return "must be a number"
    if rule.type is ExtraType.INTEGER and value != int(value):
        return "must be a whole number"
    return _out_of_bounds(rule, Decimal(value), "")


def _out_of_bounds(rule: ExtraRule, value: Decimal, unit: str) -> str:
    if rule.least is not None and value < rule.least:
        return f"must be at least {decimal_text(rule.least)} {unit}".rstrip()
    if rule.most is not None and value > rule.most:
        return f"must be at most {decimal_text(rule.most)} {unit}".rstrip()
    return ""


def _inputs(limits: RouteLimits, drawing: Drawing) -> Iterator[Exclusion]:
    inputs = drawing.inputs
    if inputs is None:
        if drawing.operation is Operation.EDIT:
            yield _no("inputs.images", "an edit needs at least one picture", 1)
        return
    if not 1 <= len(inputs.images) <= limits.input_count_max:
        bounds = f"1 to {limits.input_count_max}" if limits.input_count_max else "no"
        yield _no("inputs.images", f"takes {bounds} pictures", limits.input_count_max)
    if inputs.mask is not None and not limits.mask:
        yield _no("inputs.mask", "not supported")
    yield from _pictures(limits, inputs)
    yield from _in_range("inputs.strength", inputs.strength, limits.strength)
    if inputs.expansion is not None:
        yield _no("inputs.expansion", "not supported")


def _pictures(limits: RouteLimits, inputs: EditInputs) -> Iterator[Exclusion]:
    named = [(f"inputs.images[{index}]", picture) for index, picture in enumerate(inputs.images)]
    if inputs.mask is not None:
        named.append(("inputs.mask", inputs.mask))
    for field, picture in named:
        if picture.size_bytes > limits.input_bytes_max:
            yield _no(field, f"at most {limits.input_bytes_max} bytes", limits.input_bytes_max)
        if picture.mime_type not in limits.input_mime_types:
            known = ", ".join(limits.input_mime_types)
            yield _no(field, f"must be one of {known}", known)
