"""The door of whoever wants trouble: order faults and outages, send webhooks by hand, change their keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.answers import as_json
from sandbox.faults import KINDS, FaultError
from sandbox.outages import MODES, OutageError
from sandbox.webhooks import Parcel, stray_body
from sandbox.world import World

WEBHOOK_BYTES_MAX: Final = 64 * 1024 * 1024
WEBHOOK_KEYS: Final = (
    "provider",
    "url",
    "request_id",
    "body",
    "bytes",
    "forged",
    "age_seconds",
    "event",
    "truncated",
    "cut",
)


class Troubles:
    """The door at /admin for faults, outages and webhooks."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Where this door is."""
        return [
            Route("/admin/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/admin/outages", self.outages, methods=["GET", "POST", "DELETE"]),
            Route("/admin/webhooks", self.webhooks, methods=["GET", "POST"]),
            Route("/admin/webhooks/rotate", self.rotate, methods=["POST"]),
        ]

    async def faults(self, request: Request) -> Response:
        """GET: kinds and orders. POST: order (an object or a list). DELETE: withdraw (?id, or all)."""
        board = self._world.faults
        if request.method == "DELETE":
            wanted = request.query_params.get("id")
            return as_json({"withdrawn": board.withdraw(None if wanted is None else int(wanted))})
        if request.method == "GET":
            kinds = {kind: {"does": text, "args": dict(args)} for kind, (text, args) in KINDS.items()}
            return as_json({"kinds": kinds, "orders": [order.shown() for order in board.orders]})
        try:
            wish = json.loads(await request.body())
            wishes = wish if isinstance(wish, list) else [wish]
            orders = [board.order(one) for one in wishes]
        except (FaultError, ValueError, AttributeError, TypeError) as error:
            return as_json({"detail": str(error)}, 400)
        shown = [order.shown() for order in orders]
        return as_json(shown if isinstance(wish, list) else shown[0], 201)

    async def outages(self, request: Request) -> Response:
        """GET: modes and what stands. POST: order one. DELETE: withdraw (?id, or all)."""
        outages = self._world.outages
        if request.method == "DELETE":
            wanted = request.query_params.get("id")
            return as_json({"withdrawn": outages.withdraw(None if wanted is None else int(wanted))})
        if request.method == "GET":
            return as_json({"modes": dict(MODES), "outages": [asdict(one) for one in outages.standing()]})
        try:
            ordered = outages.order(json.loads(await request.body()))
        except (OutageError, ValueError, AttributeError, TypeError) as error:
            return as_json({"detail": str(error)}, 400)
        return as_json(asdict(ordered), 201)

    async def webhooks(self, request: Request) -> Response:
        """GET: the newest delivery tries. POST: sign and send one now (see `_parcel`); its answer."""
        if request.method == "GET":
            return as_json({"sent": [asdict(sent) for sent in self._world.webhooks.sent]})
        try:
            parcel = self._parcel(json.loads(await request.body()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            return as_json({"detail": f"{type(error).__name__}: {error}"}, 400)
        return as_json({"answer": await self._world.webhooks.send(parcel)})

    def _parcel(self, wish: Mapping[str, Any]) -> Parcel:
        """{provider, url, request_id?, body?, bytes?, forged?, age_seconds?, event?, truncated?, cut?}.

        Without a body it is about `request_id` as if that had succeeded; `bytes` pads it, `truncated` signs
        it whole and sends half.
        """
        webhooks = self._world.webhooks
        unknown = set(wish) - set(WEBHOOK_KEYS)
        if unknown:
            raise ValueError(f"unknown key {min(unknown)!r}; known are {', '.join(WEBHOOK_KEYS)}")
        provider, url = wish["provider"], wish["url"]
        if provider not in ("fal", "replicate") or not webhooks.allows(url):
            raise ValueError("provider must be fal or replicate, and url on loopback")
        request_id = str(wish.get("request_id", "00000000-0000-4000-8000-000000000000"))
        given = wish.get("body")
        body = stray_body(provider, request_id) if given is None else str(given).encode()
        body += b" " * (min(int(wish.get("bytes", 0)), WEBHOOK_BYTES_MAX) - len(body))
        headers = webhooks.sign(
            provider,
            request_id,
            body,
            event=str(wish.get("event", "completed")),
            forged=bool(wish.get("forged")),
            age_seconds=int(wish.get("age_seconds", 0)),
        )
        parcel = Parcel(provider, request_id, "by hand", url, body, headers, cut=bool(wish.get("cut")))
        return replace(parcel, body=body[: len(body) // 2]) if wish.get("truncated") else parcel

    async def rotate(self, request: Request) -> Response:
        """Sign with other keys from now on."""
        del request
        self._world.webhooks.rotate()
        return as_json({"status": "ok"})
