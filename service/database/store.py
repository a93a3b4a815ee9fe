"""The one way to change state: commands into lanes, one transaction per batch, answers after the commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from service.database.batch import Batches
from service.database.engine import Address
from service.database.lane import Lane, Watcher
from service.domain import commands as c
from service.domain.limits import totals_slots_count
from service.ports import Clock

STOP_SECONDS_MAX: Final = 10.0


class DatabaseStore:
    """Implements `Store`.

    Three lanes with a connection and a thread each; one lane for all where the database has a single writer. `publish` is
    called on the event loop with the ids of the jobs and renders that a commit changed.
    """

    def __init__(
        self,
        address: Address,
        clock: Clock,
        jitter: Callable[[], float],
        *,
        now: Callable[[], int] | None = None,
        reporting_labels: Mapping[str, tuple[str, ...]] | None = None,
        publish: Callable[[tuple[str, ...]], None] | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._slot = 0
        self._engine = address.writer()
        labels = dict(reporting_labels or {})
        watching = watcher or Watcher()

        def lane(name: str) -> Lane:
            batches = Batches(self._engine, address.dialect, now or clock.now, labels, lambda: self._slot)
            return Lane(name, batches, address.dialect, clock, jitter, publish or _to_nobody, watching)

        if address.dialect.locks:
            self._lanes = {kind: lane(kind.value) for kind in c.Lane}
        else:
            self._lanes = dict.fromkeys(c.Lane, lane("all"))

    def start(self) -> None:
        """Open for commands; legal twice."""
        for lane in self._lanes.values():
            lane.start()

    @property
    def is_stuck(self) -> bool:
        """Whether the database has taken no changes for a while. Only tries tell: a heartbeat comes every few seconds, while
        requests stay away from a replica that is not ready.
        """
        beating = self._lanes[c.Lane.HEARTBEAT]
        return any(lane.is_stuck and (lane is beating or lane.is_busy) for lane in self._lanes.values())

    async def execute(self, command: Any) -> Any:
        """Carry the command out in one transaction and answer its outcome after the commit."""
        if not isinstance(command, c.Command):
            raise TypeError(f"not a command: {type(command).__name__}")
        outcome = await self._lanes[command.lane].execute(command)
        if isinstance(command, c.Heartbeat):
            self._slot = int(outcome) % totals_slots_count
        return outcome

    async def stop(self) -> None:
        """Finish what was handed in, at most `STOP_SECONDS_MAX`, and close; legal twice and before `start`."""
        for lane in dict.fromkeys(self._lanes.values()):
            await lane.stop(STOP_SECONDS_MAX)
        self._engine.dispose()


def _to_nobody(keys: tuple[str, ...]) -> None:
    """Hints that nobody hears."""
