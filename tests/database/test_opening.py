"""A new budget on a server takes in what its window has seen, however much that is, and nothing else gets more time for it."""

import psycopg

from service.clock import SystemClock
from service.database.engine import Address
from service.database.open import open_database
from tests.support.clock import SeededDice
from tests.support.orders import CEILING_NANOS, Orders, draw
from tests.support.postgres import postgres_folder, postgres_url

__all__ = ["postgres_folder", "postgres_url"]


async def test_only_an_opening_may_take_long(postgres_url: str) -> None:
    """Its statements have a minute: ended by the usual limit they would be tried again, and end again, for ever."""
    database = open_database(postgres_url, SystemClock(), lambda: 0.0)
    await database.start()
    orders = Orders(SeededDice(8))
    await draw(database.store, orders.accept("before"))
    with psycopg.connect(Address(postgres_url).driver_url, autocommit=True) as server:
        server.execute("CREATE TABLE told (number serial, seconds text)")
        server.execute(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO told (seconds) VALUES (current_setting('statement_timeout')); RETURN NULL; END $$"
        )
        server.execute("CREATE TRIGGER tell AFTER INSERT ON hold_budgets EXECUTE FUNCTION tell()")
        try:
            await database.store.execute(orders.budget(9 * CEILING_NANOS))
            await database.store.execute(orders.accept("after"))
            told = [row[0] for row in server.execute("SELECT seconds FROM told ORDER BY number")]
        finally:
            await database.stop()
            for thing in ("TRIGGER tell ON hold_budgets", "FUNCTION tell", "TABLE told"):
                server.execute(f"DROP {thing}".encode())
    assert ["1min", "5s"] == told
