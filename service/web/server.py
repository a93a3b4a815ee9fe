"""The server of the HTTP door: uvicorn, started, drained and stopped by its owner, without signals of its
own.
"""

from __future__ import annotations

import socket
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from service.web.connections import HEAD_SECONDS_MAX, with_patience
from service.web.exposition import Exposition
from service.web.routes import Sources, http_app

_CONNECTIONS_COUNT_MAX: Final = 512
_HEADERS_BYTES_MAX: Final = 16 * 1024
_IDLE_SECONDS_MAX: Final = 30
_BACKLOG_COUNT: Final = 256


class HttpServer:
    """The HTTP door of one replica. `start` binds, `drain` turns readiness off, `stop` ends what is open.

    Port 0 asks the system for a free one; `port` says which it is. `stop_seconds_max` is how long answers
    under way may take to end. Stopping before starting, and twice, is legal; a stopped server is not
    started again.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        host: str,
        port: int,
        stop_seconds_max: int = 5,
        head_seconds_max: float = HEAD_SECONDS_MAX,
    ) -> None:
        self._exposition = Exposition()
        self._draining = False
        self._host = host
        self._port = port
        self._stop_seconds_max = stop_seconds_max
        self._head_seconds_max = head_seconds_max
        self._app = http_app(sources, self._exposition, lambda: self._draining)
        self._server: uvicorn.Server | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The bound port, or the one asked for before `start`."""
        return self._port

    @property
    def url(self) -> str:
        """How this machine reaches it."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError naming the address when it cannot be had."""
        self._socket = _bound(self._host, self._port)
        self._port = self._socket.getsockname()[1]
        server = _server(self._app, self._stop_seconds_max, self._head_seconds_max)
        # serve() would take over the signals of the process and tick ten times a second; neither is wanted.
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[self._socket])
        self._server = server

    async def drain(self) -> None:
        """Answer 503 to /readyz from now on; everything else goes on."""
        self._draining = True

    async def stop(self) -> None:
        """Close the socket, let open answers end, return when they have."""
        server, self._server = self._server, None
        if server is not None and self._socket is not None:
            await server.shutdown(sockets=[self._socket])
        self._exposition.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG_COUNT)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error


def _server(app: ASGIApp, stop_seconds_max: int, head_seconds_max: float) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=with_patience(head_seconds_max),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # it warns once per strange request: whoever knocks must not be able to fill the disk
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS_COUNT_MAX,
            h11_max_incomplete_event_size=_HEADERS_BYTES_MAX,
            timeout_keep_alive=_IDLE_SECONDS_MAX,
            timeout_graceful_shutdown=stop_seconds_max,
        )
    )
