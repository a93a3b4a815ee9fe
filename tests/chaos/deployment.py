"""A deployment as operators run it: replicas on one PostgreSQL and one bucket behind a balancer, every wire through a proxy."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.chaos.processes import Postgres, Program, balancer, free_ports, postgres, sandbox, until_ready
from tests.chaos.proxy import Proxy
from tests.chaos.wires import Hook, HttpCalls, Moment, PostgresCommits
from tests.support.replica import bucket_settings
from tests.support.seaweed import S3Server, running_s3_server

STARTS_MAX = 10
RESTART_SECONDS = 0.5


async def _look_away(_moment: Moment, _said: bytes) -> None:
    """The hook of whoever has no interest."""


def _newest(hooks: list[Hook]) -> Hook:
    """Whoever stands last in the list at the moment."""

    async def hook(moment: Moment, said: bytes) -> None:
        await hooks[-1](moment, said)

    return hook


@dataclass
class Replica:
    """One replica, its doors and its three wires."""

    program: Program
    grpc_port: int
    http_port: int
    to_database: Proxy
    to_providers: Proxy
    to_pictures: Proxy
    commits: list[Hook] = field(default_factory=lambda: [_look_away])
    provider_calls: list[Hook] = field(default_factory=lambda: [_look_away])
    picture_calls: list[Hook] = field(default_factory=lambda: [_look_away])

    @property
    def name(self) -> str:
        """Its LIGHTMETER_REPLICA_ID."""
        return self.program.name

    @property
    def proxies(self) -> tuple[Proxy, Proxy, Proxy]:
        """All its wires."""
        return self.to_database, self.to_providers, self.to_pictures

    async def start(self) -> None:
        """Start the process and wait until it is ready. Like any supervisor, start it again when it finds no database."""
        for _ in range(STARTS_MAX):
            await self.program.start()
            if await until_ready(f"http://127.0.0.1:{self.http_port}/readyz", self.program):
                return
            await asyncio.sleep(RESTART_SECONDS)
        raise AssertionError(f"{self.name} did not start:\n{self.program.log.read_text()[-3000:]}")


class Deployment:
    """What runs, and the way past all proxies to its truths."""

    def __init__(
        self, folder: Path, postgres: Postgres, database_url: str, sandbox_url: str, bucket: S3Server
    ) -> None:
        self.folder = folder
        self.postgres = postgres
        self.database_url = database_url
        self.sandbox_url = sandbox_url
        self.bucket = bucket
        self.replicas: list[Replica] = []
        self.balancer: Program | None = None
        self.address = ""
        """Where callers connect: the balancer."""

    def ask(self, question: str, *values: object) -> list[dict[str, Any]]:
        """Rows, by SQL, read past every proxy."""
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(question.encode(), values or None).fetchall()

    async def admin(self, method: str, path: str, content: object = None) -> Any:
        """What the sandbox's admin door answers."""
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as browser:
            answer = await browser.request(method, f"{self.sandbox_url}/admin/{path}", json=content)
        answer.raise_for_status()
        return answer.json()

    async def order(self, kind: str, **order: Any) -> None:
        """Order a fault from the sandbox."""
        await self.admin("POST", "faults", {"kind": kind, **order})

    async def billed(self) -> list[dict[str, Any]]:
        """Every request that the providers accepted."""
        rows: list[dict[str, Any]] = (await self.admin("GET", "book?limit=10000"))["requests"]
        return rows

    async def add(
        self,
        stack: AsyncExitStack,
        name: str,
        settings: Mapping[str, str] | None = None,
        *,
        webhooks: bool = False,
    ) -> Replica:
        """Make one more replica with proxies of its own, not started; with `webhooks` the providers tell it of ends."""
        grpc_port, http_port = free_ports(2)
        hooks: tuple[list[Hook], ...] = ([_look_away], [_look_away], [_look_away])
        database, provider, pictures = hooks
        at_sandbox, at_bucket = urlsplit(self.sandbox_url), urlsplit(self.bucket.endpoint_url)
        wires = (
            Proxy(self.postgres.socket, lambda: PostgresCommits(_newest(database))),
            Proxy(_place(at_sandbox), lambda: HttpCalls(_newest(provider))),
            Proxy(_place(at_bucket), lambda: HttpCalls(_newest(pictures))),
        )
        for wire in wires:
            await wire.start()
            stack.push_async_callback(wire.stop)
        bucket = S3Server(f"http://127.0.0.1:{wires[2].port}", self.bucket.bucket)
        database_name = urlsplit(self.database_url).path
        chosen = {
            "LIGHTMETER_REPLICA_ID": name,
            "LIGHTMETER_DATA_DIR": str(self.folder / name),
            "LIGHTMETER_GRPC_ADDRESS": f"127.0.0.1:{grpc_port}",
            "LIGHTMETER_HTTP_ADDRESS": f"127.0.0.1:{http_port}",
            "LIGHTMETER_DATABASE_URL": (
                f"postgresql://postgres@127.0.0.1:{wires[0].port}{database_name}?sslmode=disable&gssencmode=disable"
            ),
            "LIGHTMETER_SANDBOX": "on",
            "LIGHTMETER_SANDBOX_URL": f"http://127.0.0.1:{wires[1].port}",
            "LIGHTMETER_LOG_FORMAT": "json",
            **bucket_settings(bucket),
            **({"LIGHTMETER_PUBLIC_URL": f"http://127.0.0.1:{http_port}"} if webhooks else {}),
            **(settings or {}),
        }
        program = Program(name, [sys.executable, "-m", "service"], self.folder / f"{name}.log", chosen)
        stack.push_async_callback(program.kill)
        replica = Replica(program, grpc_port, http_port, *wires, *hooks)
        self.replicas.append(replica)
        return replica

    async def verified(self) -> str:
        """What `ledger verify` says; empty when the books are right."""
        program = Program(
            "verify",
            [sys.executable, "-m", "service", "ledger", "verify"],
            self.folder / "verify.log",
            {"LIGHTMETER_DATABASE_URL": self.database_url, "LIGHTMETER_DATA_DIR": str(self.folder)},
        )
        program.log.write_bytes(b"")
        await program.start()
        code = await program.ended()
        return "" if code == 0 else program.log.read_text()


def _place(address: Any) -> tuple[str, int]:
    return address.hostname, address.port


@asynccontextmanager
async def foundations(folder: Path, *sandbox_flags: str) -> AsyncIterator[Deployment]:
    """Database, bucket and sandbox; no replica yet."""
    with ExitStack() as blocking:
        server, url = await asyncio.to_thread(blocking.enter_context, postgres())
        bucket = await asyncio.to_thread(blocking.enter_context, running_s3_server(folder / "s3"))
        async with sandbox(folder, *sandbox_flags) as sandbox_url:
            yield Deployment(folder, server, url, sandbox_url, bucket)


@asynccontextmanager
async def deployed(
    folder: Path,
    *sandbox_flags: str,
    count: int = 3,
    settings: Mapping[str, str] | None = None,
    webhooks: int = 0,
) -> AsyncIterator[Deployment]:
    """All of it, ready, behind a balancer; the first few replicas are told by webhooks, the others only poll."""
    async with foundations(folder, *sandbox_flags) as deployment, AsyncExitStack() as stack:
        for number in range(1, count + 1):
            await deployment.add(stack, f"replica-{number}", settings, webhooks=number <= webhooks)
        # One after the other: the first one migrates.
        for replica in deployment.replicas[:1]:
            await replica.start()
        await asyncio.gather(*(replica.start() for replica in deployment.replicas[1:]))
        (port,) = free_ports(1)
        ports = {one.name: (one.grpc_port, one.http_port) for one in deployment.replicas}
        deployment.balancer = balancer(folder, port, ports)
        stack.push_async_callback(deployment.balancer.kill)
        await deployment.balancer.start()
        deployment.address = f"127.0.0.1:{port}"
        yield deployment
