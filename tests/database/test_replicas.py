"""Three replicas on one PostgreSQL: nothing is paid twice, and no budget is passed, at any commit."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from service.clock import SystemClock, SystemDice
from service.database.engine import Address
from service.database.lane import Watcher
from service.database.migrate import migrate
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.errors import BudgetExceeded
from tests.support.orders import CEILING_NANOS, Orders, Steps
from tests.support.postgres import fresh_database, postgres_folder

__all__ = ["postgres_folder"]

REPLICAS = 3
CALLERS_PER_REPLICA = 8
REQUESTS_PER_CALLER = 12


class Replays(Watcher):
    """Counts batches that had to be repeated."""

    def __init__(self) -> None:
        self.causes: list[str] = []

    def replayed(self, cause: str) -> None:
        self.causes.append(cause)


@pytest.fixture
def url(postgres_folder: Path) -> Iterator[str]:
    """A database of its own, whose schema a test may change."""
    with fresh_database(postgres_folder) as url:
        migrate(Address(url))
        yield url


@pytest.fixture
def replays() -> Replays:
    return Replays()


@pytest.fixture
async def replicas(url: str, replays: Replays) -> AsyncIterator[list[tuple[Database, Orders]]]:
    """Open databases with what each replica asks for; the books are checked at the end."""
    async with AsyncExitStack() as stack:
        opened = []
        for number in range(REPLICAS):
            clock = SystemClock()
            dice = SystemDice(clock.now)
            database = open_database(url, clock, dice.jitter, watcher=replays)
            await database.start()
            stack.push_async_callback(database.stop)
            await database.store.execute(c.Heartbeat(f"replica-{number}"))
            opened.append((database, Orders(dice, owner=f"replica-{number}")))
        yield opened
        assert () == await opened[0][0].ledger.verify()


async def test_no_fingerprint_is_paid_twice(
    replicas: list[tuple[Database, Orders]], url: str, replays: Replays
) -> None:
    """With providers that answer at once and few subjects, every picture is drawn once and found ever after."""

    async def caller(database: Database, orders: Orders, offset: int) -> None:
        for number in range(REQUESTS_PER_CALLER):
            accept = orders.accept(f"subject {(number + offset) % REQUESTS_PER_CALLER}")
            if isinstance(await database.store.execute(accept), c.New):
                for command in Steps(accept).all()[1:]:
                    await database.store.execute(command)

    async with asyncio.TaskGroup() as group:
        for number, (database, orders) in enumerate(replicas):
            for _ in range(CALLERS_PER_REPLICA):
                group.create_task(caller(database, orders, number))
    with psycopg.connect(Address(url).driver_url) as connection:
        paid = connection.execute(
            "SELECT count(*), count(DISTINCT r.fingerprint) FROM attempts a JOIN renders r ON r.id = a.render_id"
        ).fetchone()
        jobs = connection.execute("SELECT count(*), count(final_at) FROM jobs").fetchone()
    assert (REQUESTS_PER_CALLER, REQUESTS_PER_CALLER) == paid
    assert (REPLICAS * CALLERS_PER_REPLICA * REQUESTS_PER_CALLER,) * 2 == jobs
    assert [] == replays.causes


async def test_no_budget_is_passed_at_any_commit(
    replicas: list[tuple[Database, Orders]], url: str, replays: Replays
) -> None:
    """Spent - overrun + held stays within the limit at every write of the window, also when a provider bills double."""
    first, orders = replicas[0]
    limit = 10 * CEILING_NANOS
    budget = await first.store.execute(orders.budget(limit))
    with psycopg.connect(Address(url).driver_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION within() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NEW.spent_nanos - NEW.overrun_nanos + NEW.held_nanos > {limit} OR NEW.held_nanos < 0 THEN "
            "RAISE EXCEPTION 'the budget is passed' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER within BEFORE INSERT OR UPDATE ON budget_windows FOR EACH ROW EXECUTE FUNCTION within()"
        )
    taken = 0

    async def caller(database: Database, orders: Orders, name: str) -> None:
        nonlocal taken
        for number in range(REQUESTS_PER_CALLER):
            accept = orders.accept(f"{name} {number}")
            try:
                await database.store.execute(accept)
            except BudgetExceeded:
                continue
            taken += 1
            steps = Steps(accept)
            result = replace(steps.result(), images_count=2, metrics=(("image_count", "2"),))
            if number % 3 == 0:
                await database.store.execute(c.Cancel(accept.job_id, None))
            else:
                for command in (steps.dispatch(), steps.bind(), result, steps.finish()):
                    await database.store.execute(command)

    async with asyncio.TaskGroup() as group:
        for number, (database, asking) in enumerate(replicas):
            for place in range(CALLERS_PER_REPLICA):
                group.create_task(caller(database, asking, f"{number}.{place}"))
    state = (await first.ledger.budgets("growth"))[0]
    assert state.window is not None
    assert budget.id == state.budget.id
    assert taken >= limit // CEILING_NANOS
    assert (0, state.window.overrun_nanos * 2) == (state.window.held_nanos, state.window.spent_nanos)
    assert state.window.spent_nanos - state.window.overrun_nanos <= limit
    assert [] == replays.causes


async def test_a_hint_reaches_the_other_replicas(replicas: list[tuple[Database, Orders]]) -> None:
    """A commit here wakes a listener there, also after the connections between them were cut."""
    (here, orders), (there, _), _ = replicas
    for _ in range(2):
        accept = orders.accept(orders.dice.new_id())
        with there.hints.subscribe(accept.job_id) as subscription:
            await here.store.execute(accept)
            woken = await subscription.wait(0.5)
            while not woken:  # the hint was lost while a connection was made; any later one will do
                await here.store.execute(c.Cancel(accept.job_id, None))
                accept = orders.accept(orders.dice.new_id())
                subscription.add(accept.job_id)
                await here.store.execute(accept)
                woken = await subscription.wait(0.5)
        await there.store.execute(c.Heartbeat("replica-1"))
        _cut_listeners(there)


def _cut_listeners(database: Database) -> None:
    with psycopg.connect(database._address.driver_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' "
            "AND pid <> pg_backend_pid() AND datname = current_database()"
        )


async def test_a_hit_waits_for_nobody(replicas: list[tuple[Database, Orders]], url: str) -> None:
    """A finished picture is found though its flight and its render are locked by somebody else."""
    (database, orders), _, _ = replicas
    first = orders.accept()
    for command in Steps(first).all():
        await database.store.execute(command)
    with psycopg.connect(Address(url).driver_url) as connection:
        connection.execute("SELECT 1 FROM flights FOR UPDATE").fetchall()
        connection.execute("SELECT 1 FROM renders FOR UPDATE").fetchall()
        assert isinstance(await database.store.execute(orders.accept()), c.Hit)
        connection.rollback()


async def test_a_wrong_guess_is_decided_again_under_locks(
    replicas: list[tuple[Database, Orders]], url: str
) -> None:
    """A request that looks like a hit but is none (its picture is gone) makes one render among many callers."""
    first = replicas[0][1].accept()
    for command in Steps(first).all():
        await replicas[0][0].store.execute(command)
    with psycopg.connect(Address(url).driver_url) as connection:
        connection.execute("UPDATE assets SET state = 'GONE'")
    outcomes = await asyncio.gather(
        *(database.store.execute(orders.accept()) for database, orders in replicas for _ in range(5))
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert (1, 3 * 5 - 1) == (kinds.count(c.New), kinds.count(c.Joined))


async def test_work_goes_on_when_the_server_cuts_every_connection(
    replicas: list[tuple[Database, Orders]], url: str
) -> None:
    """Connections that are terminated in the middle of work cost time only: every job ends, and is paid once."""
    accepts: list[c.Accept] = []

    async def caller(database: Database, orders: Orders) -> None:
        for _ in range(REQUESTS_PER_CALLER):
            accept = orders.accept(orders.dice.new_id())
            accepts.append(accept)
            for command in Steps(accept).all():
                await database.store.execute(command)

    async def cutter() -> None:
        clock = SystemClock()
        async with await psycopg.AsyncConnection.connect(
            Address(url).driver_url, autocommit=True
        ) as connection:
            total = REPLICAS * 4 * REQUESTS_PER_CALLER
            for cut_at in range(total // 6, total, total // 6):
                while len(accepts) < cut_at:
                    await clock.sleep(0.01)
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

    async with asyncio.TaskGroup() as group:
        cutting = group.create_task(cutter())
        for database, orders in replicas:
            for _ in range(4):
                group.create_task(caller(database, orders))
    assert cutting.done()
    with psycopg.connect(Address(url).driver_url) as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE j.state = 'SUCCEEDED'), (SELECT count(*) FROM attempts) FROM jobs j"
        ).fetchone()
    assert (len(accepts),) * 3 == row
