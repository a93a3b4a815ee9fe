"""The commands that ask for pictures and wait for them: generate, edit, watch, quote."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from lightmeter.async_client import AsyncClient
from lightmeter.cli import words
from lightmeter.cli.asking import Images, JobId, JsonFlag, OutPath, asks, out_path
from lightmeter.cli.session import FAILED, ProgressLine, session_of, show
from lightmeter.drawing import Drawing
from lightmeter.job import Job
from lightmeter.options import SubmitOptions, WatchOptions

Timeout = Annotated[float | None, typer.Option(help="How many seconds to wait; the job goes on after it.")]
Mask = Annotated[str, typer.Option(help="What of the first picture may change: a path, URL or SHA-256.")]
Strength = Annotated[float | None, typer.Option(help="How far the result may depart from it, 0 to 1.")]


@asks
def generate(
    context: typer.Context,
    drawing: Drawing,
    options: SubmitOptions,
    out: OutPath = "",
    timeout: Timeout = None,
    json: JsonFlag = False,
) -> None:
    """Draw a picture from words, and wait for it."""

    async def work(client: AsyncClient) -> None:
        job = await client.start(drawing, timeout=timeout, **options)
        await _follow(client, job, out, timeout=timeout, as_json=json, variation=drawing.variation)

    session_of(context).run(work, as_json=json)


@asks
def edit(
    context: typer.Context,
    drawing: Drawing,
    options: SubmitOptions,
    image: Images,
    mask: Mask = "",
    strength: Strength = None,
    out: OutPath = "",
    timeout: Timeout = None,
    json: JsonFlag = False,
) -> None:
    """Draw a picture from pictures and words, and wait for it."""

    async def work(client: AsyncClient) -> None:
        job = await client.start_edit(
            drawing, image, mask=mask or None, strength=strength, timeout=timeout, **options
        )
        await _follow(client, job, out, timeout=timeout, as_json=json, variation=drawing.variation)

    session_of(context).run(work, as_json=json)


@asks
def quote(
    context: typer.Context,
    drawing: Drawing,
    options: SubmitOptions,
    image: Images = [],  # noqa: B006 - typer's own way to say: none; it is never written to
    mask: Mask = "",
    strength: Strength = None,
    json: JsonFlag = False,
) -> None:
    """Tell what a picture would cost and where it would be drawn. Nothing is spent."""

    async def work(client: AsyncClient) -> None:
        found = await client.quote(drawing, image or None, mask=mask or None, strength=strength, **options)
        show(found.proto, found.explain(), as_json=json)

    session_of(context).run(work, as_json=json)


def watch(
    context: typer.Context,
    job_id: JobId,
    out: OutPath = "",
    timeout: Timeout = None,
    logs: Annotated[bool, typer.Option("--logs", help="Show the provider's log too, on stderr.")] = False,
    json: JsonFlag = False,
) -> None:
    """Follow a job until it is final. With --json, each version is a line of JSON."""

    async def work(client: AsyncClient) -> None:
        if not json:
            await _follow(client, job_id, out, timeout=timeout, as_json=False, logs=logs)
            return
        async for version in client.watch(job_id, timeout=timeout):
            typer.echo(words.as_json(version.proto, one_line=True))
            if version.is_final and version.state != "SUCCEEDED":
                raise typer.Exit(FAILED)
            await _show_result(client, version, out, silent=True)

    session_of(context).run(work, as_json=json)


async def _follow(
    client: AsyncClient,
    job: Job | str,
    out: str,
    *,
    timeout: float | None,
    as_json: bool,
    variation: int = 0,
    logs: bool = False,
) -> None:
    with ProgressLine(silent=as_json) as line:

        def tell(version: Job) -> None:
            if version.progress is not None:
                line.tell(version.progress)
            elif version.is_final and version.origin != "CACHE":
                line.end(version)

        follow = WatchOptions(on_job=tell)
        if logs:
            follow["on_log"] = lambda entry: line.note(entry.text)
        try:
            done = await client.result(job, timeout=timeout, **follow)
        except asyncio.CancelledError:
            job_id = job.job_id if isinstance(job, Job) else job
            line.note(f"the job goes on: lightmeter watch {job_id}")
            raise
    await _show_result(client, done, out, silent=as_json, variation=variation)
    if as_json:
        typer.echo(words.as_json(done.proto))


async def _show_result(client: AsyncClient, job: Job, out: str, *, silent: bool, variation: int = 0) -> None:
    lines = []
    for asset in job.assets:
        place = asset.url or asset.sha256
        if out:
            path = out_path(out, asset.index, len(job.assets), asset.suffix, job.job_id)
            await client.save(asset, path)
            place = str(path)
        lines.append(f"{place} {asset.width_px}x{asset.height_px}")
    if silent:
        return
    if free := words.source(job, variation):
        typer.echo(free)
    end = f"job {job.job_id}" if free else f"{words.price(job)} · job {job.job_id}"
    typer.echo(f"{lines[0]} · {end}" if len(lines) == 1 else "\n".join([*lines, end]))
    for notice in job.notices:
        typer.echo(f"notice {words.lower(notice.code)}: {notice.message}")
