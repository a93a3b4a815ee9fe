"""All rows of a database as plain values, to compare two of them."""

from typing import Any

from sqlalchemy import select

from service.database.engine import Address
from service.database.ledger_tables import metadata

Rows = dict[str, list[dict[str, Any]]]


_TIMES = ("_micros", "_at", "_hour", "_start", "_until", "send_before")
_TIMED = (
    *("at", "before", "after"),  # an audit line, and the budgets in it
    "fence",  # every run of a takeover raises it, to stop whoever wakes up late
)


def all_rows(url: str) -> Rows:
    """Every table's rows in key order, without times and counts of times, which differ from run to run."""
    engine = Address(url).reader(1)
    try:
        with engine.connect() as connection:
            return {
                table.name: [
                    {
                        name: value
                        for name, value in row.items()
                        if not name.endswith(_TIMES) and name not in _TIMED and not name.startswith("bucket_")
                    }
                    for row in connection.execute(
                        select(table).order_by(*table.primary_key.columns)
                    ).mappings()
                ]
                for table in metadata.sorted_tables
            }
    finally:
        engine.dispose()
