"""A month of a busy house, written straight into the tables: what a database looks like after so many jobs.

Of ten jobs five drew a picture (one of them settled as an estimate), one was refused by the provider, one joined a running
render and three were answered from the cache; an eighth of the estimates was corrected by a bill a day later. Jobs are spread
evenly over time, projects and models. All sums hold: `ledger verify` finds nothing wrong with it.

    python -m benchmarks.month DATABASE_URL JOBS

prints as JSON how long that took, and how long what the service does every hour took on it the first time.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Final

import psycopg
from sqlalchemy import Table

from benchmarks.store_load import Orders
from service.clock import SystemClock, SystemDice
from service.core.rolling import count_stored, roll_days
from service.database import ledger_tables as money
from service.database import tables as work
from service.database.engine import Address
from service.database.migrate import migrate
from service.database.open import open_database
from service.domain.ledger import price_version

PROJECTS: Final = 8
MODELS: Final = 6
KINDS: Final = 10
DAYS: Final = 30
Execute = Callable[[str], Any]
_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
_LANES: Final = PROJECTS * MODELS
_BUCKET: Final = 8
"""Of a picture that takes 6 seconds."""

# Of the number i: who asked for what, and which of the ten kinds it is.
_PROJECT: Final = f"'project-' || CAST(i % {PROJECTS} AS TEXT)"
_MODEL: Final = f"'model-' || CAST(i / {PROJECTS} % {MODELS} AS TEXT)"
_KIND: Final = f"(i / {_LANES} % {KINDS})"
_DREW: Final = f"{_KIND} < 5"
_TRIED: Final = f"{_KIND} < 6"
_GUESSED: Final = f"{_KIND} = 4"
_CORRECTED: Final = f"({_GUESSED} AND i / {_LANES * KINDS} % 8 = 0)"
_SHARED: Final = f"{_KIND} = 6"
_ROOT: Final = f"CASE WHEN {_TRIED} THEN i ELSE i - {_LANES} * {_KIND} END"
"""The job that made the render."""
_COST: Final = f"CAST(7000000 * (1 + i / {PROJECTS} % {MODELS}) AS BIGINT)"
_HOLD: Final = f"({_COST} + 1000000)"
_PICTURE_BYTES: Final = 46_068


def _named(kind: str, number: str = "i") -> str:
    return f"'{kind}-0000-7000-8000-0000' || CAST(10000000 + {number} AS TEXT)"


def _hour(at: str) -> str:
    return f"{at} - {at} % {_HOUR}"


class Month:
    """The rows of `jobs` jobs whose month ends at `until` (microseconds)."""

    def __init__(self, jobs: int, until: int) -> None:
        self.jobs: Final = jobs
        self.since: Final = (until - DAYS * _DAY) // _HOUR * _HOUR
        self._at = f"({self.since} + CAST(i AS BIGINT) * {DAYS * _DAY // jobs})"
        self._ended = f"({self._at} + CASE WHEN {_KIND} > 6 THEN 0 ELSE 6000000 END)"
        self._route = Orders().accept(fresh=True).plan[0]

    def write(self, execute: Execute) -> None:
        """Fill empty tables."""
        self._put(execute, work.jobs, self._job(), "1 = 1")
        self._put(execute, work.flights, self._flight(), _TRIED)
        self._put(execute, work.renders, self._render(), _TRIED)
        self._put(execute, work.attempts, self._attempt(), _TRIED)
        self._put(execute, work.provider_ids, self._provider_id(), _DREW)
        self._put(execute, work.assets, self._asset(), _DREW)
        self._put(execute, work.render_assets, self._render_asset(), _DREW)
        self._put(execute, money.transfers, self._transfer("HOLD", _HOLD), _TRIED)
        self._put(execute, money.transfers, self._transfer("POST", _COST), _DREW)
        self._put(execute, money.transfers, self._transfer("VOID", _HOLD), f"{_KIND} = 5")
        self._put(execute, money.transfers, self._transfer("CORRECTION", "500"), _CORRECTED)
        execute(_TOTALS)
        execute(_LIFETIMES)

    def _put(self, execute: Execute, table: Table, values: Mapping[str, str], where: str) -> None:
        names = [column.name for column in table.columns]
        missing = {name for name in names if name not in values and not table.columns[name].nullable}
        missing -= {name for name in names if table.columns[name].server_default is not None}
        if missing or values.keys() - set(names):
            raise ValueError(f"{table.name}: not these columns: {missing or values.keys() - set(names)}")
        execute(
            f"INSERT INTO {table.name} ({', '.join(values)}) WITH RECURSIVE numbers(i) AS "
            f"(SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < {self.jobs - 1}) "
            f"SELECT {', '.join(values.values())} FROM numbers WHERE {where}"
        )

    def _job(self) -> dict[str, str]:
        return {
            "id": _named("job00000"), "project": _PROJECT, "request_id": _named("request0"),
            "request_digest": _named("digest00"), "render_id": _named("render00", f"({_ROOT})"),
            "origin": f"CASE WHEN {_TRIED} THEN 'PROVIDER' WHEN {_SHARED} THEN 'SHARED' ELSE 'CACHE' END",
            "state": f"CASE WHEN {_KIND} = 5 THEN 'FAILED' ELSE 'SUCCEEDED' END", "version": "6",
            "operation": "'GENERATE'", "model": _MODEL, "image_count": "1",
            "fingerprint": _named("print000", f"({_ROOT})"),
            "avoided_nanos": f"CASE WHEN {_TRIED} THEN NULL ELSE {_COST} END",
            "accepted_at": self._at, "final_at": self._ended, "labels": "'[]'", "options": "'{}'",
            "failure": f"CASE WHEN {_KIND} = 5 THEN {_FAILURE} END",
        }  # fmt: skip

    def _flight(self) -> dict[str, str]:
        return {
            "scope": _PROJECT, "fingerprint": _named("print000"), "render_id": _named("render00"),
        }  # fmt: skip

    def _render(self) -> dict[str, str]:
        fresh = f"CASE WHEN {_DREW} THEN {2**61} END"
        return {
            "id": _named("render00"), "project": _PROJECT, "scope": _PROJECT, "fingerprint": _named("print000"),
            "state": f"CASE WHEN {_DREW} THEN 'SUCCEEDED' ELSE 'FAILED' END", "version": "6",
            "joinable": "(1 = 0)", "owner": "'replica-1'", "fence": "1", "next_step_at": self._ended,
            "operation": "'GENERATE'", "model": _MODEL, "image_count": "1", "plan": "'{\"routes\":[]}'",
            "content": "'{}'", "progress": "'{}'", "created_at": self._at, "finished_at": self._ended,
            "fresh_until": fresh, "partial": "(1 = 0)", "notices": "'[]'",
        }  # fmt: skip

    def _attempt(self) -> dict[str, str]:
        grade = f"CASE WHEN {_KIND} = 5 THEN 'NONE' WHEN {_GUESSED} THEN 'ESTIMATE' ELSE 'BILLED_UNITS' END"
        now = f"CASE WHEN {_CORRECTED} THEN 'BILLING_EVENT' ELSE {grade} END"
        return {
            "id": _named("attempt0"), "render_id": _named("render00"), "number": "1",
            "payer_job": _named("job00000"), "project": _PROJECT, **self._place(), "endpoint": "'house/one'",
            "state": f"CASE WHEN {_DREW} THEN 'SUCCEEDED' ELSE 'REJECTED' END", "version": "5",
            "token": _named("token000"), "price": f"'{self._route.price_json}'", "hold_nanos": _HOLD,
            "hold_open": "(1 = 0)", "ordinal": f"CASE WHEN {_CORRECTED} THEN 2 ELSE 1 END",
            "settled_nanos": f"CASE WHEN {_CORRECTED} THEN {_COST} + 500 WHEN {_DREW} THEN {_COST} ELSE 0 END",
            "grade": now, "posted_grade": grade, "units": "'1 unit'", "usage_at": self._at,
            "provider_id": f"CASE WHEN {_DREW} THEN {_named('request-')} END", "dispatched_at": self._at,
            "accepted_at": self._at, "ended_at": self._ended, "queue_seconds": "0.5", "run_seconds": "4.5",
            "result": "'{\"outputs\":[]}'", "unbilled": f"({_KIND} = 5)",
            "failure": f"CASE WHEN {_KIND} = 5 THEN {_FAILURE} END",
        }  # fmt: skip

    def _place(self) -> dict[str, str]:
        return {"provider": "'fal'", "route": f"'fal/' || {_MODEL}"}

    def _provider_id(self) -> dict[str, str]:
        return {
            "provider": "'fal'", "provider_id": _named("request-"), "attempt_id": _named("attempt0"),
            "source": "'POST'", "canonical": "(1 = 1)",
        }  # fmt: skip

    def _asset(self) -> dict[str, str]:
        return {
            "sha256": _named("picture0"), "extension": "'jpg'", "mime_type": "'image/jpeg'",
            "size_bytes": f"{_PICTURE_BYTES}", "width_px": "1024", "height_px": "1024", "has_alpha": "(1 = 0)",
            "average_color": "'#2f3d58'", "state": "'PRESENT'", "seen_at": self._ended,
        }  # fmt: skip

    def _render_asset(self) -> dict[str, str]:
        return {
            "render_id": _named("render00"), "position": "0", "sha256": _named("picture0"),
            "flagged": "(1 = 0)",
        }  # fmt: skip

    def _transfer(self, kind: str, amount: str) -> dict[str, str]:
        ordinal = {"HOLD": 0, "POST": 1, "VOID": 1, "CORRECTION": 2}[kind]
        after = {"POST": _COST, "CORRECTION": f"{_COST} + 500"}.get(kind, "0")
        grades = {
            "POST": f"CASE WHEN {_GUESSED} THEN 'ESTIMATE' ELSE 'BILLED_UNITS' END",
            "CORRECTION": "'BILLING_EVENT'",
        }
        booked = {"HOLD": self._at, "CORRECTION": f"({self._ended} + {_DAY})"}.get(kind, self._ended)
        return {
            "source": _named("attempt0"), "ordinal": f"{ordinal}", "kind": f"'{kind}'",
            "debit": f"'project:' || {_PROJECT}", "credit": "'provider:fal'", "amount_nanos": amount,
            "total_after_nanos": after, "grade": grades.get(kind, "'NONE'"),
            "evidence_ref": _named("request-"), "units": "'1 unit'",
            "price_version": f"'{price_version(self._route.price_json)}'", "list_price_nanos": amount,
            "discount_nanos": "0", "project": _PROJECT, "model": _MODEL, **self._place(),
            "operation": "'GENERATE'", "job_id": _named("job00000"), "render_id": _named("render00"),
            "attempt_number": "1", "usage_at": self._at, "booked_at": booked, "memo": "''",
            "target_ordinal": "1" if kind == "CORRECTION" else "NULL",
        }  # fmt: skip


_FAILURE: Final = (
    '\'{"reason":"PROVIDER_FAILED","message":"it broke","fault":"PROVIDER","retry_advice":"FREE"}\''
)
_BUCKETS: Final = ", ".join(money.BUCKETS)
_KEYS: Final = ", ".join(money.DIMENSIONS)
_JOB_BUCKETS: Final = ", ".join(
    f"CASE WHEN {index} = CASE j.origin WHEN 'CACHE' THEN 0 ELSE {_BUCKET} END THEN 1 ELSE 0 END"
    for index in range(len(money.BUCKETS))
)
_NO_BUCKETS: Final = ", ".join("0" for _ in money.BUCKETS)
_SUMMED: Final = ", ".join(f"sum({name})" for name in (*money.SUMS, *money.BUCKETS))
_NAMES: Final = f"usage_hour, booked_hour, {_KEYS}, slot, {', '.join(money.SUMS)}, {_BUCKETS}"

_FACTS: Final = f"""
    SELECT {_hour("t.usage_at")} AS usage_hour, {_hour("t.booked_at")} AS booked_hour, t.project, t.model, t.provider,
           t.route, t.operation, 'PROVIDER' AS origin, CASE a.state WHEN 'REJECTED' THEN 'FAILED' ELSE a.state END AS outcome,
           a.posted_grade AS evidence, CASE WHEN a.failure IS NULL THEN 'NONE' ELSE 'PROVIDER' END AS fault,
           CASE t.kind WHEN 'POST' THEN t.amount_nanos ELSE 0 END AS charged_nanos,
           CASE t.kind WHEN 'CORRECTION' THEN t.amount_nanos ELSE 0 END AS corrected_up_nanos,
           0 AS corrected_down_nanos, 0 AS avoided_nanos, 0 AS jobs,
           CASE WHEN t.ordinal = 1 THEN 1 ELSE 0 END AS attempts, 0 AS images, 0 AS latency_micros,
           {", ".join(f"{value} AS {name}" for name, value in zip(money.BUCKETS, _NO_BUCKETS.split(", "), strict=True))}
    FROM transfers AS t JOIN attempts AS a ON a.id = t.source WHERE t.ordinal > 0
    UNION ALL
    SELECT {_hour("j.accepted_at")}, {_hour("j.final_at")}, j.project, j.model, a.provider, a.route, j.operation, j.origin,
           j.state, CASE j.origin WHEN 'PROVIDER' THEN a.posted_grade ELSE 'NONE' END,
           CASE WHEN j.failure IS NULL THEN 'NONE' ELSE 'PROVIDER' END, 0, 0, 0, coalesce(j.avoided_nanos, 0), 1, 0,
           CASE j.state WHEN 'SUCCEEDED' THEN 1 ELSE 0 END, j.final_at - j.accepted_at, {_JOB_BUCKETS}
    FROM jobs AS j JOIN attempts AS a ON a.render_id = j.render_id
"""
_TOTALS: Final = f"""
    INSERT INTO totals ({_NAMES})
    SELECT usage_hour, booked_hour, {_KEYS}, 0, {_SUMMED} FROM ({_FACTS}) AS facts GROUP BY usage_hour, booked_hour, {_KEYS}
"""
_LIFETIMES: Final = f"""
    INSERT INTO totals ({_NAMES})
    SELECT 0, 0, {_KEYS}, 0, {_SUMMED} FROM totals GROUP BY {_KEYS}
"""


def fill(url: str, jobs: int) -> None:
    """Write a month that ends now into an empty database, whose schema is made if it is missing."""
    address = Address(url)
    migrate(address)
    month = Month(jobs, time.time_ns() // 1_000)
    if address.file is None:
        with psycopg.connect(address.driver_url, autocommit=True) as server:
            with server.transaction():
                month.write(server.execute)
            # As the server does by itself, sooner or later.
            server.execute("VACUUM ANALYZE")
        return
    with closing(sqlite3.connect(address.file, isolation_level=None)) as file:
        for setting in _UNGUARDED:
            file.execute(setting)
        month.write(file.execute)


_UNGUARDED: Final = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA cache_size = -262144",
    "PRAGMA temp_store = MEMORY",
)
"""A database that breaks while it is filled is filled anew."""


async def _keep(url: str) -> None:
    """What the service does every hour."""
    clock = SystemClock()
    database = open_database(url, clock, SystemDice(clock.now).jitter)
    await database.start()
    try:
        await roll_days(database.store)
        await count_stored(database.store, database.stored, clock.now())
    finally:
        await database.stop()


def main(url: str, jobs: int) -> None:
    """Fill, and print how long it took."""
    began = time.perf_counter()
    fill(url, jobs)
    filled = time.perf_counter()
    asyncio.run(_keep(url))
    kept = time.perf_counter()
    print(json.dumps({"fill_seconds": filled - began, "hourly_seconds": kept - filled}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
