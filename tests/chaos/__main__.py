"""`python -m tests.chaos --rounds 50 [--seed N]`: one run, sentences about what does not fit, and one closing JSON line."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.boundaries import BOUNDARIES, VICTIMS, faults_at_boundaries
from tests.chaos.run import Outcome, chaos

SEED_BITS = 32
BOUNDARY_SECONDS_MAX = 120.0


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


async def _both(folder: Path, seed: int, rounds: int, patience_seconds: float) -> Outcome:
    """Every step boundary by name, then the rounds."""
    at_boundaries = folder / "boundaries"
    at_boundaries.mkdir()
    faults = await faults_at_boundaries(at_boundaries, BOUNDARY_SECONDS_MAX)
    _say(f"{len(BOUNDARIES)} step boundaries, {len(VICTIMS)} replicas killed there")
    outcome = await chaos(folder, seed=seed, rounds=rounds, patience_seconds=patience_seconds, say=_say)
    for name, fault in faults.items():
        outcome.findings.broken_invariants += 1
        outcome.findings.say(f"killed {name}: {fault}")
    line = {
        **outcome.line,
        "kills": outcome.line["kills"] + len(VICTIMS),
        "broken_invariants": outcome.findings.broken_invariants,
        "boundaries": len(BOUNDARIES),
    }
    return Outcome(line, outcome.findings)


def main() -> int:
    """Exit code 1 when a zero is not zero; the folder with all logs is then kept and named."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument(
        "--seed", type=int, default=None, help="of the faults and the load; a new one by default"
    )
    parser.add_argument(
        "--patience-seconds", type=float, default=200.0, help="for evidence, before the operator's hand"
    )
    arguments = parser.parse_args()
    seed = secrets.randbits(SEED_BITS) if arguments.seed is None else arguments.seed
    _say(f"chaos: seed {seed}, {arguments.rounds} rounds")
    folder = Path(tempfile.mkdtemp(prefix="lm-chaos-"))
    outcome = asyncio.run(_both(folder, seed, arguments.rounds, arguments.patience_seconds))
    for sentence in outcome.findings.sentences:
        _say(sentence)
    if outcome.findings.clean:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"the logs are in {folder}; again: make chaos ROUNDS={arguments.rounds} SEED={seed}")
    _say(json.dumps(outcome.line))
    return 0 if outcome.findings.clean else 1


if __name__ == "__main__":
    sys.exit(main())
