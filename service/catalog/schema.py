"""What a catalog file may say, as strict pydantic models: unknown keys, wrong types and YAML floats are
refused.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from service.domain.catalog import ExtraType, FailureCharge, SizeForm, ValueForm
from service.domain.drawing import (
    AspectRatio,
    Background,
    Dimensions,
    ImageFormat,
    Operation,
    Quality,
    Resolution,
)


def _decimal(value: Any) -> Decimal:
    """Only quoted text: a YAML number with a point is a float, which no price may ever be."""
    try:
        number = Decimal(value if isinstance(value, str) else "not text")
    except InvalidOperation:
        raise ValueError(f'{value!r}: write a decimal number as quoted text, such as "0.025"') from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is no finite number")
    return number


def _pair(value: Any, separator: str, example: str) -> tuple[int, int]:
    found = (
        re.fullmatch(rf"([1-9]\d{{0,4}}){separator}([1-9]\d{{0,4}})", value)
        if isinstance(value, str)
        else None
    )
    if found is None:
        raise ValueError(f'write it as quoted text, such as "{example}"')
    return int(found[1]), int(found[2])


def _dimensions(value: Any) -> Dimensions:
    return Dimensions(*_pair(value, "x", "1024x1536"))


def _ratio(value: Any) -> AspectRatio:
    return AspectRatio(*_pair(value, ":", "16:9"))


Exact = Annotated[Decimal, BeforeValidator(_decimal)]
Edges = Annotated[Dimensions, BeforeValidator(_dimensions)]
Ratio = Annotated[AspectRatio, BeforeValidator(_ratio)]
OneOperation = Annotated[Operation, Strict(False)]
OneResolution = Annotated[Resolution, Strict(False)]
OneQuality = Annotated[Quality, Strict(False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Uri = Annotated[str, Field(pattern=r"^https://")]
Count = Annotated[int, Field(ge=0)]


class Checked(BaseModel):
    """Strict in types, closed to unknown keys, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SizeRangeEntry(Checked):
    """`ExactSizes` in a file."""

    multiple_px: Annotated[int, Field(ge=1)]
    edge_min_px: Count
    edge_max_px: Count
    pixels_min: Count = 0
    pixels_max: Count = 0
    ratio_max: Exact | None = None


class RangeEntry(Checked):
    """Inclusive bounds."""

    least: Exact
    most: Exact


class ExtraEntry(Checked):
    """A key of `extra`."""

    type: Annotated[ExtraType, Strict(False)]
    least: Exact | None = None
    most: Exact | None = None
    choices: tuple[str, ...] = Field(default=(), strict=False)
    description: Text


class LimitsEntry(Checked):
    """`RouteLimits` in a file; what is left out has the default there."""

    prompt_characters_max: Count | None = None
    negative_prompt_characters_max: Count | None = None
    image_count_max: Annotated[int, Field(ge=1)] | None = None
    images_factor_key: Text | None = None
    auto_size: bool | None = None
    auto_follows_input: bool | None = None
    exact_sizes: tuple[Edges, ...] | None = Field(default=None, strict=False)
    size_range: SizeRangeEntry | None = None
    ratio_sizes: dict[OneResolution, dict[Ratio, Edges | None]] | None = None
    resolutions_named: bool | None = None
    qualities: tuple[OneQuality, ...] | None = Field(default=None, strict=False)
    formats: tuple[Annotated[ImageFormat, Strict(False)], ...] | None = Field(default=None, strict=False)
    backgrounds: tuple[Annotated[Background, Strict(False)], ...] | None = Field(default=None, strict=False)
    seed_max: Count | None = None
    guidance: RangeEntry | None = None
    steps: RangeEntry | None = None
    safety_tolerance: RangeEntry | None = None
    strength: RangeEntry | None = None
    input_count_max: Count | None = None
    input_bytes_max: Count | None = None
    input_mime_types: tuple[str, ...] | None = Field(default=None, strict=False)
    mask: bool | None = None
    extra: dict[str, ExtraEntry] | None = None


class WordEntry(Checked):
    """The route's own field for one of ours."""

    name: Text
    form: Annotated[ValueForm, Strict(False)] = ValueForm.PLAIN
    words: dict[str, str] = {}


class SizeWordingEntry(Checked):
    """How the size is said."""

    form: Annotated[SizeForm, Strict(False)]
    name: str = ""
    auto: str = ""
    presets: dict[Edges, str] = {}
    resolution_field: str = ""
    resolution_words: dict[OneResolution, str] = {}
    custom: str = "custom"
    width_field: str = "width"
    height_field: str = "height"


class WordingEntry(Checked):
    """A route's words."""

    fields: dict[str, WordEntry]
    size: SizeWordingEntry
    always: dict[str, str | int | bool] = {}


class AskEntry(Checked):
    """The request of a worked example."""

    image_count: Annotated[int, Field(ge=1)] = 1
    size: Edges | None = None
    quality: OneQuality | None = None
    resolution: OneResolution | None = None
    inputs: tuple[Edges, ...] = Field(default=(), strict=False)
    prompt_characters: Count = 0
    run_seconds_max: Count | None = None
    fewer_possible: bool = False


class ExampleEntry(Checked):
    """A worked example with its source; checked at every start."""

    words: Text
    ask: AskEntry
    expected_nanos: Annotated[int, Field(ge=0)] | None = None
    """Absent where only the ceiling is known."""
    ceiling_nanos: Annotated[int, Field(ge=0)]
    source: Text


class BilledUnitEntry(Checked):
    """The unit in the provider's own evidence."""

    name: Text
    unit_price: Exact | None = None


class PriceEntry(Checked):
    """A price rule with where and when it was read, and examples that prove it."""

    rule_id: Text
    kind: Text
    rule: dict[str, Any]
    source_uri: Uri
    read_on: dt.date
    effective_on: dt.date
    currency: Literal["USD"]
    estimated: bool = False
    billed_unit: BilledUnitEntry | None = None
    summary: Text
    notes: Text = "none"
    examples: Annotated[tuple[ExampleEntry, ...], Field(min_length=1, strict=False)]


class RouteEntry(Checked):
    """A model at a provider."""

    name: Name
    provider: Literal["fal", "replicate"]
    endpoint: Text
    operations: Annotated[tuple[OneOperation, ...], Field(min_length=1, strict=False)]
    failure_charge: Annotated[FailureCharge, Strict(False)]
    run_seconds_max: Annotated[int, Field(ge=1, le=24 * 3600)]
    start_timeout_seconds: Annotated[int, Field(ge=2, le=24 * 3600)] | None = None
    images_max: Annotated[int, Field(ge=1)]
    limits: LimitsEntry
    wording: WordingEntry
    price: PriceEntry | None = None
    other_prices: tuple[PriceEntry, ...] = Field(default=(), strict=False)
    """Versions of the price from before, and announced ones: each counts from its `effective_on` on."""
    notes: Text = "none"


class DefaultSizeEntry(Checked):
    """What an operation's size is when the caller says nothing: `auto`, or exact."""

    GENERATE: Literal["auto"] | Edges | None = None
    EDIT: Literal["auto"] | Edges | None = None


class ModelFile(Checked):
    """A file: one model, or with `variants` several that differ in nothing but their names."""

    model: Name
    revision: Text
    title: Text
    description: Text
    aliases: tuple[Name, ...] = Field(default=(), strict=False)
    deprecated: bool = False
    replacement: str = ""
    terms_uri: str = ""
    test: bool = False
    default_sizes: DefaultSizeEntry
    shared: Any = None
    """A place for YAML anchors; not read."""
    variants: dict[Name, Text] = {}
    """Further models and their descriptions; `{model}` in endpoints stands for each one's name."""
    routes: Annotated[tuple[RouteEntry, ...], Field(min_length=1, strict=False)]
