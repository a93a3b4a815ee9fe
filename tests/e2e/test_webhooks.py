"""Webhooks between a whole replica and the sandbox: they end renders quickly, find lost answers, and can't be forged."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from lightmeter import Drawing, Money

from sandbox import Sandbox
from tests.support.replica import (
    Replica,
    billed_nanos,
    entries,
    posts,
    running_replica,
    running_sandbox,
)

SECONDS_MAX = 12.0
"""Less than the shortest pause between two polls while webhooks are on: what ends within it was woken."""
PRICE = Money(10_000_000)
OK = Drawing(model="test-ok", prompt="a quay at night", size="512x512")


def free_port() -> int:
    """A port that nobody listens on now: the public address has to be known before the door is open."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def at(port: int) -> dict[str, str]:
    """Settings of a replica whose HTTP door is reached by the sandbox."""
    return {
        "LIGHTMETER_HTTP_ADDRESS": f"127.0.0.1:{port}",
        "LIGHTMETER_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }


@asynccontextmanager
async def hooked(folder: Path, *, instant: bool = False) -> AsyncIterator[tuple[Replica, Sandbox]]:
    """A replica that the sandbox sends webhooks to; requests take half a second or so, unless they are instant."""
    async with (
        running_sandbox(instant=instant, speed=10.0) as sandbox,
        running_replica(folder, sandbox, settings=at(free_port())) as replica,
    ):
        if not instant:
            sandbox.world.faults.order({"kind": "slow", "args": {"seconds": 5.0}, "times": None})
        yield replica, sandbox


async def counted(replica: Replica, name: str, **labels: str) -> float:
    """The sum of a counter's samples that have these labels."""
    text = (await replica.http("/metrics")).text
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(one in line for one in wanted))


async def counted_soon(replica: Replica, **labels: str) -> float:
    """How many webhooks have these labels, as soon as there is one; 0 when none comes."""
    for _ in range(20):
        found = await counted(replica, "lightmeter_webhooks_total", **labels)
        if found:
            return found
        await asyncio.sleep(0.05)
    return 0.0


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_a_render_ends_by_its_webhook(tmp_path: Path, provider: str) -> None:
    """The job is done long before the second slow poll would have been due, and the provider was polled twice at most."""
    async with hooked(tmp_path) as (replica, _):
        job = await replica.client().generate(OK, pin=provider, timeout=SECONDS_MAX)
        assert ("SUCCEEDED", PRICE) == (job.state, job.receipt.charged)
        assert 2 >= await counted(replica, "lightmeter_polls_total", provider=provider)
        assert 1 == await counted_soon(replica, provider=provider, outcome="bound")


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_a_lost_answer_is_found_by_its_webhook(tmp_path: Path, provider: str) -> None:
    """Accepted, and the answer lost: the webhook names the id, the job succeeds, and there is one POST and one bill."""
    async with hooked(tmp_path) as (replica, sandbox):
        sandbox.world.faults.order({"kind": "drop_after_accept", "provider": provider})
        # The list would show it too; here it has to be the webhook.
        sandbox.world.faults.order({"kind": "list_missing", "provider": provider})
        job = await replica.client().generate(OK, pin=provider, timeout=SECONDS_MAX)
        assert ("SUCCEEDED", PRICE, 1) == (job.state, job.receipt.charged, posts(sandbox))
        assert PRICE.nanos == billed_nanos(sandbox)
        (entry,) = entries(sandbox)
        assert job.route is not None
        assert entry.id == job.route.provider_request_id
        assert [("WEBHOOK",)] == [tuple(row) for row in replica.ask("SELECT source FROM provider_ids")]


@pytest.mark.parametrize(
    ("kind", "args", "outcome"),
    [
        ("forge_webhook", {}, "forged"),
        ("truncate_webhook", {}, "forged"),
        ("huge_webhook", {}, "too_large"),
        ("stray_webhook", {}, "unknown"),
        ("repeat_webhook", {"copies": 3}, "repeated"),
        ("gateway_webhook", {}, "bound"),
        ("null_payload_webhook", {}, "bound"),
    ],
)
async def test_strange_webhooks_change_nothing(
    tmp_path: Path, kind: str, args: dict[str, Any], outcome: str
) -> None:
    """Whatever comes beside the right webhook is counted as what it is, and the job ends as if it had not come."""
    async with hooked(tmp_path) as (replica, sandbox):
        sandbox.world.faults.order({"kind": kind, "args": args, "provider": "fal"})
        job = await replica.client().generate(OK, pin="fal", timeout=SECONDS_MAX)
        assert ("SUCCEEDED", PRICE, 1) == (job.state, job.receipt.charged, posts(sandbox))
        assert 1 <= await counted_soon(replica, provider="fal", outcome=outcome)
        assert {"attempts": 1, "transfers": 2} == replica.rows("attempts", "transfers")


@pytest.mark.parametrize("kind", ["lose_webhook", "stale_webhook"])
async def test_without_its_webhook_a_render_is_polled_to_its_end(tmp_path: Path, kind: str) -> None:
    """A webhook that never comes, or that cannot be believed, leaves everything to the poller."""
    async with hooked(tmp_path, instant=True) as (replica, sandbox):
        sandbox.world.faults.order({"kind": kind, "provider": "fal"})
        job = await replica.client().generate(OK, pin="fal", timeout=SECONDS_MAX)
        assert ("SUCCEEDED", PRICE) == (job.state, job.receipt.charged)
        assert 0 == await counted(replica, "lightmeter_webhooks_total", outcome="bound")


async def test_any_replica_takes_any_webhook(tmp_path: Path, postgres_url: str) -> None:
    """A webhook that comes to another replica wakes the owner through the database."""
    port = free_port()
    elsewhere = {"LIGHTMETER_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    async with running_sandbox(instant=False, speed=10.0) as sandbox:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        sandbox.world.faults.order({"kind": "slow", "args": {"seconds": 5.0}})
        async with (
            running_replica(tmp_path / "one", sandbox, database_url=postgres_url, settings=at(port)) as taker,
            running_replica(
                tmp_path / "two", sandbox, database_url=postgres_url, settings=elsewhere
            ) as owner,
        ):
            job = await owner.client().generate(OK, pin="fal", timeout=SECONDS_MAX)
            assert "SUCCEEDED" == job.state
            assert 1 == await counted_soon(taker, provider="fal", outcome="bound")
            assert 0 == await counted(owner, "lightmeter_webhooks_total")
            assert 2 >= await counted(owner, "lightmeter_polls_total", provider="fal")


async def test_without_a_public_address_nobody_is_told_to_send(tmp_path: Path) -> None:
    """Polling alone: no request names a webhook, and the door has no such page."""
    async with (
        running_sandbox(instant=False, speed=10.0) as sandbox,
        running_replica(tmp_path, sandbox) as replica,
    ):
        job = await replica.client().generate(OK, pin="fal", timeout=SECONDS_MAX)
        (entry,) = entries(sandbox)
        assert ("SUCCEEDED", None) == (job.state, entry.webhook_url)
        assert 404 == (await replica.http(f"/webhooks/fal/{'a' * 32}")).status_code
