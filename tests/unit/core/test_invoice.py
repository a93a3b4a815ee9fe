"""Invoices as CSV: what is read, and how a mistake is named by its line and column."""

import pytest

from service.core.invoice import read_invoice
from service.domain.errors import FieldInvalid

START = 1_767_225_600_000_000  # 2026-01-01T00:00Z
HOUR = 3_600_000_000


def test_rows_become_bills() -> None:
    """Dollars become nanos exactly, a missing time is the start of the month, and other columns are not looked at."""
    text = (
        "endpoint,request_id,amount_usd,time,note\r\n"
        "fal-ai/flux/dev,r-1,$0.025000001,2026-01-01T02:00:00+01:00,x\r\n"
        "fal-ai/flux/dev, r-2 ,0,2026-01-02 00:00:00,\r\n"
        ",r-3,12,,\r\n"
    )
    bills = read_invoice(text, START)
    assert [
        ("r-1", "fal-ai/flux/dev", 25_000_001, START + HOUR),
        ("r-2", "fal-ai/flux/dev", 0, START + 24 * HOUR),
        ("r-3", "", 12_000_000_000, START),
    ] == [(one.provider_id, one.endpoint, one.nanos, one.at) for one in bills]


def test_a_line_has_the_same_id_in_whatever_order_they_stand() -> None:
    """Sorted otherwise it is the same invoice; two lines of one request are two bills."""
    rows = ["a,1", "b,2", "a,3"]
    ids = [
        {one.bill_id for one in read_invoice("request_id,amount_usd\n" + "\n".join(order), START)}
        for order in (rows, rows[::-1])
    ]
    assert {"invoice:a:1", "invoice:a:2", "invoice:b:1"} == ids[0] == ids[1]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1: request_id"),
        ("request_id,amount\na,1\n", "line 1: amount_usd"),
        ("request_id,amount_usd\n,1\n", "line 2: request_id"),
        ("request_id,amount_usd\na\0b,1\n", "line 2: request_id"),
        ("request_id,amount_usd\na,1\n" + "x" * 200_000 + ",1\n", "line 2"),
        ("request_id,amount_usd,endpoint\na,1,\x07\n", "line 2: endpoint"),
        ("request_id,amount_usd\na,1\nb\n", "line 3: amount_usd"),
        ("request_id,amount_usd\na,-1\n", "line 2: amount_usd"),
        ("request_id,amount_usd\na,1e-10\n", "line 2: amount_usd"),
        ("request_id,amount_usd\na,NaN\n", "line 2: amount_usd"),
        ("request_id,amount_usd\na,Infinity\n", "line 2: amount_usd"),
        ("request_id,amount_usd\na,1e40\n", "line 2: amount_usd"),
        ('request_id,amount_usd\na,"1,50"\n', "line 2: amount_usd"),
        ("request_id,amount_usd,time\na,1,yesterday\n", "line 2: time"),
        ("request_id,amount_usd,time\na,1,0001-01-01T00:00:00\n", "line 2: time"),
    ],
)
def test_a_mistake_is_named_by_line_and_column(text: str, place: str) -> None:
    """Nothing of an invoice with a mistake is taken."""
    with pytest.raises(FieldInvalid) as refusal:
        read_invoice(text, START)
    assert place == refusal.value.metadata["field"]
