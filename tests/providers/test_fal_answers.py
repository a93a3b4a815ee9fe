"""What each of fal's answers means: tables without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import Reason
from service.domain.exchange import Accepted, CancelAnswer, Ended, Refused, Result, Stage, Unclear
from service.domain.failure import Fault, ProviderDenied, ProviderUnavailable, RetryAdvice
from service.providers.fal_answers import judge_submit, never_ran, read_cancel, read_result, read_status
from service.providers.wire import Answer
from tests.support.clock import FakeClock

CLOCK = FakeClock()
OWN = {"x-fal-request-id": "abc"}


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """One answer of fal's."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, headers or {}, raw)


def result_of(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Result:
    """What a result's answer means."""
    return read_result(answer(status, body, headers), CLOCK, kept_seconds=60.0)


def model_error(kind: str, message: str = "no") -> dict[str, Any]:
    """fal's model error shape."""
    return {"detail": [{"loc": ["body"], "msg": message, "type": kind, "url": "", "ctx": {}, "input": None}]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason", "fault", "fatal"),
    [
        (
            401,
            {"detail": "invalid key credentials"},
            "unauthorized",
            "PROVIDER_ACCOUNT_BLOCKED",
            "OPERATOR",
            False,
        ),
        (
            402,
            {"detail": "Payment required"},
            "account_blocked",
            "PROVIDER_ACCOUNT_BLOCKED",
            "OPERATOR",
            False,
        ),
        (
            403,
            {"detail": "User is locked. Reason: Exhausted balance."},
            "account_blocked",
            "PROVIDER_ACCOUNT_BLOCKED",
            "OPERATOR",
            False,
        ),
        (403, {"detail": "Forbidden"}, "unauthorized", "PROVIDER_ACCOUNT_BLOCKED", "OPERATOR", False),
        (404, {"detail": "Application not found"}, "not_found", "ROUTES_UNAVAILABLE", "OPERATOR", False),
        (404, {"status": "NOT_FOUND"}, "not_found", "ROUTES_UNAVAILABLE", "OPERATOR", False),
        (405, {"detail": "Method Not Allowed"}, "not_found", "ROUTES_UNAVAILABLE", "OPERATOR", False),
        (
            400,
            {"detail": "bad", "error_type": "bad_request"},
            "invalid_input",
            "PROVIDER_REJECTED_INPUT",
            "CALLER",
            False,
        ),
        (413, {"detail": "too large"}, "invalid_input", "PROVIDER_REJECTED_INPUT", "CALLER", False),
        (415, {"detail": "no JSON"}, "invalid_input", "PROVIDER_REJECTED_INPUT", "SERVICE", False),
        (422, model_error("greater_than"), "invalid_input", "PROVIDER_REJECTED_INPUT", "CALLER", False),
        (422, {"detail": "plain text"}, "invalid_input", "PROVIDER_REJECTED_INPUT", "CALLER", False),
        (422, {"detail": ["odd", 5]}, "invalid_input", "PROVIDER_REJECTED_INPUT", "CALLER", False),
        (422, model_error("content_policy_violation"), "content", "CONTENT_REJECTED", "CALLER", True),
        (429, {"detail": "slow down"}, "rate_limited", "ROUTES_UNAVAILABLE", "PROVIDER", False),
    ],
)
def test_refusals_of_a_submit(
    status: int, body: Any, kind: str, reason: str, fault: str, fatal: bool
) -> None:
    """Each refusal in fal's own shape has one meaning; only content is final for every route."""
    judged = judge_submit(answer(status, body), CLOCK)
    assert isinstance(judged, Refused)
    assert (kind, Reason(reason), Fault(fault), fatal) == (
        judged.kind,
        judged.failure.reason,
        judged.failure.fault,
        judged.fatal,
    )


@pytest.mark.parametrize("status", [301, 307, 408, 409, 418, 425, 451, 499, 500, 502, 503, 504])
def test_other_statuses_of_a_submit_prove_nothing(status: int) -> None:
    """Statuses that may come from after the acceptance are Unclear, even in fal's own shape."""
    judged = judge_submit(answer(status, {"detail": "x"}, OWN), CLOCK)
    assert isinstance(judged, Unclear)
    assert "abc" in judged.text


@pytest.mark.parametrize(
    ("body", "stage", "position"),
    [
        ({"status": "IN_QUEUE", "queue_position": 12_654}, Stage.QUEUED, 12_654),
        ({"status": "IN_QUEUE"}, Stage.QUEUED, None),
        ({"status": "IN_PROGRESS"}, Stage.RUNNING, None),
        ({"status": "IN_PROGRESS", "queue_position": 2, "logs": None}, Stage.RUNNING, None),
        ({"status": "COMPLETED"}, Stage.ENDED, None),
        ({"status": "COMPLETED", "error": "x", "logs": "text"}, Stage.ENDED, None),
        ({"status": "PREPARING"}, Stage.RUNNING, None),
    ],
)
def test_statuses_are_read_without_their_optional_keys(body: Any, stage: Stage, position: int | None) -> None:
    """Missing keys and unknown words do not stop a poll."""
    status = read_status(answer(200, body), CLOCK)
    assert (stage, position) == (status.stage, status.queue_position)


def test_log_lines_are_bounded_and_show_progress() -> None:
    """The newest 50 lines, printable and short, with their time; the last progress bar is the fraction."""
    logs: list[Any] = [{"message": f"line {number}"} for number in range(60)]
    logs += [
        {
            "message": " 40%|####      | 4/10\x00" + "x" * 900,
            "level": "STDERR",
            "timestamp": "2026-01-01T00:00:01Z",
        },
        {"message": "not 99% yet", "timestamp": "yesterday"},
        "odd",
    ]
    status = read_status(answer(202, {"status": "IN_PROGRESS", "logs": logs}), CLOCK)
    assert 0.4 == status.fraction
    assert 49 == len(status.logs)
    line = status.logs[-2]
    assert (500, "STDERR", 1_767_225_601_000_000) == (len(line.text), line.level, line.at)
    assert "\x00" not in line.text


@pytest.mark.parametrize("status", [401, 402, 403])
def test_denials_are_never_an_end(status: int) -> None:
    """401, 402 and 403 on status, result and cancel are ProviderDenied, in whatever shape."""
    denied = answer(status, model_error("content_policy_violation"), OWN)
    for read in (
        lambda: read_status(denied, CLOCK),
        lambda: read_result(denied, CLOCK, kept_seconds=1),
        lambda: read_cancel(denied, CLOCK),
    ):
        with pytest.raises(ProviderDenied):
            read()


def test_a_result_has_its_evidence() -> None:
    """Outputs with flags and claimed types, units as Decimal, seed, time, and how long the files are kept."""
    body = {
        "images": [
            {"url": "https://v3.fal.media/a.jpg", "content_type": "image/jpeg", "width": None},
            {"url": "https://v3.fal.media/b.jpg", "content_type": None},
            {"url": None},
        ],
        "has_nsfw_concepts": [False, True],
        "seed": 2**53 + 1,
        "timings": {"inference": 1.25},
    }
    result = result_of(200, body, {**OWN, "x-fal-billable-units": "1.10"})
    assert [
        ("https://v3.fal.media/a.jpg", "image/jpeg", False),
        ("https://v3.fal.media/b.jpg", None, True),
    ] == [(output.url, output.mime_type, output.flagged) for output in result.outputs]
    assert (Ended.SUCCEEDED, None, Decimal("1.10"), 2**53 + 1) == (
        result.ended,
        result.failure,
        result.billable_units,
        result.seed,
    )
    assert (1.25, 60.0, False) == (result.run_seconds, result.expires_in_seconds, result.surely_unbilled)
    assert ("1 outputs without a usable address",) == result.notices


@pytest.mark.parametrize("header", [None, "", "many", "NaN", "-1", "1e999999"])
def test_units_that_are_none_are_missing(header: str | None) -> None:
    """A missing or damaged header is no evidence; it is never taken for zero."""
    headers = OWN if header is None else {**OWN, "x-fal-billable-units": header}
    assert result_of(200, {"images": [{"url": "https://v3.fal.media/a"}]}, headers).billable_units is None


@pytest.mark.parametrize(
    "body", [{"image": {"url": "https://v3.fal.media/a"}}, {"images": ["https://v3.fal.media/a"]}]
)
def test_single_images_and_bare_addresses_are_read(body: Any) -> None:
    """Endpoints that answer with one image object, or with addresses, have outputs too."""
    assert ["https://v3.fal.media/a"] == [output.url for output in result_of(200, body, OWN).outputs]


def test_a_success_without_pictures_is_no_images_only_when_it_is_fals_own() -> None:
    """Marked as the request's own it ended without pictures; unmarked it may be anybody's answer."""
    empty = result_of(200, {"images": []}, OWN)
    assert (Ended.SUCCEEDED, Reason.NO_IMAGES) == (empty.ended, empty.failure and empty.failure.reason)
    with pytest.raises(ProviderUnavailable):
        result_of(200, {"status": "IN_QUEUE"})


@pytest.mark.parametrize(
    ("status", "body", "headers", "ended", "reason", "unbilled"),
    [
        (422, model_error("content_policy_violation"), OWN, "FAILED", "CONTENT_REJECTED", False),
        (422, model_error("no_media_generated"), OWN, "FAILED", "NO_IMAGES", False),
        (422, model_error("image_too_small"), {}, "FAILED", "PROVIDER_REJECTED_INPUT", False),
        (422, {"detail": "text"}, OWN, "FAILED", "PROVIDER_REJECTED_INPUT", False),
        (400, model_error("downstream_service_error"), OWN, "FAILED", "PROVIDER_FAILED", False),
        (400, {"detail": "x", "error_type": "bad_request"}, {}, "FAILED", "PROVIDER_REJECTED_INPUT", False),
        (499, {"detail": "x", "error_type": "client_cancelled"}, {}, "CANCELLED", "PROVIDER_FAILED", False),
        (499, {"detail": "x", "error_type": "client_disconnected"}, {}, "FAILED", "PROVIDER_FAILED", False),
        (500, model_error("internal_server_error"), {}, "FAILED", "PROVIDER_FAILED", True),
        (500, {"detail": "Internal Server Error"}, OWN, "FAILED", "PROVIDER_FAILED", True),
        (503, {"detail": "x", "error_type": "runner_disconnected"}, {}, "FAILED", "PROVIDER_FAILED", True),
        (504, model_error("generation_timeout"), OWN, "FAILED", "PROVIDER_FAILED", True),
        (
            504,
            {"detail": "x", "error_type": "request_timeout"},
            {"x-fal-request-timeout-type": "user"},
            "ABORTED",
            "PROVIDER_FAILED",
            True,
        ),
    ],
)
def test_failed_results(
    status: int, body: Any, headers: dict[str, str], ended: str, reason: str, unbilled: bool
) -> None:
    """How a request failed, and whether that is sure to be free: only from 500 on."""
    result = result_of(status, body, headers)
    assert result.failure is not None
    assert (Ended(ended), Reason(reason), unbilled) == (
        result.ended,
        result.failure.reason,
        result.surely_unbilled,
    )
    if result.failure.reason is Reason.PROVIDER_FAILED:
        advice = RetryAdvice.FREE if unbilled else RetryAdvice.MAY_PAY_AGAIN
        assert advice is result.failure.retry_advice


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, {"detail": "Request is still in progress"}, OWN),
        (404, {"status": "NOT_FOUND"}, {}),
        (404, {"detail": "x"}, OWN),
        (408, model_error("x"), OWN),
        (429, model_error("x"), OWN),
        (500, {"detail": "Internal Server Error"}, {}),
        (502, b"<center>nginx</center>", {}),
        (503, {"message": "x"}, OWN),
        (302, {"detail": "x"}, OWN),
        (200, b"\x89PNG", OWN),
    ],
)
def test_answers_that_are_not_the_requests_own_end_nothing(
    status: int, body: Any, headers: dict[str, str]
) -> None:
    """A gateway's error, an early answer, a lost look: ask again, for the picture may be paid and there."""
    with pytest.raises(ProviderUnavailable):
        result_of(status, body, headers)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"status": "OK"}, CancelAnswer.CANCELLED),
        (202, {"status": "CANCELLATION_REQUESTED"}, CancelAnswer.ASKED),
        (200, {"success": True}, CancelAnswer.ASKED),
        (200, {"success": False}, CancelAnswer.TOO_LATE),
        (202, {}, CancelAnswer.ASKED),
        (400, {"status": "ALREADY_COMPLETED"}, CancelAnswer.TOO_LATE),
        (404, {"status": "NOT_FOUND"}, CancelAnswer.UNKNOWN_ID),
        (404, {"detail": "no such request"}, CancelAnswer.UNKNOWN_ID),
    ],
)
def test_answers_to_a_cancel(status: int, body: Any, expected: CancelAnswer) -> None:
    """Only 200 OK says that the request did not run; everything vague is ASKED."""
    assert expected is read_cancel(answer(status, body), CLOCK)


@pytest.mark.parametrize(
    ("status", "body"), [(400, {"detail": "x"}), (404, b"<html>"), (500, {"status": "OK"})]
)
def test_vague_failures_of_a_cancel_are_unavailable(status: int, body: Any) -> None:
    """What is no answer to the cancel may be asked again."""
    with pytest.raises(ProviderUnavailable):
        read_cancel(answer(status, body), CLOCK)


def test_both_ids_of_a_submit_are_kept() -> None:
    """The gateway's id is an alias where it differs; the queue position is read."""
    body = {"request_id": "a", "gateway_request_id": "b", "queue_position": 3}
    assert Accepted("a", ("b",), 3) == judge_submit(answer(200, body), CLOCK)


NEVER_RAN = {"status": "COMPLETED", "metrics": {}, "logs": []}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, NEVER_RAN, True),
        (200, {**NEVER_RAN, "metrics": {"inference_time": None}}, True),
        (200, {**NEVER_RAN, "metrics": {"inference_time": 0}}, False),
        (200, {**NEVER_RAN, "metrics": {"inference_time": 1.5}}, False),
        (200, {**NEVER_RAN, "metrics": None}, False),
        (200, {"status": "COMPLETED", "logs": []}, False),
        (200, {**NEVER_RAN, "logs": None}, False),
        (200, {**NEVER_RAN, "logs": [{"message": "Loading"}]}, False),
        (200, {**NEVER_RAN, "status": "IN_PROGRESS"}, False),
        (202, NEVER_RAN, False),
        (404, {"status": "NOT_FOUND"}, False),
        (200, [], False),
        (200, "<html>", False),
    ],
    ids=str,
)
def test_only_a_status_that_says_so_proves_that_nothing_ran(status: int, body: Any, expected: bool) -> None:
    """Complete, metrics without an inference time, an empty log: whatever is left out is no proof."""
    assert expected is never_ran(answer(status, body))
