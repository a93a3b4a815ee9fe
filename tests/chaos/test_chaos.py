"""The short version of `make chaos`: a few rounds of every kind, then the three books."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS, plan
from tests.chaos.run import chaos

ROUNDS = 8


@pytest.mark.debian("haproxy")
async def test_three_books_agree_after_a_few_rounds(tmp_path: Path) -> None:
    """Nothing lost, nothing paid twice, every billed nano explained, no invariant broken."""
    seed = random.SystemRandom().getrandbits(32)
    outcome = await chaos(tmp_path, seed=seed, rounds=ROUNDS, quick=True, patience_seconds=10.0)
    assert outcome.findings.clean, f"SEED={seed}: {outcome.line} {outcome.findings.sentences}"
    assert outcome.line["told"]["SUCCEEDED"] > 0
    assert 0 == outcome.line["left_open"]


def test_a_seed_rolls_the_same_plan() -> None:
    """What a failed run prints reproduces its faults; a long plan begins with one fault of every kind."""
    rounds = plan(7, 40)
    assert rounds == plan(7, 40)
    assert rounds != plan(8, 40)
    assert FAULTS.keys() == {round_.name for round_ in rounds[: len(FAULTS)]}
