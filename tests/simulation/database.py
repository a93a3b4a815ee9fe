"""The one database of a run, and what each replica sees of it: commands get lost, come late or twice, and reads fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from service.domain import commands as c
from service.domain.errors import LightmeterError, StoreUnavailable
from service.domain.limits import store_answer_seconds_max
from service.ports import Clock
from tests.simulation.gate import Gate
from tests.simulation.loop import VirtualLoop
from tests.simulation.mishaps import Mishaps
from tests.simulation.tables import Change, KeptTables
from tests.simulation.trace import Trace
from tests.support.memory_store import MemoryReader, MemoryStore

_UNKNOWN = "the database did not answer in time; whether it took the request is not known"


class Witness(Protocol):
    """Who looks at every commit."""

    def committed(self, who: str, command: c.Command, outcome: Any, change: Change) -> None:
        """A command was carried out."""
        ...

    def broken(self, text: str, *keys: str) -> None:
        """Something is not as it should be."""
        ...


class Database(MemoryStore):
    """The rows of a run, and the commands that change them, one transaction each; every commit is shown to the witness."""

    def __init__(self, clock: Clock, trace: Trace, witness: Witness) -> None:
        super().__init__(clock)
        self.tables: KeptTables = KeptTables()
        self.reads = MemoryReader(self, clock)
        self._trace = trace
        self._witness = witness
        self.listeners: dict[int, Callable[[list[str]], None]] = {}

    def carry_out(self, who: str, command: c.Command) -> Any:
        """Decide and commit; raises the decision's refusal."""
        name = type(command).__name__
        world = self.tables.world(self._clock.now(), self._labels)
        try:
            outcome = self._decide(world, command)
        except Exception as error:
            self._witness.broken(f"{name} of {who} cannot be decided: {error!r}", *_keys(command))
            raise
        self.seen.clear()
        if isinstance(outcome, LightmeterError):
            self._trace.note(who, name + " refused", type(outcome).__name__, *_keys(command))
            self.tables.world(self._clock.now())
            raise outcome
        changed = self.tables.take(world)
        change = self.tables.newest
        self._trace.note(who, name, _short(outcome), *_keys(command))
        self._witness.committed(who, command, outcome, change)
        for hear in list(self.listeners.values()):
            hear(changed)
        return outcome


def _keys(command: c.Command) -> tuple[str, ...]:
    found = (getattr(command, name, "") for name in ("job_id", "render_id", "attempt_id"))
    return tuple(one for one in found if one)


def _short(outcome: Any) -> str:
    if isinstance(outcome, int | str | tuple):
        return str(outcome)[:80]
    return str(getattr(outcome, "value", None) or type(outcome).__name__)


class StoreDoor:
    """Implements `Store` for one replica."""

    def __init__(self, gate: Gate, database: Database, mishaps: Mishaps) -> None:
        self._gate = gate
        self._database = database
        self._mishaps = mishaps

    async def execute(self, command: Any) -> Any:
        """Hand the command in. Whether it is carried out, how often and when, the mishaps decide."""
        fate = self._mishaps.commit(command)
        name = type(command).__name__
        who = self._gate.process.name

        def run() -> Any:
            return self._database.carry_out(who, command)

        def run_aside() -> None:
            try:
                run()
            except LightmeterError:
                return  # nobody hears of this one

        if self._mishaps.quiet and isinstance(command, c.Heartbeat):
            return run()
        if fate.heard:
            for at in fate.runs[:-1]:
                self._gate.later(at, run_aside)
            return await self._gate.call(name, run, there=fate.runs[-1], back=fate.back)
        for at in fate.runs:
            self._gate.later(at, run_aside)
        await self._gate.refuse(name + ".lost", StoreUnavailable(_UNKNOWN), after=store_answer_seconds_max)
        return None


_READS = (
    "view", "view_by_request", "page", "asset", "flight", "events", "budgets", "due_jobs", "strays", "render", "overdue",
    "attempt_of_token", "late", "bound", "unresolved", "attempts", "attempt", "switches", "audit",
)  # fmt: skip


_IDLE = ("due_jobs", "strays", "switches", "late", "overdue")
_IDLE_SHARE = 0.8


class ReadsDoor:
    """Implements `JobReader`, `WorkReader`, `OperatorReader` and the one read of `LedgerReader` that use cases make."""

    def __init__(self, gate: Gate, database: Database, mishaps: Mishaps) -> None:
        self._gate = gate
        self._reads = database.reads
        self._mishaps = mishaps

    def __getattr__(self, name: str) -> Any:
        if name not in _READS:
            raise AttributeError(name)
        read = getattr(self._reads, name)

        async def ask(*args: Any) -> Any:
            if self._mishaps.quiet or (name in _IDLE and self._mishaps.random.random() < _IDLE_SHARE):
                return _at_once(
                    read(*args)
                )  # most looks find nothing, and nothing may happen to them: that saves time
            if self._mishaps.read_fails():
                return await self._gate.refuse(
                    name, StoreUnavailable(_UNKNOWN), after=store_answer_seconds_max
                )
            return await self._gate.call(name, lambda: _at_once(read(*args)), there=0.0)

        self.__dict__[name] = ask
        return ask


def _at_once(coro: Any) -> Any:
    """The answer of something that never waits for more than a turn."""
    while True:
        try:
            coro.send(None)
        except StopIteration as end:
            return end.value


class Subscription:
    """Implements `HintSubscription`."""

    def __init__(self, hints: HintsDoor, keys: Iterable[str]) -> None:
        self._hints = hints
        self.keys = set(keys)
        self._hinted = False
        self._waiter: asyncio.Future[bool] | None = None

    def poke(self) -> None:
        """Something changed."""
        self._hinted = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    async def wait(self, seconds_max: float) -> bool:
        """Wait for a poke, at most this long."""
        loop = self._hints.loop
        if not self._hinted:
            self._waiter = loop.create_future()
            timer = loop.call_later(self._hints.pace(max(0.0, seconds_max)), _wake, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        hinted, self._hinted = self._hinted, False
        return hinted

    def add(self, key: str) -> None:
        """Listen for one more."""
        self.keys.add(key)

    def close(self) -> None:
        """Stop listening."""
        self._hints.open.pop(id(self), None)


def _wake(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


class HintsDoor:
    """Implements `Hints` for one replica: hints come a moment after the commit, or not at all."""

    def __init__(self, loop: VirtualLoop, gate: Gate, database: Database, mishaps: Mishaps) -> None:
        self.loop = loop
        self.open: dict[int, Subscription] = {}
        self.pace = mishaps.pace
        self._gate = gate
        self._mishaps = mishaps
        self._database = database
        database.listeners[id(self)] = self._heard

    def subscribe(self, *keys: str) -> Subscription:
        """Listen."""
        subscription = Subscription(self, keys)
        self.open[id(subscription)] = subscription
        return subscription

    def publish(self, keys: tuple[str, ...]) -> None:
        """Wake whoever listens, on every replica."""
        if self._gate.process.life.value in ("ALIVE", "STOPPED"):
            for hear in list(self._database.listeners.values()):
                hear(list(keys))

    def close(self) -> None:
        """Hear nothing any more."""
        self._database.listeners.pop(id(self), None)

    def _heard(self, keys: list[str]) -> None:
        if not self.open or self._mishaps.happens(self._mishaps.weather.hints_dropped):
            return
        changed = set(keys)
        pokes = [one for one in self.open.values() if not one.keys.isdisjoint(changed)]
        for one in pokes:
            self.loop.call_later(0.002, one.poke, context=self.loop.world)
