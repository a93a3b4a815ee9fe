"""The client for asyncio: one connection, and all calls on it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc

from lightmeter.book_calls import BookCalls
from lightmeter.connection import Connection
from lightmeter.draw_calls import DrawCalls
from lightmeter.finance_calls import FinanceCalls
from lightmeter.operator_calls import OperatorCalls
from lightmeter.retry import RetryPolicy
from lightmeter.whatif_calls import WhatIfCalls


class AsyncClient(DrawCalls, BookCalls, FinanceCalls, WhatIfCalls, OperatorCalls):
    """Lightmeter from asyncio.

    `address` is a gRPC target (`host:port`, `dns:///host:port`); by default LIGHTMETER_ADDRESS, else
    localhost:50051. `api_key` is by default LIGHTMETER_API_KEY; it names the project. Where the service has
    no keys, `project` (by default LIGHTMETER_PROJECT) names it. `tls=True`, or credentials of grpc's,
    encrypts; without it the key travels in clear, which is for loopback and private networks only. `retry`
    says how patient to be.

    It opens with the first call and belongs to that event loop. Use it with `async with`, or call `close`.
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
        super().__init__(
            Connection(address, api_key=api_key, project=project, tls=tls, retry=retry or RetryPolicy())
        )

    @property
    def address(self) -> str:
        """The target of the connection."""
        return self._connection.address

    async def close(self) -> None:
        """Ends the connection. Jobs go on."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
