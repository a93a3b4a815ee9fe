"""The catalog as values: models, their routes, and exactly which requests a route can honour.

Filled by `service.catalog` from files that are checked at start. Nothing here knows a provider's wire but
`Wording`, the route's own words for our fields, which `shape` reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Any, Final

from service.domain.drawing import (
    AspectRatio,
    Background,
    Dimensions,
    ImageFormat,
    Operation,
    Quality,
    Resolution,
    Size,
)
from service.domain.errors import ModelNotFound
from service.domain.limits import (
    edge_px_max,
    input_image_bytes_max,
    prompt_characters_max,
    start_timeout_seconds,
)
from service.domain.price import PriceSnapshot

PROVIDERS: Final = ("fal", "replicate")
"""The names that a provider may have."""


class FailureCharge(Enum):
    """What a run costs that the provider accepted and that failed there."""

    NONE = "none"
    """Nothing."""
    FULL = "full"
    """The same as one that succeeded."""
    METERED = "metered"
    """What the evidence says; without evidence, the ceiling."""


@dataclass(frozen=True, slots=True)
class ExactSizes:
    """The range of exact sizes: grid, edges, area and longest shape. 0 is no limit."""

    multiple_px: int = 1
    edge_min_px: int = 1
    edge_max_px: int = edge_px_max
    pixels_min: int = 0
    pixels_max: int = 0
    ratio_max: Decimal | None = None
    """Longer edge over shorter edge."""


@dataclass(frozen=True, slots=True)
class RatioSize:
    """An aspect ratio at a resolution, and the exact size that the route then draws; None where it does not
    say.
    """

    ratio: AspectRatio
    resolution: Resolution
    dimensions: Dimensions | None = None


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Inclusive bounds."""

    least: Decimal
    most: Decimal


class ExtraType(Enum):
    """What a value of `extra` must be."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "string"


@dataclass(frozen=True, slots=True)
class ExtraRule:
    """One key of `extra`: its type, and its range (a length for text) or its choices."""

    type: ExtraType
    least: Decimal | None = None
    most: Decimal | None = None
    choices: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """Which requests a route can express. An empty collection or None means that the route has no such
    setting.
    """

    prompt_characters_max: int = prompt_characters_max
    negative_prompt_characters_max: int = 0
    image_count_max: int = 1
    images_factor_key: str = ""
    """A key of `extra` by which the provider multiplies the count, and the bill."""
    auto_size: bool = False
    auto_follows_input: bool = False
    """An automatic size is that of the first input picture."""
    exact_sizes: tuple[Dimensions, ...] = ()
    """The only exact sizes; empty if `size_range` or the ratios decide."""
    size_range: ExactSizes | None = None
    ratio_sizes: tuple[RatioSize, ...] = ()
    """The first resolution named is the default one."""
    resolutions_named: bool = False
    """Whether the caller may choose among the resolutions of `ratio_sizes`."""
    qualities: tuple[Quality, ...] = ()
    formats: tuple[ImageFormat, ...] = ()
    backgrounds: tuple[Background, ...] = ()
    seed_max: int | None = None
    guidance: NumberRange | None = None
    steps: NumberRange | None = None
    safety_tolerance: NumberRange | None = None
    strength: NumberRange | None = None
    input_count_max: int = 0
    input_bytes_max: int = input_image_bytes_max
    input_mime_types: tuple[str, ...] = ("image/jpeg", "image/png", "image/webp")
    mask: bool = False
    extra: Mapping[str, ExtraRule] = field(default_factory=dict)

    @property
    def default_resolution(self) -> Resolution | None:
        """The resolution of an aspect ratio that comes without one."""
        return self.ratio_sizes[0].resolution if self.ratio_sizes else None

    @property
    def aspect_ratios(self) -> tuple[AspectRatio, ...]:
        """Every accepted shape, in the catalog's order."""
        return tuple(dict.fromkeys(one.ratio for one in self.ratio_sizes))

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """Every resolution that a caller may name."""
        return (
            tuple(dict.fromkeys(one.resolution for one in self.ratio_sizes)) if self.resolutions_named else ()
        )

    def ratio_size(self, ratio: AspectRatio, resolution: Resolution | None) -> RatioSize | None:
        """The entry for a shape at a resolution (None: the default one)."""
        wanted = resolution or self.default_resolution
        return next(
            (one for one in self.ratio_sizes if one.ratio == ratio and one.resolution is wanted), None
        )

    def ratio_yielding(self, size: Dimensions) -> RatioSize | None:
        """The entry whose picture has exactly this size."""
        return next((one for one in self.ratio_sizes if one.dimensions == size), None)

    @property
    def accepted_fields(self) -> tuple[str, ...]:
        """The names of the fields of Drawing and EditInputs that the route understands."""
        taken = {
            "prompt": True,
            "negative_prompt": self.negative_prompt_characters_max > 0,
            "size": True,
            "image_count": True,
            "seed": self.seed_max is not None,
            "variation": True,
            "quality": bool(self.qualities),
            "format": bool(self.formats),
            "background": bool(self.backgrounds),
            "guidance": self.guidance is not None,
            "steps": self.steps is not None,
            "safety_tolerance": self.safety_tolerance is not None,
            "extra": bool(self.extra),
            "images": self.input_count_max > 0,
            "mask": self.mask,
            "strength": self.strength is not None,
        }
        return tuple(name for name, does in taken.items() if does)


def extra_schema(rules: Mapping[str, ExtraRule]) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of what `extra` may hold; empty when it may hold nothing."""
    if not rules:
        return {}
    properties: dict[str, Any] = {}
    for key, rule in rules.items():
        schema: dict[str, Any] = {"type": rule.type.value, "description": rule.description}
        least, most = ("minLength", "maxLength") if rule.type is ExtraType.TEXT else ("minimum", "maximum")
        for word, bound in ((least, rule.least), (most, rule.most)):
            if bound is not None:
                schema[word] = int(bound) if bound == int(bound) else float(bound)
        if rule.choices:
            schema["enum"] = list(rule.choices)
        properties[key] = schema
    return {"type": "object", "properties": properties, "additionalProperties": False}


class SizeForm(Enum):
    """How a route is told the size."""

    NONE = "none"
    """It is not told: the picture follows the input."""
    IMAGE_SIZE = "image_size"
    """One field: a preset's name, or `{"width", "height"}`."""
    RATIO = "ratio"
    """A field for the aspect ratio, and perhaps one for the resolution; exact sizes by the ratio that yields
    them."""
    RATIO_OR_EDGES = "ratio_or_edges"
    """A field for the aspect ratio; for an exact size the word `custom` there, and two fields for the edges.
    """
    EDGES = "edges"
    """Two fields for the edges."""
    RATIO_OR_TEXT = "ratio_or_text"
    """One field that takes an aspect ratio or an exact size as text (`1024x1536`)."""


class ValueForm(Enum):
    """How a value is written."""

    PLAIN = "plain"
    """A number or text as it is."""
    TEXT = "text"
    """A number as text."""
    WORDS = "words"
    """By the route's own word for it."""
    COMPLEMENT = "complement"
    """1 minus the value: where a provider counts likeness and we count departure."""
    ONE = "one"
    """The only URL of a list."""
    LIST = "list"
    """A list of URLs."""


@dataclass(frozen=True, slots=True)
class Word:
    """The route's own field for one of ours. `words` maps our enum names to its values."""

    name: str
    form: ValueForm = ValueForm.PLAIN
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SizeWording:
    """How the size is said. `auto` is the word for an automatic one; empty: the field is left out."""

    form: SizeForm = SizeForm.NONE
    name: str = ""
    auto: str = ""
    presets: Mapping[Dimensions, str] = field(default_factory=dict)
    resolution_field: str = ""
    resolution_words: Mapping[Resolution, str] = field(default_factory=dict)
    custom: str = "custom"
    width_field: str = "width"
    height_field: str = "height"


@dataclass(frozen=True, slots=True)
class Wording:
    """A route's words: for each of our fields (by its name in `shape`) the provider's, and what is always
    sent.
    """

    fields: Mapping[str, Word]
    size: SizeWording = field(default_factory=SizeWording)
    always: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class RoutePrice:
    """One version of a route's price, with what people read of it. It counts from `price.effective_on` (UTC) on."""

    price: PriceSnapshot
    summary: str
    examples: tuple[tuple[str, int], ...]
    """Typical requests in words, and their price in nano-dollars."""


@dataclass(frozen=True, eq=False)
class Route:
    """A model at a provider. Equal only to itself, so that prices can be remembered by it."""

    name: str
    provider: str
    endpoint: str
    operations: frozenset[Operation]
    limits: RouteLimits
    wording: Wording
    price: PriceSnapshot | None
    failure_charge: FailureCharge
    run_seconds_max: int
    start_timeout_seconds: int = start_timeout_seconds
    images_max: int = 1
    """The most pictures that one dispatch may bring, and that are kept."""
    cost_examples: tuple[tuple[str, int], ...] = ()
    """Typical requests in words, and their price in nano-dollars."""
    price_summary: str = ""
    price_versions: tuple[RoutePrice, ...] = ()
    """All that are known, by the day from which they count; `price` is one of them. Empty where there is no price."""

    def priced_on(self, day: str) -> Route:
        """The route with the price of a UTC day (`2026-11-21`): the newest that counts by then, else the oldest known."""
        counting = [one for one in self.price_versions if one.price.effective_on <= day]
        newest = (*self.price_versions[:1], *counting)[-1] if self.price_versions else None
        if newest is None or newest.price == self.price:
            return self
        return replace(self, price=newest.price, price_summary=newest.summary, cost_examples=newest.examples)

    @property
    def takes_seed(self) -> bool:
        """Whether a seed can be sent."""
        return self.limits.seed_max is not None

    @property
    def time_priced(self) -> bool:
        """Whether the provider charges by the second, so that stopping it early saves money."""
        return self.price is not None and self.price.kind == "gpu_seconds"


@dataclass(frozen=True)
class Model:
    """A name that callers use, and the routes behind it in the catalog's order.

    `default_sizes` holds what an operation's size is when the caller says nothing about it. `revision` enters
    the fingerprint: a new one ends every cached answer.
    """

    name: str
    revision: str
    title: str
    description: str
    routes: tuple[Route, ...]
    default_sizes: Mapping[Operation, Size] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    deprecated: bool = False
    replacement: str = ""
    terms_uri: str = ""
    test: bool = False
    """A model of the sandbox, for callers to test their error handling with."""

    @cached_property
    def operations(self) -> frozenset[Operation]:
        """What at least one of its routes can do."""
        return frozenset(operation for route in self.routes for operation in route.operations)

    def priced_on(self, day: str) -> Model:
        """The model with the prices of a UTC day; itself where nothing else counts then."""
        routes = tuple(route.priced_on(day) for route in self.routes)
        same = all(one is other for one, other in zip(routes, self.routes, strict=True))
        return self if same else replace(self, routes=routes)

    def route(self, provider: str, name: str) -> Route | None:
        """The route of this name at this provider."""
        return next((one for one in self.routes if (one.provider, one.name) == (provider, name)), None)


_SUGGESTION_LIKENESS: Final = 0.5


def suggestion(name: str, known: list[str]) -> dict[str, str]:
    """Error metadata with the likeliest name that was meant, if one comes near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=_SUGGESTION_LIKENESS)
    return {"suggestion": near[0]} if near else {}


@dataclass(frozen=True)
class Catalog:
    """Everything that can be drawn. `version` is the hash of the files; compare it for equality only."""

    version: str
    models: Mapping[str, Model]

    @cached_property
    def _names(self) -> Mapping[str, Model]:
        aliases = {alias: model for model in self.models.values() for alias in model.aliases}
        return {**aliases, **self.models}

    def priced_on(self, day: str) -> Catalog:
        """The catalog with the prices of a UTC day; itself where nothing else counts then."""
        models = {name: model.priced_on(day) for name, model in self.models.items()}
        same = all(models[name] is model for name, model in self.models.items())
        return self if same else replace(self, models=models)

    def resolve(self, name: str, field: str = "drawing.model") -> Model:
        """The model of a name or alias that was sent in `field`. Raises ModelNotFound with a `suggestion`."""
        model = self._names.get(name)
        if model is None:
            metadata = {"field": field, "model": name[:100], **suggestion(name[:100], list(self._names))}
            raise ModelNotFound(f"no model is called {name[:100]!r}", metadata=metadata)
        return model
