"""Outages: providers that are down, slow or overloaded for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from sandbox import Sandbox
from sandbox.outages import MODES
from tests.sandbox.test_fal_queue import submit
from tests.sandbox.test_replicate_api import create


async def order(http: httpx.AsyncClient, sandbox: Sandbox, mode: str, **wish: Any) -> dict[str, Any]:
    """Order one outage over HTTP."""
    answer = await http.post(f"{sandbox.url}/admin/outages", json={"mode": mode, **wish})
    assert 201 == answer.status_code, answer.text
    ordered: dict[str, Any] = answer.json()
    return ordered


async def somebody_sleeps(sandbox: Sandbox) -> None:
    """Return when a call waits for the sandbox's time to pass."""
    async with asyncio.timeout(5):
        while True:
            if sandbox.world.clock.sleepers:
                return
            await asyncio.sleep(0.001)


async def test_a_provider_is_down_for_a_while(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """503 to every call of one provider, nothing accepted; the other one works, and time ends it."""
    await order(http, instant, "status", provider="fal", seconds=30)
    assert 503 == (await submit(http, instant)).status_code
    assert 503 == (await http.get(f"{instant.fal_url}/rest/.well-known/jwks.json")).status_code
    assert 201 == (await create(http, instant)).status_code
    totals = instant.world.book.totals["fal"]
    assert (0, 0, 2) == (totals.posts, totals.accepted, totals.turned_away)
    instant.world.clock.advance(31)
    assert 200 == (await submit(http, instant)).status_code


async def test_a_provider_asks_for_patience(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """429 with Retry-After, for the calls of one method under one path."""
    await order(
        http, instant, "status", code=429, retry_after=17, method="POST", path="/replicate/v1/models/*"
    )
    refused = await create(http, instant)
    assert (429, "17") == (refused.status_code, refused.headers["retry-after"])
    assert 200 == (await submit(http, instant)).status_code
    assert 1 == (await http.get(f"{instant.url}/admin/outages")).json()["outages"][0]["hits"]
    assert {"withdrawn": 1} == (await http.delete(f"{instant.url}/admin/outages")).json()
    assert 201 == (await create(http, instant)).status_code


async def test_a_provider_drops_connections(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """No answer, and nothing was accepted."""
    ordered = await order(http, instant, "drop")
    for call in (submit, create):
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await call(http, instant)
    assert 0 == sum(one.posts for one in instant.world.book.totals.values())
    gone = await http.delete(f"{instant.url}/admin/outages", params={"id": ordered["number"]})
    assert {"withdrawn": 1} == gone.json()
    assert 200 == (await submit(http, instant)).status_code


async def test_a_provider_is_slow(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Calls are taken as usual, later."""
    await order(http, instant, "slow", delay_seconds=300)
    waiting = asyncio.create_task(submit(http, instant))
    await somebody_sleeps(instant)
    assert not waiting.done()
    instant.world.clock.advance(301)
    assert 200 == (await waiting).status_code
    assert 1 == instant.world.book.totals["fal"].posts


async def test_a_provider_hangs_until_the_outage_ends(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """No answer to anybody; withdrawn, the connections are closed and later calls are answered."""
    await order(http, instant, "hang", provider="fal", seconds=500)
    waiting = asyncio.create_task(submit(http, instant))
    await somebody_sleeps(instant)
    await http.delete(f"{instant.url}/admin/outages")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await waiting
    assert 200 == (await submit(http, instant)).status_code
    assert 1 == instant.world.book.totals["fal"].posts


async def test_the_port_is_closed_for_a_while(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Connections are refused; opened again it is the same address, and what was in the book still is."""
    made = await submit(http, instant)
    await order(http, instant, "refuse", seconds=120)
    refused = 0
    while not refused:
        try:
            await http.get(f"{instant.url}/healthz")
        except httpx.ConnectError:
            refused += 1
        except (httpx.RemoteProtocolError, httpx.ReadError):
            continue
    instant.world.clock.advance(121)
    status = 0
    while not status:
        try:
            status = (
                await http.get(made.json()["response_url"], headers={"Authorization": "Key a:b"})
            ).status_code
        except httpx.ConnectError:
            await asyncio.sleep(0.001)
    assert 200 == status
    assert 200 == (await submit(http, instant)).status_code
    assert [] == instant.world.chores.failures


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"mode": "gone"},
        {"mode": "refuse"},
        {"mode": "status", "provider": "other"},
        {"mode": "status", "colour": "red"},
        {"mode": "status", "seconds": "soon"},
        [],
    ],
    ids=str,
)
async def test_an_outage_that_does_not_exist_is_refused(
    instant: Sandbox, http: httpx.AsyncClient, wish: Any
) -> None:
    """400, and nothing stands."""
    assert 400 == (await http.post(f"{instant.url}/admin/outages", json=wish)).status_code
    shown = (await http.get(f"{instant.url}/admin/outages")).json()
    assert (set(MODES), []) == (set(shown["modes"]), shown["outages"])


async def test_a_reset_ends_outages(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Like everything else that was ordered; the admin's door is never met by one."""
    await order(http, instant, "drop")
    assert 200 == (await http.post(f"{instant.url}/admin/reset")).status_code
    assert 200 == (await submit(http, instant)).status_code
