"""The simulation can fail: faults that are planted on purpose are found, each within a few seeds."""

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.run import simulate


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    """The report of a seed that found it is not good, names the seed, and shows what led to it."""
    planted = PLANTED[fault]
    reports = (simulate(seed, planted.twists, **planted.weather) for seed in range(1, planted.seeds + 1))
    found = next((one for one in reports if not one.is_good), None)
    assert found is not None
    assert found.findings
    assert found.seed in range(1, planted.seeds + 1)
    assert found.lines or "told what nobody" in found.findings[0]
