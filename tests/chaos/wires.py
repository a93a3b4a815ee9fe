"""Inspectors that understand a little of what passes: where PostgreSQL's client commits, where HTTP asks and is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from enum import Enum

from tests.chaos.proxy import Forward, Inspector

SAID_BYTES_MAX = 4 * 1024 * 1024


class Moment(Enum):
    """Where a request stands."""

    BEFORE = "BEFORE"
    """It was said and has not reached the server."""
    DONE = "DONE"
    """The server has done it; its answer has not reached the client."""
    TOLD = "TOLD"
    """The client was sent the answer."""


Hook = Callable[[Moment, bytes], Awaitable[None]]
"""Told of each moment, and of what was asked. May raise Cut, and may take its time: nothing passes meanwhile."""


class PostgresCommits(Inspector):
    """Recognises commits, by simple query or extended protocol; the hook gets all that the client said in the transaction."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook
        self._pending = bytearray()
        self._greeted = False
        self._said = bytearray()
        self._committing: bytes | None = None

    async def to_server(self, data: bytes, forward: Forward) -> None:
        """Whole messages are passed on, so that a cut falls between two."""
        self._pending += data
        ready = bytearray()
        for kind, message in self._messages():
            word = _statement(kind, message)
            if word == b"COMMIT":
                if ready:
                    await forward(bytes(ready))
                    ready.clear()
                said = bytes(self._said)
                self._said.clear()
                await self._hook(Moment.BEFORE, said)
                self._committing = said
            elif word in {b"BEGIN", b"ROLLBACK"}:
                self._said.clear()
            elif len(self._said) < SAID_BYTES_MAX:
                self._said += message
            ready += message
        if ready:
            await forward(bytes(ready))

    async def to_client(self, data: bytes, forward: Forward) -> None:
        """The word of a finished commit is held back until the hook has returned."""
        said = self._committing
        committed = said is not None and b"COMMIT\0" in data
        if said is not None and committed:
            self._committing = None
            await self._hook(Moment.DONE, said)
        await forward(data)
        if said is not None and committed:
            await self._hook(Moment.TOLD, said)

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        """The complete messages among what is pending: kind (empty for the greeting) and all of their bytes."""
        while True:
            head = 1 if self._greeted else 0
            if len(self._pending) < head + 4:
                return
            end = head + int.from_bytes(self._pending[head : head + 4])
            if len(self._pending) < end:
                return
            message = bytes(self._pending[:end])
            del self._pending[:end]
            self._greeted = True
            yield message[:head], message


def _statement(kind: bytes, message: bytes) -> bytes:
    """The statement of a simple query or a Parse, in capitals."""
    if kind == b"Q":
        text = message[5:]
    elif kind == b"P":
        text = message[5:].split(b"\0", 1)[-1]
    else:
        return b""
    return text.split(b"\0", 1)[0].strip().rstrip(b";").upper()


class HttpCalls(Inspector):
    """Recognises requests and their answers; the hook gets the request line."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook
        self._asked: bytes | None = None

    async def to_server(self, data: bytes, forward: Forward) -> None:
        """A request's head comes in one piece from the clients that are used here."""
        line, newline, _ = data.partition(b"\r\n")
        if newline and line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
            self._asked = line
            await self._hook(Moment.BEFORE, line)
        await forward(data)

    async def to_client(self, data: bytes, forward: Forward) -> None:
        """Interim answers (100) are none."""
        line = self._asked
        if line is None or not data.startswith(b"HTTP/1.") or data[9:12] == b"100":
            await forward(data)
            return
        self._asked = None
        await self._hook(Moment.DONE, line)
        await forward(data)
        await self._hook(Moment.TOLD, line)
