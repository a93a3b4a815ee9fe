"""What tests of lost requests share: either provider, and a request to it alone."""

import pytest

from service.core.requests import Submitted
from tests.support.fake_provider import FakeProvider, FakeRecords
from tests.unit.core.rig import CATALOG, MODEL, Rig


@pytest.fixture(params=["fal", "replicate"])
def name(request: pytest.FixtureRequest) -> str:
    """Either provider."""
    return str(request.param)


def of(rig: Rig, name: str) -> tuple[FakeProvider, FakeRecords]:
    return {"fal": rig.fal, "replicate": rig.replicate}[name], rig.records[name]


async def asked(rig: Rig, name: str, prompt: str = "a lighthouse", *, seed: int | None = None) -> Submitted:
    """A request to this provider alone."""
    return await rig.submit(prompt, pin_provider=name, drawing={"seed": seed})


def run_seconds(name: str) -> float:
    """How long a request may wait and run at the provider."""
    route = next(one for one in CATALOG.models[MODEL].routes if one.provider == name)
    return route.start_timeout_seconds + route.run_seconds_max
