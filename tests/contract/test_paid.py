"""Readers of paid renders held to their contract: in memory, on a SQLite file, and on a real PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.clock import SystemClock, SystemDice
from service.database.open import Database, open_database
from service.ports import PaidReader, Store
from tests.contract.paid_contract import PaidContract
from tests.support.clock import FakeClock
from tests.support.memory_paid import MemoryPaid
from tests.support.memory_store import MemoryStore
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url"]


class TestMemory(PaidContract):
    """The one of unit tests."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore(FakeClock())

    @pytest.fixture
    def paid(self, store: MemoryStore) -> PaidReader:
        return MemoryPaid(store)


class OnDatabase(PaidContract):
    """What both engines need."""

    @pytest.fixture
    async def opened(self, url: str) -> AsyncIterator[Database]:
        """An empty database."""
        clock = SystemClock()
        database = open_database(url, clock, SystemDice(clock.now).jitter)
        await database.start()
        yield database
        await database.stop()

    @pytest.fixture
    def store(self, opened: Database) -> Store:
        return opened.store

    @pytest.fixture
    def paid(self, opened: Database) -> PaidReader:
        return opened.paid


class TestSqlite(OnDatabase):
    """A file of its own."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/books.db"


class TestPostgres(OnDatabase):
    """A database of its own on a real server."""

    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
