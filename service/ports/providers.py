"""Providers: the life of a request, their own books, their webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from service.domain.absence import AbsenceRule
from service.domain.exchange import (
    BillPage,
    CancelAnswer,
    DispatchAnswer,
    Health,
    Order,
    Result,
    Scan,
    Search,
    Status,
    WebhookNotice,
)


class Provider(Protocol):
    """One provider's queue. Foreign exceptions MUST NOT leave it.

    `dispatch` MUST send at most one POST and never raise for what the wire does: everything doubtful is Unclear. The
    other methods are idempotent, MAY be repeated, and raise `ProviderUnavailable` or `ProviderDenied` (service.domain.failure)
    when there is no answer to be had. Deadlines are inside; cancellation MUST pass.
    """

    @property
    def name(self) -> str:
        """`fal` or `replicate`."""
        ...

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Send the one POST. None when the monotonic clock has passed `send_before` just before sending: nothing was sent."""
        ...

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """One look."""
        ...

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """Fetch result and evidence of an ended request."""
        ...

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Ask the provider to stop."""
        ...

    async def upload(self, content: bytes, mime_type: str) -> str:
        """Give the provider an input picture, answer the URL under which its models can read it."""
        ...

    async def close(self) -> None:
        """Free sockets; legal twice."""
        ...


class ProviderRecords(Protocol):
    """What a provider's own books say, beside the life of one request. Idempotent, MAY be repeated; raises
    `ProviderUnavailable` or `ProviderDenied`. Deadlines are inside; cancellation MUST pass. Every scan is bounded in pages.
    """

    @property
    def absence(self) -> AbsenceRule:
        """When a complete scan without a match proves that a request never arrived."""
        ...

    async def find(self, search: Search) -> Scan:
        """Read the provider's request list over the span and answer the requests whose input is the same."""
        ...

    async def close(self) -> None:
        """Free sockets; legal twice."""
        ...


class ProviderBills(Protocol):
    """What a provider charged, by its own books, for reconciliation. Bills come late, in any order, and may be missing for hours.

    Idempotent, MAY be repeated; raises `ProviderUnavailable` or `ProviderDenied`. Deadlines are inside; cancellation MUST pass.
    """

    async def bills(self, since: int, before: int, page: str | None = None) -> BillPage:
        """A page of what was booked from `since` until before `before` (microseconds), a span of at most
        `bills_span_seconds_max`. `page` is the `next_page` of the answer before, asked with the same span.
        """
        ...

    async def bills_of(self, provider_ids: tuple[str, ...], since: int) -> BillPage:
        """What was booked since then for these requests, at most `bills_asked_count_max` of them, in one page. A request without
        a bill is left out.
        """
        ...


class WebhookCheck(Protocol):
    """Whether a webhook is authentic. Keys are cached and fetched again at a bounded pace, which a forger MUST NOT be able to
    raise. Deadlines are inside; cancellation MUST pass.
    """

    async def check(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Verify signature and time over the raw body. Header names come in lower case. Raises `WebhookForged`, or
        `ProviderUnavailable` while the keys are not to be had.
        """
        ...

    async def close(self) -> None:
        """Free sockets; legal twice."""
        ...


class RouteHealth(Protocol):
    """What the circuit breaker of one provider knows. MUST NOT do I/O."""

    def health(self, endpoint: str) -> Health:
        """The health of a route, by its endpoint. A route never asked is OK."""
        ...
