"""Reading a provider's invoice from CSV, as bills that can be compared."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from service.domain.bills import INVOICE_BILL
from service.domain.errors import FieldInvalid
from service.domain.exchange import Bill
from service.domain.limits import invoice_rows_max
from service.domain.money import NANOS_MAX, NANOS_PER_USD

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO: Final = timedelta(microseconds=1)
_NAME_CHARACTERS_MAX: Final = 300
REQUEST, AMOUNT, ENDPOINT, TIME = "request_id", "amount_usd", "endpoint", "time"


def read_invoice(text: str, range_from: int) -> tuple[Bill, ...]:
    """The rows of a CSV file with the columns `request_id` and `amount_usd`, and if it has them `endpoint` and `time` (RFC 3339).

    A row without a time counts at `range_from` (microseconds). Other columns are not looked at. Raises FieldInvalid naming the
    line and the column.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in (REQUEST, AMOUNT) if name not in (rows.fieldnames or ())]
    if missing:
        raise FieldInvalid.of(f"line 1: {missing[0]}", "the column is missing")
    try:
        return tuple(_bills(rows, range_from))
    except csv.Error as error:
        raise FieldInvalid.of(f"line {rows.line_num}", f"is not CSV: {error}") from None


def _is_name(text: str) -> bool:
    return text.isprintable() and len(text) <= _NAME_CHARACTERS_MAX


def _bills(rows: csv.DictReader[str], range_from: int) -> Iterator[Bill]:
    seen: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        if number > invoice_rows_max:
            raise FieldInvalid.of("lines", f"at most {invoice_rows_max} rows", limit=invoice_rows_max)
        line = rows.line_num
        request_id = (row[REQUEST] or "").strip()
        endpoint = (row.get(ENDPOINT) or "").strip()
        if not request_id or not _is_name(request_id):
            raise FieldInvalid.of(f"line {line}: {REQUEST}", "must be a request's id", actual=request_id[:40])
        if not _is_name(endpoint):
            raise FieldInvalid.of(f"line {line}: {ENDPOINT}", "must be a name", actual=endpoint[:40])
        seen[request_id] += 1
        yield Bill(
            bill_id=f"{INVOICE_BILL}{request_id}:{seen[request_id]}",
            provider_id=request_id,
            endpoint=endpoint,
            at=_time(line, row.get(TIME) or "", range_from),
            nanos=_nanos(line, row[AMOUNT] or ""),
        )


def _nanos(line: int, text: str) -> int:
    try:
        nanos = Decimal(text.strip().removeprefix("$")) * NANOS_PER_USD
    except InvalidOperation:
        nanos = Decimal("NaN")
    if not nanos.is_finite() or not 0 <= nanos <= NANOS_MAX or nanos != nanos.to_integral_value():
        raise FieldInvalid.of(
            f"line {line}: {AMOUNT}",
            "must be dollars, 0 or more, with at most nine decimals",
            actual=text[:40],
        )
    return int(nanos)


def _time(line: int, text: str, otherwise: int) -> int:
    if not text.strip():
        return otherwise
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = _EPOCH - _MICRO
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment < _EPOCH:
        raise FieldInvalid.of(f"line {line}: {TIME}", "must be a time in RFC 3339", actual=text[:40])
    return (moment - _EPOCH) // _MICRO
