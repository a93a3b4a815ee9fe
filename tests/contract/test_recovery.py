"""Recovery, retention and their readers, held to one contract: in memory, on a SQLite file, and on a real PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from service.clock import SystemClock
from service.database.engine import Address
from service.database.open import open_database
from tests.contract.bench import Bench
from tests.contract.prune_contract import PruneContract
from tests.contract.readers_contract import ReadersContract
from tests.contract.recovery_contract import RecoveryContract
from tests.database.ageing import age
from tests.support.books import faults
from tests.support.clock import FakeClock
from tests.support.memory_store import MemoryReader, MemoryStore
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url"]


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Bench]:
    clock = SystemClock()
    database = open_database(url, clock, lambda: 1.0)
    await database.start()
    try:
        yield Bench(
            database.jobs,
            database.store,
            database.work,
            database.oversight,
            partial(age, Address(url)),
            clock.now,
        )
        assert () == await database.ledger.verify()
    finally:
        await database.stop()


def _in_memory() -> tuple[Bench, MemoryStore]:
    clock = FakeClock()
    store = MemoryStore(clock)
    reader = MemoryReader(store, clock)

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds)

    return Bench(reader, store, reader, reader, pass_time, clock.now), store


class TestMemory(RecoveryContract, ReadersContract):
    """The store that the core's tests run on keeps the same promises."""

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        """Dictionaries; the books are checked at the end."""
        bench, store = _in_memory()
        yield bench
        assert [] == faults(store.tables)


class TestMemoryPrune(PruneContract):
    """The same of retention; the check of books in memory wants every job that it counts."""

    @pytest.fixture
    def bench(self) -> Bench:
        """Dictionaries."""
        return _in_memory()[0]


class TestSqlite(RecoveryContract, ReadersContract, PruneContract):
    """A file of its own."""

    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        """An empty database; its books are checked at the end."""
        async with _opened(f"sqlite:///{tmp_path}/books.db") as bench:
            yield bench


class TestPostgres(RecoveryContract, ReadersContract, PruneContract):
    """A real server."""

    @pytest.fixture
    async def bench(self, postgres_url: str) -> AsyncIterator[Bench]:
        """An empty database; its books are checked at the end."""
        async with _opened(postgres_url) as bench:
            yield bench
