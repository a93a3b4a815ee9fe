"""The FOCUS export of the client: whole files or none, as CSV and as Parquet, on real gRPC against a scripted service."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import grpc
import pytest
from lightmeter import AssetCorrupt, AsyncClient, BudgetExceeded, Money
from lightmeter.v1 import ledger_service_pb2 as pb

from service.domain.focus import COLUMNS, focus_row
from tests.client.conftest import Run
from tests.client.fake_service import FakeServer, Script, money, refusal
from tests.rpc.test_exports import charge


def export(*nanos: int, sha256: str = "", memo: str = "") -> list[pb.ExportFocusResponse]:
    """A whole export of charges with these amounts, a negative one for a refund, in chunks of a row."""
    charges = [charge(number, nanos=abs(one), refund=one < 0, memo=memo) for number, one in enumerate(nanos)]
    lines = [
        ",".join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in row) + "\r\n"
        for row in (COLUMNS, *map(focus_row, charges))
    ]
    header = pb.FocusHeader(focus_version="1.2", columns=COLUMNS)
    header.as_of_time.FromJsonString("2026-11-21T12:00:00Z")
    right = hashlib.sha256("".join(lines).encode()).hexdigest()
    trailer = pb.FocusTrailer(row_count=len(nanos), billed_cost=money(sum(nanos)), sha256=sha256 or right)
    return [
        pb.ExportFocusResponse(header=header),
        *(pb.ExportFocusResponse(chunk=line.encode()) for line in lines),
        pb.ExportFocusResponse(trailer=trailer),
    ]


async def test_an_export_is_the_bytes_that_were_sent(
    client: AsyncClient, script: Script, tmp_path: Path
) -> None:
    """The file has all chunks, and the answer what the trailer says of them."""
    script.on("ExportFocus", export(7, -2))
    file = tmp_path / "costs.csv"
    written = await client.export_focus(file, month="2026-11", project="growth")
    assert (2, Money(5), "1.2", datetime(2026, 11, 21, 12, tzinfo=UTC)) == (
        written.row_count, written.billed_cost, written.focus_version, written.as_of_time,
    )  # fmt: skip
    assert written.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [file] == list(tmp_path.iterdir())
    [asked] = script.asked["ExportFocus"]
    assert ("2026-11-01T00:00:00Z", "growth") == (asked.range.start_time.ToJsonString(), asked.project)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("broken", ["no trailer", "no header", "a chunk less", "another checksum", "cut off"])
async def test_a_broken_export_leaves_no_file(
    client: AsyncClient, script: Script, tmp_path: Path, broken: str, suffix: str
) -> None:
    """AssetCorrupt, or what ended the stream; a file that was there before stays as it was."""
    whole = export(7, -2)
    script.on(
        "ExportFocus",
        {
            "no trailer": whole[:-1],
            "no header": whole[1:],
            "a chunk less": [*whole[:2], *whole[3:]],
            "another checksum": export(7, -2, sha256="00" * 32),
            "cut off": refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXCEEDED", before=tuple(whole[:2])
            ),
        }[broken],
    )
    file = tmp_path / f"costs{suffix}"
    file.write_text("last month's")
    with pytest.raises(BudgetExceeded if broken == "cut off" else AssetCorrupt):
        await client.export_focus(file, month="2026-11")
    assert ([file], "last month's") == (list(tmp_path.iterdir()), file.read_text())


async def test_parquet_has_the_types_of_focus(client: AsyncClient, script: Script, tmp_path: Path) -> None:
    """Decimals to the nano, UTC times, JSON tags, nulls for empty cells, and every row of the CSV."""
    script.on("ExportFocus", export(25_000_001, -2, memo='said "so",\nand more'))
    file = tmp_path / "costs.parquet"
    written = await client.export_focus(file, month="2026-11")
    assert [file] == list(tmp_path.iterdir())
    table = importlib.import_module("pyarrow.parquet").read_table(file)
    assert list(COLUMNS) == table.column_names
    assert ("decimal128(38, 9)", "timestamp[us, tz=UTC]", "string", "int64") == tuple(
        str(table.schema.field(name).type)
        for name in ("BilledCost", "ChargePeriodStart", "Tags", "x_TransferOrdinal")
    )
    first, second = table.to_pylist()
    assert [Decimal("0.025000001"), Decimal("-0.000000002")] == [first["BilledCost"], second["BilledCost"]]
    assert written.billed_cost.usd == sum(row["BilledCost"] for row in (first, second))
    assert (datetime(2026, 1, 1, tzinfo=UTC), {"team": "ads"}, None, 'said "so",\nand more') == (
        first["ChargePeriodStart"], json.loads(first["Tags"]), first["InvoiceId"], first["x_Memo"],
    )  # fmt: skip
    assert (Decimal(1), None) == (first["ConsumedQuantity"], second["ConsumedQuantity"])


async def test_an_empty_month_is_an_empty_table(client: AsyncClient, script: Script, tmp_path: Path) -> None:
    """With all columns and their types."""
    script.on("ExportFocus", export())
    file = tmp_path / "costs.parquet"
    await client.export_focus(file, month="2026-11")
    table = importlib.import_module("pyarrow.parquet").read_table(file)
    assert (0, list(COLUMNS)) == (table.num_rows, table.column_names)


async def test_without_the_extra_parquet_says_what_to_install(server: FakeServer, tmp_path: Path) -> None:
    """Before anything is asked of the service; CSV needs nothing."""
    code = (
        "import sys; sys.modules['pyarrow'] = None; from lightmeter.cli import main; "
        f"sys.argv = ['lightmeter', '--address', {server.address!r}, 'export', 'focus', "
        f"{str(tmp_path / 'costs.parquet')!r}]; main()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, told = await asyncio.wait_for(process.communicate(), 60)
    assert (2, b'lightmeter: pyarrow is missing; run: pip install "lightmeter[parquet]"\n') == (
        process.returncode, told,
    )  # fmt: skip
    assert {} == dict(server.script.asked)
    assert [] == list(tmp_path.iterdir())


async def test_an_export_is_told_in_a_line(run: Run, script: Script, tmp_path: Path) -> None:
    """How many rows and what they come to; JSON has it in nanos. A broken one is exit code 1."""
    script.on("ExportFocus", export(7, -2))
    file = tmp_path / "costs.csv"
    result = await run("export", "focus", str(file), "--month", "2026-11", "--of", "growth")
    assert f"{file}: 2 rows, $0.000000005 in all, FOCUS 1.2\n" == result.stdout
    content = json.loads((await run("export", "focus", str(file), "--json")).stdout)
    assert (2, "5") == (content["rowCount"], content["billedCostNanos"])
    script.on("ExportFocus", export(7)[:-1])
    result = await run("export", "focus", str(tmp_path / "other.csv"))
    assert (1, False) == (result.exit_code, (tmp_path / "other.csv").exists())
    assert "did not arrive whole" in result.stderr
