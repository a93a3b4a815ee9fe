"""A real Prometheus reads a real replica, and says what the ledger says."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import lightmeter
import pytest

from tests.support.replica import Replica, running_replica, running_sandbox

READY_SECONDS_MAX = 30.0
FOX = lightmeter.Drawing(model="flux-schnell", prompt="a fox in snow", size="1024x1024")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def running_prometheus(folder: Path, replica: Replica) -> AsyncIterator[str]:
    """A Prometheus that scrapes both pages of the replica every second; its address."""
    target = replica.application.http_url.removeprefix("http://")
    file = folder / "prometheus.yml"
    file.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n"
        f"  - {{job_name: lightmeter, static_configs: [{{targets: ['{target}']}}]}}\n"
        "  - job_name: lightmeter-ledger\n"
        "    metrics_path: /metrics/ledger\n"
        f"    static_configs: [{{targets: ['{target}']}}]\n"
    )
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def answered(url: str, question: str) -> dict[str, Decimal]:
    """The sums that Prometheus has for a question by its first label, once it has any."""
    async with asyncio.timeout(READY_SECONDS_MAX), httpx.AsyncClient(trust_env=False) as browser:
        while True:
            try:
                answer = await browser.get(f"{url}/api/v1/query", params={"query": question})
                rows = answer.json()["data"]["result"] if answer.status_code == 200 else []
            except httpx.TransportError:
                rows = []  # it is still starting
            if rows:
                return {next(iter(row["metric"].values()), ""): Decimal(row["value"][1]) for row in rows}
            await asyncio.sleep(0.2)  # its scrapes come by the second, and nothing announces them


@pytest.mark.debian("prometheus")
async def test_prometheus_reads_the_exact_figures_of_the_ledger(tmp_path: Path) -> None:
    """What was charged, avoided and counted is the same over the client and in Prometheus, and both targets are up."""
    async with running_sandbox() as sandbox, running_replica(tmp_path, sandbox) as replica:
        client = replica.client()
        first = await client.generate(FOX, timeout=READY_SECONDS_MAX)
        again = await client.generate(FOX, timeout=READY_SECONDS_MAX)
        async with running_prometheus(tmp_path, replica) as url:
            charged = await answered(url, "sum by (provider) (lightmeter_ledger_charged_usd_total)")
            avoided = await answered(url, "sum by (origin) (lightmeter_ledger_avoided_usd_total)")
            accepted = await answered(url, "sum by (origin) (lightmeter_jobs_accepted_total)")
            up = await answered(url, "up")
    assert {first.route.provider: first.receipt.charged.usd} == charged
    assert {"CACHE": again.receipt.avoided.usd} == avoided
    assert {"PROVIDER": Decimal(1), "CACHE": Decimal(1)} == accepted
    assert {Decimal(1)} == set(up.values())


@pytest.mark.debian("promtool")
async def test_promtool_finds_nothing_to_say_about_either_page(tmp_path: Path) -> None:
    """Names, types and help texts of all metrics are as Prometheus wants them."""
    async with running_sandbox() as sandbox, running_replica(tmp_path, sandbox) as replica:
        await replica.client().generate(FOX, timeout=READY_SECONDS_MAX)
        pages = [(await replica.http(path)).content for path in ("/metrics", "/metrics/ledger")]
    for page in pages:
        process = await asyncio.create_subprocess_exec(
            "promtool",
            "check",
            "metrics",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate(page)
        assert "" == output.decode().strip()
        assert 0 == process.returncode
