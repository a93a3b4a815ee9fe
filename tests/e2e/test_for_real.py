"""With keys, a PostgreSQL URL and R2's variables it runs for real, and nothing else has to be changed.

What is real here is everything but the two providers: their addresses are a sandbox's, and the bucket is an S3 server's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from lightmeter import Drawing, Money

from sandbox import Sandbox
from tests.support.replica import (
    WAIT_SECONDS_MAX,
    Replica,
    billed_nanos,
    entries,
    key_settings,
    posts,
    running_replica,
)
from tests.support.seaweed import S3Server, running_s3_server

STOCK = Path(__file__).parents[2] / "deploy" / "demo-input.jpg"
FOX = Drawing(model="flux-schnell", prompt="a fox in snow", size="1024x1024")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with an empty bucket."""
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
async def real(
    tmp_path: Path, sandbox: Sandbox, postgres_url: str, bucket: S3Server
) -> AsyncIterator[Replica]:
    """A replica as it would be started where money is spent."""
    settings = key_settings(sandbox) | {"LIGHTMETER_SANDBOX_URL": ""}
    url = postgres_url.replace("postgres@", "postgres:pass-word@")
    async with running_replica(
        tmp_path, sandbox, database_url=url, bucket=bucket, settings=settings
    ) as running:
        yield running


async def test_the_main_job_runs_on_real_parts(real: Replica, sandbox: Sandbox, bucket: S3Server) -> None:
    """Drawn on both, edited from bytes, cached; pictures by presigned address; no trace in a folder, no word of a sandbox."""
    client = real.client()
    drawn = [
        await client.generate(FOX, pin=provider, timeout=WAIT_SECONDS_MAX)
        for provider in ("fal", "replicate")
    ]
    edited = await client.edit(
        Drawing(model="flux-kontext-pro", prompt="make it night"), STOCK, timeout=WAIT_SECONDS_MAX
    )
    cached = await client.generate(FOX, pin="fal", timeout=WAIT_SECONDS_MAX)
    jobs = [*drawn, edited, cached]
    assert ["PROVIDER"] * 3 + ["CACHE"] == [job.origin for job in jobs]
    assert 3 == posts(sandbox)
    assert billed_nanos(sandbox) == sum(job.receipt.charged.nanos for job in jobs) == 46_000_000
    assert Money(46_000_000) == (await client.costs()).total.net
    for job in jobs:
        (asset,) = job.assets
        assert urlsplit(bucket.endpoint_url).netloc == urlsplit(asset.url).netloc
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.get(asset.url)
        assert (200, asset.mime_type) == (answer.status_code, answer.headers["content-type"])
        assert answer.content == await client.read(asset.sha256)
    facts = real.application.facts
    assert "fal, Replicate" == facts["providers"]
    assert facts["database"].startswith("postgresql")
    assert "pass-word" not in facts["database"]
    assert bucket.bucket in facts["pictures"]
    assert "test-ok" not in {model.name for model in await client.models()}


async def test_the_providers_read_inputs_from_the_bucket(real: Replica, sandbox: Sandbox) -> None:
    """An edit's picture reaches the provider by an address that we signed, so that it is uploaded once at most."""
    await real.client().edit(
        Drawing(model="flux-kontext-pro", prompt="make it day"),
        STOCK,
        pin="replicate",
        timeout=WAIT_SECONDS_MAX,
    )
    (entry,) = entries(sandbox, "make it day")
    assert 1 == len(entry.input_shas)


async def test_readiness_asks_database_and_bucket(real: Replica) -> None:
    """Both are looked at by /readyz."""
    assert {"database": True, "pictures": True} == (await real.http("/readyz")).json()["checks"]
