"""What finance takes out of real databases: pages of costs and statements of months, on both engines.

The books are kept on SQLite, whose clock a test can move through the months, and copied row by row to PostgreSQL.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.database import codec
from service.database.engine import Address
from service.database.ledger_tables import transfers
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.focus import CHARGING, ChargeRow
from service.domain.limits import MICROS_PER_SECOND, paging_lag_seconds
from service.domain.queries import ChargeQuery
from service.domain.records import Grade, Transfer
from service.domain.statement import Statement, month_span
from tests.database.months import STORED, Months, copied, live, months
from tests.support.orders import CEILING_NANOS, Steps, draw
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]

FAR = 2**62


@dataclass
class Kept:
    """The books of a winter, on either engine; the clock is that of SQLite, and long past for PostgreSQL."""

    database: Database
    jobs: dict[str, c.Accept]
    journal: Sequence[Transfer]
    url: str

    async def charges(self, **query: Any) -> list[ChargeRow]:
        """All costs, page after page."""
        asked = ChargeQuery(**{"project": None, "limit": 2, "booked_from": 0, "booked_before": FAR, **query})
        page = await self.database.exports.charges(asked)
        found = list(page.rows)
        while len(page.rows) == asked.limit:
            last = page.rows[-1].transfer
            page = await self.database.exports.charges(
                asked.following((last.booked_at, last.source, last.ordinal), page.as_of)
            )
            found += page.rows
        return found

    def booked(self, project: str, start: int, end: int) -> int:
        """What the journal adds to the bill of a project in a span of booked times."""
        return sum(
            ChargeRow(row, ()).nanos
            for row in self.journal
            if row.kind in CHARGING and row.project == project and start <= row.booked_at < end
        )


@pytest.fixture(params=["file", "server"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> AsyncIterator[Kept]:
    """The same winter on either engine."""
    async with AsyncExitStack() as stack:
        winter = await stack.enter_async_context(months(tmp_path))
        jobs = await live(winter)
        url = f"sqlite:///{tmp_path}/months.db"
        engine = Address(url).reader(1)
        with engine.connect() as connection:
            journal = [codec.TRANSFERS.record(row) for row in connection.execute(select(transfers))]
        engine.dispose()
        if request.param == "file":
            yield Kept(winter.database, jobs, journal, url)
            return
        server = stack.enter_context(emptied_database(postgres_folder))
        copied(url, server)
        database = open_database(server, winter.clock, lambda: 0.0)
        stack.push_async_callback(database.stop)
        await database.start()
        yield Kept(database, jobs, journal, server)


# -- pages of costs


async def test_costs_come_by_booked_time_and_nothing_else_comes(kept: Kept) -> None:
    """Posts, corrections and storage of every project, in pages without gaps and repeats; holds and voids are no costs."""
    found = await kept.charges()
    expected = sorted(
        (row for row in kept.journal if row.kind in CHARGING),
        key=lambda row: (row.booked_at, row.source, row.ordinal),
    )
    assert expected == [row.transfer for row in found]
    assert found == await kept.charges(limit=1) == await kept.charges(limit=100)


async def test_costs_of_a_project_and_a_span(kept: Kept) -> None:
    """Each restriction finds exactly what it names, by booked time, half-open."""
    mine = [row.transfer.source for row in await kept.charges(project="growth")]
    assert "other" not in {row.transfer.project for row in await kept.charges(project="growth")}
    everything = [row.transfer for row in await kept.charges()]
    assert mine == [row.source for row in everything if row.project == "growth"]
    border = everything[2].booked_at
    assert everything[:2] == [row.transfer for row in await kept.charges(booked_before=border)]
    assert everything[2:] == [row.transfer for row in await kept.charges(booked_from=border)]


async def test_costs_carry_the_labels_of_who_pays(kept: Kept) -> None:
    """Of the job, and none where there is none: storage, or a job that was pruned since."""
    job = kept.jobs["early"]
    labels = {row.labels for row in await kept.charges() if row.transfer.job_id == job.job_id}
    assert {job.labels} == labels
    assert {()} == {row.labels for row in await kept.charges() if not row.transfer.job_id}
    engine = Address(kept.url).writer()
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM jobs WHERE id = '{job.job_id}'")
    engine.dispose()
    rows = [row for row in await kept.charges() if row.transfer.job_id == job.job_id]
    assert ([()] * 3, CEILING_NANOS - 5) == ([row.labels for row in rows], sum(row.nanos for row in rows))


async def test_costs_stop_a_minute_before_now(tmp_path: Path) -> None:
    """What may still be followed by an earlier commit is left out, and the page says until when it is complete."""
    async with months(tmp_path) as winter:
        await draw(winter.database.store, winter.orders.accept())
        booked_at = winter.clock.now()
        query = ChargeQuery(None, 10, 0, FAR)
        winter.clock.advance(paging_lag_seconds)
        page = await winter.database.exports.charges(query)
        assert ((), booked_at) == (page.rows, page.as_of)
        winter.clock.advance(1)
        page = await winter.database.exports.charges(query)
        assert (1, booked_at + MICROS_PER_SECOND) == (len(page.rows), page.as_of)


# -- statements


async def test_a_month_has_what_was_booked_in_it(kept: Kept) -> None:
    """January: one post and its correction, and the hold that stays open over its end."""
    january = await kept.database.exports.statement("growth", "2026-01")
    assert (True, 0, CEILING_NANOS) == (
        january.closed, january.opening_held_nanos, january.closing_held_nanos,
    )  # fmt: skip
    [line] = january.lines
    assert ("fal", "house", "GENERATE", 1, 1, CEILING_NANOS, 10, 0) == (
        line.provider, line.model, line.operation, line.jobs, line.images, line.charged_nanos,
        line.corrected_this_month_nanos, line.corrected_earlier_months_nanos,
    )  # fmt: skip


async def test_later_corrections_fall_into_the_month_that_is_open(kept: Kept) -> None:
    """February: the picture that was asked for in January, the correction of January's, and January's last day of storage."""
    february = await kept.database.exports.statement("growth", "2026-02")
    assert (CEILING_NANOS, 0, -15, STORED) == (
        february.charged_nanos, february.corrected_this_month_nanos, february.corrected_earlier_months_nanos,
        february.storage_nanos,
    )  # fmt: skip
    assert (CEILING_NANOS, CEILING_NANOS) == (february.opening_held_nanos, february.closing_held_nanos)
    assert 2 == len(february.lines)


async def test_statements_are_the_sums_of_the_journal(kept: Kept) -> None:
    """Of each project and month: the total is what the transfers booked in it come to, and the export's rows too."""
    for project in ("growth", "other", "nobody"):
        for month in ("2025-12", "2026-01", "2026-02", "2026-03"):
            span = month_span(month)
            assert span is not None
            statement = await kept.database.exports.statement(project, month)
            rows = await kept.charges(project=project, booked_from=span[0], booked_before=span[1])
            assert kept.booked(project, *span) == statement.total_nanos == sum(row.nanos for row in rows)
            assert statement.total_nanos == sum(line.total_nanos for line in statement.lines)


async def test_a_line_has_money_on_it(kept: Kept) -> None:
    """What failed for nothing or was voided makes no line; its job is counted where its route's money is."""
    [february, *_] = (await kept.database.exports.statement("growth", "2026-02")).lines
    assert ("fal", 3, 1) == (february.provider, february.jobs, february.images)
    assert () == (await kept.database.exports.statement("growth", "2026-03")).lines


async def test_what_is_no_month_is_refused(kept: Kept) -> None:
    """The callers have looked before; the database says so too."""
    with pytest.raises(ValueError, match="no month"):
        await kept.database.exports.statement("growth", "2026-13")


async def test_a_month_is_closed_when_nothing_can_be_booked_in_it(tmp_path: Path) -> None:
    """A minute after its end, and from then on the statement and its checksum stay, whatever is booked later."""

    async def february(winter: Months) -> Statement:
        return await winter.database.exports.statement("growth", "2026-02")

    async with months(tmp_path) as winter:
        jobs = await live_shortly(winter)
        await winter.until("03-01 00:00")
        winter.clock.advance(paging_lag_seconds - 1)
        before = await february(winter)
        assert (False, "") == (before.closed, before.sha256)
        winter.clock.advance(1)
        closed = await february(winter)
        assert (True, 64) == (closed.closed, len(closed.sha256))
        assert replace(before, closed=True) == closed
        await winter.run(c.Correct(jobs[0].attempt_id, 1, Grade.INVOICE))
        await winter.run(*Steps(jobs[1]).all()[1:])
        assert closed == await february(winter)
        winter.clock.advance(1)
        march = await winter.database.exports.statement("growth", "2026-03")
        assert (closed.closing_held_nanos, 0) == (march.opening_held_nanos, march.closing_held_nanos)
        assert (CEILING_NANOS, 1 - CEILING_NANOS) == (
            march.charged_nanos, march.corrected_earlier_months_nanos,
        )  # fmt: skip


async def live_shortly(winter: Months) -> tuple[c.Accept, c.Accept]:
    """February: one picture drawn, one that is being drawn at its end."""
    drawn, running = winter.orders.accept("drawn"), winter.orders.accept("running")
    await winter.until("02-10 00:00")
    await draw(winter.database.store, drawn)
    await winter.until("02-28 23:59")
    await winter.run(running)
    return drawn, running
