"""Comparing with a provider's books: corrections, and what is kept of a comparison."""

from __future__ import annotations

from dataclasses import replace

from service.domain import ledger
from service.domain.bills import INVOICE_BILL, Discrepancy, Reconciliation, Side
from service.domain.commands import Correct, RecordComparison
from service.domain.records import Attempt, Grade
from service.domain.world import World


def correct(world: World, command: Correct) -> Attempt:
    """Charge what the books say: a hold that is still open is posted, what was posted or voided is corrected."""
    attempt = world.attempts.get(command.attempt_id)
    assert attempt is not None, "a correction names an attempt that we made"
    units = command.units or attempt.units
    return ledger.settle(world, attempt, command.amount_nanos, command.grade, units=units, memo=command.memo)


def record_comparison(world: World, command: RecordComparison) -> Reconciliation:
    """Running it again on the same books changes nothing."""
    before = _newest(world, command)
    disputes = {(one.provider, one.side, one.subject): one for one in command.disputes}
    for key, dispute in disputes.items():
        _open(world, key, dispute)
    for known in list(world.discrepancies.values()):
        key = (known.provider, known.side, known.subject)
        if key not in disputes and known.resolved_at is None and _concerns(command, known):
            resolution = _resolution(command, known)
            if resolution:
                ended = replace(known, resolved_at=world.now, resolution=resolution)
                world.discrepancies.put(key, ended)
    sides = [one.side for one in command.disputes]
    found = Reconciliation(
        provider=command.provider,
        grade=command.grade,
        range_from=command.range_from,
        number=before.number + 1 if before else 1,
        range_before=command.range_before,
        complete=command.complete,
        ledger_nanos=command.ledger_nanos,
        billed_nanos=command.billed_nanos,
        corrected_nanos=command.corrected_nanos,
        matched_count=command.matched_count,
        unmatched_ledger_count=sides.count(Side.LEDGER),
        unmatched_provider_count=sides.count(Side.PROVIDER),
        started_at=command.started_at,
        finished_at=world.now,
    )
    if before is not None and _says_the_same(before, found):
        return before
    world.reconciliations.put((found.provider, found.grade, found.range_from, found.number), found)
    return found


def _newest(world: World, command: RecordComparison) -> Reconciliation | None:
    span = (command.provider, command.grade, command.range_from)
    known = [
        one for one in world.reconciliations.values() if (one.provider, one.grade, one.range_from) == span
    ]
    return max(known, key=lambda one: one.number, default=None)


def _says_the_same(before: Reconciliation, found: Reconciliation) -> bool:
    """Whether it is the same comparison, run again, or nothing happened since: nothing was corrected, and what was billed then
    is billed now.
    """
    if replace(found, number=before.number, finished_at=before.finished_at) == before:
        return True
    settled = before.ledger_nanos + before.corrected_nanos
    told = replace(
        found,
        number=before.number,
        ledger_nanos=before.ledger_nanos,
        corrected_nanos=before.corrected_nanos,
        started_at=before.started_at,
        finished_at=before.finished_at,
    )
    return found.corrected_nanos == 0 and found.ledger_nanos == settled and told == before


def _concerns(command: RecordComparison, known: Discrepancy) -> bool:
    in_span = command.range_from <= known.usage_at < command.range_before
    return known.provider == command.provider and in_span


def _resolution(command: RecordComparison, known: Discrepancy) -> str:
    """How a dispute that was not found again has ended; empty when this comparison says nothing about it."""
    on_invoice, from_invoice = command.grade is Grade.INVOICE, known.bill_id.startswith(INVOICE_BILL)
    if known.side is Side.AMOUNT and on_invoice:
        # Found where an invoice stands against weaker books: only those can say that they agree now.
        return ""
    if known.subject in command.in_order:
        return "found on both sides since"
    withdrawn = known.side is Side.PROVIDER and command.complete and on_invoice == from_invoice
    return "not on the bill any more" if withdrawn else ""


def _open(world: World, key: tuple[str, Side, str], dispute: Discrepancy) -> None:
    known = world.discrepancies.get(key)
    if known is None:
        world.discrepancies.put(key, replace(dispute, created_at=world.now, resolved_at=None, resolution=""))
        return
    again = replace(dispute, created_at=known.created_at, resolved_at=None, resolution="")
    if again != known:
        world.discrepancies.put(key, again)
