"""The books under load: a month's report, the page of metrics, and how fast requests are accepted and settled.

    python -m benchmarks.books_load DATABASE_URL CASE CONCURRENCY SECONDS

prints the figures as JSON. `report` is SummarizeCosts over the last 31 days by project and model, `ledger_page` is
/metrics/ledger: both from the database to the finished bytes, without the socket. `books_accept` is an Accept that takes a hold
in a budget, `books_settle` a RecordResult that posts it; both count when they are answered, which is after their commit.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvloop
from lightmeter.v1 import ledger_service_pb2 as pb

from benchmarks.figures import Measured, measured
from benchmarks.store_load import Orders, many, steps_of
from service.clock import SystemClock, SystemDice
from service.core.ledger_page import families
from service.database.open import Database, open_database
from service.domain import commands as c
from service.domain.records import Period
from service.metrics import expose_families
from service.rpc.identity import Caller, Role
from service.rpc.ledger_service import LedgerReading

DAYS: Final = 31
LIMIT_NANOS: Final = 10**15
SETTLED_PER_SECOND: Final = 1_000
"""So many attempts are prepared to be settled, for each second asked for."""
_HOUR: Final = 3_600_000_000


class _Admin:
    def identify(self, _context: object) -> Caller:
        """May see everything."""
        return Caller("default", Role.ADMIN)


async def report(database: Database, concurrency: int, seconds: float) -> Measured:
    """SummarizeCosts over a month, as often as it goes."""
    nobody: Any = None
    reading = LedgerReading(callers=_Admin(), ledger=database.ledger, jobs=database.jobs, receipts=nobody)
    end = time.time_ns() // 1_000 // _HOUR * _HOUR + _HOUR
    request = pb.SummarizeCostsRequest(
        group_by=[pb.COST_DIMENSION_PROJECT, pb.COST_DIMENSION_MODEL], page_size=500
    )
    request.range.start_time.FromMicroseconds(end - DAYS * 24 * _HOUR)
    request.range.end_time.FromMicroseconds(end)
    jobs = 0

    async def one() -> None:
        nonlocal jobs
        answer = await reading.SummarizeCosts(request, None)
        answer.SerializeToString()
        jobs = answer.total.job_count

    found = await _timed(concurrency, seconds, one)
    return Measured(found.per_second, found.p50_ms, found.p99_ms, {"jobs_in_it": jobs})


async def ledger_page(database: Database, concurrency: int, seconds: float) -> Measured:
    """/metrics/ledger, as often as it goes."""

    async def one() -> None:
        expose_families(families(await database.ledger.snapshot()))

    return await _timed(concurrency, seconds, one)


async def books_accept(database: Database, concurrency: int, seconds: float) -> Measured:
    """New renders, each with its hold in the month's budget."""
    orders = Orders()
    await _budget(database, orders)

    async def one() -> None:
        outcome: Any = await database.store.execute(orders.accept(fresh=True))
        assert isinstance(outcome, c.New), "not a new render"

    return await _timed(concurrency, seconds, one)


async def books_settle(database: Database, concurrency: int, seconds: float) -> Measured:
    """Results of attempts that were sent before: as many as were prepared, each once."""
    orders = Orders()
    await _budget(database, orders)
    waiting: list[c.Command] = []

    async def send() -> None:
        accept = orders.accept(fresh=True)
        dispatch, bind, result, _ = steps_of(accept)
        for command in (accept, dispatch, bind):
            await database.store.execute(command)
        waiting.append(result)

    wanted = int(SETTLED_PER_SECOND * seconds)
    while len(waiting) < wanted:
        await asyncio.gather(*(send() for _ in range(min(concurrency, wanted - len(waiting)))))
    latencies: list[float] = []

    async def settle() -> None:
        while waiting:
            command = waiting.pop()
            began = time.perf_counter()
            await database.store.execute(command)
            latencies.append(time.perf_counter() - began)

    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    await asyncio.gather(*(settle() for _ in range(concurrency)))
    return measured(latencies, time.perf_counter() - began)


async def _budget(database: Database, orders: Orders) -> None:
    """One that is never used up; the same for every run on a database."""
    name = orders.accept(fresh=True).request_id
    await database.store.execute(
        c.SetBudget(
            f"budget {name}",
            f"change {name}",
            "default",
            "",
            "",
            Period.MONTH,
            LIMIT_NANOS,
            True,
            (),
            "bench",
        )
    )


async def _timed(concurrency: int, seconds: float, one: Callable[[], Awaitable[None]]) -> Measured:
    latencies: list[float] = []

    async def timed() -> None:
        began = time.perf_counter()
        await one()
        latencies.append(time.perf_counter() - began)

    await many(concurrency, seconds / 4, timed)
    latencies.clear()
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    await many(concurrency, seconds, timed)
    return measured(latencies, time.perf_counter() - began)


CASES: Final = {
    "report": report,
    "ledger_page": ledger_page,
    "books_accept": books_accept,
    "books_settle": books_settle,
}


async def main(url: str, case: str, concurrency: int, seconds: float) -> None:
    """Open the database, run one case and print its figures."""
    clock = SystemClock()
    database = open_database(url, clock, SystemDice(clock.now).jitter)
    await database.start()
    try:
        print((await CASES[case](database, concurrency, seconds)).to_json(), flush=True)
    finally:
        await database.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
