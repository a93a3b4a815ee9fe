"""The service as operators start it and the command line as people use it: real processes, real signals, real files."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightmeter import NO_RETRY, AsyncClient, Drawing, Money
from PIL import Image

from sandbox import Sandbox
from tests.support.replica import WAIT_SECONDS_MAX, Replica, local_settings, posts, running_replica

START_SECONDS_MAX = 30.0
ROOT = Path(__file__).parents[2]
ASK = ("a fox in snow", "-m", "flux-schnell", "--size", "1024x1024")


@dataclass
class Service:
    """A service that runs as a process of its own."""

    process: asyncio.subprocess.Process
    first_lines: list[str]

    @property
    def facts(self) -> dict[str, str]:
        """What the first lines say."""
        pairs = (line.strip().partition("  ") for line in self.first_lines if line.startswith("  "))
        return {name: value.strip() for name, _, value in pairs if value}

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and answer the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


def surroundings(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what would change the service, and the settings.

    Compiled modules are kept below `build`: most of a start is spent on them where nothing may be written beside the source.
    """
    changing = ("LIGHTMETER_", "R2_", "FAL_", "REPLICATE_API_TOKEN", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(changing)}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
        **settings,
    }


async def launched(settings: Mapping[str, str]) -> asyncio.subprocess.Process:
    """A service that was just started."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", env=surroundings(settings), stderr=asyncio.subprocess.PIPE
    )


@asynccontextmanager
async def running(folder: Path, sandbox: Sandbox) -> AsyncIterator[Service]:
    """A service that is ready; ended with the block."""
    settings = {
        **local_settings(folder),
        "LIGHTMETER_SANDBOX_URL": sandbox.url,
        "LIGHTMETER_LOG_LEVEL": "WARNING",
    }
    process = await launched(settings)
    assert process.stderr is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            while not any(" generate " in line for line in lines):
                line = (await process.stderr.readline()).decode()
                assert line, f"the service did not start: {''.join(lines)}"
                lines.append(line.rstrip("\n"))
        yield Service(process, lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def refusal(settings: Mapping[str, str]) -> tuple[int | None, str]:
    """Exit code and words of a service that must not start."""
    process = await launched(settings)
    async with asyncio.timeout(START_SECONDS_MAX):
        _, words = await process.communicate()
    return process.returncode, words.decode()


async def said(service: Service, *arguments: str) -> tuple[int, str, str]:
    """What the command line answers: exit code, stdout, stderr."""
    environment = surroundings({"LIGHTMETER_ADDRESS": service.facts["gRPC"], "LIGHTMETER_PROJECT": "studio"})
    program = Path(sys.executable).with_name("lightmeter")
    process = await asyncio.create_subprocess_exec(
        str(program),
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(START_SECONDS_MAX):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def told(service: Service, *arguments: str) -> Any:
    """The JSON that a command prints."""
    code, out, err = await said(service, *arguments, "--json")
    assert 0 == code, err
    return json.loads(out)


async def test_the_first_lines_say_what_runs(tmp_path: Path, sandbox: Sandbox) -> None:
    """Doors, database, pictures, providers and a command to try; SIGINT ends it with exit code 0."""
    async with running(tmp_path, sandbox) as service:
        assert "Lightmeter is ready." == service.first_lines[0]
        assert {"gRPC", "HTTP", "database", "pictures", "providers"} <= service.facts.keys()
        assert str(tmp_path / "lightmeter.db") in service.facts["database"]
        assert "sandbox: nothing is spent" in service.facts["providers"]
        assert service.facts["gRPC"] in service.first_lines[-1]
        assert 0 == await service.end(signal.SIGINT)


async def test_a_second_process_on_the_same_file_is_refused(embedded: Replica, tmp_path: Path) -> None:
    """Two processes on one SQLite file would be two truths: the second says so in a sentence and ends with 1."""
    code, words = await refusal(local_settings(tmp_path))
    assert 1 == code
    assert "another process" in words
    assert "lightmeter.db" in words
    assert "Traceback" not in words


async def test_the_books_are_verified_beside_the_service(embedded: Replica, tmp_path: Path) -> None:
    """`ledger verify` recomputes everything from the transfers while the service runs, and finds no difference."""
    drawing = Drawing(model="flux-schnell", prompt="a fox in snow")
    for model in ("flux-schnell", "test-ok", "flux-schnell"):
        await embedded.client().generate(drawing.replace(model=model), timeout=WAIT_SECONDS_MAX)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "ledger", "verify"),
        env=surroundings(local_settings(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(START_SECONDS_MAX):
        words, _ = await process.communicate()
    assert (0, "the books are right\n") == (process.returncode, words.decode())


async def test_wrong_settings_end_with_2_and_a_line_for_each(tmp_path: Path) -> None:
    """All mistakes at once, each with the name of its variable, before anything starts."""
    code, words = await refusal(
        {
            **local_settings(tmp_path),
            "LIGHTMETER_GRPC_ADDRESS": "everywhere",
            "LIGHTMETER_SANDBOX_SPEED": "0",
        }
    )
    assert 2 == code
    assert ["LIGHTMETER_GRPC_ADDRESS", "LIGHTMETER_SANDBOX_SPEED"] == sorted(
        line.partition(":")[0] for line in words.splitlines()
    )
    assert [] == list(tmp_path.iterdir())


async def test_the_command_line_does_the_main_job(tmp_path: Path, sandbox: Sandbox) -> None:
    """Quote, draw, draw again from the cache, list, sum up, and explain: words for people, JSON for programs."""
    out = tmp_path / "fox.jpg"
    async with running(tmp_path / "data", sandbox) as service:
        code, words, _ = await said(service, "quote", *ASK)
        assert (0, True) == (code, "$0.003" in words)
        code, words, _ = await said(service, "generate", *ASK, "--out", str(out))
        assert (0, True) == (code, f"{out} 1024x1024 · $0.003" in words)
        with Image.open(out) as picture:
            assert (1024, 1024) == picture.size
        code, words, _ = await said(service, "generate", *ASK)
        assert (0, True) == (code, "from cache" in words)
        assert 1 == posts(sandbox)
        jobs = (await told(service, "jobs"))["jobs"]
        assert 2 == len(jobs)
        job_id = next(job["jobId"] for job in jobs if job["origin"].endswith("PROVIDER"))
        receipt = await told(service, "receipt", job_id)
        assert "3000000" == str(receipt["charged"]["amountNanos"])
        costs = await told(service, "costs", "--by", "provider")
        assert "3000000" == str(costs["total"]["net"]["amountNanos"])
        code, words, _ = await said(service, "explain", job_id)
        assert 0 == code
        assert "posted" in words
        code, _, words = await said(service, "generate", "a fox", "-m", "flux-nine")
        assert (3, True) == (code, "MODEL_NOT_FOUND" in words or "flux-nine" in words)
        code, _, words = await said(service, "generate", "a fox", "-m", "test-fails")
        assert 1 == code
        assert 0 == await service.end()


async def test_a_killed_process_has_lost_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """What was answered is there after SIGKILL, and is not paid for again."""
    async with running(tmp_path, sandbox) as service:
        first = await told(service, "generate", *ASK)
        service.process.kill()
        await service.process.communicate()
    async with running_replica(tmp_path, sandbox) as replica:
        client = replica.client()
        again = await client.generate(Drawing(model="flux-schnell", prompt=ASK[0], size="1024x1024"))
        assert ("CACHE", first["assets"][0]["sha256"]) == (again.origin, again.assets[0].sha256)
        assert [again.job_id, first["jobId"]] == [job.job_id async for job in client.list()]
        assert Money(3_000_000) == (await client.costs()).total.net
        assert 1 == posts(sandbox)


async def test_a_running_render_is_finished_within_the_drain(tmp_path: Path, sandbox: Sandbox) -> None:
    """SIGTERM lets what runs end: the picture that is paid for is stored before the process goes, with exit code 0."""
    sandbox.world.faults.order({"kind": "deep_queue", "args": {"position": 3, "seconds": 1.0}})
    async with running(tmp_path, sandbox) as service:
        address = service.facts["gRPC"]
        async with AsyncClient(address, api_key="", project="studio", retry=NO_RETRY) as client:
            started = await client.start(Drawing(model="flux-schnell", prompt="a fox"))
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not posts(sandbox):  # noqa: ASYNC110 -- another process sends it
                    await asyncio.sleep(0.02)
            assert 0 == await service.end()
    async with running_replica(tmp_path, sandbox) as replica:
        job = await replica.client().get(started.job_id)
        assert ("SUCCEEDED", Money(3_000_000)) == (job.state, job.receipt.charged)
        assert 1 == posts(sandbox)


async def test_a_process_whose_duty_has_died_ends_and_says_so(tmp_path: Path, sandbox: Sandbox) -> None:
    """A replica that can't renew its lease by a fault of ours must not go on half alive: exit code 1, to be started again."""
    async with running(tmp_path, sandbox) as service:
        # No database that is away, but one that the service does not understand: the next heartbeat meets a defect.
        with sqlite3.connect(tmp_path / "lightmeter.db") as connection:
            connection.execute("ALTER TABLE replicas RENAME COLUMN lease_until TO lost")
        connection.close()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            _, words = await service.process.communicate()
        assert (1, True) == (service.process.returncode, b"duty_ended" in words)
