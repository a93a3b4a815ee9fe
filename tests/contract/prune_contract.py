"""What every store promises of retention. `test_recovery.py` binds it."""

from typing import Any

from service.domain import commands as c
from service.domain.queries import AuditQuery
from tests.contract.bench import DAY_SECONDS, FAILURE, Bench
from tests.contract.recovery_contract import OFF
from tests.support.orders import Steps

NOTHING = c.Pruned(0, 0, 0, 0)


def prune(bench: Bench, **days: Any) -> c.Prune:
    """Remove what is older than so many days; nothing of a kind that is not named."""
    limit = days.pop("limit", 100)
    before = {f"{kind}_before": 0 for kind in ("content", "events", "jobs")}
    for kind, count in days.items():
        before[f"{kind}_before"] = int(bench.now() - count * DAY_SECONDS * 1_000_000)
    return c.Prune(**before, limit=limit)


class PruneContract:
    """The suite. The store is empty at the start of each test."""

    async def test_what_is_young_or_open_stays(self, bench: Bench) -> None:
        """Nothing that has not ended is touched at any age, and nothing that ended a moment ago."""
        accepts = [await bench.drawn("drawn"), await bench.unknown("open"), await bench.accepted("held")]
        before = [await bench.view(accept) for accept in accepts]
        assert NOTHING == await bench.run(prune(bench, content=1, events=1, jobs=1))
        assert before == [await bench.view(accept) for accept in accepts]
        await bench.pass_time(2 * DAY_SECONDS)
        open_ones = [await bench.view(accept) for accept in accepts[1:]]
        await bench.run(prune(bench, content=1, jobs=1))
        assert open_ones == [await bench.view(accept) for accept in accepts[1:]]

    async def test_content_goes_and_the_picture_stays(self, bench: Bench) -> None:
        """The prompt is gone after its time; job, receipt and cache are not."""
        accept = await bench.drawn()
        await bench.pass_time(2 * DAY_SECONDS)
        before = await bench.view(accept)
        assert c.Pruned(1, 0, 0, 0) == await bench.run(prune(bench, content=1))
        assert NOTHING == await bench.run(prune(bench, content=1))
        after = await bench.view(accept)
        assert after.render is not None
        assert "" == after.render.content
        assert (before.job, before.assets, before.version) == (after.job, after.assets, after.version)
        assert [a.settled_nanos for a in before.attempts] == [a.settled_nanos for a in after.attempts]
        found = bench.orders.accept()
        outcome = await bench.run(found)
        if isinstance(outcome, c.NeedsCheck):  # it was not looked at for two days
            await bench.run(c.MarkSeen(tuple(one.sha256 for one in outcome.assets)))
            outcome = await bench.run(found)
        assert isinstance(outcome, c.Hit)
        assert accept.render_id == outcome.view.job.render_id

    async def test_events_go_and_the_audit_stays(self, bench: Bench) -> None:
        """The unusual moments of renders are removed by age; what operators did never is."""
        accept = await bench.unknown()
        await bench.run(OFF)
        await bench.pass_time(2 * DAY_SECONDS)
        assert c.Pruned(0, 1, 0, 0) == await bench.run(prune(bench, events=1))
        assert [] == await bench.kinds(accept)
        assert 1 == len((await bench.oversight.audit(AuditQuery(10))).events)

    async def test_jobs_go_with_their_renders(self, bench: Bench) -> None:
        """A failed render goes with its last job, while the books still know what was paid; evidence of it stays."""
        first = await bench.accepted(labels=(("team", "ads"),))
        second = await bench.accepted()
        await bench.run(Steps(first).fail(FAILURE, failover=False))
        anew = await bench.dispatched("a boat", cache_mode=c.CacheMode.BYPASS)
        await bench.run(Steps(anew).bind(), Steps(anew).result(), Steps(anew).finish())
        await bench.pass_time(2 * DAY_SECONDS)
        pruned = await bench.run(prune(bench, jobs=1))
        assert 3 == pruned.jobs
        for accept in (first, second, anew):
            assert await bench.jobs.view(accept.job_id) is None
        assert {f"fal-{anew.attempt_id}": anew.attempt_id} == await bench.work.bound(
            "fal", (f"fal-{anew.attempt_id}",)
        )
        assert isinstance(await bench.run(bench.orders.accept()), c.New)

    async def test_a_render_stays_for_its_youngest_job(self, bench: Bench) -> None:
        """A job that found an old picture keeps it in sight, though the job that paid has gone."""
        paid = await bench.drawn()
        await bench.pass_time(2 * 3600)
        found = await bench.accepted()
        await bench.pass_time(DAY_SECONDS - 3600)
        assert c.Pruned(1, 0, 1, 0) == await bench.run(prune(bench, jobs=1))
        assert await bench.jobs.view(paid.job_id) is None
        assert 1 == len((await bench.view(found)).assets)

    async def test_a_prune_is_bounded(self, bench: Bench) -> None:
        """No more of a kind than its limit at once; what is left goes with the next ones."""
        for number in range(5):
            accept = await bench.accepted(f"subject {number}", cache_mode=c.CacheMode.BYPASS)
            await bench.run(Steps(accept).fail(FAILURE, failover=False))
        await bench.pass_time(2 * DAY_SECONDS)
        told = [await bench.run(prune(bench, content=1, jobs=1, limit=2)) for _ in range(4)]
        assert [2, 2, 1, 0] == [one.jobs for one in told]
        assert [2, 2, 1, 0] == [one.renders for one in told]
