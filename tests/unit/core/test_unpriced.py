"""Routes without a price: refused, unless the project says what may be held for them; then charged as unconfirmed, never as 0."""

from dataclasses import replace
from typing import Any

import pytest

from service.core.pricing import Catalogs
from service.core.quote import Quotes
from service.domain.commands import Correct
from service.domain.errors import BudgetExceeded, MaxCostExceeded, PriceUnknown
from service.domain.price import Certainty, PriceSnapshot
from service.domain.records import Grade, Origin
from tests.support.orders import Orders
from tests.unit.core.rig import CATALOG, MODEL, PRICE, Rig

HALF_DOLLAR = 500_000_000
GROWTH = {"growth": HALF_DOLLAR}


def without_prices(*providers: str) -> Any:
    """The catalog, with no price of MODEL at these providers."""
    model = CATALOG.models[MODEL]
    routes = tuple(
        replace(one, price=None, price_versions=(), cost_examples=(), price_summary="")
        if one.provider in providers
        else one
        for one in model.routes
    )
    return replace(CATALOG, models={**CATALOG.models, MODEL: replace(model, routes=routes)})


def rig_of(*providers: str, unpriced: dict[str, int] | None = None) -> Rig:
    return Rig(catalog=without_prices(*providers), unpriced=unpriced)


async def test_a_missing_price_refuses_the_request() -> None:
    """Without the project's word nothing is held, sent or written."""
    rig = rig_of("fal", "replicate", unpriced={"another": HALF_DOLLAR})
    with pytest.raises(PriceUnknown):
        await rig.submit()
    assert ({}, 0) == (rig.store.tables.jobs, len(rig.store.tables.transfers))


async def test_what_is_allowed_is_held_and_charged_as_unconfirmed() -> None:
    """The ceiling stands until somebody bills; the receipt names no version of any price."""
    rig = rig_of("fal", "replicate", unpriced=GROWTH)
    view = await rig.drawn()
    (attempt,) = view.attempts
    assert (HALF_DOLLAR, HALF_DOLLAR, Grade.UNCONFIRMED) == (
        attempt.hold_nanos,
        attempt.settled_nanos,
        attempt.grade,
    )
    snapshot = PriceSnapshot.from_json(attempt.price)
    assert (f"fal/{MODEL}", "unpriced", "unpriced") == (snapshot.rule_id, snapshot.version, snapshot.kind)
    rig.check()


async def test_a_bill_with_money_settles_it() -> None:
    """A billing event corrects the ceiling to what was billed."""
    rig = rig_of("fal", "replicate", unpriced=GROWTH)
    (attempt,) = (await rig.drawn()).attempts
    assert attempt.provider_id is not None
    await rig.store.execute(Correct(attempt.id, 40_000_000, Grade.BILLING_EVENT))
    billed = rig.store.tables.attempts[attempt.id]
    assert (40_000_000, Grade.BILLING_EVENT) == (billed.total_nanos, billed.grade)
    rig.check()


async def test_the_avoided_cost_of_a_picture_without_a_price_is_not_known() -> None:
    """Neither who joined nor who found it in the cache is told that so much was saved; nor that it was nothing."""
    rig = rig_of("fal", "replicate", unpriced=GROWTH)
    await rig.submit()
    joined = await rig.submit()
    await rig.finish()
    hit = await rig.submit()
    assert [(Origin.SHARED, None), (Origin.CACHE, None)] == [
        (rig.job(one).origin, rig.job(one).avoided_nanos) for one in (joined, hit)
    ]
    rig.check()


async def test_after_the_bill_the_avoided_cost_is_known() -> None:
    """A hit is worth what was billed."""
    rig = rig_of("fal", "replicate", unpriced=GROWTH)
    (attempt,) = (await rig.drawn()).attempts
    await rig.store.execute(Correct(attempt.id, 40_000_000, Grade.BILLING_EVENT))
    assert 40_000_000 == rig.job(await rig.submit()).avoided_nanos


async def test_a_route_with_a_price_goes_first() -> None:
    """Even a dearer one: what it costs is known."""
    rig = rig_of("fal", unpriced={"growth": 1})
    view = await rig.drawn()
    assert ["replicate"] == [one.provider for one in view.attempts]
    assert PRICE == view.attempts[0].hold_nanos


async def test_limits_count_what_is_held() -> None:
    """max_cost and a hard budget look at the configured ceiling."""
    rig = rig_of("fal", "replicate", unpriced=GROWTH)
    with pytest.raises(MaxCostExceeded):
        await rig.submit(max_cost_nanos=HALF_DOLLAR - 1)
    await rig.store.execute(Orders(rig.dice).budget(HALF_DOLLAR - 1))
    with pytest.raises(BudgetExceeded):
        await rig.submit("another")


async def test_equal_requests_of_two_projects_are_prepared_apart() -> None:
    """What one project allows is not what the next one gets, though their requests are byte for byte the same."""
    rig = rig_of("fal", "replicate", unpriced={"growth": HALF_DOLLAR, "ads": 7})
    held = []
    for project in ("growth", "ads"):
        submitted = await rig.submit(project=project, request_bytes=b"the same")
        held.append(rig.attempt(submitted).hold_nanos)
    with pytest.raises(PriceUnknown):
        await rig.submit(project="others", request_bytes=b"the same")
    assert [HALF_DOLLAR, 7] == held
    await rig.finish()


async def test_a_quote_says_that_only_the_ceiling_is_known() -> None:
    """With the allowance: last in order, and nothing but a ceiling. Without it: not eligible, certainty unknown."""
    rig = Rig()
    catalogs = Catalogs(without_prices("fal"), rig.clock, GROWTH)
    quotes = Quotes(catalogs, rig.jobs, rig.jobs, rig.switches, rig.clock)  # type: ignore[arg-type]  # budgets are all it reads
    allowed = await quotes.quote(rig.asked())
    refused = await quotes.quote(rig.asked(project="ads"))
    assert [("replicate", 1), ("fal", 2)] == [(one.provider, one.rank) for one in allowed.routes]
    estimate = allowed.routes[1].estimate
    assert estimate is not None
    assert (HALF_DOLLAR, Certainty.CEILING_ONLY) == (estimate.ceiling_nanos, estimate.certainty)
    assert (None, None) == (refused.routes[1].planned, refused.routes[1].estimate)
