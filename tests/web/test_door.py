"""What the HTTP door answers, over real loopback HTTP: pages, faults, limits, and starting and stopping."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.domain.errors import StorageUnavailable, StoreUnavailable
from service.web.exposition import WAITING_COUNT_MAX
from service.web.guards import BodyLimit
from service.web.routes import READINESS_SECONDS_MAX, Sources
from service.web.server import HttpServer
from tests.web.world import World, running


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def door(world: World) -> AsyncIterator[tuple[HttpServer, httpx.AsyncClient]]:
    async with running(Sources(world.expose, world.ledger, world.readiness)) as pair:
        yield pair


@pytest.fixture
async def client(door: tuple[HttpServer, httpx.AsyncClient]) -> httpx.AsyncClient:
    return door[1]


# ---------------------------------------------------------------- metrics


async def test_metrics_are_those_of_this_replica(client: httpx.AsyncClient, world: World) -> None:
    """/metrics shows what was counted, in Prometheus' text format."""
    world.metrics.calls.refusals.labels("FIELD_INVALID").inc(3)
    answer = await client.get("/metrics")
    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    assert 'lightmeter_refusals_total{reason="FIELD_INVALID"} 3.0' in answer.text


async def test_rendering_does_not_hold_up_the_loop(client: httpx.AsyncClient, world: World) -> None:
    """While metrics are rendered, in another thread, the door answers others."""
    gate, names = threading.Event(), []

    def slow() -> bytes:
        names.append(threading.current_thread().name)
        assert gate.wait(10)
        return b"done 1\n"

    world.render = slow
    scrape = asyncio.ensure_future(client.get("/metrics"))
    assert 200 == (await client.get("/healthz")).status_code
    gate.set()
    assert "done 1\n" == (await scrape).text
    assert names[0].startswith("exposition")


async def test_scrapes_do_not_queue_without_end(client: httpx.AsyncClient, world: World) -> None:
    """More scrapes than may wait are refused with 503; the others are answered."""
    gate = threading.Event()

    def slow() -> bytes:
        assert gate.wait(10)
        return b"x 1\n"

    world.render = slow
    scrapes = [asyncio.ensure_future(client.get("/metrics")) for _ in range(WAITING_COUNT_MAX + 3)]
    done, _ = await asyncio.wait(scrapes, return_when=asyncio.FIRST_COMPLETED)
    assert {503} == {scrape.result().status_code for scrape in done}
    gate.set()
    answers = [answer.status_code for answer in await asyncio.gather(*scrapes)]
    assert {200: WAITING_COUNT_MAX + 1, 503: 2} == {code: answers.count(code) for code in set(answers)}


async def test_the_ledger_page_shows_exact_money(client: httpx.AsyncClient) -> None:
    """/metrics/ledger renders families with exact decimals."""
    answer = await client.get("/metrics/ledger")
    assert 200 == answer.status_code
    assert 'lightmeter_ledger_charged_usd_total{project="p"} 0.128' in answer.text.splitlines()


async def test_the_ledger_page_takes_ready_text(client: httpx.AsyncClient, world: World) -> None:
    """Text that was rendered elsewhere is passed on as it is."""
    world.figures = b"lightmeter_ledger_held_usd 1\n"
    assert "lightmeter_ledger_held_usd 1\n" == (await client.get("/metrics/ledger")).text


async def test_a_ledger_that_is_away_is_no_empty_ledger(client: httpx.AsyncClient, world: World) -> None:
    """When the database does not answer, the page is a 503 without its reasons, never zeros."""
    world.fault = StoreUnavailable("password=hunter2 at db.internal")
    answer = await client.get("/metrics/ledger")
    assert (503, {"error": "unavailable"}) == (answer.status_code, answer.json())


# ---------------------------------------------------------------- health


async def test_a_healthy_ready_replica_says_so(client: httpx.AsyncClient) -> None:
    """/healthz and /readyz are 200 while everything is there; readiness names its checks."""
    assert 200 == (await client.get("/healthz")).status_code
    answer = await client.get("/readyz")
    assert 200 == answer.status_code
    expected = {"ready": True, "draining": False, "checks": {"store": True, "storage": True}}
    assert expected == answer.json()


async def test_one_failed_check_is_not_ready(client: httpx.AsyncClient, world: World) -> None:
    """A replica whose store is away gets no calls, but is alive."""
    world.checks = {"store": False, "storage": True}
    answer = await client.get("/readyz")
    assert (503, False) == (answer.status_code, answer.json()["ready"])
    assert 200 == (await client.get("/healthz")).status_code


async def test_a_check_that_fails_or_hangs_is_not_ready(client: httpx.AsyncClient, world: World) -> None:
    """No answer within the time limit is a no, and so is an error."""
    world.fault = StorageUnavailable("away")
    assert 503 == (await client.get("/readyz")).status_code
    world.fault, world.forever = None, True
    started = asyncio.get_running_loop().time()
    assert 503 == (await client.get("/readyz")).status_code
    assert asyncio.get_running_loop().time() - started < READINESS_SECONDS_MAX + 2


async def test_a_draining_replica_is_not_ready_but_answers(
    door: tuple[HttpServer, httpx.AsyncClient],
) -> None:
    """After drain /readyz is 503 with its reason; metrics and health go on."""
    server, client = door
    await server.drain()
    answer = await client.get("/readyz")
    assert (503, True) == (answer.status_code, answer.json()["draining"])
    assert [200, 200] == [(await client.get(page)).status_code for page in ("/healthz", "/metrics")]


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("page", ["/", "/webhooks/fal/abc", "/webhooks/replicate/abc", "/nothing"])
async def test_other_pages_are_not_found(client: httpx.AsyncClient, page: str) -> None:
    """What the door does not have is 404 in JSON, for reading and for posting."""
    for answer in (await client.get(page), await client.post(page, content=b"{}")):
        assert (404, "application/json") == (answer.status_code, answer.headers["content-type"])


async def test_every_answer_keeps_browsers_from_guessing(client: httpx.AsyncClient, world: World) -> None:
    """Pages, refusals and failures carry the safety headers, and say nothing of the server."""
    world.fault = RuntimeError("a bug with a secret")
    pages = [await client.get(page) for page in ("/metrics", "/healthz", "/nothing", "/metrics/ledger")]
    assert [200, 200, 404, 500] == [answer.status_code for answer in pages]
    for answer in pages:
        assert ("nosniff", "no-store") == (
            answer.headers["x-content-type-options"],
            answer.headers["cache-control"],
        )
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        assert "secret" not in answer.text


async def test_a_large_body_is_refused_unread(client: httpx.AsyncClient) -> None:
    """A body announced above the limit is 413, whatever the page."""
    assert 413 == (await client.post("/metrics", content=bytes(1024 * 1024 + 1))).status_code
    assert 405 == (await client.post("/metrics", content=b"small")).status_code


async def test_a_body_that_grows_past_the_limit_is_refused() -> None:
    """Where the length is not announced, reading stops at the limit."""

    async def page(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def parts(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(10)

    app = BodyLimit(Starlette(routes=[Route("/", page, methods=["POST"])]), bytes_max=100)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
        answers = [await client.post("/", content=parts(count)) for count in (10, 11)]
    assert [200, 413] == [answer.status_code for answer in answers]


async def test_endless_headers_are_refused(door: tuple[HttpServer, httpx.AsyncClient]) -> None:
    """A request whose headers never end is closed at the limit, not kept in memory."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door[0].port)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 100_000)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(5):
            assert b"400" in (await reader.readline() or b"400")
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert 200 == (await door[1].get("/healthz")).status_code


# ---------------------------------------------------------------- life


async def test_stopping_is_legal_at_any_time(world: World) -> None:
    """Stop before start, and twice, does nothing; after stop the port is free."""
    sources = Sources(world.expose, world.ledger, world.readiness)
    never = HttpServer(sources, host="127.0.0.1", port=0, head_seconds_max=0.1)
    await never.stop()
    server = HttpServer(sources, host="127.0.0.1", port=0, head_seconds_max=0.1)
    await server.start()
    port = server.port
    assert port > 0
    await server.stop()
    await server.stop()
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_an_answer_under_way_is_finished_by_stop(world: World) -> None:
    """Stop waits for open answers; a page that was asked for before is delivered whole."""
    gate, begun = threading.Event(), threading.Event()

    def slow() -> bytes:
        begun.set()
        assert gate.wait(10)
        return b"whole 1\n"

    world.render = slow
    server = HttpServer(Sources(world.expose, world.ledger, world.readiness), host="127.0.0.1", port=0)
    await server.start()
    async with httpx.AsyncClient(base_url=server.url) as client:
        scrape = asyncio.ensure_future(client.get("/metrics"))
        await asyncio.to_thread(begun.wait, 10)
        stop = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0)
        gate.set()
        assert "whole 1\n" == (await scrape).text
    await stop


async def test_a_port_that_is_taken_is_named(world: World) -> None:
    """Starting where somebody listens already fails with the address in the error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = HttpServer(Sources(world.expose, world.ledger, world.readiness), host="127.0.0.1", port=port)
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            await server.start()
        await server.stop()


# ---------------------------------------------------------------- connections that say nothing


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_who_never_finishes_a_request_is_put_out(world: World) -> None:
    """Silent or trickling, at first or after an answer: it is put out, and a crowd of them keeps nobody out for ever."""
    sources = Sources(world.expose, world.ledger, world.readiness)
    server = HttpServer(sources, host="127.0.0.1", port=0, head_seconds_max=0.1)
    await server.start()
    whole = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    try:
        for first, then in ((b"", b""), (b"", b"GET /hea"), (whole, b"GET /hea")):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(first)
            async with asyncio.timeout(10):
                assert not first or (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
                writer.write(then)
                assert b"" == await reader.read()
            await _closed(writer)
    finally:
        await server.stop()


async def test_a_slow_answer_is_not_cut_off(world: World) -> None:
    """Only waiting for a request's head is bounded here."""
    begun, gate = threading.Event(), threading.Event()

    def slow() -> bytes:
        begun.set()
        assert gate.wait(10)
        return b"done 1\n"

    world.render = slow
    sources = Sources(world.expose, world.ledger, world.readiness)
    server = HttpServer(sources, host="127.0.0.1", port=0, head_seconds_max=0.1)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
            scrape = asyncio.ensure_future(client.get("/metrics"))
            assert await asyncio.to_thread(begun.wait, 10)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert b"" == await reader.read()  # one that was opened later has been put out by now
            await _closed(writer)
            gate.set()
            assert "done 1\n" == (await scrape).text
    finally:
        await server.stop()


async def test_strange_requests_do_not_fill_the_log(
    door: tuple[HttpServer, httpx.AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knocks can make the door answer, and not write."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door[0].port)
    writer.write(b"no request\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    await _closed(writer)
    assert [] == caplog.records
