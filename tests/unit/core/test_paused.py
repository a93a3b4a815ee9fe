"""Requests under switches: what goes elsewhere, what is refused, and what is answered all the same."""

import asyncio
from typing import Any

import pytest

from service.core.pricing import Catalogs
from service.core.quote import Quotes
from service.domain import commands as c
from service.domain.errors import MaxCostExceeded, Paused
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.records import JobState, Origin
from tests.support.fake_provider import ENDED, RUNNING
from tests.unit.core.rig import CATALOG, Rig

ALL = (SwitchScope.DISPATCH, "")
FAL = (SwitchScope.PROVIDER, "fal")
STUDIO = (SwitchScope.PROJECT, "growth")


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def turn(
    rig: Rig, where: tuple[SwitchScope, str], state: SwitchState = SwitchState.DRAIN, **changes: Any
) -> None:
    """Set a switch, and let this replica know."""
    command = c.SetSwitch(rig.dice.new_id(), *where, state, changes.get("until"), "INC-7", "default")
    rig.store.run(command)
    await rig.switches.refresh()


@pytest.mark.parametrize("request_bytes", [b"", b"the very same bytes"])
async def test_a_prepared_request_knows_nothing_of_switches(rig: Rig, request_bytes: bytes) -> None:
    """Whatever is remembered of a request, each submission meets the switches of its own moment."""
    first = await rig.submit("one", request_bytes=request_bytes)
    await rig.finish()
    await turn(rig, FAL)
    second = await rig.submit(
        "one", request_bytes=request_bytes, cache_mode=c.CacheMode.REFRESH, request_id="second"
    )
    await rig.finish()
    await turn(rig, FAL, SwitchState.ON)
    third = await rig.submit(
        "one", request_bytes=request_bytes, cache_mode=c.CacheMode.REFRESH, request_id="third"
    )
    await rig.finish()
    assert ["fal", "replicate", "fal"] == [rig.attempt(one).provider for one in (first, second, third)]


@pytest.mark.parametrize("where", [ALL, STUDIO])
@pytest.mark.parametrize("state", [SwitchState.DRAIN, SwitchState.OFF])
async def test_what_needs_no_dispatch_is_answered_under_any_switch(
    rig: Rig, where: tuple[SwitchScope, str], state: SwitchState
) -> None:
    """A finished picture, a running render and a known request_id; everything new is PAUSED and writes nothing."""
    await rig.drawn("done")
    rig.gate = None
    rig.fal.last_poll = RUNNING
    running = await rig.submit("running", request_id="mine")
    await rig.clock.run(5)
    await turn(rig, where, state)
    found = await rig.submit("done")
    joined = await rig.submit("running")
    known = await rig.submit("running", request_id="mine")
    assert (Origin.CACHE, Origin.SHARED, True) == (
        found.view.job.origin,
        joined.view.job.origin,
        known.replayed,
    )
    assert running.view.job.id == known.view.job.id
    before = rig.store.tables.image()
    for changes in ({}, {"cache_mode": c.CacheMode.REFRESH, "request_id": "new"}):
        with pytest.raises(Paused):
            await rig.submit("another", **changes)
    assert before == rig.store.tables.image()
    rig.fal.last_poll = ENDED
    await rig.finish()


async def test_another_project_is_not_paused(rig: Rig) -> None:
    """A project's switch is its own."""
    await turn(rig, STUDIO, SwitchState.OFF)
    with pytest.raises(Paused):
        await rig.submit()
    await rig.submit(project="ads")
    await rig.finish()


async def test_a_pin_is_not_bent(rig: Rig) -> None:
    """A request for a provider that is switched off is refused; nothing is drawn elsewhere in its place."""
    await turn(rig, FAL)
    with pytest.raises(Paused) as caught:
        await rig.submit(pin_provider="fal")
    assert "provider:fal" == caught.value.metadata["scope"]
    assert [] == rig.replicate.posted


async def test_what_was_too_dear_stays_too_dear(rig: Rig) -> None:
    """A switch on one route does not hide why the request could not be paid for anyway."""
    await turn(rig, FAL)
    with pytest.raises(MaxCostExceeded):
        await rig.submit(max_cost_nanos=1)


async def test_a_quote_shows_what_is_switched_off_behind_what_is_tried(rig: Rig) -> None:
    """The figures are those of the first route in use; with none left there is nothing due and no rank."""
    quotes = Quotes(Catalogs(CATALOG, rig.clock), rig.jobs, rig.jobs, rig.switches, rig.clock)  # type: ignore[arg-type]  # budgets are all it reads
    await turn(rig, FAL)
    found = await quotes.quote(rig.asked())
    assert [("replicate", 1, True), ("fal", 0, False)] == [
        (one.provider, one.rank, one.planned is not None) for one in found.routes
    ]
    assert (("PAUSED", "", "provider:fal is switched off: INC-7"),) == found.routes[1].causes
    assert found.routes[1].estimate is not None
    assert found.expected_nanos > 0
    await turn(rig, ALL, SwitchState.OFF)
    none = await quotes.quote(rig.asked())
    assert [None, None] == [one.planned for one in none.routes]
    assert (0, 0, 0) == (none.due_nanos, none.expected_nanos, none.ceiling_nanos)


@pytest.mark.parametrize("where", [ALL, STUDIO, FAL, (SwitchScope.ROUTE, "fal/test-ok")])
async def test_what_was_accepted_before_waits_under_off_and_goes_on_under_drain(
    rig: Rig, where: tuple[SwitchScope, str]
) -> None:
    """OFF sends nothing more until it is on again; DRAIN sends what was taken in; both finish what was sent."""
    rig.gate = asyncio.Event()
    held = await rig.submit("held")
    await turn(rig, where, SwitchState.OFF)
    rig.gate.set()
    await rig.clock.run(600.0)
    assert [] == rig.fal.posted
    await turn(rig, where, SwitchState.DRAIN)
    await rig.finish()
    assert JobState.SUCCEEDED is rig.job(held).state
    assert 1 == len(rig.fal.posted)
