"""Databases that live through months: SQLite, whose clock a test can move, and copies of its rows on PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from service.database.engine import Address
from service.database.ledger_tables import metadata
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.limits import MICROS_PER_SECOND
from tests.support.clock import FakeClock, SeededDice
from tests.support.orders import Orders


def at(text: str) -> int:
    """Microseconds of a UTC time of 2026, written as `02-28 23:59:59`."""
    return int(datetime.fromisoformat(f"2026-{text}+00:00").timestamp()) * MICROS_PER_SECOND


class Months:
    """A SQLite database in which a test lives through months."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.database = database
        self.clock = clock
        self.orders = Orders(SeededDice(17, clock))

    async def until(self, text: str) -> None:
        """Let time pass."""
        self.clock.advance((at(text) - self.clock.now()) / MICROS_PER_SECOND)

    async def run(self, *commands: c.Command) -> Any:
        """Carry them out."""
        outcome = None
        for command in commands:
            outcome = await self.database.store.execute(command)
        return outcome


@asynccontextmanager
async def months(folder: Path) -> AsyncIterator[Months]:
    """Opened on New Year."""
    clock = FakeClock()
    database = open_database(f"sqlite:///{folder}/months.db", clock, lambda: 0.0)
    await database.start()
    try:
        yield Months(database, clock)
        assert () == await database.ledger.verify()
    finally:
        await database.stop()


def copied(source: str, target: str) -> None:
    """Every row of one database in another."""
    here, there = Address(source).reader(1), Address(target).writer()
    try:
        with here.connect() as reads, there.begin() as writes:
            for table in metadata.sorted_tables:
                rows = [dict(row) for row in reads.execute(select(table)).mappings()]
                if rows:
                    writes.execute(table.insert(), rows)
    finally:
        here.dispose()
        there.dispose()
