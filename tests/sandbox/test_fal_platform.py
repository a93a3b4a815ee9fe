"""fal's platform API: what evidence searches and reconciliation read."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from sandbox import Sandbox
from tests.sandbox.conftest import FAL_KEY, Start
from tests.sandbox.test_fal_queue import SCHNELL, submit


async def ask(http: httpx.AsyncClient, sandbox: Sandbox, path: str, **params: Any) -> dict[str, Any]:
    """GET from the platform API."""
    answer = await http.get(f"{sandbox.fal_url}/api/v1/{path}", params=params, headers=FAL_KEY)
    body: dict[str, Any] = answer.json()
    return {**body, "code": answer.status_code}


async def test_the_list_shows_started_requests_only(slow: Sandbox, http: httpx.AsyncClient) -> None:
    """A queued request is absent; a started one has its input, its times and later its status code."""
    await submit(http, slow, "openai/gpt-image-2", prompt="find me", headers={"X-Fal-Request-Timeout": "600"})
    query = {"endpoint_id": "openai/gpt-image-2", "expand": "payloads"}
    assert [] == (await ask(http, slow, "models/requests/by-endpoint", **query))["items"]
    entry = next(slow.world.book.newest_first("fal"))
    while entry.ended_at is None:
        slow.world.clock.advance(5)
        await asyncio.sleep(0)
    item = (await ask(http, slow, "models/requests/by-endpoint", **query))["items"][0]
    assert ("find me", 200, entry.id) == (
        item["json_input"]["prompt"],
        item["status_code"],
        item["request_id"],
    )
    assert item["sent_at"] < item["started_at"] < item["ended_at"]
    assert 1 == len(item["json_output"]["images"])


async def test_lists_are_paged_filtered_late_and_down_when_told(
    start: Start, http: httpx.AsyncClient
) -> None:
    """limit and cursor cover everything once; a delay hides; filters by id and status narrow."""
    sandbox = await start(instant=True, list_delay_seconds=30)
    for number in range(5):
        await submit(http, sandbox, prompt=str(number))
    path, query = "models/requests/by-endpoint", {"endpoint_id": SCHNELL, "limit": 2}
    assert [] == (await ask(http, sandbox, path, **query))["items"]
    sandbox.world.clock.advance(31)
    sandbox.world.faults.order({"kind": "list_unavailable", "provider": "fal", "endpoint": "by-endpoint"})
    assert 503 == (await ask(http, sandbox, path, **query))["code"]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await ask(http, sandbox, path, **query, **cursor)
        seen += [item["request_id"] for item in page["items"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert (5, 5) == (len(seen), len(set(seen)))
    one = await ask(http, sandbox, path, **query, request_id=seen[0], status="success")
    assert [seen[0]] == [item["request_id"] for item in one["items"]]
    assert [] == (await ask(http, sandbox, path, **query, status="error"))["items"]


async def test_billing_events_come_late_with_gaps_and_in_nanos(start: Start, http: httpx.AsyncClient) -> None:
    """Absent until the delay has passed, missing where a gap was ordered, integer nano-USD otherwise."""
    sandbox = await start(instant=True, billing_delay_seconds=5)
    sandbox.world.faults.order({"kind": "bill_gap"})
    made = [(await submit(http, sandbox, prompt=str(number))).json()["request_id"] for number in range(3)]
    assert [] == (await ask(http, sandbox, "models/billing-events"))["billing_events"]
    sandbox.world.clock.advance(6)
    events = (await ask(http, sandbox, "models/billing-events", request_id=",".join(made)))["billing_events"]
    assert set(made[1:]) == {event["request_id"] for event in events}
    assert {3_000_000} == {event["cost_estimate_nano_usd"] for event in events}
    assert (1, 0.003) == (events[0]["output_units"], events[0]["unit_price"])
    usage = await ask(http, sandbox, "models/usage")
    assert 0.006 == usage["summary"][0]["cost_total"]


async def test_prices_are_listed_for_known_endpoints(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Comma-separated or repeated ids, units as fal names them, 404 for a stranger, 403 for a small key."""
    prices = await ask(http, instant, "models/pricing", endpoint_id=f"{SCHNELL},openai/gpt-image-2")
    assert [("megapixels", 0.003), ("units", 1.0)] == [
        (price["unit"], price["unit_price"]) for price in prices["prices"]
    ]
    assert 404 == (await ask(http, instant, "models/pricing", endpoint_id="no/thing"))["code"]
    small = {"Authorization": "Key sandbox:api"}
    refused = await http.get(f"{instant.fal_url}/api/v1/models/billing-events", headers=small)
    assert (403, "authorization_error") == (refused.status_code, refused.json()["error"]["type"])
    estimate = await http.post(
        f"{instant.fal_url}/api/v1/models/pricing/estimate",
        json={"estimate_type": "unit_price", "endpoints": {"fal-ai/flux/dev": {"unit_quantity": 100}}},
        headers=FAL_KEY,
    )
    assert 2.5 == estimate.json()["total_cost"]
