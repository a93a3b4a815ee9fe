"""fal's platform API: prices, billing events, usage, requests by endpoint, senders of webhooks."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.answers import as_json, listless
from sandbox.book import Entry, Outcome, Phase
from sandbox.fal_queue import refuse_key
from sandbox.fal_shapes import image_of, listed_input, output_with, stamp
from sandbox.world import World

IDS_MAX = 50
EVENTS_MAX = 10_000
REQUESTS_MAX = 100
SPAN_MAX = timedelta(days=90)
DEFAULT_SPAN = timedelta(hours=24)
API_ONLY_KEY = "sandbox:api"
T = TypeVar("T")


class BadQuery(Exception):
    """A query parameter is missing or wrong."""


def number(value: Decimal) -> float:
    """A Decimal as the JSON number that the real API shows; it is printed, never computed with."""
    return float(value)


def failure(status: int, kind: str, message: str) -> Response:
    """The platform's error shape."""
    return as_json({"error": {"type": kind, "message": message}}, status)


class FalPlatform:
    """The door at /fal/api/v1, and the webhook keys beside it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Where this door is."""
        root = "/fal/api/v1"
        return [
            Route("/fal/rest/.well-known/jwks.json", self.jwks, methods=["GET"]),
            Route(f"{root}/meta", self.meta, methods=["GET"]),
            Route(f"{root}/models/pricing", self.pricing, methods=["GET"]),
            Route(f"{root}/models/pricing/estimate", self.estimate, methods=["POST"]),
            Route(f"{root}/models/billing-events", self.billing_events, methods=["GET"]),
            Route(f"{root}/models/usage", self.usage, methods=["GET"]),
            Route(f"{root}/models/requests/by-endpoint", self.by_endpoint, methods=["GET"]),
        ]

    async def jwks(self, request: Request) -> Response:
        """The public keys that webhooks are signed with; no key asked for."""
        del request
        fault = self._world.faults.claim_list("fal", "jwks")
        if fault is not None:
            return listless("fal", fault)
        return as_json(self._world.webhooks.jwks(), 200, {"Cache-Control": "public, max-age=86400"})

    async def meta(self, request: Request) -> Response:
        """Where webhooks come from: loopback."""
        del request
        return as_json({"webhook_ip_ranges": ["127.0.0.1/32", "::1/128"]})

    async def pricing(self, request: Request) -> Response:
        """Unit prices of up to 50 endpoints."""
        refused = self._refuse(request)
        if refused is not None:
            return refused
        ids = _listed(request, "endpoint_id")
        if not 1 <= len(ids) <= IDS_MAX:
            return failure(400, "validation_error", f"endpoint_id is required, 1 to {IDS_MAX} of them")
        unknown = [one for one in ids if one not in self._world.fal]
        if unknown:
            return failure(404, "not_found", f"Endpoint not found: {unknown[0]}")
        prices = []
        for one in ids:
            model = self._world.fal[one]
            price = number(Decimal(model.unit_price))
            prices.append({"endpoint_id": one, "unit_price": price, "unit": model.unit, "currency": "USD"})
        return as_json({"prices": prices, "next_cursor": None, "has_more": False})

    async def estimate(self, request: Request) -> Response:
        """What so many units of each endpoint would cost."""
        refused = self._refuse(request)
        if refused is not None:
            return refused
        try:
            wish = json.loads(await request.body())
            total = Decimal(0)
            for endpoint, quantity in wish["endpoints"].items():
                units = Decimal(str(quantity.get("unit_quantity", quantity.get("call_quantity"))))
                total += units * Decimal(self._world.fal[endpoint].unit_price)
        except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation):
            return failure(
                400, "validation_error", "estimate_type and known endpoints with quantities are required"
            )
        return as_json(
            {"estimate_type": wish.get("estimate_type"), "total_cost": number(total), "currency": "USD"}
        )

    async def billing_events(self, request: Request) -> Response:
        """What was charged for each request: late, and with gaps where those were chosen."""
        refused = self._refuse(request, "billing-events", admin=True)
        if refused is not None:
            return refused
        try:
            start, end = _span(request, self._world.clock.now())
            limit, offset = _limit(request, EVENTS_MAX), _offset(request)
            ids = set(_listed(request, "request_id"))
            if len(ids) > IDS_MAX:
                raise BadQuery(f"at most {IDS_MAX} request_id")
        except BadQuery as error:
            return failure(400, "validation_error", str(error))
        endpoints = set(_listed(request, "endpoint_id"))
        found = [
            entry
            for entry in self._billed(start, end, ids)
            if not endpoints or entry.model.endpoint in endpoints
        ]
        return _page("billing_events", found, offset, limit, self._event)

    def _entries(self, ids: Collection[str]) -> Iterable[Entry]:
        if not ids:
            return self._world.book.newest_first("fal")
        found = (self._world.book.find("fal", one) for one in ids)
        return (entry for entry in found if entry is not None)

    def _billed(self, start: datetime, end: datetime, ids: Collection[str] = ()) -> Iterable[Entry]:
        now = self._world.clock.seconds()
        delay = self._world.options.billing_delay_seconds
        gap = self._world.options.billing_gap_every
        for entry in self._entries(ids):
            if entry.charge is None or entry.ended_at is None or entry.fault("bill_gap") is not None:
                continue
            late = entry.fault("bill_late")
            shown_at = entry.ended_at + delay + (0.0 if late is None else late.number("seconds"))
            if now < shown_at or (gap and entry.number % gap == 0):
                continue
            if start <= self._world.clock.at(entry.ended_at) < end:
                yield entry

    def _event(self, entry: Entry) -> dict[str, Any]:
        charge = entry.charge
        assert charge is not None
        assert entry.ended_at is not None
        cost = number(charge.units * charge.unit_price_usd)
        return {
            "request_id": entry.id,
            "endpoint_id": entry.model.endpoint,
            "timestamp": stamp(self._world.clock.at(entry.ended_at)),
            "output_units": number(charge.units),
            "unit_price": number(charge.unit_price_usd),
            "percent_discount": None,
            "cost_subtotal": cost,
            "cost_discount": 0,
            "cost_total": cost,
            "cost_estimate_nano_usd": charge.nanos,
        }

    async def usage(self, request: Request) -> Response:
        """Units and cost per endpoint over a span."""
        refused = self._refuse(request, "usage", admin=True)
        if refused is not None:
            return refused
        try:
            start, end = _span(request, self._world.clock.now())
        except BadQuery as error:
            return failure(400, "validation_error", str(error))
        units: dict[str, Decimal] = {}
        for entry in self._billed(start, end):
            assert entry.charge is not None
            units[entry.model.endpoint] = units.get(entry.model.endpoint, Decimal(0)) + entry.charge.units
        rows = []
        for endpoint, quantity in sorted(units.items()):
            model = self._world.fal[endpoint]
            cost = number(quantity * Decimal(model.unit_price))
            row = {"endpoint_id": endpoint, "unit": model.unit, "quantity": number(quantity)}
            row |= {"unit_price": number(Decimal(model.unit_price)), "percent_discount": 0, "cost": cost}
            rows.append(
                row | {"cost_subtotal": cost, "cost_discount": 0, "cost_total": cost, "currency": "USD"}
            )
        return _page("summary", rows, 0, EVENTS_MAX, lambda row: row)

    async def by_endpoint(self, request: Request) -> Response:
        """Requests of one endpoint that have started; queued ones are absent, as at the real list."""
        refused = self._refuse(request, "by-endpoint")
        if refused is not None:
            return refused
        endpoints = _listed(request, "endpoint_id")
        if not endpoints:
            return failure(400, "validation_error", "endpoint_id is required")
        try:
            start, end = _span(request, self._world.clock.now())
            limit, offset = _limit(request, REQUESTS_MAX), _offset(request)
        except BadQuery as error:
            return failure(400, "validation_error", str(error))
        ids = set(_listed(request, "request_id"))
        payloads = "payloads" in _listed(request, "expand")
        wanted = request.query_params.get("status")
        found = []
        for entry in self._entries(ids):
            if entry.model.endpoint not in endpoints or not self._is_listed(entry):
                continue
            if not start <= self._world.clock.at(entry.accepted_at) < end:
                continue
            if wanted is not None and wanted != _status(entry):
                continue
            found.append(entry)
        return _page("items", found, offset, limit, lambda entry: self._item(entry, payloads=payloads))

    def _is_listed(self, entry: Entry) -> bool:
        if entry.started_at is None or entry.fault("list_missing") is not None:
            return False
        late = entry.fault("list_delay")
        delay = self._world.options.list_delay_seconds if late is None else late.number("seconds")
        return self._world.clock.seconds() >= entry.started_at + delay

    def _item(self, entry: Entry, *, payloads: bool) -> dict[str, Any]:
        clock = self._world.clock
        assert entry.started_at is not None
        ended = entry.ended_at
        item: dict[str, Any] = {
            "request_id": entry.id,
            "endpoint_id": entry.model.endpoint,
            "sent_at": stamp(clock.at(entry.accepted_at)),
            "started_at": stamp(clock.at(entry.started_at)),
            "ended_at": None if ended is None else stamp(clock.at(ended)),
            "status_code": _status_code(entry),
            "duration": None if ended is None else round(ended - entry.started_at, 6),
        }
        if payloads and entry.stored_io and entry.fault("list_bare") is None:
            item["json_input"] = listed_input(entry)
            if entry.outcome is Outcome.SUCCEEDED:
                images = [image_of(self._world, entry, index) for index in range(len(entry.pictures))]
                item["json_output"] = output_with(entry, images)
        return item

    def _refuse(self, request: Request, name: str | None = None, *, admin: bool = False) -> Response | None:
        if refuse_key(request) is not None:
            return failure(401, "authorization_error", "Authentication is required")
        if admin and request.headers.get("authorization", "").partition(" ")[2] == API_ONLY_KEY:
            return failure(403, "authorization_error", "This endpoint needs an ADMIN key")
        fault = None if name is None else self._world.faults.claim_list("fal", name)
        if fault is not None:
            return listless("fal", fault)
        return None


def _status_code(entry: Entry) -> int | None:
    if entry.phase is not Phase.ENDED:
        return None
    return 200 if entry.failure is None else entry.failure.code


def _status(entry: Entry) -> str | None:
    code = _status_code(entry)
    if code is None:
        return None
    return "success" if code < 400 else "user_error" if code < 500 else "error"


def _listed(request: Request, name: str) -> list[str]:
    return [part for value in request.query_params.getlist(name) for part in value.split(",") if part]


def _span(request: Request, now: datetime) -> tuple[datetime, datetime]:
    start = _moment(request, "start") or now - DEFAULT_SPAN
    end = _moment(request, "end") or now + timedelta(seconds=1)
    if end - start > SPAN_MAX:
        raise BadQuery("the span must not exceed 90 days")
    return start, end


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(f"{name} must be an ISO 8601 time") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _limit(request: Request, limit_max: int) -> int:
    text = request.query_params.get("limit", str(min(100, limit_max)))
    if not text.isdigit() or not 1 <= int(text) <= limit_max:
        raise BadQuery(f"limit must be 1 to {limit_max}")
    return int(text)


def _offset(request: Request) -> int:
    text = request.query_params.get("cursor")
    if text is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError) as error:
        raise BadQuery("not a cursor") from error


def _page(
    name: str, found: Sequence[T], offset: int, limit: int, shown: Callable[[T], dict[str, Any]]
) -> Response:
    more = len(found) > offset + limit
    cursor = base64.urlsafe_b64encode(str(offset + limit).encode()).decode() if more else None
    rows = [shown(one) for one in found[offset : offset + limit]]
    return as_json({name: rows, "next_cursor": cursor, "has_more": more})
