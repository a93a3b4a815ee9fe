"""Rigs of both providers, at once and at their real pace."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.providers.downloads import HttpDownloads
from tests.providers.rig import Rig, fal_rig, replicate_rig, tls

RIGS = {"fal": fal_rig, "replicate": replicate_rig}


@pytest.fixture
async def fal() -> AsyncIterator[Rig]:
    """fal, whose requests end before their submit is answered."""
    async with fal_rig() as rig:
        yield rig


@pytest.fixture
async def replicate() -> AsyncIterator[Rig]:
    """Replicate, whose predictions end before their create is answered."""
    async with replicate_rig() as rig:
        yield rig


@pytest.fixture(params=["fal", "replicate"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """Each provider in turn."""
    async with RIGS[request.param]() as one:
        yield one


@pytest.fixture
async def local() -> AsyncIterator[HttpDownloads]:
    """Downloads that may come from loopback, with small bounds."""
    downloads = HttpDownloads(
        allow_loopback=True,
        tls=tls(),
        result_bytes_max=10_000,
        input_bytes_max=10_000,
        result_seconds_max=0.5,
        input_seconds_max=0.5,
    )
    yield downloads
    await downloads.close()
    await downloads.close()
