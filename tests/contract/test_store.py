"""The store on both engines, each held to the contract: a SQLite file, and a real PostgreSQL; and both once more with every
notification lost.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.clock import SystemClock, SystemDice
from service.database.hints import LocalHints
from service.database.open import Database, open_database
from tests.contract.store_contract import StoreContract
from tests.contract.store_hints_contract import StoreHintsContract, WatchContract
from tests.contract.store_ledger_contract import StoreLedgerContract
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url"]


class LostHints(LocalHints):
    """Hints that reach nobody."""

    def publish(self, keys: tuple[str, ...]) -> None:
        """Lose them."""


@asynccontextmanager
async def _opened(url: str, hints: LocalHints | None = None) -> AsyncIterator[Database]:
    clock = SystemClock()
    database = open_database(
        url, clock, SystemDice(clock.now).jitter, reporting_labels={"growth": ("team",)}, hints=hints
    )
    await database.start()
    try:
        yield database
        assert () == await database.ledger.verify()
    finally:
        await database.stop()


class TestSqlite(StoreContract, StoreLedgerContract, StoreHintsContract, WatchContract):
    """A file of its own."""

    @pytest.fixture
    async def opened(self, tmp_path: Path) -> AsyncIterator[Database]:
        """An empty database; its books are checked at the end."""
        async with _opened(f"sqlite:///{tmp_path}/books.db") as database:
            yield database


class TestSqliteUnheard(StoreContract, StoreLedgerContract, WatchContract):
    """The same, and every notification is lost."""

    @pytest.fixture
    async def opened(self, tmp_path: Path) -> AsyncIterator[Database]:
        """An empty database; its books are checked at the end."""
        async with _opened(f"sqlite:///{tmp_path}/books.db", LostHints()) as database:
            yield database


class TestPostgres(StoreContract, StoreLedgerContract, StoreHintsContract, WatchContract):
    """A database of its own on a real server, watched by another replica."""

    @pytest.fixture
    async def opened(self, postgres_url: str) -> AsyncIterator[Database]:
        """An empty database; its books are checked at the end."""
        async with _opened(postgres_url) as database:
            yield database

    @pytest.fixture
    async def elsewhere(self, postgres_url: str, opened: Database) -> AsyncIterator[Database]:
        """A second replica."""
        async with _opened(postgres_url) as database:
            yield database


class TestPostgresUnheard(StoreContract, StoreLedgerContract, WatchContract):
    """The same, and every notification is lost, here and there."""

    @pytest.fixture
    async def opened(self, postgres_url: str) -> AsyncIterator[Database]:
        """An empty database; its books are checked at the end."""
        async with _opened(postgres_url, LostHints()) as database:
            yield database

    @pytest.fixture
    async def elsewhere(self, postgres_url: str, opened: Database) -> AsyncIterator[Database]:
        """A second replica."""
        async with _opened(postgres_url, LostHints()) as database:
            yield database
