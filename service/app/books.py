"""Work on the books that needs no running replica."""

from __future__ import annotations

from service.clock import SystemClock, SystemDice
from service.database.open import open_database
from service.settings import Configuration


async def verified(configuration: Configuration) -> tuple[str, ...]:
    """One sentence per difference between the transfers and what was derived from them; empty when the books are right."""
    clock = SystemClock()
    database = open_database(configuration.settings.database, clock, SystemDice(clock.now).jitter)
    try:
        return await database.ledger.verify()
    finally:
        await database.stop()
