"""Searches under bad conditions: a list that others read for minutes, and a marker that is much older than its POST."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.core.pokes import poke_key
from service.domain import commands as c
from service.domain.exchange import Unclear
from service.domain.limits import searches_running_max
from service.domain.records import JobState
from tests.support.clock import settle
from tests.support.fake_provider import ReplyLost
from tests.support.memory_store import Fault as StoreFault
from tests.unit.core.rig import PRICE, Rig

NOT_ACCEPTED = Unclear("timeout", "no answer")
LOST = ReplyLost("timeout", "no answer")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    one = Rig()
    yield one
    await one.runner.stop()


async def test_whoever_waits_for_its_turn_to_search_still_hears_webhooks(rig: Rig) -> None:
    """Others' readings of a slow list may take minutes; what is bound meanwhile is followed at once."""
    records = rig.records["fal"]
    rig.fal.dispatches.extend([NOT_ACCEPTED] * (searches_running_max + 1))
    records.hanging = asyncio.Event()
    for number in range(searches_running_max):
        await rig.submit(pin_provider="fal", prompt=f"lighthouse {number}")
    await settle(60)
    await rig.clock.run(30)
    assert searches_running_max == len(records.searched)
    submitted = await rig.submit(pin_provider="fal", prompt="the last one")
    await settle(60)
    await rig.clock.run(30)
    attempt = rig.attempt(submitted)
    rig.store.run(c.BindProviderId(attempt.id, "fal", "told", source="WEBHOOK"))
    rig.store.hints.publish((poke_key(attempt.render_id),))
    await rig.clock.run(1)
    assert JobState.SUCCEEDED is rig.job(submitted).state
    records.hanging.set()


async def test_a_marker_that_was_committed_long_before_its_post_is_searched_for_by_the_post(rig: Rig) -> None:
    """Its commit was not known for minutes: the provider lists the request at the time of its POST, and nothing is sent twice."""
    rig.replicate.dispatches.append(LOST)
    rig.store.faults.append(StoreFault(c.Dispatch, committed=True))
    rig.store.faults.extend(StoreFault(c.Dispatch, committed=False) for _ in range(400))
    submitted = await rig.submit(pin_provider="replicate")
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.replicate.posted))


async def test_nobody_waits_for_the_end_of_what_was_cancelled_longer_than_a_quarter_of_an_hour(
    rig: Rig,
) -> None:
    """The search for a request that its caller cancelled ends after 15 minutes: its hold is charged as unconfirmed, and what is
    found later corrects that.
    """
    rig.fal.dispatches.append(Unclear("timeout", "no answer"))
    submitted = await rig.submit(pin_provider="fal")
    await settle()
    job = rig.job(submitted)
    await rig.store.execute(c.Cancel(job.id, job.project))
    started = rig.clock.monotonic()
    await rig.finish()
    assert [("HOLD", 0, "NONE"), ("POST", PRICE, "UNCONFIRMED")] == rig.kinds(rig.attempt(submitted))
    assert 900 <= rig.clock.monotonic() - started < 1_000
