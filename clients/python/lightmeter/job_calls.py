"""The calls about jobs that exist: watch, result, get, list, cancel, and the bytes of their pictures."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Unpack

import grpc

from lightmeter import wire
from lightmeter.connection import (
    CALL_SECONDS,
    NO_DEADLINE,
    WATCH_SILENCE_SECONDS,
    Connection,
    Deadline,
    pages,
)
from lightmeter.errors import AssetCorrupt, JobCancelled, JobFailed, TransportError, WaitTimeout
from lightmeter.job import Asset, Cancellation, Job, LogLine, Preview, Reader
from lightmeter.options import WatchOptions
from lightmeter.pictures import UrlReader, is_genuine
from lightmeter.status import Verdict, verdict
from lightmeter.v1 import drawing_pb2, errors_pb2, job_pb2, money_pb2
from lightmeter.v1 import image_service_pb2 as pb

ASSET_BYTES_MAX: Final = 64 * 1024 * 1024
PAGE_SIZE: Final = 200
_GONE: Final = grpc.StatusCode.UNAVAILABLE
_LIVED_SECONDS: Final = 5.0
"""A watch that lasted so long was no failure in a row with the one before."""


class JobCalls:
    """Calls about jobs, for AsyncClient and with it for Client."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._urls = UrlReader()

    @property
    def _reader(self) -> Reader | None:
        """What the assets read their bytes with; None where nobody could await them."""
        return self

    def _job(self, message: job_pb2.Job, *, replayed: bool = False) -> Job:
        return Job.from_proto(message, replayed=replayed, reader=self._reader)

    async def watch(
        self,
        job: Job | str,
        *,
        after_version: int | None = None,
        timeout: float | None = None,
        **options: Unpack[WatchOptions],
    ) -> AsyncGenerator[Job]:
        """Each version of a job as it comes, until a final one; versions may be skipped, none comes twice.

        The watch resumes by itself when the service goes away for a while. Leaving it early is fine and does
        not end the job. A failed job is yielded, not raised. WaitTimeout after `timeout` seconds.
        """
        deadline = Deadline(timeout)
        known = job if isinstance(job, Job) else None
        job_id = known.job_id if known else str(job)
        version = after_version if after_version is not None else known.version if known else 0
        failures = 0
        while True:
            request = pb.WatchJobRequest(
                job_id=job_id,
                after_version=version,
                include_logs="on_log" in options,
                include_previews="on_preview" in options,
            )
            stream = self._connection.open(self._connection.images.WatchJob, request)
            opened = time.monotonic()
            try:
                while (event := await _next(stream, deadline, known)) is not grpc.aio.EOF:
                    found = self._heard(event, options)
                    if found is None or (found.version <= version and not found.is_final):
                        continue
                    failures, version, known = 0, found.version, found
                    yield found
                    if found.is_final:
                        return
                trouble = Verdict(TransportError("the watch ended before the job did", code=_GONE), False)
            except grpc.aio.AioRpcError as error:
                trouble = verdict(error)
            except TimeoutError as error:
                if isinstance(error, WaitTimeout):
                    raise
                trouble = Verdict(TransportError("the watch fell silent", code=_GONE), False)
            finally:
                stream.cancel()
            lived = time.monotonic() - opened > _LIVED_SECONDS
            failures = 1 if lived else failures + 1
            await self._connection.pause(failures, trouble, deadline=deadline)

    def _heard(self, event: pb.WatchJobResponse, options: WatchOptions) -> Job | None:
        """The job of an event, if it has one; tells the callbacks. Unknown kinds of events are skipped."""
        kind = event.WhichOneof("event")
        if kind == "log" and (on_log := options.get("on_log")):
            for line in event.log.lines:
                on_log(LogLine.from_proto(line))
        elif kind == "preview" and (on_preview := options.get("on_preview")):
            on_preview(Preview.from_proto(event.preview))
        elif kind == "job":
            found = self._job(event.job)
            _tell(found, options)
            return found
        return None

    async def result(
        self, job: Job | str, *, timeout: float | None = None, **options: Unpack[WatchOptions]
    ) -> Job:
        """Waits until the job has succeeded and returns it; JobFailed or JobCancelled when it ended
        otherwise.
        """
        latest = job if isinstance(job, Job) else None
        if latest is not None:
            _tell(latest, options)
        if latest is None or not latest.is_final:
            async for version in self.watch(job, timeout=timeout, **options):
                latest = version
        assert latest is not None  # a watch ends with a final job or an error
        if latest.state == "CANCELLED":
            raise JobCancelled(latest)
        if latest.state != "SUCCEEDED":
            raise JobFailed(latest)
        return latest

    async def get(
        self, job_id: str = "", *, request_id: str = "", full: bool = False, timeout: float | None = None
    ) -> Job:
        """One job, by its id or by the request_id of its submission. `full` adds what was asked for."""
        if bool(job_id) == bool(request_id):
            raise ValueError("name the job either by job_id or by request_id")
        view = pb.JOB_VIEW_FULL if full else pb.JOB_VIEW_BASIC
        request = pb.GetJobRequest(view=view)
        if job_id:
            request.job_id = job_id
        else:
            request.request_id = request_id
        answer: pb.GetJobResponse = await self._connection.call(
            self._connection.images.GetJob, request, deadline=Deadline(timeout)
        )
        return self._job(answer.job)

    async def list(
        self,
        *,
        states: Sequence[str] = (),
        operations: Sequence[str] = (),
        models: Sequence[str] = (),
        providers: Sequence[str] = (),
        origins: Sequence[str] = (),
        failure_reasons: Sequence[str] = (),
        settlements: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        create_time_from: datetime | None = None,
        create_time_before: datetime | None = None,
        fingerprint: str = "",
        asset_sha256: str = "",
        project: str = "",
        oldest_first: bool = False,
        full: bool = False,
        limit: int | None = None,
    ) -> AsyncGenerator[Job]:
        """Jobs, newest first, page by page as they are read; at most `limit`. Words in any letter case.

        Jobs that were accepted in the last minute may be missing.
        """
        chosen = pb.JobFilter(
            models=models,
            providers=providers,
            labels=labels,
            fingerprint=fingerprint,
            asset_sha256=asset_sha256,
            project=project,
        )
        chosen.states.extend(wire.number(job_pb2.JobState, word, "state") for word in states)
        chosen.operations.extend(wire.number(drawing_pb2.Operation, word, "operation") for word in operations)
        chosen.origins.extend(wire.number(job_pb2.Origin, word, "origin") for word in origins)
        chosen.failure_reasons.extend(
            wire.number(errors_pb2.ErrorReason, word, "reason") for word in failure_reasons
        )
        chosen.settlements.extend(
            wire.number(money_pb2.Settlement, word, "settlement") for word in settlements
        )
        if create_time_from is not None:
            chosen.create_time_from.CopyFrom(wire.as_timestamp(create_time_from))
        if create_time_before is not None:
            chosen.create_time_before.CopyFrom(wire.as_timestamp(create_time_before))
        request = pb.ListJobsRequest(
            page_size=min(limit or PAGE_SIZE, PAGE_SIZE),
            filter=chosen,
            order=pb.JOB_ORDER_OLDEST_FIRST if oldest_first else pb.JOB_ORDER_NEWEST_FIRST,
            view=pb.JOB_VIEW_FULL if full else pb.JOB_VIEW_BASIC,
        )

        async def fetch(token: str) -> pb.ListJobsResponse:
            request.page_token = token
            page: pb.ListJobsResponse = await self._connection.call(self._connection.images.ListJobs, request)
            return page

        count = 0
        async for page in pages(fetch):
            for message in page.jobs:
                if limit is not None and count >= limit:
                    return
                count += 1
                yield self._job(message)

    async def cancel(self, job: Job | str, *, reason: str = "", timeout: float | None = None) -> Cancellation:
        """Ends a job at once; fine on a final one. The provider may bill all the same: see the outcome."""
        job_id = job.job_id if isinstance(job, Job) else job
        answer: pb.CancelJobResponse = await self._connection.call(
            self._connection.images.CancelJob,
            pb.CancelJobRequest(job_id=job_id, reason=reason),
            deadline=Deadline(timeout),
        )
        return Cancellation(wire.word(pb.CancelOutcome, answer.outcome), self._job(answer.job), answer)

    async def read(self, asset: Asset | str) -> bytes:
        """The bytes of a picture, checked: by URL where that is reachable, else over gRPC. A str is a
        SHA-256.
        """
        if isinstance(asset, Asset):
            data = await self._urls.read(asset)
            if data is not None:
                return data
        sha256 = asset.sha256 if isinstance(asset, Asset) else asset
        data = await self._download(sha256)
        if not is_genuine(data, sha256):
            raise AssetCorrupt(f"the bytes of picture {sha256} are not those of its name")
        return data

    async def save(self, asset: Asset | str, path: str | os.PathLike[str]) -> Path:
        """Writes a picture to a file and answers with its path."""
        data = await self.read(asset)
        target = Path(path)
        await asyncio.to_thread(target.write_bytes, data)
        return target

    async def _download(self, sha256: str) -> bytes:
        data = bytearray()
        failures = 0
        while True:
            request = pb.DownloadAssetRequest(sha256=sha256, offset_bytes=len(data))
            stream = self._connection.open(self._connection.images.DownloadAsset, request)
            before = len(data)
            try:
                while (part := await asyncio.wait_for(stream.read(), CALL_SECONDS)) is not grpc.aio.EOF:
                    data += part.chunk
                    if len(data) > ASSET_BYTES_MAX:
                        raise AssetCorrupt(f"picture {sha256} has more than {ASSET_BYTES_MAX} bytes")
                return bytes(data)
            except grpc.aio.AioRpcError as error:
                trouble = verdict(error)
            except TimeoutError:
                trouble = Verdict(TransportError("the download fell silent", code=_GONE), False)
            finally:
                stream.cancel()
            failures = 1 if len(data) > before else failures + 1
            await self._connection.pause(failures, trouble, deadline=NO_DEADLINE)


async def _next(stream: Any, deadline: Deadline, known: Job | None) -> Any:
    """The next event; TimeoutError when the stream is silent for too long, WaitTimeout at the caller's
    deadline.
    """
    try:
        return await asyncio.wait_for(stream.read(), deadline.within(WATCH_SILENCE_SECONDS))
    except TimeoutError:
        if not deadline.passed:
            raise
        where = f"job {known.job_id} is {known.state.lower()} and goes on" if known else "the job goes on"
        raise WaitTimeout(
            f"the timeout passed; {where}", request_id=known.request_id if known else "", job=known
        ) from None


def _tell(job: Job, options: WatchOptions) -> None:
    if on_job := options.get("on_job"):
        on_job(job)
    if job.progress is not None and (on_progress := options.get("on_progress")):
        on_progress(job.progress)
