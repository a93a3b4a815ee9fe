"""The reads and writes of reconciliation, held to one contract: in memory, on a SQLite file, by two replicas on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from service.clock import SystemClock
from service.database.open import Database, open_database
from tests.contract.books_contract import Books, BooksContract
from tests.support.books import faults
from tests.support.clock import FakeClock
from tests.support.memory_books import MemoryBooks
from tests.support.memory_store import MemoryStore
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url"]


async def _opened(stack: AsyncExitStack, url: str) -> Database:
    database = open_database(url, SystemClock(), lambda: 1.0)
    stack.push_async_callback(database.stop)
    await database.start()
    return database


class TestMemory(BooksContract):
    """What the core's tests run on keeps the same promises."""

    @pytest.fixture
    async def books(self) -> AsyncIterator[Books]:
        """Dictionaries; the books are checked at the end."""
        clock = FakeClock()
        store = MemoryStore(clock)
        yield Books((store,), MemoryBooks(store))
        assert [] == faults(store.tables)


class TestSqlite(BooksContract):
    """A file of its own."""

    @pytest.fixture
    async def books(self, tmp_path: Path) -> AsyncIterator[Books]:
        """An empty database; its books are checked at the end."""
        async with AsyncExitStack() as stack:
            database = await _opened(stack, f"sqlite:///{tmp_path}/books.db")
            yield Books((database.store,), database.reconciled)
            assert () == await database.ledger.verify()


class TestPostgres(BooksContract):
    """A real server, and two replicas on it."""

    @pytest.fixture
    async def books(self, postgres_url: str) -> AsyncIterator[Books]:
        """An empty database; its books are checked at the end."""
        async with AsyncExitStack() as stack:
            databases = [await _opened(stack, postgres_url) for _ in range(2)]
            yield Books(tuple(one.store for one in databases), databases[0].reconciled)
            assert () == await databases[0].ledger.verify()
