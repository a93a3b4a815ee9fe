"""The command that prices anew what was paid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from lightmeter.async_client import AsyncClient
from lightmeter.cli import words
from lightmeter.cli.asking import JsonFlag
from lightmeter.cli.session import session_of, show
from lightmeter.whatif import WhatIfFigures, WhatIfReport, WhatIfRow

_TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
_NONE: Final = "cannot be priced"


def whatif(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="Draw everything with this model.")] = "",
    quality: Annotated[str, typer.Option(help="Draw everything at this quality: low, medium, high, …")] = "",
    pin: Annotated[str, typer.Option(help="Draw everything at PROVIDER or PROVIDER/ROUTE.")] = "",
    prices: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A catalog file with other prices.")
    ] = None,
    from_model: Annotated[
        list[str] | None, typer.Option(help="Only what this model drew; repeatable.")
    ] = None,
    month: Annotated[str, typer.Option(help="A UTC month: 2026-11. By default the present one.")] = "",
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_TIMES, help="UTC, whole hours.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_TIMES, help="UTC, not included.")] = None,
    of: Annotated[list[str] | None, typer.Option("--of", help="Only this project's; repeatable.")] = None,
    json: JsonFlag = False,
) -> None:
    """Price the pictures that were paid in a range anew: with another model, quality, route or price file."""

    async def work(client: AsyncClient) -> None:
        found = await client.what_if(
            model=model,
            quality=quality,
            pin=pin,
            prices=prices.read_text(encoding="utf-8") if prices else "",
            from_models=from_model or (),
            month=month,
            start=start.replace(tzinfo=UTC) if start else None,
            end=end.replace(tzinfo=UTC) if end else None,
            projects=of or (),
        )
        show(found.proto, _text(found), as_json=json)

    session_of(context).run(work, as_json=json)


def _text(found: WhatIfReport) -> str:
    if not found.rows:
        lines = ["nothing was drawn and paid in this range" if not found.pruned_count else "nothing to price"]
    else:
        head = ("drawn by", "would be", "renders", "paid", "would cost", "at most", "difference", "unpriced")
        rows = [head, *(_cells(row) for row in found.rows), ("total", "", *_figures(found.total))]
        lines = [words.columns(rows, right=range(2, len(head)))]
        lines += [
            f"{row.model} at {row.provider}: {cause.render_count} {_NONE}: {cause.message}"
            for row in found.rows
            for cause in row.causes
        ]
    if found.pruned_count:
        lines.append(f"{found.pruned_count} renders for {found.pruned_actual}: their requests are not kept")
    return "\n".join(lines)


def _cells(row: WhatIfRow) -> tuple[str, ...]:
    new = f"{row.new_model} at {row.new_provider}/{row.new_route}" if row.new_model else _NONE
    return (f"{row.model} at {row.provider}/{row.route}", new, *_figures(row.figures))


def _figures(sums: WhatIfFigures) -> tuple[str, ...]:
    priced = sums.render_count > sums.unpriced_count
    return (
        str(sums.render_count),
        str(sums.actual_priced if priced else sums.actual),
        str(sums.expected) if priced else "-",
        str(sums.ceiling) if priced else "-",
        words.signed(sums.difference) if priced else "-",
        f"{sums.unpriced_share * 100:.0f} %",
    )
