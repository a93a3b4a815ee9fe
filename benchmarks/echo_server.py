"""The yardstick: a bare `grpc.aio` server that answers with the bytes it was sent. Prints its address."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from typing import Any, Final

import grpc
import uvloop

SERVICE: Final = "benchmarks.Echo"
METHOD: Final = f"/{SERVICE}/Echo"


async def _echo(request: bytes, _context: Any) -> bytes:
    return request


async def serve() -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = grpc.aio.server()
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(_echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    gc.freeze()
    print(f"gRPC 127.0.0.1:{port}", file=sys.stderr, flush=True)
    await stop.wait()
    await server.stop(1)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
