"""Answers that are lost on the wire, met by the whole service: the picture is found in the provider's list, and paid for once."""

from __future__ import annotations

import asyncio

import pytest
from lightmeter import Drawing, Money

from sandbox import Sandbox
from tests.support.replica import WAIT_SECONDS_MAX, Replica, billed_nanos, posts

PRICE = Money(10_000_000)


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_an_accepted_request_whose_answer_was_lost_brings_its_picture(
    replica: Replica, sandbox: Sandbox, provider: str
) -> None:
    """One POST, one bill, and the ledger agrees with it; the caller waits a few seconds longer, and nothing else."""
    await brought(replica, sandbox, provider, "drop_after_accept")


@pytest.mark.parametrize("provider", ["fal", "replicate"])
@pytest.mark.parametrize("fault", ["no_id", "foreign_body"])
async def test_an_answer_that_names_no_id_is_as_good_as_lost(
    embedded: Replica, sandbox: Sandbox, provider: str, fault: str
) -> None:
    """It says 200, and not which request that was."""
    await brought(embedded, sandbox, provider, fault)


async def brought(replica: Replica, sandbox: Sandbox, provider: str, fault: str) -> None:
    """Ask for a picture whose dispatch meets this fault."""
    sandbox.world.faults.order({"kind": fault, "provider": provider})
    asked = Drawing(model="test-ok", prompt="a heron at dawn", size="512x512")
    job = await replica.client().generate(asked, pin=provider, timeout=WAIT_SECONDS_MAX)
    assert ("SUCCEEDED", 1, PRICE) == (job.state, len(job.assets), job.receipt.charged)
    assert (1, PRICE.nanos) == (posts(sandbox), billed_nanos(sandbox))
    assert [("SEARCH",)] == replica.ask("SELECT source FROM provider_ids")


async def test_a_job_says_that_its_dispatch_is_being_confirmed(embedded: Replica, sandbox: Sandbox) -> None:
    """Whoever watches sees CONFIRMING while nobody knows whether the provider has the request."""
    sandbox.world.faults.order({"kind": "drop_before_accept", "provider": "replicate"})
    client = embedded.client()
    asked = Drawing(model="test-ok", prompt="a heron at dusk", size="512x512")
    job = await client.start(asked, pin="replicate")
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        async for seen in client.watch(job.job_id):
            if seen.progress is not None and seen.progress.stage == "CONFIRMING":
                break
    assert "QUEUED" == (await client.get(job.job_id)).state
    assert 0 == billed_nanos(sandbox)
