"""Checking the books of a serving process once a day: what `python -m service ledger verify` does, told by metric and log."""

from __future__ import annotations

from collections.abc import Callable
from math import nan

from service.core.housekeeping import Repeater
from service.domain.limits import verify_first_seconds, verify_look_seconds, verify_seconds
from service.metrics import Metrics
from service.ports import Clock, LedgerReader, Log


class BooksCheck:
    """The use case. It reads every transfer, so it does not begin with the process, and not again when it could not be done."""

    def __init__(self, ledger: LedgerReader, metrics: Metrics, clock: Clock, log: Log) -> None:
        self._ledger = ledger
        self._ok = metrics.replica.ledger_verify_ok
        self._clock = clock
        self._log = log
        self._due = clock.monotonic() + verify_first_seconds

    async def look(self, *, leads: bool) -> None:
        """Check if it is time. Raises StoreUnavailable when the database did not answer: then nothing is known of the books, as
        where another replica leads.
        """
        if not leads:
            self._ok.set(nan)
            return
        now = self._clock.monotonic()
        if now < self._due:
            return
        self._due = now + verify_seconds
        self._ok.set(nan)
        differences = await self._ledger.verify()
        self._ok.set(0 if differences else 1)
        for sentence in differences:
            self._log.error("ledger_wrong", difference=sentence)
        if not differences:
            self._log.info("ledger_right", seconds=round(self._clock.monotonic() - now, 1))


def verification(check: BooksCheck, leads: Callable[[], bool], clock: Clock, log: Log) -> Repeater:
    """The duty. `leads` says whether this replica does what only one of them needs to do."""

    async def look() -> None:
        await check.look(leads=leads())

    return Repeater("ledger verification", verify_look_seconds, look, clock, log)
