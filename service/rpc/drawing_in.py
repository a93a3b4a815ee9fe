"""From a Drawing on the wire to the domain's: what each field may hold, and nothing about any route."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from lightmeter.v1 import drawing_pb2 as pb

from service.domain.drawing import (
    AspectRatio,
    Dimensions,
    Drawing,
    Expansion,
    JsonValue,
    Operation,
    Size,
)
from service.domain.errors import ParameterUnsupported, Violation
from service.domain.limits import (
    edge_px_max,
    extra_bytes_max,
    extra_keys_count_max,
    image_count_max,
    integer_exact_max,
    negative_prompt_characters_max,
    prompt_characters_max,
    variation_max,
)
from service.rpc import enums
from service.rpc.syntax import Faults, finite, has_control, shown

# What fal's documentation of `image_size` says that its presets are; the wire's presets have the same names.
PRESETS: Final[Mapping[int, Dimensions]] = {
    pb.SIZE_PRESET_SQUARE: Dimensions(512, 512),
    pb.SIZE_PRESET_SQUARE_HD: Dimensions(1024, 1024),
    pb.SIZE_PRESET_PORTRAIT_4_3: Dimensions(768, 1024),
    pb.SIZE_PRESET_PORTRAIT_16_9: Dimensions(576, 1024),
    pb.SIZE_PRESET_LANDSCAPE_4_3: Dimensions(1024, 768),
    pb.SIZE_PRESET_LANDSCAPE_16_9: Dimensions(1024, 576),
}

_QUALITIES: Final = enums.members(enums.QUALITIES)
_FORMATS: Final = enums.members(enums.FORMATS)
_BACKGROUNDS: Final = enums.members(enums.BACKGROUNDS)
_RESOLUTIONS: Final = enums.members(enums.RESOLUTIONS)
_INT64_MAX: Final = 2**63 - 1
_INT32_MAX: Final = 2**31 - 1
_AUTO: Final = Size()


def read_drawing(faults: Faults, message: pb.Drawing, operation: Operation) -> Drawing:
    """The drawing as far as it can be read; faults are noted with paths below `drawing`.

    Raises ParameterUnsupported for numbers in `extra` that JSON would change.
    """
    _check_texts(faults, message)
    faults.within("drawing.image_count", message.image_count, 0, image_count_max)
    faults.within("drawing.variation", message.variation, 0, variation_max)
    seed = message.seed if message.HasField("seed") else None
    if seed is not None:
        faults.within("drawing.seed", seed, 0, _INT64_MAX)
    steps = message.steps if message.HasField("steps") else None
    if steps is not None:
        faults.within("drawing.steps", steps, 1, _INT32_MAX)
    size_given = message.HasField("size")
    return Drawing(
        model=message.model,
        prompt=message.prompt,
        operation=operation,
        negative_prompt=message.negative_prompt,
        size=_read_size(faults, message.size) if size_given else _AUTO,
        size_given=size_given,
        image_count=message.image_count or 1,
        seed=seed,
        variation=message.variation,
        quality=faults.choice("drawing.quality", message.quality, _QUALITIES),
        format=faults.choice("drawing.format", message.format, _FORMATS),
        background=faults.choice("drawing.background", message.background, _BACKGROUNDS),
        guidance=(
            finite(faults, "drawing.guidance", message.guidance) if message.HasField("guidance") else None
        ),
        steps=steps,
        safety_tolerance=message.safety_tolerance if message.HasField("safety_tolerance") else None,
        extra=read_extra(faults, message.extra) if message.HasField("extra") else {},
    )


def _check_texts(faults: Faults, message: pb.Drawing) -> None:
    if not message.model:
        faults.add("drawing.model", "must not be empty")
    elif has_control(message.model):
        faults.add("drawing.model", "must not contain control characters")
    faults.text("drawing.prompt", message.prompt, prompt_characters_max)
    if not message.prompt or message.prompt.isspace():
        faults.add("drawing.prompt", "must not be empty", limit=1, actual=0)
    if message.negative_prompt:
        faults.text("drawing.negative_prompt", message.negative_prompt, negative_prompt_characters_max)


def _read_size(faults: Faults, message: pb.ImageSize) -> Size:
    resolution = faults.choice("drawing.size.resolution", message.resolution, _RESOLUTIONS)
    shape = message.WhichOneof("shape")
    if shape in {"dimensions", "preset"} and resolution is not None:
        faults.add("drawing.size.resolution", f"can't be combined with {shape}, which is a size already")
    if shape == "dimensions":
        width = faults.within("drawing.size.dimensions.width_px", message.dimensions.width_px, 1, edge_px_max)
        height = faults.within(
            "drawing.size.dimensions.height_px", message.dimensions.height_px, 1, edge_px_max
        )
        return Size(dimensions=Dimensions(width, height))
    if shape == "preset":
        dimensions = PRESETS.get(message.preset)
        if dimensions is None:
            faults.add(
                "drawing.size.preset",
                f"unknown value {message.preset}",
                limit=max(PRESETS),
                actual=message.preset,
            )
        return Size(dimensions=dimensions)
    if shape == "aspect_ratio":
        width = faults.within("drawing.size.aspect_ratio.width", message.aspect_ratio.width, 1, _INT32_MAX)
        height = faults.within("drawing.size.aspect_ratio.height", message.aspect_ratio.height, 1, _INT32_MAX)
        divisor = math.gcd(width, height) or 1
        return Size(aspect_ratio=AspectRatio(width // divisor, height // divisor), resolution=resolution)
    return Size(resolution=resolution)


def read_extra(faults: Faults, message: Any) -> dict[str, JsonValue]:
    """A Struct with exact numbers. Raises ParameterUnsupported for those that a double can't hold exactly."""
    if len(message.fields) > extra_keys_count_max:
        limit = extra_keys_count_max
        faults.add("drawing.extra", f"at most {limit} keys", limit=limit, actual=len(message.fields))
        return {}
    if message.ByteSize() > 4 * extra_bytes_max:
        faults.add("drawing.extra", f"at most {extra_bytes_max} bytes as JSON", limit=extra_bytes_max)
        return {}
    wrong: list[Violation] = []
    read = {
        key: _json(faults, wrong, f"drawing.extra.{shown(key)}", value)
        for key, value in message.fields.items()
    }
    if wrong:
        text = f"{wrong[0].field}: {wrong[0].text}"
        metadata = {"field": wrong[0].field, "limit": str(integer_exact_max)}
        raise ParameterUnsupported(text, metadata=metadata, violations=wrong)
    size_bytes = len(json.dumps(read, ensure_ascii=False, separators=(",", ":"), default=str).encode())
    if size_bytes > extra_bytes_max:
        limit = extra_bytes_max
        faults.add("drawing.extra", f"at most {limit} bytes as JSON", limit=limit, actual=size_bytes)
    return read


def _json(faults: Faults, wrong: list[Violation], path: str, value: Any) -> JsonValue:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        return _number(wrong, path, value.number_value)
    if kind == "bool_value":
        return bool(value.bool_value)
    if kind == "string_value":
        if has_control(value.string_value):
            faults.add(path, "must not contain control characters other than line breaks and tabs")
        return str(value.string_value)
    if kind == "list_value":
        return [
            _json(faults, wrong, f"{path}[{index}]", item)
            for index, item in enumerate(value.list_value.values)
        ]
    if kind == "struct_value":
        fields = value.struct_value.fields
        return {key: _json(faults, wrong, f"{path}.{shown(key)}", item) for key, item in fields.items()}
    return None


def _number(wrong: list[Violation], path: str, value: float) -> int | Decimal:
    if not math.isfinite(value):
        wrong.append(Violation(path, "must be a finite number"))
        return 0
    if not value.is_integer():
        return Decimal(repr(value))
    if abs(value) > integer_exact_max:
        wrong.append(Violation(path, "an integer beyond 2^53 would be changed by JSON; send it as a string"))
    return int(value)


def read_strength(faults: Faults, message: pb.EditInputs) -> Decimal | None:
    """How far an edit may depart, 0 to 1."""
    if not message.HasField("strength"):
        return None
    strength = finite(faults, "inputs.strength", message.strength)
    if not 0 <= strength <= 1:
        faults.add("inputs.strength", "must be 0 to 1", limit=1 if strength > 1 else 0, actual=strength)
    return strength


def read_expansion(faults: Faults, message: pb.EditInputs) -> Expansion | None:
    """How far an edit grows the picture."""
    if not message.HasField("expansion"):
        return None
    grown = message.expansion
    edges = {name: getattr(grown, name) for name in ("left_px", "top_px", "right_px", "bottom_px")}
    for name, edge in edges.items():
        faults.within(f"inputs.expansion.{name}", edge, 0, edge_px_max)
    if not any(edges.values()):
        faults.add("inputs.expansion", "at least one edge must be above 0")
    return Expansion(**edges)
