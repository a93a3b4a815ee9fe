"""The blocking client: AsyncClient in an event loop of its own, so that there is one implementation of each
call.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

import grpc

from lightmeter.async_client import AsyncClient
from lightmeter.job import Reader
from lightmeter.retry import RetryPolicy

P = ParamSpec("P")
T = TypeVar("T")

_END: Final = object()


class _LoopClient(AsyncClient):
    """Its assets have no reader: nobody outside its loop could await it."""

    @property
    def _reader(self) -> Reader | None:
        return None


def _blocking(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Client, P], T]:
    @functools.wraps(method)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(method(self._client, *args, **kwargs))

    return call


def _stepping(
    method: Callable[Concatenate[AsyncClient, P], AsyncGenerator[T]],
) -> Callable[Concatenate[Client, P], Generator[T]]:
    @functools.wraps(method)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T]:
        events = method(self._client, *args, **kwargs)

        async def step() -> Any:
            return await anext(events, _END)

        async def leave() -> None:
            await events.aclose()

        try:
            while (event := self._run(step())) is not _END:
                yield event
        finally:
            self._run(leave())

    return call


class Client:
    """Lightmeter for code without asyncio: the calls of AsyncClient, each of which blocks until it is done.

    `watch`, `list`, `transfers`, `list_attempts` and `audit_events` are ordinary iterators. Read pictures with
    `client.read(asset)` or `client.save(asset, path)`. It may be used from several threads. Callbacks run in
    the client's own thread and must not call the client. Use it with `with`, or call `close`.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        project: str | None = None,
        tls: bool | grpc.ChannelCredentials = False,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._client = _LoopClient(address, api_key=api_key, project=project, tls=tls, retry=retry)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lightmeter", daemon=True)
        self._thread.start()

    generate = _blocking(AsyncClient.generate)
    start = _blocking(AsyncClient.start)
    edit = _blocking(AsyncClient.edit)
    start_edit = _blocking(AsyncClient.start_edit)
    quote = _blocking(AsyncClient.quote)
    upload = _blocking(AsyncClient.upload)
    watch = _stepping(AsyncClient.watch)
    result = _blocking(AsyncClient.result)
    get = _blocking(AsyncClient.get)
    list = _stepping(AsyncClient.list)
    cancel = _blocking(AsyncClient.cancel)
    read = _blocking(AsyncClient.read)
    save = _blocking(AsyncClient.save)
    models = _blocking(AsyncClient.models)
    model = _blocking(AsyncClient.model)
    costs = _blocking(AsyncClient.costs)
    transfers = _stepping(AsyncClient.transfers)
    receipt = _blocking(AsyncClient.receipt)
    list_attempts = _stepping(AsyncClient.list_attempts)
    resolve_attempt = _blocking(AsyncClient.resolve_attempt)
    set_switch = _blocking(AsyncClient.set_switch)
    switches = _blocking(AsyncClient.switches)
    audit_events = _stepping(AsyncClient.audit_events)
    budgets = _blocking(AsyncClient.budgets)
    set_budget = _blocking(AsyncClient.set_budget)
    delete_budget = _blocking(AsyncClient.delete_budget)
    statement = _blocking(AsyncClient.statement)
    export_focus = _blocking(AsyncClient.export_focus)
    reconciliations = _blocking(AsyncClient.reconciliations)
    discrepancies = _blocking(AsyncClient.discrepancies)
    what_if = _blocking(AsyncClient.what_if)

    @property
    def address(self) -> str:
        """The target of the connection."""
        return self._client.address

    def close(self) -> None:
        """Ends the connection and the client's thread; a second time is fine. Jobs go on."""
        if self._loop.is_closed():
            return
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a callback must not call the client that it was called by")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # a KeyboardInterrupt ends the call; after an ordinary error this does nothing
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
