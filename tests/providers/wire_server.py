"""A server on loopback that says, byte for byte, what a test wants, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """One HTTP/1.1 answer, after which the server hangs up."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


class WireServer:
    """Reads each request whole, then answers from `answers` by path (`*` for any), or plays `play`."""

    def __init__(
        self,
        answers: dict[str, bytes] | None = None,
        *,
        play: Play | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answers = answers or {}
        self.heads: list[str] = []
        self.connections_count = 0
        self.port = 0
        self._play = play
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.received = asyncio.Event()

    @property
    def url(self) -> str:
        """Its root."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def posts_count(self) -> int:
        """How many POSTs have come in."""
        return sum(head.startswith("POST ") for head in self.heads)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_count += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            for line in head.lower().split("\r\n"):
                if line.startswith("content-length:"):
                    await reader.readexactly(int(line.partition(":")[2]))
            self.received.set()
            if self._play is not None:
                await self._play(reader, writer)
            else:
                path = head.split(" ")[1].partition("?")[0]
                writer.write(self.answers.get(path, self.answers.get("*", http("404 Not Found"))))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client hung up: its right
        finally:
            writer.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
