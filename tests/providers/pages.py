"""The providers' books as pages that a test wrote."""

from __future__ import annotations

import json
from typing import Any

import httpx

from service.domain.exchange import Search
from service.domain.sent import input_digest
from service.providers.fal_records import FalRecords
from service.providers.replicate_records import ReplicateRecords
from tests.providers.books_rig import now_clock

INPUT = {"prompt": "a fox", "seed": 7}
NOW = 1_767_225_600_000_000  # 2026-01-01T00:00Z
FLUX = "black-forest-labs/flux-schnell"


class Pages(httpx.AsyncBaseTransport):
    """Answers in turn, in the place of the internet, and remembers what was asked."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages)
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        page = self.pages[min(len(self.asked), len(self.pages)) - 1]
        return page if isinstance(page, httpx.Response) else httpx.Response(200, content=_text(page))


def _text(page: Any) -> str:
    return page if isinstance(page, str) else json.dumps(page)


def search(endpoint: str = "fal-ai/flux/dev") -> Search:
    """Two minutes round midnight."""
    return Search(endpoint, input_digest(INPUT), NOW - 120_000_000, NOW + 120_000_000)


def fal_row(**changes: Any) -> dict[str, Any]:
    """A row of fal's list that is a match, unless something is changed."""
    row = {
        "request_id": "r-1",
        "endpoint_id": "fal-ai/flux/dev",
        "sent_at": "2026-01-01T00:00:01.5Z",
        "json_input": dict(INPUT),
    }
    return {**row, **changes}


def replicate_row(**changes: Any) -> dict[str, Any]:
    """A prediction in Replicate's list that is a match, unless something is changed."""
    row = {"id": "p1", "model": FLUX, "created_at": "2026-01-01T00:00:01.12Z", "input": dict(INPUT)}
    return {**row, "status": "succeeded", **changes}


def fal(*pages: Any, **args: Any) -> tuple[FalRecords, Pages]:
    """fal's books, as these pages have them."""
    transport = Pages(*pages)
    return FalRecords("id:key", now_clock(), transport=transport, **args), transport


def replicate(*pages: Any, **args: Any) -> tuple[ReplicateRecords, Pages]:
    """Replicate's books, as these pages have them."""
    transport = Pages(*pages)
    return ReplicateRecords("token", now_clock(), transport=transport, **args), transport
