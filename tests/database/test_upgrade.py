"""A database that the first release has filled is upgraded with everything in it, while that release still writes."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from alembic import command
from sqlalchemy import Connection, Table, text

from service.clock import SystemClock
from service.database import codec, migrate
from service.database import ledger_tables as money
from service.database.codec import Codec
from service.database.engine import Address
from service.database.open import open_database
from service.domain import commands as c
from service.domain.records import Grade
from service.domain.totals import TotalsDelta, TotalsKey
from tests.support.clock import SeededDice
from tests.support.memory_store import MemoryStore, Tables
from tests.support.orders import Orders, Steps, draw
from tests.support.postgres import fresh_database, postgres_folder

__all__ = ["postgres_folder"]

ADDED: Final = {"attempts": {"input_digest", "posted_grade"}, "flights": {"good_render_id"}}
"""Columns that the first release does not know."""


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without tables, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with fresh_database(postgres_folder) as url:
            yield url


def _first_release(url: str) -> None:
    """The schema as the first release made it."""
    engine = Address(url).migrator()
    with engine.begin() as connection:
        command.upgrade(migrate._config(connection), "0001")
    engine.dispose()


async def _worked(project: str) -> tuple[Tables, c.Accept, c.Accept]:
    """What a store holds in which one picture was drawn and one request was sent."""
    store = MemoryStore(SystemClock())
    orders = Orders(SeededDice(len(project)), project=project)
    drawn, sent = orders.accept("drawn"), orders.accept("sent", labels=(("team", "ads"),))
    await draw(store, drawn)
    for step in (sent, Steps(sent).dispatch(), Steps(sent).bind()):
        await store.execute(step)
    return store.tables, drawn, sent


def _write_as_before(url: str, tables: Tables) -> None:
    """Insert rows by statements of the first release: without the columns that came later."""
    rows: list[tuple[Codec[Any], Iterable[Any]]] = [
        (codec.JOBS, tables.jobs.values()),
        (codec.FLIGHTS, tables.flights.values()),
        (codec.RENDERS, tables.renders.values()),
        (codec.ATTEMPTS, tables.attempts.values()),
        (codec.PROVIDER_IDS, tables.provider_ids.values()),
        (codec.ASSETS, tables.assets.values()),
        (codec.RENDER_ASSETS, tables.render_assets.values()),
        (codec.TRANSFERS, tables.transfers),
    ]
    sums: dict[TotalsKey, list[TotalsDelta]] = {}
    for key, delta in tables.totals:
        for one in (key, key.lifetime()):
            sums.setdefault(one, []).append(delta)
    engine = Address(url).migrator()
    with engine.begin() as connection:
        for kept, records in rows:
            for record in records:
                _insert(connection, kept.table, kept.row(record))
        for key, deltas in sums.items():
            _insert(connection, money.totals, codec.totals_row(key, deltas, 0))
    engine.dispose()


def _insert(connection: Connection, table: Table, row: list[Any]) -> None:
    values = dict(zip((column.name for column in table.columns), row, strict=True))
    for name in ADDED.get(table.name, ()):
        del values[name]
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table.name} ({', '.join(values)}) VALUES ({places})"), values)


async def test_a_filled_database_is_read_and_gone_on_with(url: str) -> None:
    """Jobs, money and renders of the first release are there after the upgrade, and its open renders are brought to their end."""
    tables, drawn, sent = await _worked("growth")
    await asyncio.to_thread(_first_release, url)
    await asyncio.to_thread(_write_as_before, url, tables)
    database = open_database(url, SystemClock(), lambda: 1.0)
    await database.start()
    try:
        assert () == await database.ledger.verify()
        for accept in (drawn, sent):
            view = await database.jobs.view(accept.job_id)
            assert view is not None
            assert tables.jobs[accept.job_id] == view.job
            assert tables.renders[accept.render_id] == view.render
            expected = replace(tables.attempts[accept.attempt_id], input_digest="")
            assert (expected,) == view.attempts
        assert Grade.NONE is not tables.attempts[drawn.attempt_id].posted_grade
        assert isinstance(await database.store.execute(Orders(SeededDice(9)).accept("drawn")), c.Hit)
        for step in Steps(sent).all()[3:]:
            await database.store.execute(step)
        assert () == await database.ledger.verify()
    finally:
        await database.stop()


async def test_the_release_before_writes_on(url: str) -> None:
    """During a rolling upgrade its statements still fit: what it writes after the upgrade is read as what it wrote before."""
    tables, _, sent = await _worked("later")
    await asyncio.to_thread(_first_release, url)
    database = open_database(url, SystemClock(), lambda: 1.0)
    await database.start()
    try:
        await asyncio.to_thread(_write_as_before, url, tables)
        assert () == await database.ledger.verify()
        view = await database.jobs.view(sent.job_id)
        assert view is not None
        assert [""] == [attempt.input_digest for attempt in view.attempts]
        found = replace(Orders(SeededDice(9), project="later").accept("drawn"), request_id="new")
        assert isinstance(await database.store.execute(found), c.Hit)
    finally:
        await database.stop()
