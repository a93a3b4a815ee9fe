"""The reads of what-if on the tables of a MemoryStore."""

from service.domain.price_news import PricedWith
from service.domain.queries import PaidQuery
from service.domain.records import AttemptState, TransferKind
from service.domain.whatif import PaidRender
from tests.support.memory_store import MemoryStore


class MemoryPaid:
    """Implements `PaidReader`. `pages` counts what was asked for."""

    def __init__(self, store: MemoryStore) -> None:
        self._tables = store.tables
        self.pages = 0

    async def paid(self, query: PaidQuery) -> tuple[PaidRender, ...]:
        """A page by (usage_at, attempt id)."""
        self.pages += 1
        found = [
            PaidRender(
                one.id,
                one.usage_at,
                one.project,
                render.model,
                one.provider,
                one.route,
                render.operation,
                one.price,
                one.settled_nanos,
                render.content,
            )
            for one in self._tables.attempts.values()
            if (render := self._tables.renders.get(one.render_id)) is not None
            and one.state is AttemptState.SUCCEEDED
            and one.settled_nanos is not None
        ]
        kept = [
            one
            for one in found
            if one.provider == query.provider
            and query.used_from <= one.usage_at < query.used_before
            and (query.after is None or (one.usage_at, one.attempt_id) > query.after)
            and all(
                not wanted or value in wanted
                for value, wanted in (
                    (one.project, query.projects),
                    (one.model, query.models),
                    (one.route, query.routes),
                    (one.operation, query.operations),
                )
            )
        ]
        return tuple(sorted(kept, key=lambda one: (one.usage_at, one.attempt_id))[: query.limit])

    async def priced_with(self, since: int) -> tuple[PricedWith, ...]:
        """Grouped over the holds."""
        holds = [
            one for one in self._tables.transfers if one.kind is TransferKind.HOLD and one.booked_at >= since
        ]
        groups: dict[tuple[str, str, str, str], list[int]] = {}
        for one in holds:
            version = one.price_version.rpartition("@")[2]
            groups.setdefault((one.model, one.provider, one.route, version), []).append(one.usage_at)
        return tuple(PricedWith(*key, max(times), len(times)) for key, times in sorted(groups.items()))
