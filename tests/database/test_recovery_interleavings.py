"""Recovery at the same moment as what it recovers, on a real PostgreSQL: whichever commits first, the rows agree."""

from dataclasses import replace
from typing import Any

from service.domain import commands as c
from service.domain.oversight import SwitchScope, SwitchState
from tests.database.two import FAILURE, Two, two
from tests.support.orders import Steps, asset
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url", "two"]


def _unknown(two: Two) -> c.Accept:
    accept = two.orders.accept(two.subject())
    for command in (accept, Steps(accept).dispatch(), Steps(accept).unknown()):
        two.one.run(command)
    two.long_ago(accept)
    return accept


def test_absence_and_an_id_agree(two: Two) -> None:
    """ResolveAbsent × BindProviderId: the first commit decides what absence is told; the id is kept either way, and with it
    the attempt.
    """
    told = set()

    def prepare() -> tuple[c.Command, c.Command]:
        accept = _unknown(two)
        absent = c.ResolveAbsent(accept.render_id, accept.attempt_id, accept.owner, 1, memo="two scans")
        return absent, Steps(accept).bind()

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(first, c.ResolveAbsent)
        row = two.watch.execute(
            "SELECT provider_id, state, hold_open, unbilled FROM attempts WHERE id = %s", (first.attempt_id,)
        ).fetchone()
        assert (f"fal-{first.attempt_id}", "ACCEPTED", True, False) == row
        absences = two.value(
            "SELECT count(*) FROM events WHERE render_id = %s AND kind = 'ABSENT'", first.render_id
        )
        assert (1 if one is c.RunOutcome.DONE else 0) == absences
        told.add(one)

    two.every_order(prepare, check)
    assert {c.RunOutcome.DONE, c.RunOutcome.LOST} == told


def test_a_late_picture_and_a_request_for_it_agree(two: Two) -> None:
    """LateResult × Accept: the request finds the picture, or makes a render of its own while the flight remembers the other."""
    told = set()

    def prepare() -> tuple[c.Command, c.Command]:
        accept = _unknown(two)
        for command in (Steps(accept).unconfirmed(), Steps(accept).bind(), Steps(accept).result()):
            two.one.run(command)
        stored = ((0, asset(accept.fingerprint), False),)
        again = replace(two.orders.accept("again"), fingerprint=accept.fingerprint)
        return c.LateResult(accept.attempt_id, stored), again

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(second, c.Accept)
        assert one is True
        flight = two.watch.execute(
            "SELECT render_id, good_render_id FROM flights WHERE scope = %s AND fingerprint = %s",
            (second.scope, second.fingerprint),
        ).fetchone()
        assert flight is not None
        if isinstance(other, c.Hit):
            assert other.view.job.render_id == flight[0]
        else:
            assert isinstance(other, c.New)
            assert second.render_id == flight[0]
            assert "SUCCEEDED" == two.state("renders", flight[1])
        told.add(type(other))

    two.every_order(prepare, check)
    assert {c.Hit, c.New} == told


def test_a_takeover_and_the_end_agree(two: Two) -> None:
    """TakeOver × Finish: the render ends by its old owner, or goes to the new one; never both, never neither."""
    told = set()

    def prepare() -> tuple[c.Command, c.Command]:
        accept = replace(two.orders.accept(two.subject()), owner="a replica that is gone")
        for command in Steps(accept).all()[:5]:
            two.one.run(command)
        return c.TakeOver(((accept.render_id, 1),), "replica-2"), Steps(accept).finish()

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(second, c.Finish)
        row = two.watch.execute(
            "SELECT state, owner, fence FROM renders WHERE id = %s", (second.render_id,)
        ).fetchone()
        if one:
            assert c.RunOutcome.LOST is other
            assert ("STORING", "replica-2", 2) == row
        else:
            assert c.RunOutcome.DONE is other
            assert ("SUCCEEDED", "a replica that is gone", 1) == row
        told.add(other)

    two.every_order(prepare, check)
    assert {c.RunOutcome.DONE, c.RunOutcome.LOST} == told


def test_the_last_way_out_and_a_dispatch_agree(two: Two) -> None:
    """EndOverdue × Dispatch: it is ended and never sent, or sent and not ended."""
    told = set()

    def prepare() -> tuple[c.Command, c.Command]:
        accept = two.orders.accept(two.subject())
        two.one.run(accept)
        two.long_ago(accept)
        return c.EndOverdue((accept.render_id,)), Steps(accept).dispatch()

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(second, c.Dispatch)
        sent = isinstance(other, c.Send)
        assert one == (0 if sent else 1)
        assert ("DISPATCHING" if sent else "FAILED") == two.state("renders", second.render_id)
        assert ("DISPATCHING" if sent else "CANCELLED") == two.state("attempts", second.attempt_id)
        told.add(sent)

    two.every_order(prepare, check)
    assert {True, False} == told


def test_two_operators_agree(two: Two) -> None:
    """SetSwitch × SetSwitch of one target: the later one stands, and the audit tells what each of them changed."""

    def prepare() -> tuple[c.Command, c.Command]:
        target = two.subject()
        off = c.SetSwitch(
            two.orders.dice.new_id(), SwitchScope.PROJECT, target, SwitchState.OFF, None, "no", "ann"
        )
        drain = replace(off, event_id=two.orders.dice.new_id(), state=SwitchState.DRAIN, by="ben")
        return off, drain

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(first, c.SetSwitch)
        assert isinstance(second, c.SetSwitch)
        rows = two.watch.execute(
            "SELECT e.id, (e.details::json)->>'before' FROM audit_events AS e WHERE e.id IN (%s, %s)",
            (first.event_id, second.event_id),
        ).fetchall()
        before = dict(rows)
        standing = two.value("SELECT event_id FROM switches WHERE target = %s", first.target)
        [earlier] = {first.event_id, second.event_id} - {standing}
        named = {first.event_id: "OFF", second.event_id: "DRAIN"}
        assert ("ON", named[earlier]) == (before[earlier], before[standing])

    two.every_order(prepare, check)


def test_removal_and_a_request_for_it_agree(two: Two) -> None:
    """Prune × Accept of the same picture, long stale: the request has a render that is there, in every order."""

    def prepare() -> tuple[c.Command, c.Command]:
        accept = replace(two.orders.accept(two.subject()), fresh_micros=0)
        for command in Steps(accept).all():
            two.one.run(command)
        two.watch.execute(
            "UPDATE renders SET finished_at = 1, fresh_until = 2 WHERE id = %s", (accept.render_id,)
        )
        two.watch.execute("UPDATE jobs SET accepted_at = 1, final_at = 1 WHERE id = %s", (accept.job_id,))
        again = replace(two.orders.accept("again"), fingerprint=accept.fingerprint)
        return c.Prune(1_000, 1_000, 1_000, 10), again

    def check(first: c.Command, second: c.Command, one: Any, other: Any) -> None:
        assert isinstance(second, c.Accept)
        assert isinstance(other, c.New)
        assert "PENDING" == two.state("renders", second.render_id)
        flight = two.value("SELECT render_id FROM flights WHERE fingerprint = %s", second.fingerprint)
        assert second.render_id == flight
        two.one.run(Steps(second).fail(FAILURE, failover=False))

    two.every_order(prepare, check)
