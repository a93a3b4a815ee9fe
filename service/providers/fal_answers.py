"""What fal's answers mean: pure functions from an `Answer` to the values of `service.ports`.

Sources: fal docs (queue, common parameters, model and request errors, pricing), the sources of fal-client
1.0.3, and answers recorded by others. fal's peculiarities: there is no FAILED state (a failed request is
COMPLETED, and its result answers with the error), `detail` is a list or a text, keys may be missing, statuses
may be new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from service.domain.exchange import (
    Accepted,
    CancelAnswer,
    DispatchAnswer,
    Ended,
    LogLine,
    Output,
    Refused,
    Result,
    Stage,
    Status,
    Unclear,
)
from service.domain.failure import Failure, Fault
from service.domain.limits import MICROS_PER_SECOND
from service.ports import Clock
from service.providers.errors import (
    account_blocked,
    clean,
    content_rejected,
    input_rejected,
    no_images,
    provider_failed,
    result_lost,
    route_refused,
    route_unknown,
)
from service.providers.wire import (
    LOG_LINES_MAX,
    Answer,
    fraction_of,
    integer,
    log_line,
    no_answer,
    number,
    number_in_text,
    retry_after,
    usable_id,
    usable_url,
)

REFUSALS: Final = (400, 401, 402, 403, 404, 405, 413, 415, 422, 429)
"""Statuses of a submit that say: not accepted. 408, 409, 425, 499 and all others may come from after the
acceptance.
"""

STAGES: Final[Mapping[str, Stage]] = {
    "IN_QUEUE": Stage.QUEUED,
    "IN_PROGRESS": Stage.RUNNING,
    "COMPLETED": Stage.ENDED,
    # Not in fal's documentation; should one ever come, the result tells the rest.
    "FAILED": Stage.ENDED,
    "CANCELLED": Stage.ENDED,
}

CANCELS: Final[Mapping[tuple[int, str], CancelAnswer]] = {
    (200, "OK"): CancelAnswer.CANCELLED,
    (200, "CANCELLATION_REQUESTED"): CancelAnswer.ASKED,
    (202, "CANCELLATION_REQUESTED"): CancelAnswer.ASKED,
    (400, "ALREADY_COMPLETED"): CancelAnswer.TOO_LATE,
    (404, "NOT_FOUND"): CancelAnswer.UNKNOWN_ID,
}

CONTENT_TYPES: Final = ("content_policy_violation",)
NO_IMAGE_TYPES: Final = ("no_media_generated",)
PROVIDER_TYPES: Final = (
    "internal_server_error",
    "generation_timeout",
    "downstream_service_error",
    "downstream_service_unavailable",
    "client_disconnected",
    "client_cancelled",
)
"""Error types that blame fal or its suppliers, whatever the status is. The rest of 4xx blames the input."""

RESULT_HEADERS: Final = (
    "x-fal-request-id",
    "x-fal-error-type",
    "x-fal-retryable",
    "x-fal-needs-retry",
    "x-fal-request-timeout-type",
)
"""Each marks an answer as the request's own. Without any, an error is a gateway's and an answer without
pictures nobody's: the result may still be there.
"""

LOCKED_WORDS: Final = ("locked", "balance")
EARLY_WORDS: Final = "still in progress"


def judge_submit(answer: Answer, clock: Clock) -> DispatchAnswer:
    """The answer to the submit. The id is looked for before anything else is believed."""
    data = answer.object()
    if 200 <= answer.status < 300:
        provider_id = usable_id(data.get("request_id")) if data is not None else None
        if data is None or provider_id is None:
            return Unclear("no_id", f"fal: HTTP {answer.status} without a usable request_id")
        other = usable_id(data.get("gateway_request_id"))
        aliases = (other,) if other is not None and other != provider_id else ()
        return Accepted(provider_id, aliases, integer(data.get("queue_position")))
    if answer.status in REFUSALS and data is not None and _own_shape(data):
        return _refused(answer, data, clock)
    hint = usable_id(answer.headers.get("x-fal-request-id")) or "unknown"
    return Unclear(f"http_{answer.status}", f"fal: HTTP {answer.status}, a request may exist (id {hint})")


def _own_shape(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("detail"), str | list) or data.get("status") == "NOT_FOUND"


def _refused(answer: Answer, data: Mapping[str, Any], clock: Clock) -> Refused:
    text, kinds = _detail(data)
    match answer.status:
        case 401:
            return Refused(account_blocked(), "unauthorized")
        case 402:
            return Refused(account_blocked(), "account_blocked")
        case 403:
            locked = any(word in text.lower() for word in LOCKED_WORDS)
            return Refused(account_blocked(), "account_blocked" if locked else "unauthorized")
        case 404 | 405:
            return Refused(route_unknown(), "not_found")
        case 429:
            seconds = retry_after(answer, clock)
            failure = route_refused("The provider is taking no more requests.", retry_delay_seconds=seconds)
            return Refused(failure, "rate_limited", retry_after_seconds=seconds)
        case 415:
            return Refused(input_rejected(text, Fault.SERVICE), "invalid_input")
        case _ if any(kind in CONTENT_TYPES for kind in kinds):
            return Refused(content_rejected(text), "content", fatal=True)
        case _:
            # Not fatal: sizes, ranges and formats differ between the routes of one model.
            return Refused(input_rejected(text), "invalid_input")


def _detail(data: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The text and the error types of an error body, whose `detail` is a list of objects or a plain text."""
    detail = data.get("detail")
    flat = data.get("error_type")
    kinds = [flat] if isinstance(flat, str) else []
    if not isinstance(detail, list):
        return clean(detail or ""), tuple(kinds)
    texts = []
    for one in detail:
        if isinstance(one, dict):
            texts.append(str(one.get("msg", "")))
            if isinstance(one.get("type"), str):
                kinds.append(one["type"])
        else:
            texts.append(str(one))
    return clean("; ".join(texts)), tuple(kinds)


def read_status(answer: Answer, clock: Clock) -> Status:
    """The status object. An unknown word counts as RUNNING: only a result can end a request.

    Raises ProviderDenied (401, 402, 403) and ProviderUnavailable.
    """
    data = answer.object()
    if answer.status == 404 and data is not None and _own_shape(data):
        return Status(Stage.GONE)
    if not 200 <= answer.status < 300 or data is None or not isinstance(data.get("status"), str):
        raise no_answer("fal", answer, clock)
    stage = STAGES.get(data["status"], Stage.RUNNING)
    lines = _logs(data.get("logs"))
    position = integer(data.get("queue_position")) if stage is Stage.QUEUED else None
    return Status(stage, position, fraction_of(lines), lines)


def never_ran(answer: Answer) -> bool:
    """Whether a request's status says that it ended before a runner had it: complete, its metrics without an inference time, and
    nothing in its log. Whatever is not said (no metrics, no log) is no proof.
    """
    data = answer.object()
    if answer.status != 200 or data is None or data.get("status") != "COMPLETED":
        return False
    metrics, logs = data.get("metrics"), data.get("logs")
    return isinstance(metrics, dict) and metrics.get("inference_time") is None and logs == []


def _logs(logs: Any) -> tuple[LogLine, ...]:
    if not isinstance(logs, list):
        return ()
    tail = [one for one in logs[-LOG_LINES_MAX:] if isinstance(one, dict)]
    return tuple(
        log_line(one.get("message", ""), one.get("level", "INFO"), _micros(one.get("timestamp")))
        for one in tail
    )


def _micros(text: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return None if moment.tzinfo is None else int(moment.timestamp() * MICROS_PER_SECOND)


def read_result(answer: Answer, clock: Clock, *, kept_seconds: float) -> Result:
    """The result and its evidence. `kept_seconds`: how long the files were asked to be kept.

    Raises ProviderDenied and ProviderUnavailable where the answer is not the request's own: a 404 too,
    because one lost look must not throw away what was paid; the status says GONE when it is gone.
    """
    data = answer.object()
    if answer.status == 200 and data is not None:
        result = _drawn(answer, data, kept_seconds)
        if result.outputs or _is_marked(answer):
            return result
        raise no_answer("fal", answer, clock)
    if data is None or answer.status < 400 or not _is_own_failure(answer, data):
        raise no_answer("fal", answer, clock)
    return _failed(answer, data)


def _is_own_failure(answer: Answer, data: Mapping[str, Any]) -> bool:
    """Whether this error is how the request ended, and not an error of asking for it."""
    text, kinds = _detail(data)
    if answer.status in (401, 402, 403, 404, 408, 425, 429) or EARLY_WORDS in text:
        return False
    return isinstance(data.get("detail"), str | list) and (_is_marked(answer) or bool(kinds))


def _is_marked(answer: Answer) -> bool:
    return any(name in answer.headers for name in RESULT_HEADERS)


def _drawn(answer: Answer, data: Mapping[str, Any], kept_seconds: float) -> Result:
    images = data.get("images")
    if not isinstance(images, list):
        images = [data.get("image")] if data.get("image") else []
    outputs, dropped = _outputs(images, data.get("has_nsfw_concepts"))
    timings = data.get("timings")
    run_seconds = number(timings.get("inference")) if isinstance(timings, dict) else None
    return Result(
        Ended.SUCCEEDED,
        outputs,
        failure=None if outputs else no_images(),
        billable_units=_units(answer),
        seed=integer(data.get("seed")),
        run_seconds=None if run_seconds is None else float(run_seconds),
        expires_in_seconds=kept_seconds,
        notices=(f"{dropped} outputs without a usable address",) if dropped else (),
    )


def _outputs(images: Sequence[Any], flags: Any) -> tuple[tuple[Output, ...], int]:
    marks = flags if isinstance(flags, list) else []
    found = []
    for position, image in enumerate(images):
        claimed = image if isinstance(image, dict) else {"url": image}
        url = usable_url(claimed.get("url"))
        kind = claimed.get("content_type")
        flagged = position < len(marks) and marks[position] is True
        if url is not None:
            found.append(Output(url, clean(kind) if isinstance(kind, str) else None, flagged))
    return tuple(found), len(images) - len(found)


def _failed(answer: Answer, data: Mapping[str, Any]) -> Result:
    """fal bills nothing for HTTP 500 and above; a 4xx may have cost GPU time and is billed as evidence will
    tell.
    """
    text, kinds = _detail(data)
    unbilled = answer.status >= 500
    cancelled = answer.status == 499 and "client_cancelled" in kinds
    never_started = answer.headers.get("x-fal-request-timeout-type", "").lower() == "user"
    ended = Ended.CANCELLED if cancelled else Ended.ABORTED if unbilled and never_started else Ended.FAILED
    return Result(
        ended,
        failure=_failure(answer.status, text, kinds),
        billable_units=_units(answer),
        surely_unbilled=unbilled,
    )


def _failure(status: int, text: str, kinds: Sequence[str]) -> Failure:
    if any(kind in CONTENT_TYPES for kind in kinds):
        return content_rejected(text)
    if any(kind in NO_IMAGE_TYPES for kind in kinds):
        return no_images(text)
    if status == 410:
        return result_lost()
    if status >= 499 or any(kind in PROVIDER_TYPES for kind in kinds):
        return provider_failed(text, unbilled=status >= 500)
    return input_rejected(text)


def _units(answer: Answer) -> Decimal | None:
    units = number_in_text(answer.headers.get("x-fal-billable-units"))
    return None if units is None or units < 0 else units


def read_cancel(answer: Answer, clock: Clock) -> CancelAnswer:
    """What a cancel has done. Raises ProviderDenied and ProviderUnavailable for answers that tell nothing.

    `200 {"success": true}`, which some models document, does not say whether the request had started: ASKED.
    """
    data = answer.object() or {}
    known = CANCELS.get((answer.status, str(data.get("status"))))
    if known is not None:
        return known
    if answer.status == 404 and _own_shape(data):
        return CancelAnswer.UNKNOWN_ID
    if answer.status in (200, 202) and data.get("success") is not False:
        return CancelAnswer.ASKED
    if answer.status == 200:
        return CancelAnswer.TOO_LATE
    raise no_answer("fal", answer, clock)


__all__ = ["judge_submit", "never_ran", "read_cancel", "read_result", "read_status"]
