"""The one interceptor: every call is counted, bounded, read, and ends with a status that the service wrote.

It is one of the three addresses of blind catching: whatever is not of the error family becomes INTERNAL with a fixed
sentence, and its details go to the log under the same id. Cancellation always passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from service.domain.errors import BudgetExceeded, Draining, FieldInvalid, LightmeterError, Overloaded, Reason
from service.metrics import Metrics
from service.ports import Clock, Dice, Log
from service.rpc.errors import ErrorStatus, internal_status, status_of

OURS: Final = "/lightmeter.v1."
CALLS_OPEN_MAX: Final = 10_000
"""Calls in work at once on this replica, without endless streams, which have their own limit."""
_LEAVE_SECONDS: Final = 1.0

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class _Method:
    """One method's metrics, looked up once. The names come from the registered services, so they are bounded."""

    def __init__(self, path: str, metrics: Metrics) -> None:
        self._labels = tuple(path.removeprefix("/").split("/"))
        self._calls = metrics.calls
        self._by_code: dict[str, tuple[Any, Any]] = {}
        self.started = metrics.calls.started.labels(*self._labels)
        self.path = path

    def ended(self, code: str, seconds: float) -> None:
        """Count the end of a call."""
        known = self._by_code.get(code)
        if known is None:
            known = (
                self._calls.handled.labels(*self._labels, code),
                self._calls.handling_seconds.labels(*self._labels, code),
            )
            self._by_code[code] = known
        known[0].inc()
        known[1].observe(seconds)


class Interceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler once. `endless` names streams that end only with their job; a drain ends them at once."""

    def __init__(
        self, *, metrics: Metrics, clock: Clock, dice: Dice, log: Log, endless: Collection[str] = ()
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._dice = dice
        self._log = log
        self._endless = frozenset(endless)
        self._wrapped: dict[str, _Handler] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._streams: set[asyncio.Task[Any]] = set()
        self._draining = False
        self._calls_open = 0

    @property
    def calls_open(self) -> int:
        """How many calls of ours are in work, without endless streams."""
        return self._calls_open

    def drain(self) -> None:
        """Refuse new calls and end endless streams with Draining; what is in work goes on."""
        self._draining = True
        for task in self._streams:
            task.cancel()

    async def ended(self) -> None:
        """Wait for every call of ours to have left its handler; those that linger are cancelled."""
        if self._tasks:
            _, lingering = await asyncio.wait(self._tasks, timeout=_LEAVE_SECONDS)
            for task in lingering:
                task.cancel()
            if lingering:
                await asyncio.wait(lingering)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """The wrapped handler of a method of ours; health and reflection go as they are, also while draining."""
        path = str(handler_call_details.method)
        known = self._wrapped.get(path)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is not None and path.startswith(OURS):
            self._wrapped[path] = handler = self._wrap(path, handler)
        return handler

    def _wrap(self, path: str, handler: _Handler) -> _Handler:
        """The same method on raw bytes: reading them here lets a broken message be answered like any other mistake."""
        method = _Method(path, self._metrics)
        read, write = handler.request_deserializer, handler.response_serializer
        assert read is not None, "our stubs read their messages"
        if handler.response_streaming:
            assert not handler.request_streaming, "no method of ours streams both ways"
            streamed = self._stream(method, handler.unary_stream, read, endless=path in self._endless)
            return grpc.unary_stream_rpc_method_handler(streamed, None, write)
        if handler.request_streaming:
            answered = self._unary(method, handler.stream_unary, lambda parts: _read_parts(read, parts))
            return grpc.stream_unary_rpc_method_handler(answered, None, write)
        answered = self._unary(method, handler.unary_unary, lambda content: _read(read, content))
        return grpc.unary_unary_rpc_method_handler(answered, None, write)

    def _unary(self, method: _Method, inner: Any, read: Callable[[Any], Any]) -> Any:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            method.started.inc()
            started = self._clock.monotonic()
            code = "CANCELLED"
            self._calls_open += 1
            task = _current_task()
            self._tasks.add(task)
            try:
                self._admit()
                answer = await inner(read(request), context)
                code = "OK"
                return answer
            except Exception as error:
                status = self._status(method, error)
                code = status.code.name
                await context.abort(status.code, status.text, status.trailers)
            finally:
                self._calls_open -= 1
                self._tasks.discard(task)
                method.ended(code, self._clock.monotonic() - started)

        return call

    def _stream(self, method: _Method, inner: Any, read: Callable[[bytes], Any], *, endless: bool) -> Any:
        async def call(content: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            method.started.inc()
            started = self._clock.monotonic()
            code = "CANCELLED"
            self._calls_open += not endless
            task = _current_task()
            self._tasks.add(task)
            try:
                self._admit()
                if endless:
                    self._streams.add(task)
                async with aclosing(inner(_read(read, content), context)) as answers:
                    async for answer in answers:
                        yield answer
                code = "OK"
            except asyncio.CancelledError:
                if context.cancelled() or not (self._draining and task in self._streams):
                    raise
                task.uncancel()
                status = self._status(method, Draining("this replica is shutting down"))
                code = status.code.name
                await context.abort(status.code, status.text, status.trailers)
            except Exception as error:
                status = self._status(method, error)
                code = status.code.name
                await context.abort(status.code, status.text, status.trailers)
            finally:
                self._calls_open -= not endless
                self._streams.discard(task)
                self._tasks.discard(task)
                method.ended(code, self._clock.monotonic() - started)

        return call

    def _admit(self) -> None:
        if self._draining:
            raise Draining("this replica is shutting down")
        if self._calls_open > CALLS_OPEN_MAX:
            raise Overloaded("this replica has too many calls in work")

    def _status(self, method: _Method, error: Exception) -> ErrorStatus:
        if isinstance(error, LightmeterError):
            self._metrics.calls.refusals.labels(error.reason.value).inc()
            if isinstance(error, BudgetExceeded):
                budget = str(error.metadata.get("budget", ""))
                self._metrics.calls.budget_refusals.labels(budget.partition("/")[0], budget).inc()
            return status_of(error)
        incident_id = self._dice.new_id()
        self._log.error("call_failed", incident_id=incident_id, method=method.path, exc_info=error)
        self._metrics.calls.refusals.labels(Reason.INTERNAL.value).inc()
        return internal_status(incident_id)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "gRPC runs every call as a task"
    return task


def _read(read: Callable[[bytes], Any], content: bytes) -> Any:
    """The request of its bytes. gRPC itself would answer broken ones without saying why."""
    try:
        return read(content)
    except DecodeError as error:
        raise FieldInvalid("the request is no valid message, or a text in it is not UTF-8") from error


async def _read_parts(read: Callable[[bytes], Any], parts: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for content in parts:
        yield _read(read, content)
