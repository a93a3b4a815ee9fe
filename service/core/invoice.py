"""Reading a provider's invoice from CSV, as bills that can be compared."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from service.domain.bills import INVOICE_BILL
from service.domain.errors import FieldInvalid
from service.domain.exchange import Bill
from service.domain.limits import MICROS_PER_SECOND, invoice_rows_max
from service.domain.money import NANOS_PER_USD

REQUEST, AMOUNT, ENDPOINT, TIME = "request_id", "amount_usd", "endpoint", "time"


def read_invoice(text: str, range_from: int) -> tuple[Bill, ...]:
    """The rows of a CSV file with the columns `request_id` and `amount_usd`, and if it has them `endpoint` and `time` (RFC 3339).

    A row without a time counts at `range_from` (microseconds). Other columns are not looked at. Raises FieldInvalid naming the
    line and the column.
    """
    rows = csv.DictReader(io.StringIO(text))
    missing = [name for name in (REQUEST, AMOUNT) if name not in (rows.fieldnames or ())]
    if missing:
        raise FieldInvalid.of(f"line 1: {missing[0]}", "the column is missing")
    return tuple(_bills(rows, range_from))


def _bills(rows: csv.DictReader[str], range_from: int) -> Iterator[Bill]:
    seen: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        if number > invoice_rows_max:
            raise FieldInvalid.of("lines", f"at most {invoice_rows_max} rows", limit=invoice_rows_max)
        line = rows.line_num
        request_id = (row[REQUEST] or "").strip()
        if not request_id:
            raise FieldInvalid.of(f"line {line}: {REQUEST}", "must not be empty")
        seen[request_id] += 1
        yield Bill(
            bill_id=f"{INVOICE_BILL}{request_id}:{seen[request_id]}",
            provider_id=request_id,
            endpoint=(row.get(ENDPOINT) or "").strip(),
            at=_time(line, row.get(TIME) or "", range_from),
            nanos=_nanos(line, row[AMOUNT] or ""),
        )


def _nanos(line: int, text: str) -> int:
    try:
        nanos = Decimal(text.strip().removeprefix("$")) * NANOS_PER_USD
    except InvalidOperation:
        nanos = Decimal("NaN")
    if not nanos.is_finite() or nanos < 0 or nanos != nanos.to_integral_value():
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
        raise FieldInvalid.of(
            f"line {line}: {TIME}", "must be a time in RFC 3339", actual=text[:40]
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * MICROS_PER_SECOND)
