"""What was drawn and paid, for pricing it anew."""

from __future__ import annotations

from typing import Protocol

from service.domain.price_news import PricedWith
from service.domain.queries import PaidQuery
from service.domain.whatif import PaidRender


class PaidReader(Protocol):
    """Reads of paid renders. MUST NOT block the event loop; raises `StoreUnavailable`."""

    async def paid(self, query: PaidQuery) -> tuple[PaidRender, ...]:
        """A page of the attempts at a provider that drew and were charged, by (usage_at, attempt id). What is not settled yet,
        and what failed, is left out.
        """
        ...

    async def priced_with(self, since: int) -> tuple[PricedWith, ...]:
        """By which versions of their prices the requests since then (microseconds) were held, by route. Reads every hold."""
        ...
