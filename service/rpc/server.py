"""The gRPC server as a component: started, drained, stopped. Health and reflection are always on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from lightmeter.v1 import (
    image_service_pb2,
    image_service_pb2_grpc,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    operator_service_pb2,
    operator_service_pb2_grpc,
)

from service.metrics import Metrics
from service.ports import Clock, Dice, Log
from service.rpc.image_service import WATCH_PATH, ImageService
from service.rpc.interceptor import Interceptor
from service.rpc.ledger_service import LedgerService
from service.rpc.model_service import ModelService
from service.rpc.operator_service import OperatorService

MESSAGE_BYTES_MAX: Final = 5 * 1024 * 1024
"""Above gRPC's own 4 MiB, so that inline pictures beyond their 3 MiB are refused by us, with a reason."""
STOP_SECONDS_DEFAULT: Final = 5.0
"""For answers under way. Whoever still waits for a picture then asks again elsewhere; the drain has waited before."""

SERVICES: Final = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (image_service_pb2, "ImageService"),
        (model_service_pb2, "ModelService"),
        (ledger_service_pb2, "LedgerService"),
        (operator_service_pb2, "OperatorService"),
    )
)

_OPTIONS: Final[Sequence[tuple[str, Any]]] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # A second process on the same port must fail to start, not share the calls.
    ("grpc.so_reuseport", 0),
    # Connections whose other end is gone are found within a minute and a half, watches or not.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients may ping this often; they do so every 30 s while a watch is open.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class GrpcServer:
    """Serves until it is stopped. Stop before start, drain before start, and either one twice are legal.

    `address` is `host:port`; port 0 takes a free one, which `port` tells after the start.
    """

    def __init__(
        self,
        *,
        address: str,
        images: ImageService,
        models: ModelService,
        ledger: LedgerService,
        operator: OperatorService,
        metrics: Metrics,
        clock: Clock,
        dice: Dice,
        log: Log,
        stop_seconds: float = STOP_SECONDS_DEFAULT,
    ) -> None:
        self._address = address
        self._registrations: tuple[Callable[[grpc.aio.Server], None], ...] = (
            lambda server: image_service_pb2_grpc.add_ImageServiceServicer_to_server(images, server),
            lambda server: model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, server),
            lambda server: ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(ledger, server),
            lambda server: operator_service_pb2_grpc.add_OperatorServiceServicer_to_server(operator, server),
        )
        self._interceptor = Interceptor(
            metrics=metrics, clock=clock, dice=dice, log=log, endless=(WATCH_PATH,)
        )
        self._stop_seconds = stop_seconds
        self._health: health.aio.HealthServicer | None = None
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before the start."""
        return self._port

    @property
    def calls_open(self) -> int:
        """How many calls are in work, without watches."""
        return self._interceptor.calls_open

    async def start(self) -> None:
        """Bind and serve. Raises RuntimeError when the address is taken."""
        assert self._server is None, "a server is started once"
        server = grpc.aio.server(interceptors=[self._interceptor], options=_OPTIONS)
        for register in self._registrations:
            register(server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        self._port = server.add_insecure_port(self._address)
        await server.start()
        self._server = server
        for name in SERVICES:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Say NOT_SERVING, refuse new calls and end watches; calls in work go on."""
        self._interceptor.drain()
        if self._health is not None:
            await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """Drain, then wait for calls in work, at most `stop_seconds`; what is left then is cancelled."""
        await self.drain()
        server, self._server = self._server, None
        if server is not None:
            await server.stop(self._stop_seconds)
            await self._interceptor.ended()
