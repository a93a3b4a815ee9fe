"""Replicate's own books: the account's list of predictions, which is also all that it tells about bills.

Sources: Replicate's OpenAPI description (predictions.list), docs (billing, data retention).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

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
from service.providers.listing import Found, iso_of, sent_digest
from service.providers.replicate_answers import ENDS, metrics_of, micros_of
from service.providers.wire import Answer, Caller, calling_transport, no_answer, trust, usable_id, usable_name

NAME: Final = "replicate"
API_URL: Final = "https://api.replicate.com"
CURSOR_CHARACTERS_MAX: Final = 4_096
BILLS_LOOK_BACK_SECONDS: Final = 3_600
"""A prediction of a span may have been created before it: the run limit is half an hour, and ours ends it with Cancel-After."""

ABSENCE: Final = AbsenceRule(
    settle_seconds=120.0,
    waits=False,
    scans=2,
    scan_gap_seconds=30.0,
    within_seconds=50 * 60.0,
    dispatch_again=True,
)
"""The list shows a prediction from its creation on, and its input for an hour after its end."""


class ReplicateRecords:
    """Replicate's list of predictions. Implements `service.ports.ProviderRecords` and `ProviderBills`."""

    def __init__(
        self,
        token: str,
        clock: Clock,
        *,
        base_url: str = API_URL,
        call_seconds_max: float = provider_call_seconds_max,
        pages_max: int = find_pages_max,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._url = f"{base_url.rstrip('/')}/v1/predictions"
        self._pages_max = pages_max
        self._caller = Caller(
            NAME,
            {"Authorization": f"Bearer {token}"},
            [self._url],
            transport=transport or calling_transport(tls or trust()),
            seconds_max=call_seconds_max,
        )

    @property
    def name(self) -> str:
        """`replicate`."""
        return NAME

    @property
    def absence(self) -> AbsenceRule:
        """See `ABSENCE`."""
        return ABSENCE

    async def find(self, search: Search) -> Scan:
        """Read the list, newest first, down to `sent_from`. The filters by time are asked for and not relied on: rows outside the
        span are skipped, and a page of nothing but older rows ends the reading.
        """
        asked = {"created_after": iso_of(search.sent_from), "created_before": iso_of(search.sent_before + 1)}
        found = Found(search)
        cursor: str | None = None
        for _ in range(self._pages_max):
            answer = await self._ask(asked, cursor)
            found.dated(answer, self._clock)
            rows, cursor, ends = self._page(answer)
            times = [_note(found, row) for row in rows]
            older = bool(times) and all(at is not None and at < search.sent_from for at in times)
            if ends or older:
                return found.scan(read_whole=True)
            if cursor is None:
                break
        return found.scan(read_whole=False)

    async def bills(self, since: int, before: int, page: str | None = None) -> BillPage:
        """A page of predictions that have ended within the span. Replicate names no money: `metrics` are to be priced."""
        if not 0 < before - since <= bills_span_seconds_max * MICROS_PER_SECOND:
            raise ValueError("a span of bills is longer than nothing and at most bills_span_seconds_max")
        first = since - BILLS_LOOK_BACK_SECONDS * MICROS_PER_SECOND
        asked = {"created_after": iso_of(first), "created_before": iso_of(before)}
        rows, cursor, ends = self._page(await self._ask(asked, page))
        if not ends and cursor is None:
            raise ProviderUnavailable("replicate: a list that goes on, and does not say where")
        created = [micros_of(row.get("created_at")) for row in rows if isinstance(row, dict)]
        older = bool(created) and all(at is not None and at < first for at in created)
        bills, unreadable_count = _bills(rows)
        within = tuple(bill for bill in bills if since <= bill.at < before)
        return BillPage(within, None if older else cursor, unreadable_count)

    async def bills_of(self, provider_ids: tuple[str, ...], since: int) -> BillPage:
        """One look per request. Unknown ids and requests that have not ended are left out."""
        if not 1 <= len(provider_ids) <= bills_asked_count_max:
            raise ValueError("one to bills_asked_count_max requests")
        rows = []
        for provider_id in provider_ids:
            answer = await self._caller.ask("GET", f"{self._url}/{quote(provider_id, safe='')}")
            if answer.status != 404:
                rows.append(self._read(answer))
        bills, unreadable_count = _bills(rows)
        return BillPage(tuple(bill for bill in bills if bill.at >= since), None, unreadable_count)

    async def _ask(self, params: Mapping[str, str], cursor: str | None) -> Answer:
        sent = dict(params) if cursor is None else {**params, "cursor": cursor}
        return await self._caller.ask("GET", self._url, params=sent)

    def _page(self, answer: Answer) -> tuple[list[Any], str | None, bool]:
        """The rows, where the next page is, and whether this is the last one."""
        data = self._read(answer)
        rows = data.get("results")
        if not isinstance(rows, list):
            raise ProviderUnavailable("replicate: a list without results")
        following = data.get("next")
        return rows, _cursor_of(following), following is None

    def _read(self, answer: Answer) -> Mapping[str, Any]:
        data = answer.object()
        if answer.status != 200 or data is None:
            raise no_answer(NAME, answer, self._clock)
        return data

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self._caller.close()


def _note(found: Found, row: Any) -> int | None:
    """One row of the list; when it was created."""
    created = micros_of(row.get("created_at")) if isinstance(row, dict) else None
    provider_id = usable_id(row.get("id")) if isinstance(row, dict) else None
    if created is None or provider_id is None:
        found.unreadable()
        return created
    given = None if row.get("data_removed") is True else row.get("input")
    found.note(
        Listed(provider_id, created),
        same_endpoint=_is_of(row, found.search.endpoint),
        digest=sent_digest(given),
    )
    return created


def _is_of(row: Mapping[str, Any], endpoint: str) -> bool:
    """Whether the row may be of this endpoint (`owner/name` or `owner/name:version`): model and version can be null."""
    name, _, version = endpoint.partition(":")
    model = row.get("model")
    return model is None or model == name or (bool(version) and row.get("version") == version)


def _bills(rows: list[Any]) -> tuple[list[Bill], int]:
    """The bills of the rows that have ended, and how many rows could not be read."""
    bills = []
    unreadable_count = 0
    for row in rows:
        ended = ENDS.get(str(row.get("status"))) if isinstance(row, dict) else None
        if isinstance(row, dict) and ended is None and isinstance(row.get("status"), str):
            continue
        provider_id = usable_id(row.get("id")) if isinstance(row, dict) else None
        at = None if provider_id is None else micros_of(row.get("completed_at") or row.get("created_at"))
        if provider_id is None or at is None:
            unreadable_count += 1
            continue
        endpoint = usable_name(row.get("model")) or ""
        metrics = metrics_of(row.get("metrics"))
        bills.append(Bill(provider_id, provider_id, endpoint, at, metrics=metrics, ended=ended))
    return bills, unreadable_count


def _cursor_of(following: Any) -> str | None:
    """The cursor in the address of the next page. The address itself is not followed: the token goes to our own origin only."""
    if not isinstance(following, str):
        return None
    try:
        found = parse_qs(urlsplit(following).query).get("cursor", [])
    except ValueError:
        return None
    return found[0] if found and len(found[0]) <= CURSOR_CHARACTERS_MAX else None
