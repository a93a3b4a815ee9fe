"""The command line: what it prints in words and in JSON, and its exit codes."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from lightmeter.cli.app import build
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import job_pb2, ledger_service_pb2, model_service_pb2, money_pb2
from typer.testing import CliRunner, Result

from tests.client.fake_service import (
    PICTURE,
    FakeServer,
    Script,
    drawing_job,
    event,
    job,
    money,
    picture_parts,
    refusal,
)
from tests.client.test_values import quote

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(server: FakeServer) -> Run:
    """Runs the command line against the fake service, in another thread than the service's."""

    async def invoke(*arguments: str, **env: str) -> Result:
        runner = CliRunner(env={"LIGHTMETER_ADDRESS": server.address, "LIGHTMETER_API_KEY": ""} | env)
        return await asyncio.to_thread(runner.invoke, build(), list(arguments))

    return invoke


ASK = ("a fox in snow", "-m", "gpt-image-2", "--quality", "high", "--size", "1024x1536")


def drawn(script: Script) -> None:
    """A job that queues, draws, is stored and succeeds."""
    script.on("Generate", pb.GenerateResponse(job=drawing_job("WAITING", 1)))
    script.on(
        "WatchJob",
        [
            event(drawing_job("PROVIDER_QUEUE", 2, queue_position=3)),
            event(drawing_job("DRAWING", 3, fraction=0.6)),
            event(drawing_job("STORING", 4)),
            event(job(version=5)),
        ],
    )
    script.on("DownloadAsset", picture_parts())


async def test_generate_tells_its_steps_and_saves_the_picture(
    run: Run, script: Script, tmp_path: Path
) -> None:
    drawn(script)
    out = tmp_path / "fox.png"
    result = await run("generate", *ASK, "--max-cost", "0.20", "--label", "team=growth", "--out", str(out))
    assert (0, PICTURE) == (result.exit_code, out.read_bytes())
    assert f"{out} 1024x1536 · $0.128 billed units · job job-1\n" == result.stdout
    steps = ["queued", "replicate queue 3", "drawing 60 %", "storing", "done in 20 s (ours: 6 ms)"]
    assert steps == result.stderr.splitlines()
    (sent,) = script.asked["Generate"]
    assert (200_000_000, "growth") == (sent.options.max_cost.amount_nanos, sent.options.labels["team"])
    assert ("a fox in snow", 1536) == (sent.drawing.prompt, sent.drawing.size.dimensions.height_px)


async def test_on_a_terminal_the_steps_are_one_line_that_changes(run: Run, script: Script) -> None:
    drawn(script)
    result = await run("generate", *ASK, TTY_COMPATIBLE="1", TERM="xterm", COLUMNS="200")
    line = "queued · replicate queue 3 · drawing 60 % · storing · done in 20 s (ours: 6 ms)"
    assert line in result.stderr
    assert "\x1b[2K" in result.stderr


async def test_json_is_the_only_thing_on_stdout(run: Run, script: Script) -> None:
    drawn(script)
    result = await run("generate", *ASK, "--json")
    content = json.loads(result.stdout)
    assert ("job-1", "JOB_STATE_SUCCEEDED", "128000000") == (
        content["jobId"],
        content["state"],
        content["receipt"]["charged"]["amountNanos"],
    )
    assert "" == result.stderr


async def test_a_cached_picture_says_how_to_get_another(run: Run, script: Script) -> None:
    cached = job(url="http://127.0.0.1:1/a.png")
    cached.origin = job_pb2.ORIGIN_CACHE
    cached.render_time.FromJsonString("2026-11-21T11:59:48.100Z")
    cached.receipt.charged.CopyFrom(money(0))
    cached.receipt.avoided.CopyFrom(money(128_000_000))
    script.on("Generate", pb.GenerateResponse(job=cached))
    result = await run("generate", *ASK, "--variation", "1")
    assert [
        "from cache, drawn 12 s ago · $0 (avoided $0.128) · another one: --variation 2",
        "http://127.0.0.1:1/a.png 1024x1536 · job job-1",
    ] == result.stdout.splitlines()


async def test_several_pictures_get_a_number_each(run: Run, script: Script, tmp_path: Path) -> None:
    two = job()
    second = two.assets.add()
    second.CopyFrom(two.assets[0])
    second.index = 1
    script.on("Edit", pb.EditResponse(job=two))
    script.on("DownloadAsset", picture_parts())
    source = tmp_path / "in.png"
    source.write_bytes(b"a picture")
    result = await run("edit", *ASK, "-i", str(source), "--strength", "0.5", "-o", str(tmp_path / "out"))
    assert 0 == result.exit_code
    assert {"in.png", "out-0.png", "out-1.png"} == {path.name for path in tmp_path.iterdir()}
    assert "$0.128 billed units · job job-1" == result.stdout.splitlines()[-1]
    assert b"a picture" == script.asked["Edit"][0].inputs.images[0].content


async def test_a_failed_job_is_exit_code_1(run: Run, script: Script) -> None:
    failure = job_pb2.Failure(
        reason="ERROR_REASON_PROVIDER_FAILED",
        message="out of memory",
        fault=job_pb2.FAULT_PROVIDER,
        retry_advice=job_pb2.RETRY_ADVICE_FREE,
    )
    script.on("Generate", pb.GenerateResponse(job=job("FAILED", failure=failure)))
    result = await run("generate", *ASK)
    assert 1 == result.exit_code
    assert "PROVIDER_FAILED: out of memory" in result.stderr
    assert "fault provider, try again: free" in result.stderr
    assert "JOB_STATE_FAILED" == json.loads((await run("generate", *ASK, "--json")).stdout)["state"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "a fox"),
        ("generate", *ASK, "--size", "big"),
        ("generate", *ASK, "--max-cost", "much"),
        ("generate", *ASK, "--label", "team"),
        ("generate", *ASK, "--cache-max-age", "long"),
        ("edit", *ASK, "-i", "no-such-file.png"),
        ("jobs", "--state", "sleeping"),
        ("costs", "--month", "May"),
    ],
)
async def test_wrong_usage_is_exit_code_2(run: Run, script: Script, arguments: tuple[str, ...]) -> None:
    result = await run(*arguments)
    assert (2, {}) == (result.exit_code, dict(script.asked))
    assert "Traceback" not in result.output


async def test_a_refusal_is_exit_code_3_and_says_why(run: Run, script: Script) -> None:
    metadata = {
        "budget": "growth/day",
        "limitNanos": "5000000000",
        "spentNanos": "4900000000",
        "heldNanos": "0",
        "askedNanos": "170000000",
    }
    script.on("Generate", refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED", metadata=metadata))
    result = await run("generate", *ASK)
    assert 3 == result.exit_code
    assert "budget growth/day: $4.90 spent and $0 held of $5.00; $0.17 asked" in result.stderr
    refused = json.loads((await run("generate", *ASK, "--json")).stdout)["error"]
    assert ("BUDGET_EXCEEDED", metadata) == (refused["reason"], refused["metadata"])


async def test_a_service_that_is_away_is_exit_code_4(run: Run) -> None:
    result = await run("--address", "127.0.0.1:1", "generate", *ASK, "--timeout", "0.3")
    assert 4 == result.exit_code
    assert "Traceback" not in result.output


async def test_watch_writes_one_json_line_per_version(run: Run, script: Script) -> None:
    drawn(script)
    result = await run("watch", "job-1", "--json")
    versions = [json.loads(line)["version"] for line in result.stdout.splitlines()]
    assert (["2", "3", "4", "5"], 0) == (versions, result.exit_code)


async def test_watch_shows_the_log_when_asked(run: Run, script: Script) -> None:
    log = pb.WatchJobResponse(log=pb.LogBatch(lines=[pb.LogLine(text="[step 3 of 4]")]))
    script.on("WatchJob", [log, event(job())])
    result = await run("watch", "job-1", "--logs")
    assert "[step 3 of 4]" in result.stderr.splitlines()


async def test_quote_prints_a_line_per_route(run: Run, script: Script) -> None:
    script.on("Quote", quote())
    result = await run("quote", *ASK)
    first = "1 replicate/gpt-image-2  $0.128        exact     p50 21 s  cheapest healthy route"
    assert first == result.stdout.splitlines()[0]
    assert "QUOTE_CACHE_MISS" == json.loads((await run("quote", *ASK, "--json")).stdout)["cache"]


async def test_jobs_are_listed_in_aligned_columns(run: Run, script: Script) -> None:
    script.on("ListJobs", pb.ListJobsResponse(jobs=[job(), job("QUEUED")]))
    result = await run("jobs", "--state", "queued", "--state", "succeeded", "--model", "gpt-image-2")
    assert [
        "job-1  2026-11-21 12:00:00  succeeded  gpt-image-2 replicate  $0.128  provider",
        "job-1  2026-11-21 12:00:00  queued     gpt-image-2 replicate      $0  provider",
    ] == result.stdout.splitlines()
    assert ["gpt-image-2"] == list(script.asked["ListJobs"][0].filter.models)
    assert 2 == len(json.loads((await run("jobs", "--json")).stdout)["jobs"])


@pytest.mark.parametrize("command", ["job", "get"])
async def test_one_job_is_shown_with_its_facts(run: Run, script: Script, command: str) -> None:
    script.on("GetJob", pb.GetJobResponse(job=job()))
    result = await run(command, "--request-id", "request-1")
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert ("job-1", "done in 20 s (ours: 6 ms)", "$0.128 billed units") == (
        facts["job"],
        facts["state"],
        facts["price"],
    )


async def test_cancel_says_what_may_still_be_charged(run: Run, script: Script) -> None:
    answer = pb.CancelJobResponse(job=job("CANCELLED"), outcome=pb.CANCEL_OUTCOME_PROVIDER_ASKED)
    script.on("CancelJob", answer)
    assert "may bill it all the same" in (await run("cancel", "job-1")).stdout
    content = json.loads((await run("cancel", "job-1", "--json")).stdout)
    assert "CANCEL_OUTCOME_PROVIDER_ASKED" == content["outcome"]


async def test_models_show_how_each_route_charges(run: Run, script: Script) -> None:
    model = model_service_pb2.Model(name="flux-schnell")
    route = model.routes.add(name="flux-schnell", provider="fal", operations=[1], health=1)
    route.price.summary = "$0.003 per megapixel"
    model.routes.add(name="flux-schnell", provider="replicate", operations=[1], health=3)
    script.on("ListModels", model_service_pb2.ListModelsResponse(models=[model]))
    assert [
        "flux-schnell  fal/flux-schnell        generate  $0.003 per megapixel    ok",
        "              replicate/flux-schnell  generate  price unknown           open",
    ] == (await run("models")).stdout.splitlines()
    assert "flux-schnell" == json.loads((await run("models", "--json")).stdout)["models"][0]["name"]


async def test_costs_end_with_the_share_that_is_estimated(run: Run, script: Script) -> None:
    answer = ledger_service_pb2.SummarizeCostsResponse()
    row = answer.rows.add()
    row.group.model, row.group.label_value = "flux-dev", ""
    row.figures.job_count = row.figures.image_count = 4
    for sums in (row.figures, answer.total):
        sums.charged.CopyFrom(money(102_000_000))
        sums.corrected_down.CopyFrom(money(2_000_000))
        sums.net.CopyFrom(money(100_000_000))
        sums.net_estimated.CopyFrom(money(25_000_000))
    script.on("SummarizeCosts", answer)
    result = await run("costs", "--by", "model,label:team", "--month", "2026-11")
    head, body, total = result.stdout.splitlines()
    assert ["model", "label", "jobs", "pictures"] == head.split()[:4]
    assert "flux-dev - 4 4 $0.102 -$0.002 $0.10 $0 $0 25 %" == " ".join(body.split())
    assert total.startswith("total")
    assert 1 == len(json.loads((await run("costs", "--json")).stdout)["rows"])


def bill() -> money_pb2.Receipt:
    """A receipt with one attempt that was posted and corrected."""
    receipt = job().receipt
    receipt.corrected.CopyFrom(money(-2_000_000))
    receipt.update_time.FromJsonString("2026-11-21T12:05:00Z")
    attempt = receipt.attempts.add(attempt_number=1, provider="replicate", route="gpt-image-2")
    attempt.provider_request_id = "abc"
    attempt.settlement = money_pb2.SETTLEMENT_CONFIRMED
    attempt.evidence = money_pb2.EVIDENCE_BILLED_UNITS
    attempt.charged.CopyFrom(money(128_000_000))
    attempt.corrected.CopyFrom(money(-2_000_000))
    attempt.dispatch_time.FromJsonString("2026-11-21T12:00:00.120Z")
    attempt.finish_time.FromJsonString("2026-11-21T12:00:20.400Z")
    attempt.lines.add(
        description="high, 1024x1536",
        quantity="1",
        unit="image",
        unit_price="0.128",
        amount=money(128_000_000),
    )
    return receipt


async def test_a_receipt_shows_its_calculation(run: Run, script: Script) -> None:
    script.on("GetReceipt", ledger_service_pb2.GetReceiptResponse(receipt=bill()))
    text = (await run("receipt", "job-1")).stdout
    assert "$0.126 (posted, billed units)" in text
    assert "1 image × $0.128 = $0.128 high, 1024x1536" in text
    assert (
        "-2000000" == json.loads((await run("receipt", "job-1", "--json")).stdout)["corrected"]["amountNanos"]
    )


def rows() -> list[ledger_service_pb2.Transfer]:
    """The ledger's rows of the job: held, posted, corrected down."""
    made = []
    for kind, nanos, time, memo in (
        ("HOLD", 170_000_000, "12:00:00.110", ""),
        ("POST", 128_000_000, "12:00:20.450", ""),
        ("CORRECTION", 2_000_000, "12:05:00", "billing event"),
    ):
        row = ledger_service_pb2.Transfer(kind=f"TRANSFER_KIND_{kind}", attempt_number=1, memo=memo)
        row.amount.CopyFrom(money(nanos))
        row.debit, row.credit = "project:default", "provider:replicate"
        row.book_time.FromJsonString(f"2026-11-21T{time}Z")
        made.append(row)
    made[1].evidence = money_pb2.EVIDENCE_BILLED_UNITS
    made[2].evidence = money_pb2.EVIDENCE_BILLING_EVENT
    made[2].debit, made[2].credit = made[2].credit, made[2].debit
    return made


async def test_explain_tells_one_line_per_event_in_order(run: Run, script: Script) -> None:
    script.on("GetJob", pb.GetJobResponse(job=job()))
    script.on("GetReceipt", ledger_service_pb2.GetReceiptResponse(receipt=bill()))
    script.on("ListTransfers", ledger_service_pb2.ListTransfersResponse(transfers=rows()))
    result = await run("explain", "job-1")
    assert [
        "12:00:00.100  accepted   generate gpt-image-2 for project default, request_id request-1",
        "12:00:00.110  held       $0.17 for attempt 1 at replicate/gpt-image-2",
        "12:00:00.120  sent       to replicate/gpt-image-2 as abc",
        "12:00:20.450  posted     $0.128 billed units",
        "12:00:20.500  succeeded  in 20 s (ours: 6 ms)",
        "12:05:00.000  corrected  -$0.002 billing event · billing event",
    ] == [line.removeprefix("2026-11-21 ") for line in result.stdout.splitlines()]
    content = json.loads((await run("explain", "job-1", "--json")).stdout)
    assert {"job", "receipt", "transfers"} == content.keys()


async def test_explain_takes_the_receipt_where_rows_are_not_listed_yet(run: Run, script: Script) -> None:
    script.on("GetJob", pb.GetJobResponse(job=job()))
    script.on("GetReceipt", ledger_service_pb2.GetReceiptResponse(receipt=bill()))
    script.on("ListTransfers", ledger_service_pb2.ListTransfersResponse())
    lines = (await run("explain", "job-1")).stdout.splitlines()
    assert ["accepted", "sent", "posted", "succeeded", "corrected"] == [line.split()[2] for line in lines[:5]]
    assert "minute" in lines[5]


def test_without_its_extra_the_command_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from lightmeter.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (2, 'lightmeter: typer is missing; run: pip install "lightmeter[cli]"\n') == (
        result.returncode,
        result.stderr,
    )


async def test_the_installed_command_reads_the_environment(server: FakeServer, script: Script) -> None:
    script.on("GetJob", pb.GetJobResponse(job=job()))
    env = os.environ | {
        "LIGHTMETER_ADDRESS": server.address,
        "LIGHTMETER_API_KEY": "k-1",
        "LIGHTMETER_PROJECT": "growth",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from lightmeter.cli import main; main()",
        "job",
        "job-1",
        env=env,
        stdout=asyncio.subprocess.PIPE,
    )
    stdout, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (0, True) == (process.returncode, stdout.startswith(b"job"))
    sent = script.metadata[0]
    assert ("Bearer k-1", "growth") == (sent["authorization"], sent["lightmeter-project"])
