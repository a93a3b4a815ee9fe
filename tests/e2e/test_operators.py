"""What operators do to a running service: switches that hold on every replica, and attempts decided by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from lightmeter import Conflict, Drawing, FieldInvalid, Money, NotFound, Paused, Quote

from sandbox import Sandbox
from tests.e2e.test_process import running, said, told
from tests.support.replica import WAIT_SECONDS_MAX, Replica, entries, posts, running_replica

FOX = Drawing(model="flux-schnell", prompt="a fox in snow", size="1024x1024")
ROUTES = {"provider": "provider:fal", "route": "route:fal/flux-schnell"}


def tried(quote: Quote) -> list[str]:
    """The providers that a quote would ask, in order."""
    return [route.provider for route in quote.routes if route.eligible]


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    """Look again and again."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await found():  # noqa: ASYNC110 -- another replica learns of it in its own time
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("scope", ROUTES.values())
@pytest.mark.parametrize("state", ["off", "drain"])
async def test_what_is_switched_off_is_gone_around(replica: Replica, scope: str, state: str) -> None:
    """The quote says why fal is left out, the picture comes from Replicate; switched on again, fal is first again."""
    client = replica.client()
    assert ["fal", "replicate"] == tried(await client.quote(FOX))
    await client.set_switch(scope, state, reason="INC-7", lasts=timedelta(minutes=30))
    quote = await client.quote(FOX)
    assert ["replicate"] == tried(quote)
    left_out = next(route for route in quote.routes if route.provider == "fal")
    assert ["PAUSED"] == [one.reason for one in left_out.exclusions]
    assert "INC-7" in left_out.exclusions[0].message
    assert "DISABLED" == left_out.health
    job = await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    assert job.route is not None
    assert "replicate" == job.route.provider
    with pytest.raises(Paused) as caught:
        await client.generate(FOX.replace(variation=1), pin="fal")
    assert (scope, state.upper(), "INC-7") == tuple(
        caught.value.metadata[key] for key in ("scope", "state", "reason")
    )
    assert caught.value.metadata["expireTime"].endswith("Z")
    await client.set_switch(scope, "on", reason="over")
    assert ["fal", "replicate"] == tried(await client.quote(FOX.replace(variation=2)))
    again = await client.generate(FOX.replace(variation=2), timeout=WAIT_SECONDS_MAX)
    assert again.route is not None
    assert "fal" == again.route.provider
    assert () == await client.switches()


async def test_with_all_dispatches_off_only_what_costs_nothing_is_answered(
    replica: Replica, sandbox: Sandbox
) -> None:
    """New pictures are PAUSED and write nothing; the cache, and what was accepted once, are answered as before."""
    client = replica.client()
    first = await client.generate(FOX, request_id="banner-1", timeout=WAIT_SECONDS_MAX)
    # A request that was prepared before, and is remembered, must not slip through.
    await client.quote(FOX.replace(variation=1))
    await client.set_switch("dispatch", "off", reason="INC-7")
    before = replica.rows()
    with pytest.raises(Paused) as caught:
        await client.generate(FOX.replace(variation=1))
    assert ("dispatch", "OFF") == (caught.value.metadata["scope"], caught.value.metadata["state"])
    with pytest.raises(Paused):
        await client.generate(FOX, cache="refresh", request_id="banner-2")
    assert (before, 1) == (replica.rows(), posts(sandbox))
    cached = await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    repeated = await client.generate(FOX, request_id="banner-1", timeout=WAIT_SECONDS_MAX)
    assert ("CACHE", first.job_id, True) == (cached.origin, repeated.job_id, repeated.replayed)
    quote = await client.quote(FOX)
    assert ("HIT", Money(0), []) == (quote.cache, quote.due, tried(quote))
    await client.set_switch("dispatch", "on", reason="over")
    await client.generate(FOX.replace(variation=1), timeout=WAIT_SECONDS_MAX)
    assert 2 == posts(sandbox)


async def test_a_project_is_paused_alone(embedded: Replica) -> None:
    """Nobody else notices; what nobody has is refused with the name that was meant; the audit tells all of it."""
    client = embedded.client()
    await client.set_switch("project:studio", "drain", reason="over budget")
    with pytest.raises(Paused):
        await client.generate(FOX)
    await embedded.client("other").generate(FOX, timeout=WAIT_SECONDS_MAX)
    with pytest.raises(NotFound) as caught:
        await client.set_switch("provider:fla", "off", reason="INC-7")
    assert "fal" == caught.value.suggestion
    with pytest.raises(FieldInvalid):
        await client.set_switch("provider:fal", "off", reason="")
    told_events = [event async for event in client.audit_events()]
    assert [("studio", "switch.set", "project:studio", "over budget")] == [
        (one.actor, one.action, one.target, one.reason) for one in told_events
    ]


@pytest.fixture
async def pair(tmp_path: Path, sandbox: Sandbox, postgres_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas with one database."""
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(running_replica(tmp_path, sandbox, database_url=postgres_url))
            for _ in range(2)
        ]
        yield first, second


async def test_a_switch_holds_on_every_replica_and_for_those_that_start_later(
    pair: tuple[Replica, Replica], tmp_path: Path, sandbox: Sandbox
) -> None:
    """Set on one, known to the other about a second later, and to a new one before it takes its first call."""
    first, second = (replica.client() for replica in pair)
    await first.set_switch("dispatch", "off", reason="INC-7")

    async def known() -> bool:
        return not tried(await second.quote(FOX))

    await until(known)
    with pytest.raises(Paused):
        await second.generate(FOX)
    async with running_replica(tmp_path, sandbox, database_url=pair[0].database_url) as third:
        with pytest.raises(Paused):
            await third.client().generate(FOX)
    await second.set_switch("dispatch", "on", reason="over")

    async def known_again() -> bool:
        return bool(tried(await first.quote(FOX)))

    await until(known_again)
    assert 0 == posts(sandbox)


async def test_a_lost_dispatch_is_adopted_by_hand_and_ends_well(replica: Replica, sandbox: Sandbox) -> None:
    """Listed as UNKNOWN; with the id that the provider's own page shows, the picture comes and is paid once."""
    sandbox.world.faults.order({"kind": "drop_after_accept"})
    sandbox.world.faults.order({"kind": "list_missing"})
    client = replica.client()
    started = await client.start(FOX, pin="fal")

    async def unknown() -> bool:
        return bool([one async for one in client.list_attempts()])

    await until(unknown)
    (attempt,) = [one async for one in client.list_attempts(provider="fal", job=started)]
    assert ("UNKNOWN", "OPEN", Money(3_000_000)) == (attempt.state, attempt.settlement, attempt.held)
    assert attempt.detail
    assert attempt.resolve_deadline_time is not None
    (entry,) = entries(sandbox)
    adopted = await client.resolve_attempt(attempt, adopt=entry.id, reason="seen on fal's page")
    assert ("ACCEPTED", (entry.id,)) == (adopted.state, adopted.provider_request_ids)
    with pytest.raises(Conflict):
        await client.resolve_attempt(attempt, amount="0.003", reason="twice")
    job = await client.result(started, timeout=WAIT_SECONDS_MAX)
    assert ("SUCCEEDED", Money(3_000_000), 1) == (job.state, job.receipt.charged, posts(sandbox))
    full = await client.get(job.job_id, full=True)
    told_of = {event.kind: event.cause for event in full.events}
    assert {"UNKNOWN", "RESOLVED_BY_HAND"} <= told_of.keys()
    assert "by studio: seen on fal's page" in told_of["RESOLVED_BY_HAND"]


async def test_the_commands_of_operators_do_what_they_say(tmp_path: Path, sandbox: Sandbox) -> None:
    """switch, attempts, audit and explain against a real service: words, JSON and exit codes."""
    ask = ("a fox in snow", "-m", "flux-schnell", "--size", "1024x1024")
    async with running(tmp_path, sandbox) as service:
        code, words, _ = await said(
            service, "switch", "off", "provider:fal", "--for", "30m", "--reason", "INC-7"
        )
        assert (0, True) == (code, words.startswith("provider:fal  off  until "))
        code, words, _ = await said(service, "switch", "list")
        assert (0, True) == (code, "INC-7 (studio)" in words)
        code, words, _ = await said(service, "quote", *ask)
        assert (0, True) == (code, "provider:fal is switched off: INC-7" in words)
        code, _, complaint = await said(service, "generate", *ask, "--pin", "fal")
        assert (3, True) == (code, "switched off: provider:fal (INC-7)" in complaint)
        assert (0, "provider:fal  on    over (studio)\n") == (
            await said(service, "switch", "on", "provider:fal", "--reason", "over")
        )[:2]
        job = await told(service, "generate", *ask)
        assert (0, "no such attempts\n") == (await said(service, "attempts"))[:2]
        listed = (await told(service, "attempts", "--state", "succeeded"))["attempts"]
        assert [job["jobId"]] == [one["jobId"] for one in listed]
        code, _, complaint = await said(
            service, "attempts", "resolve", listed[0]["attemptId"], "--adopt", "x", "--reason", "late"
        )
        assert (3, True) == (code, "ETAG_MISMATCH" in complaint or "doubt" in complaint)
        events = (await told(service, "audit"))["events"]
        assert ["on", "off"] == [
            one["details"]["state"].lower() for one in events if one["action"] == "switch.set"
        ]
        code, words, _ = await said(service, "explain", job["jobId"])
        assert (0, True) == (code, "succeeded" in words)
