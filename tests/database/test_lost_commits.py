"""Connections that break around COMMIT: the outcome is not known, and a second run makes it right."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event

from service.clock import SystemClock
from service.database.engine import Address
from service.database.lane import Watcher
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.bills import Discrepancy, Side
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.records import Grade
from service.domain.storage_price import StorageCharge
from tests.database.ageing import age
from tests.database.rows import all_rows
from tests.support.clock import SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps, asset
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


@dataclass
class TakenBack:
    """The NotSent of the dispatch just before it: only its outcome names the marker."""

    attempt_id: str

    def command(self, sent: Any) -> c.NotSent:
        return c.NotSent(self.attempt_id, sent.attempt.send_before)


@dataclass
class Script:
    """Commands in an order in which each does something; a number lets so many seconds pass."""

    steps: list[c.Command | TakenBack | float]

    @property
    def kinds(self) -> list[type[Any]]:
        """Of the commands, without the pauses."""
        found = [step for step in self.steps if isinstance(step, c.Command | TakenBack)]
        return [c.NotSent if isinstance(step, TakenBack) else type(step) for step in found]

    async def play(self, database: Database, url: str) -> list[Any]:
        """Carry it out. Answers the outcomes."""
        told: list[Any] = []
        for step in self.steps:
            if isinstance(step, c.Command):
                told.append(await database.store.execute(step))
            elif isinstance(step, TakenBack):
                told.append(await database.store.execute(step.command(told[-1])))
            else:
                await age(Address(url), step)
        return told


def _work() -> Script:
    """Every command at least once, but the one that removes."""
    orders = Orders(SeededDice(3))
    good, joined = orders.accept("good", labels=(("team", "ads"),)), orders.accept("good")
    refused = orders.accept("refused")
    stray = orders.accept("stray", owner="a replica that is gone")
    cancelled, expired = orders.accept("cancelled"), orders.accept("expired", job_timeout_micros=0)
    refused_steps = Steps(refused)
    first, second = orders.budget(100 * CEILING_NANOS), orders.budget(200 * CEILING_NANOS, revision=1)
    good_steps = Steps(good).all()
    return Script(
        [
            c.Heartbeat("replica-1"),
            first,
            *good_steps[:2],
            joined,
            *good_steps[2:],
            orders.accept("good"),
            c.MarkGone((good.fingerprint,)),
            c.MarkSeen((good.fingerprint,)),
            second,
            refused,
            refused_steps.dispatch(),
            TakenBack(refused.attempt_id),
            refused_steps.dispatch(),
            c.Reject(refused.attempt_id, FAILURE),
            refused_steps.fail(
                FAILURE, next_attempt_id=orders.dice.new_id(), next_token=orders.dice.new_token()
            ),
            cancelled,
            c.Cancel(cancelled.job_id, "growth"),
            expired,
            c.ExpireJobs((expired.job_id,)),
            stray,
            c.TakeOver(((stray.render_id, 1),), "replica-1"),
            *_doubts(orders),
            *_oversight(good),
            c.DeleteBudget(first.budget_id, orders.dice.new_id(), "tests", revision=2),
        ]
    )


def _doubts(orders: Orders) -> list[c.Command | TakenBack | float]:
    """Attempts of which nobody knows, and each way out."""
    given_up, absent, by_hand = [orders.accept(name) for name in ("given up", "absent", "by hand")]
    overdue = orders.accept("overdue")
    late = Steps(given_up)
    sent: list[c.Command | TakenBack | float] = []
    for accept in (given_up, absent, by_hand):
        sent += [accept, Steps(accept).dispatch(), Steps(accept).unknown()]
    return [
        overdue,
        *sent,
        120.0,
        late.unconfirmed(),
        late.result(),
        c.LateResult(given_up.attempt_id, ((0, asset(given_up.fingerprint), False),)),
        c.ResolveAbsent(absent.render_id, absent.attempt_id, absent.owner, 1, memo="two scans"),
        c.ResolveByHand("event-1", by_hand.attempt_id, "on the bill", "tests", amount_nanos=7),
        2 * 3600.0,
        c.EndOverdue((overdue.render_id,)),
        c.Heartbeat("replica-1", leaving=True),
    ]


def _oversight(good: c.Accept) -> list[c.Command | TakenBack | float]:
    """What operators set, and what the provider's books say."""
    dispute = Discrepancy(
        "fal", Side.PROVIDER, "bill-9", "house/one", "bill-9", "fal-9", "", "", 0, None, 9, 0, 0, None, ""
    )
    return [
        c.SetSwitch("event-2", SwitchScope.PROVIDER, "fal", SwitchState.OFF, None, "bills twice", "tests"),
        c.SetSwitch("event-3", SwitchScope.PROVIDER, "fal", SwitchState.ON, None, "paid back", "tests"),
        c.TellPrice("event-4", "price.changed", "fal/fal-one", "dearer", '{"complete": true}', "service"),
        c.Correct(good.attempt_id, CEILING_NANOS + 1, Grade.BILLING_EVENT),
        c.RecordComparison("fal", Grade.BILLING_EVENT, 0, 1, True, 1, 2, 1, 1, 0, (dispute,)),
        c.AccrueStorage(
            20_000 * 24 * 3_600_000_000, "2024-10-04", (StorageCharge("growth", 5, "10 bytes"),), "r2@1"
        ),
        c.RollDays(7),
        c.RecordStored((("growth", 1_234),)),
    ]


def _removal() -> Script:
    """The removal of what the work left, after two days."""
    before = SystemClock().now() - 24 * 3600 * 1_000_000
    return Script([2 * 24 * 3600.0, c.Prune(before, before, before, 100)])


def test_the_scripts_have_every_command() -> None:
    """A command that is added to the protocol is added here too."""
    known, found = [c.Command], set()
    while known:
        kind = known.pop()
        known += kind.__subclasses__()
        if not kind.__subclasses__() and kind.__module__.startswith(c.__name__):
            found.add(kind)
    assert found == {kind for script in (_work(), _removal()) for kind in script.kinds}


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
    scripts = _work(), _removal()
    url = make_url("calm")
    calm, expected = [], []
    async with _opened(url) as database:
        for script in scripts:
            calm += await script.play(database, url)
            expected.append(all_rows(url))
    url = make_url("cut")
    told, found = [], []
    async with _opened(url) as database:
        cutter = Cutter(database, after=after)
        for script in scripts:
            told += await script.play(database, url)
            found.append(all_rows(url))
        assert () == await database.ledger.verify()
    assert sum(len(script.kinds) for script in scripts) == cutter.cuts
    for rows, again in zip(expected, found, strict=True):
        for name in rows:
            assert rows[name] == again[name], name
    assert [type(one) for one in calm] == [type(one) for one in told]
    assert not expected[1]["jobs"] or len(expected[1]["jobs"]) < len(expected[0]["jobs"])
