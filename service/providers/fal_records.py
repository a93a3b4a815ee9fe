"""fal's own books, through its platform API: the request list of an endpoint, and billing events.

Sources: fal docs (platform API: requests by endpoint, billing events; its OpenAPI description).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpx

from service.domain.absence import AbsenceRule
from service.domain.exchange import Bill, BillPage, Listed, Scan, Search
from service.domain.failure import ProviderUnavailable
from service.domain.limits import (
    MICROS_PER_SECOND,
    bills_asked_count_max,
    bills_span_seconds_max,
    find_pages_max,
    provider_call_seconds_max,
)
from service.ports import Clock
from service.providers.listing import Found, exact_nanos, iso_of, micros_of_iso, sent_digest
from service.providers.wire import (
    Answer,
    Caller,
    calling_transport,
    integer,
    no_answer,
    number,
    trust,
    usable_id,
    usable_name,
)

NAME: Final = "fal"
PLATFORM_URL: Final = "https://api.fal.ai/v1"
REQUESTS_PAGE_ROWS: Final = 100
BILLS_PAGE_ROWS: Final = 1_000
CURSOR_CHARACTERS_MAX: Final = 4_096
LISTED_WITHIN_SECONDS: Final = 2 * 3600
"""So long after it was sent a request that runs at all has ended: the start timeout, and the app's timeout of an hour."""

ABSENCE: Final = AbsenceRule(
    settle_seconds=15 * 60.0,
    waits=True,
    scans=2,
    scan_gap_seconds=30.0,
    within_seconds=None,
    dispatch_again=False,
)
"""The list shows requests that have started, some of them minutes late; a request that is never listed may still be in the queue
of an endpoint that nobody serves. So absence is believed late, and never leads to a second dispatch by itself."""


class FalRecords:
    """fal's request list and billing events. Implements `service.ports.ProviderRecords` and `ProviderBills`.

    The list belongs to any key of the account, the bills to an ADMIN key (`admin_key`; `key` where it is one). `platform_url` has
    the version in it. Keys go to that origin only.
    """

    def __init__(
        self,
        key: str,
        clock: Clock,
        *,
        admin_key: str | None = None,
        platform_url: str = PLATFORM_URL,
        call_seconds_max: float = provider_call_seconds_max,
        pages_max: int = find_pages_max,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._url = platform_url.rstrip("/")
        self._pages_max = pages_max
        self._admin = {"Authorization": f"Key {admin_key or key}"}
        self._caller = Caller(
            NAME,
            {"Authorization": f"Key {key}"},
            [self._url],
            transport=transport or calling_transport(tls or trust()),
            seconds_max=call_seconds_max,
        )

    @property
    def name(self) -> str:
        """`fal`."""
        return NAME

    @property
    def absence(self) -> AbsenceRule:
        """See `ABSENCE`."""
        return ABSENCE

    async def find(self, search: Search) -> Scan:
        """Read the endpoint's list from `sent_from` until everything sent in the span has ended: which of a request's times the
        filter looks at is not documented.
        """
        asked = {
            "endpoint_id": search.endpoint,
            "start": iso_of(search.sent_from),
            "expand": "payloads",
            "limit": str(REQUESTS_PAGE_ROWS),
        }
        end = search.sent_before + LISTED_WITHIN_SECONDS * MICROS_PER_SECOND
        if end < self._clock.now():
            asked["end"] = iso_of(end)
        found = Found(search)
        cursor: str | None = None
        for _ in range(self._pages_max):
            answer = await self._ask("requests/by-endpoint", asked, cursor)
            found.dated(answer, self._clock)
            data = self._read(answer)
            rows = data.get("items")
            if not isinstance(rows, list):
                raise ProviderUnavailable("fal: a list of requests without items")
            for row in rows:
                _note(found, row)
            cursor = _next(data)
            if cursor is None:
                return found.scan(read_whole=data.get("has_more") is not True)
        return found.scan(read_whole=False)

    async def bills(self, since: int, before: int, page: str | None = None) -> BillPage:
        """A page of billing events by their own time. They trail their requests by seconds to hours."""
        if not 0 < before - since <= bills_span_seconds_max * MICROS_PER_SECOND:
            raise ValueError("a span of bills is longer than nothing and at most bills_span_seconds_max")
        asked = {"start": iso_of(since), "end": iso_of(before), "limit": str(BILLS_PAGE_ROWS)}
        return self._bills(await self._ask("billing-events", asked, page, headers=self._admin))

    async def bills_of(self, provider_ids: tuple[str, ...], since: int) -> BillPage:
        """The events of these requests: one call, since fal takes up to fifty ids."""
        if not 1 <= len(provider_ids) <= bills_asked_count_max:
            raise ValueError("one to bills_asked_count_max requests")
        asked = {
            "start": iso_of(since),
            "request_id": ",".join(provider_ids),
            "limit": str(BILLS_PAGE_ROWS),
        }
        return self._bills(await self._ask("billing-events", asked, None, headers=self._admin))

    async def _ask(
        self,
        path: str,
        params: Mapping[str, str],
        cursor: str | None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(params) if cursor is None else {**params, "cursor": cursor}
        return await self._caller.ask("GET", f"{self._url}/models/{path}", params=sent, headers=headers)

    def _read(self, answer: Answer) -> Mapping[str, Any]:
        data = answer.object()
        if answer.status != 200 or data is None:
            raise no_answer(NAME, answer, self._clock)
        return data

    def _bills(self, answer: Answer) -> BillPage:
        data = self._read(answer)
        rows = data.get("billing_events")
        if not isinstance(rows, list):
            raise ProviderUnavailable("fal: billing events without events")
        read = [_bill(row) for row in rows]
        bills = tuple(bill for bill in read if bill is not None)
        return BillPage(bills, _next(data), len(read) - len(bills))

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self._caller.close()


def _note(found: Found, row: Any) -> None:
    """One row of the list. A request whose payloads are not kept (or not shown) cannot be compared."""
    if not isinstance(row, dict):
        found.unreadable()
        return
    provider_id, sent_at = usable_id(row.get("request_id")), micros_of_iso(row.get("sent_at"))
    if provider_id is None or sent_at is None:
        found.unreadable()
        return
    listed = Listed(provider_id, sent_at)
    same = row.get("endpoint_id") in (None, found.search.endpoint)
    found.note(listed, same_endpoint=same, digest=sent_digest(row.get("json_input")))


def _bill(row: Any) -> Bill | None:
    if not isinstance(row, dict):
        return None
    provider_id, at = usable_id(row.get("request_id")), micros_of_iso(row.get("timestamp"))
    endpoint = usable_name(row.get("endpoint_id"))
    nanos = integer(row.get("cost_estimate_nano_usd"))
    if nanos is None:
        nanos = exact_nanos(row.get("cost_total"))
    if provider_id is None or at is None or endpoint is None or nanos is None:
        return None
    return Bill(
        bill_id=f"{provider_id}/{endpoint}/{at}",
        provider_id=provider_id,
        endpoint=endpoint,
        at=at,
        nanos=nanos,
        units=number(row.get("output_units")),
        unit_price=number(row.get("unit_price")),
        discount_percent=number(row.get("percent_discount")),
    )


def _next(data: Mapping[str, Any]) -> str | None:
    cursor = data.get("next_cursor")
    if not isinstance(cursor, str) or not 0 < len(cursor) <= CURSOR_CHARACTERS_MAX:
        return None
    return None if data.get("has_more") is False else cursor
