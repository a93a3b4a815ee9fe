"""Requests for tests of routing, made like the door makes them."""

from dataclasses import replace
from typing import Any

from service.catalog.loader import load_catalog
from service.domain.catalog import Catalog, Model
from service.domain.drawing import (
    AspectRatio,
    Dimensions,
    Drawing,
    EditInputs,
    InputPicture,
    Operation,
    Resolution,
    Size,
)
from service.domain.routing import effective

CATALOG: Catalog = load_catalog(sandbox=True)
PICTURE = InputPicture("ab" * 32, "image/png", 1000, 1024, 1024)
GIF = replace(PICTURE, mime_type="image/gif")


def drawing(model: str, **fields: Any) -> tuple[Model, Drawing]:
    """An effective drawing and its model; a `size` counts as given."""
    found = CATALOG.resolve(model)
    fields.setdefault("size_given", "size" in fields)
    return found, effective(found, Drawing(model=model, prompt=fields.pop("prompt", "a fox"), **fields))


def edit(
    model: str, *, images: tuple[InputPicture, ...] = (PICTURE,), **fields: Any
) -> tuple[Model, Drawing]:
    """The same for an edit."""
    parts = {name: fields.pop(name) for name in ("mask", "strength", "expansion") if name in fields}
    return drawing(model, operation=Operation.EDIT, inputs=EditInputs(images, **parts), **fields)


def exact(width_px: int, height_px: int) -> Size:
    return Size(dimensions=Dimensions(width_px, height_px))


def ratio(width: int, height: int, resolution: Resolution | None = None) -> Size:
    return Size(aspect_ratio=AspectRatio(width, height), resolution=resolution)


FAL, REPLICATE = "fal", "replicate"
