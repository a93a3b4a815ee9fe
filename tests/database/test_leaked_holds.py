"""A hold whose owner is gone does not keep its money for ever; one that nobody could release is told by name."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.database.engine import Address
from service.database.open import Database
from service.domain import commands as c
from service.domain.errors import BudgetExceeded
from tests.database.movable import Movable, movable_database
from tests.support.clock import SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]

DAY_SECONDS = 24 * 3_600
PLACES = {
    # Where its owner left it: how many of its steps were done, and what is spent in the end.
    "held": (1, 0),
    "being sent": (2, CEILING_NANOS),
    "accepted": (3, CEILING_NANOS),
    "running": (4, CEILING_NANOS),
    "drawn": (5, CEILING_NANOS),
}


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without a row, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with emptied_database(postgres_folder) as url:
            yield url


@pytest.fixture
async def opened(url: str) -> AsyncIterator[tuple[Database, Movable, Orders]]:
    async with movable_database(url) as (database, time):
        yield database, time, Orders(SeededDice(4, time.clock), owner="gone")


async def held_and_spent(database: Database) -> tuple[int, int]:
    """Of the one budget's current window."""
    [state] = await database.ledger.budgets("growth")
    assert state.window is not None
    return state.window.held_nanos, state.window.spent_nanos


@pytest.mark.parametrize("place", PLACES)
async def test_recovery_releases_the_hold_of_a_dead_render(
    opened: tuple[Database, Movable, Orders], place: str
) -> None:
    """Not before its time is over; then unspent if nothing was sent, and charged as unconfirmed if it may have been billed."""
    database, time, orders = opened
    await database.store.execute(orders.budget(CEILING_NANOS))
    accept = orders.accept()
    steps, spent = PLACES[place]
    for command in Steps(accept).all()[:steps]:
        await database.store.execute(command)
    with pytest.raises(BudgetExceeded):
        await database.store.execute(orders.accept("another"))
    assert 0 == await database.store.execute(c.EndOverdue((accept.render_id,)))
    time.advance(2 * DAY_SECONDS)
    overdue = await database.work.overdue(10)
    assert (accept.render_id,) == overdue
    assert 1 == await database.store.execute(c.EndOverdue(overdue))
    assert (0, spent) == await held_and_spent(database)
    assert () == await database.ledger.verify()
    if spent:
        with pytest.raises(BudgetExceeded):
            await database.store.execute(orders.accept("another"))
    else:
        assert isinstance(await database.store.execute(orders.accept("another")), c.New)


async def test_a_leaked_hold_is_named(opened: tuple[Database, Movable, Orders], url: str) -> None:
    """A render that was ended behind the back of its hold: the check of the books says whose hold it is, and changes nothing."""
    database, _, orders = opened
    await database.store.execute(orders.budget(CEILING_NANOS))
    accept = orders.accept()
    await database.store.execute(accept)
    assert () == await database.ledger.verify()
    engine = Address(url).writer()
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE renders SET state = 'FAILED', finished_at = 1")
        connection.exec_driver_sql("UPDATE jobs SET state = 'FAILED', final_at = 1")
    engine.dispose()
    told = await database.ledger.verify()
    assert (
        f"attempt {accept.attempt_id}: its hold is open though its render {accept.render_id} is FAILED"
        in told
    )
    assert (CEILING_NANOS, 0) == await held_and_spent(database)
