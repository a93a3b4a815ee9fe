"""Whole replicas for tests: an Application on ephemeral ports and a throw-away folder, against a sandbox in this process.

The sandbox's book is the providers' own truth, and its fault board takes orders; both are reached without a detour.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import lightmeter
import psycopg

from sandbox import Sandbox, SandboxOptions
from sandbox.book import Entry
from service.app import Application
from service.settings import load
from tests.support.seaweed import S3Server

WAIT_SECONDS_MAX = 20.0
WRITTEN = ("jobs", "renders", "attempts", "transfers", "totals", "budget_windows")
"""Tables in which nothing may appear for a request that was refused."""


@dataclass
class Replica:
    """A running replica, and clients of it by project."""

    application: Application
    database_url: str
    _stack: AsyncExitStack
    _clients: dict[str, lightmeter.AsyncClient] = field(default_factory=dict)

    def client(self, project: str = "studio") -> lightmeter.AsyncClient:
        """A client that pays as this project; closed with the replica."""
        if project not in self._clients:
            client = lightmeter.AsyncClient(self.application.grpc_address, api_key="", project=project)
            self._stack.push_async_callback(client.close)
            self._clients[project] = client
        return self._clients[project]

    async def http(self, path: str) -> httpx.Response:
        """What the HTTP door answers."""
        async with httpx.AsyncClient(trust_env=False, timeout=WAIT_SECONDS_MAX) as browser:
            return await browser.get(f"{self.application.http_url}{path}")

    def rows(self, *tables: str) -> dict[str, int]:
        """How many rows the tables have; all that a submission writes to, by default."""
        return {table: self.ask(f"SELECT count(*) FROM {table}")[0][0] for table in tables or WRITTEN}

    def ask(self, question: str) -> list[Any]:
        """The rows that a question of SQL has for an answer, read beside the replica."""
        if self.database_url.startswith("sqlite:///"):
            with closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"))) as connection:
                return connection.execute(question).fetchall()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(question.encode()).fetchall()


@asynccontextmanager
async def running_sandbox(**options: Any) -> AsyncIterator[Sandbox]:
    """A sandbox, instant unless told otherwise, in which nothing failed unseen."""
    async with Sandbox(SandboxOptions(**{"seed": 1, "instant": True, **options})) as sandbox:
        yield sandbox
        assert [] == sandbox.world.chores.failures


@asynccontextmanager
async def running_replica(
    folder: Path,
    sandbox: Sandbox,
    *,
    database_url: str | None = None,
    bucket: S3Server | None = None,
    rules: str = "",
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Replica]:
    """A replica with its data in `folder`; `rules` is the text of the configuration file."""
    environment = {
        **local_settings(folder),
        "LIGHTMETER_SANDBOX": "on",
        "LIGHTMETER_SANDBOX_URL": sandbox.url,
    }
    if database_url is not None:
        environment["LIGHTMETER_DATABASE_URL"] = database_url
    if bucket is not None:
        environment |= bucket_settings(bucket)
    if rules:
        file = folder / "lightmeter.yaml"
        file.write_text(rules)
        environment["LIGHTMETER_CONFIG"] = str(file)
    configuration = load({**environment, **(settings or {})})
    assert configuration.remarks == ()
    application = Application(configuration)
    await application.start()
    try:
        async with AsyncExitStack() as stack:
            yield Replica(application, database_url or configuration.settings.database, stack)
    finally:
        await application.stop()


def local_settings(folder: Path) -> dict[str, str]:
    """Ephemeral ports, and everything else in a folder."""
    return {
        "LIGHTMETER_DATA_DIR": str(folder),
        "LIGHTMETER_GRPC_ADDRESS": "127.0.0.1:0",
        "LIGHTMETER_HTTP_ADDRESS": "127.0.0.1:0",
        "LIGHTMETER_DRAIN_SECONDS": "5",
    }


def key_settings(sandbox: Sandbox) -> dict[str, str]:
    """Keys of both providers, whose addresses are a sandbox's: nothing else tells that they are played."""
    return {
        "LIGHTMETER_SANDBOX": "off",
        "LIGHTMETER_FAL_QUEUE_URL": f"{sandbox.fal_url}/queue",
        "LIGHTMETER_FAL_REST_URL": f"{sandbox.fal_url}/rest",
        "LIGHTMETER_FAL_CDN_URL": sandbox.fal_url,
        "LIGHTMETER_FAL_API_URL": f"{sandbox.fal_url}/api/v1",
        "LIGHTMETER_REPLICATE_URL": sandbox.replicate_url,
        "FAL_KEY": "key-id:key-secret",
        "REPLICATE_API_TOKEN": "r8_token",
    }


def bucket_settings(server: S3Server) -> dict[str, str]:
    """An S3 server in the place of R2."""
    return {
        "R2_ENDPOINT_URL": server.endpoint_url,
        "R2_BUCKET": server.bucket,
        "R2_ACCESS_KEY_ID": server.access_key_id,
        "R2_SECRET_ACCESS_KEY": server.secret_access_key,
    }


def entries(sandbox: Sandbox, prompt: str = "") -> list[Entry]:
    """The requests in the providers' books whose prompt contains this text, newest first."""
    book = sandbox.world.book
    return [
        entry
        for provider in ("fal", "replicate")
        for entry in book.newest_first(provider)
        if prompt in str(entry.input.get("prompt", ""))
    ]


def posts(sandbox: Sandbox) -> int:
    """How many submits the providers have seen, whatever they answered."""
    return sum(totals.posts for totals in sandbox.world.book.totals.values())


def billed_nanos(sandbox: Sandbox) -> int:
    """What the providers have billed."""
    return sum(totals.billed_nanos for totals in sandbox.world.book.totals.values())
