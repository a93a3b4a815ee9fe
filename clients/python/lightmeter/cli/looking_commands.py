"""The commands that look: jobs, job, cancel, models, costs, receipt, explain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from lightmeter.async_client import AsyncClient
from lightmeter.catalog import Model, seconds_text
from lightmeter.cli import explaining, words
from lightmeter.cli.asking import JobId, JsonFlag
from lightmeter.cli.session import session_of, show
from lightmeter.job import Job
from lightmeter.ledger import CostFigures, CostReport, Receipt

Words = Annotated[list[str] | None, typer.Option(show_default=False)]
_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]


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


def costs(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="model, provider, origin, project, label:team, …")] = "",
    month: Annotated[str, typer.Option(help="A UTC month: 2026-11. By default the present one.")] = "",
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_TIMES, help="UTC, whole hours.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_TIMES, help="UTC, not included.")] = None,
    interval: Annotated[str, typer.Option(help="hour, day or month.")] = "",
    basis: Annotated[str, typer.Option(help="usage (when it was drawn) or booked.")] = "",
    json: JsonFlag = False,
) -> None:
    """Sum up what was spent and what was avoided. The last column is the share that is still estimated."""

    async def work(client: AsyncClient) -> None:
        found = await client.costs(
            by=[part.strip() for part in by.split(",") if part.strip()],
            month=month,
            start=start.replace(tzinfo=UTC) if start else None,
            end=end.replace(tzinfo=UTC) if end else None,
            interval=interval,
            basis=basis,
        )
        show(found.proto, _costs_text(found, with_time=bool(interval)), as_json=json)

    session_of(context).run(work, as_json=json)


def _costs_text(report: CostReport, *, with_time: bool) -> str:
    names = list(dict.fromkeys(name for row in report.rows for name in row.group))
    head = [*(["from"] if with_time else []), *names]
    figures = ["jobs", "pictures", "charged", "corrected", "net", "held", "avoided", "estimated"]
    rows = [[*head, *figures]]
    for row in report.rows:
        time = [words.clock(row.interval_start_time).partition(".")[0]] if with_time else []
        rows.append([*time, *(row.group.get(name, "") or "-" for name in names), *_figures(row.figures)])
    if names or with_time:
        rows.append(["total", *[""] * (len(head) - 1), *_figures(report.total)])
    elif not report.rows:
        rows.append(_figures(report.total))
    return words.columns(rows, right=range(len(head), len(head) + len(figures)))


def _figures(sums: CostFigures) -> list[str]:
    return [
        str(sums.job_count),
        str(sums.image_count),
        str(sums.charged),
        words.signed(sums.corrected_up - sums.corrected_down),
        str(sums.net),
        str(sums.held),
        str(sums.avoided),
        f"{sums.estimated_share * 100:.0f} %",
    ]


def receipt(context: typer.Context, job_id: JobId, json: JsonFlag = False) -> None:
    """Show what a job cost and why."""

    async def work(client: AsyncClient) -> None:
        found = await client.receipt(job_id)
        show(found.proto, _receipt_text(found), as_json=json)

    session_of(context).run(work, as_json=json)


def _receipt_text(found: Receipt) -> str:
    evidence = words.lower(found.evidence) or "no evidence"
    rows = [
        ("job", found.job_id),
        ("owed", f"{found.owed} ({words.lower(found.settlement)}, {evidence})"),
        ("charged", str(found.charged)),
        ("corrected", words.signed(found.corrected)),
        ("held", str(found.held)),
    ]
    if found.avoided is not None:
        rows.append(("avoided", str(found.avoided)))
    if found.payer_job_id and found.payer_job_id != found.job_id:
        rows.append(("paid by", f"job {found.payer_job_id}"))
    for attempt in found.attempts:
        rows.append(
            (
                f"attempt {attempt.attempt_number}",
                f"{attempt.provider}/{attempt.route} {attempt.charged} {words.lower(attempt.settlement)}"
                f" · price {attempt.price_rule or 'unknown'} {attempt.price_version}".rstrip(),
            )
        )
        rows += [
            ("", f"{line.quantity} {line.unit} × ${line.unit_price} = {line.amount} {line.description}")
            for line in attempt.lines
        ]
    return words.columns(rows)


def explain(context: typer.Context, job_id: JobId, json: JsonFlag = False) -> None:
    """Tell a job's story, one line per event: accepted, held, sent, posted, corrected."""

    async def work(client: AsyncClient) -> None:
        found = await client.get(job_id)
        bill = await client.receipt(job_id)
        rows = [row async for row in client.transfers(job_id)]
        content = {"job": words.plain(found.proto), "receipt": words.plain(bill.proto)}
        content |= words.json_list("transfers", (row.proto for row in rows))
        show(content, explaining.story(found, bill, rows), as_json=json)

    session_of(context).run(work, as_json=json)
