"""fal and Replicate keep the providers' contract, against the sandbox that plays them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.provider_contract import ProviderContract
from tests.providers.rig import Rig, fal_rig, replicate_rig


class TestFal(ProviderContract):
    """FalProvider."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        """fal, at once."""
        async with fal_rig() as one:
            yield one

    @pytest.fixture
    async def slow_rig(self) -> AsyncIterator[Rig]:
        """fal, at its pace."""
        async with fal_rig(instant=False) as one:
            yield one


class TestReplicate(ProviderContract):
    """ReplicateProvider."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        """Replicate, at once."""
        async with replicate_rig() as one:
            yield one

    @pytest.fixture
    async def slow_rig(self) -> AsyncIterator[Rig]:
        """Replicate, at its pace."""
        async with replicate_rig(instant=False) as one:
            yield one
