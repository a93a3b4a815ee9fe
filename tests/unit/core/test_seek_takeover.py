"""Whoever takes a doubtful dispatch over: the same search, the sender's late word, and the end of an owner's own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from service.core.requests import Submitted
from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.exchange import Unclear
from service.domain.failure import Failure, Fault, ProviderUnavailable, RetryAdvice
from service.domain.records import AttemptState, JobState
from tests.support.clock import settle
from tests.support.fake_provider import ReplyLost
from tests.unit.core.lost import asked, name, of
from tests.unit.core.rig import PRICE, Rig

__all__ = ["name"]

NOT_ACCEPTED = Unclear("timeout", "no answer")
LOST = ReplyLost("timeout", "no answer")
REFUSED = Failure(Reason.ROUTES_UNAVAILABLE, "too many requests", Fault.PROVIDER, RetryAdvice.FREE)
POSTED = ("POST", PRICE, "BILLED_UNITS")
VOID = ("VOID", 0, "NONE")


@dataclass
class Sending:
    """A replica whose POST hangs; as good as dead until it is let go."""

    rig: Rig
    answer: asyncio.Event

    async def close(self) -> None:
        """Let it say its word, and end it."""
        self.answer.set()
        await self.rig.runner.stop()


class Scene(Rig):
    """The replica that takes over, and those that hang."""

    def __init__(self) -> None:
        super().__init__()
        self.hanging: list[Sending] = []


@pytest.fixture
async def rig() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    for one in scene.hanging:
        await one.close()
    await scene.runner.stop()


async def taken_over(rig: Scene, name: str, *, arrived: bool, seed: int = 4) -> Submitted:
    """A render whose sender died under its POST."""
    rig.gate = asyncio.Event()
    submitted = await rig.submit(pin_provider=name, drawing={"seed": seed})
    await rig.runner.stop()
    rig.gate.set()
    attempt, render = rig.attempt(submitted), rig.render(submitted)
    provider, _ = of(rig, name)
    sender = Rig(beside=rig)
    provider.held_back = asyncio.Event()
    rig.hanging.append(Sending(sender, provider.held_back))
    await sender.runner.start()
    sender.runner.begin(rig.view(submitted))
    await settle()
    assert AttemptState.DISPATCHING is rig.attempt(submitted).state
    provider.held_back = None
    if arrived:
        provider.arrive(provider.posted[0], "unheard")
    assert attempt.id == rig.attempt(submitted).id
    rig.store.run(c.TakeOver(((render.id, render.fence),), "replica-1"))
    await rig.runner.start()
    rig.runner.begin(rig.view(submitted))
    return submitted


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_taken_over_dispatch_is_resolved_like_the_senders_own(
    rig: Scene, name: str, arrived: bool
) -> None:
    """Found in seconds if it arrived; else proven absent in its time. The one who died never says a word."""
    submitted = await taken_over(rig, name, arrived=arrived)
    provider, _ = of(rig, name)
    started = rig.clock.monotonic()
    await rig.clock.run(5)
    if arrived:
        assert "unheard" == rig.attempt(submitted).provider_id
    await rig.finish()
    again = not arrived and name == "replicate"
    assert (JobState.SUCCEEDED if arrived or again else JobState.FAILED) is rig.job(submitted).state
    assert (2 if again else 1) == len(provider.posted)
    if not arrived:
        assert rig.clock.monotonic() - started > 120


async def test_nobody_doubts_a_dispatch_before_its_post_must_have_ended(rig: Scene, name: str) -> None:
    """The window of 5 s, the POST's 30 s and 30 s more: until then it is DISPATCHING, whoever owns it."""
    submitted = await taken_over(rig, name, arrived=False)
    await rig.clock.run(64)
    assert AttemptState.DISPATCHING is rig.attempt(submitted).state
    await rig.clock.run(10)
    assert AttemptState.UNKNOWN is rig.attempt(submitted).state
    await rig.runner.stop()


async def test_the_senders_late_word_that_nothing_was_sent_is_believed(rig: Scene, name: str) -> None:
    """Before anybody doubted, the attempt is sent by its new owner; afterwards it is refused, and goes on as that."""
    submitted = await taken_over(rig, name, arrived=False)
    provider, _ = of(rig, name)
    attempt = rig.attempt(submitted)
    rig.store.run(c.NotSent(attempt.id, attempt.send_before or 0))
    await rig.finish()
    assert (JobState.SUCCEEDED, 2) == (rig.job(submitted).state, len(provider.posted))
    assert 1 == len(rig.view(submitted).attempts)


async def test_the_senders_late_refusal_is_believed(rig: Scene) -> None:
    """It costs nothing."""
    submitted = await taken_over(rig, "fal", arrived=False)
    await rig.clock.run(80)
    rig.store.run(c.Reject(rig.attempt(submitted).id, REFUSED))
    await rig.finish()
    assert (JobState.FAILED, VOID) == (rig.job(submitted).state, rig.kinds(rig.attempt(submitted))[-1])


async def test_whoever_takes_over_late_still_looks(rig: Rig) -> None:
    """After a long outage of ours the horizon has passed: what arrived is there to be found all the same."""
    rig.gate = asyncio.Event()
    submitted = await rig.submit(pin_provider="replicate")
    render = rig.render(submitted)
    rig.replicate.dispatches.append(LOST)
    await rig.runner.stop()
    rig.gate.set()
    rig.records["replicate"].away = 999
    await rig.runner.start()
    rig.runner.begin(rig.view(submitted))
    await settle()
    await rig.runner.stop()
    rig.clock.advance(4_000)
    rig.records["replicate"].away = 2
    rig.store.run(c.TakeOver(((render.id, rig.render(submitted).fence),), "replica-1"))
    await rig.runner.start()
    rig.runner.begin(rig.view(submitted))
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.replicate.posted))


async def test_an_owner_that_lost_its_render_stops_searching(rig: Rig, name: str) -> None:
    """It resolves nothing any more."""
    provider, records = of(rig, name)
    provider.dispatches.append(NOT_ACCEPTED)
    records.away = 999
    submitted = await asked(rig, name)
    await rig.clock.run(10)
    render = rig.render(submitted)
    rig.store.run(c.TakeOver(((render.id, render.fence),), "replica-1"))
    await rig.clock.run(120)
    assert (0, AttemptState.UNKNOWN) == (rig.runner.running_count, rig.attempt(submitted).state)


async def test_a_pause_that_the_list_asks_for_is_kept(rig: Rig) -> None:
    """A 429 with Retry-After is not asked again before."""
    provider, records = of(rig, "replicate")
    provider.dispatches.append(LOST)
    records.faults.append(ProviderUnavailable("429", retry_after_seconds=30.0))
    await asked(rig, "replicate")
    await rig.finish()
    assert records.searched[1] - records.searched[0] >= 30.0
