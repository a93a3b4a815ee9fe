"""The commands of finance: budget, statement, export, reconciliations, discrepancies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from lightmeter.async_client import AsyncClient
from lightmeter.cli import words
from lightmeter.cli.asking import JsonFlag
from lightmeter.cli.session import session_of, show
from lightmeter.finance import Budget, Discrepancy, Reconciliation, Statement

_TIMES: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M"]
_WHOLE_PERCENT: Final = 100

Project = Annotated[str, typer.Option("--of", help="The project; by default the caller's own.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]


def budget_commands() -> typer.Typer:
    """`lightmeter budget …`."""
    app = typer.Typer(no_args_is_help=True, help="List, set and end budgets.")
    app.command("list")(list_budgets)
    app.command("set")(set_budget)
    app.command("delete")(delete_budget)
    return app


def list_budgets(
    context: typer.Context,
    of: Annotated[str, typer.Option("--of", help="Only this project's.")] = "",
    json: JsonFlag = False,
) -> None:
    """List budgets with what is spent and held in their current windows."""

    async def work(client: AsyncClient) -> None:
        found = await client.budgets(of)
        head = ("budget", "limit", "spent", "held", "left", "used", "window ends")
        rows = [head, *(_budget_cells(one) for one in found)]
        text = words.columns(rows, right=(1, 2, 3, 4, 5)) if found else "no budgets"
        show(words.json_list("budgets", (one.proto for one in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _budget_cells(budget: Budget) -> tuple[str, ...]:
    name = budget.name if budget.enforcement == "HARD" else f"{budget.name} (soft)"
    used = budget.spent.nanos + budget.held.nanos
    percent = f"{used * _WHOLE_PERCENT // budget.limit.nanos} %" if budget.limit else "-"
    passed = [one for one in budget.alert_percents if used * _WHOLE_PERCENT >= one * budget.limit.nanos]
    ends = words.clock(budget.window_end_time).partition(".")[0]
    warning = f" · past {max(passed)} %" if passed else ""
    return (
        name,
        str(budget.limit),
        str(budget.spent),
        str(budget.held),
        str(budget.left),
        percent,
        ends + warning,
    )


def set_budget(
    context: typer.Context,
    limit: Annotated[str, typer.Argument(help="Dollars per window: 250 or 0.50.")],
    window: Annotated[str, typer.Option(help="day, month or total, in UTC.")] = "month",
    of: Project = "",
    label: Annotated[str, typer.Option(help="KEY=VALUE: only for jobs with this label.")] = "",
    soft: Annotated[bool, typer.Option("--soft", help="Refuse nothing, only show it.")] = False,
    alert: Annotated[list[int] | None, typer.Option(help="A percentage to alert at; repeatable.")] = None,
    reason: Reason = "",
    json: JsonFlag = False,
) -> None:
    """Create a budget or replace its settings; what was spent and held already counts."""

    async def work(client: AsyncClient) -> None:
        pairs = list(words.parse_labels([label]).items()) if label else []
        found = await client.set_budget(
            limit,
            window,
            project=of,
            label=pairs[0] if pairs else None,
            enforcement="soft" if soft else "hard",
            alert_percents=sorted(set(alert or ())),
            reason=reason,
        )
        text = f"budget {found.name}: {found.spent} spent and {found.held} held of {found.limit}"
        show(found.proto, text, as_json=json)

    session_of(context).run(work, as_json=json)


def delete_budget(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As `lightmeter budget list` shows it: growth/month.")],
    reason: Reason = "",
    json: JsonFlag = False,
) -> None:
    """End a budget. Its windows and its audit stay."""

    async def work(client: AsyncClient) -> None:
        await client.delete_budget(name, reason=reason)
        show({"name": name}, f"budget {name} is ended", as_json=json)

    session_of(context).run(work, as_json=json)


def statement(
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="A UTC month: 2026-11.")],
    of: Project = "",
    json: JsonFlag = False,
) -> None:
    """Show the account of a project for a month; a closed one has a checksum."""

    async def work(client: AsyncClient) -> None:
        found = await client.statement(month, project=of)
        show(found.proto, _statement_text(found), as_json=json)

    session_of(context).run(work, as_json=json)


def _statement_text(found: Statement) -> str:
    head = ("provider", "model", "operation", "jobs", "pictures", "charged", "corrected", "earlier", "total")
    rows = [
        (
            row.provider,
            row.model or "storage",
            words.lower(row.operation),
            str(row.job_count),
            str(row.image_count),
            str(row.charged),
            words.signed(row.corrected_this_month),
            words.signed(row.corrected_earlier_months),
            str(row.total),
        )
        for row in found.rows
    ]
    state = f"closed, sha256 {found.sha256}" if found.closed else "open, as of now"
    return "\n".join(
        [
            f"project {found.project}, {found.month} (UTC, by booked time), {state}",
            words.columns([head, *rows], right=range(3, len(head))) if rows else "nothing was booked",
            f"held at its begin {found.opening_held}, at its end {found.closing_held}",
            f"to be paid {found.total}, of it storage {found.storage}",
        ]
    )


def export_commands() -> typer.Typer:
    """`lightmeter export …`."""
    app = typer.Typer(no_args_is_help=True, help="Take the books out.")

    @app.callback()
    def _group() -> None:
        """Take the books out."""

    app.command("focus")(export_focus)
    return app


def export_focus(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The CSV file to write; .parquet needs the extra `parquet`.")],
    month: Annotated[str, typer.Option(help="A UTC month: 2026-11. By default the present one.")] = "",
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_TIMES, help="UTC, whole hours.")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_TIMES, help="UTC, not included.")] = None,
    of: Annotated[str, typer.Option("--of", help="Only this project's.")] = "",
    json: JsonFlag = False,
) -> None:
    """Write the costs of a range, by booked time, in the columns of FOCUS (focus.finops.org)."""

    async def work(client: AsyncClient) -> None:
        found = await client.export_focus(
            path,
            month=month,
            start=start.replace(tzinfo=UTC) if start else None,
            end=end.replace(tzinfo=UTC) if end else None,
            project=of,
        )
        content = {
            "path": str(path),
            "focusVersion": found.focus_version,
            "rowCount": found.row_count,
            "billedCostNanos": str(found.billed_cost.nanos),
            "sha256": found.sha256,
        }
        text = f"{path}: {found.row_count} rows, {found.billed_cost} in all, FOCUS {found.focus_version}"
        show(content, text, as_json=json)

    session_of(context).run(work, as_json=json)


def reconciliations(
    context: typer.Context,
    provider: Annotated[str, typer.Option(help="fal or replicate.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 31,
    json: JsonFlag = False,
) -> None:
    """List comparisons of the ledger with the providers' bills, newest first."""

    async def work(client: AsyncClient) -> None:
        found = await client.reconciliations(provider=provider, limit=limit)
        head = (
            "day",
            "provider",
            "bill",
            "ledger",
            "corrected",
            "drift",
            "matched",
            "only ledger",
            "only bill",
        )
        rows = [head, *(_reconciliation_cells(one) for one in found)]
        text = words.columns(rows, right=range(2, len(head))) if found else "nothing was compared yet"
        show(words.json_list("reconciliations", (one.proto for one in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _reconciliation_cells(one: Reconciliation) -> tuple[str, ...]:
    return (
        words.clock(one.range_start_time).partition(" ")[0],
        one.provider if one.complete else f"{one.provider} (incomplete)",
        str(one.billed_amount),
        str(one.ledger_amount),
        words.signed(one.corrected),
        words.signed(one.drift),
        str(one.matched_count),
        str(one.unmatched_ledger_count),
        str(one.unmatched_provider_count),
    )


def discrepancies(
    context: typer.Context,
    provider: Annotated[str, typer.Option(help="fal or replicate.")] = "",
    side: Annotated[list[str] | None, typer.Option(help="ledger, provider or amount; repeatable.")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Those too that are resolved.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 50,
    json: JsonFlag = False,
) -> None:
    """List what a bill and the ledger disagree about, newest first."""

    async def work(client: AsyncClient) -> None:
        found = await client.discrepancies(
            provider=provider, sides=side or (), include_resolved=resolved, limit=limit
        )
        head = ("used", "provider", "who knows", "ledger", "bill", "request", "job", "resolution")
        rows = [head, *(_discrepancy_cells(one) for one in found)]
        text = words.columns(rows, right=(3, 4)) if found else "no discrepancies"
        show(words.json_list("discrepancies", (one.proto for one in found)), text, as_json=json)

    session_of(context).run(work, as_json=json)


def _discrepancy_cells(one: Discrepancy) -> tuple[str, ...]:
    return (
        words.clock(one.usage_time).partition(".")[0],
        one.provider,
        words.lower(one.side),
        "-" if one.ledger_amount is None else str(one.ledger_amount),
        "-" if one.billed_amount is None else str(one.billed_amount),
        one.provider_request_id or one.bill_id or "-",
        one.job_id or "-",
        one.resolution or "open",
    )
