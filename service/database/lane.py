"""A lane: a queue of commands, one thread with one connection, and the rules for what happens when a batch fails.

No timer gathers commands: a batch is whatever is queued when the lane becomes free. The event loop never waits for a
driver; it is told by the thread. The lane has no task: it goes on from callback to callback.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from service.database.batch import Batches, Committed, Done, Refusal
from service.database.dialect import Dialect, Verdict
from service.domain.commands import Command, DeleteBudget, Prune, RecordStored, RollDays, SetBudget
from service.domain.errors import Overloaded, StoreUnavailable
from service.domain.limits import (
    batch_commands_max,
    batch_retries_max,
    store_answer_seconds_max,
    store_queue_commands_max,
)
from service.domain.records import Attempt, Job
from service.domain.value import value
from service.ports import Clock

ALONE: Final = (SetBudget, DeleteBudget, Prune, RollDays, RecordStored)
"""Commands with a batch of their own: those that hold the budgets table, and those that touch many rows."""
RETRY_SECONDS: Final = 0.01
RECONNECT_SECONDS_MIN: Final = 0.05
RECONNECT_SECONDS_MAX: Final = 2.0
STUCK_SECONDS: Final = 1.0
"""A lane whose batches have failed for so long is no place to send more work to."""


class CommandFailed(RuntimeError):
    """The database refused this one command for what it is: a fault of ours, explained by the cause."""


@value(frozen=True, slots=True)
class BatchReport:
    """What one committed batch was, for metrics."""

    lane: str
    commands_count: int
    seconds: float
    """From the first statement to the commit."""
    queue_seconds: tuple[float, ...]
    """How long each command waited for its batch."""
    ended: tuple[tuple[Job, Attempt | None], ...]
    """Jobs that became final, each with the attempt that stands for its work."""


class Watcher:
    """Told on the event loop of what the store does; this one looks away. Must not raise, must not wait."""

    def committed(self, report: BatchReport) -> None:
        """A batch was committed."""

    def replayed(self, cause: str) -> None:
        """A batch failed and is tried again. `cause` is a Verdict."""


class _Entry:
    """A command and who waits for it."""

    __slots__ = ("command", "deferrals", "future", "given_up", "queued_at")

    def __init__(self, command: Command, future: asyncio.Future[Any], queued_at: float) -> None:
        self.command = command
        self.future = future
        self.queued_at = queued_at
        self.deferrals = 0
        self.given_up = False

    def answer(self, outcome: Any) -> None:
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # a caller that has gone away is no reason for a warning

    def give_up(self) -> None:
        self.given_up = True
        self.fail(
            StoreUnavailable("the database did not answer in time; whether it took the request is not known")
        )


class Lane:
    """Used from the event loop's thread only. `publish` gets the ids that each commit changed.

    A caller waits at most `answer_seconds_max`, unless its command is patient.
    """

    def __init__(
        self,
        name: str,
        batches: Batches,
        dialect: Dialect,
        clock: Clock,
        jitter: Callable[[], float],
        publish: Callable[[tuple[str, ...]], None],
        watcher: Watcher,
        *,
        answer_seconds_max: float = store_answer_seconds_max,
    ) -> None:
        self.name = name
        self._answer_seconds_max = answer_seconds_max
        self._queue_max = store_queue_commands_max
        self._batches = batches
        self._dialect = dialect
        self._clock = clock
        self._jitter = jitter
        self._publish = publish
        self._watcher = watcher
        self._queue: deque[_Entry] = deque()
        self._parts: deque[list[_Entry]] = deque()
        self._tries = 0
        self._reconnects = 0
        self._busy = False
        self._open = False
        self._idle = asyncio.Event()
        self._thread: ThreadPoolExecutor | None = None
        self._batch_began = 0.0
        self._failing_since: float | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether no batch could be committed for a while: the database is away, or takes no changes. It stays so until the
        next batch is committed, and who has nothing to commit does not learn of that.
        """
        since = self._failing_since
        return since is not None and self._clock.monotonic() - since >= STUCK_SECONDS

    @property
    def is_busy(self) -> bool:
        """Whether there is something to commit."""
        return self._busy

    def start(self) -> None:
        """Open for commands. Connects with the first batch."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"store-{self.name}")
            self._idle.set()
            self._open = True

    async def execute(self, command: Command) -> Any:
        """Queue the command and wait for its commit."""
        if not self._open:
            raise StoreUnavailable("the store is closed")
        if len(self._queue) >= self._queue_max and not command.patient:
            raise Overloaded("too many requests wait for the database")
        loop = asyncio.get_running_loop()
        entry = _Entry(command, loop.create_future(), self._clock.monotonic())
        self._queue.append(entry)
        timer = None if command.patient else loop.call_later(self._answer_seconds_max, entry.give_up)
        if not self._busy:
            # Once the callers that are ready now have queued theirs too.
            self._busy = True
            self._idle.clear()
            loop.call_soon(self._next)
        try:
            return await entry.future
        finally:
            if timer is not None:
                timer.cancel()

    async def stop(self, seconds_max: float) -> None:
        """Finish what is queued, at most this long, then close. Legal twice, and before `start`."""
        thread = self._thread
        if thread is None:
            return
        self._open = False
        try:
            await asyncio.wait_for(self._idle.wait(), seconds_max)
        except TimeoutError:
            for entry in [*self._queue, *(entry for part in self._parts for entry in part)]:
                entry.give_up()
            await self._idle.wait()
        self._thread = None
        await asyncio.get_running_loop().run_in_executor(thread, self._batches.reset)
        thread.shutdown(wait=False)

    # -- from batch to batch

    def _next(self) -> None:
        """Start the next batch or the next part of the one that failed; rest when there is nothing to do."""
        while True:
            if not self._parts:
                self._tries = 0
                self._parts.append(self._take())
            part = [entry for entry in self._parts[0] if not entry.given_up]
            self._parts[0] = part
            if part:
                break
            self._parts.popleft()
            if not self._queue and not self._parts:
                self._busy = False
                self._idle.set()
                return
        assert self._thread is not None, "a batch runs on the lane's thread"
        self._batch_began = self._clock.monotonic()
        commands = [entry.command for entry in part]
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._batches.run, commands)
        running.add_done_callback(self._ended)

    def _take(self) -> list[_Entry]:
        """What is queued, up to a batch; some commands have one of their own."""
        taken: list[_Entry] = []
        while self._queue and len(taken) < batch_commands_max:
            if isinstance(self._queue[0].command, ALONE) and taken:
                break
            taken.append(self._queue.popleft())
            if isinstance(taken[-1].command, ALONE):
                break
        return taken

    def _ended(self, running: asyncio.Future[Committed]) -> None:
        error = running.exception()
        if error is None:
            self._succeeded(self._parts.popleft(), running.result())
            self._next()
        else:
            self._failed(error)

    def _succeeded(self, part: list[_Entry], committed: Committed) -> None:
        self._tries = self._reconnects = 0
        self._failing_since = None
        later = []
        for entry, answer in zip(part, committed.answers, strict=True):
            if isinstance(answer, Done):
                entry.answer(answer.outcome)
            elif isinstance(answer, Refusal):
                entry.fail(answer.error)
            elif entry.deferrals < batch_retries_max:
                entry.deferrals += 1
                later.append(entry)
            else:
                entry.fail(CommandFailed("the command keeps needing rows that were not loaded for it"))
        if later:
            self._parts.appendleft(later)
        if committed.changed:
            self._publish(committed.changed)
        began, ended = self._batch_began, self._clock.monotonic()
        waits = tuple(began - entry.queued_at for entry in part)
        self._watcher.committed(BatchReport(self.name, len(part), ended - began, waits, committed.ended))

    def _failed(self, error: BaseException) -> None:
        verdict = self._dialect.judge(error)
        part = self._parts[0]
        loop = asyncio.get_running_loop()
        if verdict is Verdict.RECONNECT:
            self._watcher.replayed(verdict.value)
            self._reconnects += 1
            if self._failing_since is None:
                self._failing_since = self._clock.monotonic()
            wait = min(RECONNECT_SECONDS_MAX, RECONNECT_SECONDS_MIN * 2 ** min(self._reconnects - 1, 8))
            loop.call_later(wait * self._jitter(), self._reconnect)
        elif verdict is Verdict.AGAIN and self._tries < batch_retries_max:
            self._watcher.replayed(verdict.value)
            self._tries += 1
            loop.call_later(RETRY_SECONDS * self._tries * self._jitter(), self._next)
        elif len(part) > 1:
            self._watcher.replayed(Verdict.FAULT.value)
            self._tries = 0
            self._parts.popleft()
            middle = len(part) // 2
            self._parts.extendleft((part[middle:], part[:middle]))
            self._next()
        else:
            self._parts.popleft()
            self._tries = 0
            part[0].fail(_told(error, verdict))
            self._next()

    def _reconnect(self) -> None:
        assert self._thread is not None, "the thread outlives its batches"
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._thread, self._batches.reset).add_done_callback(lambda _: self._next())


def _told(error: BaseException, verdict: Verdict) -> BaseException:
    """What the caller of a single failed command gets: mistakes of ours as they are, a driver's words never."""
    if isinstance(error, AssertionError | TypeError):
        return error
    if verdict is Verdict.AGAIN:
        told: Exception = StoreUnavailable("the request kept losing against others; ask again")
    else:
        told = CommandFailed("the database refused the command")
    told.__cause__ = error
    return told
