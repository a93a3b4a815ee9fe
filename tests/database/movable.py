"""A database whose time a test moves: the injected clock on SQLite, a row of a table of the test's own on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import psycopg

from service.clock import SystemClock
from service.database.dialect import PostgresDialect
from service.database.engine import Address
from service.database.open import Database
from service.ports import Clock
from tests.support.clock import STARTED, FakeClock

_TABLE: Final = "time_of_test"


class _MovableDialect(PostgresDialect):
    clock_sql = f"SELECT at FROM {_TABLE}"


class _MovableAddress(Address):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        if not self.embedded:
            self.dialect = _MovableDialect()


class Movable:
    """Any number of stores on one database that have one time, which starts at `STARTED`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._driver_url = None if Address(url).embedded else Address(url).driver_url
        self.clock: Final = FakeClock()
        self._tell()

    def database(self, **reporting_labels: tuple[str, ...]) -> Database:
        """One more; it has to be started and stopped. A server's time is its own: what waits in the process waits for real."""
        clock: Clock = self.clock if self._driver_url is None else SystemClock()
        return Database(_MovableAddress(self._url), clock, lambda: 0.0, reporting_labels, None, None)

    def now(self) -> int:
        """Microseconds."""
        return self.clock.now()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
        self._tell()

    def _tell(self) -> None:
        if self._driver_url is None:
            return
        with psycopg.connect(self._driver_url, autocommit=True) as connection:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE} (one int PRIMARY KEY, at bigint NOT NULL)"
            )
            connection.execute(
                f"INSERT INTO {_TABLE} VALUES (1, %s) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
                (self.clock.now(),),
            )

    def forget(self) -> None:
        """Leave the schema as it was."""
        if self._driver_url is not None:
            with psycopg.connect(self._driver_url, autocommit=True) as connection:
                connection.execute(f"DROP TABLE IF EXISTS {_TABLE}")


@asynccontextmanager
async def movable_database(
    url: str, **reporting_labels: tuple[str, ...]
) -> AsyncIterator[tuple[Database, Movable]]:
    """A started database and its time."""
    time = Movable(url)
    database = time.database(**reporting_labels)
    await database.start()
    try:
        yield database, time
    finally:
        await database.stop()
        time.forget()


__all__ = ["STARTED", "Movable", "movable_database"]
