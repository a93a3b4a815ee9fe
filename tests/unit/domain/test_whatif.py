"""Pricing anew: what each change does to each request, and what is counted where there is no price."""

from dataclasses import replace
from typing import Any

from service.catalog.loader import load_catalog
from service.domain.drawing import Dimensions, Drawing, EditInputs, InputPicture, Operation, Quality, Size
from service.domain.errors import Reason
from service.domain.fingerprint import content
from service.domain.limits import whatif_causes_shown
from service.domain.routing import effective
from service.domain.whatif import NOWHERE, Cause, Change, Comparison, PaidRender, reprice

CATALOG = load_catalog(sandbox=True)
FAL_DEV = ("flux-dev", "fal", "flux-dev")


def paid(
    model: str = "flux-dev", *, net: int = 25_000_000, pin: str | None = None, **asked: Any
) -> PaidRender:
    """A render that fal drew of such a request."""
    known = CATALOG.resolve(model)
    drawing = effective(known, Drawing(model=model, prompt="a fox", size_given="size" in asked, **asked))
    text = content(drawing, revision=known.revision, pin_provider=pin)
    operation = drawing.operation.value
    return PaidRender("a1", 0, "growth", known.name, "fal", model, operation, "", net, text)


def priced(change: Change, one: PaidRender) -> tuple[str, str, str, int]:
    """Model, provider, route and expected price; it must have one."""
    found = reprice(CATALOG, change, one)
    assert not isinstance(found, Cause), found
    model, planned = found
    return model, planned.provider, planned.route, planned.expected_nanos


def test_another_model_is_routed_and_priced_like_a_new_request() -> None:
    """By alias too; the cheapest ceiling goes first."""
    for name in ("flux-schnell", "flux-1-schnell"):
        assert ("flux-schnell", "fal", "flux-schnell", 3_000_000) == priced(Change(model=name), paid())


def test_another_quality_changes_the_price_where_there_are_qualities() -> None:
    """From high to low; a model without qualities cannot honour one."""
    high = paid("gpt-image-2", quality=Quality.HIGH)
    assert 128_000_000 == priced(Change(pin_provider="replicate"), high)[3]
    assert 12_000_000 == priced(Change(quality=Quality.LOW, pin_provider="replicate"), high)[3]
    refused = reprice(CATALOG, Change(quality=Quality.LOW), paid())
    assert isinstance(refused, Cause)
    assert (Reason.NO_ELIGIBLE_ROUTE, True) == (refused.reason, "drawing.quality" in refused.text)


def test_a_pin_chooses_the_route_and_the_request_s_own_pin_stays_without_one() -> None:
    """Pinned requests were drawn where their caller wanted them, and would be again."""
    assert "replicate" == priced(Change(pin_provider="replicate", pin_route="flux-dev"), paid())[1]
    assert "replicate" == priced(Change(model="flux-schnell"), paid(pin="replicate"))[1]
    assert "fal" == priced(Change(pin_provider="fal"), paid(pin="replicate"))[1]


def test_inputs_count_and_size_enter_the_price() -> None:
    """Of the request as it was kept, with its measured inputs."""
    picture = InputPicture("0" * 64, "image/png", 10, 2000, 1500)
    edit = paid("flux-dev-img2img", operation=Operation.EDIT, inputs=EditInputs((picture,)), image_count=2)
    assert 180_000_000 == priced(Change(pin_provider="fal"), edit)[3]
    large = paid(size=Size(dimensions=Dimensions(2048, 2048)))
    assert 12_000_000 == priced(Change(model="flux-schnell"), large)[3]


def test_what_the_change_cannot_honour_has_a_cause() -> None:
    """Never a price that belongs to another picture."""
    gone = replace(paid(), model="flux-0")
    for change, one, reason in (
        (Change(model="nano-banana-2"), paid(), Reason.NO_ELIGIBLE_ROUTE),
        (Change(pin_provider="fal"), paid("sdxl"), Reason.ROUTE_NOT_FOUND),
        (Change(quality=Quality.LOW), gone, Reason.MODEL_NOT_FOUND),
        (Change(model="flux-dev"), replace(paid(), content='{"v":"0"}'), Reason.NO_ELIGIBLE_ROUTE),
        (Change(model="flux-dev"), replace(paid(), content="{}"), Reason.NO_ELIGIBLE_ROUTE),
    ):
        found = reprice(CATALOG, change, one)
        assert isinstance(found, Cause), found
        assert reason is found.reason


def test_a_route_without_a_price_is_no_answer() -> None:
    """What a project allows to be held is no price."""
    model = CATALOG.models["flux-dev"]
    routes = tuple(replace(one, price=None) for one in model.routes)
    catalog = replace(CATALOG, models={**CATALOG.models, "flux-dev": replace(model, routes=routes)})
    found = reprice(catalog, Change(), paid())
    assert isinstance(found, Cause)
    assert Reason.PRICE_UNKNOWN is found.reason


def test_a_comparison_sums_by_old_and_new_route() -> None:
    """What cannot be priced is beside what can; what was pruned is in no row; the total is the rows' sum."""
    comparison = Comparison(CATALOG, Change(model="flux-schnell"))
    comparison.add([paid(), paid(net=26_000_000), paid("flux-1.1-pro", net=40_000_000)])
    comparison.add(
        [paid(image_count=3, size=Size(dimensions=Dimensions(272, 272))), paid(net=7, guidance=99)]
    )
    comparison.add([replace(paid(net=5), content="")])
    rows = {(old, new): sums for old, new, sums in comparison.rows}
    schnell = ("flux-schnell", "fal", "flux-schnell")
    dev = rows[FAL_DEV, schnell]
    assert (3, 0, 76_000_000, 76_000_000, 15_000_000, 15_000_000) == (
        dev.renders, dev.unpriced, dev.actual_nanos, dev.actual_priced_nanos, dev.expected_nanos, dev.ceiling_nanos,
    )  # fmt: skip
    left = rows[FAL_DEV, NOWHERE]
    assert (1, 1, 7, 0, 0) == (
        left.renders, left.unpriced, left.actual_nanos, left.actual_priced_nanos, left.expected_nanos,
    )  # fmt: skip
    assert [1] == [count for _, count in left.commonest]
    total = comparison.total
    assert (5, 1, 116_000_007, 18_000_000) == (
        total.renders, total.unpriced, total.actual_nanos, total.expected_nanos,
    )  # fmt: skip
    assert (1, 5) == (comparison.pruned_count, comparison.pruned_nanos)


def test_causes_are_counted_within_bounds() -> None:
    """The commonest are shown; however many there are, they are not all kept."""
    comparison = Comparison(CATALOG, Change(model="flux-schnell"))
    for number in range(40):
        comparison.add([paid(extra={f"key{number}": 1})] * (1 + (number == 3)))
    (_, _, sums) = comparison.rows[0]
    assert 41 == sums.unpriced == sum(sums.causes.values())
    assert len(sums.causes) <= 21
    assert whatif_causes_shown == len(sums.commonest)
    counts = [count for _, count in sums.commonest]
    assert sorted(counts, reverse=True) == counts
