"""The simulation itself, shortly: some seeds on every run of the tests, and the proof that a seed is all that decides."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.run import simulate

SEEDS = 60
lived = cache(simulate)
_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("first", range(1, SEEDS + 1, 10))
def test_no_seed_loses_a_job_pays_twice_or_leaves_a_charge_unexplained(first: int) -> None:
    reports = [lived(seed) for seed in range(first, first + 10)]
    assert [] == [(one.seed, one.findings) for one in reports if not one.is_good]
    assert all(one.jobs for one in reports)


def test_seeds_meet_what_they_are_there_for() -> None:
    """Replicas die and stop, dispatches are doubted, found, proven absent, failed over and taken over."""
    reports = [lived(seed) for seed in range(1, 21)]
    met = {name for one in reports for name in one.seen}
    assert {"TAKEN_OVER", "UNKNOWN", "FOUND", "ABSENT", "FAILED_OVER", "CANCEL_ASKED"} <= met
    assert sum(one.kills for one in reports) >= 10
    assert sum(one.stops for one in reports) >= 10


def test_the_same_seed_goes_the_same_way_twice_in_one_process() -> None:
    assert [simulate(seed).digest for seed in (1, 2, 3)] == [lived(seed).digest for seed in (1, 2, 3)]


def test_the_same_seed_goes_the_same_way_in_another_process() -> None:
    """However text is hashed there, and whatever ran before."""
    script = "from tests.simulation.run import simulate; print([simulate(seed).digest for seed in (2, 3)])"
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": chosen},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for chosen in ("1", "2")
    ]
    assert told[0] == told[1] == f"{[lived(seed).digest for seed in (2, 3)]}\n"


def test_another_seed_goes_another_way() -> None:
    assert lived(1).digest != lived(2).digest
