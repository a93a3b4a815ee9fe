"""All rows of a database as plain values, to compare two of them."""

from typing import Any

from sqlalchemy import select

from service.database.engine import Address
from service.database.ledger_tables import metadata

Rows = dict[str, list[dict[str, Any]]]


_TIMES = ("_micros", "_at", "_hour", "_start", "_until", "send_before")
_TIMED = ("at", "before", "after")
"""Of an audit line, and of the budgets in it."""


def all_rows(url: str) -> Rows:
    """Every table's rows in key order, without times and counts of times, which differ from run to run."""
    engine = Address(url).reader(1)
    try:
        with engine.connect() as connection:
            found = {
                table.name: [
                    {name: value for name, value in row.items() if not _is_of_time(table.name, name)}
                    for row in connection.execute(
                        select(table).order_by(*table.primary_key.columns)
                    ).mappings()
                ]
                for table in metadata.sorted_tables
            }
    finally:
        engine.dispose()
    found["events"].sort(key=lambda row: sorted(row.items(), key=str))
    return found


def _is_of_time(table: str, name: str) -> bool:
    # The id of an event says when it happened.
    return (
        name.endswith(_TIMES)
        or name in _TIMED
        or name.startswith("bucket_")
        or (table, name) == ("events", "id")
    )
