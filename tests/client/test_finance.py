"""Finance's calls and commands, on real gRPC against a scripted service."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from lightmeter import AsyncClient, Client, Conflict, Money
from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import money_pb2

from tests.client.conftest import Run
from tests.client.fake_service import FakeServer, Script, money, refusal


def words(line: str) -> str:
    """A line with single spaces."""
    return " ".join(line.split())


# -- budgets


def budget(**changes: Any) -> pb.Budget:
    """A hard budget of a hundred dollars a month, three quarters used."""
    message = pb.Budget(
        name="growth/month",
        project="growth",
        window=pb.BUDGET_WINDOW_MONTH,
        enforcement=pb.BUDGET_ENFORCEMENT_HARD,
        limit=money(100 * 10**9),
        alert_percents=[50, 80],
        spent=money(70 * 10**9),
        held=money(5 * 10**9),
        etag="3",
        updater="ann",
    )
    message.window_start_time.FromJsonString("2026-11-01T00:00:00Z")
    message.window_end_time.FromJsonString("2026-12-01T00:00:00Z")
    message.MergeFrom(pb.Budget(**changes))
    return message


async def test_budgets_are_values_with_what_is_left(client: AsyncClient, script: Script) -> None:
    """Every page is fetched, and the message stays at hand."""
    script.on(
        "ListBudgets",
        pb.ListBudgetsResponse(budgets=[budget()], next_page_token="next"),
        pb.ListBudgetsResponse(budgets=[budget(name="growth/day")]),
    )
    first, second = await client.budgets("growth")
    assert ("growth/month", "MONTH", "HARD", Money(25 * 10**9), (50, 80)) == (
        first.name, first.window, first.enforcement, first.left, first.alert_percents,
    )  # fmt: skip
    assert (datetime(2026, 12, 1, tzinfo=UTC), "growth/day") == (first.window_end_time, second.name)
    assert ["", "next"] == [asked.page_token for asked in script.asked["ListBudgets"]]
    assert budget() == first.proto


async def test_a_budget_is_set_as_it_was_said(client: AsyncClient, script: Script) -> None:
    """Dollars are exact, words become enumerators, the etag goes along; a wrong word never leaves the client."""
    script.on("SetBudget", pb.SetBudgetResponse(budget=budget()))
    await client.set_budget(
        "0.10", "day", project="growth", label=("team", "ads"), enforcement="soft", alert_percents=[80], etag="3",
        reason="quarter ends",
    )  # fmt: skip
    [sent] = script.asked["SetBudget"]
    expected = pb.Budget(
        project="growth", label_key="team", label_value="ads", window=pb.BUDGET_WINDOW_DAY,
        enforcement=pb.BUDGET_ENFORCEMENT_SOFT, limit=money(100_000_000), alert_percents=[80], etag="3",
    )  # fmt: skip
    assert (expected, "quarter ends") == (sent.budget, sent.reason)
    for wrong in ({"window": "week"}, {"enforcement": "maybe"}):
        with pytest.raises(ValueError, match=r"week|maybe"):
            await client.set_budget(1, **wrong)
    with pytest.raises(TypeError):
        await client.set_budget(0.1)  # type: ignore[arg-type] # a float is no amount


async def test_an_old_etag_is_a_conflict(client: AsyncClient, script: Script) -> None:
    """For setting and for deleting."""
    for method in ("SetBudget", "DeleteBudget"):
        script.on(method, refusal(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"))
    with pytest.raises(Conflict):
        await client.set_budget(1, etag="2")
    with pytest.raises(Conflict):
        await client.delete_budget("growth/month", etag="2")


async def test_the_blocking_client_has_the_same_calls(server: FakeServer, script: Script) -> None:
    """Without asyncio."""
    script.on("ListBudgets", pb.ListBudgetsResponse(budgets=[budget()]))

    def names() -> list[str]:
        with Client(server.address, api_key="") as blocking:
            return [one.name for one in blocking.budgets()]

    assert ["growth/month"] == await asyncio.to_thread(names)


async def test_budgets_are_listed_with_their_alerts(run: Run, script: Script) -> None:
    """What is spent, held and left, how much is used, which threshold was passed; soft ones say so."""
    soft = budget(name="growth/total", enforcement=pb.BUDGET_ENFORCEMENT_SOFT, window=pb.BUDGET_WINDOW_TOTAL)
    soft.ClearField("window_end_time")
    soft.ClearField("alert_percents")
    script.on("ListBudgets", pb.ListBudgetsResponse(budgets=[budget(), soft]))
    result = await run("budget", "list", "--of", "growth")
    _, first, second = result.stdout.splitlines()
    assert words(first) == "growth/month $100.00 $70.00 $5.00 $25.00 75 % 2026-12-01 00:00:00 · past 50 %"
    assert words(second).startswith("growth/total (soft) $100.00 $70.00 $5.00 $25.00 75 %")
    assert 2 == len(json.loads((await run("budget", "list", "--json")).stdout)["budgets"])
    script.on("ListBudgets", pb.ListBudgetsResponse())
    assert "no budgets\n" == (await run("budget", "list")).stdout


async def test_budgets_are_set_and_ended_by_command(run: Run, script: Script) -> None:
    """With label, thresholds and a reason for the audit."""
    script.on("SetBudget", pb.SetBudgetResponse(budget=budget()))
    script.on("DeleteBudget", pb.DeleteBudgetResponse())
    arguments = (
        "--of",
        "growth",
        "--label",
        "team=ads",
        "--soft",
        "--alert",
        "80",
        "--alert",
        "50",
        "--reason",
        "Q4",
    )
    result = await run("budget", "set", "250", "--window", "day", *arguments)
    assert "budget growth/month: $70.00 spent and $5.00 held of $100.00\n" == result.stdout
    [sent] = script.asked["SetBudget"]
    assert ("team", "ads", [50, 80], 250 * 10**9, "Q4") == (
        sent.budget.label_key, sent.budget.label_value, list(sent.budget.alert_percents),
        sent.budget.limit.amount_nanos, sent.reason,
    )  # fmt: skip
    result = await run("budget", "delete", "growth/month", "--reason", "Q4 is over")
    assert "budget growth/month is ended\n" == result.stdout
    [ended] = script.asked["DeleteBudget"]
    assert ("growth/month", "Q4 is over") == (ended.name, ended.reason)


@pytest.mark.parametrize(
    "arguments",
    [
        ("budget", "set", "much"),
        ("budget", "set", "1", "--window", "week"),
        ("budget", "set", "1", "--label", "team"),
        ("budget", "delete"),
        ("export", "focus", "costs.csv", "--month", "May"),
        ("reconciliations", "--limit", "0"),
        ("discrepancies", "--side", "both"),
        ("costs", "--chart", "pie"),
    ],
)
async def test_wrong_words_are_exit_code_2(run: Run, script: Script, arguments: tuple[str, ...]) -> None:
    """Nothing is asked of the service."""
    result = await run(*arguments)
    assert (2, {}) == (result.exit_code, dict(script.asked))
    assert "Traceback" not in result.output


# -- statements


def statement(*, closed: bool) -> pb.GetStatementResponse:
    """A month with a line of fal's and one of storage."""
    answer = pb.GetStatementResponse(
        project="growth", month="2026-11", closed=closed, sha256="ab" * 32 if closed else "",
        opening_held=money(0), charged=money(100_000_000), corrected_this_month=money(-2_000_000),
        corrected_earlier_months=money(1_000_000), storage=money(3_000_000), total=money(102_000_000),
        closing_held=money(40_000_000),
    )  # fmt: skip
    answer.rows.add(
        provider="fal", model="flux-dev", operation=1, job_count=4, image_count=5, charged=money(100_000_000),
        corrected_this_month=money(-2_000_000), corrected_earlier_months=money(1_000_000), total=money(99_000_000),
    )  # fmt: skip
    answer.rows.add(provider="r2", charged=money(3_000_000), total=money(3_000_000))
    return answer


async def test_a_statement_is_a_value_with_its_rows(client: AsyncClient, script: Script) -> None:
    """The sums, the rows, and the checksum of a closed one."""
    script.on("GetStatement", statement(closed=True))
    found = await client.statement("2026-11", project="growth")
    assert (True, "ab" * 32, Money(102_000_000), Money(3_000_000)) == (
        found.closed, found.sha256, found.total, found.storage,
    )  # fmt: skip
    assert [("fal", "GENERATE", 4, Money(-2_000_000)), ("r2", "", 0, Money(0))] == [
        (row.provider, row.operation, row.job_count, row.corrected_this_month) for row in found.rows
    ]
    [asked] = script.asked["GetStatement"]
    assert ("2026-11", "growth") == (asked.month, asked.project)


async def test_a_statement_is_printed_like_one(run: Run, script: Script) -> None:
    """Lines in columns, corrections with their sign, what is to be paid at the end."""
    script.on("GetStatement", statement(closed=True))
    head, _, fal, storage, held, total = (
        await run("statement", "2026-11", "--of", "growth")
    ).stdout.splitlines()
    assert f"project growth, 2026-11 (UTC, by booked time), closed, sha256 {'ab' * 32}" == head
    assert "fal flux-dev generate 4 5 $0.10 -$0.002 +$0.001 $0.099" == words(fal)
    assert words(storage).startswith("r2 storage")
    assert "held at its begin $0, at its end $0.04" == held
    assert "to be paid $0.102, of it storage $0.003" == total
    script.on("GetStatement", statement(closed=False))
    assert "open, as of now" in (await run("statement", "2026-11")).stdout
    content = json.loads((await run("statement", "2026-11", "--json")).stdout)
    assert "102000000" == content["total"]["amountNanos"]


# -- reconciliation


def reconciliation(**changes: Any) -> pb.Reconciliation:
    """A comparison that moved two cents and left one unexplained."""
    message = pb.Reconciliation(
        reconciliation_id="fal-1", provider="fal", evidence=money_pb2.EVIDENCE_BILLING_EVENT, complete=True,
        ledger_amount=money(100_000_000), billed_amount=money(130_000_000), corrected=money(20_000_000),
        drift=money(10_000_000), matched_count=7, unmatched_ledger_count=2, unmatched_provider_count=1,
    )  # fmt: skip
    message.range.start_time.FromJsonString("2026-11-20T00:00:00Z")
    message.range.end_time.FromJsonString("2026-11-21T00:00:00Z")
    message.start_time.FromJsonString("2026-11-22T01:00:00Z")
    message.finish_time.FromJsonString("2026-11-22T01:00:01Z")
    message.MergeFrom(pb.Reconciliation(**changes))
    return message


def discrepancy(**changes: Any) -> pb.Discrepancy:
    """A bill that no attempt has."""
    message = pb.Discrepancy(
        discrepancy_id="d-1", provider="fal", side=pb.DISCREPANCY_SIDE_PROVIDER, endpoint="fal-ai/flux/dev",
        bill_id="b-1", provider_request_id="r-1", billed_amount=money(25_000_000),
    )  # fmt: skip
    message.usage_time.FromJsonString("2026-11-20T10:00:00Z")
    message.create_time.FromJsonString("2026-11-22T01:00:00Z")
    message.MergeFrom(pb.Discrepancy(**changes))
    return message


async def test_comparisons_are_values(client: AsyncClient, script: Script) -> None:
    """Pages are fetched until there are enough of them."""
    page = pb.ListReconciliationsResponse(reconciliations=[reconciliation()] * 2, next_page_token="next")
    script.on("ListReconciliations", page)
    start = datetime(2026, 11, 1, tzinfo=UTC)
    found = await client.reconciliations(provider="fal", start=start, limit=3)
    assert (3, 2) == (len(found), len(script.asked["ListReconciliations"]))
    assert (Money(10_000_000), "BILLING_EVENT", 7, True) == (
        found[0].drift, found[0].evidence, found[0].matched_count, found[0].complete,
    )  # fmt: skip
    asked = script.asked["ListReconciliations"][0]
    assert ("fal", "2026-11-01T00:00:00Z", False) == (
        asked.provider, asked.range.start_time.ToJsonString(), asked.range.HasField("end_time"),
    )  # fmt: skip


async def test_disputes_are_values(client: AsyncClient, script: Script) -> None:
    """An amount that a side does not have is None."""
    script.on("ListDiscrepancies", pb.ListDiscrepanciesResponse(discrepancies=[discrepancy()]))
    [found] = await client.discrepancies(sides=["provider"], include_resolved=True)
    assert (None, Money(25_000_000), "PROVIDER", "r-1", None) == (
        found.ledger_amount, found.billed_amount, found.side, found.provider_request_id, found.resolve_time,
    )  # fmt: skip
    [asked] = script.asked["ListDiscrepancies"]
    assert ([pb.DISCREPANCY_SIDE_PROVIDER], True) == (list(asked.sides), asked.include_resolved)
    with pytest.raises(ValueError, match="both"):
        await client.discrepancies(sides=["both"])


async def test_comparisons_are_listed_by_day(run: Run, script: Script) -> None:
    """Bill, ledger, corrections and drift; an incomplete one says so."""
    rows = [reconciliation(), reconciliation(complete=False)]
    rows[1].complete = False
    script.on("ListReconciliations", pb.ListReconciliationsResponse(reconciliations=rows))
    _, first, second = (await run("reconciliations", "--provider", "fal")).stdout.splitlines()
    assert "2026-11-20 fal $0.13 $0.10 +$0.02 +$0.01 7 2 1" == words(first)
    assert words(second).startswith("2026-11-20 fal (incomplete)")
    assert 2 == len(json.loads((await run("reconciliations", "--json")).stdout)["reconciliations"])
    script.on("ListReconciliations", pb.ListReconciliationsResponse())
    assert "nothing was compared yet\n" == (await run("reconciliations")).stdout


async def test_disputes_are_listed_with_who_knows(run: Run, script: Script) -> None:
    """A dash stands for what a side does not have; ended ones say how."""
    ended = discrepancy(
        side=pb.DISCREPANCY_SIDE_LEDGER, job_id="job-1", ledger_amount=money(7), resolution="found since"
    )
    ended.ClearField("billed_amount")
    script.on("ListDiscrepancies", pb.ListDiscrepanciesResponse(discrepancies=[discrepancy(), ended]))
    _, first, second = (await run("discrepancies", "--side", "provider", "--resolved")).stdout.splitlines()
    assert "2026-11-20 10:00:00 fal provider - $0.025 r-1 - open" == words(first)
    assert "2026-11-20 10:00:00 fal ledger $0.000000007 - r-1 job-1 found since" == words(second)
    assert 2 == len(json.loads((await run("discrepancies", "--json")).stdout)["discrepancies"])
    script.on("ListDiscrepancies", pb.ListDiscrepanciesResponse())
    assert "no discrepancies\n" == (await run("discrepancies")).stdout


# -- the chart


def report(**charged: int) -> pb.SummarizeCostsResponse:
    """Costs by model; twice as many jobs as cents."""
    answer = pb.SummarizeCostsResponse()
    for model, nanos in charged.items():
        row = answer.rows.add()
        row.group.model = model
        row.figures.job_count = nanos // 5_000_000
        for sums in (row.figures.charged, row.figures.net):
            sums.CopyFrom(money(nanos))
    return answer


async def test_costs_are_drawn_as_bars(run: Run, script: Script) -> None:
    """A bar per row in the table's order, as long as its figure beside the largest, with the figure at its end."""
    script.on("SummarizeCosts", report(big=40_000_000, half=20_000_000, nothing=0))
    chart = (await run("costs", "--by", "model", "--chart", "net")).stdout.split("\n\n")[1]
    lines = chart.splitlines()
    assert [("big", 40, "$0.04"), ("half", 20, "$0.02"), ("nothing", 0, "$0")] == [
        (line.split()[0], line.count("█"), line.split()[-1]) for line in lines
    ]
    assert "8" == (await run("costs", "--by", "model", "--chart", "jobs")).stdout.split("\n\n")[1].split()[2]


async def test_a_chart_of_nothing_says_so(run: Run, script: Script) -> None:
    """Instead of an empty picture."""
    script.on("SummarizeCosts", pb.SummarizeCostsResponse())
    assert (await run("costs", "--chart", "avoided")).stdout.endswith("nothing to draw\n")
