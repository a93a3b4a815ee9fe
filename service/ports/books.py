"""The books: reports, exports, reconciliation, storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from service.domain.queries import (
    BilledAttempt,
    BudgetState,
    ChargePage,
    ChargeQuery,
    CostQuery,
    CostReport,
    DiscrepancyPage,
    DiscrepancyQuery,
    LedgerSnapshot,
    ReconciliationPage,
    ReconciliationQuery,
    TransferPage,
    TransferQuery,
)
from service.domain.statement import Statement
from service.domain.storage_price import StoredShare


class LedgerReader(Protocol):
    """Reads of the books. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def costs(self, query: CostQuery) -> CostReport:
        """A report over totals."""
        ...

    async def transfers(self, query: TransferQuery) -> TransferPage:
        """A page of the journal."""
        ...

    async def budgets(self, project: str | None) -> tuple[BudgetState, ...]:
        """The live budgets with their current windows."""
        ...

    async def snapshot(self) -> LedgerSnapshot:
        """What /metrics/ledger shows."""
        ...

    async def verify(self) -> tuple[str, ...]:
        """Recompute everything from the transfers; one sentence per difference, empty when the books are right."""
        ...


class LedgerExports(Protocol):
    """What finance takes out of the books. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def charges(self, query: ChargeQuery) -> ChargePage:
        """A page of costs: posts, corrections, accruals; only what can't be followed by an earlier one any more."""
        ...

    async def statement(self, project: str, month: str) -> Statement:
        """The account of a project for a UTC month (`2026-11`), in one snapshot."""
        ...


class StorageReader(Protocol):
    """What is kept in the picture store, for its cost. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def shares(self, month_start: int, day: int, day_end: int) -> tuple[StoredShare, ...]:
        """What each project kept at `day_end`, wrote since `day`, and wrote between `month_start` and `day` (microseconds)."""
        ...


class BooksReader(Protocol):
    """What reconciliation compares, and what it found. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def attempts_used(
        self, provider: str, since: int, before: int, limit: int, after: tuple[int, str] | None = None
    ) -> tuple[BilledAttempt, ...]:
        """The attempts at the provider that were sent and whose usage time is in the span (microseconds), oldest first. `after`
        is (usage_at, id) of the last row of the page before.
        """
        ...

    async def attempts_of_ids(self, provider: str, provider_ids: tuple[str, ...]) -> Mapping[str, str]:
        """Which attempt has which of these ids: provider_id → attempt id."""
        ...

    async def reconciliations(self, query: ReconciliationQuery) -> ReconciliationPage:
        """A page of comparisons."""
        ...

    async def discrepancies(self, query: DiscrepancyQuery) -> DiscrepancyPage:
        """A page of charges in dispute."""
        ...
