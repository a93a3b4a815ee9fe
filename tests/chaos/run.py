"""One run: deploy, call, make trouble, wait for the end of everything, compare the books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightmeter import AsyncClient

from tests.chaos.compare import Findings, compare
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.faults import Troublemaker, plan
from tests.chaos.load import PROJECTS, RULES, Callers, Told
from tests.chaos.reading import books_of
from tests.chaos.settling import settled

PACE_SECONDS = 2.5
"""Between the beginnings of two rounds; faults may overlap."""
_WINDOWS = """
    SELECT b.project, w.spent_nanos, w.overrun_nanos, w.held_nanos, b.limit_nanos
    FROM budget_windows AS w JOIN budgets AS b ON b.id = w.budget_id
    WHERE b.hard AND b.live AND w.spent_nanos - w.overrun_nanos + w.held_nanos > b.limit_nanos
"""


@dataclass(frozen=True)
class Outcome:
    """The closing line, and what does not fit."""

    line: dict[str, Any]
    findings: Findings


async def chaos(
    folder: Path,
    *,
    seed: int,
    rounds: int,
    quick: bool = False,
    patience_seconds: float = 200.0,
    settle_seconds_max: float = 400.0,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """A whole run, its files in `folder`. Evidence has `patience_seconds` to decide what is in doubt, then the operator does."""
    began = time.monotonic()
    rules = folder / "lightmeter.yaml"
    rules.write_text(RULES)
    flags = ("--speed", "8", "--seed", str(seed))
    settings = {"LIGHTMETER_CONFIG": str(rules), "LIGHTMETER_DRAIN_SECONDS": "5"}
    async with deployed(folder, *flags, settings=settings, webhooks=2) as deployment:
        troublemaker = Troublemaker(deployment)
        callers = Callers(deployment.address, seed)
        async with callers.running() as told, asyncio.TaskGroup() as group:
            await asyncio.sleep(PACE_SECONDS)
            for number, round_ in enumerate(plan(seed, rounds, quick=quick), 1):
                say(f"round {number}: {round_.name} {round_.seconds} s; {len(told.asked)} asked")
                group.create_task(troublemaker.carry_out(round_))
                await asyncio.sleep(PACE_SECONDS)
        await deployment.admin("DELETE", "faults")
        quiet = time.monotonic()
        left, by_hand = await settled(
            deployment, patience_seconds=patience_seconds, seconds_max=settle_seconds_max
        )
        findings = compare(told, await books_of(deployment))
        await _check_invariants(deployment, findings)
        line = await _line(deployment, troublemaker, told, findings)
    line |= {
        "left_open": left,
        "by_hand": dict(by_hand),
        "settle_seconds": round(time.monotonic() - quiet, 1),
        "seconds": round(time.monotonic() - began, 1),
        "seed": seed,
        "rounds": rounds,
    }
    return Outcome(line, findings)


async def _check_invariants(deployment: Deployment, findings: Findings) -> None:
    """`ledger verify`, the windows of hard budgets, and LedgerService's sums."""
    said = await deployment.verified()
    broken = [*said.splitlines(), *(f"window: {row}" for row in deployment.ask(_WINDOWS))]
    for project in PROJECTS:
        async with AsyncClient(deployment.address, api_key="", project=project) as client:
            net = (await client.costs(projects=[project])).total.net.nanos
        (row,) = deployment.ask(
            "SELECT coalesce(sum(settled_nanos), 0)::bigint AS nanos FROM attempts WHERE project = %s",
            project,
        )
        if net != row["nanos"]:
            broken.append(f"costs of {project}: the service says {net}, its attempts come to {row['nanos']}")
    for sentence in broken:
        findings.broken_invariants += 1
        findings.say(f"broken: {sentence}")


async def _line(
    deployment: Deployment, troublemaker: Troublemaker, told: Told, findings: Findings
) -> dict[str, Any]:
    (counts,) = deployment.ask(
        """SELECT (SELECT count(*) FROM jobs) AS jobs, (SELECT count(*) FROM renders) AS renders,
                  (SELECT count(*) FROM attempts WHERE grade = 'UNCONFIRMED') AS unconfirmed,
                  (SELECT coalesce(sum(fence - 1), 0)::bigint FROM renders) AS takeovers"""
    )
    reasons = deployment.ask(
        "SELECT failure::json->>'reason' AS reason, count(*) FROM jobs WHERE state = 'FAILED' GROUP BY 1"
    )
    totals = (await deployment.admin("GET", "book?limit=1"))["totals"]
    counted = troublemaker.counts
    return {
        "jobs": counts["jobs"],
        "kills": counted["kills"],
        "stops": counted["stops"],
        "database_restarts": counted["database_restarts"],
        "cuts": counted["cuts"] + counted["commits_cut"],
        "provider_faults": counted["provider_faults"],
        "lost": findings.lost,
        "paid_twice": findings.paid_twice,
        "unexplained_nanos": findings.unexplained_nanos,
        "broken_invariants": findings.broken_invariants,
        "asked": len(told.asked),
        "told": dict(told.outcomes),
        "failed": {row["reason"]: row["count"] for row in reasons},
        "renders": counts["renders"],
        "takeovers": counts["takeovers"],
        "unconfirmed": counts["unconfirmed"],
        "posts": totals["posts"],
        "billed_nanos": totals["billed_nanos"],
    }
