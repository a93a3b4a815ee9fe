"""The test models, as a caller meets them: each shows one way in which a job can end, and what that costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lightmeter import Drawing, JobCancelled, JobFailed, Money

from sandbox import Sandbox
from sandbox.book import Outcome
from tests.support.replica import WAIT_SECONDS_MAX, Replica, billed_nanos, entries, posts, running_replica

PRICE = Money(10_000_000)


def asked(model: str) -> Drawing:
    """A small drawing of a test model."""
    return Drawing(model=model, prompt=f"what {model} does", size="512x512")


async def failure(replica: Replica, model: str, pin: str) -> JobFailed:
    """How a job that must fail does so."""
    with pytest.raises(JobFailed) as caught:
        await replica.client().generate(asked(model), pin=pin, timeout=WAIT_SECONDS_MAX)
    return caught.value


@pytest.fixture(params=["fal", "replicate"])
def provider(request: pytest.FixtureRequest) -> str:
    """Each test model is there at both providers."""
    return str(request.param)


@pytest.fixture
async def labelled(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Replica]:
    """A replica with a budget that counts."""
    rules = 'budgets: [{project: studio, window: total, limit_usd: "5.00"}]'
    async with running_replica(tmp_path, sandbox, rules=rules) as running:
        yield running


async def test_ok_succeeds_at_its_price(embedded: Replica, provider: str) -> None:
    job = await embedded.client().generate(asked("test-ok"), pin=provider, timeout=WAIT_SECONDS_MAX)
    assert ("SUCCEEDED", PRICE) == (job.state, job.receipt.charged)


async def test_rejected_fails_as_the_callers_fault_for_nothing(
    embedded: Replica, sandbox: Sandbox, provider: str
) -> None:
    """The provider refuses the input: nothing is charged, and asking again makes no sense."""
    error = await failure(embedded, "test-rejected", provider)
    assert "CALLER" == error.fault
    assert error.reason in {"PROVIDER_REJECTED_INPUT", "CONTENT_REJECTED"}
    assert "NEVER" == error.retry_advice
    assert (Money(0), 0) == (error.job.receipt.charged, billed_nanos(sandbox))
    assert Money(0) == (await embedded.client().costs()).total.held


async def test_overrun_is_posted_in_full_and_said(labelled: Replica, sandbox: Sandbox, provider: str) -> None:
    """A bill above the hold is never clamped: the ledger has what the provider bills, and the job has a notice."""
    client = labelled.client()
    job = await client.generate(asked("test-overrun"), pin=provider, timeout=WAIT_SECONDS_MAX)
    receipt = await client.receipt(job)
    if provider == "fal":
        # Replicate's answer has no bill, only what it drew, so that its overrun is known from the invoice alone.
        assert ["OVERRUN"] == [notice.code for notice in job.notices]
        assert Money(30_000_000) == receipt.charged
        assert [(PRICE.nanos,)] == labelled.ask("SELECT amount_nanos FROM transfers WHERE kind = 'HOLD'")
        assert billed_nanos(sandbox) == receipt.charged.nanos
        [window] = labelled.ask("SELECT spent_nanos, held_nanos, overrun_nanos FROM budget_windows")
        assert (30_000_000, 0, 20_000_000) == tuple(window)


async def test_lost_reply_is_found_again_and_never_sent_twice(
    embedded: Replica, sandbox: Sandbox, provider: str
) -> None:
    """The provider accepted and its answer got lost: one POST, its id is found in the provider's list, and it is charged once."""
    client = embedded.client()
    job = await client.generate(asked("test-lost-reply"), pin=provider, timeout=WAIT_SECONDS_MAX)
    assert ("SUCCEEDED", 1) == (job.state, len(job.assets))
    assert 1 == posts(sandbox) == len(entries(sandbox))
    receipt = await client.receipt(job)
    assert ("POSTED", PRICE, PRICE.nanos) == (receipt.settlement, receipt.charged, billed_nanos(sandbox))
    total = (await client.costs()).total
    assert (PRICE, Money(0), Money(0)) == (total.net, total.net_unconfirmed, total.held)


async def test_fails_is_free_where_it_is_unbilled(embedded: Replica, sandbox: Sandbox, provider: str) -> None:
    """A run that ends failed and unbilled costs nothing, and the ledger agrees with the provider's bill."""
    error = await failure(embedded, "test-fails", provider)
    assert ("PROVIDER_FAILED", "PROVIDER") == (error.reason, error.fault)
    assert billed_nanos(sandbox) == error.job.receipt.charged.nanos
    if not billed_nanos(sandbox):
        assert "FREE" == error.retry_advice


async def test_fails_without_a_pin_tries_every_route_before_it_gives_up(
    embedded: Replica, sandbox: Sandbox
) -> None:
    """An unbilled failure lets the next route try; each was sent once."""
    with pytest.raises(JobFailed) as caught:
        await embedded.client().generate(asked("test-fails"), timeout=WAIT_SECONDS_MAX)
    receipt = await embedded.client().receipt(caught.value.job)
    assert posts(sandbox) == len(receipt.attempts)
    assert billed_nanos(sandbox) == receipt.charged.nanos


async def test_slow_can_be_cancelled_while_it_waits(
    embedded: Replica, sandbox: Sandbox, provider: str
) -> None:
    """A cancelled job is final at once, the provider is told, and the hold is given back: it never ran, and no bill comes."""
    client = embedded.client()
    job = await client.start(asked("test-slow"), pin=provider)
    async for version in client.watch(job, timeout=WAIT_SECONDS_MAX):
        if version.route is not None and version.route.provider_request_id:
            break
    cancelled = await client.cancel(job, reason="changed my mind")
    assert ("PROVIDER_ASKED", "CANCELLED") == (cancelled.outcome, cancelled.job.state)
    with pytest.raises(JobCancelled):
        await client.result(job)
    assert "ALREADY_FINAL" == (await client.cancel(job)).outcome
    (entry,) = entries(sandbox)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        # The provider ends it, and the ledger learns of it, in their own time.
        while entry.outcome is None or (await client.receipt(job)).settlement == "OPEN":  # noqa: ASYNC110 -- another process's event
            await asyncio.sleep(0.05)
    assert entry.outcome in {Outcome.CANCELED, Outcome.ABORTED}
    receipt = await client.receipt(job)
    assert ("VOIDED", Money(0), 0) == (receipt.settlement, receipt.charged, billed_nanos(sandbox))
    assert 1 == posts(sandbox)
    assert Money(0) == (await client.costs()).total.held
