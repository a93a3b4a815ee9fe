"""The exact figures of the whole ledger for Prometheus: read in one snapshot, never cached, monotone from any replica."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from service.domain.bills import Side
from service.domain.budget import budget_name
from service.domain.limits import MICROS_PER_SECOND
from service.domain.money import usd_from_nanos
from service.domain.queries import CostFigures, LedgerSnapshot
from service.metrics import Family

_MONEY_DIMENSIONS = ("project", "model", "provider", "operation", "origin", "outcome", "evidence")
_Lifetime = dict[tuple[str, ...], CostFigures]


def families(snapshot: LedgerSnapshot) -> list[Family]:
    """Every family of /metrics/ledger that has a source."""
    return [
        *_sums(snapshot),
        *_holds(snapshot),
        *_budgets(snapshot),
        *_open_work(snapshot),
        *_reconciliation(snapshot),
    ]


def _sums(snapshot: LedgerSnapshot) -> list[Family]:
    lifetime: _Lifetime = {tuple(key): figures for key, figures in snapshot.lifetime.items()}
    up = _by(lifetime, (2,), lambda f: f.corrected_up_nanos)
    down = _by(lifetime, (2,), lambda f: f.corrected_down_nanos)
    corrected = [((*key, "up"), usd_from_nanos(value)) for key, value in up.items()]
    corrected += [((*key, "down"), usd_from_nanos(value)) for key, value in down.items()]
    return [
        Family(
            "lightmeter_ledger_charged_usd_total",
            "Dollars posted, before corrections.",
            _MONEY_DIMENSIONS,
            _dollars({key: f.charged_nanos for key, f in sorted(lifetime.items()) if f.charged_nanos}),
            counter=True,
        ),
        Family(
            "lightmeter_ledger_corrected_usd_total",
            "Dollars by which later evidence moved posted amounts.",
            ("provider", "direction"),
            corrected,
            counter=True,
        ),
        Family(
            "lightmeter_ledger_avoided_usd_total",
            "What joined and cached jobs would have cost. Not money.",
            ("project", "model", "origin"),
            _dollars(_by(lifetime, (0, 1, 4), lambda f: f.avoided_nanos)),
            counter=True,
        ),
        Family(
            "lightmeter_ledger_jobs_total",
            "Jobs that became final.",
            ("project", "model", "provider", "operation", "origin", "outcome"),
            list(_by(lifetime, (0, 1, 2, 3, 4, 5), lambda f: f.jobs).items()),
            counter=True,
        ),
        Family(
            "lightmeter_ledger_images_total",
            "Pictures delivered to jobs.",
            ("project", "model", "provider", "operation", "origin"),
            list(_by(lifetime, (0, 1, 2, 3, 4), lambda f: f.images).items()),
            counter=True,
        ),
    ]


def _holds(snapshot: LedgerSnapshot) -> list[Family]:
    return [
        Family(
            "lightmeter_ledger_held_usd",
            "Dollars set aside for work that runs.",
            ("project",),
            [
                ((project,), usd_from_nanos(nanos))
                for project, nanos in sorted(snapshot.held_by_project.items())
            ],
        ),
        Family(
            "lightmeter_ledger_unconfirmed_usd",
            "Dollars posted without evidence.",
            ("project",),
            [
                ((project,), usd_from_nanos(nanos))
                for project, nanos in sorted(snapshot.unconfirmed_by_project.items())
            ],
        ),
        Family(
            "lightmeter_ledger_window_net_usd",
            "Dollars net in the current UTC day and month, by usage time.",
            ("project", "window"),
            [(key, usd_from_nanos(nanos)) for key, nanos in sorted(snapshot.window_net.items())],
        ),
        Family(
            "lightmeter_ledger_stored_bytes",
            "Bytes of pictures, charged to who paid for the render.",
            ("project",),
            [((project,), size) for project, size in sorted(snapshot.stored_bytes_by_project.items())],
        ),
    ]


def _budgets(snapshot: LedgerSnapshot) -> list[Family]:
    limits: list[tuple[tuple[str, ...], Decimal | int]] = []
    spent: list[tuple[tuple[str, ...], Decimal | int]] = []
    held: list[tuple[tuple[str, ...], Decimal | int]] = []
    for state in snapshot.budgets:
        labels = (state.budget.project, budget_name(state.budget))
        limits.append((labels, usd_from_nanos(state.budget.limit_nanos)))
        spent.append((labels, usd_from_nanos(state.window.spent_nanos if state.window else 0)))
        held.append((labels, usd_from_nanos(state.window.held_nanos if state.window else 0)))
    names = ("project", "budget")
    return [
        Family("lightmeter_budget_limit_usd", "The limit of a budget.", names, limits),
        Family("lightmeter_budget_spent_usd", "Dollars spent in the current window.", names, spent),
        Family("lightmeter_budget_held_usd", "Dollars held in the current window.", names, held),
    ]


def _open_work(snapshot: LedgerSnapshot) -> list[Family]:
    ages = [
        ((state,), Decimal(max(0, snapshot.as_of - at)) / MICROS_PER_SECOND)
        for state, at in sorted(snapshot.oldest_open_job_at.items())
    ]
    return [
        Family(
            "lightmeter_attempts_open",
            "Attempts that are not final.",
            ("provider", "state"),
            sorted(snapshot.attempts_open.items()),
        ),
        Family(
            "lightmeter_oldest_open_job_seconds",
            "Age of the oldest job that waits in a state.",
            ("state",),
            ages,
        ),
    ]


def _reconciliation(snapshot: LedgerSnapshot) -> list[Family]:
    compared = sorted({*snapshot.drift_by_provider, *(provider for provider, _ in snapshot.unmatched)})
    return [
        Family(
            "lightmeter_ledger_drift_usd",
            "Dollars on the providers' bills of the last 31 days that the ledger does not explain.",
            ("provider",),
            [
                ((provider,), usd_from_nanos(nanos))
                for provider, nanos in sorted(snapshot.drift_by_provider.items())
            ],
        ),
        Family(
            "lightmeter_reconcile_unmatched",
            "Charges in dispute, by who knows of them.",
            ("provider", "side"),
            [
                ((provider, side.value.lower()), snapshot.unmatched.get((provider, side), 0))
                for provider in compared
                for side in Side
            ],
        ),
    ]


def _by(
    lifetime: _Lifetime, places: tuple[int, ...], figure: Callable[[CostFigures], int]
) -> dict[tuple[str, ...], int]:
    """Sums over the dimensions at these places of the key; without rows that are all zero."""
    sums: dict[tuple[str, ...], int] = {}
    for key, figures in sorted(lifetime.items()):
        short = tuple(key[place] for place in places)
        sums[short] = sums.get(short, 0) + figure(figures)
    return {key: value for key, value in sums.items() if value}


def _dollars(sums: dict[tuple[str, ...], int]) -> list[tuple[tuple[str, ...], Decimal]]:
    return [(key, usd_from_nanos(nanos)) for key, nanos in sums.items()]
