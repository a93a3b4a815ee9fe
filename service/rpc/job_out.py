"""From a JobView to the Job on the wire.

On the way of every cached answer: fields are written in place, which costs a third of handing messages to a constructor.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from lightmeter.v1 import job_pb2 as pb

from service.domain.commands import CacheMode
from service.domain.failure import Failure
from service.domain.fingerprint import drawing_from_canonical
from service.domain.limits import violation_text_bytes_max
from service.domain.oversight import Event
from service.domain.records import Asset, Attempt, AttemptState, Job, JobState, Render, RenderState
from service.domain.render import shown_state
from service.domain.view import JobView
from service.ports import Blobs
from service.rpc import enums
from service.rpc.drawing_out import write_drawing, write_inputs
from service.rpc.errors import CODES, cut
from service.rpc.instants import put_time, span_of_seconds
from service.rpc.money_out import Posted, money, put_receipt
from service.rpc.timing_out import put_timing

LAST_LOG_BYTES_MAX: Final = 500
PROVIDER_MESSAGE_BYTES_MAX: Final = 2_000
_RESULTS_KEPT: Final = 1_024
_NOTICE_CODES: Final[Mapping[str, Any]] = {
    name.removeprefix("NOTICE_CODE_"): number for name, number in pb.NoticeCode.items()
}
_UNSETTLED: Final[Mapping[str, Posted]] = {}

_OPERATIONS: Final[Mapping[str, Any]] = {one.value: number for one, number in enums.OPERATIONS.items()}
_STAGES: Final[Mapping[RenderState, Any]] = {
    RenderState.PENDING: pb.PROGRESS_STAGE_WAITING,
    RenderState.DISPATCHING: pb.PROGRESS_STAGE_DISPATCHING,
    RenderState.QUEUED: pb.PROGRESS_STAGE_PROVIDER_QUEUE,
    RenderState.RUNNING: pb.PROGRESS_STAGE_DRAWING,
    RenderState.STORING: pb.PROGRESS_STAGE_STORING,
}


def job_message(
    view: JobView, blobs: Blobs, *, full: bool = False, posted: Mapping[str, Posted] = _UNSETTLED
) -> pb.Job:
    """The job in the BASIC or FULL view. `posted`: see `money_out`."""
    job, render = view.job, view.render
    waiting = render if not job.is_final else None
    message = pb.Job()
    message.job_id = job.id
    message.state = enums.JOB_STATES[shown_state(waiting) if waiting is not None else job.state]
    message.version = view.version
    message.project = job.project
    message.operation = _OPERATIONS[job.operation]
    message.model = job.model
    message.origin = enums.ORIGINS[job.origin]
    message.fingerprint = job.fingerprint
    message.request_id = job.request_id
    for key, value in job.labels:
        message.labels[key] = value
    put_receipt(message.receipt, view, posted)
    put_timing(message.timing, view)
    put_time(message.create_time, job.accepted_at)
    put_time(message.update_time, _changed_at(view))
    _put_route(message, view)
    if job.final_at is not None:
        put_time(message.finish_time, job.final_at)
    if waiting is not None:
        _put_progress(message.progress, waiting, view.winning)
    if job.state is JobState.SUCCEEDED:
        _put_result(message, view, blobs)
    if job.failure is not None and job.state is JobState.FAILED:
        _put_failure(message.failure, job.failure, full=full)
    if full and render is not None and render.content:  # empty once it is too old to keep
        _put_request(message.request, job, render)
    return message


def _changed_at(view: JobView) -> int:
    """The newest time that is recorded of what the job shows; progress has none of its own."""
    if view.job.final_at is not None:
        return view.job.final_at
    times = [view.job.accepted_at]
    for one in view.attempts:
        times += [one.usage_at, one.dispatched_at or 0, one.accepted_at or 0, one.ended_at or 0]
    return max(times)


def _put_route(message: pb.Job, view: JobView) -> None:
    winning = view.winning
    if winning is None or winning.dispatched_at is None:
        return
    route = message.route
    route.provider, route.route, route.endpoint = winning.provider, winning.route, winning.endpoint
    if winning.provider_id and winning.project == view.job.project:
        route.provider_request_id = winning.provider_id
    seed = winning.seed_sent
    if winning.result is not None:
        told = _seed_told(winning.result)
        seed = seed if told is None else told
    if seed is not None:
        message.seed_used = seed


@lru_cache(maxsize=_RESULTS_KEPT)
def _seed_told(result: str) -> int | None:
    seed = json.loads(result).get("seed")
    return seed if isinstance(seed, int) else None


def _put_progress(message: pb.Progress, render: Render, attempt: Attempt | None) -> None:
    told = json.loads(render.progress)
    message.stage = _STAGES[render.state]
    if attempt is not None:
        if attempt.dispatched_at is not None:
            message.attempt_number = attempt.number
        if attempt.state is AttemptState.UNKNOWN:
            message.stage = pb.PROGRESS_STAGE_CONFIRMING
    if told.get("queue_position") is not None:
        message.queue_position = int(told["queue_position"])
    if told.get("fraction") is not None:
        message.fraction = float(told["fraction"])
    if told.get("last_log"):
        message.last_log = cut(str(told["last_log"]), LAST_LOG_BYTES_MAX)


def _put_result(message: pb.Job, view: JobView, blobs: Blobs) -> None:
    for placed, asset in view.assets:
        shown = message.assets.add()
        put_asset(shown, asset, blobs)
        shown.index = placed.position
        shown.content_flagged = placed.flagged
    render = view.render
    if render is None:
        return
    message.partial = render.partial
    if render.finished_at is not None:
        put_time(message.render_time, render.finished_at)
    if render.notices != "[]":
        _put_notices(message, render.notices)


def _put_notices(message: pb.Job, notices: str) -> None:
    for notice in json.loads(notices):
        # An older or newer release may have written codes that this one does not know.
        number = _NOTICE_CODES.get(notice["code"])
        if number is not None:
            message.notices.add(code=number, message=notice["message"], metadata=notice.get("metadata", {}))


def put_events(message: pb.Job, events: Iterable[Event]) -> None:
    """Write what was unusual about the job's render."""
    for one in events:
        put_time(
            message.events.add(kind=one.kind, attempt_number=one.attempt_number, cause=one.cause).event_time,
            one.at,
        )


def put_asset(message: pb.Asset, asset: Asset, blobs: Blobs) -> None:
    """Write a stored picture, with a URL to fetch it by, into a field."""
    url, expires_at = blobs.url(asset.key)
    message.sha256 = asset.sha256
    message.mime_type = asset.mime_type
    message.size_bytes = asset.size_bytes
    message.width_px = asset.width_px
    message.height_px = asset.height_px
    message.url = url
    message.average_color = asset.average_color
    message.has_alpha = asset.has_alpha
    if expires_at is not None:
        put_time(message.url_expire_time, expires_at)


def _put_failure(message: pb.Failure, failure: Failure, *, full: bool) -> None:
    message.reason = enums.REASONS[failure.reason]
    message.code = CODES[failure.reason].value[0]
    message.message = cut(failure.message, violation_text_bytes_max)
    message.metadata.update(failure.metadata)
    message.fault = enums.FAULTS[failure.fault]
    message.retry_advice = enums.RETRY_ADVICES[failure.retry_advice]
    if failure.retry_delay_seconds is not None:
        message.retry_delay.CopyFrom(span_of_seconds(failure.retry_delay_seconds))
    if full:
        message.provider_message = cut(failure.provider_message, PROVIDER_MESSAGE_BYTES_MAX)


def _put_request(message: pb.RecordedRequest, job: Job, render: Render) -> None:
    drawing = drawing_from_canonical(render.content)
    message.drawing.CopyFrom(write_drawing(drawing))
    if drawing.inputs is not None:
        message.inputs.CopyFrom(write_inputs(drawing.inputs))
    options = json.loads(job.options)
    if options.get("pin_provider"):
        message.pin.provider = options["pin_provider"]
        message.pin.route = options.get("pin_route") or ""
    elif options.get("policy"):
        message.policy = options["policy"]
    if options.get("cache_mode"):
        message.cache_mode = enums.CACHE_MODES[CacheMode(options["cache_mode"])]
    if job.max_cost_nanos is not None:
        message.max_cost.CopyFrom(money(job.max_cost_nanos))
    if job.deadline_at is not None:
        message.job_timeout.CopyFrom(span_of_seconds((job.deadline_at - job.accepted_at) / 1_000_000))
