"""The statements of a lane, handed to the driver as they are.

SQLAlchemy opens the connection, begins and commits. It stays out of the statements: describing each result takes it longer
than the database takes to make it, and what is read here is turned into records by `codec` anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

Row = Sequence[Any]


class Session:
    """One connection's cursor, for one thread. Driver errors pass as they are; `Dialect.judge` knows them."""

    def __init__(self, connection: Connection) -> None:
        self._cursor: Any = connection.connection.cursor()

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Everything that a query answers."""
        if parameters is None:
            self._cursor.execute(sql)
        else:
            self._cursor.execute(sql, parameters)
        found: list[Row] = self._cursor.fetchall()
        return found

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """A statement that answers nothing."""
        if parameters is None:
            self._cursor.execute(sql)
        else:
            self._cursor.execute(sql, parameters)

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """One statement, carried out for each row."""
        self._cursor.executemany(sql, rows)
