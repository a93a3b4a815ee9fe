"""What is asked again and again is found by an index: no read of work looks through everything that ever was."""

import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from service.clock import SystemClock
from service.database.batch import Batches, Done
from service.database.engine import Address
from service.database.open import Database, open_database
from service.database.session import Row, Session
from service.domain import commands as c
from service.domain.queries import AttemptQuery
from tests.support.clock import SeededDice
from tests.support.orders import Orders, Steps, draw

_GROWING = ("jobs", "renders", "attempts", "transfers", "events", "render_assets", "provider_ids", "flights")
"""Tables that are never small for long."""


class Plans:
    """How the statements of an engine would be carried out."""

    def __init__(self, engine: Engine, file: Path) -> None:
        self._explainer = create_engine(f"sqlite:///{file}")
        self.scans: list[str] = []
        event.listen(engine, "before_cursor_execute", self._explain)

    def _explain(self, _connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
        self.look(sql, parameters)

    def look(self, sql: str, parameters: Any) -> None:
        """Remember the tables that it would read from end to end."""
        if not sql.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
            return
        with self._explainer.connect() as explaining:
            lines = [row[3] for row in explaining.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        for line in lines:
            if re.match(rf"SCAN ({'|'.join(_GROWING)})$", line):
                self.scans.append(f"{line}: {sql}")


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/books.db", SystemClock(), lambda: 1.0)
    await database.start()
    yield database
    await database.stop()


async def test_work_is_found_by_indexes(opened: Database, tmp_path: Path) -> None:
    """Every read that replicas repeat, and the list of attempts in doubt."""
    orders = Orders(SeededDice(2))
    drawn, sent = orders.accept("drawn"), orders.accept("sent", job_timeout_micros=1)
    await draw(opened.store, drawn)
    for command in (sent, Steps(sent).dispatch(), Steps(sent).unknown()):
        await opened.store.execute(command)
    plans = Plans(opened._snapshots._engine, tmp_path / "books.db")
    work = opened.work
    await work.due_jobs(10)
    await work.strays("me", 10)
    await work.overdue(10)
    await work.attempt_of_token(sent.token)
    await work.late(10)
    await work.bound("fal", ("one", "two"))
    await work.unresolved("fal", "house/one", "digest")
    await opened.jobs.view(sent.job_id)
    await opened.jobs.events(sent.render_id)
    await opened.oversight.attempt(sent.attempt_id)
    plans_of_reports = Plans(opened._reports._engine, tmp_path / "books.db")
    await opened.oversight.attempts(AttemptQuery(10, states=("DISPATCHING", "UNKNOWN")))
    assert [] == plans.scans + plans_of_reports.scans


class Recording(Session):
    """Statements that are remembered."""

    def __init__(self, connection: Connection, said: list[tuple[str, Any]]) -> None:
        super().__init__(connection)
        self._said = said

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Remember it, then ask."""
        self._said.append((sql, parameters or {}))
        return super().rows(sql, parameters)

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Remember it, then tell."""
        self._said.append((sql, parameters or {}))
        super().run(sql, parameters)


async def test_what_is_old_is_found_by_indexes(opened: Database, tmp_path: Path) -> None:
    """Removing looks at what it removes, and not at what stays."""
    orders = Orders(SeededDice(2))
    for subject in ("one", "two"):
        await draw(opened.store, orders.accept(subject, fresh_micros=0))
    address, said, later = Address(f"sqlite:///{tmp_path}/books.db"), list[tuple[str, Any]](), 2**60
    engine = address.writer()
    batches = Batches(engine, address.dialect, lambda: later, {}, lambda: 0, partial(Recording, said=said))
    done = batches.run([c.Prune(later, later, later, 10)]).answers[0]
    assert Done(c.Pruned(2, 0, 2, 2)) == done
    batches.reset()
    engine.dispose()
    plans = Plans(opened._snapshots._engine, tmp_path / "books.db")
    for sql, parameters in said:
        plans.look(sql, parameters)
    assert len(said) > 12
    assert [] == plans.scans
