"""OperatorService on the wire: roles, attempts and their resolution, switches, the audit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from lightmeter.v1 import job_pb2, ledger_service_pb2, money_pb2
from lightmeter.v1 import operator_service_pb2 as pb

from service.core.pokes import poke_key
from service.domain import commands as c
from service.domain.absence import search_until
from service.domain.limits import MICROS_PER_SECOND, start_timeout_seconds
from service.domain.oversight import Event
from service.domain.records import Grade, RenderState
from service.rpc.identity import Caller, Role
from tests.rpc import samples
from tests.rpc.rig import ABSENCES, Rig, opened, refused
from tests.support.clock import SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps

OFF, DRAIN, ON = pb.SWITCH_STATE_OFF, pb.SWITCH_STATE_DRAIN, pb.SWITCH_STATE_ON
CALLS: tuple[tuple[str, Any], ...] = (
    ("ListAttempts", pb.ListAttemptsRequest()),
    ("ResolveAttempt", pb.ResolveAttemptRequest()),
    ("SetSwitch", pb.SetSwitchRequest()),
    ("ListSwitches", pb.ListSwitchesRequest()),
    ("ListAuditEvents", pb.ListAuditEventsRequest()),
)


class InRole:
    """Every caller has one role."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def identify(self, context: object) -> Caller:
        """Always the same."""
        return Caller("growth", self._role)


def stamp(micros: int) -> Timestamp:
    """A time on the wire, cut to whole microseconds."""
    return Timestamp(seconds=micros // MICROS_PER_SECOND, nanos=micros % MICROS_PER_SECOND * 1_000)


def unknown(rig: Rig, subject: str = "a fox", *, sent_seconds_ago: float = 600.0) -> c.Accept:
    """A request whose dispatch nobody can tell about, sent long enough ago to be judged."""
    accept = Orders(SeededDice(sum(map(ord, subject)))).accept(subject)
    for command in (accept, Steps(accept).dispatch(), Steps(accept).unknown()):
        rig.store.run(command)
    attempts = rig.store.tables.attempts
    known = attempts[accept.attempt_id]
    earlier = int(sent_seconds_ago * MICROS_PER_SECOND)
    assert known.send_before is not None
    assert known.dispatched_at is not None
    attempts[known.id] = replace(
        known, send_before=known.send_before - earlier, dispatched_at=known.dispatched_at - earlier
    )
    return accept


def resolution(attempt_id: str, **fields: Any) -> pb.ResolveAttemptRequest:
    """A resolution with a reason."""
    return pb.ResolveAttemptRequest(**{"attempt_id": attempt_id, "reason": "INC-7"} | fields)


async def switched(rig: Rig, state: Any = OFF, reason: str = "INC-7", **scope: Any) -> pb.Switch:
    """Set a switch."""
    request = pb.SetSwitchRequest(switch=pb.Switch(state=state, reason=reason, **scope))
    return (await rig.operator.SetSwitch(request, timeout=5)).switch


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(("method", "request_"), CALLS)
async def test_whoever_is_no_operator_is_refused_before_the_request_is_looked_at(
    method: str, request_: Any
) -> None:
    """Each call needs the operator's role and says so; the faults of the request are not told."""
    async with opened(callers=InRole(Role.CALLER)) as rig:
        refusal = await refused(getattr(rig.operator, method)(request_, timeout=5))
    assert ("PERMISSION_DENIED", "ERROR_REASON_ROLE_INSUFFICIENT") == (refusal.code, refusal.reason)
    assert {"requiredRole": "OPERATOR"} == refusal.metadata


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
async def test_operators_and_admins_may_look_and_switch(role: Role) -> None:
    """The role itself and the one above it are let in; the setter is the caller's name."""
    async with opened(callers=InRole(role)) as rig:
        assert "growth" == (await switched(rig, dispatch=pb.AllDispatches())).setter
        assert [] == list((await rig.operator.ListAttempts(pb.ListAttemptsRequest(), timeout=5)).attempts)


# ---------------------------------------------------------------- attempts


async def test_unknown_attempts_are_listed_with_everything_an_operator_needs(rig: Rig) -> None:
    """Whose it is, where it went, what is held, why it is unknown, and until when it is searched for."""
    accept = unknown(rig)
    rig.jobs.told.append(Event("e1", accept.render_id, 1, samples.T0, "UNKNOWN", "timeout after 30 s"))
    (found,) = (await rig.operator.ListAttempts(pb.ListAttemptsRequest(), timeout=5)).attempts
    row = rig.store.tables.attempts[accept.attempt_id]
    assert row.send_before is not None
    assert row.dispatched_at is not None
    assert (
        pb.Attempt(
            attempt_id=accept.attempt_id,
            job_id=accept.job_id,
            attempt_number=1,
            project="growth",
            model="house",
            route=job_pb2.JobRoute(provider="fal", route="fal-one", endpoint="house/one"),
            state=pb.ATTEMPT_STATE_UNKNOWN,
            settlement=money_pb2.SETTLEMENT_OPEN,
            held=money_pb2.Money(currency_code="USD", amount_nanos=CEILING_NANOS),
            dispatch_time=stamp(row.dispatched_at),
            resolve_deadline_time=stamp(
                search_until(ABSENCES["fal"], row.send_before, start_timeout_seconds, 120)
            ),
            detail="timeout after 30 s",
            etag=str(row.version),
        )
        == found
    )


async def test_other_ids_and_what_was_settled_are_shown(rig: Rig) -> None:
    """The canonical id stands with the route, every alias beside it; a settled attempt has its amount and no deadline."""
    accept = Orders().accept()
    steps = Steps(accept)
    for command in (accept, steps.dispatch(), steps.bind()):
        rig.store.run(command)
    rig.store.run(c.BindProviderId(accept.attempt_id, "fal", "fal-other"))
    rig.store.run(steps.result())
    asked = pb.ListAttemptsRequest(states=[pb.ATTEMPT_STATE_SUCCEEDED], job_id=accept.job_id)
    (found,) = (await rig.operator.ListAttempts(asked, timeout=5)).attempts
    assert (f"fal-{accept.attempt_id}", ["fal-other"]) == (
        found.route.provider_request_id,
        list(found.other_provider_request_ids),
    )
    assert (CEILING_NANOS, 0) == (found.settled.amount_nanos, found.held.amount_nanos)
    assert not found.HasField("resolve_deadline_time")


async def test_a_pruned_plan_only_costs_the_deadline(rig: Rig) -> None:
    """Without the plan nobody knows the route's limits: the attempt is listed all the same."""
    accept = unknown(rig)
    renders = rig.store.tables.renders
    renders[accept.render_id] = replace(renders[accept.render_id], plan="{}")
    (found,) = (await rig.operator.ListAttempts(pb.ListAttemptsRequest(), timeout=5)).attempts
    assert not found.HasField("resolve_deadline_time")


async def test_pages_hold_every_attempt_once_oldest_first(rig: Rig) -> None:
    """Tokens go on where the page ended, and belong to their query."""
    made = [unknown(rig, f"picture {n}", sent_seconds_ago=900.0 - n).attempt_id for n in range(5)]
    request = pb.ListAttemptsRequest(page_size=2)
    pages = []
    while True:
        page = await rig.operator.ListAttempts(request, timeout=5)
        pages.append([one.attempt_id for one in page.attempts])
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert [made[:2], made[2:4], made[4:]] == pages
    first = await rig.operator.ListAttempts(pb.ListAttemptsRequest(page_size=2), timeout=5)
    foreign = pb.ListAttemptsRequest(page_token=first.next_page_token, provider="fal")
    refusal = await refused(rig.operator.ListAttempts(foreign, timeout=5))
    assert "ERROR_REASON_PAGE_TOKEN_INVALID" == refusal.reason


async def test_filters_of_attempts_narrow_the_list(rig: Rig) -> None:
    """Provider, route, project, job, state and time: each one leaves out what does not fit."""
    accept = unknown(rig)
    sent = rig.store.tables.attempts[accept.attempt_id].dispatched_at
    assert sent is not None
    span = ledger_service_pb2.TimeRange
    fitting: list[dict[str, Any]] = [
        {"provider": "fal"},
        {"route": "fal-one"},
        {"project": "growth"},
        {"job_id": accept.job_id},
        {"states": [pb.ATTEMPT_STATE_UNKNOWN, pb.ATTEMPT_STATE_FAILED]},
        {"range": span(start_time=stamp(sent), end_time=stamp(sent + 1))},
    ]
    others: list[dict[str, Any]] = [
        {"provider": "replicate"},
        {"route": "fal-two"},
        {"project": "other"},
        {"job_id": "no-such-job"},
        {"states": [pb.ATTEMPT_STATE_REJECTED]},
        {"range": span(start_time=stamp(sent + 1))},
        {"range": span(end_time=stamp(sent))},
    ]

    async def count(fields: dict[str, Any]) -> int:
        return len((await rig.operator.ListAttempts(pb.ListAttemptsRequest(**fields), timeout=5)).attempts)

    assert [1] * len(fitting) == [await count(one) for one in fitting]
    assert [0] * len(others) == [await count(one) for one in others]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"states": [99]}, "states[0]"),
        ({"states": [0]}, "states[0]"),
        ({"project": "No Project"}, "project"),
        ({"provider": "a\0b"}, "provider"),
        ({"job_id": "a b\n"}, "job_id"),
        ({"page_size": 501}, "page_size"),
    ],
)
async def test_a_malformed_filter_is_named(rig: Rig, fields: dict[str, Any], field: str) -> None:
    """FIELD_INVALID with the path of the fault."""
    refusal = await refused(rig.operator.ListAttempts(pb.ListAttemptsRequest(**fields), timeout=5))
    assert ("ERROR_REASON_FIELD_INVALID", field) == (refusal.reason, refusal.metadata["field"])


# ---------------------------------------------------------------- resolving


async def test_an_adopted_attempt_is_followed_from_there(rig: Rig) -> None:
    """It is ACCEPTED under the id, its render's owner is woken, the audit says who and why."""
    accept = unknown(rig)
    woken = rig.store.hints.subscribe(poke_key(accept.render_id))
    answer = await rig.operator.ResolveAttempt(
        resolution(accept.attempt_id, adopt_provider_request_id="fal-777"), timeout=5
    )
    assert (pb.ATTEMPT_STATE_ACCEPTED, "fal-777", CEILING_NANOS) == (
        answer.attempt.state,
        answer.attempt.route.provider_request_id,
        answer.attempt.held.amount_nanos,
    )
    assert await woken.wait(0.0)
    (event,) = (await rig.operator.ListAuditEvents(pb.ListAuditEventsRequest(), timeout=5)).events
    assert ("default", "attempt.resolve", accept.attempt_id, "INC-7") == (
        event.actor,
        event.action,
        event.target,
        event.reason,
    )
    assert "fal-777" == MessageToDict(event.details)["adopt_provider_id"]


async def test_not_accepted_lets_the_render_go_on_unbilled(rig: Rig) -> None:
    """REJECTED, and known to cost nothing: its owner is woken, gives the hold back and goes on."""
    accept = unknown(rig)
    woken = rig.store.hints.subscribe(poke_key(accept.render_id))
    asked = resolution(accept.attempt_id, declare_not_accepted=pb.NotAccepted())
    found = (await rig.operator.ResolveAttempt(asked, timeout=5)).attempt
    assert pb.ATTEMPT_STATE_REJECTED == found.state
    assert rig.store.tables.attempts[accept.attempt_id].unbilled
    assert await woken.wait(0.0)
    assert RenderState.FAILED is not rig.store.tables.renders[accept.render_id].state


async def test_a_settled_amount_is_posted_and_the_render_fails(rig: Rig) -> None:
    """What the operator read on the bill is what is charged."""
    accept = unknown(rig)
    amount = money_pb2.Money(currency_code="USD", amount_nanos=12_500_000)
    found = (
        await rig.operator.ResolveAttempt(resolution(accept.attempt_id, settle_amount=amount), timeout=5)
    ).attempt
    assert (pb.ATTEMPT_STATE_FAILED, 12_500_000) == (found.state, found.settled.amount_nanos)
    assert RenderState.FAILED is rig.store.tables.renders[accept.render_id].state
    assert Grade.BILLING_EVENT is rig.store.tables.attempts[accept.attempt_id].grade


async def test_an_attempt_is_decided_once(rig: Rig) -> None:
    """The second decision, and one made on an old sight of the attempt, end with ETAG_MISMATCH and change nothing."""
    accept = unknown(rig)
    stale = resolution(accept.attempt_id, adopt_provider_request_id="fal-777", etag="1")
    version = rig.store.tables.attempts[accept.attempt_id].version
    assert 1 != version
    foreign = resolution(accept.attempt_id, adopt_provider_request_id="fal-777", etag="another")
    good = resolution(accept.attempt_id, adopt_provider_request_id="fal-777", etag=str(version))
    for request in (stale, foreign):
        refusal = await refused(rig.operator.ResolveAttempt(request, timeout=5))
        assert ("ABORTED", "ERROR_REASON_ETAG_MISMATCH") == (refusal.code, refusal.reason)
    await rig.operator.ResolveAttempt(good, timeout=5)
    before = rig.store.tables.image()
    again = resolution(accept.attempt_id, declare_not_accepted=pb.NotAccepted())
    assert (
        "ERROR_REASON_ETAG_MISMATCH" == (await refused(rig.operator.ResolveAttempt(again, timeout=5))).reason
    )
    assert before == rig.store.tables.image()


async def test_an_id_of_another_attempt_is_refused(rig: Rig) -> None:
    """Two attempts can't be one request: FIELD_INVALID names the field of the request."""
    other, accept = unknown(rig, "a hare"), unknown(rig)
    adopt = resolution(other.attempt_id, adopt_provider_request_id="fal-777")
    await rig.operator.ResolveAttempt(adopt, timeout=5)
    refusal = await refused(
        rig.operator.ResolveAttempt(
            resolution(accept.attempt_id, adopt_provider_request_id="fal-777"), timeout=5
        )
    )
    assert ["adopt_provider_request_id"] == refusal.fields


@pytest.mark.parametrize("attempt_id", ["no-such-attempt", "\n"])
async def test_an_attempt_that_does_not_exist_is_not_found(rig: Rig, attempt_id: str) -> None:
    """JOB_NOT_FOUND, whether it could be an id or not."""
    asked = resolution(attempt_id, declare_not_accepted=pb.NotAccepted())
    refusal = await refused(rig.operator.ResolveAttempt(asked, timeout=5))
    assert ("NOT_FOUND", "ERROR_REASON_JOB_NOT_FOUND") == (refusal.code, refusal.reason)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "resolution"),
        ({"adopt_provider_request_id": ""}, "adopt_provider_request_id"),
        ({"adopt_provider_request_id": "x" * 129}, "adopt_provider_request_id"),
        ({"settle_amount": money_pb2.Money(currency_code="EUR")}, "settle_amount.currency_code"),
        (
            {"settle_amount": money_pb2.Money(currency_code="USD", amount_nanos=-1)},
            "settle_amount.amount_nanos",
        ),
        (
            {"settle_amount": money_pb2.Money(currency_code="USD", amount_nanos=10**16)},
            "settle_amount.amount_nanos",
        ),
        ({"declare_not_accepted": pb.NotAccepted(), "reason": ""}, "reason"),
        ({"declare_not_accepted": pb.NotAccepted(), "reason": "  "}, "reason"),
        ({"declare_not_accepted": pb.NotAccepted(), "reason": "x" * 201}, "reason"),
        ({"declare_not_accepted": pb.NotAccepted(), "attempt_id": ""}, "attempt_id"),
    ],
)
async def test_a_malformed_resolution_is_named_and_does_nothing(
    rig: Rig, fields: dict[str, Any], field: str
) -> None:
    """Exactly one resolution, a reason of 1 to 200 characters, a real amount."""
    accept = unknown(rig)
    before = rig.store.tables.image()
    request = resolution(**{"attempt_id": accept.attempt_id} | fields)
    refusal = await refused(rig.operator.ResolveAttempt(request, timeout=5))
    assert ("ERROR_REASON_FIELD_INVALID", [field]) == (refusal.reason, refusal.fields)
    assert before == rig.store.tables.image()
