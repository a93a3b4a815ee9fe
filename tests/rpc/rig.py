"""The real server on a free port of loopback, with fakes behind it and raw stubs in front."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from lightmeter.v1 import (
    image_service_pb2_grpc,
    ledger_service_pb2_grpc,
    model_service_pb2_grpc,
    operator_service_pb2_grpc,
)
from prometheus_client import CollectorRegistry

from service.app.price_files import amended
from service.catalog.loader import load_catalog
from service.clock import SystemClock, SystemDice
from service.core.budgeting import Budgets
from service.core.export import FocusExport
from service.core.oversee import Oversight
from service.core.pricing import Catalogs
from service.core.switches import SwitchBoard
from service.core.whatif import WhatIf
from service.domain.absence import AbsenceRule
from service.domain.catalog import Catalog
from service.metrics import Metrics
from service.rpc.identity import Callers, NamedProjects
from service.rpc.image_service import ImageService
from service.rpc.ledger_service import LedgerService
from service.rpc.model_service import ModelService
from service.rpc.operator_service import OperatorService
from service.rpc.quote_inputs import QuoteInputs
from service.rpc.receipts import Receipts
from service.rpc.server import GrpcServer
from tests.rpc.fakes import (
    FakeBlobs,
    FakeCancellations,
    FakeHealth,
    FakeJobs,
    FakeLedger,
    FakeLog,
    FakePictures,
    FakeQuotes,
    FakeSubmissions,
    FakeWatches,
)
from tests.support.memory_books import MemoryBooks
from tests.support.memory_paid import MemoryPaid
from tests.support.memory_reads import MemoryOperators, MemoryReader
from tests.support.memory_store import MemoryStore

CALL_SECONDS = 5.0
CATALOG: Catalog = load_catalog(sandbox=True)
CATALOGS = Catalogs(CATALOG, SystemClock())
ABSENCES = {
    "fal": AbsenceRule(
        settle_seconds=900,
        waits=True,
        scans=2,
        scan_gap_seconds=60,
        within_seconds=None,
        dispatch_again=False,
    )
}


@dataclass
class Rig:
    """Fakes, server, channel and stubs of one test."""

    callers: Callers = field(default_factory=NamedProjects)
    stop_seconds: float = 1.0
    submissions: FakeSubmissions = field(default_factory=FakeSubmissions)
    quotes: FakeQuotes = field(default_factory=FakeQuotes)
    watches: FakeWatches = field(default_factory=FakeWatches)
    cancellations: FakeCancellations = field(default_factory=FakeCancellations)
    jobs: FakeJobs = field(default_factory=FakeJobs)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    blobs: FakeBlobs = field(default_factory=FakeBlobs)
    health: FakeHealth = field(default_factory=FakeHealth)
    log: FakeLog = field(default_factory=FakeLog)

    def __post_init__(self) -> None:
        self.clock = clock = SystemClock()
        self.metrics, receipts = Metrics(CollectorRegistry()), Receipts(self.ledger, self.blobs)
        self.store = MemoryStore(clock)
        self.store_reader = MemoryReader(self.store, clock)
        self.operators = MemoryOperators(self.store, clock)
        self.switches = SwitchBoard(self.operators, self.store.hints, clock, self.log)
        self.server = GrpcServer(
            address="127.0.0.1:0",
            images=ImageService(
                callers=self.callers,
                submissions=self.submissions,
                watches=self.watches,
                cancellations=self.cancellations,
                jobs=self.jobs,
                blobs=self.blobs,
                receipts=receipts,
            ),
            models=ModelService(
                callers=self.callers,
                catalogs=CATALOGS,
                quotes=self.quotes,
                inputs=QuoteInputs(self.jobs, FakePictures()),
                healths={"fal": self.health},
                switched_off=self.switches.is_off_for_all,
                clock=clock,
            ),
            ledger=LedgerService(
                callers=self.callers,
                ledger=self.ledger,
                jobs=self.jobs,
                receipts=receipts,
                budgets=Budgets(self.store, self.store_reader, SystemDice(clock.now)),
                books=self.ledger,
                focus=FocusExport(self.ledger),
                reconciled=MemoryBooks(self.store),
                whatif=WhatIf(MemoryPaid(self.store), CATALOGS, amended),
                clock=clock,
            ),
            operator=OperatorService(
                callers=self.callers,
                oversight=Oversight(
                    store=self.store,
                    reader=self.operators,
                    board=self.switches,
                    hints=self.store.hints,
                    catalog=CATALOG,
                    absences=ABSENCES,
                    dice=SystemDice(clock.now),
                ),
                reader=self.operators,
                jobs=self.jobs,
                clock=clock,
            ),
            metrics=self.metrics,
            clock=clock,
            dice=SystemDice(clock.now),
            log=self.log,
            stop_seconds=self.stop_seconds,
        )

    async def open(self) -> None:
        """Serve, and connect."""
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{self.server.port}", options=[("grpc.max_send_message_length", -1)]
        )
        self.images: Any = image_service_pb2_grpc.ImageServiceStub(self.channel)
        self.models: Any = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.books: Any = ledger_service_pb2_grpc.LedgerServiceStub(self.channel)
        self.operator: Any = operator_service_pb2_grpc.OperatorServiceStub(self.channel)

    async def close(self) -> None:
        """Hang up, and stop."""
        await self.channel.close()
        await self.server.stop()

    def sample(self, name: str, **labels: str) -> float:
        """The value of one metric; 0 when it was never touched."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def opened(**parts: Any) -> AsyncIterator[Rig]:
    """A rig for one test."""
    rig = Rig(**parts)
    await rig.open()
    try:
        yield rig
    finally:
        await rig.close()


@dataclass
class Refusal:
    """An error as a caller reads it off the wire."""

    code: str
    text: str
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: list[tuple[str, str]]
    quota: list[tuple[str, str]]
    retry_seconds: float | None
    pushback: str | None
    status_bytes: int

    @property
    def fields(self) -> list[str]:
        """The paths of BadRequest."""
        return [field for field, _ in self.violations]


def read_refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Everything that the trailers say."""
    trailers = dict(error.trailing_metadata() or ())
    status: status_pb2.Status = rpc_status.from_call(error)  # type: ignore[arg-type] # it has the same three methods
    assert status is not None, f"no status details: {error}"
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    quota = error_details_pb2.QuotaFailure()
    retry = error_details_pb2.RetryInfo()
    found: list[Message] = [
        one for detail in status.details for one in (info, bad, quota, retry) if detail.Unpack(one)
    ]
    return Refusal(
        code=error.code().name,
        text=error.details() or "",
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations=[(one.field, one.description) for one in bad.field_violations],
        quota=[(one.subject, one.description) for one in quota.violations],
        retry_seconds=retry.retry_delay.ToTimedelta().total_seconds() if retry in found else None,
        pushback=trailers.get("grpc-retry-pushback-ms"),
        status_bytes=len(trailers.get("grpc-status-details-bin", b"")),
    )


async def refused(call: Any) -> Refusal:
    """Await a call, or read a stream, that must be refused."""
    try:
        if hasattr(call, "__await__"):
            await call
        else:
            while await call.read() is not grpc.aio.EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return read_refusal(error)
    raise AssertionError("the call was not refused")
