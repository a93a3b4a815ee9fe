"""One connection to the service: channel, credentials, the four stubs, and the rule by which calls are
repeated.

Nothing else in the client talks to grpc's channels.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc

from lightmeter.errors import WaitTimeout
from lightmeter.retry import RetryPolicy
from lightmeter.status import Verdict, verdict
from lightmeter.v1 import (
    image_service_pb2_grpc,
    ledger_service_pb2_grpc,
    model_service_pb2_grpc,
    operator_service_pb2_grpc,
)

T = TypeVar("T")

ADDRESS_DEFAULT: Final = "localhost:50051"
CALL_SECONDS: Final = 30.0
"""The deadline of one ordinary call; repeated calls have one each."""
WATCH_SILENCE_SECONDS: Final = 45.0
"""A stream without a message for this long is dead: the service sends a heartbeat every 15 s."""
_TICK_SECONDS: Final = 0.02
_MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024

_OPTIONS: Final = [
    # Behind `dns:///` all replicas are used, and a call that is repeated goes to another one.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    # A connection that died silently is noticed after a minute, and only while calls are open.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A restarted service is found again at once, not after gRPC's own minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


class Deadline:
    """The instant at which a caller's patience ends, or never."""

    def __init__(self, seconds: float | None) -> None:
        if seconds is not None and seconds <= 0:
            raise ValueError("timeout must be above 0 seconds; None waits without a limit")
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float | None:
        """Seconds that are left, at least 0; None without a limit."""
        return None if self._end is None else max(self._end - time.monotonic(), 0.0)

    @property
    def passed(self) -> bool:
        """Whether the instant is over."""
        return self.left == 0.0

    def within(self, seconds: float) -> float:
        """The given number of seconds, or what is left if that is less; never exactly 0."""
        left = self.left
        return seconds if left is None else max(min(seconds, left), 0.001)


NO_DEADLINE: Final = Deadline(None)


@dataclass(frozen=True, slots=True)
class _Stubs:
    channel: grpc.aio.Channel
    images: Any
    catalog: Any
    books: Any
    operator: Any


class Connection:
    """A channel that opens itself with the first call, in the event loop of that call."""

    def __init__(
        self,
        address: str | None,
        *,
        api_key: str | None,
        project: str | None,
        tls: bool | grpc.ChannelCredentials,
        retry: RetryPolicy,
    ) -> None:
        self.address = address or os.environ.get("LIGHTMETER_ADDRESS") or ADDRESS_DEFAULT
        self.retry = retry
        self._tls = tls
        key = api_key if api_key is not None else os.environ.get("LIGHTMETER_API_KEY", "")
        named = project if project is not None else os.environ.get("LIGHTMETER_PROJECT", "")
        self._metadata: list[tuple[str, str | bytes]] = []
        if key:
            self._metadata.append(("authorization", f"Bearer {key}"))
        if named:
            self._metadata.append(("lightmeter-project", named))
        self._stubs: _Stubs | None = None

    @property
    def images(self) -> Any:
        """ImageService's stub; the generated code carries no types."""
        return self._opened().images

    @property
    def catalog(self) -> Any:
        """ModelService's stub."""
        return self._opened().catalog

    @property
    def books(self) -> Any:
        """LedgerService's stub."""
        return self._opened().books

    @property
    def operator(self) -> Any:
        """OperatorService's stub."""
        return self._opened().operator

    def _opened(self) -> _Stubs:
        if self._stubs is None:
            if self._tls:
                credentials = self._tls if isinstance(self._tls, grpc.ChannelCredentials) else None
                channel = grpc.aio.secure_channel(
                    self.address, credentials or grpc.ssl_channel_credentials(), options=_OPTIONS
                )
            else:
                channel = grpc.aio.insecure_channel(self.address, options=_OPTIONS)
            self._stubs = _Stubs(
                channel,
                image_service_pb2_grpc.ImageServiceStub(channel),
                model_service_pb2_grpc.ModelServiceStub(channel),
                ledger_service_pb2_grpc.LedgerServiceStub(channel),
                operator_service_pb2_grpc.OperatorServiceStub(channel),
            )
        return self._stubs

    async def close(self) -> None:
        """Ends the channel and what still runs on it. Closing twice is fine; a later call opens anew."""
        stubs, self._stubs = self._stubs, None
        if stubs is not None:
            await stubs.channel.close()

    async def call(
        self,
        method: Callable[..., Awaitable[T]],
        request: Any,
        *,
        deadline: Deadline = NO_DEADLINE,
        seconds: float = CALL_SECONDS,
        deadline_too: bool = False,
    ) -> T:
        """One unary call, repeated as the policy says, until it answers or the caller's deadline passes.

        `deadline_too` repeats a call whose own deadline passed: only right where the request names itself.
        """

        async def once() -> T:
            return await method(request, timeout=deadline.within(seconds), metadata=self._metadata)

        return await self.repeat(once, deadline=deadline, deadline_too=deadline_too)

    async def repeat(
        self, once: Callable[[], Awaitable[T]], *, deadline: Deadline, deadline_too: bool = False
    ) -> T:
        """Does something until it succeeds, the policy gives up, or the deadline passes (WaitTimeout)."""
        failures = 0
        while True:
            try:
                return await once()
            except grpc.aio.AioRpcError as error:
                failures += 1
                await self.pause(failures, verdict(error), deadline=deadline, deadline_too=deadline_too)

    async def pause(
        self, failures: int, found: Verdict, *, deadline: Deadline, deadline_too: bool = False
    ) -> None:
        """Waits before a repetition, or raises the error when there should be none."""
        wait = self.retry.wait_seconds(failures, found, deadline_too=deadline_too)
        left = deadline.left
        late = left is not None and left <= max(wait or 0.0, _TICK_SECONDS)
        if late and found.error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
            raise WaitTimeout("the service did not answer within the timeout") from found.error
        if wait is None or late:
            raise found.error
        await asyncio.sleep(wait)

    def open(self, method: Callable[..., T], request: Any, *, seconds: float | None = None) -> T:
        """Opens a stream, or sends one if `request` is an async iterator. The caller reads and ends it."""
        return method(request, timeout=seconds, metadata=self._metadata)


async def pages(fetch: Callable[[str], Awaitable[T]]) -> AsyncIterator[T]:
    """Pages from the first to the last; each has a `next_page_token`, empty on the last one."""
    token = ""
    while True:
        page = await fetch(token)
        yield page
        following: str = page.next_page_token  # type: ignore[attr-defined] # every paged message has it
        if not following or following == token:
            return
        token = following
