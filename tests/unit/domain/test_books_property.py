"""Whatever happened, the books are what the transfers make of them, and after reconciliation what the provider bills.

Seeded histories with failures, cancels, failover, lost answers, commands that run twice or are lost before their commit,
comparisons that are cut short, corrections up and down, budgets that come and go, and storage. A failure prints its seed, and
the walk of that seed repeats it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.core.reconcile import DAY_MICROS
from service.domain.bills import Side
from service.domain.records import Attempt, Grade
from tests.support import finance
from tests.unit.domain.finance_walk import PROVIDERS, FinanceWalk

WALKS_COUNT = 24
STEPS_COUNT = 120


async def walked(seed: int, steps: int = STEPS_COUNT) -> FinanceWalk:
    """A history of so many steps, checked after each of them, and brought to its end."""
    walk = FinanceWalk(seed)
    for _ in range(steps):
        await walk.step()
    await walk.end()
    return walk


async def unexplained(walk: FinanceWalk, provider: str, bills: dict[str, int]) -> tuple[int, bool]:
    """What the ledger has more than the provider billed and open disputes tell of (nanos); and whether one side knows nothing
    alone.
    """
    attempts: list[Attempt] = [one for one in walk.tables.attempts.values() if one.provider == provider]
    difference = sum(one.total_nanos for one in attempts) - sum(bills.values())
    agreed = True
    for one in await walk.disputes(provider):
        if one.bill_id.startswith("foreign"):
            continue
        agreed = False
        known = walk.tables.attempts.get(one.attempt_id)
        assert known is None or known.grade is not Grade.UNCONFIRMED, "a complete bill leaves no doubt"
        if one.side is Side.PROVIDER:
            difference += bills.get(one.bill_id, 0)
        else:
            difference -= (one.ledger_nanos or 0) - bills.get(one.bill_id, 0)
    return difference, agreed


@pytest.mark.parametrize("seed", range(WALKS_COUNT))
async def test_after_reconciliation_the_ledger_is_what_was_billed(seed: int) -> None:
    """To the nano, but for charges that only one side knows, each of which is listed with its amount; then by an invoice."""
    walk = await walked(seed)
    for provider in PROVIDERS:
        difference, agreed = await unexplained(walk, provider, walk.honest.amounts(provider))
        assert 0 == difference
        if agreed:
            assert (
                walk.honest.billed_nanos(provider)
                == finance.balances(walk.tables.transfers)[f"provider:{provider}"]
            )
    await _invoiced(walk)


async def _invoiced(walk: FinanceWalk) -> None:
    """fal's invoice raises some charges once more, and has the last word on every one that it names."""
    raised = {key: 5 + place for place, key in enumerate(walk.honest.deeds) if place % 3 == 0}
    days = walk.days()
    span = (days[0] - DAY_MICROS, days[-1] + 3 * DAY_MICROS)
    invoice = walk.honest.invoice("fal", raised)
    for _ in range(2):
        before = walk.tables.image()
        await walk.reconciler.compare("fal", Grade.INVOICE, *span, invoice, complete=True)
    assert before == walk.tables.image(), "the second comparison changed something"
    walk.check()
    amounts = {bill.bill_id: bill.nanos or 0 for bill in invoice}
    difference, _ = await unexplained(walk, "fal", amounts)
    assert 0 == difference
    for attempt in walk.tables.attempts.values():
        deed = walk.honest.deeds.get(attempt.id)
        if deed is not None and attempt.provider == "fal" and attempt.provider_id == deed.provider_id:
            assert amounts[f"bill-{attempt.id}"] == attempt.total_nanos


async def test_the_walks_go_everywhere() -> None:
    """Every way in which money moves is met by some walk, with and without disputes, else they would prove little."""
    done: Counter[str] = Counter()
    for seed in range(500, 506):
        walk = await walked(seed)
        done += walk.done
        for provider in PROVIDERS:
            _, agreed = await unexplained(walk, provider, walk.honest.amounts(provider))
            done["agreed" if agreed else "disputed"] += 1
        for row in walk.tables.transfers:
            up = "" if row.kind.value != "CORRECTION" else " up" if finance.moved(row) > 0 else " down"
            done[f"{row.kind.value}{up} {row.grade.value}"] += 1
    wanted = {
        "HOLD NONE", "VOID NONE", "POST BILLED_UNITS", "POST ESTIMATE", "POST UNCONFIRMED", "ACCRUAL ESTIMATE",
        "CORRECTION up BILLING_EVENT", "CORRECTION down BILLING_EVENT", "CORRECTION down BILLED_UNITS",
        "Accept: BudgetExceeded", "Accept: done", "Fail: done", "Cancel: done", "Reject: done", "ResolveByHand: done",
        "ResolveUnconfirmed: done", "ResolveAbsent: done", "SetBudget: done", "DeleteBudget: done", "AccrueStorage: done",
        "comparison cut short", "compared", "taken", "not taken", "agreed", "disputed",
    }  # fmt: skip
    assert set() == wanted - set(done)


def _first(rows: dict[Any, Any], wanted: Callable[[Any], bool] = lambda _row: True) -> Any:
    return next(key for key, row in rows.items() if wanted(row))


def _change(table: str, **changes: Callable[[Any], Any]) -> Callable[[FinanceWalk], None]:
    def tamper(walk: FinanceWalk) -> None:
        rows = getattr(walk.tables, table)
        key = _first(rows)
        rows[key] = replace(
            rows[key], **{name: how(getattr(rows[key], name)) for name, how in changes.items()}
        )

    return tamper


def _posted(walk: FinanceWalk, change: Callable[[Any], Any]) -> None:
    rows = walk.tables.transfers
    place = next(i for i, row in enumerate(rows) if row.kind.value == "POST" and row.amount_nanos)
    rows[place] = change(rows[place])


def _lose_charge(entries: list[Any]) -> None:
    entries.remove(next(one for one in entries if one[-1].charged_nanos))


TAMPERING: dict[str, Callable[[FinanceWalk], None]] = {
    "a window spent less": _change("windows", spent_nanos=lambda nanos: nanos - 1),
    "a window holds more": _change("windows", held_nanos=lambda nanos: nanos + 1),
    "a window forgets an overrun": _change("windows", overrun_nanos=lambda nanos: nanos + 1),
    "a window doubts more": _change("windows", unconfirmed_nanos=lambda nanos: nanos + 1),
    "a hold counts in no budget": lambda walk: walk.tables.hold_budgets.pop(_first(walk.tables.hold_budgets)),
    "a posted amount": lambda walk: _posted(
        walk, lambda row: replace(row, amount_nanos=row.amount_nanos + 1)
    ),
    "a refund": lambda walk: _posted(walk, lambda row: replace(row, debit=row.credit, credit=row.debit)),
    "another account": lambda walk: _posted(walk, lambda row: replace(row, credit="provider:other")),
    "another evidence": lambda walk: _posted(walk, lambda row: replace(row, grade=Grade.INVOICE)),
    "another hour of use": lambda walk: _posted(walk, lambda row: replace(row, usage_at=0)),
    "another hour of booking": lambda walk: _posted(walk, lambda row: replace(row, booked_at=0)),
    "a total lost": lambda walk: _lose_charge(walk.tables.totals),
    "a total of a label lost": lambda walk: _lose_charge(walk.tables.label_totals),
    "a hold open for ever": _change("attempts", hold_open=lambda _is: True),
}


@pytest.mark.parametrize("what", TAMPERING)
async def test_the_check_finds_what_was_tampered_with(what: str) -> None:
    """Each fault alone: a check that cannot fail would prove nothing."""
    walk = FinanceWalk(3)
    walk._budget()
    for _ in range(40):
        await walk.step()
    walk.check()
    TAMPERING[what](walk)
    assert finance.differences(walk.tables)
