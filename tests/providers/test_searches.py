"""Traps in the providers' request lists: rows that are odd, late, unreadable or endless."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from service.domain.failure import ProviderUnavailable
from tests.providers.books_rig import BooksRig, fal_books, replicate_books
from tests.providers.pages import FLUX, INPUT, NOW, fal, fal_row, replicate, replicate_row, search
from tests.providers.rig import SDXL


@pytest.fixture
async def slow_fal() -> AsyncIterator[BooksRig]:
    """fal at its pace."""
    async with fal_books(instant=False) as one:
        yield one


@pytest.fixture
async def slow_replicate() -> AsyncIterator[BooksRig]:
    """Replicate at its pace."""
    async with replicate_books(instant=False) as one:
        yield one


async def test_a_queued_request_is_not_in_fals_list(slow_fal: BooksRig) -> None:
    """Accepted, its answer lost, still queued: a complete scan without a match, which proves nothing yet."""
    slow_fal.fault("drop_after_accept")
    slow_fal.fault("stuck")
    await slow_fal.rig.send()
    scan = await slow_fal.books.find(slow_fal.search())
    assert ((), True) == (scan.matches, scan.complete)
    assert slow_fal.books.absence.waits
    assert (1, 1) == slow_fal.rig.counts


async def test_a_queued_prediction_is_in_replicates_list(slow_replicate: BooksRig) -> None:
    """From its creation on."""
    slow_replicate.fault("drop_after_accept")
    slow_replicate.fault("stuck")
    await slow_replicate.rig.send()
    scan = await slow_replicate.books.find(slow_replicate.search())
    assert [slow_replicate.entries[0].id] == [one.provider_id for one in scan.matches]


async def test_payloads_that_are_not_shown_are_no_proof(slow_fal: BooksRig) -> None:
    """A request of the span whose input fal does not show makes the scan incomplete."""
    slow_fal.fault("list_bare")
    await slow_fal.rig.accepted()
    while slow_fal.entries[0].ended_at is None:
        slow_fal.rig.sandbox.world.clock.advance(1)
        await slow_fal.rig.provider.poll(slow_fal.rig.endpoint, slow_fal.entries[0].id)
    scan = await slow_fal.books.find(slow_fal.search())
    assert ((), False) == (scan.matches, scan.complete)


async def test_inputs_that_were_removed_are_no_proof() -> None:
    """After an hour Replicate shows no input: a scan over such predictions is incomplete."""
    async with replicate_books() as rig:
        await rig.rig.accepted()
        wanted = rig.search()
        assert (await rig.books.find(wanted)).complete
        rig.rig.sandbox.world.clock.advance(3_700)
        scan = await rig.books.find(wanted)
        assert ((), False) == (scan.matches, scan.complete)


@pytest.mark.parametrize(
    "row",
    [
        "text",
        None,
        {},
        fal_row(request_id=None),
        fal_row(request_id="a/b"),
        fal_row(sent_at=None),
        fal_row(sent_at="yesterday"),
        fal_row(sent_at=17),
        fal_row(json_input="text"),
        fal_row(json_input=None),
        fal_row(json_input={"prompt": 1e400}),
    ],
    ids=str,
)
async def test_an_odd_row_of_fals_makes_the_scan_incomplete(row: Any) -> None:
    """What cannot be compared is no proof of absence; the other rows count all the same."""
    text = json.dumps({"items": [row, fal_row(request_id="r-2")], "has_more": False, "next_cursor": None})
    books, _ = fal(text.replace("Infinity", "1e400"))
    scan = await books.find(search())
    assert (["r-2"], False) == ([one.provider_id for one in scan.matches], scan.complete)
    await books.close()


@pytest.mark.parametrize(
    "row",
    [
        [],
        {},
        replicate_row(id=""),
        replicate_row(created_at="2026-01-01 00:00"),
        replicate_row(input=None),
        replicate_row(data_removed=True),
    ],
    ids=str,
)
async def test_an_odd_row_of_replicates_makes_the_scan_incomplete(row: Any) -> None:
    """What cannot be compared is no proof of absence; the other rows count all the same."""
    books, _ = replicate({"results": [row, replicate_row(id="p2")], "next": None})
    scan = await books.find(search(FLUX))
    assert (["p2"], False) == ([one.provider_id for one in scan.matches], scan.complete)
    await books.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"json_input": {"seed": 7.0, "prompt": "a fox"}},
        {"json_input": {**INPUT, "negative_prompt": None}},
        {"endpoint_id": None},
        {"sent_at": "2026-01-01T01:00:01+01:00"},
        {"sent_at": "2026-01-01T00:00:01"},
        {"sent_at": "2026-01-01T00:00:01.123456789Z"},
    ],
    ids=str,
)
async def test_fals_way_of_writing_does_not_matter(changes: dict[str, Any]) -> None:
    """Order of keys, nulls, whole numbers as fractions, time zones and digits: it is the same request."""
    books, _ = fal({"items": [fal_row(**changes)], "has_more": False})
    scan = await books.find(search())
    assert (["r-1"], True) == ([one.provider_id for one in scan.matches], scan.complete)
    assert NOW + 1_000_000 <= scan.matches[0].sent_at < NOW + 2_000_000
    await books.close()


async def test_a_model_that_replicate_does_not_name_may_be_ours_and_another_is_not() -> None:
    """Null counts as ours; the same input at another model is no match, and forbids to conclude absence; a version decides."""
    rows = [
        replicate_row(id="null", model=None),
        replicate_row(id="other", model="replicate/lifeboat"),
        replicate_row(id="alien", model="replicate/lifeboat", input={}),
    ]
    books, _ = replicate({"results": rows, "next": None})
    scan = await books.find(search(FLUX))
    assert (["null"], ("other",), True) == (
        [one.provider_id for one in scan.matches],
        scan.others,
        scan.complete,
    )
    await books.close()
    version = SDXL.partition(":")[2]
    books, _ = replicate(
        {"results": [replicate_row(model="replicate/lifeboat", version=version)], "next": None}
    )
    assert ["p1"] == [one.provider_id for one in (await books.find(search(SDXL))).matches]
    await books.close()


async def test_a_fal_row_of_another_endpoint_is_no_match() -> None:
    """Should fal's filter be ignored, the row says what it is about."""
    rows = [fal_row(endpoint_id="fal-ai/flux/schnell"), fal_row(endpoint_id="fal-ai/x", json_input={"a": 1})]
    books, _ = fal({"items": rows, "has_more": False})
    scan = await books.find(search())
    assert ((), ("r-1",)) == (scan.matches, scan.others)
    await books.close()


async def test_the_next_page_is_asked_for_at_our_own_address() -> None:
    """Replicate's `next` names the cursor; the host in it is not believed, and sees no token."""
    pages = (
        {"results": [], "next": "https://evil.example/v1/predictions?cursor=abc%3D%3D&created_after=1999"},
        {"results": [replicate_row()], "next": None},
    )
    books, transport = replicate(*pages)
    assert 1 == len((await books.find(search(FLUX))).matches)
    hosts = {request.url.host for request in transport.asked}
    assert ({"api.replicate.com"}, "abc==") == (hosts, transport.asked[1].url.params["cursor"])
    assert transport.asked[0].url.params["created_after"] == transport.asked[1].url.params["created_after"]
    await books.close()


@pytest.mark.parametrize(
    "following", ["https://api.replicate.com/v1/predictions", "", 7, "https://[/?cursor=1"]
)
async def test_a_list_that_does_not_say_where_it_goes_on_is_not_complete(following: Any) -> None:
    """There is more, and it cannot be read."""
    books, _ = replicate({"results": [], "next": following})
    assert not (await books.find(search(FLUX))).complete
    with pytest.raises(ProviderUnavailable):
        await books.bills(NOW - 1_000_000, NOW)
    await books.close()


async def test_a_filter_that_is_ignored_does_no_harm() -> None:
    """Newer predictions are skipped, and a page of older ones ends the reading: the rest of the account is not read."""
    newer = replicate_row(id="new", created_at="2026-01-01T09:00:00Z")
    older = replicate_row(id="old", created_at="2025-12-31T09:00:00Z")
    more = "https://api.replicate.com/v1/predictions?cursor=1"
    books, transport = replicate(
        {"results": [newer], "next": more},
        {"results": [replicate_row(), older], "next": more},
        {"results": [older], "next": more},
        {"results": [replicate_row(id="never-read")], "next": None},
    )
    scan = await books.find(search(FLUX))
    assert (["p1"], (), True, 3) == (
        [one.provider_id for one in scan.matches],
        scan.others,
        scan.complete,
        len(transport.asked),
    )
    await books.close()


@pytest.mark.parametrize("make", [fal, replicate])
async def test_an_endless_list_is_left_after_the_bound(make: Any) -> None:
    """A cursor that leads round in circles costs so many pages and no more; the scan is not complete."""
    page = {
        "items": [],
        "has_more": True,
        "next_cursor": "again",
        "results": [],
        "next": "https://api.replicate.com/v1/predictions?cursor=again",
    }
    books, transport = make(page, pages_max=5)
    assert (False, 5) == ((await books.find(search())).complete, len(transport.asked))
    await books.close()


async def test_more_rows_without_a_cursor_are_not_the_end() -> None:
    """fal says has_more and does not say where: not complete."""
    books, _ = fal({"items": [], "has_more": True, "next_cursor": None})
    assert not (await books.find(search())).complete
    await books.close()


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"items":{},"results":{},"billing_events":{}}', "<html>"])
@pytest.mark.parametrize("make", [fal, replicate])
async def test_an_answer_of_another_shape_is_no_answer(make: Any, body: str) -> None:
    """200 with anything but a list of rows: unavailable, for searches and for bills."""
    books, _ = make(body)
    with pytest.raises(ProviderUnavailable):
        await books.find(search())
    with pytest.raises(ProviderUnavailable):
        await books.bills(NOW - 1_000_000, NOW)
    await books.close()


async def test_fal_is_asked_beyond_the_span_and_for_payloads() -> None:
    """Which time the filter looks at is not documented: requests sent in the span may have ended long after it."""
    books, transport = fal({"items": [], "has_more": False})
    await books.find(search())
    params = transport.asked[0].url.params
    assert ("fal-ai/flux/dev", "payloads", "100") == (
        params["endpoint_id"],
        params["expand"],
        params["limit"],
    )
    assert ("2025-12-31T23:58:00.000000Z", "2026-01-01T02:02:00.000000Z") == (params["start"], params["end"])
    await books.close()


async def test_the_last_page_may_name_a_cursor_all_the_same() -> None:
    """`has_more` false is the end, whatever stands beside it."""
    books, transport = fal({"items": [fal_row()], "has_more": False, "next_cursor": "again"})
    scan = await books.find(search())
    assert (1, True, 1) == (len(scan.matches), scan.complete, len(transport.asked))
    await books.close()


async def test_a_version_that_was_remapped_is_still_the_model() -> None:
    """Replicate may run another version than the one asked for: the name decides."""
    books, _ = replicate({"results": [replicate_row(model="stability-ai/sdxl", version="d-5")], "next": None})
    assert ["p1"] == [one.provider_id for one in (await books.find(search(SDXL))).matches]
    await books.close()


@pytest.mark.parametrize("name", ["fal", "replicate"])
@pytest.mark.parametrize(
    ("ahead_seconds", "complete"), [(30, True), (-30, True), (180, False), (-180, False), (None, True)]
)
async def test_a_list_by_another_clock_is_no_proof(
    name: str, ahead_seconds: float | None, complete: bool
) -> None:
    """Where both clocks are minutes apart, a request stands in the list at a time at which nobody looks for it."""
    page = {"items": [], "has_more": False} if name == "fal" else {"results": [], "next": None}
    date = "some day" if ahead_seconds is None else formatdate(time.time() + ahead_seconds, usegmt=True)
    answer = httpx.Response(200, content=json.dumps(page), headers={"date": date})
    books, _ = fal(answer) if name == "fal" else replicate(answer)
    assert complete is (await books.find(search())).complete
    await books.close()
