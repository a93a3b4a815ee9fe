"""A webhook receiver: answers what it is told to, and hands over what came in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Delivery:
    """One POST that came in; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Listens on loopback; a delivery that is cut off is handed over as it is. `answers` are the statuses of the
    next deliveries, then 200.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self._deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def next(self) -> Delivery:
        """The next delivery, within five seconds."""
        async with asyncio.timeout(5):
            return await self._deliveries.get()

    @property
    def waiting(self) -> int:
        """How many deliveries nobody has looked at."""
        return self._deliveries.qsize()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        try:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        except asyncio.IncompleteReadError as error:
            writer.close()
            self._deliveries.put_nowait(Delivery(head[0].split(" ")[1], headers, error.partial))
            return
        status = self.answers.pop(0) if self.answers else 200
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self._deliveries.put_nowait(Delivery(head[0].split(" ")[1], headers, body))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
