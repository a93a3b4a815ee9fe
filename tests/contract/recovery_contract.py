"""What every store promises of the commands of recovery and of operators. `test_recovery.py` binds it."""

from dataclasses import replace

import pytest

from service.domain import commands as c
from service.domain.errors import EtagMismatch, FieldInvalid, JobNotFound
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.queries import AuditQuery
from service.domain.records import AttemptState, Grade, JobState, Origin, RenderState
from tests.contract.bench import DAY_SECONDS, FAILURE, Bench, absent, late
from tests.support.orders import CEILING_NANOS, Steps, asset

OFF = c.SetSwitch("event-1", SwitchScope.PROVIDER, "fal", SwitchState.OFF, None, "bills twice", "ops")


class RecoveryContract:
    """The suite. The store is empty at the start of each test."""

    # -- renders without a living owner

    async def test_only_the_fence_that_was_seen_is_taken(self, bench: Bench) -> None:
        """A takeover by an old look at the rows leaves a render alone that has moved on since."""
        stray = await bench.accepted(owner="gone")
        await bench.run(c.Heartbeat("one"), c.Heartbeat("two"))
        first = c.TakeOver(((stray.render_id, 1),), "one")
        assert (stray.job_id,) == await bench.run(first)
        assert () == await bench.run(c.TakeOver(((stray.render_id, 1),), "two"))
        assert (stray.job_id,) == await bench.run(first)
        render = await bench.render(stray)
        assert ("one", 2) == (render.owner, render.fence)
        assert ["TAKEN_OVER"] == await bench.kinds(stray)

    async def test_an_overdue_render_is_taken_from_a_living_owner(self, bench: Bench) -> None:
        """What its owner lost sight of goes to another, once its next step is overdue."""
        accept = await bench.accepted(owner="one")
        await bench.run(c.Heartbeat("one"), c.Heartbeat("two"))
        take = c.TakeOver(((accept.render_id, 1),), "two")
        assert () == await bench.run(take)
        await bench.pass_time(2 * 3600)
        await bench.run(c.Heartbeat("one"), c.Heartbeat("two"))
        assert (accept.job_id,) == await bench.run(take)

    async def test_one_who_leaves_is_not_waited_for(self, bench: Bench) -> None:
        """The last heartbeat of a replica that stops ends its lease."""
        accept = await bench.accepted(owner="one")
        await bench.run(c.Heartbeat("one"), c.Heartbeat("two"))
        assert () == await bench.work.strays("two", 10)
        await bench.run(c.Heartbeat("one", leaving=True))
        assert ((accept.render_id, 1),) == await bench.work.strays("two", 10)

    async def test_every_state_has_a_last_way_out(self, bench: Bench) -> None:
        """Long past their limits a render that was never sent costs nothing, and one that perhaps was costs its ceiling."""
        held, sent, fresh = (
            await bench.accepted("held"),
            await bench.dispatched("sent"),
            await bench.accepted("fresh"),
        )
        await bench.run(Steps(sent).unknown())
        ids = (held.render_id, sent.render_id)
        assert 0 == await bench.run(c.EndOverdue(ids))
        await bench.pass_time(DAY_SECONDS)
        assert 2 == await bench.run(c.EndOverdue(ids))
        assert 0 == await bench.run(c.EndOverdue(ids))
        assert [JobState.FAILED, JobState.FAILED] == [
            (await bench.view(one)).job.state for one in (held, sent)
        ]
        settled = [await bench.attempt(one) for one in (held, sent)]
        assert [(0, Grade.NONE), (CEILING_NANOS, Grade.UNCONFIRMED)] == [
            (one.settled_nanos, one.grade) for one in settled
        ]
        assert JobState.QUEUED is (await bench.view(fresh)).job.state

    # -- absence, and evidence that comes late

    async def test_a_request_that_never_arrived_goes_elsewhere(self, bench: Bench) -> None:
        """Proven absent, it costs nothing and the next route is taken; a second proof changes nothing."""
        accept = await bench.unknown()
        assert c.RunOutcome.DONE is await bench.run(absent(accept))
        assert c.RunOutcome.DONE is await bench.run(absent(accept))
        assert AttemptState.REJECTED is (await bench.attempt(accept)).state
        fail = Steps(accept).fail(FAILURE, next_attempt_id="attempt-2", next_token="token-2")
        outcome = await bench.run(fail)
        assert isinstance(outcome, c.NextAttempt)
        assert ["UNKNOWN", "ABSENT", "FAILED_OVER"] == await bench.kinds(accept)

    async def test_an_id_outweighs_absence(self, bench: Bench) -> None:
        """A bound id makes the proof of absence fail."""
        accept = await bench.unknown()
        bound = await bench.run(Steps(accept).bind())
        assert isinstance(bound, c.Bound)
        assert bound.newest == bound.attempt
        assert c.RunOutcome.LOST is await bench.run(absent(accept))
        assert AttemptState.ACCEPTED is (await bench.attempt(accept)).state

    async def test_nobody_judges_a_request_that_may_be_on_its_way(self, bench: Bench) -> None:
        """Before its POST can have ended, absence and giving up are refused."""
        accept = await bench.dispatched()
        await bench.run(Steps(accept).unknown())
        assert c.RunOutcome.LOST is await bench.run(absent(accept))
        assert c.RunOutcome.LOST is await bench.run(Steps(accept).unconfirmed())

    async def test_a_late_picture_is_found_by_the_next_request(self, bench: Bench) -> None:
        """The final job stays as it was told; its money is corrected, and its picture answers from the cache."""
        accept = await bench.given_up()
        await bench.run(Steps(accept).bind(), Steps(accept).result())
        assert await bench.run(late(accept)) is True
        assert await bench.run(late(accept)) is True
        view = await bench.view(accept)
        assert JobState.FAILED is view.job.state
        hit = await bench.run(bench.orders.accept())
        assert isinstance(hit, c.Hit)
        assert (Origin.CACHE, CEILING_NANOS) == (hit.view.job.origin, hit.view.job.avoided_nanos)
        assert [asset(accept.fingerprint).sha256] == [shown.sha256 for _, shown in hit.view.assets]

    async def test_a_late_picture_that_left_is_put_again(self, bench: Bench) -> None:
        """A picture that is promised no more is asked for once more before it is promised again."""
        first, second = await bench.drawn("one"), await bench.given_up("two")
        picture = asset(first.fingerprint)
        await bench.run(c.MarkGone((picture.sha256,)), Steps(second).bind(), Steps(second).result())
        asked = late(second, assets=((0, picture, False),))
        assert c.PutAgain((picture.sha256,)) == await bench.run(asked)
        assert await bench.run(replace(asked, put_again=frozenset({picture.sha256}))) is True

    async def test_a_second_dispatch_of_a_picture_is_told(self, bench: Bench) -> None:
        """An id that comes for an attempt which was passed over names the attempt that was sent meanwhile."""
        accept = await bench.unknown()
        await bench.run(
            absent(accept),
            Steps(accept).fail(FAILURE, next_attempt_id="attempt-2", next_token="token-2"),
            replace(Steps(accept).dispatch(), attempt_id="attempt-2"),
        )
        bound = await bench.run(replace(Steps(accept).bind(), source="WEBHOOK"))
        assert (accept.attempt_id, "attempt-2") == (bound.attempt.id, bound.newest.id)
        assert "DOUBLE_DISPATCH" in await bench.kinds(accept)

    async def test_a_failed_refresh_leaves_the_older_picture(self, bench: Bench) -> None:
        """When a newer render ends without a picture, the one before it answers again."""
        older = await bench.drawn()
        anew = await bench.accepted(cache_mode=c.CacheMode.REFRESH)
        await bench.run(Steps(anew).fail(FAILURE, failover=False))
        for _ in range(2):
            hit = await bench.run(bench.orders.accept())
            assert isinstance(hit, c.Hit)
            assert older.render_id == hit.view.job.render_id

    async def test_what_was_sent_is_remembered(self, bench: Bench) -> None:
        """The dispatch keeps the digest of its input; a post keeps the grade that closed the hold."""
        accept = await bench.dispatched("a boat")
        assert "digest a boat" == (await bench.attempt(accept)).input_digest
        await bench.run(Steps(accept).bind(), Steps(accept).result())
        attempt = await bench.attempt(accept)
        assert attempt.grade is attempt.posted_grade is not Grade.NONE

    # -- operators

    async def test_a_switch_is_set_once(self, bench: Bench) -> None:
        """Running it again answers the same and writes nothing; setting it again changes it and adds to the audit."""
        first = await bench.run(OFF)
        assert first == await bench.run(OFF)
        assert (first,) == await bench.oversight.switches()
        on = replace(OFF, event_id="event-2", state=SwitchState.ON, reason="paid back")
        assert SwitchState.ON is (await bench.run(on)).state
        assert () == await bench.oversight.switches()
        audit = await bench.oversight.audit(AuditQuery(10))
        assert {"event-1", "event-2"} == {event.id for event in audit.events}
        assert {"switch.set"} == {event.action for event in audit.events}

    async def test_a_switch_expires(self, bench: Bench) -> None:
        """After its time it is as if it had not been set."""
        soon = bench.now() + 3_600_000_000
        await bench.run(replace(OFF, expires_at=soon))
        assert [soon] == [one.expires_at for one in await bench.oversight.switches()]
        await bench.pass_time(3601)
        assert () == await bench.oversight.switches()

    async def test_an_operator_adopts_an_id(self, bench: Bench) -> None:
        """The attempt is followed from then on; the same command again changes nothing."""
        accept = await bench.unknown()
        adopt = c.ResolveByHand(
            "event-1", accept.attempt_id, "seen there", "ops", adopt_provider_id="fal-found"
        )
        assert AttemptState.ACCEPTED is (await bench.run(adopt)).state
        before = await bench.view(accept)
        assert AttemptState.ACCEPTED is (await bench.run(adopt)).state
        assert before == await bench.view(accept)
        assert {"fal-found": accept.attempt_id} == await bench.work.bound("fal", ("fal-found", "other"))

    async def test_an_operator_rules_an_attempt_out(self, bench: Bench) -> None:
        """Never accepted, it costs nothing."""
        accept = await bench.unknown()
        await bench.run(c.ResolveByHand("event-1", accept.attempt_id, "not there", "ops", not_accepted=True))
        attempt = await bench.attempt(accept)
        assert (AttemptState.REJECTED, 0) == (attempt.state, attempt.total_nanos)

    async def test_an_operator_settles_an_attempt(self, bench: Bench) -> None:
        """The render ends with exactly that charge."""
        accept = await bench.unknown()
        await bench.run(c.ResolveByHand("event-1", accept.attempt_id, "on the bill", "ops", amount_nanos=7))
        assert (RenderState.FAILED, 7) == (
            (await bench.render(accept)).state,
            (await bench.attempt(accept)).settled_nanos,
        )

    async def test_an_operator_who_is_wrong_is_refused(self, bench: Bench) -> None:
        """Another version, an attempt that is not in doubt, an id of another one, or none: refused, without a trace."""
        accept, other = await bench.unknown("one"), await bench.dispatched("two")
        await bench.run(Steps(other).bind())
        taken = f"fal-{other.attempt_id}"
        for command, error in (
            (c.ResolveByHand("e", accept.attempt_id, "", "ops", version=99, not_accepted=True), EtagMismatch),
            (c.ResolveByHand("e", other.attempt_id, "", "ops", not_accepted=True), EtagMismatch),
            (c.ResolveByHand("e", accept.attempt_id, "", "ops", adopt_provider_id=taken), FieldInvalid),
            (c.ResolveByHand("e", "nobody's", "", "ops", not_accepted=True), JobNotFound),
        ):
            with pytest.raises(error):
                await bench.run(command)
        assert () == (await bench.oversight.audit(AuditQuery(10))).events
