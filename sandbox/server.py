"""One sandbox in one process: a socket, a server, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.app import make_app
from sandbox.options import SandboxOptions
from sandbox.world import World, make_world

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
START_SECONDS = 10.0
TICKS_PER_SECOND = 10
ANSWER_SECONDS = 0.05
"""Time for the answer to the order that closes the port."""
REOPEN_TRIES_MAX = 100


class DroppableProtocol(H11Protocol):
    """Hands each request its connection, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        """Put the transport where requests find it."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class PromptServer(uvicorn.Server):
    """A server that leaves the process's signals alone, and stops at once: callers it holds are cut off."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `serve`."""
        self.should_exit = True
        self._stopping.set()

    async def close_port(self) -> None:
        """Refuse connections, and cut those that there are. What works on a request works on."""
        for server in self.servers:
            server.close()
        for connection in tuple(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def open_port(self, listener: socket.socket) -> None:
        """Listen again."""

        def protocol() -> asyncio.Protocol:
            return DroppableProtocol(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        server = await asyncio.get_running_loop().create_server(protocol, sock=listener, backlog=BACKLOG)
        self.servers = [server]

    async def main_loop(self) -> None:
        """Refresh the Date header each second until told to stop."""
        counter = 0
        while not await self.on_tick(counter):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()
            counter += TICKS_PER_SECOND

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, then the connections, then whatever still works on a request."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in tuple(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)
        tasks = tuple(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Whoever started the sandbox decides what a signal means."""
        yield


class Sandbox:
    """Both providers on one loopback port, as an async context manager.

    `url` is the root; `fal_url` and `replicate_url` are what clients are pointed at. `world` gives tests the
    book, the clock and the fault board without a detour over HTTP.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        if not _is_loopback(self.options.host):
            raise ValueError("the sandbox listens on loopback only")
        self.url = ""
        self._world: World | None = None
        self._server: PromptServer | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def world(self) -> World:
        """The running sandbox's parts."""
        if self._world is None:
            raise RuntimeError("the sandbox is not running")
        return self._world

    @property
    def fal_url(self) -> str:
        """The root of everything that plays fal."""
        return f"{self.url}/fal"

    @property
    def replicate_url(self) -> str:
        """The root of everything that plays Replicate; the client's base_url."""
        return f"{self.url}/replicate"

    async def start(self) -> None:
        """Bind the port and answer. Starting twice is an error."""
        if self._server is not None:
            raise RuntimeError("the sandbox runs already")
        listener = _listen(self.options)
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._world = make_world(self.options, self.url)
        config = uvicorn.Config(
            _letting_go(make_app(self._world)),
            http=DroppableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._server = PromptServer(config)
        self._world.outages.close_port = self.refuse
        self._serving = asyncio.get_running_loop().create_task(self._server.serve([listener]))
        async with asyncio.timeout(START_SECONDS):
            while not self._server.started:
                if self._serving.done():
                    self._serving.result()
                await asyncio.sleep(0.005)

    def refuse(self, seconds: float) -> None:
        """Close the port for so many seconds of the sandbox's clock, once what is being answered has been answered."""
        self.world.chores.start(self._closed_for(seconds))

    async def _closed_for(self, seconds: float) -> None:
        server, clock = self._server, self.world.clock
        assert server is not None
        nap = clock.nap(seconds)
        await asyncio.sleep(ANSWER_SECONDS)
        await server.close_port()
        await nap.wait()
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        again = replace(self.options, host=host.strip("[]"), port=int(port))
        await server.open_port(await _listen_again(again))

    async def wait(self) -> None:
        """Serve until `stop` is called or this task is cancelled."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def stop(self) -> None:
        """Close the port, end all work, let go of everything. Harmless twice, or before the start."""
        server, serving, world = self._server, self._serving, self._world
        self._server = self._serving = None
        if server is None or serving is None or world is None:
            return
        server.stop()
        await serving
        await world.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _letting_go(app: ASGIApp) -> ASGIApp:
    """Only a stop cancels requests, whose connections are closed by then: nobody is there to hear of it."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return call


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (
        host.replace(".", "").replace(":", "").isalnum() and _address_is_loopback(host)
    )


def _address_is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _listen_again(options: SandboxOptions) -> socket.socket:
    """The same port, which somebody else may hold for a moment."""
    for _ in range(REOPEN_TRIES_MAX):
        try:
            return _listen(options)
        except OSError:
            await asyncio.sleep(ANSWER_SECONDS)
    return _listen(options)


def _listen(options: SandboxOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without, each answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((options.host, options.port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
