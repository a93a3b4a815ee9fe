"""Wake-ups for whoever waits for a job or a render. Rows are the truth: a lost hint costs time, never a result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Protocol, Self

import psycopg

CHANNEL: Final = "lightmeter_hints"
PENDING_KEYS_MAX: Final = 20_000
"""Keys that wait to be sent to other replicas; further ones are dropped."""
NOTIFY_KEYS_MAX: Final = 190
"""Ids in one notification, whose payload must stay below 8,000 bytes."""
RECONNECT_SECONDS: Final = 1.0


class HintFeed(Protocol):
    """What the database bundle needs of hints, beside `service.ports.Hints`."""

    def publish(self, keys: tuple[str, ...]) -> None:
        """These jobs and renders changed. Called on the event loop; MUST NOT block or raise."""
        ...

    async def start(self) -> None:
        """Begin; MUST NOT fail because the database is away."""
        ...

    async def stop(self) -> None:
        """End; legal twice."""
        ...


class Subscription:
    """One listener, a context manager in use. Used on the event loop only."""

    def __init__(self, hints: LocalHints, keys: Iterable[str]) -> None:
        self._hints = hints
        self._keys: set[str] = set()
        self._event = asyncio.Event()
        for key in keys:
            self.add(key)

    async def wait(self, seconds_max: float) -> bool:
        """Wait for a hint, at most this long. True when one came since the last wait."""
        if not self._event.is_set():
            try:
                async with asyncio.timeout(seconds_max):
                    await self._event.wait()
            except TimeoutError:
                return False
        self._event.clear()
        return True

    def add(self, key: str) -> None:
        """Listen for one more key."""
        self._keys.add(key)
        self._hints.listeners.setdefault(key, set()).add(self)

    def close(self) -> None:
        """Stop listening; legal twice."""
        for key in self._keys:
            listening = self._hints.listeners.get(key)
            if listening is not None:
                listening.discard(self)
                if not listening:
                    del self._hints.listeners[key]
        self._keys.clear()

    def wake(self) -> None:
        """A hint came."""
        self._event.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LocalHints:
    """Hints inside one process."""

    def __init__(self) -> None:
        self.listeners: dict[str, set[Subscription]] = {}

    def subscribe(self, *keys: str) -> Subscription:
        """Listen for changes of jobs and renders by id."""
        return Subscription(self, keys)

    def publish(self, keys: tuple[str, ...]) -> None:
        """Wake whoever listens."""
        for key in keys:
            for subscription in tuple(self.listeners.get(key, ())):
                subscription.wake()

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""


class NotifyHints(LocalHints):
    """Hints between replicas, by LISTEN and NOTIFY on connections of their own, outside every batch.

    What is published here wakes local listeners at once and is sent on when the sender is free; too much of it is dropped.
    """

    def __init__(self, driver_url: str) -> None:
        super().__init__()
        self._url = driver_url
        self._thread: ThreadPoolExecutor | None = None
        self._sender: psycopg.Connection[Any] | None = None
        self._listener: psycopg.Connection[Any] | None = None
        self._descriptor: int | None = None
        self._pending: dict[str, None] = {}
        self._sending = False
        self._linked = False
        """Whether both connections are there, as far as is known; only then anything is sent."""
        self._timer: asyncio.TimerHandle | None = None

    def publish(self, keys: tuple[str, ...]) -> None:
        """Wake local listeners, and tell the other replicas soon."""
        super().publish(keys)
        if not self._linked or len(self._pending) + len(keys) > PENDING_KEYS_MAX:
            return
        self._pending.update(dict.fromkeys(keys))
        if not self._sending:
            self._send()

    async def start(self) -> None:
        """Connect in the background; until then, hints stay in the process."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="hints")
            self._connect_now()

    async def stop(self) -> None:
        """Disconnect; legal twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._unlink()
        await asyncio.get_running_loop().run_in_executor(thread, self._disconnect)
        thread.shutdown(wait=False)

    # -- on the event loop

    def _in_thread(self, work: Callable[[], None], then: Callable[[asyncio.Future[None]], None]) -> None:
        if self._thread is not None:
            asyncio.get_running_loop().run_in_executor(self._thread, work).add_done_callback(then)

    def _connect_now(self) -> None:
        self._in_thread(self._connect, self._connected)

    def _connected(self, connecting: asyncio.Future[None]) -> None:
        failed = connecting.exception() is not None
        if self._thread is None:
            return
        if failed or self._listener is None:
            self._try_later()
            return
        self._linked = True
        self._descriptor = self._listener.fileno()
        asyncio.get_running_loop().add_reader(self._descriptor, self._hear)

    def _hear(self) -> None:
        listener = self._listener
        assert listener is not None, "a reader has its connection"
        try:
            listener.pgconn.consume_input()
        except psycopg.Error:
            self._lost()
            return
        own = self._sender.info.backend_pid if self._sender is not None else 0
        while (notification := listener.pgconn.notifies()) is not None:
            if notification.be_pid != own:
                super().publish(tuple(notification.extra.decode().split()))

    def _send(self) -> None:
        keys = tuple(self._pending)[:NOTIFY_KEYS_MAX]
        for key in keys:
            del self._pending[key]
        self._sending = True
        self._in_thread(lambda: self._notify(" ".join(keys)), self._sent)

    def _sent(self, sending: asyncio.Future[None]) -> None:
        self._sending = False
        if sending.exception() is not None:
            self._lost()
        elif self._pending and self._linked:
            self._send()

    def _lost(self) -> None:
        """The connections are of no use any more. Whoever notices first has them made anew, once."""
        if self._linked:
            self._unlink()
            self._try_later()

    def _try_later(self) -> None:
        if self._thread is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(RECONNECT_SECONDS, self._connect_now)

    def _unlink(self) -> None:
        self._linked = False
        self._pending.clear()
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._descriptor = None

    # -- on the thread

    def _connect(self) -> None:
        self._disconnect()
        self._sender = psycopg.connect(self._url, autocommit=True, connect_timeout=3)
        self._listener = psycopg.connect(self._url, autocommit=True, connect_timeout=3)
        self._listener.execute(f"LISTEN {CHANNEL}")

    def _disconnect(self) -> None:
        for connection in (self._sender, self._listener):
            if connection is not None:
                connection.close()
        self._sender = self._listener = None

    def _notify(self, payload: str) -> None:
        if self._sender is not None:
            self._sender.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
