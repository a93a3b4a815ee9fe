"""What Replicate's answers mean: pure functions from an `Answer` to the values of `service.ports`.

Sources: Replicate's OpenAPI description, its docs (predictions, error codes, billing, rate limits), its
changelog on prediction deadlines, and recorded traffic. The parser is lenient on purpose: keys are missing
until they have a value, `version` and `model` may be null or differ from the request, `aborted` is unknown to
the package, `error` may be an object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
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
    retry_after,
    usable_id,
    usable_url,
)

REFUSALS: Final = (400, 401, 402, 403, 404, 405, 413, 415, 422, 429)
"""Statuses of a create that say: not accepted. All others may come from after the acceptance."""

STAGES: Final[Mapping[str, Stage]] = {
    "starting": Stage.QUEUED,
    "processing": Stage.RUNNING,
    "succeeded": Stage.ENDED,
    "failed": Stage.ENDED,
    "canceled": Stage.ENDED,
    "aborted": Stage.ENDED,
}

ENDS: Final[Mapping[str, Ended]] = {
    "succeeded": Ended.SUCCEEDED,
    "failed": Ended.FAILED,
    "canceled": Ended.CANCELLED,
    "aborted": Ended.ABORTED,
}

CANCELS: Final[Mapping[str, CancelAnswer]] = {
    "starting": CancelAnswer.ASKED,
    "processing": CancelAnswer.ASKED,
    "canceled": CancelAnswer.CANCELLED,
    "aborted": CancelAnswer.CANCELLED,
    "succeeded": CancelAnswer.TOO_LATE,
    "failed": CancelAnswer.TOO_LATE,
}

MODERATION: Final = re.compile(r"NSFW|flagged as sensitive|\bE005\b|safety", re.IGNORECASE)
TRANSIENT: Final = re.compile(
    r"\bE(1000|6716|8367|8765|9828)\b|\(code: PA\)|Prediction interrupted|temporarily unavailable",
    re.IGNORECASE,
)
"""Failures that another try may not meet (Replicate docs: error codes; E9828 and PA are observations)."""
HOPELESS: Final = re.compile(r"\bE(1001|4875|9243|9825)\b|Prediction timed out", re.IGNORECASE)
"""Failures that the same input would meet again."""
REFUSED_CONTENT: Final = re.compile(r"NSFW|flagged as sensitive|\bE005\b", re.IGNORECASE)
"""Moderation on the create; there, "safety" may be part of a parameter's name."""
WRONG_VERSION: Final = re.compile(r"^\s*-?\s*version\b|Invalid version", re.IGNORECASE)

DATA_KEPT_SECONDS: Final = 3600.0
"""Input, output and files of a prediction vanish one hour after its end (Replicate docs: data retention)."""

_SEED: Final = re.compile(r"Using seed:\s*(\d{1,19})")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")


def judge_create(answer: Answer, clock: Clock) -> DispatchAnswer:
    """The answer to the create. The id is looked for before anything else is believed."""
    data = answer.object()
    if 200 <= answer.status < 300:
        provider_id = usable_id(data.get("id")) if data is not None else None
        if provider_id is None:
            return Unclear("no_id", f"replicate: HTTP {answer.status} without a usable id")
        return Accepted(provider_id)
    if answer.status in REFUSALS and data is not None and _own_shape(data):
        return _refused(answer, data, clock)
    return Unclear(f"http_{answer.status}", f"replicate: HTTP {answer.status}, a prediction may exist")


def _own_shape(data: Mapping[str, Any]) -> bool:
    """Problem details: `detail` and `status`, the `title` only sometimes."""
    return isinstance(data.get("detail"), str) or (
        isinstance(data.get("title"), str) and integer(data.get("status")) is not None
    )


def _refused(answer: Answer, data: Mapping[str, Any], clock: Clock) -> Refused:
    text = clean(data.get("detail") or data.get("title") or "")
    match answer.status:
        case 401 | 403:
            return Refused(account_blocked(), "unauthorized")
        case 402:
            return Refused(account_blocked(), "account_blocked")
        case 404 | 405:
            return Refused(route_unknown(), "not_found")
        case 429:
            seconds = retry_after(answer, clock)
            failure = route_refused("The provider is taking no more requests.", retry_delay_seconds=seconds)
            return Refused(failure, "rate_limited", retry_after_seconds=seconds)
        case 415:
            return Refused(input_rejected(text, Fault.SERVICE), "invalid_input")
        case _ if WRONG_VERSION.search(text):
            return Refused(route_unknown(), "not_found")
        case _ if REFUSED_CONTENT.search(text):
            return Refused(content_rejected(text), "content", fatal=True)
        case _:
            # Not fatal: sizes, ranges and formats differ between the routes of one model.
            return Refused(input_rejected(text), "invalid_input")


def read_status(answer: Answer, clock: Clock) -> Status:
    """Where the prediction stands. An unknown word counts as RUNNING: only a result can end a request.

    `processing` with complete output counts as RUNNING too: the metrics, our evidence, come with the end.
    Raises ProviderDenied (401, 402, 403) and ProviderUnavailable.
    """
    data = answer.object()
    if answer.status == 404 and data is not None and _own_shape(data):
        return Status(Stage.GONE)
    if not 200 <= answer.status < 300 or data is None or not isinstance(data.get("status"), str):
        raise no_answer("replicate", answer, clock)
    lines = _logs(data.get("logs"))
    return Status(STAGES.get(data["status"], Stage.RUNNING), None, fraction_of(lines), lines)


def _logs(logs: Any) -> tuple[LogLine, ...]:
    if not isinstance(logs, str):
        return ()
    # Progress bars overwrite their line with carriage returns; splitlines sees each state of them.
    return tuple(log_line(text) for text in logs.splitlines()[-LOG_LINES_MAX:] if text.strip())


def read_result(answer: Answer, clock: Clock, *, priced_by_time: bool) -> Result:
    """The ended prediction and its evidence. `priced_by_time`: a failure may have cost what its GPU seconds
    cost.

    Raises ProviderDenied, and ProviderUnavailable when there is no such answer or the prediction has not
    ended.
    """
    data = answer.object()
    if answer.status != 200 or data is None:
        raise no_answer("replicate", answer, clock)
    ended = ENDS.get(str(data.get("status")))
    if ended is None:
        raise no_answer("replicate", answer, clock)
    metrics = metrics_of(data.get("metrics"))
    predicted = metrics.get("predict_time")
    outputs, dropped = _outputs(data.get("output")) if ended is Ended.SUCCEEDED else ((), 0)
    unbilled = _surely_unbilled(ended, priced_by_time=priced_by_time)
    return Result(
        ended,
        outputs,
        failure=_failure(ended, data, outputs, unbilled=unbilled),
        metrics=metrics,
        surely_unbilled=unbilled,
        seed=_seed(data),
        queue_seconds=_seconds_between(data.get("created_at"), data.get("started_at")),
        run_seconds=None if predicted is None else float(predicted),
        expires_in_seconds=_expires_in(data, clock),
        notices=(f"{dropped} outputs without a usable address",) if dropped else (),
    )


def _surely_unbilled(ended: Ended, *, priced_by_time: bool) -> bool:
    """`aborted` never started and is free (changelog on prediction deadlines). A failed prediction of a model
    priced by output has no output to charge for, says the vendor's text; one priced by time costs its active
    seconds, failed or not. `canceled` is charged.
    """
    return ended is Ended.ABORTED or (ended is Ended.FAILED and not priced_by_time)


def metrics_of(metrics: Any) -> dict[str, Decimal]:
    """The numbers among the metrics, exactly."""
    if not isinstance(metrics, dict):
        return {}
    exact = {clean(name): number(value) for name, value in metrics.items()}
    return {name: value for name, value in exact.items() if value is not None and value >= 0}


def _outputs(output: Any) -> tuple[tuple[Output, ...], int]:
    """A text, a list or an object of addresses, in order; and how many items were no address."""
    match output:
        case None:
            return (), 0
        case str():
            items: list[Any] = [output]
        case list():
            items = output
        case dict():
            items = list(output.values())
        case _:
            items = [None]
    urls = [usable_url(item) for item in items]
    return tuple(Output(url) for url in urls if url is not None), urls.count(None)


def _failure(
    ended: Ended, data: Mapping[str, Any], outputs: tuple[Output, ...], *, unbilled: bool
) -> Failure | None:
    match ended:
        case Ended.SUCCEEDED if outputs:
            return None
        case Ended.SUCCEEDED:
            return result_lost() if data.get("data_removed") is True else no_images()
        case Ended.CANCELLED:
            return provider_failed("canceled", unbilled=unbilled)
        case Ended.ABORTED:
            return provider_failed("aborted before it started", unbilled=unbilled)
        case Ended.FAILED:
            return failure_of(_error_text(data.get("error")), unbilled=unbilled)


def _error_text(error: Any) -> str:
    if isinstance(error, dict):
        return clean("; ".join(str(part) for part in error.values() if isinstance(part, str | int)))
    return "" if error is None else clean(error)


def failure_of(text: str, *, unbilled: bool) -> Failure:
    """The failure behind the text in `error`."""
    if MODERATION.search(text):
        return content_rejected(text)
    hopeless = HOPELESS.search(text) is not None and TRANSIENT.search(text) is None
    return provider_failed(text, unbilled=unbilled, hopeless=hopeless)


def _seed(data: Mapping[str, Any]) -> int | None:
    """The seed that was used: printed by diffusion models, else the one in the input."""
    logs = data.get("logs")
    found = _SEED.findall(logs) if isinstance(logs, str) else []
    if found:
        return integer(int(found[-1]))
    given = data.get("input")
    return integer(given.get("seed")) if isinstance(given, dict) else None


def micros_of(text: Any) -> int | None:
    """Microseconds since 1970 of an RFC 3339 time with 0 to 9 fractional digits."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match.group(1)).replace(tzinfo=UTC)
    except ValueError:
        return None
    fraction = (match.group(2) or "").ljust(6, "0")[:6]
    return int(moment.timestamp()) * MICROS_PER_SECOND + int(fraction)


def _seconds_between(start: Any, end: Any) -> float | None:
    first, last = micros_of(start), micros_of(end)
    return None if first is None or last is None else max(0, last - first) / MICROS_PER_SECOND


def _expires_in(data: Mapping[str, Any], clock: Clock) -> float:
    """From now. A clock of theirs that is ahead of ours must not prolong it."""
    if data.get("data_removed") is True:
        return 0.0
    completed = micros_of(data.get("completed_at"))
    age_seconds = 0.0 if completed is None else max(0, clock.now() - completed) / MICROS_PER_SECOND
    return max(0.0, DATA_KEPT_SECONDS - age_seconds)


def read_cancel(answer: Answer, clock: Clock) -> CancelAnswer:
    """What a cancel has done: the answer is the prediction. Raises ProviderDenied and ProviderUnavailable."""
    data = answer.object()
    if answer.status == 404 and data is not None and _own_shape(data):
        return CancelAnswer.UNKNOWN_ID
    if not 200 <= answer.status < 300 or data is None:
        raise no_answer("replicate", answer, clock)
    return CANCELS.get(str(data.get("status")), CancelAnswer.ASKED)


__all__ = [
    "ENDS",
    "failure_of",
    "judge_create",
    "metrics_of",
    "micros_of",
    "read_cancel",
    "read_result",
    "read_status",
]
