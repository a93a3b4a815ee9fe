"""What comparing the ledger with a provider's books leaves behind: comparisons, and charges that only one side knows."""

from __future__ import annotations

from enum import Enum
from typing import Final

from service.domain.records import Grade
from service.domain.value import value

INVOICE_BILL: Final = "invoice:"
"""How the ids of bills begin that come from an invoice: it has none of its own."""


class Side(Enum):
    """Who knows of a charge that is in dispute."""

    LEDGER = "LEDGER"
    PROVIDER = "PROVIDER"
    AMOUNT = "AMOUNT"


@value(frozen=True, slots=True)
class Discrepancy:
    """One charge that a bill and the ledger disagree about. Its key is the provider, the side and `subject`."""

    provider: str
    side: Side
    subject: str
    """The bill's id at PROVIDER, else the attempt's."""
    endpoint: str
    bill_id: str
    provider_id: str
    attempt_id: str
    job_id: str
    attempt_number: int
    ledger_nanos: int | None
    billed_nanos: int | None
    usage_at: int
    created_at: int
    resolved_at: int | None
    resolution: str


@value(frozen=True, slots=True)
class Reconciliation:
    """One comparison of a span of usage times with a provider's books. Its key is provider, grade, range_from and number."""

    provider: str
    grade: Grade
    """What the provider's figures are."""
    range_from: int
    number: int
    """From 1; a comparison that finds what the one before it found is not kept."""
    range_before: int
    complete: bool
    """Whether the provider's books were complete for the span; absence proves nothing else."""
    ledger_nanos: int
    """What the ledger had before, for what could be compared: a charge whose bill may still come is left out."""
    billed_nanos: int
    corrected_nanos: int
    matched_count: int
    unmatched_ledger_count: int
    unmatched_provider_count: int
    started_at: int
    finished_at: int

    @property
    def drift_nanos(self) -> int:
        """What is still unexplained; may be negative."""
        return self.billed_nanos - self.ledger_nanos - self.corrected_nanos

    @property
    def id(self) -> str:
        """Opaque."""
        return f"{self.provider}-{self.grade.value.lower()}-{self.range_from}-{self.number}"
