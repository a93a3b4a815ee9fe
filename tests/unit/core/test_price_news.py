"""A price that changes, or will, is told once, with what it does to a month like the last one."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from service.core.price_news import PriceNews
from service.core.pricing import Catalogs
from service.domain.catalog import Catalog, RoutePrice
from service.domain.limits import price_news_days_count
from service.domain.price import PriceSnapshot
from service.domain.price_rules import MegapixelRounding, PerImage, PerMegapixel, Rule
from tests.support.fake_provider import FakeLog
from tests.support.memory_paid import MemoryPaid
from tests.unit.core.rig import CATALOG, MODEL, Rig

DAY = 24 * 3_600
NEWS = "fal/test-ok"


def version(price: str, day: str, rule: Rule | None = None, **changes: Any) -> PriceSnapshot:
    """A version of fal's price."""
    known = CATALOG.models[MODEL].routes[0].price
    assert known is not None
    rule = rule or PerImage(Decimal(price))
    return replace(known, **{"rule": rule, "effective_on": day, "version": f"{day}-{price}", **changes})


def priced(*prices: PriceSnapshot) -> Catalog:
    """The catalog in which fal's price has these versions, oldest first."""
    model = CATALOG.models[MODEL]
    versions = tuple(RoutePrice(one, f"{one.version} per picture", ()) for one in prices)
    fal = replace(
        model.routes[0], price=prices[-1], price_summary=versions[-1].summary, price_versions=versions
    )
    return replace(CATALOG, models={MODEL: replace(model, routes=(fal, *model.routes[1:]))})


OLD = version("0.01", "2025-01-01")
DEARER = version("0.03", "2026-01-01")


async def used(*, count: int = 2, price: PriceSnapshot = OLD) -> Rig:
    """A replica at which so many pictures were drawn at a price."""
    rig = Rig(catalog=priced(price))
    for number in range(count):
        await rig.drawn(f"subject {number}", pin_provider="fal", drawing={"image_count": 2})
    return rig


def news(rig: Rig, catalog: Catalog, log: FakeLog | None = None, **changes: Any) -> PriceNews:
    return PriceNews(
        **{
            "store": rig.store,
            "paid": MemoryPaid(rig.store),
            "oversight": rig.operators,
            "catalogs": Catalogs(catalog, rig.clock),
            "clock": rig.clock,
            "log": log or rig.log,
            **changes,
        }
    )


async def test_a_changed_price_is_told_once_with_its_effect() -> None:
    """In the log and in the audit; another look, another start and another replica tell nothing more."""
    rig = await used()
    catalog = priced(OLD, DEARER)
    log = FakeLog()
    one = news(rig, catalog, log)
    assert [1, 0] == [await one.look(), await one.look()]
    (event,) = rig.store.tables.audit
    assert ("service", "price.changed", NEWS, "2026-01-01-0.03 per picture") == (
        event.actor,
        event.action,
        event.target,
        event.reason,
    )
    details = json.loads(event.details)
    assert {
        "model": MODEL,
        "from_version": OLD.version,
        "to_version": DEARER.version,
        "effective_on": "2026-01-01",
        "monthly_effect_nanos": "80000000",
        "before_nanos": "40000000",
        "after_nanos": "120000000",
        "render_count": 2,
        "unpriced_count": 0,
        "complete": True,
    } == details
    told = [fields for name, fields in log.events if name == "price_changed"]
    assert [{"route": NEWS, **details}] == told
    assert 0 == await news(rig, catalog, log).look()
    assert [event] == rig.store.tables.audit


async def test_an_announced_price_is_told_before_its_day_and_again_on_it() -> None:
    """First as announced, from its day on as changed; each once."""
    rig = await used()
    catalog = priced(OLD, version("0.005", "2026-01-03"))
    one = news(rig, catalog)
    found = [await one.look()]
    for _ in range(3):
        rig.clock.advance(DAY)
        found.append(await one.look())
    assert [1, 0, 1, 0] == found
    announced, changed = rig.store.tables.audit
    assert ["price.announced", "price.changed"] == [announced.action, changed.action]
    assert {"-20000000"} == {json.loads(one.details)["monthly_effect_nanos"] for one in (announced, changed)}


async def test_nothing_is_told_where_nothing_changed() -> None:
    """The same price, the same price from another page, a version that is not known here yet, and an unused route."""
    rig = await used(price=DEARER)
    for catalog in (
        priced(OLD, DEARER),
        priced(
            OLD,
            DEARER,
            version("0.03", "2026-01-01", version="2026-01-01-again", source_uri="https://b.invalid"),
        ),
        priced(OLD),
        priced(OLD, DEARER, version("0.03", "2026-06-01")),
    ):
        assert 0 == await news(rig, catalog).look()
    assert 0 == await news(Rig(), priced(OLD, DEARER)).look()
    assert [] == rig.store.tables.audit


async def test_what_was_drawn_long_ago_does_not_count() -> None:
    """A month like the last one is the last one."""
    rig = await used()
    rig.clock.advance((price_news_days_count + 1) * DAY)
    assert 0 == await news(rig, priced(OLD, DEARER)).look()


async def test_what_the_new_price_cannot_price_is_counted_apart() -> None:
    """A request whose price is not known by the new rule, or that is not kept, has no effect, and is said."""
    rig = await used()
    render_id, render = next(iter(rig.store.tables.renders.items()))
    rig.store.tables.renders[render_id] = replace(render, content="")
    assert 1 == await news(rig, priced(OLD, DEARER)).look()
    details = json.loads(rig.store.tables.audit[0].details)
    assert (2, 1, "40000000") == (
        details["render_count"],
        details["unpriced_count"],
        details["monthly_effect_nanos"],
    )


async def test_size_enters_the_effect() -> None:
    """From a price per picture to one per megapixel: each request is priced by what it asked for."""
    rig = await used(count=1)
    rule = PerMegapixel(Decimal("0.02"), MegapixelRounding.UP_BINARY)
    assert 1 == await news(rig, priced(OLD, version("0.02", "2026-01-01", rule))).look()
    assert "40000000" == json.loads(rig.store.tables.audit[0].details)["after_nanos"]


async def test_more_renders_than_are_counted_are_said() -> None:
    """The effect is then of a part, and says so."""
    rig = await used(count=2)
    paid = PagedPaid(rig)
    assert 1 == await news(rig, priced(OLD, DEARER), paid=paid, renders_max=1).look()
    details = json.loads(rig.store.tables.audit[0].details)
    assert (False, 500) == (details["complete"], details["render_count"])


class PagedPaid(MemoryPaid):
    """The same render again and again, page after page."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.store)

    async def paid(self, query: Any) -> Any:
        (one, *_) = await super().paid(replace(query, after=None))
        return (one,) * query.limit
