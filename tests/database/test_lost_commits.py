"""Connections that break around COMMIT: the outcome is not known, and a second run makes it right."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event

from service.clock import SystemClock
from service.database.lane import Watcher
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.decisions import table
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from tests.database.rows import all_rows
from tests.support.clock import SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]

FAILURE = Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE)


class Cutter:
    """Breaks the connection at every first commit of a batch: before it, or after it took effect."""

    def __init__(self, database: Database, *, after: bool) -> None:
        self._after = after
        self._again = False
        self.cuts = 0
        event.listen(database.store._engine, "commit", self._commit)

    def _commit(self, connection: Connection) -> None:
        self._again = not self._again
        if not self._again:
            return
        self.cuts += 1
        driver: Any = connection.connection.driver_connection
        if self._after:
            driver.commit()
        if isinstance(driver, sqlite3.Connection):
            if not self._after:
                driver.rollback()
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        driver.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    # Jitter of nothing: a repeated batch does not wait.
    database = open_database(
        url, SystemClock(), lambda: 0.0, reporting_labels={"growth": ("team",)}, watcher=Watcher()
    )
    await database.start()
    try:
        yield database
    finally:
        await database.stop()


def _script() -> list[c.Command]:
    """Every command at least once, in an order in which each does something."""
    orders = Orders(SeededDice(3))
    good, joined = orders.accept("good", labels=(("team", "ads"),)), orders.accept("good")
    unknown, refused = orders.accept("unknown"), orders.accept("refused")
    stray = orders.accept("stray", owner="a replica that is gone")
    cancelled, expired = orders.accept("cancelled"), orders.accept("expired", job_timeout_micros=0)
    refused_steps, unknown_steps = Steps(refused), Steps(unknown)
    first, second = orders.budget(100 * CEILING_NANOS), orders.budget(200 * CEILING_NANOS, revision=1)
    good_steps = Steps(good).all()
    return [
        c.Heartbeat("replica-1"),
        first,
        *good_steps[:2],
        joined,
        *good_steps[2:],
        orders.accept("good"),
        c.MarkGone((good.fingerprint,)),
        c.MarkSeen((good.fingerprint,)),
        second,
        unknown,
        unknown_steps.dispatch(),
        unknown_steps.unknown(),
        unknown_steps.unconfirmed(),
        unknown_steps.result(),
        refused,
        refused_steps.dispatch(),
        c.NotSent(refused.attempt_id),
        refused_steps.dispatch(),
        c.Reject(refused.attempt_id, FAILURE),
        refused_steps.fail(FAILURE, next_attempt_id=orders.dice.new_id(), next_token=orders.dice.new_token()),
        cancelled,
        c.Cancel(cancelled.job_id, "growth"),
        expired,
        c.ExpireJobs((expired.job_id,)),
        stray,
        c.TakeOver(((stray.render_id, 1),), "replica-1"),
        c.DeleteBudget(first.budget_id, orders.dice.new_id(), "tests", revision=2),
    ]


def test_the_script_has_every_command() -> None:
    """A command that is added to the protocol is added here too."""
    assert set(table._DECISIONS) == {type(command) for command in _script()}


@pytest.fixture(params=["file", "server"])
def make_url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Callable[[str], str]:
    """Addresses of databases without a row, on either engine; on a server the one before is emptied."""

    def make(name: str) -> str:
        if request.param == "file":
            return f"sqlite:///{tmp_path}/{name}.db"
        with emptied_database(postgres_folder) as url:
            return url

    return make


@pytest.mark.parametrize("after", [True, False], ids=["after the commit", "before the commit"])
async def test_a_cut_at_any_commit_changes_nothing(make_url: Callable[[str], str], after: bool) -> None:
    """Every command, cut once at its commit and repeated by the store, leaves the rows of an undisturbed run."""
    script = _script()
    url = make_url("calm")
    async with _opened(url) as database:
        calm = [await database.store.execute(command) for command in script]
    expected = all_rows(url)
    url = make_url("cut")
    async with _opened(url) as database:
        cutter = Cutter(database, after=after)
        told = [await database.store.execute(command) for command in script]
        assert () == await database.ledger.verify()
    assert len(script) == cutter.cuts
    found = all_rows(url)
    for name, rows in expected.items():
        assert rows == found[name], name
    assert [type(one) for one in calm] == [type(one) for one in told]
