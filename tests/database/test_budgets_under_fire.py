"""Budgets while everybody asks at once: three replicas on a server, or the one on a file, 64 callers at each.

At the last moment of every transaction, with its locks still held, a hard budget is looked at (`Guard`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from service.clock import SystemClock, SystemDice
from service.database.open import Database
from service.domain import commands as c
from service.domain.errors import BudgetExceeded
from service.domain.queries import BudgetState
from service.domain.records import Grade, Period
from tests.database.guard import Guard
from tests.database.movable import Movable
from tests.support.orders import CEILING_NANOS, Orders, Steps
from tests.support.postgres import emptied_database, postgres_folder
from tests.unit.domain.desk import BROKE

__all__ = ["postgres_folder"]

CALLERS = 64
ASKS = 6
"""Of each caller; the budget has room for a third."""
ADS = (("team", "ads"),)


@dataclass
class Fire:
    """Replicas, what each asks for, and the guard at every commit."""

    time: Movable
    guard: Guard
    replicas: list[tuple[Database, Orders]]
    random: random.Random = field(default_factory=lambda: random.Random(11))
    taken: int = 0
    refused: list[BudgetExceeded] = field(default_factory=list)
    _waiting: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)

    @property
    def first(self) -> tuple[Database, Orders]:
        return self.replicas[0]

    @property
    def asks(self) -> int:
        return len(self.replicas) * CALLERS * ASKS

    async def budget(self, limit_nanos: int, **changes: Any) -> Any:
        """Set one."""
        database, orders = self.first
        return await database.store.execute(orders.budget(limit_nanos, **changes))

    async def ask(self, database: Database, orders: Orders, **changes: Any) -> c.Accept | None:
        """One request for a picture that nobody has; None when a budget refuses it, which it must tell truly."""
        accept = orders.accept(orders.dice.new_id(), **changes)
        try:
            await database.store.execute(accept)
        except BudgetExceeded as error:
            self.refused.append(error)
            self._tell()
            told = {name: int(error.metadata[f"{name}Nanos"]) for name in ("limit", "spent", "held", "asked")}
            assert told["spent"] + told["held"] + told["asked"] > told["limit"], "it would have fit"
            return None
        self.taken += 1
        self._tell()
        return accept

    async def answered(self, count: int) -> None:
        """Wait until so many requests were taken or refused."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, waiting))
        self._tell()
        await waiting

    def _tell(self) -> None:
        for count, waiting in self._waiting:
            if self.taken + len(self.refused) >= count and not waiting.done():
                waiting.set_result(None)

    async def burn(self, caller: Callable[[Database, Orders], Any], asks: int = ASKS) -> None:
        """All callers at once, each so often."""

        async def one(database: Database, orders: Orders) -> None:
            for _ in range(asks):
                await caller(database, orders)

        async with asyncio.TaskGroup() as group:
            for database, orders in self.replicas:
                for _ in range(CALLERS):
                    group.create_task(one(database, orders))

    async def states(self) -> Sequence[BudgetState]:
        """The live budgets with their current windows."""
        return await self.first[0].ledger.budgets("growth")

    async def through(self, database: Database, accept: c.Accept, units: str = "1") -> None:
        """The picture is drawn, and so many are billed."""
        steps = Steps(accept)
        result = replace(steps.result(), metrics=(("image_count", units),))
        for command in (steps.dispatch(), steps.bind(), result, steps.finish()):
            await database.store.execute(command)

    async def fate(self, database: Database, accept: c.Accept) -> None:
        """Cancelled, failed at its ceiling, drawn for less, for its hold or for twice that; then perhaps billed otherwise."""
        chance = self.random.random()
        steps = Steps(accept)
        if chance < 0.2:
            await database.store.execute(c.Cancel(accept.job_id, None))
        elif chance < 0.3:
            failed = c.RecordResult(accept.attempt_id, ended="FAILED", charge_ceiling=True, failure=BROKE)
            for command in (steps.dispatch(), steps.bind(), failed, steps.fail(BROKE, failover=False)):
                await database.store.execute(command)
        else:
            await self.through(database, accept, self.random.choice(("0.25", "1", "2")))
        if self.random.random() < 0.6:
            amount = self.random.choice((0, 1, CEILING_NANOS - 7, CEILING_NANOS + 7, 3 * CEILING_NANOS))
            bill = c.Correct(accept.attempt_id, amount_nanos=amount, grade=Grade.BILLING_EVENT)
            await database.store.execute(bill)


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without a row, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with emptied_database(postgres_folder) as url:
            yield url


@pytest.fixture
async def fire(url: str) -> AsyncIterator[Fire]:
    """No rule is broken at any commit, and the books are right at the end."""
    async with AsyncExitStack() as stack:
        time, guard = Movable(url), Guard()
        stack.callback(time.forget)
        replicas = []
        for number in range(1 if url.startswith("sqlite") else 3):
            database = time.database()
            await database.start()
            stack.push_async_callback(database.stop)
            guard.watch(database)
            replicas.append((database, Orders(SystemDice(SystemClock().now), owner=f"replica-{number}")))
        made = Fire(time, guard, replicas)
        yield made
        assert [] == guard.broken
        assert guard.looks > 5
        assert () == await replicas[0][0].ledger.verify()


async def test_a_budget_is_used_up_to_the_last_request_that_fits(fire: Fire) -> None:
    """Three times as many ask as fit: exactly those that fit are taken, whether they are still held or posted already."""
    room = fire.asks // 3
    await fire.budget(room * CEILING_NANOS + CEILING_NANOS // 2)

    async def caller(database: Database, orders: Orders) -> None:
        accept = await fire.ask(database, orders)
        if accept is not None and fire.random.random() < 0.3:
            await fire.through(database, accept)

    await fire.burn(caller)
    [state] = await fire.states()
    assert state.window is not None
    assert (room, fire.asks - room) == (fire.taken, len(fire.refused))
    assert room * CEILING_NANOS == state.window.spent_nanos + state.window.held_nanos


async def test_no_budget_is_passed_by_overruns_and_corrections(fire: Fire) -> None:
    """Of the project's month, a label's day, and all time: each is kept at every commit, and in the end has no room to give."""
    room = fire.asks // 3
    await fire.budget(room * CEILING_NANOS)
    await fire.budget(room // 2 * CEILING_NANOS, label_key="team", label_value="ads", period=Period.DAY)
    await fire.budget(2 * room * CEILING_NANOS, period=Period.TOTAL)

    async def caller(database: Database, orders: Orders) -> None:
        accept = await fire.ask(database, orders, labels=fire.random.choice(((), ADS)))
        if accept is not None:
            await fire.fate(database, accept)

    await fire.burn(caller)
    while await fire.ask(*fire.first) is not None:
        pass  # what the last ones gave back
    assert fire.refused
    fullest = [s for s in await fire.states() if s.window is not None and not s.budget.label_key]
    assert any(
        s.window.spent_nanos + s.window.held_nanos + CEILING_NANOS > s.budget.limit_nanos for s in fullest
    )
    assert {0} != {s.window.overrun_nanos for s in fullest}


async def test_a_new_day_has_its_own_room(fire: Fire) -> None:
    """Midnight UTC under fire: each day takes exactly what fits into it, and what is billed later goes to the day of its hold."""
    room = fire.asks // 3
    await fire.budget(room * CEILING_NANOS, period=Period.DAY)
    fire.time.advance(24 * 3_600 - 1)
    held: list[tuple[Database, c.Accept]] = []

    async def caller(database: Database, orders: Orders) -> None:
        accept = await fire.ask(database, orders)
        if accept is None:
            return
        held.append((database, accept))
        if fire.taken == room // 2:
            # Nobody stops asking: what is taken from now on is tomorrow's.
            await asyncio.to_thread(fire.time.advance, 2)

    await fire.burn(caller)
    days = dict(sorted((key[1], level) for key, level in fire.guard.highest.items()))
    before, after = days.values()
    assert room * CEILING_NANOS == after
    assert room // 2 * CEILING_NANOS <= before <= room * CEILING_NANOS
    assert (before + after) // CEILING_NANOS == fire.taken
    for database, accept in held[:20]:
        await fire.through(database, accept, "2")
        bill = c.Correct(accept.attempt_id, amount_nanos=1, grade=Grade.BILLING_EVENT)
        await database.store.execute(bill)
    [state] = await fire.states()
    assert state.window is not None
    assert (after, 0) == (state.window.held_nanos, state.window.spent_nanos), (
        "today pays nothing of yesterday"
    )


async def test_limits_may_change_under_fire(fire: Fire) -> None:
    """Raised, lowered below what is spent, ended and made anew while all ask: each hold keeps to the limit of its moment."""
    room = fire.asks // 3
    limits = [room, room // 2, 2 * room, 1, room]
    await fire.budget(room * CEILING_NANOS)

    async def caller(database: Database, orders: Orders) -> None:
        accept = await fire.ask(database, orders)
        if accept is not None:
            await fire.fate(database, accept)

    async def change() -> None:
        database, orders = fire.replicas[-1]
        for turn, limit in enumerate(limits * 3):
            made = await fire.budget(limit * CEILING_NANOS)
            await fire.answered((turn + 1) * fire.asks // (3 * len(limits) + 1))
            if turn % 4 == 3:
                ended = c.DeleteBudget(made.id, orders.dice.new_id(), by="tests")
                assert (await database.store.execute(ended)).live is False

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        group.create_task(fire.burn(caller))
    assert fire.refused
    [state] = await fire.states()
    assert room * CEILING_NANOS == state.budget.limit_nanos
    windows = {key[0] for key in fire.guard.highest}
    assert len(windows) > 2, "some were made anew"
