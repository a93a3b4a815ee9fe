"""Traps in the providers' bills: amounts that are not exact, rows that cannot be read, keys that may not be used."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.exchange import Ended
from tests.providers.pages import NOW, fal, replicate, replicate_row, search


async def test_the_admin_key_is_for_bills_only() -> None:
    """The list is read with the account's key, bills with the ADMIN key, where there is one."""
    books, transport = fal({"items": [], "billing_events": [], "has_more": False}, admin_key="admin:key")
    await books.find(search())
    await books.bills(NOW - 1_000_000, NOW)
    await books.bills_of(("r-1", "r-2"), NOW)
    assert ["Key id:key", "Key admin:key", "Key admin:key"] == [
        request.headers["authorization"] for request in transport.asked
    ]
    assert "r-1,r-2" == transport.asked[2].url.params["request_id"]
    await books.close()


def event(**changes: Any) -> dict[str, Any]:
    """A billing event."""
    row = {
        "request_id": "r-1",
        "endpoint_id": "fal-ai/flux/dev",
        "timestamp": "2025-12-31T23:59:59.25Z",
        "output_units": 1.1,
        "unit_price": 0.025,
        "percent_discount": 10,
        "cost_total": 0.02475,
        "cost_estimate_nano_usd": 24_750_000,
    }
    return {**row, **changes}


async def test_a_billing_event_is_exact() -> None:
    """The integer nano-USD is the charge; units, price and discount are kept as the decimals that they are."""
    books, _ = fal({"billing_events": [event()], "has_more": True, "next_cursor": "more"})
    page = await books.bills(NOW - 1_000_000, NOW)
    bill = page.bills[0]
    assert (24_750_000, "1.1", "0.025", "10", "more") == (
        bill.nanos,
        str(bill.units),
        str(bill.unit_price),
        str(bill.discount_percent),
        page.next_page,
    )
    assert NOW - 750_000 == bill.at
    await books.close()


@pytest.mark.parametrize(
    ("changes", "nanos"),
    [
        ({"cost_estimate_nano_usd": 0}, 0),
        ({"cost_estimate_nano_usd": -5}, -5),
        ({"cost_estimate_nano_usd": None}, 24_750_000),
        ({"cost_estimate_nano_usd": 1.5}, 24_750_000),
        ({"cost_estimate_nano_usd": None, "cost_total": 0.0000000001}, None),
        ({"cost_estimate_nano_usd": None, "cost_total": None}, None),
        ({"cost_estimate_nano_usd": "24750000", "cost_total": True}, None),
        ({"output_units": None, "unit_price": None, "percent_discount": None}, 24_750_000),
        ({"request_id": None}, None),
        ({"timestamp": "soon"}, None),
        ({"endpoint_id": 7}, None),
    ],
    ids=str,
)
async def test_an_amount_that_is_not_exact_is_no_bill(changes: dict[str, Any], nanos: int | None) -> None:
    """cost_total stands in where it is whole nano-USD; otherwise the row is counted as unreadable, never as zero."""
    books, _ = fal({"billing_events": [event(**changes)], "has_more": False})
    page = await books.bills(NOW - 1_000_000, NOW)
    if nanos is None:
        assert ((), 1) == (page.bills, page.unreadable_count)
    else:
        assert ([nanos], 0) == ([bill.nanos for bill in page.bills], page.unreadable_count)
    await books.close()


@pytest.mark.parametrize("endpoint", [None, "", 7, "a\0b", "x" * 301])
async def test_a_bill_of_no_model_is_unreadable(endpoint: object) -> None:
    """What has no name that could be kept is no bill, and is counted: the span is not complete."""
    books, _ = fal({"billing_events": [event(endpoint_id=endpoint)], "has_more": False})
    page = await books.bills(0, 10**12)
    assert ((), 1) == (page.bills, page.unreadable_count)


async def test_two_events_of_one_request_are_two_bills() -> None:
    """A retry that was charged too is a bill of its own."""
    rows = [event(), event(timestamp="2025-12-31T23:59:59.5Z")]
    books, _ = fal({"billing_events": rows, "has_more": False})
    assert 2 == len({bill.bill_id for bill in (await books.bills(NOW - 1_000_000, NOW)).bills})
    await books.close()


async def test_replicates_bills_are_what_has_ended_in_the_span() -> None:
    """Running predictions have no bill yet; how one ended, and its metrics, are what there is to price."""
    rows = [
        replicate_row(id="runs", status="processing"),
        replicate_row(id="free", status="aborted", completed_at="2026-01-01T00:00:03Z"),
        replicate_row(
            completed_at="2026-01-01T00:00:02.5Z",
            metrics={"predict_time": 1.25, "image_output_count": 1, "x": "y"},
        ),
        replicate_row(id="late", completed_at="2026-01-02T00:00:00Z"),
        {"status": "succeeded"},
    ]
    books, _ = replicate({"results": rows, "next": None})
    page = await books.bills(NOW, NOW + 60_000_000)
    assert [("free", Ended.ABORTED), ("p1", Ended.SUCCEEDED)] == [
        (bill.provider_id, bill.ended) for bill in page.bills
    ]
    assert ({"predict_time": "1.25", "image_output_count": "1"}, None, 1) == (
        {name: str(value) for name, value in page.bills[1].metrics.items()},
        page.bills[1].nanos,
        page.unreadable_count,
    )
    await books.close()


async def test_a_bill_of_the_span_may_be_of_a_prediction_from_before_it() -> None:
    """Predictions are listed by their creation and booked by their end: the list is asked for an hour further
    back, and left where
    everything is older still.
    """
    more = "https://api.replicate.com/v1/predictions?cursor=1"
    early = replicate_row(created_at="2025-12-31T23:30:00Z", completed_at="2026-01-01T00:00:02Z")
    long_ago = replicate_row(id="old", created_at="2025-12-31T22:00:00Z", completed_at="2025-12-31T22:00:09Z")
    books, transport = replicate({"results": [early], "next": more}, {"results": [long_ago], "next": more})
    first = await books.bills(NOW, NOW + 60_000_000)
    assert ("2025-12-31T23:00:00.000000Z", ["p1"], "1") == (
        transport.asked[0].url.params["created_after"],
        [bill.provider_id for bill in first.bills],
        first.next_page,
    )
    second = await books.bills(NOW, NOW + 60_000_000, first.next_page)
    assert ((), None) == (second.bills, second.next_page)
    await books.close()
