"""A replica is killed at each step boundary of a render, by name: the others end the job, and nothing is paid twice."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.boundaries import faults_at_boundaries

REST_SECONDS_MAX = 60.0


async def test_a_kill_at_any_boundary_loses_nothing_and_pays_once(tmp_path: Path) -> None:
    """Whatever was committed goes on elsewhere from its row; what may have been sent is never sent again without proof."""
    assert {} == await faults_at_boundaries(tmp_path, REST_SECONDS_MAX)
