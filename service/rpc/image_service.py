"""ImageService: drawing, watching, reading and cancelling jobs, and reading pictures."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, Protocol

from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import image_service_pb2_grpc

from service.core.requests import (
    Submission,
    Submitted,
    WatchEvent,
    WatchHeartbeat,
    WatchLogs,
)
from service.domain.commands import Cancelled
from service.domain.errors import AssetNotFound, FieldInvalid, InputImageTooLarge, JobNotFound, NotOffered
from service.domain.limits import (
    cancel_reason_characters_max,
    chunk_bytes_max,
    input_image_bytes_max,
)
from service.domain.records import AssetState, Origin
from service.domain.view import JobView
from service.ports import Blobs, JobReader
from service.rpc import enums, syntax
from service.rpc.errors import cut
from service.rpc.identity import Caller, Callers
from service.rpc.instants import stamp
from service.rpc.job_out import put_asset, put_events
from service.rpc.jobs_in import cursor_of, read_job_query
from service.rpc.receipts import Receipts
from service.rpc.submission_in import Asked, read_edit, read_generate
from service.rpc.syntax import Faults

WATCH_PATH: Final = "/lightmeter.v1.ImageService/WatchJob"
_ANSWER_MARGIN_SECONDS: Final = 0.5
_LOG_LINES_MAX: Final = 100
_LOG_TEXT_BYTES_MAX: Final = 2_000


class Submits(Protocol):
    """The use case of Generate and Edit; see `service.core.submit`."""

    async def submit(self, submission: Submission) -> Submitted:
        """MUST have written nothing when it raises a LightmeterError."""
        ...


class Watching(Protocol):
    """The use case of watching; see `service.core.watch`."""

    def watch(
        self, job_id: str, project: str | None, after_version: int, *, logs: bool = False
    ) -> AsyncIterator[WatchEvent]:
        """MUST raise JobNotFound, VersionAhead or TooManyWatches before the first event."""
        ...

    async def wait_final(self, view: JobView, seconds: float) -> JobView:
        """MUST answer in time, with the job as it is then."""
        ...


class Cancels(Protocol):
    """The use case of cancelling; see `service.core.cancel`."""

    async def cancel(self, job_id: str, project: str | None, reason: str) -> Cancelled:
        """MUST raise JobNotFound for another project's job."""
        ...


class ImageService(image_service_pb2_grpc.ImageServiceServicer):
    """The servicer. A caller meets the jobs of its own project only; an admin may list another one's."""

    def __init__(
        self,
        *,
        callers: Callers,
        submissions: Submits,
        watches: Watching,
        cancellations: Cancels,
        jobs: JobReader,
        blobs: Blobs,
        receipts: Receipts,
    ) -> None:
        self._callers = callers
        self._submissions = submissions
        self._watches = watches
        self._cancellations = cancellations
        self._jobs = jobs
        self._blobs = blobs
        self._receipts = receipts

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:
        """A picture from words."""
        caller = self._callers.identify(context)
        view, replayed = await self._submit(read_generate(caller.project, request), context)
        return pb.GenerateResponse(job=await self._receipts.job(view), replayed=replayed)

    async def Edit(self, request: pb.EditRequest, context: Any) -> pb.EditResponse:
        """A picture from pictures and words."""
        caller = self._callers.identify(context)
        view, replayed = await self._submit(read_edit(caller.project, request), context)
        return pb.EditResponse(job=await self._receipts.job(view), replayed=replayed)

    async def _submit(self, asked: Asked, context: Any) -> tuple[JobView, bool]:
        submitted = await self._submissions.submit(asked.submission)
        view = submitted.view
        if asked.wait_seconds > 0 and not view.job.is_final:
            left = context.time_remaining()
            patience = asked.wait_seconds
            if left is not None:
                patience = min(patience, left - _ANSWER_MARGIN_SECONDS)
            if patience > 0:
                view = await self._watches.wait_final(view, patience)
        return view, submitted.replayed

    async def WatchJob(self, request: pb.WatchJobRequest, context: Any) -> AsyncIterator[pb.WatchJobResponse]:
        """The job each time that it changes."""
        caller = self._callers.identify(context)
        _check_job_id(request.job_id)
        if request.after_version < 0:
            raise FieldInvalid.of("after_version", "must be 0 or more", limit=0, actual=request.after_version)
        events = self._watches.watch(
            request.job_id, caller.project, request.after_version, logs=request.include_logs
        )
        try:
            async for event in events:
                yield await self._event(event)
        finally:
            # A generator left in the middle would keep its subscription until it is collected.
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _event(self, event: WatchEvent) -> pb.WatchJobResponse:
        match event:
            case WatchHeartbeat():
                beat = pb.Heartbeat(version=event.version, send_time=stamp(event.at))
                return pb.WatchJobResponse(heartbeat=beat)
            case WatchLogs():
                return pb.WatchJobResponse(log=_log_batch(event))
            case _:
                return pb.WatchJobResponse(job=await self._receipts.job(event))

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        """One job, by its id or by the caller's."""
        caller = self._callers.identify(context)
        view = await self._found(caller, request)
        if view is None or view.job.project != caller.project:
            raise _no_job()
        full = request.view == pb.JOB_VIEW_FULL
        response = pb.GetJobResponse(job=await self._receipts.job(view, full=full))
        # A cached picture's events are the story of the job that drew it, perhaps another project's.
        if full and view.job.origin is not Origin.CACHE:
            put_events(response.job, await self._jobs.events(view.job.render_id))
        return response

    async def _found(self, caller: Caller, request: pb.GetJobRequest) -> JobView | None:
        if request.view not in pb.JobView.values():
            raise FieldInvalid.of("view", f"unknown value {request.view}", actual=request.view)
        if request.WhichOneof("selector") == "request_id":
            if not syntax.printable(request.request_id):
                raise FieldInvalid.of("request_id", "must be 1 to 64 printable ASCII characters")
            return await self._jobs.view_by_request(caller.project, request.request_id)
        _check_job_id(request.job_id)
        return await self._jobs.view(request.job_id)

    async def ListJobs(self, request: pb.ListJobsRequest, context: Any) -> pb.ListJobsResponse:
        """A page of jobs."""
        caller = self._callers.identify(context)
        query, cursor = read_job_query(caller, request)
        page = await self._jobs.page(query)
        shown = page.views[: cursor.size]
        full = request.view == pb.JOB_VIEW_FULL
        response = pb.ListJobsResponse(jobs=[await self._receipts.job(view, full=full) for view in shown])
        if len(page.views) > cursor.size:
            response.next_page_token = cursor.token(cursor_of(shown[-1]))
        return response

    async def CancelJob(self, request: pb.CancelJobRequest, context: Any) -> pb.CancelJobResponse:
        """End a job at the wish of its caller."""
        caller = self._callers.identify(context)
        _check_job_id(request.job_id)
        faults = Faults()
        faults.text("reason", request.reason, cancel_reason_characters_max)
        faults.refuse()
        cancelled = await self._cancellations.cancel(request.job_id, caller.project, request.reason)
        return pb.CancelJobResponse(
            job=await self._receipts.job(cancelled.view), outcome=enums.CANCEL_OUTCOMES[cancelled.outcome]
        )

    async def UploadImage(
        self, parts: AsyncIterator[pb.UploadImageRequest], context: Any
    ) -> pb.UploadImageResponse:
        """Not served yet; a picture that will never be taken is refused as such."""
        self._callers.identify(context)
        async for part in parts:
            size_bytes = part.header.size_bytes
            if size_bytes > input_image_bytes_max:
                limits = {"index": "0", "limit": str(input_image_bytes_max), "actual": str(size_bytes)}
                raise InputImageTooLarge(
                    f"header.size_bytes: a picture has at most {input_image_bytes_max} bytes",
                    metadata={"field": "header.size_bytes", **limits},
                )
            break
        raise NotOffered("UploadImage is not offered yet; send pictures of up to 3 MiB inline")

    async def DownloadAsset(
        self, request: pb.DownloadAssetRequest, context: Any
    ) -> AsyncIterator[pb.DownloadAssetResponse]:
        """A picture in parts."""
        caller = self._callers.identify(context)
        faults = Faults()
        syntax.sha256(faults, "sha256", request.sha256)
        if request.offset_bytes < 0:
            faults.add("offset_bytes", "must be 0 or more", limit=0, actual=request.offset_bytes)
        faults.refuse()
        asset = await self._jobs.asset(request.sha256, caller.project)
        content = None
        if asset is not None and asset.state is AssetState.PRESENT:
            content = await self._blobs.get(asset.key)
        if asset is None or content is None:
            raise AssetNotFound("this project has no such picture")
        if request.offset_bytes > len(content):
            raise FieldInvalid.of(
                "offset_bytes",
                "is behind the end of the picture",
                limit=len(content),
                actual=request.offset_bytes,
            )
        first = pb.DownloadAssetResponse()
        put_asset(first.asset, asset, self._blobs)
        yield first
        for start in range(request.offset_bytes, len(content), chunk_bytes_max):
            yield pb.DownloadAssetResponse(chunk=content[start : start + chunk_bytes_max])


def _no_job() -> JobNotFound:
    return JobNotFound("this project has no such job")


def _check_job_id(job_id: str) -> None:
    """An id that can't be one of ours is answered like one that is unknown."""
    if not job_id:
        raise FieldInvalid.of("job_id", "must not be empty", limit=1, actual=0)
    if not syntax.printable(job_id):
        raise _no_job()


def _log_batch(event: WatchLogs) -> pb.LogBatch:
    kept = event.lines[-_LOG_LINES_MAX:]
    batch = pb.LogBatch(dropped_count=event.dropped_count + len(event.lines) - len(kept))
    for line in kept:
        batch.lines.add(
            time=None if line.at is None else stamp(line.at),
            level=line.level,
            text=cut(line.text, _LOG_TEXT_BYTES_MAX),
            attempt_number=event.attempt_number,
        )
    return batch
