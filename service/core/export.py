"""The FOCUS export: pages of the ledger as CSV, in parts that end on rows, with a proof that nothing is missing."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

from service.domain.focus import COLUMNS, ChargeRow, focus_row
from service.domain.limits import chunk_bytes_max, export_page_rows
from service.domain.queries import ChargeQuery
from service.ports import LedgerExports


@dataclass(frozen=True, slots=True)
class ExportBegin:
    """What will come: everything that was booked before `as_of` (microseconds) in the range."""

    as_of: int


@dataclass(frozen=True, slots=True)
class ExportEnd:
    """What has come. `sha256` (hex) is of all chunks together."""

    row_count: int
    billed_nanos: int
    sha256: str


ExportPart = ExportBegin | bytes | ExportEnd


class FocusExport:
    """Streams the export. Memory is bounded by one page; raises StoreUnavailable and Overloaded like its port."""

    def __init__(self, exports: LedgerExports) -> None:
        self._exports = exports

    async def export(self, query: ChargeQuery) -> AsyncIterator[ExportPart]:
        """Begin, CSV chunks of at most `chunk_bytes_max`, end. Rows by booked time; what may still be committed is left out."""
        page = await self._exports.charges(query)
        as_of = page.as_of
        yield ExportBegin(as_of)
        written, digest = _Writer(), hashlib.sha256()
        row_count = billed_nanos = 0
        written.row(COLUMNS)
        while True:
            for charge in page.rows:
                row_count += 1
                billed_nanos += charge.nanos
                before = written.size_bytes
                written.row(focus_row(charge))
                if written.size_bytes > chunk_bytes_max:
                    chunk = written.take(before)
                    digest.update(chunk)
                    yield chunk
            if len(page.rows) < export_page_rows:
                break
            page = await self._exports.charges(query.following(_place(page.rows[-1]), as_of))
        rest = written.take(written.size_bytes)
        digest.update(rest)
        yield rest
        yield ExportEnd(row_count, billed_nanos, digest.hexdigest())


def _place(charge: ChargeRow) -> tuple[int, str, int]:
    transfer = charge.transfer
    return transfer.booked_at, transfer.source, transfer.ordinal


class _Writer:
    """CSV (RFC 4180, UTF-8) in a buffer that is taken in parts."""

    def __init__(self) -> None:
        self._text = io.StringIO(newline="")
        self._csv = csv.writer(self._text)
        self._bytes = bytearray()

    @property
    def size_bytes(self) -> int:
        """What waits."""
        return len(self._bytes)

    def row(self, values: tuple[str, ...]) -> None:
        """Append one."""
        self._csv.writerow(values)
        self._bytes += self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()

    def take(self, size_bytes: int) -> bytes:
        """The first so many bytes, which are gone then."""
        taken = bytes(self._bytes[:size_bytes])
        del self._bytes[:size_bytes]
        return taken
