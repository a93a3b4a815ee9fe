"""Letting time pass for the rows of a database whose clock nobody can set: everything that was remembered of the work lies
further back. The journal and the audit stay as they are.
"""

from __future__ import annotations

import asyncio
from typing import Final

from service.database.engine import Address
from service.domain.limits import MICROS_PER_SECOND

_TIMES: Final = {
    "jobs": ("accepted_at", "deadline_at", "final_at"),
    "renders": ("next_step_at", "created_at", "finished_at", "fresh_until"),
    "attempts": ("usage_at", "send_before", "dispatched_at", "accepted_at", "ended_at", "result_expires_at"),
    "events": ("at",),
    "switches": ("set_at", "expires_at"),
}
_FOR_EVER: Final = 2**61
"""Times beyond it are no times."""


async def age(address: Address, seconds: float) -> None:
    """Move the times of the work back."""
    await asyncio.to_thread(_age, address, int(seconds * MICROS_PER_SECOND))


def _age(address: Address, micros: int) -> None:
    engine = address.writer()
    try:
        with engine.begin() as connection:
            for table, columns in _TIMES.items():
                moved = ", ".join(
                    f"{name} = CASE WHEN {name} < {_FOR_EVER} THEN {name} - {micros} ELSE {name} END"
                    for name in columns
                )
                connection.exec_driver_sql(f"UPDATE {table} SET {moved}")
    finally:
        engine.dispose()
