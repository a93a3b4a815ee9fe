"""A job as a value: state, progress, pictures, failure, timing. Every value keeps its message in `.proto`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from lightmeter import wire
from lightmeter.ledger import Receipt
from lightmeter.v1 import drawing_pb2, errors_pb2, image_service_pb2, money_pb2
from lightmeter.v1 import job_pb2 as pb

FINAL_STATES: Final = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})


class Reader(Protocol):
    """What can fetch the bytes of a picture; a client hands itself to the assets that it returns."""

    def read(self, asset: Asset) -> Awaitable[bytes]:
        """The checked bytes of the picture."""
        ...


@dataclass(frozen=True, slots=True)
class Asset:
    """One stored picture, named by the SHA-256 of its bytes. Whoever has `url` can read it: don't log it."""

    sha256: str
    index: int
    mime_type: str
    size_bytes: int
    width_px: int
    height_px: int
    url: str = field(repr=False)
    url_expire_time: datetime | None
    average_color: str
    has_alpha: bool
    content_flagged: bool
    proto: pb.Asset = field(repr=False, compare=False)
    reader: Reader | None = field(default=None, repr=False, compare=False)

    async def read(self) -> bytes:
        """The bytes, by URL where that is reachable, else over gRPC; checked against `sha256`.

        Only of an asset that an AsyncClient returned; with the blocking Client call `client.read(asset)`.
        """
        if self.reader is None:
            raise TypeError("this asset came from a blocking Client: call client.read(asset)")
        return await self.reader.read(self)

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the bytes to a file and answers with its path; see `read` for where that works."""
        data = await self.read()
        target = Path(path)
        await asyncio.to_thread(target.write_bytes, data)
        return target

    @property
    def suffix(self) -> str:
        """The usual ending of a file with this picture: `.png`."""
        return _SUFFIXES.get(self.mime_type, ".bin")

    @classmethod
    def from_proto(cls, message: pb.Asset, reader: Reader | None = None) -> Asset:
        """Reads a message."""
        return cls(
            sha256=message.sha256,
            index=message.index,
            mime_type=message.mime_type,
            size_bytes=message.size_bytes,
            width_px=message.width_px,
            height_px=message.height_px,
            url=message.url,
            url_expire_time=wire.time(message, "url_expire_time"),
            average_color=message.average_color,
            has_alpha=message.has_alpha,
            content_flagged=message.content_flagged,
            proto=message,
            reader=reader,
        )


_SUFFIXES: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an unfinished job is. What the provider does not report is None."""

    stage: str
    queue_position: int | None
    fraction: float | None
    remaining_estimate: timedelta | None
    attempt_number: int
    last_log: str
    provider: str = ""

    @classmethod
    def from_proto(cls, message: pb.Progress, provider: str = "") -> Progress:
        """Reads a message; `provider` is the job's, for lines such as `replicate queue 3`."""
        return cls(
            stage=wire.word(pb.ProgressStage, message.stage),
            queue_position=message.queue_position if message.HasField("queue_position") else None,
            fraction=message.fraction if message.HasField("fraction") else None,
            remaining_estimate=wire.duration(message, "remaining_estimate"),
            attempt_number=message.attempt_number,
            last_log=message.last_log,
            provider=provider,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, for programs (`reason`, `fault`, `retry_advice`) and for people (`message`)."""

    reason: str
    code: int
    message: str
    metadata: Mapping[str, str]
    fault: str
    retry_advice: str
    retry_delay: timedelta | None
    provider_message: str

    @classmethod
    def from_proto(cls, message: pb.Failure) -> Failure:
        """Reads a message."""
        return cls(
            reason=wire.word(errors_pb2.ErrorReason, message.reason),
            code=message.code,
            message=message.message,
            metadata=dict(message.metadata),
            fault=wire.word(pb.Fault, message.fault),
            retry_advice=wire.word(pb.RetryAdvice, message.retry_advice),
            retry_delay=wire.duration(message, "retry_delay"),
            provider_message=message.provider_message,
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """A remark about a job that is otherwise in order, such as SIZE_DIFFERS."""

    code: str
    message: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class JobRoute:
    """The route that drew, or will draw, the picture."""

    provider: str
    route: str
    endpoint: str
    provider_request_id: str


@dataclass(frozen=True, slots=True)
class Timing:
    """How long each phase took; None is not known or not entered. `added` is what the service itself took."""

    input: timedelta | None
    queued: timedelta | None
    retried: timedelta | None
    provider_queue: timedelta | None
    provider_run: timedelta | None
    download: timedelta | None
    store: timedelta | None
    settle: timedelta | None
    total: timedelta | None
    added: timedelta | None

    @classmethod
    def from_proto(cls, message: money_pb2.Timing) -> Timing:
        """Reads a message."""
        return cls(**{name: wire.duration(message, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something unusual that happened to the job's render; `attempt_number` is 0 for the render as a whole."""

    time: datetime | None
    attempt_number: int
    kind: str
    cause: str


@dataclass(frozen=True, slots=True)
class Job:
    """One accepted request: its state, its result and its cost.

    `replayed` says that an earlier call with the same request_id made the job. `receipt` may change after
    the job is final; ask for the newest with `client.receipt(job)`.
    """

    job_id: str
    state: str
    version: int
    project: str
    operation: str
    model: str
    origin: str
    route: JobRoute | None
    progress: Progress | None
    assets: tuple[Asset, ...]
    failure: Failure | None
    receipt: Receipt
    timing: Timing
    labels: Mapping[str, str]
    fingerprint: str
    request_id: str
    notices: tuple[Notice, ...]
    events: tuple[JobEvent, ...]
    create_time: datetime | None
    update_time: datetime | None
    finish_time: datetime | None
    expire_time: datetime | None
    render_time: datetime | None
    seed_used: int | None
    partial: bool
    replayed: bool
    proto: pb.Job = field(repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether the job will never leave its state."""
        return self.state in FINAL_STATES

    @property
    def age(self) -> timedelta | None:
        """How old the pictures were when the job was accepted; None unless the cache had them."""
        if self.origin != "CACHE" or self.create_time is None or self.render_time is None:
            return None
        return max(self.create_time - self.render_time, timedelta())

    @classmethod
    def from_proto(cls, message: pb.Job, *, replayed: bool = False, reader: Reader | None = None) -> Job:
        """Reads a message; `reader` is what its assets read their bytes with."""
        route = message.route
        return cls(
            job_id=message.job_id,
            state=wire.word(pb.JobState, message.state),
            version=message.version,
            project=message.project,
            operation=wire.word(drawing_pb2.Operation, message.operation),
            model=message.model,
            origin=wire.word(pb.Origin, message.origin),
            route=JobRoute(route.provider, route.route, route.endpoint, route.provider_request_id)
            if message.HasField("route")
            else None,
            progress=Progress.from_proto(message.progress, route.provider)
            if message.HasField("progress")
            else None,
            assets=tuple(Asset.from_proto(asset, reader) for asset in message.assets),
            failure=Failure.from_proto(message.failure) if message.HasField("failure") else None,
            receipt=Receipt.from_proto(message.receipt),
            timing=Timing.from_proto(message.timing),
            labels=dict(message.labels),
            fingerprint=message.fingerprint,
            request_id=message.request_id,
            notices=tuple(
                Notice(wire.word(pb.NoticeCode, notice.code), notice.message, dict(notice.metadata))
                for notice in message.notices
            ),
            events=tuple(
                JobEvent(wire.time(event, "event_time"), event.attempt_number, event.kind, event.cause)
                for event in message.events
            ),
            create_time=wire.time(message, "create_time"),
            update_time=wire.time(message, "update_time"),
            finish_time=wire.time(message, "finish_time"),
            expire_time=wire.time(message, "expire_time"),
            render_time=wire.time(message, "render_time"),
            seed_used=message.seed_used if message.HasField("seed_used") else None,
            partial=message.partial,
            replayed=replayed,
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What a cancellation did: NOT_SENT, PROVIDER_ASKED, DETACHED or ALREADY_FINAL, and the job, which is
    final.
    """

    outcome: str
    job: Job
    proto: image_service_pb2.CancelJobResponse = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the provider's log. It may quote the prompt."""

    time: datetime | None
    level: str
    text: str
    attempt_number: int

    @classmethod
    def from_proto(cls, message: image_service_pb2.LogLine) -> LogLine:
        """Reads a message."""
        return cls(wire.time(message, "time"), message.level, message.text, message.attempt_number)


@dataclass(frozen=True, slots=True)
class Preview:
    """An unfinished picture; `fraction` is the drawn part, None where it is not known."""

    index: int
    mime_type: str
    content: bytes = field(repr=False)
    fraction: float | None

    @classmethod
    def from_proto(cls, message: image_service_pb2.Preview) -> Preview:
        """Reads a message."""
        fraction = message.fraction if message.HasField("fraction") else None
        return cls(message.index, message.mime_type, message.content, fraction)
