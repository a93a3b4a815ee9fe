"""The export of real books before the judge that FOCUS itself has written.

The FinOps Foundation's `focus-validator` needs Python 3.12 and half a gigabyte of packages that have no place beside the
service, so `make focus` keeps it in an environment of its own. It ends with exit code 0 whatever it found: its lines are read.
"""

import asyncio
import re
from pathlib import Path

import pytest

from service.core.export import FocusExport
from service.domain.queries import ChargeQuery
from tests.database.months import live, months

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "build/focus/bin/focus-validator"
RULES = "1.2.0.1"
SECONDS_MAX = 120.0

ALLOWED = {"InvoiceId-C-005-C"}
"""The rule set has two rules for an invoice's number that are one another's opposite, InvoiceId-C-004 (it is null where there is
no invoice) and InvoiceId-C-005 (it is not null where there is one), and checks each for every row: one of them always fails. Our
rows name no invoice, because nobody here knows its number when a picture is charged.
"""


async def test_the_official_validator_finds_nothing_wrong(tmp_path: Path) -> None:
    """Usage, corrections within a month and of an earlier one, refunds and storage: every rule of FOCUS 1.2 holds."""
    if not PROGRAM.exists():
        pytest.skip("needs FOCUS's validator: `make focus`, which needs a Python 3.12")
    file = tmp_path / "costs.csv"
    async with months(tmp_path) as winter:
        await live(winter)
        parts = FocusExport(winter.database.exports).export(ChargeQuery(None, 2_000, 0, 2**62))
        file.write_bytes(b"".join([part async for part in parts if isinstance(part, bytes)]))
    told = await judged(file)
    verdicts = dict(re.findall(r"^(?:\S+) (\S+-[A-Z]-\d+-[A-Z]): ([A-Z]+)", told, re.MULTILINE))
    failed = {rule for rule, verdict in verdicts.items() if verdict == "FAIL"}
    assert (ALLOWED, True) == (failed, len(verdicts) > 300), told[-4_000:]


async def judged(file: Path) -> str:
    """What the validator prints. It finds its own rules from the folder that it is installed in, and logs there."""
    [packages] = PROGRAM.parents[1].glob("lib/python3.*/site-packages")
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM),
        *("--data-file", str(file), "--block-download", "--validate-version", RULES),
        cwd=packages,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS_MAX):
        told, _ = await process.communicate()
    return told.decode()
