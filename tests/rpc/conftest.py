"""One rig per test."""

from collections.abc import AsyncIterator

import pytest

from tests.rpc.rig import Rig, opened


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A served rig with its fakes untouched."""
    async with opened() as one:
        yield one
