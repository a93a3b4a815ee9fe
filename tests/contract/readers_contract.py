"""What every reader of work and of oversight promises. `test_recovery.py` binds it."""

import json
from dataclasses import replace

from service.domain import commands as c
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.queries import AttemptQuery, AuditQuery
from tests.contract.bench import DAY_SECONDS, FAILURE, Bench, absent
from tests.support.orders import Steps


class ReadersContract:
    """The suite. The store is empty at the start of each test."""

    # -- what is to be done

    async def test_jobs_are_due_when_their_deadline_has_passed(self, bench: Bench) -> None:
        """Those that are final, or have time left, are not."""
        due = await bench.accepted("due", job_timeout_micros=1_000_000)
        await bench.accepted("later", job_timeout_micros=3_600_000_000)
        await bench.accepted("never")
        cancelled = await bench.accepted("cancelled", job_timeout_micros=1_000_000)
        await bench.run(c.Cancel(cancelled.job_id, None))
        assert () == await bench.work.due_jobs(10)
        await bench.pass_time(2)
        assert (due.job_id,) == await bench.work.due_jobs(10)

    async def test_strays_are_ones_own_the_dead_ones_and_the_overdue(self, bench: Bench) -> None:
        """Oldest first, with their fences; what a living replica works on in time is nobody else's, what has ended neither."""
        own, dead, living, ended = [
            await bench.accepted(owner, owner=owner) for owner in ("me", "gone", "alive", "done")
        ]
        await bench.run(Steps(ended).fail(FAILURE, failover=False))
        await bench.run(c.Heartbeat("me"), c.Heartbeat("alive"))
        assert ((own.render_id, 1), (dead.render_id, 1)) == await bench.work.strays("me", 10)
        assert ((own.render_id, 1),) == await bench.work.strays("me", 1)
        await bench.pass_time(2 * 3600)
        await bench.run(c.Heartbeat("me"), c.Heartbeat("alive"))
        found = {render_id for render_id, _ in await bench.work.strays("me", 10)}
        assert {own.render_id, dead.render_id, living.render_id} == found

    async def test_renders_are_overdue_past_their_next_step(self, bench: Bench) -> None:
        """The longest overdue first; what has ended never is."""
        sent, held, ended = (
            await bench.dispatched("sent"),
            await bench.accepted("held"),
            await bench.drawn("ended"),
        )
        assert () == await bench.work.overdue(10)
        await bench.pass_time(2 * 3600)
        assert (sent.render_id, held.render_id) == await bench.work.overdue(10)
        assert (sent.render_id,) == await bench.work.overdue(1)
        assert ended.render_id not in await bench.work.overdue(10)

    async def test_a_token_leads_to_its_render(self, bench: Bench) -> None:
        """The payer's view; nobody's token leads nowhere."""
        accept = await bench.dispatched()
        await bench.accepted()
        assert await bench.view(accept) == await bench.work.attempt_of_token(accept.token)
        assert await bench.work.attempt_of_token("nobody's") is None

    async def test_ids_that_are_bound_are_known(self, bench: Bench) -> None:
        """By provider; an id of another provider is another id."""
        accept = await bench.dispatched()
        await bench.run(replace(Steps(accept).bind(), provider_id="one", aliases=("two",)))
        wanted = ("one", "two", "three")
        expected = {"one": accept.attempt_id, "two": accept.attempt_id}
        assert expected == await bench.work.bound("fal", wanted)
        assert {} == await bench.work.bound("replicate", wanted)
        assert {} == await bench.work.bound("fal", ())

    async def test_unresolved_are_those_whose_fate_is_not_known(self, bench: Bench) -> None:
        """With the same input at the same endpoint: being sent, in doubt or given up; oldest dispatch first."""
        given_up = await bench.given_up("same", cache_mode=c.CacheMode.BYPASS)
        bound, refused, unknown, sent = [
            await bench.dispatched("same", cache_mode=c.CacheMode.BYPASS) for _ in range(4)
        ]
        await bench.dispatched("other")
        await bench.run(Steps(bound).bind(), c.Reject(refused.attempt_id, FAILURE), Steps(unknown).unknown())
        found = await bench.work.unresolved("fal", "house/one", "digest same")
        assert {given_up.attempt_id, unknown.attempt_id, sent.attempt_id} == {one.id for one in found}
        assert sorted(one.dispatched_at or 0 for one in found) == [one.dispatched_at for one in found]
        assert given_up.attempt_id == found[0].id
        assert () == await bench.work.unresolved("replicate", "house/one", "digest same")
        assert () == await bench.work.unresolved("fal", "house/two", "digest same")

    async def test_late_are_ended_renders_of_which_more_may_be_learnt(self, bench: Bench) -> None:
        """Given up; bound after a judgement; drawn and not kept. What ended with its picture, or for nothing, is over."""
        await bench.drawn("drawn")
        cancelled = await bench.accepted("never sent")
        await bench.run(c.Cancel(cancelled.job_id, None))
        given_up = await bench.given_up("given up")
        found_again = await bench.unknown("found again")
        await bench.run(
            absent(found_again),
            Steps(found_again).fail(FAILURE, failover=False),
            replace(Steps(found_again).bind(), source="WEBHOOK"),
        )
        lost = await bench.dispatched("lost")
        lasting = replace(Steps(lost).result(), result_expires_in_micros=3_600_000_000)
        await bench.run(Steps(lost).bind(), lasting, Steps(lost).fail(FAILURE, failover=False))
        expected = [lost.job_id, found_again.job_id, given_up.job_id]
        assert expected == [view.job.id for view in await bench.work.late(10)]
        assert expected[:2] == [view.job.id for view in await bench.work.late(2)]
        await bench.pass_time(2 * 3600)
        assert expected[1:] == [view.job.id for view in await bench.work.late(10)]
        await bench.pass_time(DAY_SECONDS)
        assert () == await bench.work.late(10)

    # -- what operators look at

    async def test_attempts_are_found_by_everything_that_may_be_asked(self, bench: Bench) -> None:
        """Each restriction alone finds exactly what it names, oldest dispatch first."""
        unknown = await bench.unknown("unknown")
        accepted = await bench.dispatched("accepted", project="other", scope="other")
        await bench.run(Steps(accepted).bind())
        at = (await bench.attempt(accepted)).dispatched_at or 0
        both, first, second = (
            [unknown.attempt_id, accepted.attempt_id],
            [unknown.attempt_id],
            [accepted.attempt_id],
        )
        for query, expected in (
            (AttemptQuery(10), both),
            (AttemptQuery(1), first),
            (AttemptQuery(10, states=("UNKNOWN",)), first),
            (AttemptQuery(10, states=("UNKNOWN", "ACCEPTED")), both),
            (AttemptQuery(10, states=("REJECTED",)), []),
            (AttemptQuery(10, provider="fal", route="fal-one"), both),
            (AttemptQuery(10, provider="replicate"), []),
            (AttemptQuery(10, route="another"), []),
            (AttemptQuery(10, project="other"), second),
            (AttemptQuery(10, job_id=unknown.job_id), first),
            (AttemptQuery(10, job_id="nobody's"), []),
            (AttemptQuery(10, dispatched_from=at), second),
            (AttemptQuery(10, dispatched_before=at), first),
        ):
            found = await bench.oversight.attempts(query)
            assert expected == [one.attempt.id for one in found], query
        last = (await bench.oversight.attempts(AttemptQuery(1)))[0].attempt
        rest = await bench.oversight.attempts(AttemptQuery(10, after=(last.dispatched_at or 0, last.id)))
        assert second == [one.attempt.id for one in rest]

    async def test_an_attempt_shows_all_its_names(self, bench: Bench) -> None:
        """The canonical id first, then the aliases; with its render."""
        accept = await bench.dispatched()
        await bench.run(replace(Steps(accept).bind(), provider_id="z", aliases=("a", "b")))
        shown = await bench.oversight.attempt(accept.attempt_id)
        assert shown is not None
        assert (accept.render_id, ("z", "a", "b")) == (shown.render.id, shown.provider_ids)
        assert await bench.attempt(accept) == shown.attempt
        assert await bench.oversight.attempt("nobody's") is None

    async def test_switches_are_listed_in_order(self, bench: Bench) -> None:
        """By scope and target, as far as they take anything out of use."""
        wanted = [
            (SwitchScope.PROVIDER, "fal", SwitchState.DRAIN),
            (SwitchScope.DISPATCH, "", SwitchState.OFF),
            (SwitchScope.ROUTE, "fal/one", SwitchState.ON),
            (SwitchScope.PROVIDER, "a", SwitchState.OFF),
        ]
        for number, (scope, target, state) in enumerate(wanted):
            await bench.run(c.SetSwitch(f"event-{number}", scope, target, state, None, "why", "ops"))
        shown = [(one.scope, one.target, one.state) for one in await bench.oversight.switches()]
        assert [wanted[1], wanted[3], wanted[0]] == shown

    async def test_the_audit_is_paged_newest_first(self, bench: Bench) -> None:
        """Each restriction finds exactly what it names; pages have no gaps and no repeats."""
        for number, by in enumerate(("ann", "ben", "ann")):
            switch = c.SetSwitch(
                f"event-{number}", SwitchScope.PROJECT, f"p{number}", SwitchState.OFF, None, "why", by
            )
            await bench.run(switch)
            await bench.pass_time(0.001)
        everything = (await bench.oversight.audit(AuditQuery(10))).events
        assert ["event-2", "event-1", "event-0"] == [one.id for one in everything]
        assert everything[1].reason == "why"
        assert isinstance(json.loads(everything[1].details), dict)
        middle = everything[1]
        for query, expected in (
            (AuditQuery(10, actor="ann"), {"event-2", "event-0"}),
            (AuditQuery(10, action="switch.set"), {"event-0", "event-1", "event-2"}),
            (AuditQuery(10, action="another"), set()),
            (AuditQuery(10, target=middle.target), {"event-1"}),
            (AuditQuery(10, at_from=middle.at), {"event-1", "event-2"}),
            (AuditQuery(10, at_before=middle.at), {"event-0"}),
            (AuditQuery(10, after=(middle.at, middle.id)), {"event-0"}),
            (AuditQuery(1), {"event-2"}),
        ):
            assert expected == {one.id for one in (await bench.oversight.audit(query)).events}, query

    async def test_events_are_told_oldest_first(self, bench: Bench) -> None:
        """Of this render only."""
        accept, other = await bench.unknown("one"), await bench.unknown("two")
        await bench.run(absent(accept))
        events = await bench.jobs.events(accept.render_id)
        assert ["UNKNOWN", "ABSENT"] == [one.kind for one in events]
        assert sorted(one.at for one in events) == [one.at for one in events]
        assert ["UNKNOWN"] == [one.kind for one in await bench.jobs.events(other.render_id)]
        assert () == await bench.jobs.events("nobody's")
