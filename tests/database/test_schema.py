"""The migrated database is what the tables say, on both engines, however often and by however many it is migrated."""

import importlib.resources
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from service.clock import SystemClock
from service.database import codec
from service.database.engine import Address, DatabaseInUse, OneProcess
from service.database.ledger_tables import metadata
from service.database.migrate import migrate
from service.database.open import open_database
from tests.support.postgres import empty_postgres_url, postgres_folder

__all__ = ["empty_postgres_url", "postgres_folder"]


def _differences(url: str) -> list[Any]:
    engine = Address(url).migrator()
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            return list(compare_metadata(context, metadata))
    finally:
        engine.dispose()


def test_a_migrated_file_equals_the_tables(tmp_path: Path) -> None:
    """SQLite: migrating, twice, makes exactly the tables, columns and indexes of the metadata."""
    url = f"sqlite:///{tmp_path}/new/folder/books.db"
    migrate(Address(url))
    migrate(Address(url))
    assert [] == _differences(url)


def test_a_migrated_server_equals_the_tables(empty_postgres_url: str) -> None:
    """PostgreSQL: the same, with comments, by three replicas that start at once."""
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(migrate, Address(empty_postgres_url)) for _ in range(3)]:
            done.result(30)
    assert [] == _differences(empty_postgres_url)


def test_partial_indexes_have_the_same_conditions(empty_postgres_url: str, tmp_path: Path) -> None:
    """The conditions of partial indexes, which comparing metadata does not look at, are those of the tables."""
    file = f"sqlite:///{tmp_path}/books.db"
    for url in (empty_postgres_url, file):
        address = Address(url)
        migrate(address)
        engine = address.migrator()
        option = f"{engine.dialect.name}_where"
        with engine.connect() as connection:
            found = {
                index["name"]: option in index["dialect_options"]
                for table in metadata.sorted_tables
                for index in inspect(connection).get_indexes(table.name)
            }
        engine.dispose()
        expected = {
            index.name: index.dialect_options[engine.dialect.name]["where"] is not None
            for table in metadata.sorted_tables
            for index in table.indexes
        }
        assert expected == {name: found[name] for name in expected}
        assert 4 <= sum(expected.values())


def test_hot_tables_have_room(empty_postgres_url: str) -> None:
    """Tables whose rows change keep room on their pages, so that a change needs no new index entries."""
    migrate(Address(empty_postgres_url))
    with psycopg.connect(Address(empty_postgres_url).driver_url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE 'fillfactor=50' = ANY(reloptions)"
        ).fetchall()
    assert {"attempts", "renders", "totals", "label_totals", "budget_windows"} == {row[0] for row in rows}


def test_every_record_has_its_table() -> None:
    """The columns of a table are the fields of its record, by name and order, and the key comes first."""
    codecs = [value for value in vars(codec).values() if isinstance(value, codec.Codec)]
    assert 19 == len(codecs)
    for one in codecs:
        assert [column.name for column in one.table.columns] == [field.name for field in fields(one._record)]


def test_migrations_are_named_and_packaged() -> None:
    """Each is numbered and says whether it comes before or after the release, and has its SQL for both engines."""
    folder = importlib.resources.files("service.database") / "migrations" / "versions"
    names = {file.name for file in folder.iterdir() if file.name.endswith((".py", ".sql"))}
    scripts = {name for name in names if name.endswith(".py")}
    assert scripts
    for name in scripts:
        assert name[:9].removeprefix(name[:4]) in {"_pre_", "_post"}
        assert {name.replace(".py", f".{engine}.sql") for engine in ("sqlite", "postgresql")} <= names


async def test_one_process_serves_a_file(tmp_path: Path) -> None:
    """A second one is refused before it touches the file, and may start when the first has stopped."""
    url = f"sqlite:///{tmp_path}/books.db"
    first, second = (open_database(url, SystemClock(), lambda: 1.0) for _ in range(2))
    await first.start()
    with pytest.raises(DatabaseInUse):
        await second.start()
    await second.stop()
    await first.stop()
    await second.start()
    await second.stop()


def test_a_lock_is_released_with_its_process(tmp_path: Path) -> None:
    """Taking it twice is legal; releasing twice too."""
    lock = OneProcess(tmp_path / "books.db")
    lock.take()
    lock.take()
    lock.release()
    lock.release()
    other = OneProcess(tmp_path / "books.db")
    other.take()
    other.release()


def test_a_batch_has_the_file_to_itself_from_its_first_read(tmp_path: Path) -> None:
    """SQLite: a write transaction is under way before the first statement, and is durable when committed."""
    address = Address(f"sqlite:///{tmp_path}/books.db")
    migrate(address)
    engine = address.writer()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        driver: Any = connection.connection.driver_connection
        assert driver.in_transaction
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "recursive_triggers")
        }
        connection.rollback()
    engine.dispose()
    assert {"journal_mode": "wal", "synchronous": 2, "recursive_triggers": 1} == settings


def test_sessions_of_a_server_are_short_tempered(postgres_folder: Path, empty_postgres_url: str) -> None:
    """A stopped replica inside a batch cannot block the others for long; commits wait for the disk."""
    engine = Address(empty_postgres_url).writer()
    names = (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "synchronous_commit",
        "transaction_isolation",
    )
    with engine.connect() as connection:
        settings = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]
    engine.dispose()
    assert ["5s", "2s", "3s", "on", "read committed"] == settings


def test_addresses_that_are_not_spoken_are_refused() -> None:
    """Another engine, or an embedded database without a file, is a ValueError; passwords are never shown."""
    for url in ("mysql://a@b/c", "sqlite://"):
        with pytest.raises(ValueError, match="database"):
            Address(url)
    assert "secret" not in str(Address("postgresql://user:secret@host/books"))
