"""Switches, the audit, and the events of a job, on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from lightmeter.v1 import image_service_pb2 as images_pb
from lightmeter.v1 import job_pb2
from lightmeter.v1 import model_service_pb2 as models_pb
from lightmeter.v1 import operator_service_pb2 as pb

from service.domain.limits import MICROS_PER_SECOND
from service.domain.oversight import Event
from service.domain.records import AttemptState, Origin
from tests.rpc import samples
from tests.rpc.rig import Rig, refused
from tests.rpc.test_operator import DRAIN, OFF, ON, stamp, switched

# ---------------------------------------------------------------- switches


@pytest.mark.parametrize(
    "scope",
    [
        {"provider": "fal"},
        {"route": job_pb2.RouteSelector(provider="fal", route="flux-dev")},
        {"project": "growth"},
        {"dispatch": pb.AllDispatches()},
    ],
)
async def test_a_switch_is_answered_and_listed_as_it_was_set(rig: Rig, scope: dict[str, Any]) -> None:
    """Scope, position, expiry, reason and setter come back; ON removes it from the list."""
    expire = stamp(rig.clock.now() + 60 * MICROS_PER_SECOND)
    found = await switched(rig, DRAIN, expire_time=expire, **scope)
    expected = pb.Switch(state=DRAIN, reason="INC-7", setter="default", expire_time=expire, **scope)
    expected.set_time.CopyFrom(found.set_time)
    assert expected == found
    assert found.HasField("set_time")
    assert [found] == list((await rig.operator.ListSwitches(pb.ListSwitchesRequest(), timeout=5)).switches)
    assert ON == (await switched(rig, ON, **scope)).state
    assert [] == list((await rig.operator.ListSwitches(pb.ListSwitchesRequest(), timeout=5)).switches)


async def test_the_replica_that_answers_acts_on_the_switch_at_once(rig: Rig) -> None:
    """No poll and no hint is waited for: the board knows it before the caller does, and the model list shows it."""
    await switched(rig, provider="fal")
    assert rig.switches.is_off_for_all("fal", "flux-dev")
    answer = await rig.models.GetModel(models_pb.GetModelRequest(name="flux-dev"), timeout=5)
    disabled = {
        route.provider for route in answer.model.routes if route.health == models_pb.ROUTE_HEALTH_DISABLED
    }
    assert {"fal"} == disabled


async def test_switches_are_listed_in_pages(rig: Rig) -> None:
    """By scope, each once; a token of another query is refused."""
    for name in ("a", "b", "c"):
        await switched(rig, project=name)
    first = await rig.operator.ListSwitches(pb.ListSwitchesRequest(page_size=2), timeout=5)
    rest = pb.ListSwitchesRequest(page_size=2, page_token=first.next_page_token)
    second = await rig.operator.ListSwitches(rest, timeout=5)
    assert (["a", "b"], ["c"]) == tuple([one.project for one in page.switches] for page in (first, second))
    assert not second.next_page_token


@pytest.mark.parametrize(
    ("scope", "meant"),
    [
        ({"provider": "fla"}, "fal"),
        ({"route": job_pb2.RouteSelector(provider="fal", route="flux-dew")}, "fal/flux-dev"),
    ],
)
async def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(
    rig: Rig, scope: dict[str, Any], meant: str
) -> None:
    """A switch for nothing would look like an emergency stop; removing one for a route of old is allowed."""
    request = pb.SetSwitchRequest(switch=pb.Switch(state=OFF, reason="INC-7", **scope))
    refusal = await refused(rig.operator.SetSwitch(request, timeout=5))
    assert ("NOT_FOUND", "ERROR_REASON_ROUTE_NOT_FOUND", meant) == (
        refusal.code,
        refusal.reason,
        refusal.metadata["suggestion"],
    )
    assert ON == (await switched(rig, ON, **scope)).state


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda one: one.ClearField("state"), "switch.state"),
        (lambda one: setattr(one, "state", 99), "switch.state"),
        (lambda one: setattr(one, "reason", ""), "switch.reason"),
        (lambda one: setattr(one, "reason", "x" * 201), "switch.reason"),
        (lambda one: one.ClearField("provider"), "switch.scope"),
        (lambda one: setattr(one, "provider", ""), "switch.provider"),
        (lambda one: setattr(one.route, "provider", "fal"), "switch.route.route"),
        (lambda one: setattr(one, "project", "No Project"), "switch.project"),
        (lambda one: one.expire_time.FromSeconds(1), "switch.expire_time"),
    ],
)
async def test_a_malformed_switch_is_named_and_not_set(
    rig: Rig, change: Callable[[pb.Switch], None], field: str
) -> None:
    """Scope, position, reason and an expiry in the future are needed."""
    switch = pb.Switch(provider="fal", state=OFF, reason="INC-7")
    change(switch)
    refusal = await refused(rig.operator.SetSwitch(pb.SetSwitchRequest(switch=switch), timeout=5))
    assert ("ERROR_REASON_FIELD_INVALID", [field]) == (refusal.reason, refusal.fields)
    assert {} == rig.store.tables.switches


async def test_a_missing_switch_is_a_fault_of_its_field(rig: Rig) -> None:
    """An empty request is refused."""
    refusal = await refused(rig.operator.SetSwitch(pb.SetSwitchRequest(), timeout=5))
    assert ["switch"] == refusal.fields


# ---------------------------------------------------------------- the audit


async def test_the_audit_tells_each_change_newest_first(rig: Rig) -> None:
    """Who, what, on what, why, and what it was before; filters and pages narrow it."""
    await switched(rig, provider="fal")
    await switched(rig, ON, reason="over", provider="fal")
    await switched(rig, project="growth")
    everything = (await rig.operator.ListAuditEvents(pb.ListAuditEventsRequest(), timeout=5)).events
    assert [
        ("default", "switch.set", "project:growth", "INC-7"),
        ("default", "switch.set", "provider:fal", "over"),
        ("default", "switch.set", "provider:fal", "INC-7"),
    ] == [(one.actor, one.action, one.target, one.reason) for one in everything]
    assert "OFF" == MessageToDict(everything[1].details)["before"]
    fal = pb.ListAuditEventsRequest(target="provider:fal", page_size=1)
    first = await rig.operator.ListAuditEvents(fal, timeout=5)
    fal.page_token = first.next_page_token
    second = await rig.operator.ListAuditEvents(fal, timeout=5)
    assert (["over"], ["INC-7"], "") == (
        [one.reason for one in first.events],
        [one.reason for one in second.events],
        second.next_page_token,
    )
    for nothing in ({"actor": "nobody"}, {"action": "budget.set"}):
        asked = pb.ListAuditEventsRequest(**nothing)  # type: ignore[arg-type] # texts, all of them
        assert [] == list((await rig.operator.ListAuditEvents(asked, timeout=5)).events)


# ---------------------------------------------------------------- a job's own events


@pytest.mark.parametrize(
    ("origin", "view", "shown"),
    [
        (Origin.PROVIDER, images_pb.JOB_VIEW_FULL, 1),
        (Origin.SHARED, images_pb.JOB_VIEW_FULL, 1),
        (Origin.CACHE, images_pb.JOB_VIEW_FULL, 0),
        (Origin.PROVIDER, images_pb.JOB_VIEW_BASIC, 0),
    ],
)
async def test_a_job_tells_its_renders_events_in_the_full_view(
    rig: Rig, origin: Origin, view: Any, shown: int
) -> None:
    """Kind, time, attempt and cause; not of a cached job, whose picture may be another project's work."""
    rig.jobs.views.append(samples.done_view(origin))
    rig.jobs.told.append(Event("e1", "render-1", 1, samples.T0, "TAKEN_OVER", "replica-1 stopped"))
    asked = images_pb.GetJobRequest(job_id=samples.JOB_ID, view=view)
    found = (await rig.images.GetJob(asked, timeout=5)).job
    expected = job_pb2.JobEvent(
        event_time=stamp(samples.T0), attempt_number=1, kind="TAKEN_OVER", cause="replica-1 stopped"
    )
    assert [expected] * shown == list(found.events)


def test_only_what_was_dispatched_has_a_word_on_the_wire() -> None:
    """HELD is the one state of an attempt that the list never shows."""
    assert {f"ATTEMPT_STATE_{one.value}" for one in AttemptState if one is not AttemptState.HELD} == {
        name for name, number in pb.AttemptState.items() if number
    }
