"""A PostgreSQL that is restarted under its replicas: lanes, readers and hints find it again by themselves."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from service.clock import SystemClock
from service.database.engine import Address
from service.database.lane import Watcher
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.errors import StoreUnavailable
from tests.chaos.processes import Postgres, postgres
from tests.support.clock import SeededDice
from tests.support.orders import Orders, Steps
from tests.support.postgres import postgres_folder

__all__ = ["postgres_folder"]

BACK_SECONDS_MAX = 30.0


class Causes(Watcher):
    """Why batches were repeated."""

    def __init__(self) -> None:
        self.causes: set[str] = set()

    def replayed(self, cause: str) -> None:
        """Remember it."""
        self.causes.add(cause)


@pytest.fixture
def server(postgres_folder: Path) -> Iterator[tuple[Postgres, str]]:
    """The server of the other tests, restarted between them, and an empty database in it."""
    with postgres() as running:
        yield running


async def _heard(here: Database, there: Database) -> None:
    """Wait until a hint from here is heard there."""
    async with asyncio.timeout(BACK_SECONDS_MAX):
        with there.hints.subscribe("poke:again") as subscription:
            here.hints.publish(("poke:again",))
            while not await subscription.wait(0.2):
                here.hints.publish(("poke:again",))


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_costs_time_only(server: tuple[Postgres, str], mode: str) -> None:
    """Evidence handed in while the server is away is committed, requests are taken again, rows are read, hints are heard."""
    running, url = server
    clock, causes, orders = SystemClock(), Causes(), Orders(SeededDice(6))
    here, there = (open_database(url, clock, lambda: 1.0, watcher=causes) for _ in range(2))
    await here.start()
    await there.start()
    try:
        await _heard(here, there)
        accept = orders.accept()
        for command in Steps(accept).all()[:3]:
            await here.store.execute(command)
        assert await there.jobs.view(accept.job_id) is not None
        restarting = asyncio.ensure_future(running.restart(mode))
        while not restarting.done():
            await _look(here, accept)
        told = await here.store.execute(Steps(accept).result())
        await restarting
        assert told.ended_at is not None
        async with asyncio.timeout(BACK_SECONDS_MAX):
            while await _look(there, accept) is None:
                pass
            await there.store.execute(Steps(accept).finish())
            await here.ready()
        await _heard(here, there)
        await _heard(there, here)
        assert {"RECONNECT"} >= causes.causes
        assert () == await there.ledger.verify()
    finally:
        await here.stop()
        await there.stop()


async def _look(database: Database, accept: c.Accept) -> object:
    try:
        return await database.jobs.view(accept.job_id)
    except StoreUnavailable:
        await asyncio.sleep(0.05)
        return None


async def test_a_listener_that_is_cut_again_and_again_hears_in_the_end(server: tuple[Postgres, str]) -> None:
    """Connections that end while others are being made leave no ear that listens to a closed one."""
    _, url = server
    clock = SystemClock()
    here, there = (open_database(url, clock, lambda: 1.0) for _ in range(2))
    await here.start()
    await there.start()
    try:
        with psycopg.connect(Address(url).driver_url, autocommit=True) as watch:
            for _ in range(3):
                await _heard(here, there)
                watch.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                for _ in range(20):
                    here.hints.publish(("poke:lost",))
                    there.hints.publish(("poke:lost",))
                    await asyncio.sleep(0)
        await _heard(here, there)
        await _heard(there, here)
    finally:
        await here.stop()
        await there.stop()


async def test_a_start_without_a_server_says_so_in_a_sentence_without_secrets() -> None:
    """Nobody listens: StoreUnavailable names the address, and not the password."""
    database = open_database(
        "postgresql://lightmeter:a-secret@127.0.0.1:1/lightmeter", SystemClock(), lambda: 1.0
    )
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/lightmeter cannot be reached") as caught:
        await database.start()
    await database.stop()
    assert "a-secret" not in str(caught.value)
