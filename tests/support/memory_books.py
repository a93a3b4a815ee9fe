"""The reads of reconciliation on the tables of a MemoryStore."""

from collections.abc import Mapping

from service.domain.queries import (
    BilledAttempt,
    DiscrepancyPage,
    DiscrepancyQuery,
    ReconciliationPage,
    ReconciliationQuery,
)
from tests.support.memory_store import MemoryStore


class MemoryBooks:
    """Implements `BooksReader`."""

    def __init__(self, store: MemoryStore) -> None:
        self._tables = store.tables

    async def attempts_used(
        self, provider: str, since: int, before: int, limit: int, after: tuple[int, str] | None = None
    ) -> tuple[BilledAttempt, ...]:
        """Attempts that were sent, by usage time."""
        found = [
            one
            for one in self._tables.attempts.values()
            if one.provider == provider and since <= one.usage_at < before and one.dispatched_at is not None
        ]
        names = self._tables.provider_ids.values()
        return tuple(
            BilledAttempt(one, tuple(id_.provider_id for id_ in names if id_.attempt_id == one.id))
            for one in sorted(found, key=lambda one: (one.usage_at, one.id))
            if after is None or (one.usage_at, one.id) > after
        )[:limit]

    async def attempts_of_ids(self, provider: str, provider_ids: tuple[str, ...]) -> Mapping[str, str]:
        """Who has these ids."""
        return {
            one.provider_id: one.attempt_id
            for one in self._tables.provider_ids.values()
            if one.provider == provider and one.provider_id in provider_ids
        }

    async def reconciliations(self, query: ReconciliationQuery) -> ReconciliationPage:
        """Newest first; other restrictions belong to the database."""
        found = sorted(self._tables.reconciliations.values(), key=lambda one: -one.started_at)
        return ReconciliationPage(tuple(found[: query.limit]))

    async def discrepancies(self, query: DiscrepancyQuery) -> DiscrepancyPage:
        """Open ones, or all, newest first."""
        found = [
            one
            for one in self._tables.discrepancies.values()
            if query.include_resolved or one.resolved_at is None
        ]
        found.sort(key=lambda one: (-one.usage_at, one.subject))
        return DiscrepancyPage(tuple(found[: query.limit]))
