"""What Replicate's API says in the cases that its client hides."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from sandbox import Sandbox
from sandbox.replicate_api import cancel_after
from tests.sandbox.conftest import REPLICATE_KEY, Start

SCHNELL = "black-forest-labs/flux-schnell"


async def create(
    http: httpx.AsyncClient, sandbox: Sandbox, model: str = SCHNELL, headers: Any = (), **body: Any
) -> httpx.Response:
    """POST to the official route."""
    return await http.post(
        f"{sandbox.replicate_url}/v1/models/{model}/predictions",
        json={"input": {"prompt": "x"}, **body},
        headers={**REPLICATE_KEY, **dict(headers)},
    )


async def get(http: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    """The prediction as it is now."""
    body: dict[str, Any] = (await http.get(answer.json()["urls"]["get"], headers=REPLICATE_KEY)).json()
    return body


async def test_keys_are_left_out_until_they_exist(slow: Sandbox, http: httpx.AsyncClient) -> None:
    """A starting prediction has no output, metrics, started_at, completed_at or data_removed."""
    made = await create(http, slow)
    later = {"output", "metrics", "started_at", "completed_at", "data_removed"}
    assert (201, "starting") == (made.status_code, made.json()["status"])
    assert later.isdisjoint(made.json())
    slow.world.clock.advance(60)
    entry = slow.world.book.find("replicate", made.json()["id"])
    assert entry is not None
    await slow.world.works.wait_end(entry, 5)
    assert later <= set(await get(http, made))
    assert "hidden" == made.json()["version"]


async def test_wait_answers_with_output_while_processing(start: Start, http: httpx.AsyncClient) -> None:
    """Prefer: wait answers when the files are there: still `processing`, output as data URI or address."""
    sandbox = await start(speed=50)
    forms = set()
    for number in range(12):
        made = await create(http, sandbox, headers={"Prefer": "wait=10"}, input={"prompt": str(number)})
        body = made.json()
        assert (201, "processing", "wait=10") == (
            made.status_code,
            body["status"],
            made.headers["preference-applied"],
        )
        assert "metrics" not in body
        forms.add(body["output"][0].split(":")[0])
    assert {"data", "http"} == forms


async def test_an_expired_wait_goes_on_and_bills(slow: Sandbox, http: httpx.AsyncClient) -> None:
    """202 with an incomplete prediction, which runs on and is billed."""
    slow.world.faults.order({"kind": "slow", "args": {"seconds": 100}})
    asking = asyncio.ensure_future(create(http, slow, "openai/gpt-image-2", {"Prefer": "wait=60"}))
    while not asking.done():
        slow.world.clock.advance(5 if slow.world.clock.sleepers else 0)
        await asyncio.wait([asking], timeout=0.001)
    made = await asking
    assert (202, "processing") == (made.status_code, made.json()["status"])
    entry = slow.world.book.find("replicate", made.json()["id"])
    assert entry is not None
    slow.world.clock.advance(60)
    while entry.ended_at is None:
        slow.world.clock.advance(60)
        await asyncio.sleep(0)
    assert 128_000_000 == entry.bill_nanos


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1h30m45s", 5445), ("2h", 7200), ("", None), ("5x", None)],
)
def test_cancel_after_reads_durations(text: str, seconds: float | None) -> None:
    """Hours, minutes and seconds combine; a bare number is seconds."""
    assert seconds == cancel_after(text)


async def test_a_deadline_aborts_before_the_start_and_cancels_after(
    slow: Sandbox, http: httpx.AsyncClient
) -> None:
    """Cancel-After: aborted and free when it never started, canceled and charged when it ran."""
    slow.world.faults.order({"kind": "stuck"})
    slow.world.faults.order({"kind": "slow", "args": {"seconds": 600}, "times": None})
    waiting = await create(http, slow, headers={"Cancel-After": "5s"})
    slow.world.faults.withdraw(1)
    running = await create(http, slow, headers={"Cancel-After": "1m"})
    short = await create(http, slow, headers={"Cancel-After": "4"})
    entries = [slow.world.book.find("replicate", one.json()["id"]) for one in (waiting, running)]
    while not all(entry is not None and entry.ended_at is not None for entry in entries):
        slow.world.clock.advance(1)
        await asyncio.sleep(0)
    bodies = [await get(http, one) for one in (waiting, running)]
    assert ["aborted", "canceled"] == [body["status"] for body in bodies]
    assert all("deadline" in body for body in bodies)
    assert "metrics" not in bodies[0]
    assert [0, 3_000_000] == [entry.bill_nanos for entry in entries if entry is not None]
    assert 422 == short.status_code


async def test_errors_have_replicates_shapes(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """401 and 422 with a title, 404 without one; unknown keys, fields out of range and unknown models."""
    root = f"{instant.replicate_url}/v1"
    bare = await http.post(f"{root}/predictions", json={})
    invalid = await http.get(f"{root}/predictions/x", headers={"Authorization": "Bearer sandbox-invalid"})
    assert [401, 401] == [bare.status_code, invalid.status_code]
    assert "Unauthenticated" == invalid.json()["title"]
    missing = await http.get(f"{root}/predictions/x", headers=REPLICATE_KEY)
    assert (404, False) == (missing.status_code, "title" in missing.json())
    assert "application/problem+json" == missing.headers["content-type"]
    extra = await create(http, instant, colour="red")
    range_ = await create(http, instant, input={"prompt": "x", "num_outputs": 5})
    community = await create(http, instant, "stability-ai/sdxl")
    assert [422, 422, 404] == [answer.status_code for answer in (extra, range_, community)]
    assert range_.json()["detail"].startswith("- input.num_outputs: ")
    assert 0 == instant.world.book.totals["replicate"].accepted


async def test_three_routes_create(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """By version (name, or 64 hex digits), by official model, by deployment."""
    root = f"{instant.replicate_url}/v1"
    sdxl = instant.world.replicate["stability-ai/sdxl"].version
    for body in ({"version": SCHNELL}, {"version": sdxl}, {"version": f"stability-ai/sdxl:{sdxl}"}):
        made = await http.post(
            f"{root}/predictions", json={**body, "input": {"prompt": "x"}}, headers=REPLICATE_KEY
        )
        assert 201 == made.status_code, made.text
    deployed = await http.post(
        f"{root}/deployments/{SCHNELL}/predictions", json={"input": {"prompt": "x"}}, headers=REPLICATE_KEY
    )
    assert deployed.json()["version"].startswith("dp-")
    assert SCHNELL == deployed.json()["deployment"]


async def test_rate_limit_headers_count_down(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Each create takes one of 600 a minute, each read one of 60,000."""
    first, second = await create(http, instant), await create(http, instant)
    read = await http.get(first.json()["urls"]["get"], headers=REPLICATE_KEY)
    left = [int(answer.headers["ratelimit-remaining"]) for answer in (first, second)]
    assert left[1] in (left[0] - 1, 599)
    assert int(read.headers["ratelimit-remaining"]) > 50_000
    assert 0 < int(read.headers["ratelimit-reset"]) <= 60


async def test_data_is_removed_after_an_hour(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Input, output, logs and files are gone; output stays as a null key."""
    made = (await get(http, await create(http, instant)))["output"][0]
    answer = await create(http, instant)
    assert 200 == (await http.get(made)).status_code
    instant.world.clock.advance(3601)
    body = await get(http, answer)
    assert (None, True, {}, "") == (body["output"], body["data_removed"], body["input"], body["logs"])
    assert 404 == (await http.get(made)).status_code


async def test_created_after_finds_the_orphans_of_a_lost_reply(
    instant: Sandbox, http: httpx.AsyncClient
) -> None:
    """A lost POST answer leaves one prediction, which the list shows from its time on."""
    before = (await create(http, instant)).json()["created_at"]
    instant.world.clock.advance(10)
    with pytest.raises(httpx.RemoteProtocolError):
        await create(http, instant, "sandbox/test-lost-reply", input={"prompt": "lost"})
    since = instant.world.clock.at(instant.world.clock.seconds() - 5).isoformat()
    listed = await http.get(
        f"{instant.replicate_url}/v1/predictions", params={"created_after": since}, headers=REPLICATE_KEY
    )
    everything = await http.get(
        f"{instant.replicate_url}/v1/predictions", params={"created_after": before}, headers=REPLICATE_KEY
    )
    assert ["lost"] == [one["input"]["prompt"] for one in listed.json()["results"]]
    assert 2 == len(everything.json()["results"])
    assert 10_000_000 == instant.world.book.totals["replicate"].billed_nanos - 3_000_000


async def test_moderation_has_the_models_own_words(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Open flux models drop flagged pictures one by one, fail when all fall; proxied ones fail with E005."""
    board = instant.world.faults
    board.order({"kind": "flag_content", "args": {"at": [1]}, "endpoint": "*/flux-schnell"})
    board.order({"kind": "flag_content", "times": None, "endpoint": "*"})
    some = await get(http, await create(http, instant, input={"prompt": "x", "num_outputs": 3}))
    every = await get(http, await create(http, instant))
    proxied = await get(http, await create(http, instant, "black-forest-labs/flux-1.1-pro"))
    unchecked = await get(
        http, await create(http, instant, input={"prompt": "x", "disable_safety_checker": True})
    )
    assert ("succeeded", 2) == (some["status"], len(some["output"]))
    assert "All generated images contained NSFW content" in every["error"]
    assert "(E005)" in proxied["error"]
    assert "succeeded" == unchecked["status"]
