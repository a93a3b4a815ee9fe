"""The door of whoever runs the sandbox: read the book, move the clock. What goes wrong is ordered next door (`troubles`)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.answers import as_json
from sandbox.book import INPUT_SHOWN_MAX_CHARACTERS, Entry
from sandbox.fal_shapes import plain, stamp
from sandbox.world import World

PAGE_MAX = 10_000


class Admin:
    """The door at /admin, without a key: the sandbox listens on loopback only."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Where this door is."""
        return [
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/admin/book", self.book, methods=["GET"]),
            Route("/admin/reset", self.reset, methods=["POST"]),
            Route("/admin/clock", self.clock, methods=["GET", "POST"]),
        ]

    async def healthz(self, request: Request) -> Response:
        """200 once the sandbox answers."""
        del request
        return as_json({"status": "ok", "background_failures": len(self._world.chores.failures)})

    async def book(self, request: Request) -> Response:
        """Totals, the newest accepted requests (?provider, ?endpoint, ?limit), and refused POSTs."""
        wanted = request.query_params
        limit_text = wanted.get("limit", "1000")
        if not limit_text.isdigit():
            return as_json({"detail": "limit must be a number"}, 400)
        limit = min(int(limit_text), PAGE_MAX)
        entries: list[Entry] = []
        for provider in ("fal", "replicate"):
            if wanted.get("provider") in (None, provider):
                entries.extend(self._world.book.newest_first(provider))
        if "endpoint" in wanted:
            entries = [entry for entry in entries if entry.model.endpoint == wanted["endpoint"]]
        entries.sort(key=lambda entry: -entry.number)
        per_provider = {name: asdict(totals) for name, totals in self._world.book.totals.items()}
        return as_json(
            {
                "totals": {
                    name: sum(totals[name] for totals in per_provider.values())
                    for name in per_provider["fal"]
                },
                "providers": per_provider,
                "requests": [self._row(entry) for entry in entries[:limit]],
                "refused": [asdict(refused) for refused in self._world.book.refused[-limit:]],
            }
        )

    def _row(self, entry: Entry) -> dict[str, Any]:
        world = self._world
        shown: Any = dict(entry.input)
        if len(json.dumps(shown, default=str)) > INPUT_SHOWN_MAX_CHARACTERS:
            shown = {
                name: value if len(str(value)) < 500 else str(value)[:500] for name, value in shown.items()
            }
        moments = {
            "accepted_at": entry.accepted_at,
            "started_at": entry.started_at,
            "ended_at": entry.ended_at,
        }
        return {
            "provider": entry.provider,
            "endpoint": entry.model.endpoint,
            "id": entry.id,
            "posts": entry.posts,
            "phase": entry.phase.value,
            "status": entry.outcome.value if entry.outcome is not None else entry.phase.value,
            **{name: None if at is None else stamp(world.clock.at(at)) for name, at in moments.items()},
            "input": shown,
            "seed": entry.seed,
            "pictures": len(entry.pictures),
            "billed": entry.charge is not None,
            "bill_nanos": entry.bill_nanos,
            "bill_units": None if entry.charge is None else plain(entry.charge.units),
            "bill_unit": None if entry.charge is None else entry.charge.unit,
            "token": entry.token,
            "input_digest": entry.input_digest,
            "webhook_url": entry.webhook_url,
            "cancel_asked": entry.cancel_asked,
            "faults": [fault.kind for fault in entry.faults],
        }

    async def reset(self, request: Request) -> Response:
        """Forget requests, totals, fault orders, outages and uploads."""
        del request
        self._world.reset()
        return as_json({"status": "ok"})

    async def clock(self, request: Request) -> Response:
        """GET: the sandbox's time. POST {advance_seconds}: let time pass at once."""
        if request.method == "POST":
            try:
                seconds = float(json.loads(await request.body())["advance_seconds"])
                self._world.clock.advance(seconds)
            except (ValueError, KeyError, TypeError) as error:
                return as_json({"detail": f"advance_seconds must be a number, at least 0: {error}"}, 400)
        return as_json({"now": stamp(self._world.clock.now()), "seconds": self._world.clock.seconds()})
