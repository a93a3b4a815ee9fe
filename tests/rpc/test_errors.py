"""The error table over the wire: each member of the family as a caller reads it."""

from collections.abc import Iterator

import grpc
import pytest
from lightmeter.v1 import drawing_pb2, errors_pb2
from lightmeter.v1 import image_service_pb2 as pb

from service.domain import errors
from service.domain.errors import LightmeterError, Reason, Violation
from service.rpc.errors import CODES, TABLE, internal_status, status_of
from tests.rpc.rig import Rig, refused

BUDGET = {
    "budget": "growth/month",
    "limitNanos": "100000000000",
    "spentNanos": "99900000000",
    "heldNanos": "0",
    "askedNanos": "170000000",
    "windowEndTime": "2026-02-01T00:00:00Z",
}
PICTURE = {"index": "0", "limit": "1"}
FIELD = [Violation("drawing.image_count", "must be 0 to 10")]
NO_RETRY = -1.0

# error, code, metadata that must arrive, seconds of RetryInfo (NO_RETRY: none), whether QuotaFailure is there
CASES = [
    (errors.FieldInvalid.of("drawing.image_count", "must be 0 to 10", limit=10, actual=11), "INVALID_ARGUMENT",
     {"field": "drawing.image_count", "limit": "10", "actual": "11"}, NO_RETRY, False),
    (errors.LabelRequired("x", metadata={"labelKey": "team"}), "INVALID_ARGUMENT", {"labelKey": "team"}, NO_RETRY, False),
    (errors.RequestIdRequired("x"), "INVALID_ARGUMENT", {}, NO_RETRY, False),
    (errors.ParameterUnsupported("x", metadata={"accepted": "raw"}), "INVALID_ARGUMENT", {"accepted": "raw"}, NO_RETRY, False),
    (errors.NoEligibleRoute("x", metadata={"causes": "c"}, violations=FIELD), "INVALID_ARGUMENT",
     {"causes": "c"}, NO_RETRY, False),
    (errors.InputImageInvalid("x", metadata=PICTURE), "INVALID_ARGUMENT", PICTURE, NO_RETRY, False),
    (errors.InputImageTooLarge("x", metadata=PICTURE), "INVALID_ARGUMENT", PICTURE, NO_RETRY, False),
    (errors.InputUrlRefused("x", metadata={"field": "f"}), "INVALID_ARGUMENT", {"field": "f"}, NO_RETRY, False),
    (errors.InputUrlUnreachable("x", metadata={"field": "f"}), "FAILED_PRECONDITION", {"field": "f"}, NO_RETRY, False),
    (errors.AssetNotFound("x"), "NOT_FOUND", {}, NO_RETRY, False),
    (errors.ContentRejected("x", metadata={"ruleId": "r1", "stage": "request"}), "INVALID_ARGUMENT",
     {"ruleId": "r1", "stage": "request"}, NO_RETRY, False),
    (errors.ModelNotFound("x", metadata={"suggestion": "s"}), "NOT_FOUND", {"suggestion": "s"}, NO_RETRY, False),
    (errors.RouteNotFound("x", metadata={"suggestion": "s"}), "NOT_FOUND", {"suggestion": "s"}, NO_RETRY, False),
    (errors.ModelNotAllowed("x"), "PERMISSION_DENIED", {}, NO_RETRY, False),
    (errors.RequestIdReused("x", metadata={"jobId": "j", "differingFields": "drawing"}), "ALREADY_EXISTS",
     {"jobId": "j", "differingFields": "drawing"}, NO_RETRY, False),
    (errors.MaxCostExceeded("x", metadata={"ceilingNanos": "2"}), "FAILED_PRECONDITION", {"ceilingNanos": "2"}, NO_RETRY, False),
    (errors.PriceUnknown("x"), "FAILED_PRECONDITION", {}, NO_RETRY, False),
    (errors.DeadlineUnreachable("x"), "FAILED_PRECONDITION", {}, NO_RETRY, False),
    (errors.BudgetExceeded("x", metadata=BUDGET), "RESOURCE_EXHAUSTED", BUDGET, NO_RETRY, True),
    (errors.BudgetExceeded("x", metadata=BUDGET, retry_after_seconds=1_800), "RESOURCE_EXHAUSTED", BUDGET, 1_800, True),
    (errors.RateLimited("x", retry_after_seconds=0.25), "RESOURCE_EXHAUSTED", {}, 0.25, True),
    (errors.TooManyJobs("x"), "RESOURCE_EXHAUSTED", {}, 1, True),
    (errors.TooManyWatches("x"), "RESOURCE_EXHAUSTED", {}, 1, True),
    (errors.RoutesUnavailable("x", metadata={"fal/a": "open"}), "UNAVAILABLE", {"fal/a": "open"}, NO_RETRY, False),
    (errors.RoutesUnavailable("x", retry_after_seconds=30), "UNAVAILABLE", {}, 30, False),
    (errors.Paused("x", metadata={"scope": "dispatch"}), "FAILED_PRECONDITION", {"scope": "dispatch"}, NO_RETRY, False),
    (errors.Draining("x"), "UNAVAILABLE", {}, 0.1, False),
    (errors.StoreUnavailable("x"), "UNAVAILABLE", {}, 1, False),
    (errors.StorageUnavailable("x"), "UNAVAILABLE", {}, 1, False),
    (errors.Overloaded("x"), "UNAVAILABLE", {}, 1, False),
    (errors.WatchEnded("x"), "UNAVAILABLE", {}, 0.1, False),
    (errors.CredentialsInvalid("x"), "UNAUTHENTICATED", {}, NO_RETRY, False),
    (errors.RoleInsufficient("x", metadata={"requiredRole": "ADMIN"}), "PERMISSION_DENIED",
     {"requiredRole": "ADMIN"}, NO_RETRY, False),
    (errors.JobNotFound("x"), "NOT_FOUND", {}, NO_RETRY, False),
    (errors.VersionAhead("x"), "OUT_OF_RANGE", {}, NO_RETRY, False),
    (errors.PageTokenInvalid("x"), "INVALID_ARGUMENT", {}, NO_RETRY, False),
    (errors.EtagMismatch("x"), "ABORTED", {}, NO_RETRY, False),
    (errors.ReportUnsupported("x", metadata={"accepted": "a"}), "INVALID_ARGUMENT", {"accepted": "a"}, NO_RETRY, False),
    (errors.NotOffered("x"), "UNIMPLEMENTED", {}, NO_RETRY, False),
]  # fmt: skip
REPEATED_BY_CLIENTS = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"}
REQUEST = pb.GenerateRequest(drawing=drawing_pb2.Drawing(model="flux-schnell", prompt="a fox"))


def leaves(kind: type[LightmeterError] = LightmeterError) -> Iterator[type[LightmeterError]]:
    """Every class of the family that has no children."""
    children = kind.__subclasses__()
    if not children:
        yield kind
    for child in children:
        yield from leaves(child)


def test_the_table_has_every_member_of_the_family_and_no_other() -> None:
    """A new error can't be forgotten at the door."""
    assert set(leaves()) == set(TABLE)


def test_every_member_is_tested_over_the_wire() -> None:
    """The cases below leave nobody out."""
    assert set(leaves()) == {type(case[0]) for case in CASES}


def test_every_reason_has_its_code_and_every_sent_one_its_number() -> None:
    """A job can fail for any reason that the domain has, and the wire has each but one for cancelled jobs."""
    assert set(Reason) == set(CODES)
    sent = {name.removeprefix("ERROR_REASON_") for name, number in errors_pb2.ErrorReason.items() if number}
    assert {one.value for one in Reason} - {"JOB_CANCELLED"} == sent


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.PROVIDER_REJECTED_INPUT, "INVALID_ARGUMENT"),
        (Reason.PROVIDER_FAILED, "ABORTED"),
        (Reason.NO_IMAGES, "ABORTED"),
        (Reason.PROVIDER_ACCOUNT_BLOCKED, "FAILED_PRECONDITION"),
        (Reason.DISPATCH_UNCONFIRMED, "UNKNOWN"),
        (Reason.JOB_TIMED_OUT, "DEADLINE_EXCEEDED"),
        (Reason.RESULT_LOST, "DATA_LOSS"),
        (Reason.RESULT_INVALID, "DATA_LOSS"),
        (Reason.STORAGE_UNAVAILABLE, "UNAVAILABLE"),
        (Reason.KEY_GONE, "ABORTED"),
        (Reason.ROUTES_UNAVAILABLE, "UNAVAILABLE"),
    ],
)
def test_reasons_of_failed_jobs_have_their_codes(reason: Reason, code: str) -> None:
    """What only an accepted job can meet has a code too, and an unconfirmed dispatch never UNAVAILABLE."""
    assert code == CODES[reason].name


@pytest.mark.parametrize("case", CASES, ids=[type(case[0]).__name__ for case in CASES])
async def test_each_refusal_arrives_with_code_reason_and_details(rig: Rig, case: tuple) -> None:
    """ErrorInfo always; QuotaFailure, RetryInfo and the ban on retries exactly where they belong."""
    error, code, metadata, retry_seconds, quota = case
    rig.submissions.answer = error
    answer = await refused(rig.images.Generate(REQUEST, timeout=5))
    assert (code, f"ERROR_REASON_{error.reason.value}", "lightmeter") == (
        answer.code,
        answer.reason,
        answer.domain,
    )
    assert metadata == {key: answer.metadata.get(key) for key in metadata}
    assert (None if retry_seconds == NO_RETRY else retry_seconds) == answer.retry_seconds
    assert quota == bool(answer.quota)
    assert [one.field for one in error.violations] == answer.fields
    useless = code in REPEATED_BY_CLIENTS and retry_seconds == NO_RETRY
    assert ("-1" if useless else None) == answer.pushback
    assert answer.status_bytes < 6 * 1024


async def test_the_quota_names_the_budget(rig: Rig) -> None:
    """Whoever reads only the standard details still learns which budget is used up, and it is counted for that budget."""
    rig.submissions.answer = errors.BudgetExceeded("no room", metadata=BUDGET)
    answer = await refused(rig.images.Generate(REQUEST, timeout=5))
    assert [("growth/month", "no room")] == answer.quota
    assert 1.0 == rig.sample("lightmeter_budget_refusals_total", project="growth", budget="growth/month")


async def test_what_is_unknown_tells_only_where_to_look(rig: Rig) -> None:
    """The text of a defect never leaves; its log line has it under the same id."""
    rig.submissions.answer = RuntimeError("secret")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rig.images.Generate(REQUEST, timeout=5)
    assert "secret" not in repr(caught.value)
    assert b"secret" not in dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    answer = await refused(rig.images.Generate(REQUEST, timeout=5))
    assert ("INTERNAL", "ERROR_REASON_INTERNAL", "-1") == (answer.code, answer.reason, answer.pushback)
    level, event, fields = rig.log.lines[-1]
    assert ("error", "call_failed", answer.metadata["incidentId"]) == (level, event, fields["incident_id"])
    assert "secret" == str(fields["exc_info"])


async def test_a_defect_in_a_stream_is_as_mute(rig: Rig) -> None:
    """Streams go through the same table."""
    rig.watches.events = [RuntimeError("secret")]
    answer = await refused(rig.images.WatchJob(pb.WatchJobRequest(job_id="j"), timeout=5))
    assert ("INTERNAL", "ERROR_REASON_INTERNAL") == (answer.code, answer.reason)
    assert "secret" not in answer.text


@pytest.mark.parametrize("count", [20, 21, 500])
async def test_a_status_stays_below_six_kilobytes(rig: Rig, count: int) -> None:
    """However many fields are wrong, and however long their texts: what is left out is counted."""
    rig.submissions.answer = errors.FieldInvalid(
        "ü" * 5_000,
        metadata={"actual": "x" * 5_000},
        violations=[Violation(f"options.labels[{'k' * 300}{index}]", "é" * 300) for index in range(count)],
    )
    answer = await refused(rig.images.Generate(REQUEST, timeout=5))
    assert answer.status_bytes < 6 * 1024
    assert len(answer.violations) <= 20
    assert count == len(answer.violations) + int(answer.metadata["omittedCount"])
    texts = [answer.text, *answer.metadata.values(), *(text for pair in answer.violations for text in pair)]
    assert max(len(text.encode()) for text in texts) <= 200


def test_twenty_short_violations_all_fit() -> None:
    """Nothing is left out where there is room, and nothing is said of it."""
    error = errors.FieldInvalid("x", violations=[Violation(f"f{index}", "wrong") for index in range(20)])
    assert b"omittedCount" not in dict(status_of(error).trailers)["grpc-status-details-bin"]


def test_the_internal_status_carries_its_id() -> None:
    """The incident id is the only thing in it that differs."""
    one, other = internal_status("id-1"), internal_status("id-2")
    assert one.text == other.text
    assert b"id-1" in dict(one.trailers)["grpc-status-details-bin"]


async def test_refusals_are_counted_by_reason_and_calls_by_code(rig: Rig) -> None:
    """Dashboards see every refusal, and the codes that callers saw."""
    rig.submissions.answer = errors.BudgetExceeded("x", metadata=BUDGET)
    await refused(rig.images.Generate(REQUEST, timeout=5))
    rig.submissions.answer = None
    await rig.images.Generate(REQUEST, timeout=5)
    method = {"grpc_service": "lightmeter.v1.ImageService", "grpc_method": "Generate"}
    assert 1 == rig.sample("lightmeter_refusals_total", reason="BUDGET_EXCEEDED")
    assert 2 == rig.sample("grpc_server_started_total", **method)
    assert 1 == rig.sample("grpc_server_handled_total", **method, grpc_code="OK")
    assert 1 == rig.sample("grpc_server_handled_total", **method, grpc_code="RESOURCE_EXHAUSTED")
    assert 1 == rig.sample("grpc_server_handling_seconds_count", **method, grpc_code="OK")


async def test_text_that_is_not_utf8_is_a_fault_of_the_caller(rig: Rig) -> None:
    """Half a surrogate pair can't be sent as text; a broken message is refused like any other wrong field."""
    raw = rig.channel.unary_unary("/lightmeter.v1.ImageService/Generate")
    prompt = b"\xed\xa0\x80"
    drawing = b"\x0a\x01m\x12" + bytes([len(prompt)]) + prompt
    for body in (b"\x0a" + bytes([len(drawing)]) + drawing, b"\xff\xff\xff"):
        answer = await refused(raw(body, timeout=5))
        assert ("INVALID_ARGUMENT", "ERROR_REASON_FIELD_INVALID") == (answer.code, answer.reason)
    assert [] == rig.submissions.asked
