"""What differs between the two SQL engines: statement forms, locks, conflicts, and what an error means for a batch.

Keys and rows travel as one JSON parameter per statement, so that a statement's text, and with it its plan, does not
depend on how many rows a batch has.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import psycopg
from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError
from sqlalchemy.sql.elements import ColumnElement

from service.database.session import Session

Row = list[Any]
Run = Callable[[Session, list[Row]], None]
"""Carries one bulk statement out for the given rows; nothing happens without rows."""


class Verdict(Enum):
    """What a failed batch calls for."""

    AGAIN = "AGAIN"
    """It lost against a concurrent transaction: the same batch again."""
    RECONNECT = "RECONNECT"
    """The connection or the server is not usable now: a new connection, then the same batch again."""
    FAULT = "FAULT"
    """One of its commands is bad: find it by halving the batch."""


class Moved(Exception):
    """A row changed between look-ahead and lock: the same batch again."""


@dataclass(frozen=True, slots=True)
class Upsert:
    """How rows that exist already are treated by an insert."""

    keys: tuple[str, ...]
    sums: tuple[str, ...] = ()
    """Columns that are added to; empty to leave the existing row alone."""


def partial_index(
    name: str, *columns: Column[Any], where: ColumnElement[bool], unique: bool = False
) -> Index:
    """An index over the rows that match `where` only, on either engine."""
    return Index(name, *columns, unique=unique, postgresql_where=where, sqlite_where=where)


def roomy(*, fillfactor: int, hot: bool = False) -> dict[str, Any]:
    """Options of tables whose rows change: room for the next version of a row on the same page, so that its indexes
    stay as they are. `hot` ones have few rows that change with every batch, and are cleaned early.
    """
    settings = {"fillfactor": str(fillfactor)}
    if hot:
        settings |= {
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_threshold": "500",
            "autovacuum_vacuum_cost_delay": "0",
        }
    return {"postgresql_with": settings}


def clustered() -> dict[str, Any]:
    """Options of tables with short rows that are read by their key: SQLite keeps them in the key's own tree."""
    return {"sqlite_with_rowid": False}


class Dialect(ABC):
    """The statement forms of one engine. `locks` is false where a batch has the whole database to itself."""

    name: str
    locks: bool
    row_lock: str
    """Suffix of a SELECT that locks what it reads."""
    free_row_lock: str
    """The same, leaving out what somebody else has locked."""
    clock_sql: str | None
    """A query for the database's time in microseconds; None where the injected clock is the database's."""
    long_statements: str | None
    """Lets the statements of one transaction take as long as they need; None where nothing limits them."""
    advisory_lock: str | None
    """A SELECT of a function that waits for a lock of the given number; None where one process has the database."""

    @abstractmethod
    def param(self, name: str) -> str:
        """The place of a named parameter."""

    @abstractmethod
    def keys(self, *columns: Column[Any], prefix: str = "") -> str:
        """A condition: the columns are among those of the JSON array `keys` (of texts, or of arrays for several)."""

    @abstractmethod
    def json_text(self, column: str, name: str) -> str:
        """The text member `name` of a JSON object in a column."""

    @abstractmethod
    def insert(self, table: Table, upsert: Upsert | None = None) -> Run:
        """Insert rows given in the order of the table's columns."""

    @abstractmethod
    def update(self, table: Table, columns: Sequence[str]) -> Run:
        """Change `columns` of rows, given as (primary key columns…, columns…)."""

    @abstractmethod
    def lock_table(self, table: Table, *, readers_too: bool) -> str | None:
        """A statement that keeps others from changing the table, and from reading it if asked; None where needless."""

    @abstractmethod
    def share_table(self, table: Table) -> str | None:
        """A statement that keeps `lock_table` with `readers_too` waiting until the commit; None where needless."""

    @abstractmethod
    def judge_driver(self, error: BaseException) -> Verdict:
        """What a driver's exception calls for."""

    def judge(self, error: BaseException) -> Verdict:
        """What any exception of a batch calls for."""
        if isinstance(error, Moved):
            return Verdict.AGAIN
        if isinstance(error, PendingRollbackError):
            return Verdict.RECONNECT
        if isinstance(error, DBAPIError):
            if error.connection_invalidated:
                return Verdict.RECONNECT
            return self.judge_driver(error.orig) if error.orig is not None else Verdict.FAULT
        if isinstance(error, InvalidRequestError):
            return Verdict.FAULT
        return self.judge_driver(error)

    def columns(self, table: Table, prefix: str = "") -> str:
        """The table's columns as a SELECT list."""
        return ", ".join(f"{prefix}{column.name}" for column in table.columns)


def _conflict(table: Table, upsert: Upsert | None) -> str:
    if upsert is None:
        return ""
    keys = ", ".join(upsert.keys)
    if not upsert.sums:
        return f" ON CONFLICT ({keys}) DO NOTHING"
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in upsert.sums)
    return f" ON CONFLICT ({keys}) DO UPDATE SET {sums}"


def _key_names(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


class SqliteDialect(Dialect):
    """SQLite: one writer, whose transaction holds the whole database, so that nothing else needs a lock."""

    name = "sqlite"
    locks = False
    row_lock = free_row_lock = ""
    clock_sql = None
    long_statements = None
    advisory_lock = None

    _AGAIN = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
    _RECONNECT = frozenset(
        {
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_PROTOCOL,
            sqlite3.SQLITE_NOMEM,
        }
    )

    def param(self, name: str) -> str:
        """`:name`."""
        return f":{name}"

    def keys(self, *columns: Column[Any], prefix: str = "") -> str:
        """Through json_each."""
        names = ", ".join(f"{prefix}{column.name}" for column in columns)
        if len(columns) == 1:
            return f"{names} IN (SELECT value FROM json_each(:keys))"
        parts = ", ".join(f"json_extract(value, '$[{i}]')" for i in range(len(columns)))
        return f"({names}) IN (SELECT {parts} FROM json_each(:keys))"

    def json_text(self, column: str, name: str) -> str:
        """Through json_extract."""
        return f"json_extract({column}, '$.{name}')"

    def insert(self, table: Table, upsert: Upsert | None = None) -> Run:
        """One prepared statement, stepped per row."""
        places = ", ".join("?" for _ in table.columns)
        sql = f"INSERT INTO {table.name} ({self.columns(table)}) VALUES ({places}){_conflict(table, upsert)}"
        return _many(sql)

    def update(self, table: Table, columns: Sequence[str]) -> Run:
        """One prepared statement, stepped per row; the key's places are numbered first."""
        keys = _key_names(table)
        sets = ", ".join(f"{name} = ?{len(keys) + i}" for i, name in enumerate(columns, start=1))
        where = " AND ".join(f"{name} = ?{i}" for i, name in enumerate(keys, start=1))
        return _many(f"UPDATE {table.name} SET {sets} WHERE {where}")

    def lock_table(self, table: Table, *, readers_too: bool) -> str | None:
        """Nobody else can write anyway."""
        return None

    def share_table(self, table: Table) -> str | None:
        """The same."""
        return None

    def judge_driver(self, error: BaseException) -> Verdict:
        """By the extended result code; its low byte is the plain one."""
        code = getattr(error, "sqlite_errorcode", None)
        if code in self._AGAIN:
            return Verdict.AGAIN
        if code is not None and code & 0xFF in self._RECONNECT:
            return Verdict.RECONNECT
        return Verdict.FAULT


def _many(sql: str) -> Run:
    def run(session: Session, rows: list[Row]) -> None:
        if rows:
            session.many(sql, rows)

    return run


class PostgresDialect(Dialect):
    """PostgreSQL: READ COMMITTED with explicit row locks; a row's newest version is read under its lock."""

    name = "postgresql"
    locks = True
    row_lock = " FOR UPDATE"
    free_row_lock = " FOR UPDATE SKIP LOCKED"
    clock_sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    long_statements = "SET LOCAL statement_timeout = '60s'"
    advisory_lock = "SELECT pg_advisory_xact_lock"

    # serialization failure, deadlock, unique violation
    _AGAIN = frozenset({"40001", "40P01", "23505"})
    # lock not available, query cancelled (statement timeout), idle in transaction, read-only after a switch-over
    _RECONNECT = frozenset({"55P03", "57014", "25P03", "25006"})
    # connection exceptions, out of resources (a full disk among them), shutting down, trouble of its machine
    _RECONNECT_CLASSES = ("08", "53", "57P", "58")

    def param(self, name: str) -> str:
        """`%(name)s`."""
        return f"%({name})s"

    def keys(self, *columns: Column[Any], prefix: str = "") -> str:
        """Through json_array_elements; the sub-select runs once and feeds an index scan."""
        value = "CAST(%(keys)s AS json)"
        names = ", ".join(f"{prefix}{column.name}" for column in columns)
        if len(columns) == 1:
            return f"{names} = ANY(ARRAY(SELECT json_array_elements_text({value})))"
        parts = ", ".join(f"(e->>{i})::{_pg_type(column)}" for i, column in enumerate(columns))
        return f"({names}) IN (SELECT {parts} FROM json_array_elements({value}) AS e)"

    def json_text(self, column: str, name: str) -> str:
        """Through ->>."""
        return f"(CAST({column} AS json)->>'{name}')"

    def insert(self, table: Table, upsert: Upsert | None = None) -> Run:
        """One statement whatever the number of rows, which are inserted in the order given."""
        names = self.columns(table)
        sql = (
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM "
            f"json_to_recordset(CAST(%(rows)s AS json)) AS r({_pg_record(list(table.columns))})"
            f"{_conflict(table, upsert)}"
        )
        return _recordset(sql, [column.name for column in table.columns])

    def update(self, table: Table, columns: Sequence[str]) -> Run:
        """One statement; the rows must be locked already."""
        keys = _key_names(table)
        names = [*keys, *columns]
        sets = ", ".join(f"{name} = r.{name}" for name in columns)
        where = " AND ".join(f"{table.name}.{name} = r.{name}" for name in keys)
        record = _pg_record([table.columns[name] for name in names])
        sql = (
            f"UPDATE {table.name} SET {sets} FROM json_to_recordset(CAST(%(rows)s AS json)) AS r({record}) "
            f"WHERE {where}"
        )
        return _recordset(sql, names)

    def lock_table(self, table: Table, *, readers_too: bool) -> str | None:
        """ACCESS EXCLUSIVE waits for every transaction that has read the table, and keeps new readers out."""
        mode = "ACCESS EXCLUSIVE" if readers_too else "SHARE ROW EXCLUSIVE"
        return f"LOCK TABLE {table.name} IN {mode} MODE"

    def share_table(self, table: Table) -> str | None:
        """What every SELECT takes."""
        return f"LOCK TABLE {table.name} IN ACCESS SHARE MODE"

    def judge_driver(self, error: BaseException) -> Verdict:
        """By SQLSTATE; an operational error without one is a lost connection."""
        if not isinstance(error, psycopg.Error):
            return Verdict.FAULT
        state = error.sqlstate
        if state is None:
            lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            return Verdict.RECONNECT if lost else Verdict.FAULT
        if state in self._AGAIN:
            return Verdict.AGAIN
        if state in self._RECONNECT or state.startswith(self._RECONNECT_CLASSES):
            return Verdict.RECONNECT
        return Verdict.FAULT


def _recordset(sql: str, names: list[str]) -> Run:
    def run(session: Session, rows: list[Row]) -> None:
        if rows:
            text = json.dumps([dict(zip(names, row, strict=True)) for row in rows])
            session.run(sql, {"rows": text})

    return run


def _pg_type(column: Column[Any]) -> str:
    kinds: list[tuple[type[Any], str]] = [
        (BigInteger, "bigint"),
        (Integer, "integer"),
        (Boolean, "boolean"),
        (Float, "double precision"),
        (Text, "text"),
    ]
    return next(name for kind, name in kinds if isinstance(column.type, kind))


def _pg_record(columns: Sequence[Column[Any]]) -> str:
    return ", ".join(f"{column.name} {_pg_type(column)}" for column in columns)
