"""Which route takes a request, and why the others don't."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from service.domain.catalog import ExtraRule, ExtraType, FailureCharge, Route
from service.domain.drawing import (
    Background,
    Drawing,
    Quality,
    Size,
)
from service.domain.errors import (
    MaxCostExceeded,
    ModelNotFound,
    NoEligibleRoute,
    PriceUnknown,
    Reason,
    RouteNotFound,
)
from service.domain.price import Certainty, PriceSnapshot, UsageEvidence
from service.domain.routing import PlannedRoute, effective, plan_routes, price_ask, survey
from tests.unit.domain.asks import CATALOG, FAL, PICTURE, REPLICATE, drawing, edit, exact


def names(found: tuple[PlannedRoute, ...]) -> list[str]:
    return [f"{one.provider}/{one.route}" for one in found]


def test_the_cheapest_ceiling_goes_first_then_the_catalogs_order() -> None:
    """flux-schnell costs the same at both for one megapixel; two megapixels are dearer at fal."""
    assert ["fal/flux-schnell", "replicate/flux-schnell"] == names(
        plan_routes(*drawing("flux-schnell")).routes
    )
    assert ["replicate/gpt-image-2", "fal/gpt-image-2"] == names(
        plan_routes(*drawing("gpt-image-2", quality=Quality.HIGH)).routes
    )
    assert ["fal/gpt-image-2", "replicate/gpt-image-2"] == names(
        plan_routes(*drawing("gpt-image-2", quality=Quality.LOW)).routes
    )


def test_pins_and_policies_choose_among_routes() -> None:
    """A pinned provider or route is the only one; there is no failover from it."""
    asked = drawing("gpt-image-2", quality=Quality.LOW)
    assert ["replicate/gpt-image-2"] == names(plan_routes(*asked, pin_provider=REPLICATE).routes)
    assert ["fal/gpt-image-2"] == names(plan_routes(*asked, pin_provider=FAL, pin_route="gpt-image-2").routes)
    assert 2 == len(plan_routes(*asked, policy="cheapest").routes)
    with pytest.raises(NoEligibleRoute):
        plan_routes(*asked, pin_route="gpt-image-2-edit")


@pytest.mark.parametrize(
    ("pins", "metadata"),
    [
        ({"pin_provider": "fall"}, {"provider": "fall", "suggestion": "fal"}),
        ({"pin_provider": "openai"}, {"provider": "openai"}),
        ({"pin_route": "gpt-image"}, {"route": "gpt-image", "suggestion": "gpt-image-2"}),
        (
            {"pin_provider": REPLICATE, "pin_route": "gpt-image-2-edit"},
            {"route": "gpt-image-2-edit", "suggestion": "gpt-image-2"},
        ),
        ({"policy": "cheap"}, {"policy": "cheap", "suggestion": "cheapest"}),
    ],
)
def test_unknown_pins_and_policies_are_not_found(pins: dict[str, str], metadata: dict[str, str]) -> None:
    """With a suggestion where one comes near."""
    with pytest.raises(RouteNotFound) as caught:
        plan_routes(*drawing("gpt-image-2"), **pins)  # type: ignore[arg-type]  # keyword arguments by name
    place = next(iter(reversed(pins))).replace("pin_", "pin.")
    assert {"field": f"options.{place}", **metadata} == caught.value.metadata


def test_unknown_models_are_not_found() -> None:
    """With a suggestion; aliases are names too."""
    with pytest.raises(ModelNotFound) as caught:
        CATALOG.resolve("flux-schnel")
    assert "flux-schnell" == caught.value.metadata["suggestion"]
    assert CATALOG.resolve("flux-1-schnell") is CATALOG.resolve("flux-schnell")


def test_routes_above_max_cost_are_left_out() -> None:
    """Only routes that surely stay below it; if there is none, the refusal says what it would take."""
    asked = drawing("gpt-image-2", quality=Quality.HIGH)
    assert ["replicate/gpt-image-2"] == names(plan_routes(*asked, max_cost_nanos=128_000_000).routes)
    with pytest.raises(MaxCostExceeded) as caught:
        plan_routes(*asked, max_cost_nanos=127_999_999)
    assert {
        "maxCostNanos": "127999999",
        "ceilingNanos": "128000000",
        "route": "replicate/gpt-image-2",
    } == caught.value.metadata


def test_an_unknown_price_is_never_zero() -> None:
    """A route without a price, or whose price does not know the request, takes nothing."""
    model, asked = drawing("flux-schnell")
    unpriced = replace(model, routes=tuple(replace(route, price=None) for route in model.routes))
    with pytest.raises(PriceUnknown) as caught:
        plan_routes(unpriced, asked)
    assert {"route": "fal/flux-schnell"} == caught.value.metadata
    half = replace(model, routes=(replace(model.routes[0], price=None), model.routes[1]))
    assert ["replicate/flux-schnell"] == names(plan_routes(half, asked).routes)


def test_a_survey_shows_obstacles_instead_of_raising() -> None:
    """A quote lists every route with what stands in its way."""
    plan = survey(*drawing("gpt-image-2", seed=1), max_cost_nanos=0)
    assert () == plan.routes
    reasons = {
        (f"{route.provider}/{route.name}", one.reason)
        for route, exclusions in plan.excluded
        for one in exclusions
    }
    assert {
        ("fal/gpt-image-2", Reason.NO_ELIGIBLE_ROUTE),
        ("fal/gpt-image-2-edit", Reason.NO_ELIGIBLE_ROUTE),
        ("replicate/gpt-image-2", Reason.NO_ELIGIBLE_ROUTE),
    } == reasons


def test_a_plan_survives_json() -> None:
    """What is stored with a render needs no catalog to be dispatched and settled."""
    for planned in plan_routes(*drawing("gpt-image-2", quality=Quality.MEDIUM, image_count=2)).routes:
        again = PlannedRoute.from_dict(json.loads(json.dumps(planned.to_dict())))
        assert planned == again
        if planned.provider == REPLICATE:
            bill = UsageEvidence(metrics={"image_output_count": Decimal(2)})
            settled = PriceSnapshot.from_json(again.price_json).settle(bill)
            assert settled is not None
            assert (94_000_000, FailureCharge.NONE) == (settled.nanos, again.failure_charge)


def test_what_was_left_open_is_filled_in_before_the_fingerprint() -> None:
    """Aliases, default sizes, counts and words for automatic are one request."""
    model = CATALOG.resolve("flux-1-schnell")
    said = Drawing(
        model="flux-schnell",
        prompt="a fox",
        size=exact(1024, 1024),
        size_given=True,
        image_count=1,
    )
    unsaid = Drawing(
        model="flux-1-schnell",
        prompt=" a  fox ",
        image_count=0,
        quality=Quality.AUTO,
        background=Background.AUTO,
    )
    assert effective(model, said) == effective(model, unsaid)
    assert effective(model, said) == effective(model, effective(model, said))
    assert effective(model, replace(said, size=Size())) != effective(model, said)


def test_an_edit_without_a_size_follows_its_picture() -> None:
    """Then the price is that of the picture's own size."""
    model, asked = edit("flux-dev-img2img", images=(replace(PICTURE, width_px=2000, height_px=1500),))
    route = model.route(FAL, "flux-dev-img2img")
    assert route is not None
    ask = price_ask(route, asked)
    assert (2000, 1500) == (ask.width_px, ask.height_px)
    assert 90_000_000 == plan_routes(model, asked, pin_provider=FAL).routes[0].ceiling_nanos


def test_the_count_that_is_priced_is_what_may_come_back() -> None:
    """A parameter that multiplies the pictures multiplies the hold."""
    model, asked = drawing("flux-dev", image_count=2, extra={"max_images": 3})
    rule = ExtraRule(ExtraType.INTEGER, least=Decimal(1), most=Decimal(6))
    routes: list[Route] = []
    for route in model.routes:
        limits = replace(route.limits, images_factor_key="max_images", extra={"max_images": rule})
        routes.append(replace(route, limits=limits))
    series = replace(model, routes=tuple(routes))
    assert [150_000_000, 150_000_000] == [one.ceiling_nanos for one in plan_routes(series, asked).routes]


def test_prices_of_the_example_in_the_readme() -> None:
    """A fox in snow, high, 1024x1536: 0.128 exactly at Replicate, about 0.165 and at most 0.1701 at fal."""
    model, asked = drawing(
        "gpt-image-2", prompt="a fox in snow", size=exact(1024, 1536), quality=Quality.HIGH
    )
    quotes = {}
    for route in model.routes:
        if route.price is not None and asked.operation in route.operations:
            quotes[route.provider] = route.price.estimate(price_ask(route, asked))
    assert (128_000_000, Certainty.EXACT) == (quotes[REPLICATE].expected_nanos, quotes[REPLICATE].certainty)
    assert (165_100_000, 170_100_000, Certainty.ESTIMATE) == (
        quotes[FAL].expected_nanos,
        quotes[FAL].ceiling_nanos,
        quotes[FAL].certainty,
    )
