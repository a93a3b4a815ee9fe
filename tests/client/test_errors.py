"""Statuses as they come over the wire, and the errors that they become."""

import pickle
from datetime import UTC, datetime

import grpc
import lightmeter
import pytest
from lightmeter import AsyncClient, Money
from lightmeter.status import _BY_REASON
from lightmeter.v1 import errors_pb2

from tests.client.fake_service import Script, refusal
from tests.client.test_submit import ASK

# Reasons that no call is refused with: they end an accepted job.
ONLY_IN_JOBS = {
    "PROVIDER_REJECTED_INPUT",
    "PROVIDER_FAILED",
    "NO_IMAGES",
    "PROVIDER_ACCOUNT_BLOCKED",
    "DISPATCH_UNCONFIRMED",
    "JOB_TIMED_OUT",
    "RESULT_LOST",
    "RESULT_INVALID",
    "KEY_GONE",
}


async def test_a_budget_says_all_its_figures(client: AsyncClient, script: Script) -> None:
    metadata = {
        "budget": "growth/day",
        "limitNanos": "100000000000",
        "spentNanos": "99900000000",
        "heldNanos": "0",
        "askedNanos": "170000000",
        "windowEndTime": "2026-11-22T00:00:00Z",
    }
    answer = refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED", metadata=metadata, retry_seconds=60
    )
    script.on("Generate", answer)
    with pytest.raises(lightmeter.BudgetExceeded) as caught:
        await client.generate(ASK)
    error = caught.value
    assert ("growth/day", 60.0) == (error.budget, error.retry_after)
    assert ("$100.00", "$99.90", "$0", "$0.17") == (
        str(error.limit),
        str(error.spent),
        str(error.held),
        str(error.asked),
    )
    assert datetime(2026, 11, 22, tzinfo=UTC) == error.window_end
    assert 1 == len(script.asked["Generate"])


@pytest.mark.parametrize("domain", ["", "proxy.example"])
async def test_resource_exhausted_without_our_reason_is_never_a_budget(
    client: AsyncClient, script: Script, domain: str
) -> None:
    reason = "BUDGET_EXCEEDED" if domain else ""
    script.on("Generate", refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, domain=domain))
    with pytest.raises(lightmeter.TransportError) as caught:
        await client.generate(ASK)
    assert "" == caught.value.reason
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is caught.value.code


async def test_every_wrong_field_is_listed(client: AsyncClient, script: Script) -> None:
    violations = {"drawing.prompt": "is empty", "drawing.image_count": "is above 10"}
    script.on("Generate", refusal(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", violations=violations))
    with pytest.raises(lightmeter.FieldInvalid) as caught:
        await client.generate(ASK)
    assert violations == {item.field: item.text for item in caught.value.violations}


async def test_a_reason_newer_than_the_client_is_read_by_its_code(
    client: AsyncClient, script: Script
) -> None:
    script.on("Generate", refusal(grpc.StatusCode.PERMISSION_DENIED, "MOON_PHASE_WRONG"))
    with pytest.raises(lightmeter.NotAllowed) as caught:
        await client.generate(ASK)
    assert "MOON_PHASE_WRONG" == caught.value.reason


async def test_a_missing_model_suggests_another(client: AsyncClient, script: Script) -> None:
    metadata = {"suggestion": "flux-1.1-pro"}
    script.on("GetModel", refusal(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", metadata=metadata))
    with pytest.raises(lightmeter.NotFound) as caught:
        await client.model("flux-1.1-por")
    assert "flux-1.1-pro" == caught.value.suggestion


async def test_a_reused_request_id_names_the_other_job(client: AsyncClient, script: Script) -> None:
    metadata = {"jobId": "job-0", "differingFields": "drawing.prompt, drawing.seed"}
    script.on("Generate", refusal(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", metadata=metadata))
    with pytest.raises(lightmeter.RequestIdReused) as caught:
        await client.generate(ASK)
    assert ("job-0", ("drawing.prompt", "drawing.seed")) == (
        caught.value.job_id,
        caught.value.differing_fields,
    )


async def test_an_unreachable_service_is_trouble_in_transport() -> None:
    async with AsyncClient("127.0.0.1:1", retry=lightmeter.NO_RETRY) as client:
        with pytest.raises(lightmeter.TransportError) as caught:
            await client.get("job-1")
    assert grpc.StatusCode.UNAVAILABLE is caught.value.code


def test_every_reason_of_a_refused_call_has_its_class() -> None:
    """A reason that is added to the protos needs a decision here: a class, or a place among those of jobs."""
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in errors_pb2.ErrorReason.items()}
    assert reasons - {"UNSPECIFIED"} - ONLY_IN_JOBS - {"JOB_CANCELLED"} == _BY_REASON.keys()


def test_errors_survive_pickling() -> None:
    """They cross process borders with everything that they carry."""
    error = lightmeter.BudgetExceeded("no", reason="BUDGET_EXCEEDED", metadata={"heldNanos": "5"})
    copy = pickle.loads(pickle.dumps(error))
    assert ("BUDGET_EXCEEDED: no", Money(5)) == (str(copy), copy.held)
