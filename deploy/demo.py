"""The main job from end to end on one machine: `make demo`, or `make demo IMAGE=path` to edit a picture of your own.

Starts the service on its embedded defaults (SQLite, a folder, the sandbox that plays both providers), calls it only through the
public Python client, and shows what the ledger and /metrics say of it. Nothing is spent.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import lightmeter
from rich import box
from rich.console import Console
from rich.table import Table

FOLDER = Path("demo")
DATA = FOLDER / "data"
STOCK = Path(__file__).parent / "demo-input.jpg"
START_SECONDS_MAX = 60.0
CALL_SECONDS_MAX = 120.0
EQUAL_REQUESTS = 20

TABLE_COLUMNS = 118

console = Console(highlight=False, record=True, width=max(TABLE_COLUMNS, shutil.get_terminal_size().columns))


@dataclass(frozen=True)
class Service:
    """A running service and where it listens."""

    grpc: str
    http: str


@asynccontextmanager
async def running() -> AsyncIterator[Service]:
    """The service as a child process on free ports; ended with the block."""
    shutil.rmtree(DATA, ignore_errors=True)
    environment = {
        **os.environ,
        "LIGHTMETER_DATA_DIR": str(DATA),
        "LIGHTMETER_GRPC_ADDRESS": "127.0.0.1:0",
        "LIGHTMETER_HTTP_ADDRESS": "127.0.0.1:0",
        "LIGHTMETER_SANDBOX": "on",
        "LIGHTMETER_LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            service = await _facts(process)
        yield service
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _facts(process: asyncio.subprocess.Process) -> Service:
    found: dict[str, str] = {}
    assert process.stderr is not None
    while "providers" not in found:
        line = (await process.stderr.readline()).decode()
        if not line:
            raise SystemExit("the service did not start")
        console.print(line.rstrip(), style="dim")
        name, _, value = line.strip().partition("  ")
        found[name] = value.strip()
    return Service(found["gRPC"], found["HTTP"])


def steps(title: str) -> Callable[[lightmeter.Progress], None]:
    """A callback that prints each new stage once."""
    seen: set[str] = set()

    def show(progress: lightmeter.Progress) -> None:
        text = progress.stage.lower().replace("_", " ")
        if progress.queue_position:
            text += f" at place {progress.queue_position}"
        if progress.fraction is not None:
            text += f" {progress.fraction:.0%}"
        if text not in seen:
            seen.add(text)
            console.print(f"  [dim]{title}:[/] {text}")

    return show


async def show(job: lightmeter.Job, name: str) -> None:
    """One line for a finished job; its pictures are saved."""
    for asset in job.assets:
        path = (
            FOLDER / f"{name}{'' if asset.index == 0 else asset.index}.{asset.mime_type.rpartition('/')[2]}"
        )
        await asset.save(path)
        console.print(f"  [bold]{path}[/] {asset.width_px}x{asset.height_px}", end="  ")
    receipt = job.receipt
    saved = f", avoided {receipt.avoided}" if receipt.avoided else ""
    console.print(
        f"[green]{receipt.charged}[/] {receipt.evidence.lower()}{saved}  origin {job.origin.lower()}"
    )


async def tour(client: lightmeter.AsyncClient, image: Path) -> list[lightmeter.Job]:
    """Everything that the product is for, call by call."""
    jobs = []
    fox = lightmeter.Drawing(model="flux-schnell", prompt="a fox in snow, first light", size="1024x1024")

    console.rule("[bold]Generate on fal")
    jobs.append(await client.generate(fox, pin="fal", on_progress=steps("fal"), timeout=CALL_SECONDS_MAX))
    await show(jobs[-1], "fox-fal")

    console.rule("[bold]Generate on Replicate")
    jobs.append(
        await client.generate(fox, pin="replicate", on_progress=steps("replicate"), timeout=CALL_SECONDS_MAX)
    )
    await show(jobs[-1], "fox-replicate")

    console.rule(f"[bold]Edit {image.name} with an instruction")
    edit = lightmeter.Drawing(model="flux-kontext-pro", prompt="make it night, with lanterns")
    jobs.append(await client.edit(edit, [image], on_progress=steps("edit"), timeout=CALL_SECONDS_MAX))
    await show(jobs[-1], "edited")

    console.rule("[bold]The first request again: from the cache, for nothing")
    jobs.append(await client.generate(fox, pin="fal", timeout=CALL_SECONDS_MAX))
    await show(jobs[-1], "fox-again")

    console.rule(f"[bold]{EQUAL_REQUESTS} equal requests at once: one is paid")
    hare = lightmeter.Drawing(model="flux-dev", prompt="a hare under northern lights", size="1024x768")
    equal = await asyncio.gather(
        *(client.generate(hare, timeout=CALL_SECONDS_MAX) for _ in range(EQUAL_REQUESTS))
    )
    paid = [job for job in equal if job.receipt.charged.nanos > 0]
    jobs.extend(equal)
    await show(paid[0], "hare")
    total = sum((job.receipt.charged.usd for job in equal), start=paid[0].receipt.charged.usd * 0)
    console.print(f"  {len(equal)} jobs, {len(paid)} paid, ${total} in all")
    if len(paid) != 1:
        raise SystemExit("single flight is broken: more than one of the equal requests was paid")
    return jobs


def receipts(jobs: list[lightmeter.Job]) -> Table:
    """Every job's receipt."""
    table = Table(title="Receipts", title_justify="left", box=box.SIMPLE)
    for column in (
        "job",
        "model",
        "origin",
        "provider",
        "settlement",
        "evidence",
        "charged",
        "avoided",
        "total",
        "ours",
    ):
        numbers = column in ("charged", "avoided", "total", "ours")
        table.add_column(column, justify="right" if numbers else "left", no_wrap=True)
    for job in jobs:
        receipt, timing = job.receipt, job.timing
        provider = job.route.provider if job.route else ""
        table.add_row(
            job.job_id[-8:],
            job.model,
            job.origin.lower(),
            provider,
            receipt.settlement.lower(),
            receipt.evidence.lower().replace("_", " "),
            str(receipt.charged),
            str(receipt.avoided or ""),
            f"{timing.total.total_seconds():.2f} s" if timing.total is not None else "",
            f"{timing.added.total_seconds() * 1000:.0f} ms" if timing.added is not None else "",
        )
    return table


async def totals(client: lightmeter.AsyncClient, service: Service) -> None:
    """What the ledger says, and the lines of /metrics that say the same."""
    report = await client.costs(by=("provider", "origin"))
    table = Table(title="The ledger's totals", title_justify="left", box=box.SIMPLE)
    for column in ("provider", "origin", "jobs", "pictures", "charged", "avoided"):
        table.add_column(column)
    for row in [*report.rows, None]:
        figures = row.figures if row else report.total
        group = (row.group["provider"], row.group["origin"]) if row else ("total", "")
        table.add_row(
            *(str(one or "").lower() for one in group),
            str(figures.job_count),
            str(figures.image_count),
            str(figures.charged),
            str(figures.avoided),
        )
    console.print(table)
    console.record = False
    console.rule("[bold]/metrics/ledger says the same")
    text = await asyncio.to_thread(_fetch, f"{service.http}/metrics/ledger")
    wanted = (
        "lightmeter_ledger_charged_usd_total{",
        "lightmeter_ledger_avoided_usd_total{",
        "lightmeter_ledger_jobs_total{",
    )
    for line in text.splitlines():
        if line.startswith(wanted):
            console.print(f"  {line}", style="dim", soft_wrap=True)


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 -- the demo's own loopback address
        text: str = answer.read().decode()
    return text


async def main() -> None:
    """Run the tour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, default=STOCK, help="the picture to edit")
    parser.add_argument("--svg", type=Path, help="save what was shown, without the long tables, as a picture")
    arguments = parser.parse_args()
    image = arguments.image
    if not image.is_file():
        raise SystemExit(f"{image}: no such file")
    FOLDER.mkdir(exist_ok=True)
    async with running() as service, lightmeter.AsyncClient(service.grpc) as client:
        jobs = await tour(client, image)
        console.record = False
        console.print(receipts(jobs))
        console.record = True
        await totals(client, service)
    console.print(f"\nThe pictures lie in [bold]{FOLDER}/[/].")
    if arguments.svg is not None:
        # Without the fonts that the picture would fetch from elsewhere.
        svg = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="make demo"), flags=re.DOTALL)
        arguments.svg.write_text(svg)


if __name__ == "__main__":
    asyncio.run(main())
