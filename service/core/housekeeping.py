"""What runs beside the requests: this replica's heartbeat, and the deadlines of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from service.core.lease import Lease
from service.domain.commands import ExpireJobs, Heartbeat
from service.domain.errors import LightmeterError
from service.domain.limits import expire_jobs_count_max, heartbeat_seconds
from service.metrics import Metrics
from service.ports import Clock, Log, Store, WorkReader

_DEADLINE_LOOK_SECONDS = 1.0
_BEAT_AGAIN_SECONDS = 1.0
_LAG_LOOK_SECONDS = 0.25
_LAG_SLEEP_SECONDS = 0.05


class Repeater:
    """One background duty, done again and again. `start` begins it, `stop` returns when it has ended; both legal twice."""

    def __init__(
        self,
        name: str,
        seconds: float,
        duty: Callable[[], Awaitable[None]],
        clock: Clock,
        log: Log,
        *,
        failed_seconds: float | None = None,
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._failed_seconds = seconds if failed_seconds is None else failed_seconds
        self._duty = duty
        self._clock = clock
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self.on_death: Callable[[str], None] = _unheard
        """Told the name of a duty that ended by a fault of ours: nobody does it any more, and the process should not go on."""

    async def start(self) -> None:
        """Begin."""
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._repeat(), name=self._name)
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("duty_ended", duty=self._name, error=repr(error), exc_info=error)
            self.on_death(self._name)

    async def stop(self) -> None:
        """End, and wait for the end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _repeat(self) -> None:
        while True:
            pause = self._seconds
            try:
                await self._duty()
            except LightmeterError as error:
                # The database is away: the next turn tries again, and readiness tells the operator.
                self._log.warning("duty_failed", duty=self._name, error=error.text)
                pause = self._failed_seconds
            await self._clock.sleep(pause)


def _unheard(_name: str) -> None:
    """Nobody listens."""


def heartbeats(store: Store, lease: Lease, replica_id: str, clock: Clock, log: Log) -> Repeater:
    """Keep this replica's lease alive. One that failed is repeated soon: the lease outlives a single one, and not two."""

    async def beat() -> None:
        started = clock.monotonic()
        ordinal: int = await store.execute(Heartbeat(replica_id))
        lease.beat(started, ordinal)

    return Repeater("heartbeat", heartbeat_seconds, beat, clock, log, failed_seconds=_BEAT_AGAIN_SECONDS)


async def leave(store: Store, replica_id: str, log: Log) -> None:
    """Say that this replica goes: others need not wait for its lease to end. Without an answer they wait for it."""
    try:
        await store.execute(Heartbeat(replica_id, leaving=True))
    except LightmeterError as error:
        log.warning("leaving_unsaid", error=error.text)


def deadlines(store: Store, work: WorkReader, clock: Clock, log: Log) -> Repeater:
    """Fail jobs whose own deadline has passed."""

    async def expire() -> None:
        due = await work.due_jobs(expire_jobs_count_max)
        if due:
            await store.execute(ExpireJobs(due))

    return Repeater("deadlines", _DEADLINE_LOOK_SECONDS, expire, clock, log)


def loop_lag(metrics: Metrics, clock: Clock, log: Log) -> Repeater:
    """Measure how much later than asked the event loop wakes a sleeper."""

    async def measure() -> None:
        started = clock.monotonic()
        await clock.sleep(_LAG_SLEEP_SECONDS)
        metrics.replica.event_loop_lag_seconds.observe(
            max(0.0, clock.monotonic() - started - _LAG_SLEEP_SECONDS)
        )

    return Repeater("loop lag", _LAG_LOOK_SECONDS, measure, clock, log)
