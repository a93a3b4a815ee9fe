"""What a million jobs in the tables cost: reports and the page of metrics beside few jobs, accepting and settling beside none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Measured, mean
from benchmarks.processes import told

LOAD: Final = "benchmarks.books_load"
READS: Final = ("report", "ledger_page")
WRITES: Final = ("books_accept", "books_settle")
EMPTY: Final = "empty"
FEW: Final = "few"
MANY: Final = "many"
FILL_SECONDS_MAX: Final = 600.0

Measure = Callable[..., Measured]
Put = Callable[[str, str, int, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class BooksPlan:
    """How many jobs, by the name that the cases get from them; and the callers of the writes."""

    few: tuple[str, int]
    many: tuple[str, int]
    callers: int


def fill(plan: BooksPlan, stores: Mapping[str, Mapping[str, str]]) -> None:
    """Give the databases their jobs, the engines at once; says how long each took."""
    asked = [
        (database, name, urls[kind], jobs)
        for kind, (name, jobs) in ((MANY, plan.many), (FEW, plan.few))
        for database, urls in stores.items()
    ]
    with ThreadPoolExecutor(len(stores)) as processes:
        for database, name, took in processes.map(_fill, asked):
            said = "  ".join(f"{what} {seconds:,.1f}" for what, seconds in took.items())
            print(f"filled {database} with {name} jobs  {said}", flush=True)


def _fill(asked: tuple[str, str, str, int]) -> tuple[str, str, Mapping[str, float]]:
    database, name, url, jobs = asked
    return database, name, told("benchmarks.month", url, jobs, seconds_max=FILL_SECONDS_MAX)


def measure_books(
    plan: BooksPlan, stores: Mapping[str, Mapping[str, str]], measure: Measure, put: Put
) -> None:
    """Reads, then writes; the writes twice and in turns, so that a slow moment does not fall on one side alone."""
    for database, urls in stores.items():
        for case in READS:
            few, many = (measure(LOAD, urls[kind], case, 1) for kind in (FEW, MANY))
            put(f"{case}_{plan.few[0]}", database, 1, few.figures())
            put(f"{case}_{plan.many[0]}", database, 1, {**many.figures(), "ratio": many.p50_ms / few.p50_ms})
        for case in WRITES:
            none, many = _in_turns(measure, case, plan.callers, urls[EMPTY], urls[MANY])
            put(f"{case}_0", database, plan.callers, none.figures())
            ratio = many.per_second / none.per_second
            put(f"{case}_{plan.many[0]}", database, plan.callers, {**many.figures(), "ratio": ratio})


def _in_turns(measure: Measure, case: str, callers: int, one: str, other: str) -> Sequence[Measured]:
    sides: dict[str, list[Measured]] = {one: [], other: []}
    for url in (one, other, other, one):
        sides[url].append(measure(LOAD, url, case, callers))
    return mean(sides[one]), mean(sides[other])
