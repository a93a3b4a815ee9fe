"""The catalog against the sandbox's own reading of the providers: same words, same pictures, same bills."""

from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from sandbox import catalog as played
from sandbox.catalog_fal import fal_models
from sandbox.catalog_replicate import replicate_models
from sandbox.fields import check as check_fields
from sandbox.tariffs import Made
from service.catalog.loader import load_catalog
from service.domain.catalog import ExtraRule, ExtraType, NumberRange, RouteLimits
from service.domain.drawing import (
    Dimensions,
    Drawing,
    EditInputs,
    InputPicture,
    Operation,
    Size,
)
from service.domain.price import PriceSnapshot, UsageEvidence
from service.domain.routing import check, effective, images_most, plan_routes
from service.domain.shape import shape

CATALOG = load_catalog(sandbox=True)
PLAYED = {"fal": fal_models(), "replicate": replicate_models()}
ROUTES = [(model, route) for model in CATALOG.models.values() for route in model.routes]


def between(bounds: NumberRange | None, parts: int = 1) -> st.SearchStrategy[Decimal | None]:
    """Numbers of a range, in steps of 1 / parts; None where the route has no such setting."""
    if bounds is None:
        return st.none()
    least, most = int(bounds.least * parts), int(bounds.most * parts)
    return st.none() | st.integers(least, most).map(lambda number: Decimal(number) / parts)


def sizes(limits: RouteLimits) -> st.SearchStrategy[Size]:
    """Every way to say a size that the route takes."""
    ways: list[st.SearchStrategy[Size]] = [st.just(Size())] if limits.auto_size else []
    exact = [*limits.exact_sizes, *(one.dimensions for one in limits.ratio_sizes if one.dimensions)]
    if exact:
        ways.append(st.sampled_from(exact).map(lambda one: Size(dimensions=one)))
    if limits.ratio_sizes:
        ratios = st.sampled_from(limits.aspect_ratios)
        named = st.none() | st.sampled_from(limits.resolutions) if limits.resolutions else st.none()
        ways.append(st.builds(Size, st.none(), ratios, named))
    if limits.size_range is not None:
        step = limits.size_range.multiple_px
        edges = st.integers(
            -(-limits.size_range.edge_min_px // step), limits.size_range.edge_max_px // step
        ).map(lambda steps: steps * step)
        ways.append(st.builds(Size, st.builds(Dimensions, edges, edges)))
    return st.one_of(ways)


@st.composite
def honoured(draw: st.DrawFn) -> Drawing:
    """A request made to the measure of one route."""
    model, route = draw(st.sampled_from(ROUTES))
    limits = route.limits
    operation = draw(st.sampled_from(sorted(route.operations, key=lambda one: one.value)))
    pictures = st.builds(
        InputPicture,
        st.integers(0, 9).map(lambda digit: f"{digit}" * 64),
        st.sampled_from(limits.input_mime_types),
        st.just(1000),
        st.integers(64, 4000),
        st.integers(64, 4000),
    )
    inputs = st.none()
    if operation is Operation.EDIT:
        inputs = st.builds(
            EditInputs,
            st.lists(pictures, min_size=1, max_size=limits.input_count_max).map(tuple),
            st.none() | pictures if limits.mask else st.none(),
            between(limits.strength, 100),
        )
    integers = {name: draw(between(getattr(limits, name))) for name in ("steps", "safety_tolerance")}
    drawing = Drawing(
        model=model.name,
        prompt=draw(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF), min_size=1, max_size=99)),
        operation=operation,
        size=draw(sizes(limits)),
        size_given=draw(st.booleans()),
        image_count=draw(st.integers(0, limits.image_count_max)),
        seed=None if limits.seed_max is None else draw(st.none() | st.integers(0, limits.seed_max)),
        variation=draw(st.integers(0, 3)),
        quality=draw(st.none() | st.sampled_from(limits.qualities)) if limits.qualities else None,
        format=draw(st.none() | st.sampled_from(limits.formats)) if limits.formats else None,
        background=draw(st.none() | st.sampled_from(limits.backgrounds)) if limits.backgrounds else None,
        guidance=draw(between(limits.guidance, 2)),
        extra={key: draw(extra(rule)) for key, rule in limits.extra.items() if draw(st.booleans())},
        inputs=draw(inputs),
        **{name: None if value is None else int(value) for name, value in integers.items()},
    )
    whole = effective(model, drawing)
    assume(not check(route, whole))
    return whole


def extra(rule: ExtraRule) -> st.SearchStrategy[Any]:
    """A value that the rule takes."""
    if rule.type is ExtraType.BOOLEAN:
        return st.booleans()
    if rule.type is ExtraType.TEXT:
        return st.sampled_from(rule.choices)
    return st.integers(int(rule.least or 0), int(rule.most or 0))


def played_bill(model: played.Model, body: dict[str, Any], drawing: Drawing) -> tuple[played.Ask, Made]:
    """How the sandbox reads a body, and what it would have made of it."""
    filled, problems = check_fields(model.fields, body)
    assert [] == [*problems, *model.more_rules(filled)], (model.endpoint, body)
    read = model.read(filled)
    inputs = drawing.inputs.images if drawing.inputs else ()
    size = (
        (inputs[0].width_px, inputs[0].height_px) if read.follows_picture else (read.width_px, read.height_px)
    )
    made = Made(
        prompt=read.prompt,
        quality=read.quality,
        outputs=read.count,
        width_px=size[0],
        height_px=size[1],
        inputs_px=tuple((one.width_px, one.height_px) for one in inputs),
        run_seconds=Decimal(5),
        resolution=read.resolution,
    )
    return read, made


@given(honoured())
def test_what_a_route_takes_is_understood_drawn_and_billed_as_planned(drawing: Drawing) -> None:
    """The provider accepts the body and reads the same picture from it, bills at most the ceiling, and its
    evidence settles to its own bill.
    """
    model = CATALOG.resolve(drawing.model)
    for route in model.routes:
        if check(route, drawing):
            continue
        inputs = drawing.inputs
        urls = [f"https://in/{index}" for index, _ in enumerate(inputs.images)] if inputs else []
        mask = "https://in/mask" if inputs and inputs.mask else None
        body = shape(route, drawing, seed=drawing.seed, image_urls=urls, mask_url=mask)
        machine = PLAYED[route.provider][route.endpoint.partition(":")[0]]
        assert set(body) <= {one.name for one in machine.fields}, "the provider would ignore a field"
        read, made = played_bill(machine, body, drawing)
        assert (drawing.prompt, tuple(urls), drawing.seed) == (read.prompt, read.pictures, read.seed)
        assert drawing.image_count <= read.count <= images_most(route, drawing)
        if drawing.size.dimensions is not None:
            assert drawing.size.dimensions == Dimensions(made.width_px, made.height_px)
        if drawing.format is not None:
            assert drawing.format.value == read.format.upper()
        bill = machine.tariff(made)
        plan = plan_routes(model, drawing, pin_provider=route.provider, pin_route=route.name)
        planned = plan.routes[0]
        assert bill.nanos <= planned.ceiling_nanos
        metrics = {name: Decimal(str(value)) for name, value in bill.metrics.items()}
        metrics["predict_time"] = made.run_seconds
        evidence = UsageEvidence(bill.units) if route.provider == "fal" else UsageEvidence(metrics=metrics)
        snapshot = PriceSnapshot.from_json(planned.price_json)
        charge = snapshot.settle(evidence)
        if snapshot.billed_unit is not None and snapshot.billed_unit.unit_price is None:
            assert charge is None, "a unit without a price settles nothing"
            assert bill.nanos == planned.expected_nanos
        else:
            assert charge is not None
            assert bill.nanos == charge.nanos
        assert images_most(route, drawing) <= planned.images_max
