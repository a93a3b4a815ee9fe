"""A disk without room: callers are told in time, evidence waits, nothing is blamed on a command, and all goes on by itself."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from service.clock import SystemClock
from service.database.lane import Watcher
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.errors import StoreUnavailable
from tests.support.clock import SeededDice
from tests.support.orders import Orders, Steps

_UNLIMITED = 2**30
_LARGE = "x" * 1_000_000
"""More than the pages that lie free in a small file."""


class Causes(Watcher):
    """Why batches were repeated."""

    def __init__(self) -> None:
        self.causes: set[str] = set()

    def replayed(self, cause: str) -> None:
        """Remember it."""
        self.causes.add(cause)


@dataclass
class Disk:
    """A database whose file can be kept from growing."""

    database: Database
    causes: Causes
    full: bool = False

    def begin(self, connection: Connection) -> None:
        """Before each batch: no page more than there are, or as many as it likes."""
        cursor = connection.connection.cursor()
        pages = cursor.execute("PRAGMA page_count").fetchone()[0] if self.full else _UNLIMITED
        cursor.execute(f"PRAGMA max_page_count = {pages}")


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    clock, causes = SystemClock(), Causes()
    database = open_database(f"sqlite:///{tmp_path}/books.db", clock, lambda: 1.0, watcher=causes)
    made = Disk(database, causes)
    event.listen(database.store._engine, "begin", made.begin)
    await database.start()
    yield made
    made.full = False
    await database.stop()


async def test_a_full_disk_costs_time_only(disk: Disk) -> None:
    """Requests are refused as unavailable, and may be sent again; evidence is kept until it is written."""
    store, orders = disk.database.store, Orders(SeededDice(4))
    running = orders.accept("running")
    for command in Steps(running).all()[:3]:
        await store.execute(command)
    disk.full = True
    result = replace(Steps(running).result(), result=f'{{"outputs":[],"notices":["{_LARGE}"]}}')
    told = asyncio.ensure_future(store.execute(result))
    requests = [orders.accept(f"picture {number}", content=_LARGE) for number in range(3)]
    refused = await asyncio.gather(*(store.execute(one) for one in requests), return_exceptions=True)
    assert [StoreUnavailable] * 3 == [type(one) for one in refused]
    assert not told.done()
    assert {"RECONNECT"} == disk.causes.causes
    with pytest.raises(StoreUnavailable):
        await disk.database.ready()
    disk.full = False
    assert "SUCCEEDED" == (await told).state.value
    await disk.database.ready()
    for one in requests:
        assert isinstance(await store.execute(one), c.New)
    assert () == await disk.database.ledger.verify()


async def test_readers_read_on(disk: Disk) -> None:
    """What is there can be seen though nothing can be added."""
    accept = Orders(SeededDice(4)).accept()
    await disk.database.store.execute(accept)
    disk.full = True
    more = Orders(SeededDice(5)).accept("more", content=_LARGE)
    adding = asyncio.ensure_future(disk.database.store.execute(more))
    view = await disk.database.jobs.view(accept.job_id)
    assert view is not None
    disk.full = False
    assert isinstance(await adding, c.New)
