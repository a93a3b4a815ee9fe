"""The store, its readers and its hints without a database: the same decisions on rows that are kept in dictionaries.

Each batch decides on a fresh World that holds everything, so what a batch changed is what its Worlds wrote. The windows of a
hold are made only for the holders that `may_hold` names: a decision that holds for somebody else fails, as it would in a
database.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from service.domain import commands as c
from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.budget import covering, empty_window, window_start
from service.domain.decisions import decide, may_hold
from service.domain.errors import LightmeterError, StoreUnavailable
from service.domain.oversight import AuditEvent, Event, Switch, SwitchScope
from service.domain.records import (
    Asset,
    Attempt,
    Budget,
    BudgetChange,
    Flight,
    Grade,
    HoldBudget,
    Job,
    ProviderId,
    Render,
    RenderAsset,
    RenderInput,
    Replica,
    Transfer,
    Window,
)
from service.domain.totals import TotalsDelta, TotalsKey
from service.domain.world import World
from service.ports import Clock
from tests.support.memory_prune import prune
from tests.support.memory_reads import MemoryReader

__all__ = ["Fault", "MemoryHints", "MemoryReader", "MemoryStore", "MemorySubscription", "Tables"]

_TABLES = (
    "jobs", "flights", "renders", "attempts", "provider_ids", "assets", "render_assets", "render_inputs",
    "budgets", "windows", "hold_budgets", "replicas", "switches", "discrepancies",
    "reconciliations",
)  # fmt: skip
_LOGS = ("transfers", "budget_changes", "totals", "label_totals", "ended", "events", "audit")


class Tables:
    """Every committed row, by the names and keys of World."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.flights: dict[tuple[str, str], Flight] = {}
        self.renders: dict[str, Render] = {}
        self.attempts: dict[str, Attempt] = {}
        self.provider_ids: dict[tuple[str, str], ProviderId] = {}
        self.assets: dict[str, Asset] = {}
        self.render_assets: dict[tuple[str, int], RenderAsset] = {}
        self.render_inputs: dict[tuple[str, str, int], RenderInput] = {}
        self.budgets: dict[str, Budget] = {}
        self.windows: dict[tuple[str, int], Window] = {}
        self.hold_budgets: dict[tuple[str, str], HoldBudget] = {}
        self.replicas: dict[str, Replica] = {}
        self.discrepancies: dict[tuple[str, Side, str], Discrepancy] = {}
        self.reconciliations: dict[tuple[str, Grade, int, int], Reconciliation] = {}
        self.switches: dict[tuple[SwitchScope, str], Switch] = {}
        self.transfers: list[Transfer] = []
        self.budget_changes: list[BudgetChange] = []
        self.totals: list[tuple[TotalsKey, TotalsDelta]] = []
        self.label_totals: list[tuple[TotalsKey, str, str, TotalsDelta]] = []
        self.ended: list[tuple[Job, Attempt | None]] = []
        self.events: list[Event] = []
        self.audit: list[AuditEvent] = []

    def world(self, now: int, reporting_labels: dict[str, tuple[str, ...]] | None = None) -> World:
        """A World that has loaded all of it."""
        world = World(now, reporting_labels)
        world.load_jobs(self.jobs.values())
        world.load_attempts(self.attempts.values())
        world.load_render_assets(self.render_assets.values())
        world.load_hold_budgets(self.hold_budgets.values())
        for name in (
            "flights", "renders", "provider_ids", "assets", "render_inputs", "budgets", "windows", "replicas",
            "switches",
            "discrepancies",
            "reconciliations",
        ):  # fmt: skip
            for key, row in getattr(self, name).items():
                getattr(world, name).load(key, row)
        world.budget_changes_known = {change.id: change for change in self.budget_changes}
        world.sources_known = {one.source for one in self.transfers}
        world.audit_known = {event.id: event for event in self.audit}
        return world

    def take(self, world: World) -> list[str]:
        """Commit what a World changed. Answers the ids of the jobs and renders among it."""
        changed = [key for key, _, _ in (*world.jobs.changes(), *world.renders.changes())]
        for name in _TABLES:
            getattr(self, name).update({key: row for key, _, row in getattr(world, name).changes()})
        for name in _LOGS:
            getattr(self, name).extend(getattr(world, name).entries)
        return changed

    def image(self) -> dict[str, Any]:
        """A copy of everything, to be compared."""
        return {name: dict(getattr(self, name)) for name in _TABLES} | {
            name: list(getattr(self, name)) for name in _LOGS if name != "ended"
        }

    def joinable_twice(self) -> list[tuple[str, str]]:
        """Fingerprints with more than one render that can be joined; the database refuses those."""
        seen: set[tuple[str, str]] = set()
        twice = []
        for render in self.renders.values():
            if render.joinable:
                key = (render.scope, render.fingerprint)
                if key in seen:
                    twice.append(key)
                seen.add(key)
        return twice


class Fault:
    """What goes wrong with the next command of a kind: StoreUnavailable, before it or after its commit."""

    def __init__(self, kind: type[c.Command], *, committed: bool) -> None:
        self.kind = kind
        self.committed = committed


class MemoryStore:
    """Implements `Store`. `tables` may be looked into; `seen` has every command in the order of its execution."""

    def __init__(self, clock: Clock, *, reporting_labels: dict[str, tuple[str, ...]] | None = None) -> None:
        self._clock = clock
        self._labels = reporting_labels or {}
        self.tables = Tables()
        self.seen: list[c.Command] = []
        self.hints = MemoryHints(clock)
        self.faults: deque[Fault] = deque()
        self.before: Callable[[c.Command], None] = _nothing
        """Called with each command before it is carried out."""

    @property
    def events(self) -> list[Event]:
        """What was unusual, in the order of its writing."""
        return self.tables.events

    async def execute(self, command: Any) -> Any:
        """Carry the command out in a batch of its own, also for a caller that goes away meanwhile."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.run(command)
            raise
        self.before(command)
        fault = next((one for one in self.faults if isinstance(command, one.kind)), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault.committed:
                self.run(command)
            raise StoreUnavailable("the database did not answer in time")
        return self.run(command)

    def run(self, command: c.Command) -> Any:
        """The same without waiting: the outcome, or the decision's refusal."""
        outcome = self.batch([command])[0]
        if isinstance(outcome, LightmeterError):
            raise outcome
        return outcome

    def batch(self, commands: Sequence[c.Command]) -> list[Any]:
        """Carry commands out in one transaction. A refused one answers its error and leaves no trace."""
        world = self.tables.world(self._clock.now(), self._labels)
        outcomes = [self._decide(world, command) for command in commands]
        changed = self.tables.take(world)
        assert not self.tables.joinable_twice(), "two renders of one fingerprint can be joined"
        self.hints.publish(changed)
        return outcomes

    def _decide(self, world: World, command: c.Command) -> Any:
        self.seen.append(command)
        mark = world.mark()
        for project, labels in may_hold(world, command):
            for budget in covering(world.budgets.values(), project, labels):
                key = (budget.id, window_start(budget.period, world.now))
                if world.windows.get(key) is None:
                    world.windows.put(key, empty_window(*key))
        if isinstance(command, c.Prune):
            return prune(self.tables, command)
        if isinstance(command, c.RollDays | c.RecordStored):
            # What it keeps besides is for the reports of a database.
            return 0 if isinstance(command, c.RollDays) else None
        try:
            outcome = decide(world, command)
        except LightmeterError as error:
            world.rollback(mark)
            return error
        if isinstance(command, c.SetBudget) and outcome.revision == 1 and outcome.id == command.budget_id:
            _open(world, outcome)
        return outcome


def _nothing(_command: c.Command) -> None:
    """Does nothing."""


def _open(world: World, budget: Budget) -> None:
    """A new budget starts with what its window has seen already."""
    start = window_start(budget.period, world.now)
    if world.windows.get((budget.id, start)) is not None:
        return
    window = empty_window(budget.id, start)
    for attempt in list(world.attempts.values()):
        payer = world.jobs.get(attempt.payer_job)
        if payer is None or not budget.covers(attempt.project, payer.labels) or attempt.usage_at < start:
            continue
        total = attempt.total_nanos
        window = replace(
            window,
            held_nanos=window.held_nanos + (attempt.hold_nanos if attempt.hold_open else 0),
            spent_nanos=window.spent_nanos + total,
            overrun_nanos=window.overrun_nanos + max(0, total - attempt.hold_nanos),
            unconfirmed_nanos=window.unconfirmed_nanos
            + (total if attempt.grade.name == "UNCONFIRMED" else 0),
        )
        world.put_hold_budget(HoldBudget(attempt.id, budget.id, start, attempt.hold_nanos))
    world.windows.put((budget.id, start), window)


class MemorySubscription:
    """Implements `HintSubscription` with the injected clock."""

    def __init__(self, hints: "MemoryHints", keys: Iterable[str]) -> None:
        self._hints = hints
        self.keys = set(keys)
        self._hinted = asyncio.Event()

    def poke(self) -> None:
        """Something changed."""
        self._hinted.set()

    async def wait(self, seconds_max: float) -> bool:
        """Wait for a poke or until the clock has moved this far."""
        if not self._hinted.is_set():
            loop = asyncio.get_running_loop()
            waits = [
                loop.create_task(self._hinted.wait()),
                loop.create_task(self._hints.clock.sleep(seconds_max)),
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waits:
                    task.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
        hinted = self._hinted.is_set()
        self._hinted.clear()
        return hinted

    def add(self, key: str) -> None:
        """Listen for one more."""
        self.keys.add(key)

    def close(self) -> None:
        """Stop listening."""
        self._hints.subscriptions.discard(self)


class MemoryHints:
    """Implements `Hints`. With `dropping` every hint is lost."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.subscriptions: set[MemorySubscription] = set()
        self.dropping = False

    def subscribe(self, *keys: str) -> MemorySubscription:
        """Listen."""
        subscription = MemorySubscription(self, keys)
        self.subscriptions.add(subscription)
        return subscription

    def publish(self, keys: Iterable[str]) -> None:
        """Poke whoever listens for one of these."""
        if self.dropping:
            return
        changed = set(keys)
        for subscription in list(self.subscriptions):
            if subscription.keys & changed:
                subscription.poke()
