"""What comparing with a provider's books writes."""

from __future__ import annotations

from service.domain.bills import Discrepancy
from service.domain.commands.command import Command
from service.domain.commands.evidence import Evidence
from service.domain.records import Grade
from service.domain.value import value


@value(frozen=True, slots=True)
class Correct(Evidence):
    """Move what an attempt was charged to what the provider's books say. Equal or weaker evidence writes nothing. Answers the
    Attempt.
    """

    amount_nanos: int
    grade: Grade
    units: str = ""
    """What was billed, in words; empty keeps what stands."""
    memo: str = ""


@value(frozen=True, slots=True)
class RecordComparison(Command):
    """Keep what a comparison found: its figures if they are news, the charges in dispute, and the end of disputes that it
    found in order. Answers the newest Reconciliation of the span.
    """

    provider: str
    grade: Grade
    range_from: int
    range_before: int
    complete: bool
    ledger_nanos: int
    billed_nanos: int
    corrected_nanos: int
    matched_count: int
    started_at: int
    disputes: tuple[Discrepancy, ...]
    """`created_at` and the resolution are the store's to set."""
    in_order: frozenset[str] = frozenset()
    """Subjects that both sides know. What a comparison did not look at, or misses on an incomplete bill, stays in dispute."""
