"""The commands that look at work: jobs, job, cancel, models, explain."""

from __future__ import annotations

from typing import Annotated

import typer

from lightmeter.async_client import AsyncClient
from lightmeter.catalog import Model, seconds_text
from lightmeter.cli import explaining, words
from lightmeter.cli.asking import JobId, JsonFlag
from lightmeter.cli.session import session_of, show
from lightmeter.job import Job

Words = Annotated[list[str] | None, typer.Option(show_default=False)]


def jobs(
    context: typer.Context,
    state: Words = None,
    model: Words = None,
    provider: Words = None,
    origin: Words = None,
    reason: Words = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    oldest_first: Annotated[bool, typer.Option("--oldest-first")] = False,
    json: JsonFlag = False,
) -> None:
    """List jobs, newest first. Filters may be repeated, and take words in any letter case."""

    async def work(client: AsyncClient) -> None:
        found = [
            job
            async for job in client.list(
                states=state or (),
                models=model or (),
                providers=provider or (),
                origins=origin or (),
                failure_reasons=reason or (),
                labels=words.parse_labels(label or ()),
                oldest_first=oldest_first,
                limit=limit,
            )
        ]
        text = words.columns([_job_cells(job) for job in found], right=(4,)) or "no jobs"
        show(words.json_list("jobs", (job.proto for job in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _job_cells(job: Job) -> tuple[str, ...]:
    route = job.route.provider if job.route else "-"
    state = job.failure.reason if job.failure else job.state
    return (
        job.job_id,
        words.clock(job.create_time).partition(".")[0],
        words.lower(state),
        f"{job.model} {route}",
        str(job.receipt.owed),
        job.origin.lower(),
    )


def job(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(help="A job's id.", show_default=False)] = "",
    request_id: Annotated[str, typer.Option(help="Find it by the request_id of its submission.")] = "",
    json: JsonFlag = False,
) -> None:
    """Show one job with everything that is kept of it."""

    async def work(client: AsyncClient) -> None:
        found = await client.get(job_id, request_id=request_id, full=True)
        show(found.proto, _job_text(found), as_json=json)

    session_of(context).run(work, as_json=json)


def _job_text(found: Job) -> str:
    route = f"{found.route.provider}/{found.route.route}" if found.route else ""
    facts = {
        "job": found.job_id,
        "state": words.phrase(found.progress) if found.progress else words.ending(found),
        "prompt": found.proto.request.drawing.prompt,
        "model": f"{found.model} {route}".rstrip(),
        "origin": words.source(found) or found.origin.lower(),
        "price": words.price(found),
        "labels": " ".join(f"{key}={value}" for key, value in sorted(found.labels.items())),
        "request_id": found.request_id,
        "accepted": words.clock(found.create_time),
    }
    if found.failure:
        facts["failure"] = f"{found.failure.reason}: {found.failure.message}"
    lines = [(key, value) for key, value in facts.items() if value]
    lines += [
        ("picture", f"{item.width_px}x{item.height_px} {item.mime_type} {item.url}") for item in found.assets
    ]
    lines += [("notice", f"{words.lower(item.code)}: {item.message}") for item in found.notices]
    return words.columns(lines)


def cancel(
    context: typer.Context,
    job_id: JobId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    json: JsonFlag = False,
) -> None:
    """End a job at once. The provider may bill it all the same."""
    sentences = {
        "NOT_SENT": "cancelled before it was sent; nothing will be charged",
        "PROVIDER_ASKED": "cancelled; the provider was asked to stop, and may bill it all the same",
        "DETACHED": "cancelled; the drawing goes on for others, and its payer is charged",
        "ALREADY_FINAL": "it was final already",
    }

    async def work(client: AsyncClient) -> None:
        found = await client.cancel(job_id, reason=reason)
        text = f"{sentences.get(found.outcome, words.lower(found.outcome))} · {words.price(found.job)}"
        show(found.proto, text, as_json=json)

    session_of(context).run(work, as_json=json)


def models(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Show only this one.")] = "",
    json: JsonFlag = False,
) -> None:
    """List the models, their routes and how each charges."""

    async def work(client: AsyncClient) -> None:
        found = (await client.model(name),) if name else await client.models()
        text = words.columns([row for model in found for row in _model_rows(model)]) or "no models"
        show(words.json_list("models", (model.proto for model in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _model_rows(model: Model) -> list[tuple[str, ...]]:
    return [
        (
            model.name if at == 0 else "",
            f"{route.provider}/{route.name}",
            ",".join(word.lower() for word in route.operations),
            route.price_summary or "price unknown",
            f"p50 {seconds_text(route.latency.p50)}" if route.latency and route.latency.p50 else "",
            words.lower(route.health),
        )
        for at, route in enumerate(model.routes)
    ]


def explain(context: typer.Context, job_id: JobId, json: JsonFlag = False) -> None:
    """Tell a job's story, one line per event: accepted, held, sent, posted, corrected."""

    async def work(client: AsyncClient) -> None:
        found = await client.get(job_id, full=True)
        bill = await client.receipt(job_id)
        rows = [row async for row in client.transfers(job_id)]
        content = {"job": words.plain(found.proto), "receipt": words.plain(bill.proto)}
        content |= words.json_list("transfers", (row.proto for row in rows))
        show(content, explaining.story(found, bill, rows), as_json=json)

    session_of(context).run(work, as_json=json)
