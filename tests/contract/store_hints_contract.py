"""What every store promises of wake-ups where they are heard, and of watching where every one of them is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.core.logfeed import LogFeed
from service.core.requests import WatchEvent
from service.core.watch import Watches
from service.database.open import Database
from service.domain import commands as c
from service.domain.records import JobState
from service.domain.view import JobView
from service.metrics import Metrics
from tests.contract.bench import FAILURE
from tests.support.orders import Orders, Steps

WATCH_SECONDS_MAX = 30.0


class StoreHintsContract:
    """The suite for a store whose hints are heard."""

    @pytest.fixture
    def orders(self) -> Orders:
        return Orders()

    async def test_a_change_wakes_who_listens(self, opened: Database, orders: Orders) -> None:
        """A commit that changes a job or render hints at it; others are left asleep."""
        accept = orders.accept()
        with (
            opened.hints.subscribe(accept.job_id) as job,
            opened.hints.subscribe(accept.render_id) as render,
            opened.hints.subscribe("another") as other,
        ):
            await opened.store.execute(accept)
            assert await job.wait(5.0)
            assert await render.wait(5.0)
            assert not await other.wait(0.0)

    async def test_others_may_be_woken_too(self, opened: Database) -> None:
        """A hint that no commit gave wakes its listeners like any other."""
        with opened.hints.subscribe("poke:a render") as poked, opened.hints.subscribe("else") as other:
            opened.hints.publish(("poke:a render",))
            assert await poked.wait(5.0)
            assert not await other.wait(0.0)


def watches(opened: Database) -> Watches:
    """The use case of watching, on the rows of this database."""
    return Watches(opened.jobs, opened.hints, LogFeed(), SystemClock(), Metrics(CollectorRegistry()))


async def last_seen(events: AsyncIterator[WatchEvent]) -> list[JobView]:
    """The versions that a watch shows, until it ends."""
    async with asyncio.timeout(WATCH_SECONDS_MAX):
        return [event async for event in events if isinstance(event, JobView)]


class WatchContract:
    """The suite for every store, heard or not. `elsewhere` is the same database as another replica has it, where there is one."""

    @pytest.fixture
    def orders(self) -> Orders:
        return Orders()

    @pytest.fixture
    def elsewhere(self, opened: Database) -> Database:
        """Where it is watched."""
        return opened

    async def test_a_watch_sees_the_picture(
        self, opened: Database, elsewhere: Database, orders: Orders
    ) -> None:
        """Versions grow from the first look to the final job, whoever tells of them or not."""
        accept = orders.accept()
        await opened.store.execute(accept)
        seen = asyncio.ensure_future(last_seen(watches(elsewhere).watch(accept.job_id, None, 0)))
        for command in Steps(accept).all()[1:]:
            await opened.store.execute(command)
        versions = await seen
        assert JobState.SUCCEEDED is versions[-1].job.state
        assert sorted({view.version for view in versions}) == [view.version for view in versions]

    async def test_a_watch_sees_the_failure(
        self, opened: Database, elsewhere: Database, orders: Orders
    ) -> None:
        """A job that ends without a picture ends its watch as well."""
        accept = orders.accept()
        await opened.store.execute(accept)
        seen = asyncio.ensure_future(last_seen(watches(elsewhere).watch(accept.job_id, None, 0)))
        await opened.store.execute(Steps(accept).fail(FAILURE, failover=False))
        assert JobState.FAILED is (await seen)[-1].job.state

    async def test_a_watch_sees_the_cancel(
        self, opened: Database, elsewhere: Database, orders: Orders
    ) -> None:
        """So does a job that is cancelled elsewhere."""
        accept = orders.accept()
        await opened.store.execute(accept)
        seen = asyncio.ensure_future(last_seen(watches(elsewhere).watch(accept.job_id, None, 0)))
        await opened.store.execute(c.Cancel(accept.job_id, None))
        assert JobState.CANCELLED is (await seen)[-1].job.state
