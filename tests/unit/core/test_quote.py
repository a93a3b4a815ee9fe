"""Quotes say what the very request would cost now, and change nothing; log lines are handed on, bounded."""

from typing import Any

import pytest

from service.core.logfeed import LogFeed, NewLines
from service.core.pricing import Catalogs
from service.core.quote import Quotes
from service.core.requests import InputSource, Quote
from service.domain import commands as c
from service.domain.drawing import Operation
from service.domain.errors import FieldInvalid, ModelNotFound, RouteNotFound
from service.domain.exchange import LogLine
from tests.support.fake_provider import ENDED, RUNNING
from tests.support.orders import Orders
from tests.unit.core.rig import CATALOG, PRICE, Rig


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def quote(rig: Rig, **changes: Any) -> Quote:
    """A quote of a request; nothing is written by it."""
    quotes = Quotes(Catalogs(CATALOG, rig.clock), rig.jobs, rig.jobs, rig.switches, rig.clock)  # type: ignore[arg-type]  # budgets are all it reads
    before = rig.store.tables.image()
    found = await quotes.quote(rig.asked(**changes))
    assert before == rig.store.tables.image()
    return found


async def test_a_quote_knows_routes_prices_and_their_order(rig: Rig) -> None:
    """The first route's figures are the quote's."""
    found = await quote(rig)
    assert ("MISS", PRICE, PRICE, PRICE) == (
        found.cache, found.due_nanos, found.expected_nanos, found.ceiling_nanos,
    )  # fmt: skip
    assert [(1, "fal"), (2, "replicate")] == [(one.rank, one.provider) for one in found.routes]
    assert all(one.estimate is not None and one.estimate.ceiling_nanos == PRICE for one in found.routes)


async def test_a_quote_follows_the_cache(rig: Rig) -> None:
    """Nothing is due for what runs or is there; refreshing, bypassing and staleness cost again."""
    rig.fal.last_poll = RUNNING
    await rig.submit()
    running = await quote(rig)
    rig.fal.last_poll = ENDED
    await rig.finish()
    rig.clock.advance(60)
    found = {
        "running": running,
        "hit": await quote(rig),
        "refresh": await quote(rig, cache_mode=c.CacheMode.REFRESH, request_id="x"),
        "bypass": await quote(rig, cache_mode=c.CacheMode.BYPASS, request_id="x"),
        "stale": await quote(rig, cache_max_age_seconds=30.0),
        "other": await quote(rig, prompt="another"),
        "project": await quote(rig, project="ads"),
    }
    assert {
        "running": ("RUNNING", 0),
        "hit": ("HIT", 0),
        "refresh": ("MISS", PRICE),
        "bypass": ("BYPASSED", PRICE),
        "stale": ("MISS", PRICE),
        "other": ("MISS", PRICE),
        "project": ("MISS", PRICE),
    } == {name: (one.cache, one.due_nanos) for name, one in found.items()}


async def test_a_quote_and_its_request_agree(rig: Rig) -> None:
    """The same fingerprint, and a charge that is not above the ceiling."""
    found = await quote(rig)
    view = await rig.drawn()
    assert found.fingerprint == view.job.fingerprint
    assert view.attempts[0].total_nanos <= found.ceiling_nanos


async def test_a_quote_shows_the_budgets_that_would_count(rig: Rig) -> None:
    """The project's own, and those of the request's labels, with what is held now."""
    orders = Orders(rig.dice)
    for key, value in (("", ""), ("team", "ads"), ("team", "web")):
        rig.store.run(orders.budget(10 * PRICE, label_key=key, label_value=value))
    rig.fal.last_poll = RUNNING
    await rig.submit(labels=(("team", "ads"),))
    found = await quote(rig, prompt="another", labels=(("team", "ads"),))
    names = {(one.budget.label_value, one.window.held_nanos if one.window else None) for one in found.budgets}
    assert {("", PRICE), ("ads", PRICE)} == names
    rig.fal.last_poll = ENDED
    await rig.finish()


async def test_a_request_that_nobody_takes_is_a_quote_with_reasons(rig: Rig) -> None:
    """Unlike the request itself, it is not refused for that; a model or route that does not exist is."""
    found = await quote(rig, max_cost_nanos=1)
    assert (0, 0, 0) == (found.due_nanos, found.expected_nanos, found.ceiling_nanos)
    assert {"MAX_COST_EXCEEDED"} == {one.causes[0][0] for one in found.routes}
    with pytest.raises(ModelNotFound):
        await quote(rig, model="no-such-model")
    with pytest.raises(RouteNotFound):
        await quote(rig, pin_provider="nobody")


async def test_a_quote_of_an_edit_needs_measured_inputs(rig: Rig) -> None:
    """Nothing is fetched for it here."""
    with pytest.raises(FieldInvalid):
        await quote(
            rig,
            model="flux-kontext-pro",
            drawing={"operation": Operation.EDIT},
            images=(InputSource("edit.inputs.images[0]", content=b"a cat"),),
        )


# -- log lines


def lines(*texts: str) -> tuple[LogLine, ...]:
    return tuple(LogLine(text) for text in texts)


def test_only_new_lines_are_handed_on() -> None:
    """A growing log, its tail, a log that began anew, and one without lines."""
    new = NewLines()
    assert lines("a", "b") == new.of(lines("a", "b"))
    assert lines("c") == new.of(lines("a", "b", "c"))
    assert () == new.of(lines("b", "c"))
    assert () == new.of(())
    assert lines("d") == new.of(lines("c", "d"))
    assert lines("x") == new.of(lines("x"))
    many = lines(*(str(index) for index in range(500)))
    assert many[-100:] == new.of(many)


def test_a_reader_that_is_slow_loses_the_oldest_and_is_told_how_many() -> None:
    """What is kept is bounded; other renders' lines are not its own; a closed reader gets nothing."""
    feed = LogFeed()
    reader, other = feed.open("r"), feed.open("s")
    feed.publish("r", lines(*(str(index) for index in range(150))))
    feed.publish("r", lines(*(str(index) for index in range(150, 300))))
    taken, dropped = reader.take()
    assert (200, "100", "299", 100) == (len(taken), taken[0].text, taken[-1].text, dropped)
    assert ((), 0) == reader.take()
    assert ((), 0) == other.take()
    feed.close(reader)
    feed.close(reader)
    feed.publish("r", lines("late"))
    assert (((), 0), False, True) == (reader.take(), feed.is_read("r"), feed.is_read("s"))
