"""What each of Replicate's answers means: tables without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import Reason
from service.domain.exchange import CancelAnswer, Ended, Refused, Result, Stage, Unclear
from service.domain.failure import Fault, ProviderDenied, ProviderUnavailable, RetryAdvice
from service.providers.replicate_answers import (
    failure_of,
    judge_create,
    micros_of,
    read_cancel,
    read_result,
    read_status,
)
from service.providers.wire import Answer
from tests.support.clock import FakeClock

CLOCK = FakeClock()
DELIVERED = "https://replicate.delivery/xezq/a/out-0.webp"


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """One answer of Replicate's."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, headers or {}, raw)


def result_of(*, priced_by_time: bool = False, **body: Any) -> Result:
    """What a prediction means."""
    return read_result(answer(200, {"id": "abc", **body}), CLOCK, priced_by_time=priced_by_time)


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason", "fault", "fatal"),
    [
        (
            401,
            {"title": "Unauthenticated", "detail": "x", "status": 401},
            "unauthorized",
            "PROVIDER_ACCOUNT_BLOCKED",
            "OPERATOR",
            False,
        ),
        (
            402,
            {"title": "Insufficient credit", "detail": "x", "status": 402},
            "account_blocked",
            "PROVIDER_ACCOUNT_BLOCKED",
            "OPERATOR",
            False,
        ),
        (403, {"detail": "x"}, "unauthorized", "PROVIDER_ACCOUNT_BLOCKED", "OPERATOR", False),
        (404, {"detail": "x", "status": 404}, "not_found", "ROUTES_UNAVAILABLE", "OPERATOR", False),
        (405, {"title": "x", "status": 405}, "not_found", "ROUTES_UNAVAILABLE", "OPERATOR", False),
        (400, {"detail": "x"}, "invalid_input", "PROVIDER_REJECTED_INPUT", "CALLER", False),
        (413, {"detail": "x"}, "invalid_input", "PROVIDER_REJECTED_INPUT", "CALLER", False),
        (415, {"detail": "x"}, "invalid_input", "PROVIDER_REJECTED_INPUT", "SERVICE", False),
        (
            422,
            {"detail": "- input.safety_tolerance: too high", "status": 422},
            "invalid_input",
            "PROVIDER_REJECTED_INPUT",
            "CALLER",
            False,
        ),
        (
            422,
            {"detail": "- version: does not exist", "title": "Invalid version or not permitted"},
            "not_found",
            "ROUTES_UNAVAILABLE",
            "OPERATOR",
            False,
        ),
        (
            422,
            {"detail": "The input was flagged as sensitive. (E005)"},
            "content",
            "CONTENT_REJECTED",
            "CALLER",
            True,
        ),
        (
            429,
            {"detail": "throttled", "status": 429, "retry_after": 5},
            "rate_limited",
            "ROUTES_UNAVAILABLE",
            "PROVIDER",
            False,
        ),
    ],
)
def test_refusals_of_a_create(
    status: int, body: Any, kind: str, reason: str, fault: str, fatal: bool
) -> None:
    """Each refusal in Replicate's own shape has one meaning; only content is final for every route."""
    judged = judge_create(answer(status, body), CLOCK)
    assert isinstance(judged, Refused)
    assert (kind, Reason(reason), Fault(fault), fatal) == (
        judged.kind,
        judged.failure.reason,
        judged.failure.fault,
        judged.fatal,
    )


@pytest.mark.parametrize("status", [301, 307, 408, 409, 418, 425, 451, 499, 500, 502, 503, 504])
def test_other_statuses_of_a_create_prove_nothing(status: int) -> None:
    """Statuses that may come from after the acceptance are Unclear, even in Replicate's own shape."""
    assert isinstance(judge_create(answer(status, {"detail": "x", "status": status}), CLOCK), Unclear)


@pytest.mark.parametrize(
    ("word", "stage"),
    [
        ("starting", Stage.QUEUED),
        ("processing", Stage.RUNNING),
        ("succeeded", Stage.ENDED),
        ("failed", Stage.ENDED),
        ("canceled", Stage.ENDED),
        ("aborted", Stage.ENDED),
        ("booting", Stage.RUNNING),
    ],
)
def test_every_status_has_a_stage(word: str, stage: Stage) -> None:
    """All six words, and one that nobody knows, with everything else missing."""
    assert stage is read_status(answer(200, {"status": word}), CLOCK).stage


def test_progress_is_read_from_the_logs() -> None:
    """Progress bars overwrite their line; the newest one counts, and the tail is bounded."""
    logs = "Using seed: 3\n" + "noise\n" * 80 + " 25%|##  | 1/4\r 50%|#### | 2/4\r\n"
    status = read_status(answer(200, {"status": "processing", "logs": logs}), CLOCK)
    assert (0.5, 50) == (status.fraction, len(status.logs))


def test_output_while_processing_is_no_end() -> None:
    """Complete output before the end is waited out: the metrics come with the end."""
    early = {"status": "processing", "output": [DELIVERED], "id": "abc"}
    assert Stage.RUNNING is read_status(answer(200, early), CLOCK).stage
    with pytest.raises(ProviderUnavailable):
        result_of(**early)


def test_a_result_has_its_evidence() -> None:
    """Outputs, exact metrics (numbers only), seed, times of any number of digits, and when it all
    vanishes.
    """
    result = result_of(
        status="succeeded",
        output=[DELIVERED],
        logs="Using seed: 123\n",
        metrics={"predict_time": 1.25, "image_output_count": 1, "note": "x", "billed": True, "odd": -1},
        created_at="2025-12-31T23:59:50.04Z",
        started_at="2025-12-31T23:59:52.558752983Z",
        completed_at="2025-12-31T23:59:58Z",
        version=None,
        model=None,
    )
    assert (Ended.SUCCEEDED, [DELIVERED], None) == (
        result.ended,
        [output.url for output in result.outputs],
        result.failure,
    )
    assert {"predict_time": Decimal("1.25"), "image_output_count": Decimal(1)} == result.metrics
    assert (123, 2.518752, 1.25, 3598.0) == (
        result.seed,
        result.queue_seconds,
        result.run_seconds,
        result.expires_in_seconds,
    )


@pytest.mark.parametrize(
    ("output", "count", "notices"),
    [
        (DELIVERED, 1, 0),
        ([DELIVERED, DELIVERED], 2, 0),
        ({"image": DELIVERED, "note": 5}, 1, 1),
        (["data:image/png;base64,AAAA", None, "javascript:x"], 1, 1),
        (7, 0, 1),
        (None, 0, 0),
        ([], 0, 0),
    ],
)
def test_outputs_of_every_shape_are_read(output: Any, count: int, notices: int) -> None:
    """Text, list, object, nothing: what is an address is an output, what is none is counted."""
    result = result_of(status="succeeded", output=output)
    assert (count, notices) == (len(result.outputs), len(result.notices))
    assert (count == 0) == (result.failure is not None and result.failure.reason is Reason.NO_IMAGES)


def test_removed_data_is_a_lost_result() -> None:
    """After an hour Replicate keeps the prediction and drops the pictures: paid, and lost."""
    result = result_of(status="succeeded", output=None, data_removed=True)
    assert result.failure is not None
    assert (Ended.SUCCEEDED, Reason.RESULT_LOST, 0.0) == (
        result.ended,
        result.failure.reason,
        result.expires_in_seconds,
    )


@pytest.mark.parametrize(
    ("word", "priced_by_time", "ended", "unbilled"),
    [
        ("failed", False, Ended.FAILED, True),
        ("failed", True, Ended.FAILED, False),
        ("aborted", True, Ended.ABORTED, True),
        ("aborted", False, Ended.ABORTED, True),
        ("canceled", False, Ended.CANCELLED, False),
        ("canceled", True, Ended.CANCELLED, False),
    ],
)
def test_what_is_surely_free(word: str, priced_by_time: bool, ended: Ended, unbilled: bool) -> None:
    """Aborted is free; failed is, unless priced by time; canceled is charged. The seed of the input is
    kept.
    """
    result = result_of(status=word, priced_by_time=priced_by_time, error=None, input={"seed": 5})
    assert result.failure is not None
    advice = RetryAdvice.FREE if unbilled else RetryAdvice.MAY_PAY_AGAIN
    assert (ended, unbilled, advice, 5) == (
        result.ended,
        result.surely_unbilled,
        result.failure.retry_advice,
        result.seed,
    )


@pytest.mark.parametrize(
    ("text", "reason", "advice"),
    [
        ("Prediction failed for an unknown reason. (E1000)", "PROVIDER_FAILED", "FREE"),
        ("Out of memory (E1001)", "PROVIDER_FAILED", "NEVER"),
        ("Webhook URL is empty (E4875)", "PROVIDER_FAILED", "NEVER"),
        ("Timeout while starting (E6716)", "PROVIDER_FAILED", "FREE"),
        ("Stopped (E8367)", "PROVIDER_FAILED", "FREE"),
        ("Health check failed (E8765)", "PROVIDER_FAILED", "FREE"),
        ("Error starting (E9243)", "PROVIDER_FAILED", "NEVER"),
        ("Failed to upload (E9825)", "PROVIDER_FAILED", "NEVER"),
        ("Director: unexpected error handling prediction (E9828)", "PROVIDER_FAILED", "FREE"),
        ("Prediction interrupted; please retry (code: PA)", "PROVIDER_FAILED", "FREE"),
        ("Service is temporarily unavailable", "PROVIDER_FAILED", "FREE"),
        ("Prediction timed out", "PROVIDER_FAILED", "NEVER"),
        ("something new", "PROVIDER_FAILED", "FREE"),
        ("The input or output was flagged as sensitive. (E005)", "CONTENT_REJECTED", "NEVER"),
        ("All generated images contained NSFW content.", "CONTENT_REJECTED", "NEVER"),
        ("NSFW content detected.", "CONTENT_REJECTED", "NEVER"),
        ("Blocked by the safety system", "CONTENT_REJECTED", "NEVER"),
    ],
)
def test_failure_texts(text: str, reason: str, advice: str) -> None:
    """Each known text of a failed prediction has its reason and advice; the text itself is kept apart."""
    failure = failure_of(text, unbilled=True)
    assert (Reason(reason), RetryAdvice(advice), text) == (
        failure.reason,
        failure.retry_advice,
        failure.provider_message,
    )
    assert text not in failure.message


@pytest.mark.parametrize("error", [{"message": "NSFW content", "code": 5}, ["NSFW"], "NSFW"])
def test_errors_of_every_shape_are_read(error: Any) -> None:
    """A text, an object or a list as error: the moderation in it is found."""
    failure = result_of(status="failed", error=error).failure
    assert failure is not None
    assert Reason.CONTENT_REJECTED is failure.reason


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00.04Z", 40_000),
        ("2026-01-01T00:00:00.558752983Z", 558_752),
        ("2026-01-01T00:00:01+00:00", 1_000_000),
        ("2026-13-01T00:00:00Z", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times_have_any_number_of_digits(text: Any, micros: int | None) -> None:
    """RFC 3339 with 0 to 9 fractional digits; anything else is no time."""
    assert (None if micros is None else 1_767_225_600_000_000 + micros) == micros_of(text)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("canceled", CancelAnswer.CANCELLED),
        ("aborted", CancelAnswer.CANCELLED),
        ("starting", CancelAnswer.ASKED),
        ("processing", CancelAnswer.ASKED),
        ("stopping", CancelAnswer.ASKED),
        ("succeeded", CancelAnswer.TOO_LATE),
        ("failed", CancelAnswer.TOO_LATE),
    ],
)
def test_answers_to_a_cancel(word: str, expected: CancelAnswer) -> None:
    """The answer is the prediction, and its status says what the cancel has done."""
    assert expected is read_cancel(answer(200, {"status": word}), CLOCK)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_denials_are_never_an_end(status: int) -> None:
    """401, 402 and 403 on status, result and cancel are ProviderDenied."""
    denied = answer(status, {"detail": "x", "status": status})
    for read in (
        lambda: read_status(denied, CLOCK),
        lambda: read_result(denied, CLOCK, priced_by_time=False),
        lambda: read_cancel(denied, CLOCK),
    ):
        with pytest.raises(ProviderDenied):
            read()
