"""The commands about what was spent: costs, receipt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from lightmeter.async_client import AsyncClient
from lightmeter.cli import words
from lightmeter.cli.asking import JobId, JsonFlag
from lightmeter.cli.session import session_of, show
from lightmeter.ledger import CostFigures, CostReport, Receipt

_TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
_BAR_CHARACTERS: Final = 40
_BARS: Final[Mapping[str, Callable[[CostFigures], tuple[int, str]]]] = {
    "net": lambda sums: (sums.net.nanos, str(sums.net)),
    "charged": lambda sums: (sums.charged.nanos, str(sums.charged)),
    "avoided": lambda sums: (sums.avoided.nanos, str(sums.avoided)),
    "jobs": lambda sums: (sums.job_count, str(sums.job_count)),
}


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
    chart: Annotated[str, typer.Option(help="Draw bars of net, charged, avoided or jobs.")] = "",
    json: JsonFlag = False,
) -> None:
    """Sum up what was spent and what was avoided. The last column is the share that is still estimated."""

    async def work(client: AsyncClient) -> None:
        if chart and chart not in _BARS:
            raise ValueError(f"--chart {chart!r} is not one of {', '.join(_BARS)}")
        found = await client.costs(
            by=[part.strip() for part in by.split(",") if part.strip()],
            month=month,
            start=start.replace(tzinfo=UTC) if start else None,
            end=end.replace(tzinfo=UTC) if end else None,
            interval=interval,
            basis=basis,
        )
        text = _costs_text(found, with_time=bool(interval))
        if chart:
            text += "\n\n" + _chart_text(found, chart, with_time=bool(interval))
        show(found.proto, text, as_json=json)

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


def _chart_text(report: CostReport, figure: str, *, with_time: bool) -> str:
    """A bar for each row, in its order; the longest is as long as the terminal lets it be."""
    values = [_BARS[figure](row.figures) for row in report.rows]
    most = max((value for value, _ in values), default=0)
    lines = []
    for row, (value, text) in zip(report.rows, values, strict=True):
        time = [words.clock(row.interval_start_time).partition(".")[0]] if with_time else []
        name = " ".join([*time, *(part or "-" for part in row.group.values())]) or "all"
        lines.append((name, words.bar(value, most, _BAR_CHARACTERS), text))
    return words.columns(lines, right=(2,)) or "nothing to draw"


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
