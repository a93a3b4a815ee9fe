"""`make simulate SEEDS=1000`: so many seeds on all processors, one closing line of JSON; `SEED=n` shows one of them in full."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.report import Report
from tests.simulation.run import JOBS_PER_SEED, simulate

_SHOWN_MAX = 10
_LINES_MAX = 60


def main(arguments: list[str]) -> int:
    """0 when every zero is zero, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, with its whole trace")
    parser.add_argument("--jobs", type=int, default=JOBS_PER_SEED, help="callers per seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    if asked.seed is not None:
        reports: Iterable[Report] = [simulate(asked.seed, jobs=asked.jobs)]
        lines_max = 100_000
    else:
        reports = _all(range(asked.first, asked.first + asked.seeds), asked.jobs, asked.workers)
        lines_max = _LINES_MAX
    return _sum_up(reports, started, lines_max)


def _all(seeds: range, jobs: int, workers: int) -> Iterable[Report]:
    live = partial(simulate, jobs=jobs)
    if workers <= 1:
        yield from map(live, seeds)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(live, seeds, chunksize=4)


def _sum_up(reports: Iterable[Report], started: float, lines_max: int) -> int:
    sums: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    bad: list[int] = []
    for report in reports:
        for name in (
            "jobs", "kills", "stops", "lost", "paid_twice", "unexplained_nanos", "broken_invariants", "posts", "commits",
        ):  # fmt: skip
            sums[name] += getattr(report, name)
        sums["seeds"] += 1
        seen.update(report.seen)
        if not report.is_good:
            bad.append(report.seed)
            if len(bad) <= _SHOWN_MAX:
                _show(report, lines_max)
    if bad:
        _say(f"{len(bad)} seeds failed: {' '.join(map(str, sorted(bad)[:50]))}")
        _say(f"again: make simulate SEED={min(bad)}")
    _say("met on the way: " + ", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    told = ("jobs", "kills", "lost", "paid_twice", "unexplained_nanos", "broken_invariants", "seeds")
    line = {name: sums[name] for name in told}
    extra = {name: sums[name] for name in ("stops", "posts", "commits")}
    _say(json.dumps({**line, "seconds": round(time.monotonic() - started, 1), **extra}))
    return 1 if bad or not sums["seeds"] else 0


def _show(report: Report, lines_max: int) -> None:
    _say(f"seed {report.seed}, after {report.commits} commits and {report.kills} kills:")
    for sentence in report.findings[:5]:
        _say(f"  {sentence}")
    for line in report.lines[-lines_max:]:
        _say(f"    {line}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
