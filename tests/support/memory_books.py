"""The reads of reconciliation on the tables of a MemoryStore."""

from collections.abc import Mapping
from typing import Any

from service.domain.bills import Side
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
        """Newest first."""
        found = [
            (place, one)
            for one in self._tables.reconciliations.values()
            if query.provider in (None, one.provider)
            and _within(one.started_at, query.started_from, query.started_before)
            and _is_beyond(
                place := (one.started_at, one.provider, one.grade.value, one.range_from, one.number),
                query.after,
            )
        ]
        found.sort(key=lambda pair: pair[0], reverse=True)
        return ReconciliationPage(tuple(one for _, one in found[: query.limit]))

    async def discrepancies(self, query: DiscrepancyQuery) -> DiscrepancyPage:
        """Newest usage first."""
        found = [
            (place, one)
            for one in self._tables.discrepancies.values()
            if query.provider in (None, one.provider)
            and one.side in (query.sides or Side)
            and (query.include_resolved or one.resolved_at is None)
            and _within(one.usage_at, query.used_from, query.used_before)
            and _is_beyond(place := (one.usage_at, one.provider, one.side.value, one.subject), query.after)
        ]
        found.sort(key=lambda pair: pair[0], reverse=True)
        return DiscrepancyPage(tuple(one for _, one in found[: query.limit]))


def _within(at: int, start: int | None, end: int | None) -> bool:
    return (start is None or at >= start) and (end is None or at < end)


def _is_beyond(place: tuple[Any, ...], after: tuple[Any, ...] | None) -> bool:
    return after is None or place < after
