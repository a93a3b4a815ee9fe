"""A replica is killed at each step boundary of a render, by name: the others end the job, and nothing is paid twice."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.chaos.boundaries import BOUNDARIES, Passages, fault_of
from tests.chaos.deployment import foundations

REST_SECONDS_MAX = 60.0


@pytest.mark.parametrize("half", [0, 1])
async def test_a_kill_at_any_boundary_loses_nothing_and_pays_once(tmp_path: Path, half: int) -> None:
    """Whatever was committed goes on elsewhere from its row; what may have been sent is never sent again without proof."""
    async with foundations(tmp_path, "--speed", "10") as deployment, AsyncExitStack() as stack:
        survivor = await deployment.add(stack, "survivor")
        await survivor.start()
        passages = await Passages(deployment, stack).all_of(BOUNDARIES[half::2], REST_SECONDS_MAX)
        faults = {passage.boundary.name: fault for passage in passages if (fault := fault_of(passage))}
        assert ({}, "") == (faults, await deployment.verified())
