"""The proxy does what the runs rely on: forwards unchanged, and cuts exactly where it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.proxy import Cut, Inspector, Proxy
from tests.chaos.wires import Hook, HttpCalls, Moment, PostgresCommits
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url"]

WAIT_SECONDS_MAX = 10.0


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def _before_echo(inspector: Callable[[], Inspector] = Inspector) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[:2], inspector)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
        server.close()


@asynccontextmanager
async def _talking(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_what_is_said_passes_both_ways() -> None:
    """Bytes come back as they went, and an end at one side is an end at the other."""
    async with _before_echo() as proxy, _talking(proxy) as (reader, writer):
        writer.write(b"x" * 200_000)
        assert b"x" * 200_000 == await reader.readexactly(200_000)
        writer.write_eof()
        assert b"" == await asyncio.wait_for(reader.read(), WAIT_SECONDS_MAX)


async def test_a_cut_connection_is_gone_and_the_next_one_works() -> None:
    """cut ends what is open; new connections are served."""
    async with _before_echo() as proxy:
        async with _talking(proxy) as (reader, writer):
            writer.write(b"a")
            await reader.readexactly(1)
            assert 1 == proxy.cut()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), WAIT_SECONDS_MAX)
        async with _talking(proxy) as (reader, writer):
            writer.write(b"b")
            assert b"b" == await reader.readexactly(1)


async def test_a_refusing_proxy_comes_back_at_the_same_port() -> None:
    """Nobody listens meanwhile."""
    async with _before_echo() as proxy:
        port = proxy.port
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await proxy.start()
        assert port == proxy.port
        async with _talking(proxy) as (reader, writer):
            writer.write(b"c")
            assert b"c" == await reader.readexactly(1)


async def test_silence_loses_nothing() -> None:
    """While nothing flows nobody is refused; what was said arrives afterwards."""
    async with _before_echo() as proxy, _talking(proxy) as (reader, writer):
        proxy.flowing.clear()
        writer.write(b"d")
        answer = asyncio.ensure_future(reader.readexactly(1))
        done, _ = await asyncio.wait([answer], timeout=0.2)
        assert not done
        proxy.flowing.set()
        assert b"d" == await asyncio.wait_for(answer, WAIT_SECONDS_MAX)


def _cut_at(moment: Moment, seen: list[bytes]) -> Hook:
    async def hook(now: Moment, said: bytes) -> None:
        if now is moment and b"told" in said:
            seen.append(said)
            raise Cut

    return hook


@pytest.mark.parametrize(("moment", "kept"), [(Moment.BEFORE, 0), (Moment.DONE, 1)])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
async def test_a_commit_is_cut_on_either_side(
    postgres_url: str, tmp_path: Path, moment: Moment, kept: int, extended: bool
) -> None:
    """The client sees a broken connection in both cases; the server has kept the row only when it saw the COMMIT."""
    seen: list[bytes] = []
    folder = Path(postgres_url.partition("?host=")[2])
    proxy = Proxy(folder / ".s.PGSQL.5432", lambda: PostgresCommits(_cut_at(moment, seen)))
    await proxy.start()
    name = postgres_url.partition("@/")[2].partition("?")[0]
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}?sslmode=disable&gssencmode=disable"
    insert = "INSERT INTO replicas (id, ordinal, lease_until) VALUES (%s, 0, 0)"

    def commit(connection: psycopg.Connection[Any]) -> None:
        if extended:
            connection.execute("COMMIT", prepare=True)
        else:
            connection.commit()

    def work() -> None:
        connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=extended)
        if extended:
            connection.execute("BEGIN")
        connection.execute(insert, ("told",))
        with pytest.raises(psycopg.OperationalError):
            commit(connection)
        connection.close()

    await asyncio.to_thread(work)
    await proxy.stop()
    assert 1 == len(seen)
    with psycopg.connect(postgres_url) as connection:
        assert (kept,) == connection.execute("SELECT count(*) FROM replicas WHERE id = 'told'").fetchone()


async def test_http_calls_are_seen_at_each_moment() -> None:
    """Before the request is passed on, when its answer is there, and when that was handed over."""
    moments: list[tuple[Moment, bytes]] = []

    async def note(moment: Moment, said: bytes) -> None:
        moments.append((moment, said))

    inspector = HttpCalls(note)
    passed: list[bytes] = []

    async def forward(data: bytes) -> None:
        passed.append(data)

    said = [b"POST /a HTTP/1.1\r\nhost: b\r\n\r\n", b"{}"]
    answers = [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"body"]
    for data in said:
        await inspector.to_server(data, forward)
    for data in answers:
        await inspector.to_client(data, forward)
    line = b"POST /a HTTP/1.1"
    assert [(moment, line) for moment in Moment] == moments
    assert [*said, *answers] == passed
