"""What the command line of the service can do beside serving: each work looks or books, says what it came to, and ends.

A work answers the exit code: 0 in order, 1 something is not. What it prints is for people; `--json` prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from service.app.doctor import examined, healthy, report
from service.app.finance import compared_days, compared_invoice, statement_of, verified
from service.core.bookkeeping import day_name
from service.domain.bills import Reconciliation
from service.domain.catalog import PROVIDERS
from service.domain.limits import MICROS_PER_SECOND, reconcile_days_count, reconcile_days_max
from service.domain.money import usd_from_nanos
from service.domain.statement import Statement
from service.settings import Configuration

Work = Callable[[Configuration, argparse.Namespace], Coroutine[Any, Any, int]]

_COMPARED: Final = (
    "provider",
    "from",
    "before",
    "bill",
    "ledger",
    "corrected",
    "drift",
    "matched",
    "only ledger",
    "only bill",
)
_BOOKED: Final = (
    "provider", "model", "operation", "jobs", "pictures", "charged", "corrected", "earlier", "total",
)  # fmt: skip


class UsageWrong(Exception):
    """Arguments that do not go together."""


def add_works(parser: argparse.ArgumentParser) -> None:
    """Name every work; `arguments.work` is the one that was asked for, or None."""
    parser.set_defaults(work=None)
    commands = parser.add_subparsers(title="commands")
    checks = commands.add_parser(
        "doctor", help="look at everything that a start and a render need; change nothing"
    )
    checks.add_argument("--json", action="store_true", help="one JSON object instead of a line per check")
    checks.set_defaults(work=doctor)
    _add_reconcile(commands.add_parser("reconcile", help="compare the ledger with the providers' bills"))
    ledger = commands.add_parser("ledger", help="work on the books")
    works = ledger.add_subparsers(required=True)
    works.add_parser("verify", help="recompute everything from the transfers").set_defaults(work=verify)
    account = works.add_parser("statement", help="the account of a project for a month")
    account.add_argument("--project", required=True)
    account.add_argument("--month", required=True, help="a UTC month: 2026-11")
    account.add_argument(
        "--json", action="store_true", help="one JSON object, whose checksum is the statement's"
    )
    account.set_defaults(work=statement)


def _add_reconcile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=int, metavar="N", help=f"today and the days before it (default {reconcile_days_count})"
    )
    parser.add_argument("--provider", choices=PROVIDERS, help="only this one")
    parser.add_argument(
        "--invoice", type=Path, metavar="FILE.csv", help="compare a month with an invoice instead; columns "
        "request_id and amount_usd, if there are any endpoint and time",
    )  # fmt: skip
    parser.add_argument("--month", help="the UTC month of the invoice: 2026-11")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(work=reconcile)


async def verify(configuration: Configuration, _arguments: argparse.Namespace) -> int:
    """Recompute the books from the transfers and say where they differ; beside a serving process or without one."""
    differences = await verified(configuration)
    for sentence in differences:
        sys.stdout.write(f"{sentence}\n")
    sys.stdout.write(f"{len(differences)} differences\n" if differences else "the books are right\n")
    return 1 if differences else 0


async def doctor(configuration: Configuration, arguments: argparse.Namespace) -> int:
    """Say of each thing that is needed whether it is in order, and what to do where it is not."""
    findings = await examined(configuration)
    sys.stdout.write(report(findings, as_json=arguments.json))
    return 0 if healthy(findings) else 1


async def reconcile(configuration: Configuration, arguments: argparse.Namespace) -> int:
    """Compare with the providers' bills and book the differences. 1 when something could not be compared."""
    left_out: tuple[str, ...] = ()
    if arguments.invoice is not None:
        if arguments.provider is None or arguments.month is None or arguments.days is not None:
            raise UsageWrong("--invoice needs --provider and --month, and takes no --days")
        found: Sequence[Reconciliation] = (
            await compared_invoice(configuration, arguments.provider, arguments.month, arguments.invoice),
        )
    else:
        days_count = reconcile_days_count if arguments.days is None else arguments.days
        if arguments.month is not None:
            raise UsageWrong("--month goes with --invoice; days are counted back from today: --days")
        if not 1 <= days_count <= reconcile_days_max:
            raise UsageWrong(f"--days: 1 to {reconcile_days_max}")
        compared = await compared_days(configuration, days_count, arguments.provider)
        found, left_out = compared.reconciliations, compared.left_out
    if arguments.json:
        content = {"reconciliations": [_as_dict(one) for one in found], "left_out": list(left_out)}
        sys.stdout.write(f"{json.dumps(content, indent=2)}\n")
    else:
        sys.stdout.write(_table([_COMPARED, *map(_cells, found)], right_from=3))
    sys.stderr.write("".join(f"not compared: {sentence}\n" for sentence in left_out))
    return 1 if left_out else 0


def _cells(one: Reconciliation) -> tuple[str, ...]:
    return (
        one.provider if one.complete else f"{one.provider} (incomplete)",
        day_name(one.range_from),
        day_name(one.range_before),
        _usd(one.billed_nanos),
        _usd(one.ledger_nanos),
        _usd(one.corrected_nanos),
        _usd(one.drift_nanos),
        str(one.matched_count),
        str(one.unmatched_ledger_count),
        str(one.unmatched_provider_count),
    )


def _as_dict(one: Reconciliation) -> dict[str, Any]:
    return {
        "id": one.id,
        "provider": one.provider,
        "evidence": one.grade.value,
        "range_from": _time(one.range_from),
        "range_before": _time(one.range_before),
        "complete": one.complete,
        "ledger_nanos": one.ledger_nanos,
        "billed_nanos": one.billed_nanos,
        "corrected_nanos": one.corrected_nanos,
        "drift_nanos": one.drift_nanos,
        "matched_count": one.matched_count,
        "unmatched_ledger_count": one.unmatched_ledger_count,
        "unmatched_provider_count": one.unmatched_provider_count,
    }


async def statement(configuration: Configuration, arguments: argparse.Namespace) -> int:
    """Show the account of a project for a month."""
    found = await statement_of(configuration, arguments.project, arguments.month)
    if arguments.json:
        content = {**found.to_dict(), "sha256": found.sha256}
        sys.stdout.write(f"{json.dumps(content, sort_keys=True, indent=2)}\n")
    else:
        sys.stdout.write(_statement_text(found))
    return 0


def _statement_text(found: Statement) -> str:
    state = f"closed, sha256 {found.sha256}" if found.closed else "open, as of now"
    rows = [
        (
            line.provider or "-",
            "storage" if line.is_storage else line.model,
            line.operation.lower() or "-",
            str(line.jobs),
            str(line.images),
            _usd(line.charged_nanos),
            _usd(line.corrected_this_month_nanos),
            _usd(line.corrected_earlier_months_nanos),
            _usd(line.total_nanos),
        )
        for line in found.lines
    ]
    table = _table([_BOOKED, *rows], right_from=3) if rows else "nothing was booked\n"
    return (
        f"project {found.project}, {found.month} (UTC, by booked time), {state}\n{table}"
        f"held at its begin {_usd(found.opening_held_nanos)}, at its end {_usd(found.closing_held_nanos)}\n"
        f"to be paid {_usd(found.total_nanos)}, of it storage {_usd(found.storage_nanos)}\n"
    )


def _table(rows: Sequence[Sequence[str]], *, right_from: int) -> str:
    """Aligned columns; figures, which begin at `right_from`, end below one another."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place >= right_from else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def _usd(nanos: int) -> str:
    return f"${usd_from_nanos(nanos):f}".replace("$-", "-$")


def _time(at: int) -> str:
    return datetime.fromtimestamp(at // MICROS_PER_SECOND, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
