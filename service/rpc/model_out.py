"""From the catalog to Model, Route and RouteLimits on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from lightmeter.v1 import drawing_pb2
from lightmeter.v1 import model_service_pb2 as pb

from service.domain.catalog import ExactSizes, ExtraRule, ExtraType, Model, Route, RouteLimits
from service.domain.drawing import Drawing, Operation, Size
from service.domain.honour import check
from service.ports import RouteHealth
from service.rpc import enums
from service.rpc.drawing_in import PRESETS
from service.rpc.money_out import money, price_snapshot

Healths = Mapping[str, RouteHealth]
"""What this replica has met of each provider, by the provider's name."""
SwitchedOff = Callable[[str, str], bool]
"""Whether a switch takes a route, by provider and name, out of use for everybody."""

_JSON_SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"


def model_message(model: Model) -> pb.Model:
    """A model with its routes in the catalog's order; their health is put in with each answer."""
    return pb.Model(
        name=model.name,
        title=model.title,
        description=model.description,
        operations=_operations(model.operations),
        routes=[_route(model, route) for route in model.routes],
        aliases=sorted(model.aliases),
        deprecated=model.deprecated,
        replacement=model.replacement,
        terms_uri=model.terms_uri,
    )


def put_health(message: pb.Model, healths: Healths, switched_off: SwitchedOff) -> pb.Model:
    """The same model with the health of its routes at this moment."""
    for route in message.routes:
        off = switched_off(route.provider, route.name)
        route.health = health_of(healths, route.provider, route.endpoint, off=off)
    return message


def health_of(healths: Healths, provider: str, endpoint: str, *, off: bool) -> Any:
    """The health of a route; unspecified where its provider is not set up here. `off`: an operator's switch has it."""
    if off:
        return pb.ROUTE_HEALTH_DISABLED
    known = healths.get(provider)
    return pb.ROUTE_HEALTH_UNSPECIFIED if known is None else enums.HEALTHS[known.health(endpoint)]


def _operations(operations: frozenset[Operation]) -> list[Any]:
    return sorted(enums.OPERATIONS[one] for one in operations)


def _route(model: Model, route: Route) -> pb.Route:
    message = pb.Route(
        name=route.name,
        provider=route.provider,
        endpoint=route.endpoint,
        operations=_operations(route.operations),
        limits=_limits(model, route),
    )
    if route.price is not None:
        message.price.snapshot.CopyFrom(price_snapshot(route.price))
        message.price.kind = route.price.kind
        message.price.summary = route.price_summary
        for description, nanos in route.cost_examples:
            message.price.examples.add(description=description, amount=money(nanos))
    return message


def _limits(model: Model, route: Route) -> pb.RouteLimits:
    limits = route.limits
    message = pb.RouteLimits(
        accepted_fields=limits.accepted_fields,
        prompt_characters_max=limits.prompt_characters_max,
        image_count_max=limits.image_count_max,
        input_image_count_max=limits.input_count_max,
        presets=_presets(model, route),
        aspect_ratios=[
            drawing_pb2.AspectRatio(width=one.width, height=one.height) for one in limits.aspect_ratios
        ],
        resolutions=[enums.RESOLUTIONS[one] for one in limits.resolutions],
        dimensions=[
            drawing_pb2.Dimensions(width_px=one.width_px, height_px=one.height_px)
            for one in _exact_sizes(limits)
        ],
        qualities=[enums.QUALITIES[one] for one in limits.qualities],
        formats=[enums.FORMATS[one] for one in limits.formats],
        backgrounds=[enums.BACKGROUNDS[one] for one in limits.backgrounds],
    )
    if limits.size_range is not None:
        message.dimension_limits.CopyFrom(_dimension_limits(limits.size_range))
    if limits.extra:
        message.extra_schema.update(_extra_schema(limits.extra))
    return message


def _exact_sizes(limits: RouteLimits) -> list[Any]:
    """The only exact sizes: as they are listed, else those that an aspect ratio yields."""
    if limits.size_range is not None:
        return []
    yielded = [one.dimensions for one in limits.ratio_sizes if one.dimensions is not None]
    return list(dict.fromkeys(limits.exact_sizes or yielded))


def _presets(model: Model, route: Route) -> list[Any]:
    """The presets whose exact size the route can honour."""
    accepted = []
    for preset, dimensions in PRESETS.items():
        drawing = Drawing(
            model=model.name,
            prompt="x",
            operation=next(iter(route.operations)),
            size=Size(dimensions=dimensions),
            size_given=True,
        )
        if not any(one.field.startswith("drawing.size") for one in check(route, drawing)):
            accepted.append(preset)
    return accepted


def _dimension_limits(sizes: ExactSizes) -> pb.DimensionLimits:
    return pb.DimensionLimits(
        width_min_px=sizes.edge_min_px,
        width_max_px=sizes.edge_max_px,
        height_min_px=sizes.edge_min_px,
        height_max_px=sizes.edge_max_px,
        multiple_px=sizes.multiple_px,
        area_min_px=sizes.pixels_min,
        area_max_px=sizes.pixels_max,
    )


def _extra_schema(rules: Mapping[str, ExtraRule]) -> dict[str, Any]:
    return {
        "$schema": _JSON_SCHEMA,
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _property(rule) for key, rule in rules.items()},
    }


def _property(rule: ExtraRule) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": rule.type.value}
    text = rule.type is ExtraType.TEXT
    for bound, name in (
        (rule.least, "minLength" if text else "minimum"),
        (rule.most, "maxLength" if text else "maximum"),
    ):
        if bound is not None:
            schema[name] = _double(bound)
    if rule.choices:
        schema["enum"] = list(rule.choices)
    if rule.description:
        schema["description"] = rule.description
    return schema


def _double(value: Decimal) -> float:
    return float(value)
