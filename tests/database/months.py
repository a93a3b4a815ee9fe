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
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Grade
from service.domain.storage_price import StorageCharge
from tests.support.clock import FakeClock, SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps, draw

FAILURE = Failure(Reason.NO_IMAGES, "nothing came", Fault.PROVIDER, RetryAdvice.FREE)
STORED = 1_234_567
"""What storage cost the project on the last day of January, in nano-USD."""


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


async def live(winter: Months) -> dict[str, c.Accept]:
    """January to March: posts, corrections within and across months, a void, holds over month's ends, storage, a failure."""
    orders = winter.orders
    jobs = {
        name: orders.accept(name, **changes)
        for name, changes in {
            "early": {"labels": (("team", "ads"), ("order", "7"))},
            "across": {},
            "cancelled": {},
            "failed": {},
            "open": {},
            "foreign": {"project": "other", "scope": "other"},
        }.items()
    }
    await winter.until("01-10 12:00")
    await draw(winter.database.store, jobs["early"])
    await winter.until("01-12 12:00")
    event = Grade.BILLING_EVENT
    await winter.run(c.Correct(jobs["early"].attempt_id, CEILING_NANOS + 10, event, units="2 units"))
    await winter.until("01-31 23:50")
    await winter.run(jobs["across"])
    await winter.until("02-01 00:10")
    await winter.run(*Steps(jobs["across"]).all()[1:])
    stored = (StorageCharge("growth", STORED, "9 bytes"), StorageCharge("other", 5, "1 byte"))
    await winter.run(c.AccrueStorage(at("01-31 00:00"), "2026-01-31", stored, "r2@1"))
    await winter.until("02-03 00:00")
    await winter.run(c.Correct(jobs["early"].attempt_id, CEILING_NANOS - 5, Grade.INVOICE, units="1 unit"))
    await winter.run(jobs["cancelled"], c.Cancel(jobs["cancelled"].job_id, None))
    await winter.run(*Steps(jobs["failed"]).all()[:3])
    await winter.run(
        c.RecordResult(jobs["failed"].attempt_id, ended="FAILED", surely_unbilled=True),
        Steps(jobs["failed"]).fail(FAILURE, failover=False),
    )
    await draw(winter.database.store, jobs["foreign"])
    await winter.until("02-28 23:00")
    await winter.run(jobs["open"])
    await winter.until("03-01 12:00")
    return jobs
