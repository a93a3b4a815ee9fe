"""The end of a run: what no evidence can decide in time is decided by hand, from what the provider's own page says."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from lightmeter import AsyncClient
from lightmeter.errors import Conflict

from tests.chaos.compare import drawn_by_attempt
from tests.chaos.deployment import Deployment
from tests.chaos.reading import books_of

LOOK_SECONDS = 1.0
_OPEN = """
    SELECT (SELECT count(*) FROM jobs WHERE final_at IS NULL)
         + (SELECT count(*) FROM renders WHERE finished_at IS NULL)
         + (SELECT count(*) FROM attempts WHERE hold_open) AS open
"""


async def settled(
    deployment: Deployment, *, patience_seconds: float, seconds_max: float
) -> tuple[int, Counter[str]]:
    """Wait until nothing is open, with the operator's help once the patience for evidence is over.

    Answers how many rows are still open after `seconds_max`, and what was decided by hand.
    """
    began = time.monotonic()
    by_hand: Counter[str] = Counter()
    while True:
        left: int = deployment.ask(_OPEN)[0]["open"]
        waited = time.monotonic() - began
        if not left or waited > seconds_max:
            return left, by_hand
        if waited > patience_seconds:
            by_hand += await _decide(deployment)
        await asyncio.sleep(LOOK_SECONDS)


async def _decide(deployment: Deployment) -> Counter[str]:
    """Adopt what the provider has, declare the rest not accepted."""
    done: Counter[str] = Counter()
    drawn, _ = drawn_by_attempt(await books_of(deployment))
    async with AsyncClient(deployment.address, api_key="", project="operators") as client:
        async for attempt in client.list_attempts(states=["UNKNOWN"]):
            entries = drawn.get(attempt.attempt_id, [])
            try:
                if entries:
                    await client.resolve_attempt(
                        attempt, adopt=entries[0]["id"], reason="the provider shows it"
                    )
                else:
                    await client.resolve_attempt(
                        attempt, not_accepted=True, reason="the provider never had it"
                    )
            except Conflict:
                continue  # evidence was faster
            done["adopted" if entries else "absent"] += 1
    return done
