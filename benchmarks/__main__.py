"""`python -m benchmarks`: measure everything and write `benchmarks/results.json`; `--quick` takes a short look.

Exit codes: 0 measured, 1 a process of the run failed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.books import EMPTY, FEW, MANY, BooksPlan, fill, measure_books
from benchmarks.figures import Measured, Results, mean
from benchmarks.processes import Failed, measure, postgres, rest, service, serving

RESULTS: Final = Path(__file__).resolve().parent / "results.json"
NO_DATABASE: Final = "none"
BOOKS: Final = (EMPTY, FEW, MANY)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each case is measured, and at which concurrencies."""

    seconds: float
    calls: tuple[int, ...]
    renders: tuple[int, ...]
    commands: tuple[int, ...]
    books: BooksPlan


WHOLE: Final = Plan(
    seconds=4.0, calls=(1, 32, 128), renders=(1, 8), commands=(32, 512),
    books=BooksPlan(few=("10k", 10_000), many=("1m", 1_000_000), callers=256),
)  # fmt: skip
QUICK: Final = Plan(
    seconds=0.7, calls=(32,), renders=(4,), commands=(256,),
    books=BooksPlan(few=("1k", 1_000), many=("20k", 20_000), callers=64),
)  # fmt: skip
BOOKS_SECONDS: Final = 2.0
"""Each turn of a case on the books; at most as long as the others take."""


class Run:
    """One run: the yardstick, the services and the databases are up, and every case is measured beside the echo."""

    def __init__(self, plan: Plan, echo: str, services: Mapping[str, str], stores: Mapping[str, str]) -> None:
        self._plan = plan
        self._echo = echo
        self._services = services
        self._stores = stores
        self.results = Results()

    def everything(self) -> None:
        """All cases; the ones over gRPC between two measurements of the echo, which are averaged."""
        for concurrency in self._plan.calls:
            self._beside("cached_generate", concurrency)
        for concurrency in self._plan.renders:
            self._beside("render", concurrency)
        for concurrency in self._plan.commands:
            for mix in ("store_hit", "store_run"):
                for database, url in self._stores.items():
                    found = self._measure("benchmarks.store_load", url, mix, concurrency)
                    self._put(mix, database, concurrency, found.figures())

    def books(self, stores: Mapping[str, Mapping[str, str]]) -> None:
        """What many jobs in the tables cost; the databases are filled here."""

        def turn(module: str, *arguments: object) -> Measured:
            rest()
            return measure(module, *arguments, seconds=min(self._plan.seconds, BOOKS_SECONDS))

        fill(self._plan.books, stores)
        measure_books(self._plan.books, stores, turn, self._put)

    def _beside(self, case: str, concurrency: int) -> None:
        echoes = [self._load(self._echo, "echo", concurrency)]
        found = {
            database: self._load(address, case, concurrency) for database, address in self._services.items()
        }
        echoes.append(self._load(self._echo, "echo", concurrency))
        yardstick = mean(echoes)
        self._put("echo", NO_DATABASE, concurrency, yardstick.figures())
        for database, one in found.items():
            ratio = one.per_second / yardstick.per_second
            self._put(case, database, concurrency, {**one.figures(), "echo_ratio": ratio})

    def _load(self, address: str, case: str, concurrency: int) -> Measured:
        return self._measure("benchmarks.load", address, case, concurrency)

    def _measure(self, module: str, *arguments: object) -> Measured:
        rest()
        return measure(module, *arguments, seconds=self._plan.seconds)

    def _put(self, case: str, database: str, concurrency: int, figures: Mapping[str, float]) -> None:
        self.results.put(case, database, concurrency, figures)
        told = "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())
        print(f"{case}.{database}.c{concurrency}  {told}", flush=True)


def run(plan: Plan) -> Results:
    """Start what a run needs, measure, end everything. Raises Failed."""
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lightmeter-bench-")))
        databases = stack.enter_context(postgres(folder / "databases", "served", "alone", *BOOKS))
        one = Run(
            plan,
            echo=stack.enter_context(serving("benchmarks.echo_server")),
            services={
                "sqlite": stack.enter_context(service(folder / "sqlite", None)),
                "postgres": stack.enter_context(service(folder / "postgres", databases["served"])),
            },
            stores={"sqlite": f"sqlite:///{folder / 'alone.db'}", "postgres": databases["alone"]},
        )
        one.everything()
        one.books(
            {
                "sqlite": {kind: f"sqlite:///{folder / kind}.db" for kind in BOOKS},
                "postgres": {kind: databases[kind] for kind in BOOKS},
            }
        )
        print(f"measured in {time.monotonic() - began:,.0f} seconds", flush=True)
        return one.results


def main() -> int:
    """Read the arguments, run, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a short look: few cases, less than a second each"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file that the figures join")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _leave)
    try:
        results = run(QUICK if given.quick else WHOLE)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    results.write(given.out)
    return 0


def _leave(number: int, _frame: Any) -> None:
    """End the children on the way out."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
