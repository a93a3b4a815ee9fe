"""The journal cannot be changed, and whatever else is changed behind its back is found."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError

from service.clock import SystemClock, SystemDice
from service.database.engine import Address
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.oversight import SwitchScope, SwitchState
from tests.support.orders import CEILING_NANOS, Orders, draw
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without a row, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with emptied_database(postgres_folder) as url:
            yield url


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Database]:
    """A budget, a picture drawn, a request that waits, and a switch."""
    clock = SystemClock()
    dice = SystemDice(clock.now)
    database = open_database(url, clock, dice.jitter)
    await database.start()
    orders = Orders(dice)
    await database.store.execute(orders.budget(100 * CEILING_NANOS))
    await draw(database.store, orders.accept("drawn"))
    await database.store.execute(orders.accept("drawn"))
    await database.store.execute(orders.accept("waiting"))
    await database.store.execute(
        c.SetSwitch("event", SwitchScope.PROVIDER, "fal", SwitchState.OFF, None, "bills twice", "tests")
    )
    yield database
    await database.stop()


@pytest.fixture
def engine(url: str, opened: Database) -> Iterator[Engine]:
    """Connections as the service's batches have them."""
    engine = Address(url).writer()
    yield engine
    engine.dispose()


FORBIDDEN = [
    "UPDATE {0} SET {1} = 'x'",
    "UPDATE {0} SET {1} = {1}",
    "DELETE FROM {0}",
    "TRUNCATE {0}",
    "INSERT OR REPLACE INTO {0} SELECT * FROM {0}",
    "REPLACE INTO {0} SELECT * FROM {0} LIMIT 1",
]


@pytest.mark.parametrize("table", ["transfers", "audit_events"])
async def test_a_session_without_our_settings_cannot_replace_a_line(
    url: str, opened: Database, table: str
) -> None:
    """INSERT OR REPLACE is refused also where recursive triggers are off, as any other tool has them."""
    engine = create_engine(Address(url).url)
    with engine.connect() as connection, pytest.raises(DBAPIError):
        connection.exec_driver_sql(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    engine.dispose()


@pytest.mark.parametrize("sql", FORBIDDEN)
@pytest.mark.parametrize(
    ("table", "column"), [("transfers", "memo"), ("budget_changes", "reason"), ("audit_events", "reason")]
)
async def test_the_journal_only_grows(engine: Engine, sql: str, table: str, column: str) -> None:
    """UPDATE, DELETE, TRUNCATE and INSERT OR REPLACE are refused, and every row is as it was."""

    def rows(connection: Connection) -> list[object]:
        return list(connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2").all())

    with engine.connect() as connection:
        before = rows(connection)
        assert before
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql(sql.format(table, column))
        connection.rollback()
        assert before == rows(connection)


FAULTS = {
    "a transfer changed": (
        "UPDATE transfers SET amount_nanos = amount_nanos + 1 WHERE kind = 'POST'",
        "sum to",
    ),
    "a running total changed": (
        "UPDATE transfers SET total_after_nanos = total_after_nanos + 1 WHERE kind = 'POST'",
        "in total",
    ),
    "a post lost": ("DELETE FROM transfers WHERE kind = 'POST'", "its ledger ends at 0"),
    "a hold lost": ("DELETE FROM transfers WHERE kind = 'HOLD'", "stands at place 0"),
    "a void in the place of a post": ("UPDATE transfers SET kind = 'VOID' WHERE kind = 'POST'", "in total"),
    "a negative amount": ("UPDATE transfers SET amount_nanos = -1 WHERE kind = 'HOLD'", "has the amount -1"),
    "a hold kept open": ("UPDATE attempts SET hold_open = (1 = 1)", "its hold is open"),
    "a render lost under an open hold": ("DELETE FROM renders WHERE finished_at IS NULL", "is gone"),
    "a job left behind": (
        "UPDATE renders SET finished_at = 1 WHERE finished_at IS NULL",
        "it waits for render",
    ),
    "another settled amount": (
        "UPDATE attempts SET settled_nanos = 1 WHERE settled_nanos > 0",
        "was settled at 1",
    ),
    "another hold": ("UPDATE attempts SET hold_nanos = 1", "the attempt says 1"),
    "an attempt lost": ("DELETE FROM attempts", "there is no such attempt"),
    "a window too low": ("UPDATE budget_windows SET spent_nanos = 0", "it says spent 0"),
    "a window with a leak": ("UPDATE budget_windows SET held_nanos = held_nanos + 1", "its attempts come to"),
    "a window lost": ("DELETE FROM budget_windows", "there is no window"),
    "an hour of totals changed": (
        "UPDATE totals SET charged_nanos = charged_nanos + 1 WHERE usage_hour > 0",
        "the transfers sum to",
    ),
    "a lifetime changed": (
        "UPDATE totals SET charged_nanos = charged_nanos + 1 WHERE usage_hour = 0",
        "the hours sum to",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_verify_finds_what_was_tampered_with(url: str, opened: Database, fault: str) -> None:
    """Right books have no differences; each fault is told in a sentence that names it."""
    assert () == await opened.ledger.verify()
    sql, told = FAULTS[fault]
    engine = Address(url).writer()
    with engine.begin() as connection:
        disarm(connection)
        connection.exec_driver_sql(sql)
    engine.dispose()
    differences = await opened.ledger.verify()
    assert any(told in sentence for sentence in differences), differences


def disarm(connection: Connection) -> None:
    """Take the triggers away, as only the owner of the database can."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        return
    names = (
        connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
    )
    for name in names:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
