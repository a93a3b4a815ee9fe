"""Calls over raw sockets that misbehave: at most one POST, and a domain value for every fault."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import fal_client
import httpx
import pytest

from service.domain.errors import Reason
from service.domain.exchange import Accepted, DispatchAnswer, Refused, Stage, Unclear
from service.domain.failure import ProviderUnavailable
from service.ports import Provider
from service.providers.wire import Answer, Caller, calling_transport, retry_after
from tests.providers.rig import FAL_ENDPOINT, REPLICATE_ENDPOINT, make_fal, make_replicate, order, tls
from tests.providers.wire_server import WireServer, http
from tests.support.clock import FakeClock

Make = Callable[..., Provider]
ENDPOINTS = {"fal": FAL_ENDPOINT, "replicate": REPLICATE_ENDPOINT}


@pytest.fixture(params=["fal", "replicate"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Make an adapter of each provider for an address; all are closed at the end."""
    made: list[Provider] = []

    def one(url: str, **args: float) -> Provider:
        maker = make_fal if request.param == "fal" else make_replicate
        provider = maker(url, FakeClock(), **args)
        made.append(provider)
        return provider

    yield one
    for provider in made:
        await provider.close()


async def send(provider: Provider) -> DispatchAnswer | None:
    """Dispatch one order in time."""
    return await provider.dispatch(order(provider.name, ENDPOINTS[provider.name]), 1_005.0)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the client hangs up."""
    del writer
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up without a word."""
    del reader
    writer.transport.abort()


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte of the answer now and then, for ever: no read times out, only the deadline helps."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not reader.at_eof() and not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def test_a_connection_that_is_cut_after_the_post_is_unclear(make: Make) -> None:
    """The POST was read, nothing came back: Unclear, and it is not sent again."""
    async with WireServer(play=hang_up) as server:
        answer = await send(make(server.url))
        assert isinstance(answer, Unclear)
        assert ("broken", 1, 1) == (answer.kind, server.posts_count, server.connections_count)


class SleepyClock(FakeClock):
    """The machine sleeps for a minute after the first look at the time."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic() + 60.0 * (self.looks > 1)


@pytest.mark.parametrize("maker", [make_fal, make_replicate])
async def test_nothing_leaves_when_the_window_closes_while_the_connection_is_made(
    maker: Callable[..., Provider],
) -> None:
    """The last look at the time comes after it: None, and the provider has not seen a byte."""
    async with WireServer({"*": http("200 OK")}) as server:
        clock = SleepyClock()
        provider = maker(server.url, clock)
        assert await send(provider) is None
        assert (2, 0) == (clock.looks, server.posts_count)
        await provider.close()


@pytest.mark.parametrize("play", [hang, trickle])
async def test_the_deadline_of_a_dispatch_makes_it_unclear(make: Make, play: Callable[..., None]) -> None:
    """Silence, and an answer that never gets finished, end at the deadline as Unclear, after one POST."""
    async with WireServer(play=play) as server:
        answer = await send(make(server.url, post_seconds_max=0.4))
        assert isinstance(answer, Unclear)
        assert ("timeout", 1) == (answer.kind, server.posts_count)


async def test_cancellation_passes_through_a_dispatch(make: Make) -> None:
    """A dispatch that is cancelled ends as cancelled, without an answer and without a second POST."""
    async with WireServer(play=hang) as server, asyncio.TaskGroup() as group:
        task = group.create_task(send(make(server.url)))
        await server.received.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 1 == server.posts_count


async def test_a_refused_connection_is_a_refusal(make: Make) -> None:
    """Nobody listens: not a byte has left, so the next route may be tried."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        answer = await send(make(f"http://127.0.0.1:{unheard.getsockname()[1]}"))
    assert isinstance(answer, Refused)
    assert ("unreachable", Reason.ROUTES_UNAVAILABLE) == (answer.kind, answer.failure.reason)


@pytest.mark.parametrize(
    "reply",
    [
        http("200 OK", b'{"request_id": "abc", "id": "abc"', length=500),
        http("200 OK", b'{"request_id": "abc", "id": "abc"', "Transfer-Encoding: chunked"),
        http("200 OK", b"[]"),
        http("200 OK", b"\xff\xfe"),
        http("200 OK", b'{"request_id": "../../x", "id": "a/b"}'),
        http("200 OK", b'{"request_id": 17, "id": null}'),
        http("200 OK", b"[" * 100_000),
        http("201 Created"),
        http("403 Forbidden", b"<html>WAF</html>"),
        http("404 Not Found", b"nginx"),
        http("429 Too Many Requests", b""),
        http("422 Unprocessable", b'["an", "array"]'),
        http("401 Unauthorized", b'{"error": "not the provider"}'),
        http("500 Internal Server Error", b'{"detail": "x"}'),
        http("100 Continue"),
        b"NOT HTTP AT ALL\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz",
    ],
)
async def test_answers_that_prove_nothing_are_unclear(make: Make, reply: bytes) -> None:
    """Cut, damaged, foreign or unusable answers never count as refusals, and are never asked for twice."""
    async with WireServer({"*": reply}) as server:
        assert isinstance(await send(make(server.url)), Unclear)
        assert 1 == server.posts_count


async def test_the_id_counts_whatever_stands_around_it(make: Make) -> None:
    """An answer whose only sane part is the id is an acceptance: a paid request must not get lost."""
    body = (
        b'{"request_id": "abc", "id": "abc", "status": {"odd": 1}, "version": null, "error": [], "urls": 5}'
    )
    async with WireServer({"*": http("202 Accepted", body)}) as server:
        assert Accepted("abc") == await send(make(server.url))


async def test_a_redirect_is_not_followed_with_the_key(make: Make) -> None:
    """A 307 to another host is Unclear on a dispatch, unavailable on a look; that host hears nothing."""
    async with WireServer({"*": http("200 OK", b"{}")}) as other:
        moved = http("307 Temporary Redirect", b"", f"Location: {other.url}/elsewhere")
        async with WireServer({"*": moved}) as server:
            provider = make(server.url)
            assert isinstance(await send(provider), Unclear)
            with pytest.raises(ProviderUnavailable):
                await provider.poll(ENDPOINTS[provider.name], "abc")
            with pytest.raises(ProviderUnavailable):
                await provider.upload(b"x", "image/png")
            assert 0 == other.connections_count


async def test_addresses_in_an_answer_are_not_followed(make: Make) -> None:
    """The answer names another host for status, result and cancel; we ask where we asked before."""
    async with WireServer({"*": http("200 OK", b"{}")}) as other:
        foreign = f'"{other.url}/x"'
        body = (
            '{"request_id": "abc", "id": "abc", "status_url": @, "response_url": @, "cancel_url": @, '
            '"urls": {"get": @, "cancel": @}, "status": "IN_PROGRESS"}'
        )
        async with WireServer({"*": http("200 OK", body.replace("@", foreign).encode())}) as server:
            provider = make(server.url)
            assert Accepted("abc") == await send(provider)
            assert Stage.RUNNING is (await provider.poll(ENDPOINTS[provider.name], "abc")).stage
            await provider.cancel(ENDPOINTS[provider.name], "abc")
        assert 0 == other.connections_count


async def test_the_packages_own_calls_cannot_take_the_key_elsewhere() -> None:
    """A fal-client handle that was given a foreign address by a server asks nobody over our client."""
    async with WireServer() as other, WireServer() as own:
        caller = Caller("fal", {"Authorization": "Key secret"}, [own.url], transport=calling_transport(tls()))
        handle = fal_client.AsyncRequestHandle(
            "abc", f"{other.url}/r", f"{other.url}/s", f"{other.url}/c", client=caller.client
        )
        with pytest.raises(httpx.RequestError):
            await handle.status()
        with pytest.raises(ProviderUnavailable, match="another host"):
            await caller.ask("GET", other.url)
        await caller.close()
        assert 0 == other.connections_count


async def test_a_dispatch_carries_the_key_and_asks_for_no_kept_connection(make: Make) -> None:
    """The one POST has the key, its own connection, no cookies, and no wish for compression."""
    async with WireServer(
        {"*": http("200 OK", b'{"id": "a", "request_id": "a"}', "Set-Cookie: a=b")}
    ) as server:
        provider = make(server.url)
        for _ in range(2):
            await send(provider)
        head = server.heads[1].lower()
    assert 2 == server.connections_count
    assert "connection: close" in head
    assert "accept-encoding: identity" in head
    assert "authorization: " in head
    assert "cookie" not in head


async def test_a_look_ends_at_its_deadline(make: Make) -> None:
    """Silence on a read is ProviderUnavailable."""
    async with WireServer(play=hang) as server:
        provider = make(server.url, call_seconds_max=0.1, upload_seconds_max=0.1)
        for look in (provider.poll, provider.result, provider.cancel):
            with pytest.raises(ProviderUnavailable):
                await look(ENDPOINTS[provider.name], "abc")
        with pytest.raises(ProviderUnavailable):
            await provider.upload(b"x", "image/png")


@pytest.mark.parametrize(
    "reply",
    [
        http("200 OK", b"<html>"),
        http("200 OK", b"[1, 2]"),
        http("200 OK", b'{"status": 5}'),
        http("502 Bad Gateway", b"<center>nginx</center>"),
        http("500 Internal Server Error", b'["array"]'),
        http("404 Not Found", b"<html>a proxy</html>"),
        http("429 Too Many Requests", b"{}", "Retry-After: 3"),
        http("200 OK", b"{", length=100),
        b"",
    ],
)
async def test_looks_that_fail_are_domain_errors(make: Make, reply: bytes) -> None:
    """No foreign exception leaves poll, result, cancel or upload, whatever comes back; nothing ends by it."""
    async with WireServer({"*": reply}) as server:
        provider = make(server.url)
        for look in (provider.poll, provider.result):
            with pytest.raises(ProviderUnavailable):
                await look(ENDPOINTS[provider.name], "abc")
        with pytest.raises(ProviderUnavailable):
            await provider.upload(b"x", "image/png")


async def test_a_throttled_look_says_how_long(make: Make) -> None:
    """429 with Retry-After on a read is passed on, once."""
    async with WireServer({"*": http("429 Too Many Requests", b"{}", "Retry-After: 3")}) as server:
        provider = make(server.url)
        with pytest.raises(ProviderUnavailable) as caught:
            await provider.poll(ENDPOINTS[provider.name], "abc")
        assert (3.0, 1) == (caught.value.retry_after_seconds, len(server.heads))


async def test_an_endless_answer_is_cut_off(make: Make) -> None:
    """A body beyond the bound is not read to its end."""
    big = b'{"id": "' + b"x" * (17 * 1024 * 1024) + b'"}'
    async with WireServer({"*": http("200 OK", big)}) as server:
        provider = make(server.url)
        assert isinstance(await send(provider), Unclear)
        with pytest.raises(ProviderUnavailable, match="too large"):
            await provider.result(ENDPOINTS[provider.name], "abc")


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"retry-after": "7"}, b"", 7.0),
        ({"retry-after": "999999999999999999999"}, b"", 300.0),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, b"", 30.0),
        ({"retry-after": "Thu, 01 Jan 2015 00:00:30 GMT"}, b"", 0.0),
        ({"retry-after": "soon"}, b'{"retry_after": 9}', 9.0),
        ({}, b'{"retry_after": 1.5}', 1.5),
        ({}, b'{"detail": "Your rate limit resets in ~5s."}', 5.0),
        ({}, b'{"retry_after": true}', None),
        ({}, b"[]", None),
    ],
)
def test_retry_after_is_read_in_order_and_capped(
    headers: dict[str, str], body: bytes, expected: float | None
) -> None:
    """Header in seconds or as a date, then the body's number, then its text; at most five minutes."""
    assert expected == retry_after(Answer(429, headers, body), FakeClock())
