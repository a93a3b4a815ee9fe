"""The providers' insides: a request queues, runs when a slot is free, and ends. One task per request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from sandbox import outcomes
from sandbox.book import Book, Entry, Phase
from sandbox.catalog import Provider
from sandbox.chores import Chores
from sandbox.clock import Nap, SandboxClock
from sandbox.options import SandboxOptions
from sandbox.pictures import InputError, Pictures

Event = Literal["start", "output", "logs", "completed"]
LONG_SECONDS = 366 * 86_400.0
INVALID_RUN_SECONDS = 0.05
LOG_WEBHOOK_SECONDS = 0.5


class Works:
    """Runs accepted requests. `announce` is told what happened, to send webhooks."""

    def __init__(
        self,
        clock: SandboxClock,
        options: SandboxOptions,
        book: Book,
        pictures: Pictures,
        chores: Chores,
        announce: Callable[[Entry, Event], None],
    ) -> None:
        self._clock = clock
        self._options = options
        self._book = book
        self._pictures = pictures
        self._chores = chores
        self._announce = announce
        self._limits: dict[Provider, int] = {
            "fal": options.fal_running_max,
            "replicate": options.replicate_running_max,
        }
        self._running: dict[Provider, int] = {"fal": 0, "replicate": 0}
        self._lined_up: dict[Provider, OrderedDict[str, Entry]] = {
            "fal": OrderedDict(),
            "replicate": OrderedDict(),
        }

    async def begin(self, entry: Entry) -> None:
        """Start the work of an accepted request; in instant mode it has ended when this returns."""
        entry.queued_at = entry.accepted_at
        if self._options.instant and not self._lasts(entry) and not self.is_full(entry.provider):
            await self._live(entry)
        else:
            self._chores.start(self._live(entry))

    def _lasts(self, entry: Entry) -> bool:
        kinds = ("stuck", "slow", "deep_queue", "requeue", "aborted", "canceled")
        return entry.model.keeps_pace or any(fault.kind in kinds for fault in entry.faults)

    def is_full(self, provider: Provider) -> bool:
        """Whether the account runs as many requests as it may."""
        return self._running[provider] >= self._limits[provider]

    def waiting(self, provider: Provider) -> int:
        """How many requests wait for a free slot."""
        return len(self._lined_up[provider])

    def cancel(self, entry: Entry) -> None:
        """Ask for a request's end; it takes effect in the queue, and at Replicate while it runs."""
        entry.cancel_asked = True
        if entry.nap is not None:
            entry.nap.wake()

    def position(self, entry: Entry) -> int:
        """How many requests are ahead: the rest of its own depth, or those lined up before it."""
        if entry.queue_seconds <= 0:
            left = 0.0
        else:
            left = max(0.0, 1.0 - (self._clock.seconds() - entry.queued_at) / entry.queue_seconds)
        ahead = list(self._lined_up[entry.provider])
        own = ahead.index(entry.id) if entry.id in self._lined_up[entry.provider] else 0
        return max(int(entry.queue_depth * left), own)

    def progress(self, entry: Entry) -> float:
        """How much of the run is done, 0 to 1."""
        if entry.phase is Phase.ENDED:
            return 1.0
        if entry.started_at is None:
            return 0.0
        planned = max(self._clock.scaled(entry.run_seconds), 1e-9)
        return min(0.99, (self._clock.seconds() - entry.started_at) / planned)

    async def wait_change(self, entry: Entry, seconds: float) -> None:
        """Return when the request changed, or after `seconds` of this clock."""
        nap = self._clock.nap(seconds)
        entry.watchers.add(nap)
        try:
            await nap.wait()
        finally:
            entry.watchers.discard(nap)

    async def wait_end(self, entry: Entry, seconds: float) -> bool:
        """True when the request ended within `seconds` of this clock."""
        until = self._clock.seconds() + seconds
        while entry.phase is not Phase.ENDED:
            left = until - self._clock.seconds()
            if left <= 0:
                return False
            await self.wait_change(entry, left)
        return True

    async def _live(self, entry: Entry) -> None:
        if not await self._queue(entry):
            self._end(entry)
            return
        try:
            await self._run(entry)
        finally:
            self._release(entry.provider)
        self._end(entry)

    async def _queue(self, entry: Entry) -> bool:
        """Wait for a slot; False when the request ended in the queue."""
        line = self._lined_up[entry.provider]
        ready_at = entry.queued_at + entry.queue_seconds
        stuck = entry.fault("stuck")
        if (stuck is not None and not stuck.flag("running")) or entry.fault("aborted") is not None:
            ready_at += LONG_SECONDS
        try:
            while True:
                now = self._clock.seconds()
                if entry.cancel_asked or (entry.deadline_at is not None and now >= entry.deadline_at):
                    outcomes.cancel(self._book, entry, 0.0)
                    return False
                if entry.fault("aborted") is not None and now >= entry.queued_at + entry.queue_seconds:
                    outcomes.cancel(self._book, entry, 0.0)
                    return False
                if entry.start_by is not None and now >= entry.start_by:
                    outcomes.fail(self._book, entry, outcomes.start_timeout(), 0.0)
                    return False
                if now >= ready_at:
                    line[entry.id] = entry
                    if not self.is_full(entry.provider):
                        self._running[entry.provider] += 1
                        return True
                await self._doze(entry, [ready_at, entry.queued_at + entry.queue_seconds])
        finally:
            line.pop(entry.id, None)

    async def _doze(self, entry: Entry, moments: list[float]) -> None:
        now = self._clock.seconds()
        until = [*moments, now + LONG_SECONDS]
        if entry.deadline_at is not None:
            until.append(entry.deadline_at)
        if entry.start_by is not None and entry.started_at is None:
            until.append(entry.start_by)
        entry.nap = Nap(self._clock, min(moment for moment in until if moment > now))
        await entry.nap.wait()
        entry.nap = None

    def _release(self, provider: Provider) -> None:
        self._running[provider] -= 1
        for entry in self._lined_up[provider].values():
            if entry.nap is not None:
                entry.nap.wake()
                return

    async def _run(self, entry: Entry) -> None:
        entry.phase, entry.started_at = Phase.RUNNING, self._clock.seconds()
        entry.changed()
        self._announce(entry, "start")
        ask = entry.ask
        if ask is None:
            await self._work(entry, self._clock.scaled(INVALID_RUN_SECONDS))
            outcomes.fail(self._book, entry, outcomes.model_failure(422, entry.problems), INVALID_RUN_SECONDS)
            return
        try:
            inputs_px = await self._pictures.load_inputs(entry, ask)
        except InputError as error:
            outcomes.fail(
                self._book, entry, outcomes.model_failure(422, [error.problem]), INVALID_RUN_SECONDS
            )
            return
        await self._step_back(entry)
        ended_early = await self._work(entry, self._run_length(entry))
        elapsed = (self._clock.seconds() - entry.started_at) * self._clock.speed
        failing = entry.fault("fail_run")
        if ended_early or entry.fault("canceled") is not None:
            outcomes.cancel(self._book, entry, elapsed)
        elif failing is not None:
            outcomes.fail(self._book, entry, outcomes.run_failure(failing), entry.run_seconds)
        else:
            outcomes.succeed(self._book, entry, ask, inputs_px)

    def _run_length(self, entry: Entry) -> float:
        if self._options.instant and not self._lasts(entry):
            return 0.0
        stuck = entry.fault("stuck")
        if stuck is not None and stuck.flag("running"):
            return LONG_SECONDS
        if entry.fault("canceled") is not None:
            return self._clock.scaled(entry.run_seconds / 2)
        return self._clock.scaled(entry.run_seconds)

    async def _step_back(self, entry: Entry) -> None:
        """A runner that dies: half the work, back into the queue, and on again."""
        fault = entry.fault("requeue")
        if fault is None:
            return
        await self._work(entry, self._clock.scaled(entry.run_seconds / 2))
        entry.phase, entry.queued_at = Phase.QUEUED, self._clock.seconds()
        entry.changed()
        await self._work(entry, self._clock.scaled(fault.number("seconds")))
        entry.phase, entry.started_at = Phase.RUNNING, self._clock.seconds()
        entry.changed()

    async def _work(self, entry: Entry, seconds: float) -> bool:
        """Let the time of the work pass; True when it was ended early (only Replicate does that)."""
        until = self._clock.seconds() + seconds
        wants_logs = "logs" in entry.webhook_events
        log_seconds = self._clock.scaled(LOG_WEBHOOK_SECONDS)
        stoppable = entry.provider == "replicate" or entry.fault("stuck") is not None
        while (now := self._clock.seconds()) < until:
            overdue = entry.deadline_at is not None and now >= entry.deadline_at
            if stoppable and (entry.cancel_asked or overdue):
                return True
            await self._doze(entry, [until, now + log_seconds] if wants_logs else [until])
            if wants_logs:
                self._announce(entry, "logs")
        return False

    def _end(self, entry: Entry) -> None:
        entry.phase, entry.ended_at = Phase.ENDED, self._clock.seconds()
        if self._book.is_current(entry):
            if entry.pictures:
                self._announce(entry, "output")
            self._announce(entry, "completed")
        entry.changed()
