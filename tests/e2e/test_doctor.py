"""`python -m service doctor`: what it says of a service in order, and of each thing that can be out of order."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from service.app import examined, healthy, report
from service.app.doctor_inside import PRICE_DAYS_MAX, check_catalog
from service.app.findings import Finding, Verdict, clock_finding
from service.domain.limits import MICROS_PER_SECOND
from service.settings import load
from tests.e2e.test_process import START_SECONDS_MAX, surroundings
from tests.support.clock import FakeClock
from tests.support.replica import Replica, bucket_settings, key_settings, local_settings, running_replica
from tests.support.seaweed import S3Server, running_s3_server

Found = dict[str, Finding]


async def said(settings: Mapping[str, str]) -> Found:
    """The findings under these settings, by check."""
    return {one.check: one for one in await examined(load(settings))}


def free_port() -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_before_the_first_start_everything_is_in_order_and_nothing_is_made(tmp_path: Path) -> None:
    """The embedded defaults need no key; no database appears, and the only file is the probe."""
    found = await said(local_settings(tmp_path))
    assert {Verdict.OK} == {one.verdict for one in found.values()}
    assert "not there yet" in found["database"].text
    assert "sandbox" in found["fal"].text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [".png"] == [path.suffix for path in files]


async def test_a_running_service_is_seen_through_its_public_address(tmp_path: Path, sandbox: Sandbox) -> None:
    """It answers there, refuses a forged webhook of each provider itself, and holds its database."""
    port = free_port()
    address = {
        "LIGHTMETER_HTTP_ADDRESS": f"127.0.0.1:{port}",
        "LIGHTMETER_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    played = {"LIGHTMETER_SANDBOX": "on", "LIGHTMETER_SANDBOX_URL": sandbox.url}
    async with running_replica(tmp_path, sandbox, settings=address) as replica:
        before = replica.rows("jobs", "renders", "transfers", "audit_events")
        found = await said({**local_settings(tmp_path), **played, **address})
        assert before == replica.rows("jobs", "renders", "transfers", "audit_events")
    assert {Verdict.OK} == {one.verdict for one in found.values()}, report(
        tuple(found.values()), as_json=False
    )
    assert {"webhooks of fal", "webhooks of replicate"} <= found.keys()
    assert "one serves this file" in found["processes"].text
    assert "is the newest" in found["schema"].text


async def test_keys_are_tried_by_a_call_that_costs_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    """Good ones are taken, with the provider's clock; bad ones are named by their variable, never shown."""
    settings = {
        **local_settings(tmp_path),
        **key_settings(sandbox),
        "LIGHTMETER_FAL_API_URL": f"{sandbox.fal_url}/api/v1",
    }
    good = await said(settings)
    assert ("takes the key", "takes the key") == (good["fal"].text, good["replicate"].text)
    assert {Verdict.OK} == {good[f"clock of {one}"].verdict for one in ("fal", "replicate")}
    bad = await said({**settings, "FAL_KEY": "sandbox:invalid"})
    assert Verdict.FAIL is bad["fal"].verdict
    assert "FAL_KEY" in bad["fal"].text
    assert "sandbox:invalid" not in report(tuple(bad.values()), as_json=False)
    assert 0 == sum(totals.posts for totals in sandbox.world.book.totals.values())


async def test_without_a_network_each_failure_is_precise_and_tells_no_secret(tmp_path: Path) -> None:
    """What cannot be reached fails with its own name; keys and passwords are in no line, in words or in JSON."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    secrets = ("fal-id:fal-hush", "r8_hush", "bucket-hush", "database-hush")
    found = await said(
        {
            **local_settings(tmp_path),
            "LIGHTMETER_SANDBOX": "off",
            "LIGHTMETER_FAL_API_URL": f"{nowhere}/v1",
            "LIGHTMETER_REPLICATE_URL": nowhere,
            "LIGHTMETER_PUBLIC_URL": nowhere.replace("http:", "https:"),
            "LIGHTMETER_DATABASE_URL": f"postgresql://user:{secrets[3]}@127.0.0.1:{free_port()}/house",
            "FAL_KEY": secrets[0],
            "REPLICATE_API_TOKEN": secrets[1],
            "R2_ENDPOINT_URL": nowhere,
            "R2_BUCKET": "pictures",
            "R2_ACCESS_KEY_ID": "access",
            "R2_SECRET_ACCESS_KEY": secrets[2],
        }
    )
    failed = {check for check, one in found.items() if one.verdict is Verdict.FAIL}
    assert {"database", "fal", "replicate", "pictures", "public URL"} == failed
    findings = tuple(found.values())
    assert not healthy(findings)
    text = report(findings, as_json=False) + report(findings, as_json=True)
    assert [] == [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    ("revision", "verdict", "words"),
    [("no-such-revision", Verdict.FAIL, "newer release"), (None, Verdict.WARN, "behind")],
)
async def test_the_schema_is_compared_and_never_migrated(
    tmp_path: Path, sandbox: Sandbox, revision: str | None, verdict: Verdict, words: str
) -> None:
    """Behind: the next start migrates. Unknown here: a newer release was there. Neither is changed by looking."""
    async with running_replica(tmp_path, sandbox):
        pass
    file = tmp_path / "lightmeter.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        if revision is None:
            revision = "0001"
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    found = await said(local_settings(tmp_path))
    assert verdict is found["schema"].verdict
    assert words in found["schema"].text
    assert "none serves this file" in found["processes"].text
    with closing(sqlite3.connect(file)) as connection:
        assert [(revision,)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()


async def test_a_replica_on_postgresql_is_seen_alive(replica: Replica, tmp_path: Path) -> None:
    """The database answers with its clock, and says how many replicas hold a lease."""
    found = await said({**local_settings(tmp_path), "LIGHTMETER_DATABASE_URL": replica.database_url})
    assert Verdict.OK is found["schema"].verdict
    if replica.database_url.startswith("postgresql"):
        assert Verdict.OK is found["clock of the database"].verdict
        assert "1 replicas live" == found["processes"].text


@asynccontextmanager
async def answering(pages: Mapping[str, tuple[int, bytes]], other: tuple[int, bytes]) -> AsyncIterator[str]:
    """Something that stands in the service's place and answers what it is told to."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, body = pages.get(request.split()[1], other)
        head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("pages", "other", "failed"),
    [
        ({"/healthz": (200, b"ok\n")}, (404, b"no page"), "webhooks of fal"),
        ({"/healthz": (200, b"ok\n")}, (401, b"log in first"), "webhooks of fal"),
        ({"/healthz": (200, b"ok\n")}, (200, b"welcome"), "webhooks of fal"),
        ({}, (200, b"welcome"), "public URL"),
        ({}, (502, b"bad gateway"), "public URL"),
    ],
)
async def test_a_proxy_that_swallows_webhooks_is_found_out(
    tmp_path: Path, pages: dict[str, Any], other: tuple[int, bytes], failed: str
) -> None:
    """An answer that is not this service's own does not count, whatever its status."""
    async with answering(pages, other) as url:
        found = await said({**local_settings(tmp_path), "LIGHTMETER_PUBLIC_URL": url})
    assert Verdict.FAIL is found[failed].verdict
    assert "proxy" in found[failed].text


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A real S3 server for this module."""
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


async def test_a_bucket_is_written_read_and_shown(tmp_path: Path, s3_server: S3Server) -> None:
    """Put, get, and the address that callers would get; wrong credentials fail with what the server says."""
    settings = {**local_settings(tmp_path), **bucket_settings(s3_server)}
    for _ in range(2):
        found = await said(settings)
        assert (Verdict.OK, Verdict.OK) == (found["pictures"].verdict, found["picture addresses"].verdict)
    wrong = await said({**settings, "R2_SECRET_ACCESS_KEY": "not-the-one"})
    assert Verdict.FAIL is wrong["pictures"].verdict
    assert "SignatureDoesNotMatch" in wrong["pictures"].text
    missing = await said({**settings, "R2_BUCKET": "no-such-bucket"})
    assert Verdict.FAIL is missing["pictures"].verdict


async def test_a_folder_that_cannot_be_written_fails_with_its_cause(tmp_path: Path) -> None:
    """The system's own words, and the place."""
    (tmp_path / "pictures").write_text("in the way")
    found = await said(local_settings(tmp_path))
    assert Verdict.FAIL is found["pictures"].verdict
    assert "pictures" in found["pictures"].text


async def test_old_prices_are_named(tmp_path: Path) -> None:
    """A price that was read longer ago than its limit is a warning with the route's name, not a failure."""
    settings = load(local_settings(tmp_path)).settings
    later = FakeClock(1_795_000_000_000_000 + (PRICE_DAYS_MAX + 60) * 86_400 * MICROS_PER_SECOND)
    found = {one.check: one for one in await check_catalog(settings, later)}
    assert Verdict.WARN is found["prices"].verdict
    assert "fal/" in found["prices"].text
    assert "days)" in found["prices"].text


async def test_a_variable_that_nobody_reads_is_a_warning(tmp_path: Path) -> None:
    """With the name that was probably meant."""
    found = await said({**local_settings(tmp_path), "LIGHTMETER_DATA_DUR": "x"})
    assert Verdict.WARN is found["settings"].verdict
    assert "LIGHTMETER_DATA_DIR" in found["settings"].text


@pytest.mark.parametrize(
    ("theirs_seconds", "grain", "verdict"),
    [
        (0.0, 0.0, Verdict.OK),
        (4.9, 0.0, Verdict.OK),
        (-5.1, 0.0, Verdict.WARN),
        (59.0, 0.0, Verdict.WARN),
        (61.0, 0.0, Verdict.FAIL),
        (-61.0, 0.0, Verdict.FAIL),
        (-5.9, 1.0, Verdict.OK),
    ],
)
def test_clocks_may_differ_by_seconds_not_by_minutes(
    theirs_seconds: float, grain: float, verdict: Verdict
) -> None:
    """In either direction; a time that is told in whole seconds is not blamed for the part that it leaves out."""
    theirs = 10**15 + int(theirs_seconds * MICROS_PER_SECOND)
    assert verdict is clock_finding("x", theirs, 10**15, grain_seconds=grain).verdict


async def test_the_program_says_it_in_lines_and_in_json(tmp_path: Path) -> None:
    """Exit code 0 when nothing failed, 1 when something did; one JSON object on stdout for programs."""

    async def run(*arguments: str, **settings: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "doctor", *arguments),
            env=surroundings({**local_settings(tmp_path), **settings}),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(START_SECONDS_MAX):
            words, _ = await process.communicate()
        return process.returncode, words.decode()

    code, words = await run()
    assert 0 == code
    assert all(line.startswith("ok  ") for line in words.splitlines())
    code, words = await run("--json", LIGHTMETER_PUBLIC_URL=f"http://127.0.0.1:{free_port()}")
    told = json.loads(words)
    assert (1, False) == (code, told["ok"])
    assert ["public URL"] == [one["check"] for one in told["checks"] if one["verdict"] == "fail"]
