"""Connections: how each engine is spoken to, and what a session is told before anything else.

The driver's own transaction control is off on SQLite: a batch begins with BEGIN IMMEDIATE, so that its reads already
happen under the write lock. On PostgreSQL every session has short timeouts: a stopped replica must not hold up the others.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool, QueuePool

from service.database.dialect import Dialect, PostgresDialect, SqliteDialect

BUSY_MILLIS_MAX: Final = 2_000
READ_CONNECTION_WAIT_SECONDS_MAX: Final = 3.0
_POSTGRES_CONNECTION: Final = {
    "connect_timeout": 3,
    # A peer that vanished without a word is noticed by the machine, not by a command that waits for ever.
    "tcp_user_timeout": 6_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "lightmeter",
}

_SQLITE_WRITES = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA recursive_triggers = ON",  # INSERT OR REPLACE deletes behind the back of triggers without it
    f"PRAGMA busy_timeout = {BUSY_MILLIS_MAX}",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
)
_SQLITE_READS = (f"PRAGMA busy_timeout = {BUSY_MILLIS_MAX}", "PRAGMA query_only = ON")
_POSTGRES = (
    "SET statement_timeout = '5s'",
    "SET lock_timeout = '2s'",
    "SET idle_in_transaction_session_timeout = '3s'",
    "SET jit = off",
)
_POSTGRES_WRITES = (
    *_POSTGRES,
    "SET default_transaction_isolation = 'read committed'",
    "SET synchronous_commit = on",
    # Plans are kept per statement text and outlive the statistics that they were made with; every statement
    # of a batch has keys and an index for them.
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
)
_POSTGRES_READS = (
    *_POSTGRES,
    "SET default_transaction_isolation = 'repeatable read'",
    "SET default_transaction_read_only = on",
)
_POSTGRES_REPORTS = (*_POSTGRES_READS, "SET statement_timeout = '120s'")


class DatabaseInUse(RuntimeError):
    """Another process serves this database file."""


class Address:
    """Where the database is. Takes `sqlite:///path` and `postgresql://…`."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        family = parsed.get_backend_name()
        if family == "postgres":
            parsed, family = parsed.set(drivername="postgresql"), "postgresql"
        if family not in ("sqlite", "postgresql"):
            raise ValueError(f"not a database that is spoken here: {family}")
        self.embedded: Final = family == "sqlite"
        """Whether the database is a file of this one process, with a single writer."""
        self.url: Final[URL] = parsed.set(drivername="sqlite" if self.embedded else "postgresql+psycopg")
        self.dialect: Final[Dialect] = SqliteDialect() if self.embedded else PostgresDialect()
        if self.embedded and not parsed.database:
            raise ValueError("an embedded database needs a file")

    @property
    def file(self) -> Path | None:
        """The file of an embedded database."""
        return Path(str(self.url.database)) if self.embedded else None

    @property
    def driver_url(self) -> str:
        """As the driver itself takes it."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def __str__(self) -> str:
        """Without secrets."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    def writer(self) -> Engine:
        """An engine whose connections are for batches; whoever connects keeps the connection."""
        arguments: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
        engine = create_engine(
            self.url,
            poolclass=NullPool,
            connect_args=arguments if self.embedded else _POSTGRES_CONNECTION,
        )
        _prepare(engine, _SQLITE_WRITES if self.embedded else _POSTGRES_WRITES, embedded=self.embedded)
        if self.embedded:
            event.listen(engine, "begin", _begin_immediate)
        return engine

    def migrator(self) -> Engine:
        """An engine for changes of the schema, which may wait and take long."""
        if self.embedded:
            Path(str(self.url.database)).parent.mkdir(parents=True, exist_ok=True)
            return self.writer()
        return create_engine(self.url, poolclass=NullPool, connect_args=_POSTGRES_CONNECTION)

    def reader(self, connections_max: int, *, reports: bool = False) -> Engine:
        """A pooled engine whose transactions are read-only snapshots. `reports` may take longer."""
        arguments: dict[str, Any] = {"isolation_level": None, "check_same_thread": False}
        engine = create_engine(
            self.url,
            poolclass=QueuePool,
            pool_size=connections_max,
            max_overflow=0,
            pool_timeout=READ_CONNECTION_WAIT_SECONDS_MAX,
            connect_args=arguments if self.embedded else _POSTGRES_CONNECTION,
        )
        settings = _POSTGRES_REPORTS if reports else _POSTGRES_READS
        _prepare(engine, _SQLITE_READS if self.embedded else settings, embedded=self.embedded)
        if self.embedded:
            event.listen(engine, "begin", _begin)
        return engine


def _prepare(engine: Engine, settings: tuple[str, ...], *, embedded: bool) -> None:
    def tell(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(setting)
        cursor.close()
        if not embedded:
            connection.commit()

    event.listen(engine, "connect", tell)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


class OneProcess:
    """The lock file beside an embedded database: one process serves it at a time. Released when the process dies."""

    def __init__(self, file: Path) -> None:
        self._path = file.with_name(file.name + ".lock")
        self._handle: int | None = None

    def take(self) -> None:
        """Lock; the folder is made when missing. Raises `DatabaseInUse`."""
        if self._handle is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise DatabaseInUse(f"another process serves {self._path.with_suffix('').name}") from error
        self._handle = handle

    def release(self) -> None:
        """Unlock; legal twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
