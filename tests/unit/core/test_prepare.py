"""What is remembered of requests."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.catalog.loader import load_catalog
from service.core.prepare import Preparer, request_digest
from service.core.pricing import Catalogs
from service.core.requests import Submission
from service.domain.catalog import Catalog, RoutePrice
from service.domain.commands import CacheMode
from service.domain.drawing import Drawing, Operation
from service.domain.price import PriceSnapshot
from service.domain.price_rules import MegapixelRounding, PerMegapixel
from tests.support.clock import FakeClock

PLAIN = Submission(
    project="growth",
    request_id="r-1",
    drawing=Drawing(model="flux-schnell", prompt="a lighthouse", operation=Operation.GENERATE),
    request_bytes=b"a lighthouse by flux-schnell",
)


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAIN, cache_mode=CacheMode.REFRESH),
        replace(PLAIN, cache_max_age_seconds=60.0),
        replace(PLAIN, job_timeout_seconds=60.0),
    ],
    ids=["cache mode", "cache age", "timeout"],
)
def test_a_remembered_digest_is_the_digest(other: Submission) -> None:
    """Whatever enters the digest beside the request's bytes tells two requests apart, asked in any order."""
    preparer = Preparer(Catalogs(load_catalog(sandbox=True), FakeClock()))
    for submission in (PLAIN, other, PLAIN, other):
        assert request_digest(submission) == preparer.digest(submission)
    assert preparer.digest(PLAIN) != preparer.digest(other)


def test_equal_bytes_are_prepared_once() -> None:
    """Two requests with equal bytes share a preparation; large ones are prepared each time, with an equal result."""
    preparer = Preparer(Catalogs(load_catalog(sandbox=True), FakeClock()))
    assert preparer.prepare(PLAIN, PLAIN.drawing) is preparer.prepare(PLAIN, PLAIN.drawing)
    large = replace(PLAIN, request_bytes=b"x" * 10_000)
    assert preparer.prepare(large, large.drawing) is not preparer.prepare(large, large.drawing)
    assert preparer.prepare(large, large.drawing) == preparer.prepare(PLAIN, PLAIN.drawing)


def _with_two_prices(first_day: str, second_day: str) -> Catalog:
    """The catalog, where one model's price at fal doubles on the second day."""
    catalog = load_catalog(sandbox=True)
    model = catalog.models["flux-dev"]
    route = next(one for one in model.routes if one.provider == "fal")
    [known] = route.price_versions
    old = replace(known, price=replace(known.price, effective_on=first_day))
    rule = PerMegapixel(Decimal("0.05"), MegapixelRounding.UP_BINARY)
    new = RoutePrice(replace(old.price, rule=rule, effective_on=second_day, version="v2"), "dearer", ())
    dearer = replace(route, price=old.price, price_versions=(old, new))
    return replace(catalog, models={"flux-dev": replace(model, routes=(dearer,))})


def test_an_announced_price_counts_from_its_day_on() -> None:
    """Until midnight UTC the old version prices a request, from then on the new one, without a restart; what was prepared by
    the old one is not used any more.
    """
    clock = FakeClock()
    preparer = Preparer(Catalogs(_with_two_prices("2025-01-01", "2026-01-02"), clock))
    asked = replace(PLAIN, drawing=Drawing(model="flux-dev", prompt="a fox"), pin_provider="fal")
    [before] = preparer.prepare(asked, asked.drawing).routes
    assert preparer.prepare(asked, asked.drawing) is preparer.prepare(asked, asked.drawing)
    clock.advance(24 * 3_600)
    [after] = preparer.prepare(asked, asked.drawing).routes
    assert (25_000_000, 50_000_000) == (before.ceiling_nanos, after.ceiling_nanos)
    assert "v2" == PriceSnapshot.from_json(after.price_json).version
    assert "v2" != PriceSnapshot.from_json(before.price_json).version
