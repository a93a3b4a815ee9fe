"""The ledger beside the providers' own books: after reconciliation they agree to the nano-dollar, whatever happened before."""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from lightmeter import Drawing, JobFailed
from lightmeter.cli.app import build
from typer.testing import CliRunner

from sandbox import Sandbox
from sandbox.book import Entry
from service.app import UsageWrong, add_works, compared_days
from service.app.finance import BooksOutOfReach
from service.domain.errors import FieldInvalid
from service.settings import load
from tests.e2e.finance import DAY_SECONDS, billed, invoice_of, office
from tests.e2e.test_process import surroundings
from tests.support.replica import (
    WAIT_SECONDS_MAX,
    Replica,
    entries,
    local_settings,
    running_replica,
    running_sandbox,
)

PRICE = 10_000_000
FAL_KEY = {"Authorization": "Key sandbox:key"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Both providers; fal's billing events come at once."""
    async with running_sandbox(billing_delay_seconds=0.0) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Either engine."""
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else None


def asked(prompt: str, model: str = "test-ok", **changes: Any) -> Drawing:
    """A small drawing; the prompt says what is ordered for it."""
    return Drawing(model=model, prompt=prompt, size="512x512", **changes)


def order(sandbox: Sandbox, prompt: str, kind: str, **args: Any) -> None:
    """Let something happen to the request with this prompt."""
    sandbox.world.faults.order({"kind": kind, "args": args, "match_prompt": prompt, "times": None})


async def drawn(replica: Replica, drawing: Drawing, pin: str) -> None:
    """Draw it; a job that fails is as good."""
    try:
        await replica.client().generate(drawing, pin=pin, timeout=WAIT_SECONDS_MAX)
    except JobFailed:
        return


Ordered = dict[str, dict[str, Any]]
DOUBLE: Ordered = {"bill_factor": {"factor": "2"}}
TROUBLES: dict[str, Ordered] = {
    "no units": {"bill_missing": {}, **DOUBLE},
    "units of zero": {"bill_zero": {}, **DOUBLE},
    "billed double": DOUBLE,
    "billed a third": {"bill_factor": {"factor": "0.333333333"}},
    "failed and free": {"fail_run": {"code": 500}},
    "failed and billed": {"fail_run": {"code": 422, "type": "generation_timeout", "billed": True}},
    "fewer pictures": {"fewer_images": {"n": 1}},
    "more pictures": {"more_images": {"n": 1}},
    "flagged": {"flag_content": {}},
}
"""What is ordered for the request with this prompt, at each provider."""


async def everything(replica: Replica, sandbox: Sandbox) -> None:
    """Requests of every make at both providers, one of them cancelled."""
    for prompt, ordered in TROUBLES.items():
        for kind, args in ordered.items():
            order(sandbox, prompt, kind, **args)
    prompts = ["as it should be", *TROUBLES]
    async with asyncio.TaskGroup() as group:
        for pin in ("fal", "replicate"):
            for prompt in prompts:
                drawing = asked(prompt, image_count=2 if "pictures" in prompt else 1)
                group.create_task(drawn(replica, drawing, pin))
            group.create_task(drawn(replica, asked("beyond its price", "test-overrun"), pin))
            group.create_task(cancelled(replica, pin))


async def cancelled(replica: Replica, pin: str) -> None:
    """A request that its caller ends while it waits at the provider."""
    client = replica.client()
    job = await client.start(asked("given up", "test-slow"), pin=pin)
    async for version in client.watch(job, timeout=WAIT_SECONDS_MAX):
        if version.route is not None and version.route.provider_request_id:
            break
    await client.cancel(job)
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (await client.receipt(job)).settlement == "OPEN":  # noqa: ASYNC110 -- another process's event
            await asyncio.sleep(0.05)


async def test_after_reconciliation_the_ledger_is_the_bill(
    tmp_path: Path, sandbox: Sandbox, url: str | None
) -> None:
    """Overruns, missing and zero units, bills of other amounts, failures, cancels: request by request the ledger ends at what the
    provider billed; fal's by its events, Replicate's metrics at once and the rest by its invoice. A second run changes nothing.
    """
    async with running_replica(tmp_path, sandbox, database_url=url) as replica:
        await everything(replica, sandbox)
    books = office(tmp_path, sandbox, url)
    found = await books.compare()
    assert () == found.left_out
    fal = {name: nanos for name, nanos in billed(sandbox, "fal").items() if nanos}
    assert fal == {name: nanos for name, nanos in books.charged("fal").items() if name in fal}
    assert [0, 0] == [one.drift_nanos for one in found.reconciliations if one.provider == "fal"]
    assert [(2,)] == books.ask(
        "SELECT count(*) FROM transfers WHERE kind = 'CORRECTION' AND provider = 'fal'"
    )

    # What no bill names is not given back before four days are over: bills come late.
    await books.pass_time(4 * DAY_SECONDS)
    found = await books.compare(6)
    assert billed(sandbox, "fal") == books.charged("fal")
    assert 0 == sum(one.drift_nanos for one in found.reconciliations if one.provider == "fal")

    before = books.charged("replicate")
    compared = await books.invoice("replicate", books.month(), invoice_of(sandbox, "replicate"))
    assert before != books.charged("replicate") == billed(sandbox, "replicate")
    assert (0, len(before)) == (compared.drift_nanos, compared.matched_count)


async def test_a_lost_request_is_charged_what_its_bill_says(tmp_path: Path, sandbox: Sandbox) -> None:
    """The reply got lost and the list could not be read: given up, charged as unconfirmed, and settled by the bill in the end."""
    order(sandbox, "lost", "drop_after_accept")
    sandbox.world.faults.order(
        {"kind": "list_unavailable", "args": {"code": 503}, "endpoint": "by-endpoint", "times": None}
    )
    sandbox.world.faults.order({"kind": "bill_factor", "args": {"factor": "3"}, "match_prompt": "lost"})
    books = office(tmp_path, sandbox)
    async with running_replica(tmp_path, sandbox) as replica:
        job = await replica.client().start(asked("lost"), pin="fal")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while [("UNKNOWN",)] != books.ask("SELECT state FROM attempts"):  # noqa: ASYNC110 -- another process's event
                await asyncio.sleep(0.05)
    await books.pass_time(3 * 3_600)
    async with running_replica(tmp_path, sandbox) as replica:
        with pytest.raises(JobFailed) as failed:
            await replica.client().result(job, timeout=WAIT_SECONDS_MAX)
        assert "DISPATCH_UNCONFIRMED" == failed.value.reason
        assert ("UNCONFIRMED", PRICE) == (
            failed.value.job.receipt.settlement, failed.value.job.receipt.charged.nanos,
        )  # fmt: skip
    found = await books.compare(3)
    assert dict.fromkeys(billed(sandbox, "fal"), 3 * PRICE) == books.charged("fal")
    assert 0 == sum(one.drift_nanos for one in found.reconciliations)
    assert [("BILLING_EVENT",)] == books.ask("SELECT grade FROM attempts")


async def test_bills_that_come_late_or_never_do_no_harm(tmp_path: Path, sandbox: Sandbox) -> None:
    """While a bill is missing the estimate stands, without drift and without dispute. When it comes it is booked; when it never
    comes, the charge is listed once the books are complete, and stays as it is.
    """
    ordered: dict[str, Ordered] = {
        "late": {"bill_missing": {}, "bill_late": {"seconds": 3_600.0}, **DOUBLE},
        "never": {"bill_missing": {}, "bill_gap": {}, **DOUBLE},
    }
    async with running_replica(tmp_path, sandbox) as replica:
        for prompt, faults in ordered.items():
            for kind, args in faults.items():
                order(sandbox, prompt, kind, **args)
            await drawn(replica, asked(prompt), "fal")
    books = office(tmp_path, sandbox)
    found = await books.compare()
    assert {PRICE} == set(books.charged("fal").values())
    assert 0 == sum(one.drift_nanos or one.unmatched_ledger_count for one in found.reconciliations)
    sandbox.world.clock.advance(3_600.0)
    await books.compare()
    assert [PRICE, 2 * PRICE] == sorted(books.charged("fal").values())
    await books.pass_time(3 * DAY_SECONDS)
    found = await books.compare(5)
    assert [PRICE, 2 * PRICE] == sorted(books.charged("fal").values())
    assert [("LEDGER", PRICE, None)] == books.ask(
        "SELECT side, ledger_nanos, billed_nanos FROM discrepancies WHERE resolved_at IS NULL"
    )
    assert -PRICE == sum(one.drift_nanos for one in found.reconciliations)


async def test_finance_sees_it_all_from_outside(tmp_path: Path, sandbox: Sandbox, url: str | None) -> None:
    """A charge that the service never made is listed, and is all of the drift; statement and export come to the ledger's sum."""
    async with running_replica(tmp_path, sandbox, database_url=url) as replica:
        await everything(replica, sandbox)
    foreign = await of_somebody_else(sandbox)
    books = office(tmp_path, sandbox, url)
    await books.compare()
    net = sum(books.charged("fal").values()) + sum(books.charged("replicate").values())
    books.let_pages_show_all()
    async with running_replica(tmp_path, sandbox, database_url=url) as replica:
        client = replica.client()
        listed = await client.reconciliations(provider="fal", limit=10)
        assert foreign.bill_nanos == sum(
            {one.range_start_time: one.drift.nanos for one in listed[::-1]}.values()
        )
        [stranger] = await client.discrepancies(sides=["provider"])
        assert (foreign.id, foreign.bill_nanos) == (
            stranger.provider_request_id, stranger.billed_amount and stranger.billed_amount.nanos,
        )  # fmt: skip
        statement = await client.statement(f"{datetime.now(UTC):%Y-%m}")
        assert net == statement.total.nanos
        file = tmp_path / "costs.csv"
        said = await command(replica, "export", "focus", str(file))
        assert f"{file}: " in said
        assert "FOCUS 1.2" in said
        rows = list(csv.DictReader(io.StringIO(file.read_text())))
        assert net == sum(Decimal(row["BilledCost"]) for row in rows) * 10**9
        assert foreign.id in await command(replica, "discrepancies")
        assert "fal (incomplete)" in await command(replica, "reconciliations")
        assert f"to be paid {statement.total}" in await command(
            replica, "--project", "studio", "statement", statement.month
        )


async def of_somebody_else(sandbox: Sandbox) -> Entry:
    """A request of the same account that the service never sent."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        address = f"{sandbox.fal_url}/queue/fal-ai/flux/schnell"
        answer = await browser.post(address, headers=FAL_KEY, json={"prompt": "not ours"})
        answer.raise_for_status()
    [entry] = entries(sandbox, "not ours")
    return entry


async def command(replica: Replica, *arguments: str) -> str:
    """What the command line prints."""
    runner = CliRunner(env={"LIGHTMETER_ADDRESS": replica.application.grpc_address, "COLUMNS": "300"})
    result = await asyncio.to_thread(runner.invoke, build(), list(arguments))
    assert 0 == result.exit_code, result.output
    return result.stdout


async def test_the_books_are_kept_from_the_service_s_own_command_line(
    tmp_path: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """`reconcile` and `ledger statement`: tables for people, figures as JSON, mistakes in one sentence, exit code 1 in a process
    of its own when a provider's books could not be read.
    """
    async with running_replica(tmp_path, sandbox) as replica:
        await drawn(replica, asked("as it should be"), "fal")
    settings = {**local_settings(tmp_path), "LIGHTMETER_SANDBOX_URL": sandbox.url}

    async def work(*arguments: str) -> str:
        parser = argparse.ArgumentParser()
        add_works(parser)
        asked_for = parser.parse_args(arguments)
        assert 0 == await asked_for.work(load(settings), asked_for)
        # Nobody has told the log of this process where to go.
        return re.sub(r"(?m)^\d{4}-.* \[(info|warning) .*\n", "", capsys.readouterr().out)

    [compared] = json.loads(await work("reconcile", "--days", "1", "--provider", "fal", "--json"))[
        "reconciliations"
    ]
    assert (PRICE, 0, 1) == (compared["billed_nanos"], compared["drift_nanos"], compared["matched_count"])
    month = f"{datetime.now(UTC):%Y-%m}"
    statement = ("ledger", "statement", "--project", "studio", "--month", month)
    assert PRICE == json.loads(await work(*statement, "--json"))["total_nanos"]
    assert "to be paid $0.010000000, of it storage $0.000000000" in await work(*statement)
    file = tmp_path / "invoice.csv"
    file.write_text("request_id,amount_usd\n,1\n")
    invoice = ("reconcile", "--invoice", str(file), "--provider", "fal")
    with pytest.raises(FieldInvalid, match="line 2: request_id: must be a request's id"):
        await work(*invoice, "--month", month)
    with pytest.raises(UsageWrong, match="needs --provider and --month"):
        await work(*invoice)
    with pytest.raises(BooksOutOfReach):
        await compared_days(load(local_settings(tmp_path)), 1)

    sandbox.world.faults.order({"kind": "list_unavailable", "endpoint": "billing-events", "times": None})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "reconcile", "--days", "1"),
        env=surroundings({"LIGHTMETER_LOG_LEVEL": "ERROR", **settings}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(2 * WAIT_SECONDS_MAX):
        out, err = await process.communicate()
    assert (1, "replicate (incomplete)") == (process.returncode, out.decode().splitlines()[1][:22])
    assert "not compared: fal, from " in err.decode()
