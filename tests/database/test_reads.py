"""What readers see: every filter of a job list, pages without gaps, reports, and the snapshot for metrics."""

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.database import snapshots
from service.database.engine import Address
from service.database.open import Database, open_database
from service.database.snapshots import ReadFailed, Snapshots
from service.domain import commands as c
from service.domain.errors import Overloaded, Reason, ReportUnsupported, StoreUnavailable
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import paging_lag_seconds
from service.domain.queries import CostBasis, CostQuery, Interval, JobQuery, TransferQuery
from service.domain.records import TransferKind
from tests.support.clock import FakeClock, SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps, asset, draw, route, sha
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]

FAILURE = Failure(Reason.NO_IMAGES, "nothing came", Fault.PROVIDER, RetryAdvice.FREE)
HOUR = 3_600_000_000
LABELS = (("team", "ads"),)


@dataclass
class Filled:
    """A database with a job of every kind, by name."""

    database: Database
    jobs: dict[str, c.Accept]

    async def names(self, **query: Any) -> set[str]:
        """Which jobs a query finds."""
        page = await self.database.jobs.page(JobQuery(**{"project": "growth", "limit": 50, **query}))
        found = {accept.job_id: name for name, accept in self.jobs.items()}
        return {found[view.job.id] for view in page.views}


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without a row, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with emptied_database(postgres_folder) as url:
            yield url


@pytest.fixture
async def filled(url: str) -> AsyncIterator[Filled]:
    clock = FakeClock()
    database = open_database(url, clock, lambda: 0.0, reporting_labels={"growth": ("team",)})
    await database.start()
    orders = Orders(SeededDice(5, clock))
    jobs = {
        "drawn": orders.accept("drawn", labels=LABELS),
        "running": orders.accept("running", plan=(route("replicate"),), labels=(("team", "shop"),)),
        "queued": orders.accept("queued", operation="EDIT", model="other"),
        "failed": orders.accept("failed"),
        "cancelled": orders.accept("cancelled"),
        "found": orders.accept("drawn", labels=(*LABELS, ("order", "7"))),
        "joined": orders.accept("running"),
        "foreign": orders.accept("foreign", project="other", scope="other"),
    }
    await draw(database.store, jobs["drawn"])
    for command in Steps(jobs["running"]).all()[:4]:
        await database.store.execute(command)
    for name in ("queued", "failed", "cancelled", "found", "joined", "foreign"):
        await database.store.execute(jobs[name])
    await database.store.execute(Steps(jobs["failed"]).fail(FAILURE, failover=False))
    await database.store.execute(c.Cancel(jobs["cancelled"].job_id, None))
    yield Filled(database, jobs)
    await database.stop()


OURS = {"drawn", "running", "queued", "failed", "cancelled", "found", "joined"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, OURS),
        ({"project": None}, OURS | {"foreign"}),
        ({"states": ("RUNNING",)}, {"running", "joined"}),
        ({"states": ("QUEUED", "FAILED")}, {"queued", "failed"}),
        ({"operations": ("EDIT",)}, {"queued"}),
        ({"models": ("house",)}, OURS - {"queued"}),
        ({"providers": ("replicate",)}, {"running", "joined"}),
        ({"origins": ("CACHE", "SHARED")}, {"found", "joined"}),
        ({"failure_reasons": ("NO_IMAGES",)}, {"failed"}),
        ({"settlements": ("POSTED",)}, {"drawn"}),
        ({"settlements": ("OPEN",)}, {"running", "queued"}),
        ({"settlements": ("VOIDED",)}, {"failed", "cancelled", "found", "joined"}),
        ({"labels": LABELS}, {"drawn", "found"}),
        ({"labels": (*LABELS, ("order", "7"))}, {"found"}),
        ({"fingerprint": sha("running")}, {"running", "joined"}),
        ({"asset_sha256": asset(sha("drawn")).sha256}, {"drawn", "found"}),
        ({"accepted_from": 2**62}, set()),
        ({"accepted_before": 1}, set()),
        ({"states": ("SUCCEEDED",), "labels": LABELS, "origins": ("PROVIDER",)}, {"drawn"}),
    ],
)
async def test_every_filter_of_a_job_list(filled: Filled, query: dict[str, Any], expected: set[str]) -> None:
    """Each restriction alone, and several together, finds exactly the jobs that it names."""
    assert expected == await filled.names(**query)


async def test_pages_have_no_gaps_and_no_repeats(filled: Filled) -> None:
    """Going on from the last row of a page shows every job once, newest first."""
    seen: list[tuple[int, str]] = []
    after = None
    while views := (await filled.database.jobs.page(JobQuery("growth", 2, after=after))).views:
        seen += [(view.job.accepted_at, view.job.id) for view in views]
        after = seen[-1]
    assert sorted(seen, reverse=True) == seen
    assert {filled.jobs[name].job_id for name in OURS} == {key for _, key in seen}


async def test_a_picture_belongs_to_those_who_have_it(filled: Filled) -> None:
    """A project sees pictures of its own jobs, results and inputs; to others they do not exist."""
    picture = asset(sha("drawn"))
    jobs = filled.database.jobs
    assert await jobs.asset(picture.sha256, "growth") is not None
    assert await jobs.asset(picture.sha256, None) is not None
    assert await jobs.asset(picture.sha256, "other") is None
    assert await jobs.asset(sha("no such"), None) is None
    given = asset("given")
    edit = Orders(SeededDice(6)).accept(
        "edit", project="third", scope="third", inputs=(("IMAGE", 0, given.sha256),), input_assets=(given,)
    )
    await filled.database.store.execute(edit)
    assert await jobs.asset(given.sha256, "third") is not None
    assert await jobs.asset(given.sha256, "growth") is None


async def test_a_flight_shows_what_a_quote_needs(filled: Filled) -> None:
    """The render and its attempts; nothing for a fingerprint that nobody asked for."""
    pointed = await filled.database.jobs.flight("growth", sha("running"))
    assert pointed is not None
    render, attempts = pointed
    assert (filled.jobs["running"].render_id, 1) == (render.id, len(attempts))
    assert await filled.database.jobs.flight("growth", sha("no such")) is None


async def _query(filled: Filled, **changes: Any) -> CostQuery:
    now = (await filled.database.ledger.snapshot()).as_of
    # An hour more than needed, for a test that runs while one ends.
    query = CostQuery(
        now // HOUR * HOUR - HOUR, now // HOUR * HOUR + HOUR, CostBasis.USAGE, Interval.TOTAL, ()
    )
    return replace(query, **changes)


async def test_a_report_groups_filters_and_cuts(filled: Filled) -> None:
    """Groups sum to the total, filters leave the others out, and each cut along time starts where it says."""
    ledger = filled.database.ledger
    whole = await ledger.costs(await _query(filled))
    assert (4, 3, CEILING_NANOS, CEILING_NANOS) == (
        whole.total.jobs,
        whole.total.attempts,
        whole.total.net_nanos,
        whole.total.avoided_nanos,
    )
    assert 3 * CEILING_NANOS == whole.total.held_nanos
    by = await ledger.costs(await _query(filled, group_by=("project", "provider", "outcome")))
    held = {row.group: row.figures.held_nanos for row in by.rows if row.figures.held_nanos}
    assert {
        ("growth", "fal", "OPEN"): CEILING_NANOS,
        ("growth", "replicate", "OPEN"): CEILING_NANOS,
        ("other", "fal", "OPEN"): CEILING_NANOS,
    } == held
    assert whole.total.net_nanos == sum(row.figures.net_nanos for row in by.rows)
    other = await ledger.costs(await _query(filled, filters={"project": ("other",)}))
    assert (0, CEILING_NANOS) == (other.total.jobs, other.total.held_nanos)
    for interval, length in ((Interval.HOUR, HOUR), (Interval.DAY, 24 * HOUR)):
        for basis in CostBasis:
            cut = await ledger.costs(await _query(filled, interval=interval, basis=basis))
            assert whole.total == cut.total
            assert {row.interval_start for row in cut.rows} <= {
                cut.as_of // length * length,
                cut.as_of // length * length - length,
            }
    month = await ledger.costs(await _query(filled, interval=Interval.MONTH))
    first = datetime.fromtimestamp(month.as_of // 1_000_000, tz=UTC).replace(
        day=1, hour=0, minute=0, second=0
    )
    assert first.timestamp() * 1_000_000 in {row.interval_start for row in month.rows}


async def test_a_report_that_is_too_large_is_refused(filled: Filled) -> None:
    """It is never cut short silently."""
    with pytest.raises(ReportUnsupported):
        await filled.database.ledger.costs(await _query(filled, group_by=("outcome",), limit=1))


async def test_the_journal_waits_until_nothing_can_appear_below(filled: Filled) -> None:
    """Transfers younger than the lag are not on a page, which says how far it is complete."""
    page = await filled.database.ledger.transfers(TransferQuery("growth", 100))
    now = (await filled.database.ledger.snapshot()).as_of
    assert () == page.transfers
    assert 0 <= now - page.complete_through - paging_lag_seconds * 1_000_000 < 60_000_000


async def test_a_snapshot_adds_up(filled: Filled) -> None:
    """What /metrics/ledger shows agrees with what was done, and with what was counted last."""
    for size in (99, 1_234):
        await filled.database.store.execute(c.RecordStored((("growth", size),)))
    shown = await filled.database.ledger.snapshot()
    assert {"growth": 2 * CEILING_NANOS, "other": CEILING_NANOS} == shown.held_by_project
    assert {("growth", "day"): CEILING_NANOS, ("growth", "month"): CEILING_NANOS} == shown.window_net
    assert {("fal", "HELD"): 2, ("replicate", "ACCEPTED"): 1} == shown.attempts_open
    assert {"PENDING", "RUNNING"} == set(shown.oldest_open_job_at)
    assert {"growth": 1_234} == shown.stored_bytes_by_project
    assert CEILING_NANOS == sum(figures.net_nanos for figures in shown.lifetime.values())
    assert () == await filled.database.ledger.verify()


async def test_old_transfers_are_paged_in_order(tmp_path: Path) -> None:
    """After the lag every transfer is on exactly one page, filters apply, and kinds are in their order."""
    clock = FakeClock()
    database = open_database(f"sqlite:///{tmp_path}/books.db", clock, lambda: 0.0)
    await database.start()
    orders = Orders(SeededDice(1, clock))
    for number in range(3):
        clock.advance(1.0)
        await draw(database.store, orders.accept(f"picture {number}"))
    clock.advance(paging_lag_seconds + 1.0)
    seen = []
    after = None
    while rows := (await database.ledger.transfers(TransferQuery(None, 2, after=after))).transfers:
        seen += rows
        after = (rows[-1].booked_at, rows[-1].source, rows[-1].ordinal)
    assert 6 == len(seen)
    assert [TransferKind.HOLD, TransferKind.POST] * 3 == [row.kind for row in seen]
    first = seen[0]
    narrowed = TransferQuery(
        "growth",
        10,
        job_id=first.job_id,
        kinds=("HOLD",),
        providers=("fal",),
        booked_from=first.booked_at,
        booked_before=first.booked_at + 1,
    )
    assert (first,) == (await database.ledger.transfers(narrowed)).transfers
    await database.stop()


async def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """A reader says so, and never with a driver's words; a statement that is wrong is a fault of ours."""
    away = Snapshots(Address(f"postgresql://nobody@/none?host={tmp_path}"), FakeClock(), connections_max=1)
    with pytest.raises(StoreUnavailable):
        await away.read(lambda connection: None)
    away.close()
    away.close()
    here = Snapshots(Address(f"sqlite:///{tmp_path}/books.db"), FakeClock(), connections_max=1)
    with pytest.raises(ReadFailed):
        await here.read(lambda connection: connection.exec_driver_sql("SELECT nothing"))
    here._waiting = snapshots.READS_WAITING_MAX
    with pytest.raises(Overloaded):
        await here.read(lambda connection: None)
    here.close()


async def test_a_silent_database_keeps_no_reader_waiting(tmp_path: Path) -> None:
    """A server that neither answers nor hangs up: the read is given up in time, and works again once it speaks."""
    address = Address(f"sqlite:///{tmp_path}/books.db")
    here = Snapshots(address, FakeClock(), connections_max=1, answer_seconds_max=0.05)
    speaks = threading.Event()
    with pytest.raises(StoreUnavailable):
        await here.read(lambda connection: speaks.wait())
    speaks.set()
    patient = Snapshots(address, FakeClock(), connections_max=1, answer_seconds_max=20.0)
    assert await patient.read(lambda connection: speaks.wait())
    here.close()
    patient.close()
