"""The calls that ask for pictures: generate, edit, their twins that don't wait, quote and upload."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Unpack

from lightmeter.catalog import Quote
from lightmeter.connection import CALL_SECONDS, Deadline
from lightmeter.drawing import Drawing, Expansion
from lightmeter.errors import Unsupported, WaitTimeout
from lightmeter.job import Job
from lightmeter.job_calls import JobCalls
from lightmeter.options import CallOptions, SubmitOptions, split, submit_options
from lightmeter.pictures import CHUNK_BYTES, INLINE_BYTES_MAX, Picture, load, too_large
from lightmeter.v1 import drawing_pb2, model_service_pb2
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.wire import as_duration

WAIT_SECONDS_MAX: Final = 25.0
"""The longest that the service keeps a submission waiting for its result."""


class DrawCalls(JobCalls):
    """Calls that ask for pictures, for AsyncClient and with it for Client."""

    async def generate(
        self, drawing: Drawing, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> Job:
        """A picture from words: submits, waits, and returns the job that SUCCEEDED.

        JobFailed when it was accepted and failed; a Refused when it was not accepted; WaitTimeout when
        `timeout` seconds passed, in which case the job goes on. Retries carry the same request_id and never
        pay twice. Cancelling the call does not cancel the job.
        """
        submit, follow = split(options)
        deadline = Deadline(timeout)
        wait = 0.0 if follow else deadline.within(WAIT_SECONDS_MAX)
        job = await self._generate(drawing, submit, deadline, wait)
        return await self.result(job, timeout=_rest(deadline, job), **follow)

    async def start(
        self, drawing: Drawing, *, timeout: float | None = None, **options: Unpack[SubmitOptions]
    ) -> Job:
        """Submits a picture from words and returns its job at once, final if the cache had it."""
        return await self._generate(drawing, options, Deadline(timeout), 0.0)

    async def edit(
        self,
        drawing: Drawing,
        images: Picture | Sequence[Picture],
        *,
        mask: Picture | None = None,
        strength: float | None = None,
        expansion: Expansion | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Job:
        """A picture from pictures and words; in all else like `generate`.

        Pictures are bytes, paths, https URLs, assets (or their SHA-256) or Pillow images. More than 3 MiB of
        inline bytes are uploaded first.
        """
        submit, follow = split(options)
        deadline = Deadline(timeout)
        inputs = await self._inputs(images, mask, strength, expansion)
        wait = 0.0 if follow else deadline.within(WAIT_SECONDS_MAX)
        job = await self._edit(drawing, inputs, submit, deadline, wait)
        return await self.result(job, timeout=_rest(deadline, job), **follow)

    async def start_edit(
        self,
        drawing: Drawing,
        images: Picture | Sequence[Picture],
        *,
        mask: Picture | None = None,
        strength: float | None = None,
        expansion: Expansion | None = None,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Job:
        """Submits an edit and returns at once with its job; see `edit` for the pictures."""
        deadline = Deadline(timeout)
        inputs = await self._inputs(images, mask, strength, expansion)
        return await self._edit(drawing, inputs, options, deadline, 0.0)

    async def quote(
        self,
        drawing: Drawing,
        images: Picture | Sequence[Picture] | None = None,
        *,
        mask: Picture | None = None,
        strength: float | None = None,
        expansion: Expansion | None = None,
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> Quote:
        """What the very same call would cost and where it would go. Nothing is held, drawn or kept.

        With `images` it is the quote of an edit. `print(quote.explain())` shows it; `max_cost=quote.ceiling`
        binds it.
        """
        request = model_service_pb2.QuoteRequest()
        if images is None:
            request.generate.drawing.CopyFrom(drawing.proto)
            request.generate.options.CopyFrom(submit_options(options))
        else:
            request.edit.drawing.CopyFrom(drawing.proto)
            request.edit.inputs.CopyFrom(await self._inputs(images, mask, strength, expansion))
            request.edit.options.CopyFrom(submit_options(options))
        answer: model_service_pb2.QuoteResponse = await self._connection.call(
            self._connection.catalog.Quote, request, deadline=Deadline(timeout)
        )
        return Quote.from_proto(answer)

    async def upload(self, picture: Picture) -> str:
        """Stores a picture for use as an input and returns its SHA-256. Repeating it is harmless."""
        (message,) = await load([picture])
        return message.asset_sha256 or await self._upload(message.content)

    async def _generate(
        self, drawing: Drawing, options: SubmitOptions, deadline: Deadline, wait: float
    ) -> Job:
        request = pb.GenerateRequest(drawing=drawing.proto, options=submit_options(options))
        return await self._submit(self._connection.images.Generate, request, deadline, wait)

    async def _edit(
        self,
        drawing: Drawing,
        inputs: drawing_pb2.EditInputs,
        options: SubmitOptions,
        deadline: Deadline,
        wait: float,
    ) -> Job:
        request = pb.EditRequest(drawing=drawing.proto, inputs=inputs, options=submit_options(options))
        return await self._submit(self._connection.images.Edit, request, deadline, wait)

    async def _submit(
        self, method: Any, request: pb.GenerateRequest | pb.EditRequest, deadline: Deadline, wait: float
    ) -> Job:
        if wait > 0:
            request.options.wait.CopyFrom(as_duration(wait))
        try:
            answer: pb.GenerateResponse | pb.EditResponse = await self._connection.call(
                method, request, deadline=deadline, seconds=wait + CALL_SECONDS, deadline_too=True
            )
        except WaitTimeout as error:
            error.request_id = request.options.request_id
            raise
        return self._job(answer.job, replayed=answer.replayed)

    async def _inputs(
        self,
        images: Picture | Sequence[Picture],
        mask: Picture | None,
        strength: float | None,
        expansion: Expansion | None,
    ) -> drawing_pb2.EditInputs:
        given: Sequence[Any] = images if isinstance(images, list | tuple) else [images]
        loaded = await load([*given, *([mask] if mask is not None else [])])
        for image in too_large(loaded):
            image.asset_sha256 = await self._upload(image.content)
        inputs = drawing_pb2.EditInputs(images=loaded[: len(given)], strength=strength)
        if mask is not None:
            inputs.mask.CopyFrom(loaded[-1])
        if expansion is not None:
            inputs.expansion.CopyFrom(expansion.proto)
        return inputs

    async def _upload(self, content: bytes) -> str:
        if not content:
            raise ValueError("there is nothing to upload: an URL is fetched by the service itself")
        sha256 = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())

        async def parts() -> AsyncIterator[pb.UploadImageRequest]:
            yield pb.UploadImageRequest(header=pb.UploadHeader(size_bytes=len(content), sha256=sha256))
            for start in range(0, len(content), CHUNK_BYTES):
                yield pb.UploadImageRequest(chunk=content[start : start + CHUNK_BYTES])

        async def once() -> pb.UploadImageResponse:
            seconds = CALL_SECONDS + len(content) / 1_000_000
            call = self._connection.open(self._connection.images.UploadImage, parts(), seconds=seconds)
            answer: pb.UploadImageResponse = await call
            return answer

        try:
            answer = await self._connection.repeat(once, deadline=Deadline(None))
        except Unsupported as error:
            raise Unsupported(
                f"{len(content):,} bytes of a picture don't fit into the {INLINE_BYTES_MAX:,} of a "
                "request, and this release of the service takes no uploads: make it smaller, or give "
                "its https URL",
                reason=error.reason,
                code=error.code,
                metadata=error.metadata,
            ) from error
        return answer.asset.sha256 or sha256


def _rest(deadline: Deadline, job: Job) -> float | None:
    """What is left for the watch; a job that is not final at the deadline is given up on at once."""
    left = deadline.left
    if left == 0.0 and not job.is_final:
        raise WaitTimeout(
            f"the timeout passed; job {job.job_id} is {job.state.lower()} and goes on",
            request_id=job.request_id,
            job=job,
        )
    return left or None
