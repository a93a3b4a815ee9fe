"""Replicas of every make: embedded, on PostgreSQL, with budgets, in pairs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.support.postgres import postgres_folder, postgres_url  # noqa: F401  # fixtures are found by their name here
from tests.support.replica import Replica, running_replica, running_sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Both providers, finished before their submit is answered."""
    async with running_sandbox() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
async def replica(request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Replica]:
    """One replica, on either engine."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with running_replica(tmp_path, sandbox, database_url=url) as running:
        yield running


@pytest.fixture
async def embedded(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Replica]:
    """One replica on the embedded defaults."""
    async with running_replica(tmp_path, sandbox) as running:
        yield running
