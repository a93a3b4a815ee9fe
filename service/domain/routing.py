"""Which routes may take a drawing, in which order, at which price.

A request that a route can't honour exactly excludes the route; nothing is ever changed to fit. Among the
routes that are left the cheapest ceiling goes first, then the catalog's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from service.domain.catalog import FailureCharge, Model, Route, suggestion
from service.domain.drawing import Background, Drawing, Quality, Size
from service.domain.errors import (
    LightmeterError,
    MaxCostExceeded,
    NoEligibleRoute,
    ParameterUnsupported,
    PriceUnknown,
    Reason,
    RouteNotFound,
    Violation,
)
from service.domain.fingerprint import normalise_text
from service.domain.honour import Exclusion, check
from service.domain.money import usd_from_nanos, usd_text
from service.domain.price import PriceAsk, PriceSnapshot
from service.domain.price_rules import Unpriced

__all__ = [
    "Exclusion",
    "PlannedRoute",
    "RoutePlan",
    "check",
    "effective",
    "plan_routes",
    "price_ask",
    "refusal",
    "survey",
]

_PRICES_KEPT: Final = 4_096

POLICIES: Final = ("cheapest",)
"""The names that `policy` may have."""


@dataclass(frozen=True, slots=True)
class PlannedRoute:
    """One route of a plan: all that a dispatch needs to know without the catalog. Amounts in nano-dollars."""

    provider: str
    route: str
    endpoint: str
    ceiling_nanos: int
    expected_nanos: int
    price_json: str
    failure_charge: FailureCharge
    images_max: int
    run_seconds_max: int
    start_timeout_seconds: int
    takes_seed: bool
    time_priced: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**plain, "failure_charge": self.failure_charge.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PlannedRoute:
        """The inverse of `to_dict`."""
        return cls(**{**data, "failure_charge": FailureCharge(data["failure_charge"])})


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """The routes to try, in order, and why the others are not among them."""

    routes: tuple[PlannedRoute, ...]
    excluded: tuple[tuple[Route, tuple[Exclusion, ...]], ...]


def effective(model: Model, drawing: Drawing) -> Drawing:
    """The drawing with every default filled in: what is hashed, stored and sent.

    AUTO quality and background become None, which means the same; a shape is reduced by the door already.
    """
    size = drawing.size if drawing.size_given else model.default_sizes.get(drawing.operation, Size())
    return replace(
        drawing,
        model=model.name,
        prompt=normalise_text(drawing.prompt),
        negative_prompt=normalise_text(drawing.negative_prompt),
        size=size,
        size_given=True,
        image_count=drawing.image_count or 1,
        quality=None if drawing.quality is Quality.AUTO else drawing.quality,
        background=None if drawing.background is Background.AUTO else drawing.background,
    )


def images_most(route: Route, drawing: Drawing) -> int:
    """How many pictures the provider may return, and charge, for this drawing."""
    factor = drawing.extra.get(route.limits.images_factor_key, 1)
    return drawing.image_count * (factor if isinstance(factor, int) else 1)


def fewer_possible(route: Route, drawing: Drawing) -> bool:
    """Whether the provider decides how many of `images_most` it draws."""
    return images_most(route, drawing) > drawing.image_count


def price_ask(route: Route, drawing: Drawing) -> PriceAsk:
    """What the route's price depends on; the prompt's length only where it does."""
    inputs = () if drawing.inputs is None else drawing.inputs.images
    dimensions = drawing.size.dimensions
    resolution = drawing.size.resolution
    if dimensions is None and drawing.size.aspect_ratio is not None:
        resolution = resolution or route.limits.default_resolution
        entry = route.limits.ratio_size(drawing.size.aspect_ratio, resolution)
        dimensions = None if entry is None else entry.dimensions
    width_px, height_px = (None, None) if dimensions is None else (dimensions.width_px, dimensions.height_px)
    if drawing.size.is_auto and route.limits.auto_follows_input and inputs:
        width_px, height_px = inputs[0].width_px, inputs[0].height_px
    words = route.price is not None and route.price.rule.reads_prompt
    return PriceAsk(
        image_count=images_most(route, drawing),
        width_px=width_px,
        height_px=height_px,
        quality=drawing.quality,
        resolution=resolution,
        inputs=tuple((one.width_px, one.height_px) for one in inputs),
        run_seconds_max=route.run_seconds_max,
        prompt_characters=len(drawing.prompt) if words else 0,
        prompt_bytes=len(drawing.prompt.encode()) if words else 0,
        fewer_possible=fewer_possible(route, drawing),
    )


def survey(
    model: Model,
    drawing: Drawing,
    *,
    pin_provider: str | None = None,
    pin_route: str | None = None,
    policy: str | None = None,
    max_cost_nanos: int | None = None,
    unpriced_nanos: int | None = None,
) -> RoutePlan:
    """The plan, even if it is empty: for quotes. Raises RouteNotFound for a pin or policy that does not
    exist.

    `unpriced_nanos` is what the project allows a route to hold whose price is not known; such routes come
    last.
    """
    candidates = _candidates(model, pin_provider, pin_route, policy)
    planned: list[PlannedRoute] = []
    unpriced: list[PlannedRoute] = []
    excluded: list[tuple[Route, tuple[Exclusion, ...]]] = []
    for route in candidates:
        exclusions = check(route, drawing)
        if exclusions:
            excluded.append((route, exclusions))
            continue
        price = _price(route, price_ask(route, drawing))
        known = price is not None
        if price is None and unpriced_nanos is not None:
            price = _allowed(route, unpriced_nanos)
        outcome = _planned(route, price, max_cost_nanos)
        if isinstance(outcome, Exclusion):
            excluded.append((route, (outcome,)))
        else:
            (planned if known else unpriced).append(outcome)
    planned.sort(key=lambda one: one.ceiling_nanos)
    return RoutePlan((*planned, *unpriced), tuple(excluded))


def plan_routes(
    model: Model,
    drawing: Drawing,
    *,
    pin_provider: str | None = None,
    pin_route: str | None = None,
    policy: str | None = None,
    max_cost_nanos: int | None = None,
) -> RoutePlan:
    """The plan, with at least one route.

    `drawing` is an effective one. Raises RouteNotFound, NoEligibleRoute, ParameterUnsupported, PriceUnknown
    or MaxCostExceeded.
    """
    plan = survey(
        model,
        drawing,
        pin_provider=pin_provider,
        pin_route=pin_route,
        policy=policy,
        max_cost_nanos=max_cost_nanos,
    )
    if not plan.routes:
        raise refusal(plan, drawing, max_cost_nanos)
    return plan


def _candidates(
    model: Model, pin_provider: str | None, pin_route: str | None, policy: str | None
) -> tuple[Route, ...]:
    if policy and policy not in POLICIES:
        metadata = {
            "field": "options.policy",
            "policy": policy[:100],
            **suggestion(policy[:100], list(POLICIES)),
        }
        raise RouteNotFound(f"no policy is called {policy[:100]!r}", metadata=metadata)
    routes = model.routes
    if pin_provider:
        routes = tuple(route for route in routes if route.provider == pin_provider)
        if not routes:
            known = sorted({route.provider for route in model.routes})
            metadata = {
                "field": "options.pin.provider",
                "provider": pin_provider[:100],
                **suggestion(pin_provider[:100], known),
            }
            raise RouteNotFound(f"{model.name} has no route at {pin_provider[:100]!r}", metadata=metadata)
    if pin_route:
        known = sorted({route.name for route in routes})
        routes = tuple(route for route in routes if route.name == pin_route)
        if not routes:
            metadata = {
                "field": "options.pin.route",
                "route": pin_route[:100],
                **suggestion(pin_route[:100], known),
            }
            raise RouteNotFound(f"{model.name} has no route called {pin_route[:100]!r}", metadata=metadata)
    return routes


@dataclass(frozen=True, slots=True)
class _Price:
    ceiling_nanos: int
    expected_nanos: int
    snapshot_json: str


@lru_cache(maxsize=_PRICES_KEPT)
def _price(route: Route, ask: PriceAsk) -> _Price | None:
    """The price of an ask, remembered: equal requests are common, and this is on every call's way."""
    if route.price is None:
        return None
    estimate = route.price.estimate(ask)
    if estimate.ceiling_nanos is None or estimate.expected_nanos is None:
        return None
    snapshot = _snapshot_json(route, route.price.frozen_for(ask).metric_prices)
    return _Price(estimate.ceiling_nanos, estimate.expected_nanos, snapshot)


@lru_cache(maxsize=_PRICES_KEPT)
def _snapshot_json(route: Route, metric_prices: tuple[tuple[str, Decimal], ...]) -> str:
    assert route.price is not None
    return replace(route.price, metric_prices=metric_prices).to_json()


@lru_cache(maxsize=_PRICES_KEPT)
def _allowed(route: Route, nanos: int) -> _Price:
    """What is held where no price is known."""
    name = f"{route.provider}/{route.name}"
    snapshot = PriceSnapshot(name, Unpriced.kind, "", "", Unpriced(usd_from_nanos(nanos)))
    return _Price(nanos, nanos, snapshot.to_json())


def _planned(route: Route, price: _Price | None, max_cost_nanos: int | None) -> PlannedRoute | Exclusion:
    """The planned route, or why its price stands in the way."""
    if price is None:
        return Exclusion(Reason.PRICE_UNKNOWN, "", "the price of this request is not known here")
    if max_cost_nanos is not None and price.ceiling_nanos > max_cost_nanos:
        return Exclusion(
            Reason.MAX_COST_EXCEEDED,
            "options.max_cost",
            f"it may cost {usd_text(price.ceiling_nanos)}",
            limit=str(price.ceiling_nanos),
        )
    return PlannedRoute(
        provider=route.provider,
        route=route.name,
        endpoint=route.endpoint,
        ceiling_nanos=price.ceiling_nanos,
        expected_nanos=price.expected_nanos,
        price_json=price.snapshot_json,
        failure_charge=route.failure_charge,
        images_max=route.images_max,
        run_seconds_max=route.run_seconds_max,
        start_timeout_seconds=route.start_timeout_seconds,
        takes_seed=route.takes_seed,
        time_priced=route.time_priced,
    )


def refusal(plan: RoutePlan, drawing: Drawing, max_cost_nanos: int | None = None) -> LightmeterError:
    """The error of an empty plan, by the route that came nearest.

    Apart from `plan_routes` for those who may not need a route after all: a picture in the cache costs
    nothing, whatever `max_cost` says.
    """
    by_reason: dict[Reason, list[tuple[Route, Exclusion]]] = {}
    for route, exclusions in plan.excluded:
        by_reason.setdefault(exclusions[0].reason, []).append((route, exclusions[0]))
    if dear := by_reason.get(Reason.MAX_COST_EXCEEDED):
        route, cheapest = min(dear, key=lambda one: int(one[1].limit))
        metadata = {
            "maxCostNanos": str(max_cost_nanos),
            "ceilingNanos": cheapest.limit,
            "route": f"{route.provider}/{route.name}",
        }
        return MaxCostExceeded(f"{route.provider}/{route.name}: {cheapest.message}", metadata=metadata)
    if unpriced := by_reason.get(Reason.PRICE_UNKNOWN):
        route = unpriced[0][0]
        metadata = {"route": f"{route.provider}/{route.name}"}
        return PriceUnknown(f"{route.provider}/{route.name} has no known price", metadata=metadata)
    able = [one for one in plan.excluded if drawing.operation in one[0].operations]
    route, causes = min(able or plan.excluded, key=lambda one: len(one[1]))
    violations = [Violation(one.field, one.message) for one in causes]
    if able and all(_unsupported(exclusions) for _, exclusions in able):
        accepted = ",".join(sorted(route.limits.extra))
        text = "; ".join(f"{one.field}: {one.message}" for one in _unsupported(causes))
        return ParameterUnsupported(text, metadata={"accepted": accepted}, violations=violations)
    metadata = {
        "route": f"{route.provider}/{route.name}",
        "field": causes[0].field,
        "limit": causes[0].limit,
        "causes": "; ".join(f"{one.field}: {one.message}" for one in causes),
    }
    text = f"no route of the model can honour this; nearest is {metadata['route']}: {metadata['causes']}"
    return NoEligibleRoute(text, metadata=metadata, violations=violations)


def _unsupported(exclusions: tuple[Exclusion, ...]) -> list[Exclusion]:
    return [one for one in exclusions if one.reason is Reason.PARAMETER_UNSUPPORTED]
