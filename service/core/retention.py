"""What is too old to keep goes: texts and inputs of ended renders, their unusual events, whole jobs. The ledger stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.core.housekeeping import Repeater
from service.domain.commands import Prune, Pruned
from service.domain.limits import (
    MICROS_PER_SECOND,
    prune_look_seconds,
    prune_rounds_max,
    prune_rows_max,
    retention_content_days_default,
    retention_events_days_default,
    retention_jobs_days_default,
    retention_renders_days_min,
)
from service.ports import Clock, Log, Store

_DAY_MICROS: Final = 24 * 3600 * MICROS_PER_SECOND
_KEEP_ALL: Final = 0
"""A time before which nothing ended."""


@dataclass(frozen=True, slots=True)
class Ages:
    """How long each kind is kept, in days; 0 keeps it for ever."""

    content_days: int = retention_content_days_default
    events_days: int = retention_events_days_default
    jobs_days: int = retention_jobs_days_default

    def prune(self, now: int) -> Prune:
        """The command that removes what is older, as much as one transaction should hold."""
        return Prune(
            content_before=_before(now, self.content_days),
            events_before=_before(now, self.events_days),
            jobs_before=_before(now, self.jobs_days),
            renders_before=_before(
                now, max(self.jobs_days, retention_renders_days_min) if self.jobs_days else 0
            ),
            limit=prune_rows_max,
        )


def _before(now: int, days: int) -> int:
    return now - days * _DAY_MICROS if days else _KEEP_ALL


def retention(store: Store, ages: Ages, clock: Clock, log: Log) -> Repeater:
    """Prune until nothing is left that is too old, a bounded number of rounds in each look."""

    async def prune() -> None:
        for _ in range(prune_rounds_max):
            pruned: Pruned = await store.execute(ages.prune(clock.now()))
            counts = (pruned.contents, pruned.events, pruned.jobs, pruned.renders)
            if any(counts):
                log.info(
                    "pruned",
                    contents_count=pruned.contents,
                    events_count=pruned.events,
                    jobs_count=pruned.jobs,
                    renders_count=pruned.renders,
                )
            if max(counts) < prune_rows_max:
                return

    return Repeater("retention", prune_look_seconds, prune, clock, log)
