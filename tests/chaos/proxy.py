"""A TCP proxy on loopback that forwards, and on demand delays, falls silent, refuses, or cuts, at any point of the stream.

What passes is shown to an inspector, one per connection, which decides what is forwarded and when the connection is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

CHUNK_BYTES_MAX = 64 * 1024
FLUSH_SECONDS_MAX = 5.0

Forward = Callable[[bytes], Awaitable[None]]
Upstream = Path | tuple[str, int]
"""A unix socket, or host and port."""


class Cut(Exception):
    """Raised by an inspector: this connection ends here, both ways, without another byte."""


class Inspector:
    """Looks at one connection's bytes and hands on what may pass; this one hands on everything."""

    async def to_server(self, data: bytes, forward: Forward) -> None:
        """The client said this. Raises Cut."""
        await forward(data)

    async def to_client(self, data: bytes, forward: Forward) -> None:
        """The server said this. Raises Cut."""
        await forward(data)


class _Connection:
    """One client, its upstream, and the two pumps between them."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers = [client]
        self._pumps: list[asyncio.Task[None]] = []

    async def run(self, reader: asyncio.StreamReader, inspector: Inspector) -> None:
        """Forward until one side ends or the connection is cut."""
        try:
            upstream = self._proxy.upstream
            if isinstance(upstream, Path):
                back, forth = await asyncio.open_unix_connection(upstream)
            else:
                back, forth = await asyncio.open_connection(*upstream)
        except OSError:
            self.cut()
            return
        client = self._writers[0]
        self._writers.append(forth)
        async with asyncio.TaskGroup() as group:
            self._pumps = [
                group.create_task(self._pump(reader, inspector.to_server, forth)),
                group.create_task(self._pump(back, inspector.to_client, client)),
            ]

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        inspect: Callable[[bytes, Forward], Awaitable[None]],
        writer: asyncio.StreamWriter,
    ) -> None:
        async def forward(data: bytes) -> None:
            await self._proxy.flowing.wait()
            if self._proxy.delay_seconds:
                await asyncio.sleep(self._proxy.delay_seconds)
            writer.write(data)
            await writer.drain()

        try:
            while data := await reader.read(CHUNK_BYTES_MAX):
                await inspect(data, forward)
        except (Cut, OSError):
            self.cut()
            return
        for one in self._writers:
            one.close()

    def cut(self) -> None:
        """End both ways at once; what was under way is lost."""
        for writer in self._writers:
            writer.transport.abort()
        for pump in self._pumps:
            if pump is not asyncio.current_task():
                pump.cancel()


class Proxy:
    """Listens on a loopback port of its own. `start` before everything else; `stop` ends all connections."""

    def __init__(self, upstream: Upstream, inspector: Callable[[], Inspector] = Inspector) -> None:
        self.upstream = upstream
        self.delay_seconds = 0.0
        """Each piece of data waits this long before it is passed on."""
        self.flowing = asyncio.Event()
        """Cleared, nothing passes and nothing is refused: connections just fall silent."""
        self.flowing.set()
        self.port = 0
        self._inspector = inspector
        self._server: asyncio.Server | None = None
        self._connections: dict[_Connection, asyncio.Task[object] | None] = {}

    @property
    def connections_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen; after `refuse`, on the same port as before."""
        assert self._server is None, "it listens already"
        self._server = await asyncio.start_server(self._met, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse connections, and cut those that are open, until `start`."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.cut()

    def cut(self, count: int | None = None) -> int:
        """Cut this many connections, the oldest first; all by default. Answers how many it were."""
        chosen = list(self._connections)[:count]
        for connection in chosen:
            connection.cut()
        return len(chosen)

    async def stop(self) -> None:
        """End, with all connections. Legal twice."""
        await self.refuse()
        self.flowing.set()
        tasks = [task for task in self._connections.values() if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=FLUSH_SECONDS_MAX)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self._connections[connection] = asyncio.current_task()
        try:
            await connection.run(reader, self._inspector())
        except asyncio.CancelledError:
            connection.cut()
        finally:
            del self._connections[connection]
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
