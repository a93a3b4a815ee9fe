"""Reports on both engines: every figure of every grouping equals what the transfers and the jobs come to, computed by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.database.engine import Address
from service.database.ledger_tables import transfers
from service.database.open import Database
from service.database.tables import attempts, jobs, renders
from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import roll_settle_seconds
from service.domain.queries import (
    GROUPINGS,
    OPEN_OUTCOME,
    CostBasis,
    CostFigures,
    CostQuery,
    CostReport,
    Interval,
)
from service.domain.records import Grade
from service.domain.storage_price import StorageCharge
from service.domain.totals import LATENCY_BOUNDS_SECONDS
from tests.database.movable import STARTED, Movable, movable_database
from tests.support.clock import SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps, route
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]

HOUR = 3_600_000_000
DAY = 24 * HOUR
ADS, WEB = (("team", "ads"),), (("team", "web"), ("order", "7"))
WRONG = Failure(Reason.CONTENT_REJECTED, "not that", Fault.CALLER, RetryAdvice.NEVER)
EVERYTHING = CostQuery(
    STARTED - DAY, STARTED + 3 * DAY, CostBasis.USAGE, Interval.TOTAL, (), label_key="team"
)
GROUPS = (
    (),
    *((name,) for name in GROUPINGS),
    ("project", "model"),
    ("provider", "route", "evidence"),
    ("origin", "outcome", "fault"),
    ("label", "project", "operation"),
)


@dataclass(frozen=True)
class Fact:
    """One thing that happened: its two hours, what it is grouped by, and what it adds."""

    usage_at: int
    booked_at: int
    group: dict[str, str]
    figures: Counter[str] = field(default_factory=Counter)


class History:
    """What is done, one hour after the other."""

    def __init__(self, database: Database, time: Movable) -> None:
        self.database = database
        self.time = time
        self.orders = Orders(SeededDice(9, time.clock))

    async def run(self, *commands: c.Command) -> Any:
        """In this order, a second apart. Answers the last outcome."""
        outcome = None
        for command in commands:
            outcome = await self.database.store.execute(command)
            self.time.advance(1)
        return outcome

    async def drawn(self, subject: str, *, units: str | None = "1", **changes: Any) -> c.Accept:
        """A picture, settled by units or, without them, as an estimate."""
        accept = self.orders.accept(subject, **changes)
        steps = Steps(accept)
        metrics = () if units is None else (("image_count", units),)
        result = replace(steps.result(), metrics=metrics)
        await self.run(accept, steps.dispatch(), steps.bind(), result, steps.finish())
        return accept

    async def write(self) -> None:
        """Jobs of every origin and outcome; corrections of later hours; charges that wait; storage."""
        first = await self.drawn("one", labels=ADS)
        guessed = await self.drawn("two", units=None, labels=WEB, operation="EDIT", model="other")
        await self.drawn("three", project="rival", scope="rival")
        self.time.advance(3_600)
        found = self.orders.accept("one", labels=WEB)
        refused = self.orders.accept("four", labels=ADS)
        steps = Steps(refused)
        await self.run(found, refused, steps.dispatch(), c.Reject(refused.attempt_id, WRONG))
        await self.run(steps.fail(WRONG, failover=False))
        lost = self.orders.accept("five", plan=(route("replicate"),))
        joined = self.orders.accept("five", labels=ADS)
        await self.run(lost, joined, Steps(lost).dispatch(), Steps(lost).unknown())
        self.time.advance(2 * 3_600)
        await self.run(Steps(lost).unconfirmed())
        gone = self.orders.accept("six", labels=ADS)
        await self.run(gone, c.Cancel(gone.job_id, "growth"))
        self.time.advance(7 * 3_600)
        bill = Grade.BILLING_EVENT
        await self.run(
            c.Correct(first.attempt_id, amount_nanos=CEILING_NANOS + 7, grade=bill, memo="billed more"),
            c.Correct(guessed.attempt_id, amount_nanos=CEILING_NANOS - 9, grade=bill, memo="billed less"),
        )
        await self.run(Steps(joined).accept, self.orders.accept("one"))
        shared = self.orders.accept("seven", project="rival", scope="rival")
        other = self.orders.accept("seven", project="rival", scope="rival")
        await self.run(shared, other, *Steps(shared).all()[1:])
        self.time.advance(24 * 3_600)
        storage = StorageCharge("growth", 1_234, "bytes"), StorageCharge("rival", 99, "bytes")
        await self.run(c.AccrueStorage(STARTED, "2026-01-01", storage, "r2@1"))
        await self.run(c.Correct(lost.attempt_id, amount_nanos=0, grade=bill, memo="never billed"))
        waiting = self.orders.accept("eight", labels=WEB, operation="EDIT")
        await self.run(waiting, self.orders.accept("nine", project="rival", scope="rival"))


def _facts(url: str) -> list[Fact]:
    """From the rows of jobs, attempts and transfers alone."""
    engine = Address(url).reader(1)
    with engine.connect() as connection:
        rows = {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in (transfers, jobs, attempts, renders)
        }
    engine.dispose()
    by_job = {row["id"]: row for row in rows["jobs"]}
    by_attempt = {row["id"]: row for row in rows["attempts"]}
    models = {row["id"]: row["model"] for row in rows["renders"]}
    posted = {row["source"]: row["grade"] for row in rows["transfers"] if row["kind"] in ("POST", "VOID")}
    found = []
    for row in rows["transfers"]:
        if row["kind"] == "HOLD":
            continue
        attempt = by_attempt.get(row["source"])
        group = {name: row[name] for name in ("project", "model", "provider", "route", "operation")}
        group |= {
            "origin": "PROVIDER",
            "outcome": "SUCCEEDED",
            "fault": "NONE",
            "label": "",
            "evidence": "ESTIMATE",
        }
        if attempt is not None:
            ended = {"REJECTED": "FAILED", "UNKNOWN": "FAILED"}.get(attempt["state"], attempt["state"])
            group |= {"outcome": ended, "evidence": posted[row["source"]], "fault": _fault(attempt)}
            group["label"] = _team(by_job[attempt["payer_job"]])
        found.append(Fact(row["usage_at"], row["booked_at"], group, _money(row, group["evidence"])))
    for attempt in rows["attempts"]:
        if attempt["hold_open"]:
            group = {name: attempt[name] for name in ("project", "provider", "route")}
            group |= {"origin": "PROVIDER", "outcome": OPEN_OUTCOME, "evidence": "NONE", "fault": "NONE"}
            payer = by_job[attempt["payer_job"]]
            group |= {
                "label": _team(payer),
                "model": models[attempt["render_id"]],
                "operation": payer["operation"],
            }
            held = Counter(held_nanos=attempt["hold_nanos"])
            found.append(Fact(attempt["usage_at"], attempt["usage_at"], group, held))
    return [*found, *(_job_fact(job, rows["attempts"], posted) for job in rows["jobs"] if job["final_at"])]


def _money(row: dict[str, Any], evidence: str) -> Counter[str]:
    amount = row["amount_nanos"]
    if row["kind"] in ("POST", "ACCRUAL"):
        figures = Counter(charged_nanos=amount)
    elif row["kind"] == "VOID":
        figures, amount = Counter(), 0
    elif row["debit"].startswith("project:"):
        figures = Counter(corrected_up_nanos=amount)
    else:
        figures = Counter(corrected_down_nanos=amount)
        amount = -amount
    figures["attempts"] = int(row["kind"] in ("POST", "VOID"))
    if evidence in ("ESTIMATE", "UNCONFIRMED"):
        figures[{"ESTIMATE": "net_estimated_nanos", "UNCONFIRMED": "net_unconfirmed_nanos"}[evidence]] = (
            amount
        )
    return figures


def _job_fact(job: dict[str, Any], tried: list[dict[str, Any]], posted: dict[str, str]) -> Fact:
    attempt = next(one for one in tried if one["render_id"] == job["render_id"])
    group = {name: job[name] for name in ("project", "model", "operation", "origin")}
    group |= {"outcome": job["state"], "fault": _fault(job), "label": _team(job)}
    group |= {"provider": attempt["provider"], "route": attempt["route"]}
    group["evidence"] = posted[attempt["id"]] if job["origin"] == "PROVIDER" else "NONE"
    seconds = (job["final_at"] - job["accepted_at"]) / 1_000_000
    bucket = next(
        (i for i, b in enumerate(LATENCY_BOUNDS_SECONDS) if seconds <= b), len(LATENCY_BOUNDS_SECONDS)
    )
    figures = Counter(
        jobs=1, images=int(job["state"] == "SUCCEEDED"), avoided_nanos=job["avoided_nanos"] or 0
    )
    figures["latency_micros"] = job["final_at"] - job["accepted_at"]
    figures[f"bucket {bucket}"] = 1
    return Fact(job["accepted_at"], job["final_at"], group, figures)


def _fault(row: dict[str, Any]) -> str:
    return str(json.loads(row["failure"])["fault"]) if row["failure"] else "NONE"


def _team(job: dict[str, Any]) -> str:
    return dict(json.loads(job["labels"])).get("team", "")


def expected(facts: list[Fact], query: CostQuery) -> dict[tuple[int, tuple[str, ...]], Counter[str]]:
    """The report that follows from the facts, without its zeros."""
    sums: dict[tuple[int, tuple[str, ...]], Counter[str]] = {}
    labelled = "label" in query.group_by
    for fact in facts:
        held = fact.figures["held_nanos"]
        if labelled and fact.group["project"] != "growth" and not held:
            continue  # only the projects whose reporting label it is are kept apart by it
        at = fact.usage_at if query.basis is CostBasis.USAGE else fact.booked_at
        if not query.start <= at < query.end or any(
            fact.group[name] not in values for name, values in query.filters.items()
        ):
            continue
        if query.as_of is not None and not held and fact.booked_at >= query.as_of:
            continue
        key = _start(query, at), tuple(fact.group[name] for name in query.group_by)
        sums.setdefault(key, Counter()).update(fact.figures)
    return {key: _without_zeros(figures) for key, figures in sums.items()}


def _start(query: CostQuery, at: int) -> int:
    if query.interval is Interval.TOTAL:
        return query.start
    if query.interval is Interval.MONTH:
        first = datetime.fromtimestamp(at // 1_000_000, tz=UTC).replace(day=1, hour=0, minute=0, second=0)
        return int(first.timestamp()) * 1_000_000
    length = HOUR if query.interval is Interval.HOUR else DAY
    return at - at % length


def _without_zeros(figures: Counter[str]) -> Counter[str]:
    return Counter({name: value for name, value in figures.items() if value})


def _told(figures: CostFigures) -> Counter[str]:
    names = [name for name in figures.__slots__ if name != "buckets"]
    told = Counter({name: getattr(figures, name) for name in names})
    told.update({f"bucket {index}": count for index, count in enumerate(figures.buckets)})
    return _without_zeros(told)


@dataclass
class Filled:
    """A database with a history of a day and a half, and the facts that it consists of."""

    database: Database
    time: Movable
    history: History
    facts: list[Fact]

    async def costs(self, **changes: Any) -> CostReport:
        """A report; over everything unless told otherwise."""
        return await self.database.ledger.costs(replace(EVERYTHING, **changes))

    async def check(self, **changes: Any) -> CostReport:
        """Compare a report with the facts, row by row, and its total with its rows."""
        query = replace(EVERYTHING, **changes)
        report = await self.database.ledger.costs(query)
        told = {(row.interval_start, row.group): _told(row.figures) for row in report.rows}
        assert expected(self.facts, query) == told, changes
        total = _told(report.total)
        assert total == {name: sum(one[name] for one in told.values()) for name in total}, changes
        return report


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without a row, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with emptied_database(postgres_folder) as url:
            yield url


@pytest.fixture(params=["hours", "days"])
async def filled(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Filled]:
    """With the days that have ended summed, or not."""
    async with movable_database(url, growth=("team",)) as (database, time):
        history = History(database, time)
        await history.write()
        if request.param == "days":
            assert 1 == await database.store.execute(c.RollDays(7))
        yield Filled(database, time, history, _facts(url))
        assert () == await database.ledger.verify()


async def test_every_grouping_equals_what_the_transfers_come_to(filled: Filled) -> None:
    """Whole and by hour, day and month, by either time: every figure of every row."""
    met: Counter[str] = Counter()
    for basis, interval in product(CostBasis, Interval):
        for group_by in GROUPS:
            report = await filled.check(basis=basis, interval=interval, group_by=group_by)
            met.update(name for row in report.rows for name in _told(row.figures))
    assert set() == set(CostFigures.__slots__) - {"buckets"} - met.keys(), "the history has something of all"


async def test_a_report_as_of_any_hour_has_what_was_booked_until_then(filled: Filled) -> None:
    """By either time, for every hour in which something was booked: exact, and never more than what came later makes of it."""
    for basis in CostBasis:
        for as_of in sorted({fact.booked_at // HOUR * HOUR for fact in filled.facts}):
            for group_by in ((), ("project", "evidence"), ("label", "outcome")):
                await filled.check(basis=basis, group_by=group_by, as_of=as_of)
            await filled.check(basis=basis, interval=Interval.DAY, as_of=as_of)


async def test_a_report_may_begin_and_end_at_any_hour(filled: Filled) -> None:
    """What the days do not cover is read from the hours: nothing is counted twice or left out, by either time."""
    for first, last in ((1, 30), (-20, 5), (0, 24), (0, 25), (5, 48), (-24, 49), (2, 3), (24, 48)):
        span = {"start": STARTED + first * HOUR, "end": STARTED + last * HOUR}
        for basis, as_of in product(CostBasis, (None, *(STARTED + hour * HOUR for hour in (3, 24, 30)))):
            await filled.check(**span, basis=basis, as_of=as_of, group_by=("project",))
            await filled.check(**span, basis=basis, as_of=as_of, group_by=("label",), interval=Interval.DAY)


async def test_a_day_is_summed_once_and_only_when_it_is_over(filled: Filled) -> None:
    """Not before its last transactions have surely ended, whole days in their order, and again it changes nothing."""
    await filled.database.store.execute(c.RollDays(7))
    midnight = STARTED + 2 * DAY
    filled.time.advance((midnight - filled.time.now()) / 1_000_000 + roll_settle_seconds - 1)
    assert 0 == await filled.database.store.execute(c.RollDays(7))
    filled.time.advance(1)
    assert [1, 0] == [await filled.database.store.execute(c.RollDays(7)) for _ in range(2)]
    filled.time.advance(5 * 24 * 3_600)
    assert [3, 2, 0] == [await filled.database.store.execute(c.RollDays(3)) for _ in range(3)]
    await filled.check(group_by=("project", "origin"))
    await filled.check(group_by=("label",), basis=CostBasis.BOOKED)
    await filled.history.drawn("later")
    assert 1 == (await filled.costs(end=STARTED + 30 * DAY)).total.jobs - (await filled.costs()).total.jobs


async def test_a_filter_leaves_the_others_out(filled: Filled) -> None:
    """Each value of each dimension alone has exactly its own facts, and together they have all."""
    for name in GROUPINGS:
        for value in {fact.group[name] for fact in filled.facts} if name != "label" else ():
            await filled.check(group_by=("origin",), filters={name: (value,)})


async def test_a_report_as_of_an_hour_does_not_move(filled: Filled) -> None:
    """What is booked later leaves the report as of an hour before as it was, by either time, and tells the hour."""
    filled.time.advance(3_600)
    as_of = filled.time.now() // HOUR * HOUR
    asked = [{"basis": basis, "as_of": as_of, "group_by": ("project",)} for basis in CostBasis]
    before = [await filled.costs(**one) for one in asked]
    now = await filled.costs()
    filled.time.advance(3_600)
    await filled.history.drawn("later")
    again = [await filled.costs(**one) for one in asked]
    assert before == again
    assert {as_of} == {one.as_of for one in again}
    assert 1 == (await filled.costs()).total.jobs - now.total.jobs


async def test_the_cache_can_be_judged_by_origin(filled: Filled) -> None:
    """What joined and found jobs would have cost stands beside what was paid, and is in no sum of money."""
    by = {row.group[0]: row.figures for row in (await filled.costs(group_by=("origin",))).rows}
    assert (CEILING_NANOS, 1) == (by["SHARED"].avoided_nanos, by["SHARED"].images)
    assert 2 * CEILING_NANOS + 7 == by["CACHE"].avoided_nanos
    assert (0, 0) == (by["CACHE"].net_nanos, by["SHARED"].net_nanos)
    assert 0 == by["PROVIDER"].avoided_nanos


async def test_a_day_that_was_summed_wrongly_is_found(filled: Filled, url: str) -> None:
    """Sums of days are compared with their hours."""
    await filled.database.store.execute(c.RollDays(7))
    engine = Address(url).writer()
    for table in ("day_totals", "day_label_totals"):
        for change in (1, -1):
            with engine.begin() as connection:
                connection.exec_driver_sql(f"UPDATE {table} SET jobs = jobs + ({change})")
            told = await filled.database.ledger.verify()
            assert [change > 0] * len(told) == [f"{table} of" in sentence for sentence in told]
            assert bool(told) == (change > 0)
    engine.dispose()
