"""Turns a checked file entry into the domain's values."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from service.catalog.schema import (
    AskEntry,
    LimitsEntry,
    ModelFile,
    PriceEntry,
    RangeEntry,
    RouteEntry,
    SizeRangeEntry,
    WordingEntry,
)
from service.domain.catalog import (
    ExactSizes,
    ExtraRule,
    Model,
    NumberRange,
    RatioSize,
    Route,
    RouteLimits,
    RoutePrice,
    SizeWording,
    Word,
    Wording,
)
from service.domain.drawing import Operation, Size
from service.domain.limits import start_timeout_seconds
from service.domain.price import BilledUnit, PriceAsk, PriceSnapshot
from service.domain.price_data import rule_from_data
from service.domain.price_rules import Unpriced

TEMPLATE: Final = "model"
"""A route of this name is called like its model."""


def build_model(entry: ModelFile, name: str, description: str) -> Model:
    """The model of a file, under one of its names. Raises ValueError with the path of a price rule that is
    none.
    """
    routes = tuple(_route(route, index, name) for index, route in enumerate(entry.routes))
    return Model(
        name=name,
        revision=entry.revision,
        title=entry.title.replace("{model}", name),
        description=description,
        routes=routes,
        default_sizes=_default_sizes(entry),
        aliases=entry.aliases if name == entry.model else (),
        deprecated=entry.deprecated,
        replacement=entry.replacement,
        terms_uri=entry.terms_uri,
        test=entry.test,
    )


def _default_sizes(entry: ModelFile) -> dict[Operation, Size]:
    sizes = {}
    for operation in Operation:
        given = getattr(entry.default_sizes, operation.value)
        if given is not None:
            sizes[operation] = Size() if given == "auto" else Size(dimensions=given)
    return sizes


def _route(entry: RouteEntry, index: int, model: str) -> Route:
    versions = _versions(entry, index, model)
    return Route(
        name=model if entry.name == TEMPLATE else entry.name,
        provider=entry.provider,
        endpoint=entry.endpoint.replace("{model}", model),
        operations=frozenset(entry.operations),
        limits=_limits(entry.limits),
        wording=_wording(entry.wording),
        price=versions[-1].price if versions else None,
        failure_charge=entry.failure_charge,
        run_seconds_max=entry.run_seconds_max,
        start_timeout_seconds=entry.start_timeout_seconds or start_timeout_seconds,
        images_max=entry.images_max,
        cost_examples=versions[-1].examples if versions else (),
        price_summary=versions[-1].summary if versions else "",
        price_versions=versions,
    )


def _versions(entry: RouteEntry, index: int, model: str) -> tuple[RoutePrice, ...]:
    """The versions of a price by the day from which they count; the last one stands until the day is known."""
    if entry.price is None:
        if entry.other_prices:
            raise ValueError(f"routes.{index}.other_prices: needs a price beside it")
        return ()
    found = []
    for number, price in enumerate((entry.price, *entry.other_prices)):
        where = f"other_prices.{number - 1}" if number else "price"
        try:
            snapshot = price_snapshot(price, model)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise ValueError(f"routes.{index}.{where}.rule: no {price.kind} rule: {error}") from error
        found.append(RoutePrice(snapshot, price.summary, _cost_examples(price)))
    found.sort(key=lambda one: one.price.effective_on)
    days = [one.price.effective_on for one in found]
    if len(set(days)) != len(days):
        raise ValueError(f"routes.{index}.other_prices: two versions count from the same day")
    return tuple(found)


def _cost_examples(price: PriceEntry) -> tuple[tuple[str, int], ...]:
    return tuple(
        (one.words, one.ceiling_nanos if one.expected_nanos is None else one.expected_nanos)
        for one in price.examples
    )


def price_snapshot(entry: PriceEntry, model: str) -> PriceSnapshot:
    """The price rule as a version, named by its date and its content."""
    if entry.kind == Unpriced.kind:
        raise ValueError("leave the price out where none is known")
    unit = entry.billed_unit
    snapshot = PriceSnapshot(
        rule_id=entry.rule_id.replace("{model}", model),
        version="",
        source_uri=entry.source_uri,
        effective_on=entry.effective_on.isoformat(),
        rule=rule_from_data(entry.kind, entry.rule),
        billed_unit=None if unit is None else BilledUnit(unit.name, unit.unit_price),
        estimated=entry.estimated,
        currency=entry.currency,
    )
    digest = hashlib.sha256(snapshot.to_json().encode()).hexdigest()[:8]
    return replace(snapshot, version=f"{snapshot.effective_on}-{digest}")


def _range(entry: RangeEntry | None) -> NumberRange | None:
    return None if entry is None else NumberRange(entry.least, entry.most)


def _size_range(entry: SizeRangeEntry | None) -> ExactSizes | None:
    return None if entry is None else ExactSizes(**dict(entry))


def _limits(entry: LimitsEntry) -> RouteLimits:
    given = {name: value for name, value in dict(entry).items() if value is not None}
    for name in ("guidance", "steps", "safety_tolerance", "strength"):
        if name in given:
            given[name] = _range(given[name])
    given["size_range"] = _size_range(entry.size_range)
    given["ratio_sizes"] = tuple(
        RatioSize(ratio, resolution, dimensions)
        for resolution, sizes in (entry.ratio_sizes or {}).items()
        for ratio, dimensions in sizes.items()
    )
    given["extra"] = {key: ExtraRule(**dict(rule)) for key, rule in (entry.extra or {}).items()}
    return RouteLimits(**given)


def _wording(entry: WordingEntry) -> Wording:
    return Wording(
        fields={name: Word(**dict(word)) for name, word in entry.fields.items()},
        size=SizeWording(**dict(entry.size)),
        always=entry.always,
    )


def price_ask(entry: AskEntry, run_seconds_max: int) -> PriceAsk:
    """The request of a worked example."""
    size = entry.size
    return PriceAsk(
        image_count=entry.image_count,
        width_px=None if size is None else size.width_px,
        height_px=None if size is None else size.height_px,
        quality=entry.quality,
        resolution=entry.resolution,
        inputs=tuple((one.width_px, one.height_px) for one in entry.inputs),
        run_seconds_max=run_seconds_max if entry.run_seconds_max is None else entry.run_seconds_max,
        prompt_characters=entry.prompt_characters,
        prompt_bytes=entry.prompt_characters,
        fewer_possible=entry.fewer_possible,
    )
