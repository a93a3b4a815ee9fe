"""From the domain's drawing to the wire: as it was recorded, or as it would be sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lightmeter.v1 import drawing_pb2 as pb

from service.domain.drawing import Drawing, EditInputs, JsonValue, Size
from service.rpc import enums


def write_drawing(drawing: Drawing) -> pb.Drawing:
    """An effective drawing."""
    message = pb.Drawing(
        model=drawing.model,
        prompt=drawing.prompt,
        negative_prompt=drawing.negative_prompt,
        image_count=drawing.image_count,
        seed=drawing.seed,
        variation=drawing.variation,
        quality=enums.QUALITIES[drawing.quality] if drawing.quality else pb.QUALITY_AUTO,
        format=enums.FORMATS[drawing.format] if drawing.format else pb.IMAGE_FORMAT_UNSPECIFIED,
        background=enums.BACKGROUNDS[drawing.background] if drawing.background else pb.BACKGROUND_AUTO,
        guidance=None if drawing.guidance is None else float(drawing.guidance),
        steps=drawing.steps,
        safety_tolerance=drawing.safety_tolerance,
    )
    _write_size(message.size, drawing.size)
    if drawing.extra:
        message.extra.update({key: _plain(value) for key, value in drawing.extra.items()})
    return message


def _write_size(message: pb.ImageSize, size: Size) -> None:
    if size.dimensions is not None:
        message.dimensions.width_px = size.dimensions.width_px
        message.dimensions.height_px = size.dimensions.height_px
    elif size.aspect_ratio is not None:
        message.aspect_ratio.width = size.aspect_ratio.width
        message.aspect_ratio.height = size.aspect_ratio.height
    else:
        message.auto.SetInParent()
    if size.resolution is not None:
        message.resolution = enums.RESOLUTIONS[size.resolution]


def _plain(value: JsonValue) -> Any:
    """A value as Struct takes it: its numbers are doubles, which is what they came as."""
    match value:
        case Decimal():
            return float(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return value


def write_inputs(inputs: EditInputs) -> pb.EditInputs:
    """Recorded inputs: every picture by its SHA-256."""
    message = pb.EditInputs(images=[pb.InputImage(asset_sha256=one.sha256) for one in inputs.images])
    if inputs.mask is not None:
        message.mask.asset_sha256 = inputs.mask.sha256
    if inputs.strength is not None:
        message.strength = float(inputs.strength)
    if inputs.expansion is not None:
        grown = inputs.expansion
        message.expansion.left_px, message.expansion.top_px = grown.left_px, grown.top_px
        message.expansion.right_px, message.expansion.bottom_px = grown.right_px, grown.bottom_px
    return message
