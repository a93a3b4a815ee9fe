"""The operators' calls and commands, on real gRPC against a scripted service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from lightmeter import AsyncClient, Attempt, Client, Conflict, Money, Paused, Switch
from lightmeter.cli.app import build
from lightmeter.v1 import image_service_pb2, job_pb2, ledger_service_pb2, money_pb2
from lightmeter.v1 import operator_service_pb2 as pb
from typer.testing import CliRunner, Result

from tests.client.fake_service import FakeServer, Script, job, money, refusal
from tests.client.test_cli import bill, rows

Run = Callable[..., Awaitable[Result]]
SCOPES = {
    "provider:fal": pb.Switch(provider="fal"),
    "route:fal/flux-dev": pb.Switch(route=job_pb2.RouteSelector(provider="fal", route="flux-dev")),
    "project:growth": pb.Switch(project="growth"),
    "dispatch": pb.Switch(dispatch=pb.AllDispatches()),
}


@pytest.fixture
def run(server: FakeServer) -> Run:
    """Runs the command line against the fake service, in another thread than the service's."""

    async def invoke(*arguments: str, typed: str = "") -> Result:
        runner = CliRunner(env={"LIGHTMETER_ADDRESS": server.address, "LIGHTMETER_API_KEY": ""})
        return await asyncio.to_thread(runner.invoke, build(), list(arguments), typed)

    return invoke


def attempt(**changes: Any) -> pb.Attempt:
    """An attempt that nobody can tell about."""
    message = pb.Attempt(
        attempt_id="attempt-1",
        job_id="job-1",
        attempt_number=1,
        project="growth",
        model="flux-dev",
        route=job_pb2.JobRoute(provider="fal", route="flux-dev", endpoint="fal-ai/flux/dev"),
        state=pb.ATTEMPT_STATE_UNKNOWN,
        settlement=money_pb2.SETTLEMENT_OPEN,
        held=money(40_000_000),
        detail="timeout",
        etag="4",
    )
    message.dispatch_time.FromJsonString("2026-11-21T12:00:00Z")
    message.resolve_deadline_time.FromJsonString("2026-11-21T12:45:00Z")
    message.MergeFrom(pb.Attempt(**changes))
    return message


def switch(state: Any = pb.SWITCH_STATE_OFF, **changes: Any) -> pb.Switch:
    """A switch as the service answers it."""
    message = pb.Switch(state=state, reason="INC-7", setter="ops", **changes)
    message.set_time.FromJsonString("2026-11-21T12:00:00Z")
    return message


# ---------------------------------------------------------------- the library


async def test_attempts_are_read_page_by_page_as_values(client: AsyncClient, script: Script) -> None:
    """Filters go out as they are; every field comes back; the pages are joined and cut at the limit."""
    aliased = attempt(other_provider_request_ids=["b"], settled=money(1))
    aliased.route.provider_request_id = "a"
    script.on(
        "ListAttempts",
        pb.ListAttemptsResponse(attempts=[attempt()], next_page_token="2"),
        pb.ListAttemptsResponse(attempts=[aliased, attempt()]),
    )
    start = datetime(2026, 11, 21, tzinfo=UTC)
    found = [
        one
        async for one in client.list_attempts(
            states=["unknown", "failed"], provider="fal", job="job-1", start=start, limit=2
        )
    ]
    assert ["UNKNOWN", "UNKNOWN"] == [one.state for one in found]
    assert ((), ("a", "b")) == tuple(one.provider_request_ids for one in found)
    assert (Money(40_000_000), None, Money(1)) == (found[0].held, found[0].settled, found[1].settled)
    assert datetime(2026, 11, 21, 12, 45, tzinfo=UTC) == found[0].resolve_deadline_time
    first, second = script.asked["ListAttempts"]
    assert ([7, 4], "fal", "job-1", "2") == (
        list(first.states),
        first.provider,
        first.job_id,
        second.page_token,
    )
    assert start == first.range.start_time.ToDatetime(tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"adopt": "fal-7"}, {"adopt_provider_request_id": "fal-7"}),
        ({"not_accepted": True}, {"declare_not_accepted": pb.NotAccepted()}),
        ({"amount": "0.04"}, {"settle_amount": money(40_000_000)}),
        ({"amount": "0"}, {"settle_amount": money(0)}),
    ],
)
async def test_a_resolution_carries_the_etag_that_was_read(
    client: AsyncClient, script: Script, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    """Each of the three, for an attempt as it was read; by its bare id there is no etag."""
    script.on("ResolveAttempt", pb.ResolveAttemptResponse(attempt=attempt()))
    read = Attempt.from_proto(attempt())
    await client.resolve_attempt(read, reason="INC-7", **given)
    await client.resolve_attempt("attempt-1", reason="INC-7", **given)
    expected = pb.ResolveAttemptRequest(attempt_id="attempt-1", reason="INC-7", etag="4", **sent)
    assert expected == script.asked["ResolveAttempt"][0]
    assert "" == script.asked["ResolveAttempt"][1].etag


@pytest.mark.parametrize("given", [{}, {"adopt": "a", "not_accepted": True}, {"adopt": "a", "amount": "1"}])
async def test_a_resolution_is_exactly_one(
    client: AsyncClient, script: Script, given: dict[str, Any]
) -> None:
    """None or two are a ValueError, before anything is sent; a float is no amount."""
    with pytest.raises(ValueError, match="exactly one"):
        await client.resolve_attempt("attempt-1", reason="INC-7", **given)
    with pytest.raises(TypeError):
        await client.resolve_attempt("attempt-1", reason="INC-7", amount=0.1)  # type: ignore[arg-type] # a caller's slip
    assert [] == script.asked["ResolveAttempt"]


async def test_an_attempt_that_was_decided_meanwhile_is_a_conflict(
    client: AsyncClient, script: Script
) -> None:
    """ETAG_MISMATCH has its class, and is not tried again."""
    script.on("ResolveAttempt", refusal(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"))
    with pytest.raises(Conflict):
        await client.resolve_attempt("attempt-1", reason="INC-7", not_accepted=True)
    assert 1 == len(script.asked["ResolveAttempt"])


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_scope_is_written_in_one_word(client: AsyncClient, script: Script, scope: str) -> None:
    """There and back it is the same text."""
    script.on("SetSwitch", lambda request: pb.SetSwitchResponse(switch=request.switch))
    before = datetime.now(UTC)
    found = await client.set_switch(scope, "off", reason="INC-7", lasts=timedelta(minutes=30))
    assert (scope, "OFF", "INC-7") == (found.scope, found.state, found.reason)
    assert found.expire_time is not None
    assert timedelta(minutes=29) < found.expire_time - before < timedelta(minutes=31)
    (sent,) = script.asked["SetSwitch"]
    assert SCOPES[scope].WhichOneof("scope") == sent.switch.WhichOneof("scope")


@pytest.mark.parametrize("scope", ["", "fal", "provider:", "route:fal", "dispatch:now", "planet:mars"])
async def test_what_is_no_scope_is_told_how_it_is_written(client: AsyncClient, scope: str) -> None:
    """A ValueError with the four forms, before anything is sent."""
    with pytest.raises(ValueError, match="provider:NAME, route:PROVIDER/NAME, project:NAME, dispatch"):
        await client.set_switch(scope, "off", reason="INC-7")


async def test_switches_and_audit_events_are_values(client: AsyncClient, script: Script) -> None:
    """Every field, in the service's order."""
    listed = [switch(provider="fal"), switch(pb.SWITCH_STATE_DRAIN, dispatch=pb.AllDispatches())]
    script.on("ListSwitches", pb.ListSwitchesResponse(switches=listed))
    found = await client.switches()
    assert [("provider:fal", "OFF", "ops"), ("dispatch", "DRAIN", "ops")] == [
        (one.scope, one.state, one.setter) for one in found
    ]
    details = Struct()
    details.update({"before": "ON"})
    event = pb.AuditEvent(event_id="e1", actor="ops", action="switch.set", target="dispatch", details=details)
    script.on("ListAuditEvents", pb.ListAuditEventsResponse(events=[event]))
    (told,) = [one async for one in client.audit_events(action="switch.set")]
    assert ("e1", "ops", "switch.set", {"before": "ON"}) == (
        told.event_id,
        told.actor,
        told.action,
        told.details,
    )
    assert "switch.set" == script.asked["ListAuditEvents"][0].action


async def test_what_is_paused_has_a_class_of_its_own(client: AsyncClient, script: Script) -> None:
    """With what is off, and it is not tried again."""
    metadata = {"scope": "provider:fal", "state": "OFF", "reason": "INC-7"}
    script.on("GetJob", refusal(grpc.StatusCode.FAILED_PRECONDITION, "PAUSED", metadata=metadata))
    with pytest.raises(Paused) as caught:
        await client.get("job-1")
    assert metadata == caught.value.metadata


async def test_the_blocking_client_has_the_same_calls(server: FakeServer, script: Script) -> None:
    """Lists are ordinary iterators there."""
    script.on("ListAttempts", pb.ListAttemptsResponse(attempts=[attempt()]))
    script.on("SetSwitch", pb.SetSwitchResponse(switch=switch(provider="fal")))

    def work() -> tuple[list[Attempt], Switch]:
        with Client(server.address, api_key="", project="") as blocking:
            return list(blocking.list_attempts()), blocking.set_switch("provider:fal", "off", reason="x")

    attempts, found = await asyncio.to_thread(work)
    assert (["attempt-1"], "provider:fal") == ([one.attempt_id for one in attempts], found.scope)


# ---------------------------------------------------------------- the command line


async def test_switch_sets_and_lists(run: Run, script: Script) -> None:
    """Scope, position, expiry and reason in one line; an empty list says so."""
    until = switch(provider="fal")
    until.expire_time.FromJsonString("2026-11-21T12:30:00Z")
    script.on("SetSwitch", pb.SetSwitchResponse(switch=until))
    result = await run("switch", "off", "provider:fal", "--for", "30m", "--reason", "INC-7")
    assert (0, "provider:fal  off  until 2026-11-21 12:30:00 UTC  INC-7 (ops)\n") == (
        result.exit_code,
        result.stdout,
    )
    (sent,) = script.asked["SetSwitch"]
    assert (pb.SWITCH_STATE_OFF, "INC-7", True) == (
        sent.switch.state,
        sent.switch.reason,
        sent.switch.HasField("expire_time"),
    )
    script.on("ListSwitches", pb.ListSwitchesResponse(switches=[until]), pb.ListSwitchesResponse())
    assert "provider:fal" in (await run("switch", "list")).stdout
    assert "everything is on\n" == (await run("switch", "list")).stdout
    listed = json.loads((await run("switch", "list", "--json")).stdout)
    assert {"switches": []} == listed


@pytest.mark.parametrize(
    "arguments",
    [
        ("switch", "off", "provider:fal"),
        ("switch", "off", "fal", "--reason", "INC-7"),
        ("switch", "off", "provider:fal", "--for", "soon", "--reason", "INC-7"),
        ("attempts", "--state", "lost"),
        ("attempts", "resolve", "attempt-1", "--reason", "INC-7"),
        ("attempts", "resolve", "attempt-1", "--reason", "INC-7", "--adopt", "a", "--not-accepted", "--yes"),
        ("attempts", "resolve", "attempt-1", "--not-accepted"),
    ],
)
async def test_wrong_usage_ends_with_2_and_sends_nothing(
    run: Run, script: Script, arguments: tuple[str, ...]
) -> None:
    """A missing reason, a scope that is none, none or two decisions."""
    result = await run(*arguments)
    assert 2 == result.exit_code
    assert not any(script.asked.values())


async def test_attempts_are_listed_for_people_and_for_programs(run: Run, script: Script) -> None:
    """What is held, where it went, until when it is searched for, and why nobody knows."""
    script.on("ListAttempts", pb.ListAttemptsResponse(attempts=[attempt()]))
    result = await run("attempts", "--state", "unknown", "--provider", "fal")
    assert (
        "attempt-1  2026-11-21 12:00:00  unknown  fal/flux-dev  growth  job job-1  held $0.04  "
        "searched until 2026-11-21 12:45:00  timeout\n"
    ) == result.stdout
    (sent,) = script.asked["ListAttempts"]
    assert ([pb.ATTEMPT_STATE_UNKNOWN], "fal") == (list(sent.states), sent.provider)
    listed = json.loads((await run("attempts", "--json")).stdout)
    assert ["attempt-1"] == [one["attemptId"] for one in listed["attempts"]]


@pytest.mark.parametrize(
    ("options", "typed", "sent"),
    [
        (("--adopt", "fal-7"), "", "adopt_provider_request_id"),
        (("--amount", "0.04"), "", "settle_amount"),
        (("--not-accepted", "--yes"), "", "declare_not_accepted"),
        (("--not-accepted",), "y\n", "declare_not_accepted"),
    ],
)
async def test_an_attempt_is_resolved_by_one_command(
    run: Run, script: Script, options: tuple[str, ...], typed: str, sent: str
) -> None:
    """Only what may pay twice is asked about first, and not in a script that says yes."""
    script.on("ResolveAttempt", pb.ResolveAttemptResponse(attempt=attempt()))
    result = await run("attempts", "resolve", "attempt-1", *options, "--reason", "INC-7", typed=typed)
    assert 0 == result.exit_code
    (request,) = script.asked["ResolveAttempt"]
    assert (sent, "INC-7") == (request.WhichOneof("resolution"), request.reason)
    assert ("paid twice" in result.stderr) is bool(typed)
    assert "attempt-1  2026-11-21" in result.stdout


@pytest.mark.parametrize("typed", ["n\n", ""])
async def test_whoever_does_not_say_yes_sends_nothing(run: Run, script: Script, typed: str) -> None:
    """No, and no answer at all, both leave the attempt alone."""
    result = await run("attempts", "resolve", "attempt-1", "--not-accepted", "--reason", "x", typed=typed)
    assert 0 != result.exit_code
    assert [] == script.asked["ResolveAttempt"]


async def test_the_audit_is_listed_newest_first(run: Run, script: Script) -> None:
    """Time, who, what, on what, why, and the details."""
    event = pb.AuditEvent(actor="ops", action="switch.set", target="provider:fal", reason="INC-7")
    event.event_time.FromJsonString("2026-11-21T12:00:00Z")
    event.details.update({"state": "OFF", "before": "ON"})
    script.on("ListAuditEvents", pb.ListAuditEventsResponse(events=[event]))
    result = await run("audit", "--target", "provider:fal")
    assert "2026-11-21 12:00:00  ops  switch.set  provider:fal  INC-7  before=ON state=OFF\n" == result.stdout


async def test_explain_tells_what_was_unusual_and_who_decided(run: Run, script: Script) -> None:
    """Events of the render stand at their time among what was accepted, sent, posted and stored."""
    story = job()
    for at, kind, cause in (
        ("12:00:00.130", "UNKNOWN", "timeout"),
        ("12:00:10.000", "TAKEN_OVER", "replica-1 stopped"),
        ("12:00:12.000", "RESOLVED_BY_HAND", "adopted as abc, by ops: INC-7"),
    ):
        story.events.add(attempt_number=1, kind=kind, cause=cause).event_time.FromJsonString(
            f"2026-11-21T{at}Z"
        )
    script.on("GetJob", image_service_pb2.GetJobResponse(job=story))
    script.on("GetReceipt", ledger_service_pb2.GetReceiptResponse(receipt=bill()))
    script.on("ListTransfers", ledger_service_pb2.ListTransfersResponse(transfers=rows()))
    lines = [line[24:] for line in (await run("explain", "job-1")).stdout.splitlines()]
    names = [line.strip().partition("  ")[0] for line in lines]
    assert [
        "accepted",
        "held",
        "sent",
        "unknown",
        "taken over",
        "resolved by hand",
        "posted",
        "succeeded",
        "corrected",
    ] == names
    assert lines[5].endswith("adopted as abc, by ops: INC-7")
    assert image_service_pb2.JOB_VIEW_FULL == script.asked["GetJob"][0].view
