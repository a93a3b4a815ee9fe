"""The books as finance reads them: everything that is kept beside the journal, computed anew from the transfers alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from service.domain.budget import window_start
from service.domain.records import BudgetChange, Grade, Transfer, TransferKind
from service.domain.totals import TotalsKey
from tests.support.memory_store import Tables

_HOUR = 3_600_000_000
Balances = Counter[str]


def balances(transfers: list[Transfer]) -> Balances:
    """What each account has after every transfer that moves money; a hold or a void moves none."""
    found: Balances = Counter()
    for row in transfers:
        if row.kind in (TransferKind.POST, TransferKind.CORRECTION, TransferKind.ACCRUAL):
            found[row.debit] -= row.amount_nanos
            found[row.credit] += row.amount_nanos
    return found


def moved(row: Transfer) -> int:
    """What a transfer adds to what its project pays."""
    if row.kind in (TransferKind.HOLD, TransferKind.VOID):
        return 0
    return row.amount_nanos if row.debit.startswith("project:") else -row.amount_nanos


def differences(tables: Tables) -> list[str]:
    """One sentence per thing that is not what the transfers make of it."""
    return [*_accounts(tables), *_holds(tables), *_windows(tables), *_covered(tables), *_totals(tables)]


def _accounts(tables: Tables) -> Iterator[str]:
    found = balances(tables.transfers)
    if sum(found.values()):
        yield "the accounts do not sum to zero"
    paid: Balances = Counter()
    for row in tables.transfers:
        paid[row.project] += moved(row)
    for project, nanos in paid.items():
        if found[f"project:{project}"] != -nanos:
            yield f"project {project} has {found[f'project:{project}']} and paid {nanos}"
    settled: Balances = Counter()
    for attempt in tables.attempts.values():
        settled[f"provider:{attempt.provider}"] += attempt.total_nanos
    for name in settled:
        if found[name] != settled[name]:
            yield f"{name} has {found[name]}, its attempts come to {settled[name]}"


def _by_source(tables: Tables) -> dict[str, list[Transfer]]:
    found: dict[str, list[Transfer]] = defaultdict(list)
    for row in sorted(tables.transfers, key=lambda one: one.ordinal):
        found[row.source].append(row)
    return found


def _holds(tables: Tables) -> Iterator[str]:
    for source, rows in _by_source(tables).items():
        attempt = tables.attempts.get(source)
        if attempt is None:
            continue
        closed = len(rows) > 1
        if attempt.hold_open == closed:
            yield f"{source}: the hold is {'open' if attempt.hold_open else 'closed'} with {len(rows)} transfers"
        if attempt.hold_open and tables.renders[attempt.render_id].finished_at is not None:
            yield f"{source}: its render is final and its hold is open"


def _windows(tables: Tables) -> Iterator[str]:
    sources = _by_source(tables)
    expected: dict[tuple[str, int], list[int]] = {key: [0, 0, 0, 0] for key in tables.windows}
    for row in tables.hold_budgets.values():
        rows = sources[row.attempt_id]
        last = rows[-1]
        window = expected.setdefault((row.budget_id, row.window_start), [0, 0, 0, 0])
        window[0] += last.total_after_nanos
        window[1] += row.nanos if len(rows) == 1 else 0
        window[2] += max(0, last.total_after_nanos - row.nanos)
        window[3] += last.total_after_nanos if last.grade is Grade.UNCONFIRMED else 0
    for key, told in expected.items():
        kept = tables.windows.get(key)
        has = kept and [kept.spent_nanos, kept.held_nanos, kept.overrun_nanos, kept.unconfirmed_nanos]
        if has != told:
            yield f"window {key} has {has}, its transfers come to {told} (spent, held, overrun, unconfirmed)"


def _covered(tables: Tables) -> Iterator[str]:
    """Every attempt counts in every budget that was there when it held, or was made later in the same window."""
    changes: dict[str, list[BudgetChange]] = defaultdict(list)
    for change in tables.budget_changes:
        changes[change.budget_id].append(change)
    for budget in tables.budgets.values():
        made = min(one.at for one in changes[budget.id])
        ended = None if budget.live else max(one.at for one in changes[budget.id])
        first = window_start(budget.period, made)
        for attempt in tables.attempts.values():
            payer = tables.jobs.get(attempt.payer_job)
            labels = payer.labels if payer else ()
            start = window_start(budget.period, attempt.usage_at)
            wanted = (
                budget.covers(attempt.project, labels)
                and (ended is None or attempt.usage_at < ended)
                and (attempt.usage_at >= made or start == first)
            )
            row = tables.hold_budgets.get((attempt.id, budget.id))
            if wanted != (row is not None) or (row is not None and row.window_start != start):
                yield f"attempt {attempt.id} {'lacks' if wanted else 'has'} budget {budget.id}"


def _totals(tables: Tables) -> Iterator[str]:
    """By everything that totals are kept by, evidence as posted and both hours among it; and with labels once more."""
    posted = {row.source: row.grade.value for row in tables.transfers if row.ordinal == 1}
    facts: Counter[tuple[Any, ...]] = Counter()
    for row in tables.transfers:
        if row.kind is TransferKind.HOLD:
            continue
        evidence = row.grade.value if row.kind is TransferKind.ACCRUAL else posted[row.source]
        place = (row.project, row.model, row.provider, row.route, row.operation)
        at = (*place, evidence, row.usage_at // _HOUR * _HOUR, row.booked_at // _HOUR * _HOUR)
        if row.kind in (TransferKind.POST, TransferKind.ACCRUAL):
            facts[*at, "charged"] += row.amount_nanos
        elif row.kind is TransferKind.CORRECTION:
            facts[*at, "up" if moved(row) > 0 else "down"] += row.amount_nanos
        if row.kind in (TransferKind.POST, TransferKind.VOID):
            facts[*at, "attempts"] += 1
    sums: Counter[tuple[Any, ...]] = Counter()
    for key, delta in tables.totals:
        for name, value in _figures(delta):
            sums[*_at(key), name] += value
    for key in {key for key in (*facts, *sums) if facts[key] != sums[key]}:
        yield f"totals {key}: {sums[key]}, its transfers come to {facts[key]}"
    labelled: Counter[tuple[Any, ...]] = Counter()
    whole: Counter[tuple[Any, ...]] = Counter()
    for key, name, _, delta in tables.label_totals:
        for figure, value in _figures(delta):
            labelled[*_at(key), name, figure] += value
    for key, delta in tables.totals:
        for figure, value in _figures(delta):
            whole[*_at(key), "team", figure] += value if key.project == "growth" else 0
    yield from (f"totals by label {key}" for key in (*labelled, *whole) if labelled[key] != whole[key])


def _at(key: TotalsKey) -> tuple[Any, ...]:
    place = (key.project, key.model, key.provider, key.route, key.operation)
    return (*place, key.evidence, key.usage_hour, key.booked_hour)


def _figures(delta: Any) -> tuple[tuple[str, int], ...]:
    return (
        ("charged", delta.charged_nanos), ("up", delta.corrected_up_nanos),
        ("down", delta.corrected_down_nanos), ("attempts", delta.attempts),
    )  # fmt: skip
