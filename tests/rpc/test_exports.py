"""GetStatement and ExportFocus on the wire."""

import csv
import hashlib
import io
from dataclasses import replace
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lightmeter.v1 import ledger_service_pb2 as pb

from service.domain.focus import COLUMNS, FOCUS_VERSION, ChargeRow
from service.domain.limits import chunk_bytes_max, export_page_rows
from service.domain.queries import ChargePage
from service.domain.records import TransferKind
from service.domain.statement import Statement, StatementLine
from service.rpc.identity import Caller, Role
from tests.rpc import samples
from tests.rpc.rig import Rig, opened, refused
from tests.rpc.samples import SECOND, T0

HOUR = 3_600 * SECOND


class Ordinary:
    """Callers without the admin's role."""

    def identify(self, context: object) -> Caller:
        """Always the same."""
        return Caller("growth", Role.CALLER)


def at(micros: int) -> Timestamp:
    """A time."""
    stamp = Timestamp()
    stamp.FromMicroseconds(micros)
    return stamp


def day(**fields: object) -> pb.ExportFocusRequest:
    """The first day of 2026."""
    span = pb.TimeRange(start_time=at(T0), end_time=at(T0 + 24 * HOUR))
    return pb.ExportFocusRequest(**{"range": span} | fields)


def charge(number: int, *, nanos: int = 1, refund: bool = False, memo: str = "") -> ChargeRow:
    """A settled attempt, or a refund."""
    one = samples.transfer(kind=TransferKind.POST, amount_nanos=nanos)
    sides = (one.credit, one.debit) if refund else (one.debit, one.credit)
    kind = TransferKind.CORRECTION if refund else TransferKind.POST
    return ChargeRow(
        replace(one, source=f"a{number:06}", kind=kind, debit=sides[0], credit=sides[1], memo=memo),
        (("team", "ads"),),
    )


async def read(
    rig: Rig, request: pb.ExportFocusRequest
) -> tuple[pb.FocusHeader, list[bytes], pb.FocusTrailer]:
    """A whole export."""
    parts = [part async for part in rig.books.ExportFocus(request, timeout=10)]
    assert ["header", "trailer"] == [parts[0].WhichOneof("part"), parts[-1].WhichOneof("part")]
    return parts[0].header, [part.chunk for part in parts[1:-1]], parts[-1].trailer


async def test_an_export_is_header_chunks_and_a_trailer_that_proves_it(rig: Rig) -> None:
    """The chunks are one CSV file whose rows, sum and SHA-256 the trailer names; refunds are negative."""
    rig.ledger.pages = [ChargePage((charge(1, nanos=7), charge(2, nanos=2, refund=True)), T0 + 5 * HOUR)]
    header, chunks, trailer = await read(rig, day())
    content = b"".join(chunks)
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert (FOCUS_VERSION, list(COLUMNS), T0 + 5 * HOUR) == (
        header.focus_version, list(header.columns), header.as_of_time.ToMicroseconds(),
    )  # fmt: skip
    assert (2, 5, hashlib.sha256(content).hexdigest()) == (
        trailer.row_count, trailer.billed_cost.amount_nanos, trailer.sha256,
    )  # fmt: skip
    assert Decimal("0.000000005") == sum(Decimal(row["BilledCost"]) for row in rows)
    assert ['{"team": "ads"}'] * 2 == [row["Tags"] for row in rows]


async def test_chunks_end_on_rows_and_stay_below_their_limit(rig: Rig) -> None:
    """A long export comes in chunks of whole rows, each within 256 KiB; pages are asked for one after the other."""
    rows = tuple(charge(number, memo="x" * 400) for number in range(export_page_rows + 3))
    rig.ledger.pages = [
        ChargePage(rows[:export_page_rows], T0 + HOUR),
        ChargePage(rows[export_page_rows:], T0 + HOUR),
    ]
    _, chunks, trailer = await read(rig, day())
    assert 1 < len(chunks)
    assert all(len(chunk) <= chunk_bytes_max and chunk.endswith(b"\r\n") for chunk in chunks)
    assert len(rows) == trailer.row_count
    first, second = rig.ledger.asked_charges
    last = rows[export_page_rows - 1].transfer
    assert (None, (last.booked_at, last.source, last.ordinal)) == (first.after, second.after)
    assert T0 + HOUR == second.booked_before


async def test_a_caller_exports_the_own_project_only() -> None:
    """Without the admin's role the own project is exported, and another one is ROLE_INSUFFICIENT."""
    async with opened(callers=Ordinary()) as rig:
        rig.ledger.pages = [ChargePage((), T0)]
        await read(rig, day())
        assert "growth" == rig.ledger.asked_charges[0].project
        refusal = await refused(rig.books.ExportFocus(day(project="other"), timeout=5))
        assert "ERROR_REASON_ROLE_INSUFFICIENT" == refusal.reason


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (pb.ExportFocusRequest(), "range.start_time"),
        (day(range=pb.TimeRange(start_time=at(T0 + 1), end_time=at(T0 + HOUR))), "range.start_time"),
        (day(range=pb.TimeRange(start_time=at(T0 + HOUR), end_time=at(T0))), "range.end_time"),
        (day(project="No Name"), "project"),
    ],
)
async def test_a_malformed_export_is_refused_by_its_field(
    rig: Rig, request_: pb.ExportFocusRequest, path: str
) -> None:
    """INVALID_ARGUMENT before anything is sent."""
    refusal = await refused(rig.books.ExportFocus(request_, timeout=5))
    assert "INVALID_ARGUMENT" == refusal.code
    assert path in refusal.fields


def account(*, closed: bool) -> Statement:
    """Two lines of a month."""
    return Statement(
        project="",
        month="",
        closed=closed,
        opening_held_nanos=3,
        closing_held_nanos=4,
        lines=(
            StatementLine("fal", "flux-dev", "GENERATE", 2, 3, 100, -10, 5),
            StatementLine("r2", "", "", 0, 0, 7, 0, 0),
        ),
    )


async def test_a_statement_sums_its_lines(rig: Rig) -> None:
    """Charges, both kinds of corrections and storage add up to the total, and the lines to each of them."""
    rig.ledger.account = account(closed=True)
    answer = await rig.books.GetStatement(pb.GetStatementRequest(month="2026-01"), timeout=5)
    figures = (answer.charged, answer.corrected_this_month, answer.corrected_earlier_months, answer.storage)
    assert [100, -10, 5, 7] == [one.amount_nanos for one in figures]
    assert 102 == answer.total.amount_nanos == sum(row.total.amount_nanos for row in answer.rows)
    assert (3, 4) == (answer.opening_held.amount_nanos, answer.closing_held.amount_nanos)
    assert 64 == len(answer.sha256)


async def test_only_a_closed_statement_has_a_checksum(rig: Rig) -> None:
    """An open month has none; a closed one has the same each time, and another one for another figure."""
    rig.ledger.account = account(closed=False)
    request = pb.GetStatementRequest(month="2026-01")
    assert "" == (await rig.books.GetStatement(request, timeout=5)).sha256
    rig.ledger.account = account(closed=True)
    first = (await rig.books.GetStatement(request, timeout=5)).sha256
    assert first == (await rig.books.GetStatement(request, timeout=5)).sha256
    rig.ledger.account = replace(account(closed=True), closing_held_nanos=5)
    assert first != (await rig.books.GetStatement(request, timeout=5)).sha256


@pytest.mark.parametrize("month", ["", "2026-13", "2026-1", "26-01", "2026-01-01", "9999-12"])
async def test_a_statement_needs_a_month_that_has_begun(rig: Rig, month: str) -> None:
    """Anything else is INVALID_ARGUMENT with the field."""
    refusal = await refused(rig.books.GetStatement(pb.GetStatementRequest(month=month), timeout=5))
    assert ["month"] == refusal.fields
