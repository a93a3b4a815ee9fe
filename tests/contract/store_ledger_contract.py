"""What every store promises about budgets, replicas, totals and lists. `test_store.py` binds it too."""

from dataclasses import replace

import pytest

from service.database.open import Database
from service.domain import commands as c
from service.domain.errors import BudgetExceeded, EtagMismatch
from service.domain.queries import CostBasis, CostQuery, Interval, JobQuery
from service.domain.records import Period
from tests.contract.store_contract import LABELS, seen, spent_and_held
from tests.support.orders import CEILING_NANOS, Orders, Steps, draw


class StoreLedgerContract:
    """The suite. The database is empty at the start."""

    @pytest.fixture
    def orders(self) -> Orders:
        return Orders()

    # -- budgets

    async def test_a_new_budget_knows_what_is_spent_and_held(self, opened: Database, orders: Orders) -> None:
        """It counts what its project did in the window before it was made, and follows it to its end."""
        await draw(opened.store, orders.accept("drawn"))
        open_one, foreign = orders.accept("open"), orders.accept("foreign", project="other", scope="other")
        await opened.store.execute(open_one)
        await opened.store.execute(foreign)
        await opened.store.execute(orders.budget(2 * CEILING_NANOS))
        assert [(CEILING_NANOS, CEILING_NANOS)] == await spent_and_held(opened)
        with pytest.raises(BudgetExceeded):
            await opened.store.execute(orders.accept("one more"))
        for command in Steps(open_one).all()[1:]:
            await opened.store.execute(command)
        assert [(2 * CEILING_NANOS, 0)] == await spent_and_held(opened)

    async def test_a_label_budget_counts_its_label_only(self, opened: Database, orders: Orders) -> None:
        """New or old, it sees jobs with its value of the label and no others."""
        ads, other = orders.accept("a", labels=LABELS), orders.accept("b", labels=(("team", "shop"),))
        await opened.store.execute(ads)
        await opened.store.execute(other)
        await opened.store.execute(
            orders.budget(2 * CEILING_NANOS, label_key="team", label_value="ads", period=Period.DAY)
        )
        assert [(0, CEILING_NANOS)] == await spent_and_held(opened)
        await opened.store.execute(orders.accept("c", labels=LABELS))
        with pytest.raises(BudgetExceeded):
            await opened.store.execute(orders.accept("d", labels=LABELS))
        assert isinstance(await opened.store.execute(orders.accept("e")), c.New)

    async def test_a_budget_changes_only_as_seen(self, opened: Database, orders: Orders) -> None:
        """A stale revision is refused; the same change again is the same change; deleting ends it."""
        made = await opened.store.execute(orders.budget(1))
        change = orders.budget(2, revision=1)
        assert 2 == (await opened.store.execute(change)).revision
        assert 2 == (await opened.store.execute(change)).revision
        with pytest.raises(EtagMismatch):
            await opened.store.execute(orders.budget(3, revision=1))
        delete = c.DeleteBudget(made.id, orders.dice.new_id(), "tests", revision=2)
        assert (await opened.store.execute(delete)).live is False
        assert (await opened.store.execute(delete)).live is False
        assert () == await opened.ledger.budgets("growth")
        assert isinstance(await opened.store.execute(orders.accept()), c.New)

    # -- around it

    async def test_ordinals_are_small_and_kept(self, opened: Database) -> None:
        """Each replica has the smallest free ordinal, and keeps it with every beat."""
        ordinals = [await opened.store.execute(c.Heartbeat(name)) for name in ("one", "two", "three", "two")]
        assert [0, 1, 2, 1] == ordinals

    async def test_somebody_living_has_the_ordinal_0(self, opened: Database) -> None:
        """When the replica with 0 is gone the next one that beats takes it, once: what only one replica does goes on."""
        for name in ("one", "two", "three"):
            await opened.store.execute(c.Heartbeat(name))
        await opened.store.execute(c.Heartbeat("one", leaving=True))
        ordinals = [await opened.store.execute(c.Heartbeat(name)) for name in ("three", "two", "three")]
        assert [0, 1, 0] == ordinals

    async def test_a_stray_is_taken_over_once(self, opened: Database, orders: Orders) -> None:
        """A render of a replica without a lease goes to who asks first; its old owner can act no more."""
        stray = orders.accept(owner="gone")
        await opened.store.execute(stray)
        for name in ("one", "two"):
            await opened.store.execute(c.Heartbeat(name))
        found = await opened.work.strays("one", 10)
        assert ((stray.render_id, 1),) == found
        assert (stray.job_id,) == await opened.store.execute(c.TakeOver(found, "one"))
        assert () == await opened.store.execute(c.TakeOver(found, "two"))
        assert () == await opened.work.strays("two", 10)
        dispatch = Steps(stray).dispatch()
        assert c.RunOutcome.LOST is await opened.store.execute(dispatch)
        render = (await seen(opened, stray)).render
        assert render is not None
        assert isinstance(
            await opened.store.execute(replace(dispatch, owner="one", fence=render.fence)), c.Send
        )

    async def test_totals_follow_every_job_and_charge(self, opened: Database, orders: Orders) -> None:
        """Jobs, pictures, charged and avoided money in a report equal what was done, whole and by label."""
        for subject in ("a", "a", "b"):
            await self._draw_or_find(opened, orders.accept(subject, labels=LABELS))
        now = (await opened.ledger.snapshot()).as_of
        hour = 3_600_000_000
        start = now // hour * hour
        query = CostQuery(start - hour, start + hour, CostBasis.USAGE, Interval.TOTAL, ("origin",))
        report = await opened.ledger.costs(query)
        figures = {row.group[0]: row.figures for row in report.rows}
        assert (2, 1) == (figures["PROVIDER"].jobs, figures["CACHE"].jobs)
        assert (2 * CEILING_NANOS, CEILING_NANOS) == (report.total.net_nanos, report.total.avoided_nanos)
        assert (3, 3) == (report.total.images, sum(report.total.buckets))
        by_label = await opened.ledger.costs(replace(query, group_by=("label",), label_key="team"))
        assert [("ads",)] == [row.group for row in by_label.rows]
        assert report.total.net_nanos == by_label.total.net_nanos

    async def _draw_or_find(self, opened: Database, accept: c.Accept) -> None:
        if isinstance(await opened.store.execute(accept), c.New):
            for command in Steps(accept).all()[1:]:
                await opened.store.execute(command)

    async def test_newest_jobs_are_listed_at_once(self, opened: Database, orders: Orders) -> None:
        """Newest first shows a job that was taken just now; oldest first waits until nothing can appear below."""
        accepts = [orders.accept(f"picture {number}") for number in range(3)]
        for accept in accepts:
            await opened.store.execute(accept)
        newest = await opened.jobs.page(JobQuery("growth", 2))
        assert [accepts[2].job_id, accepts[1].job_id] == [view.job.id for view in newest.views]
        last = newest.views[-1].job
        rest = await opened.jobs.page(JobQuery("growth", 2, after=(last.accepted_at, last.id)))
        assert [accepts[0].job_id] == [view.job.id for view in rest.views]
        assert () == (await opened.jobs.page(JobQuery("growth", 2, newest_first=False))).views
