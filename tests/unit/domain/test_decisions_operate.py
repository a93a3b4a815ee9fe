"""What operators decide is done once, written down, and cannot overtake the evidence."""

import json
from dataclasses import replace
from typing import Any

import pytest

from service.domain import commands as c
from service.domain.decisions import decide
from service.domain.errors import EtagMismatch, FieldInvalid, JobNotFound
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.records import AttemptState, JobState, RenderState
from tests.unit.domain.desk import HOLD, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


def _doubtful(desk: Desk, subject: str = "a lighthouse") -> c.Accept:
    return desk.doubted(desk.at("unknown", subject))


def _by_hand(desk: Desk, asked: c.Accept, **changes: Any) -> c.ResolveByHand:
    told = {
        "event_id": desk.dice.new_id(), "attempt_id": desk.attempt(asked).id,
        "reason": "seen in the dashboard", "by": "key:ops",
    }  # fmt: skip
    return c.ResolveByHand(**{**told, **changes})


def _refused(desk: Desk, command: c.Command, kind: type[Exception]) -> str:
    before = desk.tables.image()
    with pytest.raises(kind) as refusal:
        desk.run(command)
    assert before == desk.tables.image()
    return str(refusal.value)


# -- switches


def test_a_switch_is_kept_with_its_line_in_the_audit(desk: Desk) -> None:
    """The second run answers the switch as it was set, even after somebody else has turned it again."""
    first = c.SetSwitch("e1", SwitchScope.PROVIDER, "fal", SwitchState.OFF, None, "they are down", "key:ops")
    switch = desk.run(first)
    assert (SwitchState.OFF, desk.clock.now(), "e1", "key:ops") == (
        switch.state, switch.set_at, switch.event_id, switch.set_by,
    )  # fmt: skip
    assert {(SwitchScope.PROVIDER, "fal"): switch} == desk.tables.switches
    desk.clock.advance(5)
    assert switch == desk.twice(first)
    second = replace(first, event_id="e2", state=SwitchState.ON)
    assert SwitchState.ON is desk.run(second).state
    assert switch == desk.twice(first)
    lines = [(one.id, one.action, one.actor, json.loads(one.details)) for one in desk.tables.audit]
    assert [
        (
            "e1",
            "switch.set",
            "key:ops",
            {"scope": "PROVIDER", "state": "OFF", "before": "ON", "expires_at": None},
        ),
        (
            "e2",
            "switch.set",
            "key:ops",
            {"scope": "PROVIDER", "state": "ON", "before": "OFF", "expires_at": None},
        ),
    ] == lines


# -- attempts


def test_an_adopted_id_is_followed_like_one_that_was_answered(desk: Desk) -> None:
    """The attempt is accepted under it, and the render goes on to its picture."""
    asked = desk.at("unknown")
    command = _by_hand(desk, asked, adopt_provider_id="seen")
    attempt = desk.run(command)
    assert (AttemptState.ACCEPTED, "seen") == (attempt.state, attempt.provider_id)
    assert "OPERATOR" == desk.tables.provider_ids["fal", "seen"].source
    assert attempt == desk.twice(command)
    assert ["FOUND", "RESOLVED_BY_HAND"] == [kind for kind, _ in desk.events(asked)][-2:]
    desk.result(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE


def test_an_id_of_another_attempt_is_not_adopted(desk: Desk) -> None:
    """That would deliver somebody else's picture."""
    other = desk.sent("b")
    desk.bind(other, "theirs")
    asked = _doubtful(desk)
    command = _by_hand(desk, asked, adopt_provider_id="theirs")
    assert "belongs to another attempt" in _refused(desk, command, FieldInvalid)


def test_what_was_not_accepted_costs_nothing_and_the_render_goes_on(desk: Desk) -> None:
    """Its owner tries again or ends it."""
    asked = _doubtful(desk)
    command = _by_hand(desk, asked, not_accepted=True)
    attempt = desk.run(command)
    assert (AttemptState.REJECTED, True) == (attempt.state, attempt.unbilled)
    assert attempt == desk.twice(command)
    assert isinstance(desk.fail(asked, again=True), c.NextAttempt)


@pytest.mark.parametrize("nanos", [0, HOLD // 2, 3 * HOLD])
def test_an_amount_by_hand_ends_the_job_and_settles_the_money(desk: Desk, nanos: int) -> None:
    """At the grade of a billing event, whatever was held; the job fails, and asking again may cost again."""
    budget = desk.budget(HOLD)
    asked = _doubtful(desk)
    fence = desk.render(asked).fence
    command = _by_hand(desk, asked, amount_nanos=nanos)
    attempt = desk.run(command)
    assert (AttemptState.FAILED, nanos) == (attempt.state, attempt.settled_nanos)
    assert ("POST", nanos, "BILLING_EVENT") == desk.kinds(attempt)[-1]
    assert "settled by an operator" == desk.transfers(attempt)[-1].memo
    assert (nanos, 0, 0) == (
        desk.window(budget).spent_nanos, desk.window(budget).held_nanos, desk.window(budget).unconfirmed_nanos,
    )  # fmt: skip
    assert (JobState.FAILED, RenderState.FAILED) == (desk.job(asked).state, desk.render(asked).state)
    assert fence + 1 == desk.render(asked).fence
    assert attempt == desk.twice(command)


def test_every_decision_has_its_line_in_the_audit_and_in_the_story_of_the_render(desk: Desk) -> None:
    """Who, what, why, and how the attempt stood."""
    asked = _doubtful(desk)
    desk.run(_by_hand(desk, asked, amount_nanos=HOLD, event_id="e1"))
    (line,) = desk.tables.audit
    assert ("e1", "attempt.resolve", asked.attempt_id, "key:ops", "seen in the dashboard") == (
        line.id, line.action, line.target, line.actor, line.reason,
    )  # fmt: skip
    assert {"render": asked.render_id, "before": "UNKNOWN", "amount_nanos": HOLD} == json.loads(line.details)
    kind, cause = desk.events(asked)[-1]
    assert "RESOLVED_BY_HAND" == kind
    assert "seen in the dashboard" in cause


@pytest.mark.parametrize("step", ["accept", "sent", "running", "storing", "drawn", "rejected"])
@pytest.mark.parametrize(
    "decision", [{"adopt_provider_id": "x"}, {"not_accepted": True}, {"amount_nanos": 1}]
)
def test_only_what_is_in_doubt_is_decided_by_hand(desk: Desk, step: str, decision: Any) -> None:
    """Everything else has evidence of its own, or is about to have it."""
    asked = desk.at(step)
    _refused(desk, _by_hand(desk, asked, **decision), EtagMismatch)


@pytest.mark.parametrize("decision", [{"not_accepted": True}, {"amount_nanos": 1}])
def test_a_request_that_may_be_on_its_way_is_not_judged_by_hand(desk: Desk, decision: Any) -> None:
    """Its sender may still get an answer; an id, however, is welcome at any time."""
    asked = desk.at("unknown")
    assert "wait" in _refused(desk, _by_hand(desk, asked, **decision), EtagMismatch)
    desk.doubted(asked)
    desk.run(_by_hand(desk, asked, **decision))


def test_a_sender_that_died_without_a_word_is_decided_by_hand(desk: Desk) -> None:
    """DISPATCHING for longer than a POST can take is a doubt too."""
    asked = desk.doubted(desk.sent())
    assert AttemptState.REJECTED is desk.run(_by_hand(desk, asked, not_accepted=True)).state


def test_a_decision_on_what_has_changed_since_it_was_seen_is_refused(desk: Desk) -> None:
    """The version tells; the current one is taken."""
    asked = _doubtful(desk)
    version = desk.attempt(asked).version
    _refused(desk, _by_hand(desk, asked, not_accepted=True, version=version - 1), EtagMismatch)
    desk.run(_by_hand(desk, asked, not_accepted=True, version=version))


@pytest.mark.parametrize(
    "decision",
    [
        {},
        {"not_accepted": True, "amount_nanos": 1},
        {"adopt_provider_id": "x", "not_accepted": True},
        {"amount_nanos": -1},
    ],
)
def test_one_decision_at_a_time(desk: Desk, decision: Any) -> None:
    """None, two, or a negative amount is no decision."""
    _refused(desk, _by_hand(desk, _doubtful(desk), **decision), FieldInvalid)


def test_an_attempt_that_nobody_made_is_not_found(desk: Desk) -> None:
    """There is nothing to decide."""
    command = replace(_by_hand(desk, _doubtful(desk), not_accepted=True), attempt_id="none")
    _refused(desk, command, JobNotFound)


def test_evidence_that_comes_after_an_amount_by_hand_keeps_its_rank(desk: Desk) -> None:
    """An operator's figure stands against estimates and units, and gives way to an invoice only."""
    asked = _doubtful(desk)
    desk.run(_by_hand(desk, asked, amount_nanos=0))
    desk.bind(asked, source="WEBHOOK")
    desk.result(asked)
    assert (AttemptState.SUCCEEDED, 0) == (desk.attempt(asked).state, desk.attempt(asked).settled_nanos)


# -- prices


def test_a_changed_price_is_written_down_once(desk: Desk) -> None:
    """The same command again answers as before; another one with the same news, in the same batch too, is told that it came
    second.
    """
    first = c.TellPrice("p1", "price.changed", "fal/flux-dev", "dearer", '{"effect": 1}', "service")
    second = replace(first, details='{"effect": 2}')
    assert [True, False] == [desk.run(first), desk.run(second)]
    assert True is desk.twice(first)
    (line,) = desk.tables.audit
    assert ("p1", "service", "price.changed", "fal/flux-dev", "dearer", '{"effect": 1}') == (
        line.id, line.actor, line.action, line.target, line.reason, line.details,
    )  # fmt: skip
    other = replace(first, event_id="p2")
    world = desk.tables.world(desk.clock.now())
    assert [True, False] == [decide(world, other), decide(world, replace(other, details="{}"))]
