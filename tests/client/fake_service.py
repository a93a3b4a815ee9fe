"""A service that does what a test scripts: real gRPC on loopback, no rules of its own.

Each method has a queue of answers; the last one stays. An answer is a message, a list of stream parts, an
error made with `refusal`, or a function from the request to one of these.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import (
    image_service_pb2_grpc,
    job_pb2,
    ledger_service_pb2_grpc,
    model_service_pb2_grpc,
    money_pb2,
    operator_service_pb2_grpc,
)


@dataclass(frozen=True)
class Refusal:
    """An error status to answer with."""

    code: grpc.StatusCode
    text: str
    details: bytes = b""
    pushback: str = ""
    before: tuple[Message, ...] = ()


def refusal(
    code: grpc.StatusCode,
    reason: str = "",
    *,
    text: str = "no",
    metadata: dict[str, str] | None = None,
    violations: dict[str, str] | None = None,
    retry_seconds: float | None = None,
    pushback: str = "",
    domain: str = "lightmeter",
    before: tuple[Message, ...] = (),
) -> Refusal:
    """A status as the service writes it, or a proxy if it has no reason; `before` is streamed first."""
    details: list[Message] = []
    if reason:
        details.append(
            error_details_pb2.ErrorInfo(
                reason=f"ERROR_REASON_{reason}", domain=domain, metadata=metadata or {}
            )
        )
    if violations:
        fields = error_details_pb2.BadRequest()
        for name, words in violations.items():
            fields.field_violations.add(field=name, description=words)
        details.append(fields)
    if retry_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(int(retry_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    status = status_pb2.Status(code=code.value[0], message=text, details=packed)
    return Refusal(code, text, status.SerializeToString() if packed else b"", pushback, before)


PICTURE = b"\x89PNG these are the bytes of a picture" * 20_000
PICTURE_SHA256 = hashlib.sha256(PICTURE).hexdigest()


def money(nanos: int) -> money_pb2.Money:
    """An amount for the wire."""
    return money_pb2.Money(currency_code="USD", amount_nanos=nanos)


def job(state: str = "SUCCEEDED", version: int = 3, *, url: str = "", **changes: Any) -> job_pb2.Job:
    """A job as the service would send it in a state."""
    message = job_pb2.Job(
        job_id="job-1",
        state=job_pb2.JobState.Value(f"JOB_STATE_{state}"),
        version=version,
        project="default",
        operation=1,
        model="gpt-image-2",
        origin=job_pb2.ORIGIN_PROVIDER,
        request_id="request-1",
        fingerprint="f" * 64,
    )
    message.route.provider, message.route.route = "replicate", "gpt-image-2"
    message.create_time.FromJsonString("2026-11-21T12:00:00.100Z")
    message.receipt.job_id = "job-1"
    message.receipt.held.CopyFrom(money(0))
    message.receipt.charged.CopyFrom(money(128_000_000 if state == "SUCCEEDED" else 0))
    message.receipt.evidence = money_pb2.EVIDENCE_BILLED_UNITS
    message.receipt.settlement = money_pb2.SETTLEMENT_POSTED
    if state == "SUCCEEDED":
        message.assets.add(
            sha256=PICTURE_SHA256,
            mime_type="image/png",
            size_bytes=len(PICTURE),
            width_px=1024,
            height_px=1536,
            url=url,
        )
        message.finish_time.FromJsonString("2026-11-21T12:00:20.500Z")
        message.timing.total.FromMilliseconds(20_400)
        message.timing.added.FromMilliseconds(6)
    message.MergeFrom(job_pb2.Job(**changes))
    return message


def drawing_job(stage: str, version: int, **progress: Any) -> job_pb2.Job:
    """An unfinished job with its progress."""
    message = job("RUNNING", version)
    message.progress.CopyFrom(
        job_pb2.Progress(stage=job_pb2.ProgressStage.Value(f"PROGRESS_STAGE_{stage}"), **progress)
    )
    return message


def event(message: job_pb2.Job) -> pb.WatchJobResponse:
    """A watch's event with a job."""
    return pb.WatchJobResponse(job=message)


@dataclass
class Script:
    """What the service was asked, and what it is to answer."""

    answers: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    metadata: list[dict[str, str]] = field(default_factory=list)

    def on(self, method: str, *answers: Any) -> None:
        """Queues answers of a method; the last one stays."""
        self.answers[method] = list(answers)

    def next(self, method: str, request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        """Notes a call and takes its answer."""
        copy = type(request)()
        copy.CopyFrom(request)
        self.asked[method].append(copy)
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata() or ()})
        queue = self.answers[method]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        return answer(request) if isinstance(answer, Callable) else answer  # type: ignore[arg-type] # it is a type


async def _refuse(context: grpc.aio.ServicerContext[Any, Any], answer: Refusal) -> None:
    trailers: list[tuple[str, str | bytes]] = []
    if answer.details:
        trailers.append(("grpc-status-details-bin", answer.details))
    if answer.pushback:
        trailers.append(("grpc-retry-pushback-ms", answer.pushback))
    context.set_trailing_metadata(tuple(trailers))
    await context.abort(answer.code, answer.text)


def _unary(name: str) -> Any:
    async def method(self: Any, request: Any, context: Any) -> Any:
        answer = self.script.next(name, request, context)
        if isinstance(answer, asyncio.Event):  # an answer that never comes
            await answer.wait()
        if isinstance(answer, Refusal):
            await _refuse(context, answer)
        return answer

    return method


def _stream(name: str) -> Any:
    async def method(self: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        answer = self.script.next(name, request, context)
        for part in answer.before if isinstance(answer, Refusal) else answer:
            if isinstance(part, asyncio.Event):
                await part.wait()
            else:
                yield part
        if isinstance(answer, Refusal):
            await _refuse(context, answer)

    return method


class _Service:
    def __init__(self, script: Script) -> None:
        self.script = script


class FakeImages(_Service, image_service_pb2_grpc.ImageServiceServicer):
    """ImageService, scripted."""

    Generate = _unary("Generate")
    Edit = _unary("Edit")
    GetJob = _unary("GetJob")
    ListJobs = _unary("ListJobs")
    CancelJob = _unary("CancelJob")
    WatchJob = _stream("WatchJob")
    DownloadAsset = _stream("DownloadAsset")

    async def UploadImage(self, parts: AsyncIterator[pb.UploadImageRequest], context: Any) -> Any:  # noqa: N802 - the RPC's name
        """Gathers the parts into one request of the script: the header with all bytes."""
        gathered = pb.UploadImageRequest()
        content = b""
        async for part in parts:
            if part.HasField("header"):
                gathered.CopyFrom(part)
            content += part.chunk
        assert gathered.header.sha256 == hashlib.sha256(content).hexdigest()
        answer = self.script.next("UploadImage", gathered, context)
        if isinstance(answer, Refusal):
            await _refuse(context, answer)
        return answer


class FakeModels(_Service, model_service_pb2_grpc.ModelServiceServicer):
    """ModelService, scripted."""

    ListModels = _unary("ListModels")
    GetModel = _unary("GetModel")
    Quote = _unary("Quote")


class FakeLedger(_Service, ledger_service_pb2_grpc.LedgerServiceServicer):
    """LedgerService, scripted."""

    SummarizeCosts = _unary("SummarizeCosts")
    ListTransfers = _unary("ListTransfers")
    GetReceipt = _unary("GetReceipt")
    GetStatement = _unary("GetStatement")
    ListBudgets = _unary("ListBudgets")
    SetBudget = _unary("SetBudget")
    DeleteBudget = _unary("DeleteBudget")
    ListReconciliations = _unary("ListReconciliations")
    ListDiscrepancies = _unary("ListDiscrepancies")
    ExportFocus = _stream("ExportFocus")
    WhatIf = _unary("WhatIf")


class FakeOperators(_Service, operator_service_pb2_grpc.OperatorServiceServicer):
    """OperatorService, scripted."""

    ListAttempts = _unary("ListAttempts")
    ResolveAttempt = _unary("ResolveAttempt")
    SetSwitch = _unary("SetSwitch")
    ListSwitches = _unary("ListSwitches")
    ListAuditEvents = _unary("ListAuditEvents")


def picture_parts(chunk_bytes: int = 200_000, start: int = 0) -> list[pb.DownloadAssetResponse]:
    """A whole download of PICTURE from an offset."""
    asset = job_pb2.Asset(sha256=PICTURE_SHA256, size_bytes=len(PICTURE))
    chunks = [PICTURE[at : at + chunk_bytes] for at in range(start, len(PICTURE), chunk_bytes)]
    return [
        pb.DownloadAssetResponse(asset=asset),
        *(pb.DownloadAssetResponse(chunk=chunk) for chunk in chunks),
    ]


class FakeServer:
    """The services on a port of the system's choice."""

    def __init__(self) -> None:
        self.script = Script()
        self.address = ""
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        image_service_pb2_grpc.add_ImageServiceServicer_to_server(FakeImages(self.script), self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(FakeModels(self.script), self._server)
        ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(FakeLedger(self.script), self._server)
        operator_service_pb2_grpc.add_OperatorServiceServicer_to_server(
            FakeOperators(self.script), self._server
        )
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self.address = f"127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.stop(None)
