"""Every call that works in this release, on a replica that has drawn something."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import grpc
import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from lightmeter import BudgetExceeded, CostRefused, Drawing, Money, RequestIdReused
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import image_service_pb2_grpc

from sandbox import Sandbox
from tests.support.replica import WAIT_SECONDS_MAX, Replica, posts, running_replica

FOX = Drawing(model="flux-schnell", prompt="a fox in snow", size="1024x1024")


async def test_a_request_id_names_one_submission(replica: Replica, sandbox: Sandbox) -> None:
    """Repeated, it is the same job; with another request it is refused with the job's id; with another payer it is free."""
    client = replica.client()
    first = await client.generate(FOX, request_id="banner-7", timeout=WAIT_SECONDS_MAX)
    again = await client.generate(FOX, request_id="banner-7", timeout=WAIT_SECONDS_MAX)
    assert (first.job_id, True) == (again.job_id, again.replayed)
    with pytest.raises(RequestIdReused) as caught:
        await client.generate(FOX.replace(prompt="a hare"), request_id="banner-7", timeout=WAIT_SECONDS_MAX)
    assert (first.job_id, grpc.StatusCode.ALREADY_EXISTS) == (caught.value.job_id, caught.value.code)
    found = await client.get(request_id="banner-7", full=True)
    assert (first.job_id, "a fox in snow") == (found.job_id, found.proto.request.drawing.prompt)
    assert (1, 1) == (posts(sandbox), replica.rows("jobs")["jobs"])
    other = await replica.client("other").generate(FOX, request_id="banner-7", timeout=WAIT_SECONDS_MAX)
    assert first.job_id != other.job_id


async def test_jobs_are_listed_page_by_page(replica: Replica) -> None:
    """Pages hold every job once, newest first; filters narrow; another project sees nothing."""
    client = replica.client()
    ids = []
    for number in range(5):
        drawing = FOX.replace(variation=number // 2)
        job = await client.generate(drawing, labels={"round": str(number // 2)}, timeout=WAIT_SECONDS_MAX)
        ids.append(job.job_id)
    async with grpc.aio.insecure_channel(replica.application.grpc_address) as channel:
        stub = image_service_pb2_grpc.ImageServiceStub(channel)
        request = pb.ListJobsRequest(page_size=2)
        pages = []
        while True:
            page = await stub.ListJobs(request, metadata=[("lightmeter-project", "studio")])
            pages.append([job.job_id for job in page.jobs])
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    assert [2, 2, 1] == [len(page) for page in pages]
    assert ids[::-1] == [job_id for page in pages for job_id in page]
    assert 2 == len([job async for job in client.list(origins=["cache"])])
    assert ids[2:4][::-1] == [job.job_id async for job in client.list(labels={"round": "1"})]
    assert [] == [job async for job in replica.client("other").list()]


async def test_the_picture_is_the_same_by_url_and_over_grpc(replica: Replica, tmp_path: Path) -> None:
    """Both ways give the bytes whose SHA-256 is the asset's name, with the type that the bytes have."""
    client = replica.client()
    job = await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    (asset,) = job.assets
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(asset.url)
    assert (200, asset.mime_type) == (answer.status_code, answer.headers["content-type"])
    assert "immutable" in answer.headers["cache-control"]
    over_grpc = await client.read(asset.sha256)
    assert answer.content == over_grpc
    assert asset.size_bytes == len(over_grpc)
    assert over_grpc == await asset.read()


async def test_a_quote_is_what_is_charged(embedded: Replica, sandbox: Sandbox) -> None:
    """Before: the price and the routes in their order; afterwards: the cache has it; a quote itself leaves no trace."""
    client = embedded.client()
    before = embedded.rows()
    quote = await client.quote(FOX)
    assert ("MISS", Money(3_000_000)) == (quote.cache, quote.due)
    assert ["fal", "replicate"] == [route.provider for route in quote.routes if route.eligible]
    assert (before, 0) == (embedded.rows(), posts(sandbox))
    job = await client.generate(FOX, max_cost=quote.ceiling, timeout=WAIT_SECONDS_MAX)
    assert (quote.due, quote.fingerprint) == (job.receipt.charged, job.fingerprint)
    after = await client.quote(FOX)
    assert ("HIT", Money(0)) == (after.cache, after.due)
    with pytest.raises(CostRefused) as caught:
        await client.generate(FOX.replace(variation=1), max_cost="0.0029", timeout=WAIT_SECONDS_MAX)
    assert "MAX_COST_EXCEEDED" == caught.value.reason


async def test_costs_transfers_and_receipts_agree(tmp_path: Path, sandbox: Sandbox) -> None:
    """The journal's posts, the report's totals, the labels' sums and the receipts are one number."""
    rules = "reporting_labels: {studio: [team]}"
    async with running_replica(tmp_path, sandbox, rules=rules) as replica:
        client = replica.client()
        jobs = [
            await client.generate(
                FOX.replace(image_count=count), labels={"team": team}, timeout=WAIT_SECONDS_MAX
            )
            for count, team in ((1, "ads"), (2, "ads"), (3, "shop"))
        ]
        costs = await client.costs(by=("label:team",))
        by_team = {row.group["label"]: row.figures.net for row in costs.rows}
        assert {"ads": Money(9_000_000), "shop": Money(9_000_000)} == by_team
        assert [] == [row async for row in client.transfers()]  # the last minute may still change its order
        let_two_minutes_pass(replica)
        journal = [row async for row in client.transfers()]
        posted = sum(row.amount.nanos for row in journal if row.kind == "POST")
        receipts = [await client.receipt(job) for job in jobs]
        assert (
            posted == costs.total.net.nanos == sum(receipt.owed.nanos for receipt in receipts) == 18_000_000
        )
        own = [row async for row in client.transfers(jobs[0])]
        assert ["HOLD", "POST"] == [row.kind for row in own]
        assert {jobs[0].job_id} == {row.job_id for row in own}
        assert ("project:studio", "provider:fal") == (own[1].debit, own[1].credit)


def let_two_minutes_pass(replica: Replica) -> None:
    """Move the journal back, which the database itself would refuse."""
    with closing(sqlite3.connect(replica.database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("DROP TRIGGER transfers_stay_unchanged")
        connection.execute("UPDATE transfers SET booked_at = booked_at - 120000000")
        connection.commit()


async def test_a_hard_budget_refuses_with_its_figures(tmp_path: Path, sandbox: Sandbox) -> None:
    """What does not fit is refused before anything is written; what the cache has is served for nothing all the same."""
    rules = 'budgets: [{project: studio, window: month, limit_usd: "0.007"}]'
    async with running_replica(tmp_path, sandbox, rules=rules) as replica:
        client = replica.client()
        for variation in range(2):
            await client.generate(FOX.replace(variation=variation), timeout=WAIT_SECONDS_MAX)
        before = replica.rows()
        with pytest.raises(BudgetExceeded) as caught:
            await client.generate(FOX.replace(variation=2), timeout=WAIT_SECONDS_MAX)
        error = caught.value
        assert grpc.StatusCode.RESOURCE_EXHAUSTED == error.code
        assert (Money(7_000_000), Money(6_000_000), Money(0), Money(3_000_000)) == (
            error.limit,
            error.spent,
            error.held,
            error.asked,
        )
        assert error.window_end is not None
        assert (before, 2) == (replica.rows(), posts(sandbox))
        assert "CACHE" == (await client.generate(FOX, timeout=WAIT_SECONDS_MAX)).origin
        assert "SUCCEEDED" == (await replica.client("other").generate(FOX, timeout=WAIT_SECONDS_MAX)).state
        page = (await replica.http("/metrics/ledger")).text
        assert "lightmeter_budget_limit_usd{" in page
        (quoted,) = (await client.quote(FOX.replace(variation=3))).budgets
        assert (False, Money(-2_000_000)) == (quoted.fits, quoted.left_after)


async def test_an_edit_can_start_from_a_drawn_picture(embedded: Replica, sandbox: Sandbox) -> None:
    """A result is an input by its SHA-256 for its own project, and for nobody else."""
    client = embedded.client()
    (asset,) = (await client.generate(FOX, timeout=WAIT_SECONDS_MAX)).assets
    ask = Drawing(model="flux-kontext-pro", prompt="with a red scarf")
    job = await client.edit(ask, asset, timeout=WAIT_SECONDS_MAX)
    assert ("EDIT", 2) == (job.operation, posts(sandbox))


async def test_models_are_listed_with_prices_and_limits(embedded: Replica) -> None:
    """The catalog has the models of both providers, finds them by alias, and suggests a near name."""
    models = {model.name: model for model in await embedded.client().models()}
    real = {"flux-schnell", "flux-dev", "flux-1.1-pro", "gpt-image-2", "flux-kontext-pro", "flux-dev-img2img"}
    assert real <= set(models)
    assert all({"fal", "replicate"} == {route.provider for route in models[name].routes} for name in real)
    assert "flux-schnell" == (await embedded.client().model("flux-1-schnell")).name


async def test_health_and_reflection_are_on(embedded: Replica) -> None:
    """Standard tools find the services and their state."""
    async with grpc.aio.insecure_channel(embedded.application.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "lightmeter.v1.ImageService", "lightmeter.v1.LedgerService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert health_pb2.HealthCheckResponse.SERVING == answer.status
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await call.done_writing()
        answer = MessageToDict(await call.read())
        call.cancel()
    names = {service["name"] for service in answer["listServicesResponse"]["service"]}
    assert {f"lightmeter.v1.{name}Service" for name in ("Image", "Model", "Ledger", "Operator")} <= names


async def test_the_http_door_shows_what_happened(embedded: Replica) -> None:
    """Counters of the replica and exact totals of the ledger, after one drawn and one cached job."""
    client = embedded.client()
    for _ in range(2):
        await client.generate(FOX, timeout=WAIT_SECONDS_MAX)
    metrics = (await embedded.http("/metrics")).text
    for line in (
        'lightmeter_jobs_accepted_total{model="flux-schnell",operation="GENERATE",origin="CACHE",project="studio"} 1.0',
        'lightmeter_jobs_accepted_total{model="flux-schnell",operation="GENERATE",origin="PROVIDER",project="studio"} 1.0',
        'lightmeter_dispatches_total{outcome="accepted",provider="fal",route="flux-schnell"} 1.0',
        'lightmeter_cache_lookups_total{model="flux-schnell",outcome="hit"} 1.0',
    ):
        assert line in metrics.splitlines()
    assert "grpc_server_handled_total{" in metrics
    ledger = (await embedded.http("/metrics/ledger")).text
    lines = [line for line in ledger.splitlines() if line.startswith("lightmeter_ledger_avoided_usd_total{")]
    assert [Decimal("0.003")] == [Decimal(line.rpartition(" ")[2]) for line in lines]
    ready = await embedded.http("/readyz")
    assert (200, {"database": True, "pictures": True}) == (ready.status_code, ready.json()["checks"])
    assert 200 == (await embedded.http("/healthz")).status_code
    await embedded.application.drain()
    assert 503 == (await embedded.http("/readyz")).status_code
