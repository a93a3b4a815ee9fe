"""The program: starts, says where it is, can be asked and moved, and stops when told."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import httpx
import pytest

from sandbox import Sandbox, SandboxOptions
from tests.sandbox.conftest import FAL_KEY
from tests.sandbox.test_fal_queue import submit


async def test_it_prints_where_it_is_and_stops_on_sigterm(http: httpx.AsyncClient) -> None:
    """One JSON line with the addresses, then service, then exit code 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox", "--port", "0", "--instant", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = json.loads(await process.stdout.readline())
        assert line["fal_url"].startswith(line["url"])
        assert 200 == (await http.get(f"{line['url']}/healthz")).status_code
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert 0 == await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_ends_with_the_process_that_started_it() -> None:
    """With --until-stdin-closes nobody has to stop it when its parent dies."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "--port", "0", "--until-stdin-closes"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(20):
            await process.stdout.readline()
            process.stdin.close()
            assert 0 == await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_listens_on_loopback_only() -> None:
    """Any other address is refused before a port is bound."""
    for host in ("0.0.0.0", "192.0.2.1", "example.net"):
        with pytest.raises(ValueError, match="loopback"):
            Sandbox(SandboxOptions(host=host))


async def test_stopping_cuts_off_who_is_held(http: httpx.AsyncClient) -> None:
    """A stop ends held connections and unfinished work at once; twice is harmless."""
    sandbox = Sandbox(SandboxOptions())
    await sandbox.stop()
    await sandbox.start()
    sandbox.world.faults.order({"kind": "hang_after_accept"})
    held = asyncio.ensure_future(submit(http, sandbox))
    async with asyncio.timeout(5):
        while not len(sandbox.world.book):  # noqa: ASYNC110  # the book has no bell
            await asyncio.sleep(0.001)
    await sandbox.stop()
    await sandbox.stop()
    with pytest.raises(httpx.TransportError):
        await held


async def test_the_book_adds_up_and_reset_clears_it(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Totals equal the rows; refused POSTs are counted apart; reset starts anew."""
    instant.world.faults.order({"kind": "refuse_input"})
    for _ in range(4):
        await submit(http, instant)
    book = (await http.get(f"{instant.url}/admin/book")).json()
    assert (4, 3, 3) == tuple(book["totals"][name] for name in ("posts", "accepted", "billed_count"))
    assert book["totals"]["billed_nanos"] == sum(row["bill_nanos"] for row in book["requests"])
    assert [422] == [row["status"] for row in book["refused"]]
    assert 4 == max(row["posts"] for row in book["requests"])
    await http.post(f"{instant.url}/admin/reset")
    book = (await http.get(f"{instant.url}/admin/book")).json()
    assert ([], 0) == (book["requests"], book["totals"]["posts"])


async def test_a_reset_disowns_what_still_runs(slow: Sandbox, http: httpx.AsyncClient) -> None:
    """A request from before the reset ends without being counted."""
    await submit(http, slow)
    entry = next(slow.world.book.newest_first("fal"))
    slow.world.reset()
    while entry.ended_at is None:
        slow.world.clock.advance(5)
        await asyncio.sleep(0)
    assert 0 == slow.world.book.totals["fal"].billed_count


async def test_a_seed_repeats_ids_and_none_does_not(http: httpx.AsyncClient) -> None:
    """Two starts with one seed give the same ids; two without give different ones."""
    ids: list[str] = []
    for seed in (5, 5, None, None):
        async with Sandbox(SandboxOptions(instant=True, seed=seed)) as sandbox:
            ids.append((await submit(http, sandbox)).json()["request_id"])
    assert ids[0] == ids[1]
    assert 3 == len(set(ids))


async def test_the_clock_only_goes_forward(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """advance_seconds moves the sandbox's time; a negative one is refused."""
    url = f"{instant.url}/admin/clock"
    before = (await http.get(url)).json()["seconds"]
    after = (await http.post(url, json={"advance_seconds": 3600})).json()["seconds"]
    assert after - before >= 3600
    assert 400 == (await http.post(url, json={"advance_seconds": -1})).status_code
    assert 200 == (await http.get(f"{instant.fal_url}/api/v1/meta", headers=FAL_KEY)).status_code
