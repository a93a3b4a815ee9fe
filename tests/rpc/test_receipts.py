"""Receipts and timing: what the attempts of a job tell, to the nano and to the microsecond."""

import json
from dataclasses import replace

import pytest
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import ledger_service_pb2, money_pb2

from service.domain.records import AttemptState, Grade, JobState, Origin, RenderState, TransferKind
from service.domain.view import JobView
from service.rpc.job_out import job_message
from service.rpc.money_out import receipt
from service.rpc.timing_out import put_timing
from tests.rpc import samples
from tests.rpc.fakes import FakeBlobs
from tests.rpc.rig import Rig, refused
from tests.rpc.samples import PRICE_NANOS, SECOND, T0

PHASES = ("input", "queued", "retried", "provider_queue", "provider_run", "download", "store", "settle")


def timing(view: JobView) -> money_pb2.Timing:
    """The timing of a job."""
    message = money_pb2.Timing()
    put_timing(message, view)
    return message


def phases(message: money_pb2.Timing) -> dict[str, float]:
    """The phases that are there, in seconds."""
    return {
        name: getattr(message, name).ToTimedelta().total_seconds()
        for name in (*PHASES, "total", "added")
        if message.HasField(name)
    }


def paid(*attempts: object, **changes: object) -> JobView:
    """A finished job with these attempts."""
    return replace(samples.done_view(**changes), attempts=attempts)


@pytest.mark.parametrize(
    ("attempt", "settlement", "evidence", "held", "charged"),
    [
        (samples.attempt(), "OPEN", "UNSPECIFIED", PRICE_NANOS, 0),
        (samples.settled(), "POSTED", "BILLED_UNITS", 0, PRICE_NANOS),
        (samples.settled(grade=Grade.ESTIMATE), "POSTED", "ESTIMATE", 0, PRICE_NANOS),
        (samples.settled(grade=Grade.UNCONFIRMED), "UNCONFIRMED", "UNSPECIFIED", 0, PRICE_NANOS),
        (samples.settled(grade=Grade.BILLING_EVENT), "CONFIRMED", "BILLING_EVENT", 0, PRICE_NANOS),
        (samples.settled(grade=Grade.INVOICE), "CONFIRMED", "INVOICE", 0, PRICE_NANOS),
        (samples.settled(grade=Grade.NONE, settled_nanos=0), "VOIDED", "UNSPECIFIED", 0, 0),
        (samples.settled(settled_nanos=0), "POSTED", "BILLED_UNITS", 0, 0),
    ],
)
def test_an_attempt_is_settled_as_its_row_says(
    attempt: object, settlement: str, evidence: str, held: int, charged: int
) -> None:
    """Hold, post, void and confirmation each show as what they are, on the attempt and on the job."""
    message = receipt(paid(attempt), {})
    [line] = message.attempts
    for one in (message, line):
        assert f"SETTLEMENT_{settlement}" == money_pb2.Settlement.Name(one.settlement)
        assert f"EVIDENCE_{evidence}" == money_pb2.Evidence.Name(one.evidence)
        assert (held, charged, 0) == (
            one.held.amount_nanos,
            one.charged.amount_nanos,
            one.corrected.amount_nanos,
        )


def test_the_least_settled_attempt_decides_and_the_weakest_evidence_shows() -> None:
    """One open hold keeps the whole receipt open; sums are over all attempts."""
    first = samples.settled(id="a1", number=1, grade=Grade.INVOICE, settled_nanos=7)
    second = samples.settled(id="a2", number=2, grade=Grade.ESTIMATE, settled_nanos=5)
    third = samples.attempt(id="a3", number=3)
    for attempts, settlement, evidence in (
        ((first,), money_pb2.SETTLEMENT_CONFIRMED, money_pb2.EVIDENCE_INVOICE),
        ((first, second), money_pb2.SETTLEMENT_POSTED, money_pb2.EVIDENCE_ESTIMATE),
        ((first, second, third), money_pb2.SETTLEMENT_OPEN, money_pb2.EVIDENCE_ESTIMATE),
    ):
        message = receipt(paid(*attempts), {})
        assert (settlement, evidence) == (message.settlement, message.evidence)
    assert (12, PRICE_NANOS) == (message.charged.amount_nanos, message.held.amount_nanos)


def test_whoever_does_not_pay_has_no_attempts() -> None:
    """A job from the cache is charged nothing, names the payer, and shows what it avoided."""
    message = receipt(samples.done_view(Origin.CACHE), {})
    assert [] == list(message.attempts)
    assert (0, 0, PRICE_NANOS) == (
        message.charged.amount_nanos, message.held.amount_nanos, message.avoided.amount_nanos,
    )  # fmt: skip
    assert (money_pb2.SETTLEMENT_VOIDED, "another-job") == (message.settlement, message.payer_job_id)
    assert T0 + 60 * SECOND == message.usage_time.ToMicroseconds()


def test_a_payer_of_another_project_is_not_named() -> None:
    """A shared cache does not tell whose picture it was, nor the provider's id of it."""
    view = samples.done_view(Origin.CACHE)
    foreign = replace(view, attempts=(replace(view.attempts[0], project="other"),))
    message = job_message(foreign, FakeBlobs())
    assert ("", "") == (message.receipt.payer_job_id, message.route.provider_request_id)


def test_what_a_running_joiner_will_avoid_is_not_known_yet() -> None:
    """Absent is not zero; who pays for itself avoids nothing."""
    joined = samples.running_view(origin=Origin.SHARED, id="joiner")
    assert not receipt(joined, {}).HasField("avoided")
    own = receipt(samples.running_view(), {})
    assert own.HasField("avoided")
    assert 0 == own.avoided.amount_nanos


def test_the_calculation_adds_up_to_the_list_price() -> None:
    """Lines come from the recorded evidence and the frozen price, and are left out where they do not come to it."""
    [line] = receipt(paid(samples.settled()), {}).attempts
    assert [("1", "images", "0.04", PRICE_NANOS)] == [
        (one.quantity, one.unit, one.unit_price, one.amount.amount_nanos) for one in line.lines
    ]
    assert PRICE_NANOS == line.list_price.amount_nanos
    [other] = receipt(paid(samples.settled(settled_nanos=PRICE_NANOS + 1)), {}).attempts
    assert [] == list(other.lines)
    [confirmed] = receipt(paid(samples.settled(grade=Grade.BILLING_EVENT)), {}).attempts
    assert not confirmed.HasField("list_price")


def test_every_change_of_the_accounts_makes_the_version_greater() -> None:
    """Open, ended, settled, corrected, next attempt: each later than the one before."""
    steps = [
        samples.running_view(),
        replace(samples.running_view(), attempts=(samples.settled(),)),
        samples.done_view(),
        paid(samples.settled(version=6, ordinal=2)),
        paid(samples.settled(version=6, ordinal=2), samples.attempt(id="a2", number=2, version=1)),
    ]
    versions = [receipt(one, {}).version for one in steps]
    assert versions == sorted(set(versions))


async def test_a_correction_is_told_apart_from_the_charge(rig: Rig) -> None:
    """The ledger's rows say what was posted; the sum of both is what the job costs."""
    rig.jobs.views = [paid(samples.settled(ordinal=2, settled_nanos=30_000_000, grade=Grade.BILLING_EVENT))]
    rig.ledger.rows = [
        samples.transfer(ordinal=0, kind=TransferKind.HOLD, total_after_nanos=0, booked_at=T0),
        samples.transfer(),
        samples.transfer(
            ordinal=2, kind=TransferKind.CORRECTION, amount_nanos=10_000_000, booked_at=T0 + 99 * SECOND
        ),
    ]
    request = ledger_service_pb2.GetReceiptRequest(job_id=samples.JOB_ID)
    message = (await rig.books.GetReceipt(request, timeout=5)).receipt
    assert (PRICE_NANOS, -10_000_000) == (message.charged.amount_nanos, message.corrected.amount_nanos)
    assert T0 + 99 * SECOND == message.update_time.ToMicroseconds()
    job = (await rig.images.GetJob(pb.GetJobRequest(job_id=samples.JOB_ID), timeout=5)).job
    assert message == job.receipt


async def test_a_charge_after_a_void_is_a_correction(rig: Rig) -> None:
    """What was given back and billed all the same was never posted."""
    rig.jobs.views = [paid(samples.settled(ordinal=2))]
    rig.ledger.rows = [
        samples.transfer(kind=TransferKind.VOID, total_after_nanos=0),
        samples.transfer(ordinal=2, kind=TransferKind.CORRECTION),
    ]
    request = ledger_service_pb2.GetReceiptRequest(job_id=samples.JOB_ID)
    message = (await rig.books.GetReceipt(request, timeout=5)).receipt
    assert (0, PRICE_NANOS) == (message.charged.amount_nanos, message.corrected.amount_nanos)


async def test_the_ledger_is_not_read_for_jobs_without_corrections(rig: Rig) -> None:
    """One read more would be on the way of every answer."""
    rig.jobs.views = [samples.done_view()]
    await rig.images.GetJob(pb.GetJobRequest(job_id=samples.JOB_ID), timeout=5)
    assert [] == rig.ledger.asked_transfers


async def test_the_receipt_of_another_project_is_unknown(rig: Rig) -> None:
    """As with the job itself."""
    rig.jobs.views = [samples.done_view(project="other")]
    for job_id in (samples.JOB_ID, "unknown"):
        request = ledger_service_pb2.GetReceiptRequest(job_id=job_id)
        assert (
            "ERROR_REASON_JOB_NOT_FOUND" == (await refused(rig.books.GetReceipt(request, timeout=5))).reason
        )


def test_the_phases_of_a_finished_job() -> None:
    """1 s to the dispatch, 2 s queue and 5 s run as the provider tells, then ours: to the final commit."""
    message = timing(samples.done_view(input_seconds=0.5))
    assert {
        "input": 0.5, "queued": 1.0, "provider_queue": 2.0, "provider_run": 5.0,
        "download": 1.75, "store": 0.25, "settle": 0.0, "total": 10.5, "added": 3.5,
    } == phases(message)  # fmt: skip


TIMED = {
    "finished": samples.done_view(),
    "finished with inputs": samples.done_view(input_seconds=0.123456),
    "from the cache": samples.done_view(Origin.CACHE),
    "joined late": samples.done_view(Origin.SHARED, accepted_at=T0 + 4 * SECOND),
    "joined while storing": samples.done_view(Origin.SHARED, accepted_at=T0 + 9_900_000),
    "never sent": replace(
        samples.running_view(state=JobState.FAILED, final_at=T0 + 3 * SECOND),
        attempts=(samples.attempt(dispatched_at=None),),
    ),
    "cancelled while drawing": samples.running_view(state=JobState.CANCELLED, final_at=T0 + 7 * SECOND),
    "failed at the provider": replace(
        samples.running_view(state=JobState.FAILED, final_at=T0 + 11 * SECOND),
        attempts=(samples.settled(state=AttemptState.FAILED),),
    ),
    "failed over": paid(
        samples.settled(id="a1", number=1, state=AttemptState.REJECTED, ended_at=T0 + 2 * SECOND),
        samples.settled(id="a2", number=2, dispatched_at=T0 + 3 * SECOND),
    ),
    "provider tells nothing": paid(samples.settled(queue_seconds=None, run_seconds=None)),
    "provider tells too much": paid(samples.settled(queue_seconds=100.0, run_seconds=100.0)),
    "provider tells its run only": paid(samples.settled(queue_seconds=None, run_seconds=3.0)),
    "nothing was measured": replace(
        samples.done_view(), render=samples.render(state=RenderState.SUCCEEDED, finished_at=T0 + 10 * SECOND)
    ),
    "storing seems to begin before drawing ends": replace(
        samples.done_view(),
        render=samples.render(
            state=RenderState.SUCCEEDED,
            finished_at=T0 + 10 * SECOND,
            progress=json.dumps({"download_seconds": 1, "store_seconds": 60}),
        ),
    ),
    "pruned": replace(samples.done_view(), render=None, attempts=()),
}


@pytest.mark.parametrize("view", TIMED.values(), ids=TIMED.keys())
def test_the_phases_of_every_final_job_sum_to_its_total(view: JobView) -> None:
    """Not a microsecond is lost or counted twice, none is negative, and what is ours is what is not theirs."""
    told = phases(timing(view))
    micros = {name: round(seconds * SECOND) for name, seconds in told.items()}
    assert min(micros.values()) >= 0
    entered = sum(micros.get(name, 0) for name in PHASES)
    assert view.job.origin is Origin.CACHE or entered == micros["total"]
    theirs = sum(micros.get(name, 0) for name in ("retried", "provider_queue", "provider_run"))
    assert micros["added"] == micros["total"] - theirs


def test_lost_attempts_are_retried_time() -> None:
    """From the first dispatch to the last one."""
    assert 2.0 == phases(timing(TIMED["failed over"]))["retried"]


def test_an_unfinished_job_has_no_total_yet() -> None:
    """What is known so far is there."""
    assert {"queued": 1.0} == phases(timing(samples.running_view()))


@pytest.mark.parametrize(
    ("state", "attempt", "stage"),
    [
        (RenderState.PENDING, samples.attempt(dispatched_at=None, state=AttemptState.HELD), "WAITING"),
        (RenderState.DISPATCHING, samples.attempt(state=AttemptState.DISPATCHING), "DISPATCHING"),
        (RenderState.DISPATCHING, samples.attempt(state=AttemptState.UNKNOWN), "CONFIRMING"),
        (RenderState.QUEUED, samples.attempt(), "PROVIDER_QUEUE"),
        (RenderState.RUNNING, samples.attempt(), "DRAWING"),
        (RenderState.STORING, samples.settled(), "STORING"),
    ],
)
def test_each_state_of_a_render_is_a_stage(state: RenderState, attempt: object, stage: str) -> None:
    """Callers see where the job stands."""
    view = replace(samples.running_view(), render=samples.render(state=state), attempts=(attempt,))
    progress = job_message(view, FakeBlobs()).progress
    assert f"PROGRESS_STAGE_{stage}" == type(progress).DESCRIPTOR.fields_by_name["stage"].enum_type.values_by_number[
        progress.stage
    ].name  # fmt: skip


def test_notices_are_shown_and_unknown_ones_skipped() -> None:
    """A release reads what another one wrote."""
    notices = [
        {"code": "OVERRUN", "message": "m", "metadata": {"heldNanos": "1"}},
        {"code": "FROM_THE_FUTURE", "message": "m", "metadata": {}},
    ]
    done = samples.done_view()
    view = replace(done, render=replace(done.render, notices=json.dumps(notices), partial=True))
    message = job_message(view, FakeBlobs())
    assert [(6, {"heldNanos": "1"})] == [(one.code, dict(one.metadata)) for one in message.notices]
    assert message.partial


def test_a_url_that_ends_says_when() -> None:
    """A public one has no end."""
    public = job_message(samples.done_view(), FakeBlobs()).assets[0]
    signed = job_message(samples.done_view(), FakeBlobs(url_expires_at=T0)).assets[0]
    assert not public.HasField("url_expire_time")
    assert T0 == signed.url_expire_time.ToMicroseconds()


def test_a_job_whose_content_is_gone_is_still_told() -> None:
    """Once the prompt was too old to keep, the full view has everything but the request."""
    view = samples.done_view()
    assert view.render is not None
    assert job_message(view, FakeBlobs(), full=True).HasField("request")
    emptied = replace(view, render=replace(view.render, content=""))
    message = job_message(emptied, FakeBlobs(), full=True)
    assert not message.HasField("request")
    assert 1 == len(message.assets)
    assert message.receipt == job_message(view, FakeBlobs()).receipt
