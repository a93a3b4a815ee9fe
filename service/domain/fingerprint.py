"""When two requests are the same: the canonical text of what would be drawn, and its SHA-256.

The canonical text is RFC 8785 JSON with a version number. Every number is written as text and every key is
ASCII, which makes Python's sorted, compact encoder produce exactly that form. What is absent is left out. Not
in it: who asks, request_id, deadlines, labels, policy, cache mode. What is sent to a provider is made from
this text and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final
from unicodedata import normalize

from service.domain.drawing import (
    AspectRatio,
    Background,
    Dimensions,
    Drawing,
    EditInputs,
    Expansion,
    ImageFormat,
    InputPicture,
    JsonValue,
    Operation,
    Quality,
    Resolution,
    Size,
)
from service.domain.errors import ParameterUnsupported
from service.domain.money import decimal_text

VERSION: Final = "1"
"""Of the canonical form. Another form is another version, and never meets an older one's results."""

_MEASURED: Final = "measured"
_NUMBER: Final = "#"
_SPACES: Final = re.compile(r"[ \t]{2,}|\t")
_encode: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode


def normalise_text(text: str) -> str:
    """NFC, line feeds as line ends, runs of spaces and tabs as one space, ends trimmed; case and line breaks
    kept.
    """
    if not text.isascii():
        text = normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "  " in text or "\t" in text:
        text = _SPACES.sub(" ", text)
    return text.strip()


def fingerprint(canonical_text: str) -> str:
    """SHA-256 of the canonical text, as 64 lower-case hexadecimal digits."""
    return sha256(canonical_text.encode()).hexdigest()


def canonical(drawing: Drawing, *, revision: str, pin_provider: str | None = None) -> str:
    """The canonical text of an effective drawing; `revision` is the model's.

    Input pictures are in it by their SHA-256 only. Raises ParameterUnsupported for a key of `extra` that is
    not ASCII.
    """
    return _encode(_data(drawing, revision, pin_provider))


def content(drawing: Drawing, *, revision: str, pin_provider: str | None = None) -> str:
    """The canonical text plus, under `measured`, what we measured of each input picture: the text that is
    stored.

    For a drawing without inputs it is the canonical text itself.
    """
    data = _data(drawing, revision, pin_provider)
    if drawing.inputs is not None:
        pictures = [*drawing.inputs.images, *([drawing.inputs.mask] if drawing.inputs.mask else [])]
        data[_MEASURED] = {
            one.sha256: [one.mime_type, str(one.size_bytes), str(one.width_px), str(one.height_px)]
            for one in pictures
        }
    return _encode(data)


def _data(drawing: Drawing, revision: str, pin_provider: str | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "v": VERSION,
        "operation": drawing.operation.value,
        "model": drawing.model,
        "revision": revision,
        "prompt": normalise_text(drawing.prompt),
        "image_count": str(drawing.image_count),
    }
    if drawing.negative_prompt:
        data["negative_prompt"] = normalise_text(drawing.negative_prompt)
    if pin_provider:
        data["pin_provider"] = pin_provider
    _put_size(data, drawing.size)
    for name in ("seed", "steps", "safety_tolerance"):
        number = getattr(drawing, name)
        if number is not None:
            data[name] = str(number)
    if drawing.variation:
        data["variation"] = str(drawing.variation)
    if drawing.guidance is not None:
        data["guidance"] = decimal_text(drawing.guidance)
    for name in ("quality", "format", "background"):
        choice = getattr(drawing, name)
        if choice is not None:
            data[name] = choice.value
    if drawing.extra:
        data["extra"] = {_key(key): _tagged(value) for key, value in drawing.extra.items()}
    if drawing.inputs is not None:
        data["inputs"] = _inputs(drawing.inputs)
    return data


def _put_size(data: dict[str, Any], size: Size) -> None:
    if size.dimensions is not None:
        data["size"] = f"{size.dimensions.width_px}x{size.dimensions.height_px}"
    elif size.aspect_ratio is not None:
        data["size"] = f"{size.aspect_ratio.width}:{size.aspect_ratio.height}"
    if size.resolution is not None:
        data["resolution"] = size.resolution.value


def _inputs(inputs: EditInputs) -> dict[str, Any]:
    data: dict[str, Any] = {"images": [one.sha256 for one in inputs.images]}
    if inputs.mask is not None:
        data["mask"] = inputs.mask.sha256
    if inputs.strength is not None:
        data["strength"] = decimal_text(inputs.strength)
    if inputs.expansion is not None:
        grown = inputs.expansion
        data["expansion"] = [
            str(edge) for edge in (grown.left_px, grown.top_px, grown.right_px, grown.bottom_px)
        ]
    return data


def _key(key: str) -> str:
    if not key.isascii():
        raise ParameterUnsupported(f"drawing.extra: {key[:64]!r} is no parameter", metadata={"accepted": ""})
    return key


def _tagged(value: JsonValue) -> Any:
    """A value of `extra`: numbers become `#` and their text, so that 1 and "1" stay two things."""
    match value:
        case None | bool():
            return value
        case int() | Decimal():
            return _NUMBER + decimal_text(value)
        case str():
            return _NUMBER + value if value.startswith(_NUMBER) else value
        case list():
            return [_tagged(item) for item in value]
        case _:
            return {_key(key): _tagged(item) for key, item in value.items()}


def _untagged(value: Any) -> JsonValue:
    match value:
        case str() if value.startswith(_NUMBER * 2):
            return value[1:]
        case str() if value.startswith(_NUMBER):
            number = Decimal(value[1:])
            return number if "." in value else int(number)
        case list():
            return [_untagged(item) for item in value]
        case dict():
            return {key: _untagged(item) for key, item in value.items()}
        case _:
            plain: JsonValue = value
            return plain


def drawing_from_canonical(text: str) -> Drawing:
    """The effective drawing of a text by `content`, which for a drawing without inputs is the one by
    `canonical`.

    Raises ValueError when an input picture was not measured, or the version is not ours.
    """
    data = json.loads(text)
    if data["v"] != VERSION:
        raise ValueError(f"canonical text of version {data['v']!r}")
    return Drawing(
        model=data["model"],
        prompt=data["prompt"],
        operation=Operation(data["operation"]),
        negative_prompt=data.get("negative_prompt", ""),
        size=_size(data),
        size_given=True,
        image_count=int(data["image_count"]),
        seed=_optional(int, data, "seed"),
        variation=int(data.get("variation", "0")),
        quality=_optional(Quality, data, "quality"),
        format=_optional(ImageFormat, data, "format"),
        background=_optional(Background, data, "background"),
        guidance=_optional(Decimal, data, "guidance"),
        steps=_optional(int, data, "steps"),
        safety_tolerance=_optional(int, data, "safety_tolerance"),
        extra={key: _untagged(value) for key, value in data.get("extra", {}).items()},
        inputs=_read_inputs(data["inputs"], data.get(_MEASURED, {})) if "inputs" in data else None,
    )


def _optional(kind: Any, data: Mapping[str, Any], name: str) -> Any:
    return kind(data[name]) if name in data else None


def _size(data: Mapping[str, Any]) -> Size:
    text = data.get("size", "")
    resolution = _optional(Resolution, data, "resolution")
    if "x" in text:
        width, height = text.split("x")
        return Size(dimensions=Dimensions(int(width), int(height)), resolution=resolution)
    if ":" in text:
        width, height = text.split(":")
        return Size(aspect_ratio=AspectRatio(int(width), int(height)), resolution=resolution)
    return Size(resolution=resolution)


def _read_inputs(data: Mapping[str, Any], measured: Mapping[str, Any]) -> EditInputs:
    return EditInputs(
        images=tuple(_picture(name, measured) for name in data["images"]),
        mask=_picture(data["mask"], measured) if "mask" in data else None,
        strength=_optional(Decimal, data, "strength"),
        expansion=Expansion(*map(int, data["expansion"])) if "expansion" in data else None,
    )


def _picture(name: str, measured: Mapping[str, Any]) -> InputPicture:
    if name not in measured:
        raise ValueError("an input picture has no measurements in this text")
    mime_type, size_bytes, width_px, height_px = measured[name]
    return InputPicture(name, mime_type, int(size_bytes), int(width_px), int(height_px))
