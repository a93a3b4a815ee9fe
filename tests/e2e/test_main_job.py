"""The main job: a picture is drawn once, paid for once, kept, and every book says the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from lightmeter import Drawing, Job, JobFailed, Money

from sandbox import Sandbox
from tests.support.replica import (
    WAIT_SECONDS_MAX,
    Replica,
    billed_nanos,
    entries,
    posts,
    running_replica,
    running_sandbox,
)

STOCK = Path(__file__).parents[2] / "deploy" / "demo-input.jpg"
FOX = Drawing(model="flux-schnell", prompt="a fox in snow", size="1024x1024")


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_a_picture_is_drawn_with_live_status(tmp_path: Path, provider: str) -> None:
    """Each version is newer than the one before, the last is final, and the picture has the size that was asked for."""
    async with (
        running_sandbox(instant=False, speed=10.0) as sandbox,
        running_replica(tmp_path, sandbox) as replica,
    ):
        client = replica.client()
        started = await client.start(FOX, pin=provider)
        seen = [job async for job in client.watch(started, after_version=0, timeout=WAIT_SECONDS_MAX)]
        versions = [job.version for job in seen]
        assert versions == sorted(set(versions))
        assert ["SUCCEEDED"] == [job.state for job in seen if job.is_final]
        assert {"QUEUED", "RUNNING"} & {job.state for job in seen}
        job = seen[-1]
        assert job.route is not None
        (entry,) = entries(sandbox)
        assert (provider, entry.id) == (job.route.provider, job.route.provider_request_id)
        assert [(1024, 1024)] == [(asset.width_px, asset.height_px) for asset in job.assets]
        assert (Money(3_000_000), "BILLED_UNITS") == (job.receipt.charged, job.receipt.evidence)
        assert job.timing.added is not None
        assert job.timing.total is not None
        assert timedelta() <= job.timing.added <= job.timing.total


async def test_an_edit_starts_from_the_callers_bytes(replica: Replica, sandbox: Sandbox) -> None:
    """The provider gets the very picture that the caller sent, and the result is kept and paid for."""
    ask = Drawing(model="flux-kontext-pro", prompt="make it night, with lanterns")
    job = await replica.client().edit(ask, STOCK.read_bytes(), timeout=WAIT_SECONDS_MAX)
    (entry,) = entries(sandbox)
    assert ("EDIT", "SUCCEEDED", Money(40_000_000)) == (job.operation, job.state, job.receipt.charged)
    assert 1 == len(entry.input_shas)
    again = await replica.client().edit(ask, STOCK, timeout=WAIT_SECONDS_MAX)
    assert ("CACHE", Money(0), 1) == (again.origin, again.receipt.charged, posts(sandbox))


async def test_the_cache_answers_for_nothing_and_durably(replica: Replica, sandbox: Sandbox) -> None:
    """An equal request is a job of its own with a row of its own, the same picture, no POST and no charge."""
    client = replica.client()
    first = await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    second = await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    assert ("PROVIDER", "CACHE") == (first.origin, second.origin)
    assert first.job_id != second.job_id
    assert [asset.sha256 for asset in first.assets] == [asset.sha256 for asset in second.assets]
    assert (Money(0), first.receipt.charged) == (second.receipt.charged, second.receipt.avoided)
    assert second.age is not None
    assert 1 == posts(sandbox)
    assert {"jobs": 2, "renders": 1, "transfers": 2} == replica.rows("jobs", "renders", "transfers")
    assert "SUCCEEDED" == (await client.get(second.job_id)).state


async def test_variation_refresh_and_another_project_draw_anew(replica: Replica, sandbox: Sandbox) -> None:
    """What asks for another picture, a newer one, or belongs to another payer is drawn and paid for."""
    client = replica.client()
    jobs = [await client.generate(FOX, timeout=WAIT_SECONDS_MAX)]
    jobs.append(await client.generate(FOX.replace(variation=1), timeout=WAIT_SECONDS_MAX))
    jobs.append(await client.generate(FOX, cache="refresh", timeout=WAIT_SECONDS_MAX))
    jobs.append(await client.generate(FOX, cache="bypass", timeout=WAIT_SECONDS_MAX))
    jobs.append(await replica.client("other").generate(FOX, timeout=WAIT_SECONDS_MAX))
    assert ["PROVIDER"] * 5 == [job.origin for job in jobs]
    assert 5 == posts(sandbox)
    newest = await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    assert [asset.sha256 for asset in jobs[2].assets] == [asset.sha256 for asset in newest.assets]


@pytest.mark.parametrize("instant", [True, False])
async def test_twenty_equal_requests_are_one_post_and_one_charge(tmp_path: Path, instant: bool) -> None:
    """However many ask at once, the provider sees one request, and one job pays for all."""
    async with (
        running_sandbox(instant=instant, speed=10.0) as sandbox,
        running_replica(tmp_path, sandbox) as replica,
    ):
        client = replica.client()
        jobs = await asyncio.gather(*(client.generate(FOX, timeout=WAIT_SECONDS_MAX) for _ in range(20)))
        assert 1 == posts(sandbox)
        assert 1 == sum(bool(job.receipt.charged) for job in jobs)
        assert 20 == len({job.job_id for job in jobs})
        assert 1 == len({job.assets[0].sha256 for job in jobs})
        (payer,) = [job for job in jobs if job.origin == "PROVIDER"]
        assert {payer.job_id} == {job.receipt.payer_job_id for job in jobs if job.origin == "SHARED"} | {
            payer.job_id
        }
        assert billed_nanos(sandbox) == payer.receipt.charged.nanos


async def test_the_three_books_agree_to_the_nano(replica: Replica, sandbox: Sandbox) -> None:
    """Receipts, the ledger's totals, its transfers, /metrics/ledger and the providers' own bills are one number."""
    client = replica.client()
    asks = [
        (FOX, "fal"),
        (FOX, "replicate"),
        (FOX.replace(image_count=3, prompt="three foxes"), "fal"),
        (Drawing(model="flux-dev", prompt="a hare", size="1024x768"), "fal"),
        (Drawing(model="flux-1.1-pro", prompt="a lynx"), "replicate"),
        (Drawing(model="gpt-image-2", prompt="an owl", size="1024x1024", quality="low"), "fal"),
        (Drawing(model="gpt-image-2", prompt="an owl", size="1024x1024", quality="high"), "replicate"),
        (FOX, "fal"),
    ]
    jobs: list[Job] = []
    for drawing, provider in asks:
        quote = await client.quote(drawing, pin=provider)
        job = await client.generate(drawing, pin=provider, timeout=WAIT_SECONDS_MAX)
        assert quote.fingerprint == job.fingerprint
        if quote.cache == "HIT":
            assert Money(0) == quote.due == job.receipt.charged
        else:
            assert quote.ceiling is not None
            assert job.receipt.charged <= quote.ceiling
            if quote.routes[0].certainty == "EXACT":
                assert quote.expected == job.receipt.charged
        jobs.append(job)
    receipts = [await client.receipt(job) for job in jobs]
    charged = sum(receipt.owed.nanos for receipt in receipts)
    assert billed_nanos(sandbox) == charged
    costs = await client.costs(by=("provider", "origin"))
    assert (charged, 8, 7) == (costs.total.net.nanos, costs.total.job_count, costs.total.attempt_count)
    assert charged == sum(row.figures.net.nanos for row in costs.rows)
    for provider in ("fal", "replicate"):
        part = sum(row.figures.net.nanos for row in costs.rows if row.group["provider"] == provider)
        assert sandbox.world.book.totals[provider].billed_nanos == part
    page = (await replica.http("/metrics/ledger")).text
    lines = [line for line in page.splitlines() if line.startswith("lightmeter_ledger_charged_usd_total{")]
    assert Decimal(charged) / 10**9 == sum(Decimal(line.rpartition(" ")[2]) for line in lines)
    posted = replica.ask("SELECT sum(amount_nanos) FROM transfers WHERE kind = 'POST'")
    assert [(charged,)] == [(int(total),) for (total,) in posted]


async def test_a_receipt_names_price_units_and_evidence(embedded: Replica) -> None:
    """The receipt of a finished job has its attempt, its lines sum to the charge, and nothing is still held."""
    client = embedded.client()
    job = await client.generate(FOX.replace(image_count=2), pin="fal", timeout=WAIT_SECONDS_MAX)
    receipt = await client.receipt(job)
    (attempt,) = receipt.attempts
    assert ("POSTED", "BILLED_UNITS") == (attempt.settlement, attempt.evidence)
    assert receipt.charged == attempt.charged == Money(sum(line.amount.nanos for line in attempt.lines))
    assert attempt.price_rule == "fal/flux-schnell"
    assert job.receipt.charged == receipt.charged == Money(6_000_000)
    costs = await client.costs()
    assert Money(0) == costs.total.held


@pytest.mark.parametrize("kind", ["exhausted_balance", "rate_limited", "concurrency_limited"])
async def test_a_refused_dispatch_goes_to_the_next_route(
    embedded: Replica, sandbox: Sandbox, kind: str
) -> None:
    """The route that surely did not accept costs nothing; the next one draws, and the job says so."""
    sandbox.world.faults.order({"kind": kind, "provider": "fal"})
    client = embedded.client()
    job = await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    receipt = await client.receipt(job)
    assert ["fal", "replicate"] == [attempt.provider for attempt in receipt.attempts]
    assert ["VOIDED", "POSTED"] == [attempt.settlement for attempt in receipt.attempts]
    assert ["FAILED_OVER"] == [notice.code for notice in job.notices]
    assert job.route is not None
    assert "replicate" == job.route.provider
    assert billed_nanos(sandbox) == receipt.charged.nanos == 3_000_000


async def test_a_refusal_by_every_route_is_a_free_failure(embedded: Replica, sandbox: Sandbox) -> None:
    """When nobody accepts, the job fails, says that trying again is free, and has paid nothing."""
    for provider in ("fal", "replicate"):
        sandbox.world.faults.order({"kind": "rate_limited", "provider": provider, "times": None})
    with pytest.raises(JobFailed) as caught:
        await embedded.client().generate(FOX, timeout=WAIT_SECONDS_MAX)
    assert ("ROUTES_UNAVAILABLE", "FREE") == (caught.value.reason, caught.value.retry_advice)
    assert Money(0) == caught.value.job.receipt.charged
    assert [] == entries(sandbox)
    assert Money(0) == (await embedded.client().costs()).total.held


async def test_usage_is_booked_in_the_current_month(embedded: Replica) -> None:
    """A report of this month has what was drawn now; last month's has nothing."""
    client = embedded.client()
    await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    now = datetime.now(UTC)
    before = (now.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    assert 1 == (await client.costs(month=now.strftime("%Y-%m"))).total.job_count
    assert 0 == (await client.costs(month=before)).total.job_count
