"""Every ordered fault does what its description says, and the book keeps POSTs, requests and bills apart."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import httpx
import pytest
from PIL import Image, UnidentifiedImageError

from sandbox import Sandbox
from sandbox.faults import KINDS
from service.domain.sent import input_digest
from tests.sandbox.conftest import FAL_KEY, REPLICATE_KEY, Start
from tests.sandbox.test_fal_queue import finish, submit
from tests.sandbox.test_replicate_api import create, get


async def order(http: httpx.AsyncClient, sandbox: Sandbox, kind: str, **args: Any) -> None:
    """Order one fault over HTTP."""
    answer = await http.post(f"{sandbox.url}/admin/faults", json={"kind": kind, "args": args})
    assert 201 == answer.status_code, answer.text


async def result_of(http: httpx.AsyncClient, made: httpx.Response) -> httpx.Response:
    """The result of a fal request that has ended."""
    return await http.get(made.json()["response_url"], headers=FAL_KEY)


@pytest.mark.parametrize("provider", ["fal", "replicate"])
@pytest.mark.parametrize(
    ("kind", "args", "accepted"),
    [
        ("drop_before_accept", {}, 0),
        ("drop_after_accept", {}, 1),
        ("hang_before_accept", {"seconds": 0.05}, 0),
        ("hang_after_accept", {"seconds": 0.05}, 1),
    ],
)
async def test_lost_answers(
    instant: Sandbox, http: httpx.AsyncClient, provider: str, kind: str, args: dict[str, Any], accepted: int
) -> None:
    """The caller sees a closed connection in all cases; only the book knows whether it will pay."""
    await order(http, instant, kind, **args)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await (submit if provider == "fal" else create)(http, instant)
    statuses = [one.status for one in instant.world.book.refused]
    assert [0] * (1 - accepted) == statuses
    totals = instant.world.book.totals[provider]
    assert (1, accepted, accepted) == (totals.posts, totals.accepted, totals.billed_count)


@pytest.mark.parametrize(
    ("kind", "args", "fal_status", "replicate_status", "accepted"),
    [
        ("exhausted_balance", {}, 403, 402, 0),
        ("payment_required", {}, 402, 402, 0),
        ("rate_limited", {"retry_after": 3600}, 429, 429, 0),
        ("refuse_input", {}, 422, 422, 0),
        ("nginx_502", {}, 502, 502, 1),
        ("nginx_502", {"accept": False}, 502, 502, 0),
        ("redirect_307", {}, 307, 307, 1),
        ("no_id", {}, 200, 200, 1),
        ("foreign_body", {}, 200, 200, 1),
        ("status", {"code": 503, "headers": {"x-fal-request-id": "r"}}, 503, 503, 0),
        ("status", {"code": 500, "accept": True, "body": ["an", "array"]}, 500, 500, 1),
        ("status", {"code": 504, "headers": {"X-Fal-Request-Timeout-Type": "user"}}, 504, 504, 0),
    ],
)
async def test_wrong_answers(
    instant: Sandbox,
    http: httpx.AsyncClient,
    kind: str,
    args: dict[str, Any],
    fal_status: int,
    replicate_status: int,
    accepted: int,
) -> None:
    """Each refusal, and each answer that hides an accepted request, at both providers."""
    await order(http, instant, kind, **args)
    await order(http, instant, kind, **args)
    first = await submit(http, instant)
    second = await create(http, instant)
    assert (fal_status, replicate_status) == (first.status_code, second.status_code)
    counts = [instant.world.book.totals[name].accepted for name in ("fal", "replicate")]
    assert [accepted, accepted] == counts
    third = await submit(http, instant)
    assert 200 == third.status_code


async def test_throttling_says_when_to_come_back(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Replicate's 429 has retry_after and the text; the header comes only when asked for."""
    await order(http, instant, "rate_limited", retry_after=5)
    await order(http, instant, "rate_limited", retry_after=7, header=False)
    both = [await create(http, instant) for _ in range(2)]
    assert [5, 7] == [answer.json()["retry_after"] for answer in both]
    assert ["5", None] == [answer.headers.get("retry-after") for answer in both]
    assert "resets in ~5s" in both[0].json()["detail"]


async def test_the_test_models_do_as_they_are_called(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """ok bills a cent, rejected refuses, overrun bills three, fails costs nothing, at both providers."""
    endpoints = ("test-ok", "test-rejected", "test-overrun", "test-fails")
    fal = {name: await submit(http, instant, f"sandbox/{name}") for name in endpoints}
    replicate = {name: await create(http, instant, f"sandbox/{name}") for name in endpoints}
    assert [200, 422, 200, 200] == [answer.status_code for answer in fal.values()]
    assert [201, 422, 201, 201] == [answer.status_code for answer in replicate.values()]
    units = [
        (await result_of(http, fal[name])).headers.get("x-fal-billable-units")
        for name in ("test-ok", "test-overrun", "test-fails")
    ]
    assert ["1", "3", None] == units
    metrics = [
        (await get(http, replicate[name]))["metrics"].get("image_output_count")
        for name in ("test-ok", "test-overrun", "test-fails")
    ]
    assert [1, 3, None] == metrics
    for provider in ("fal", "replicate"):
        assert 40_000_000 == instant.world.book.totals[provider].billed_nanos


async def test_slow_keeps_its_pace_in_instant_mode(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """test-slow queues and runs for 20 seconds whatever the mode."""
    made = await submit(http, instant, "sandbox/test-slow")
    status = await http.get(made.json()["status_url"], headers=FAL_KEY)
    assert "IN_QUEUE" == status.json()["status"]
    assert status.json()["queue_position"] >= 4
    entry = await finish(instant, made)
    assert 20 <= (entry.ended_at or 0) - entry.accepted_at < 25


async def test_faults_on_the_bill(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Units missing, zero or multiplied in the evidence; the book keeps the true bill."""
    made = []
    for kind, args in (("bill_missing", {}), ("bill_zero", {}), ("bill_factor", {"factor": "2.5"})):
        await order(http, instant, kind, **args)
        made.append(await submit(http, instant))
    units = [(await result_of(http, one)).headers.get("x-fal-billable-units") for one in made]
    assert [None, "0", "2.5"] == units
    rows = (await http.get(f"{instant.url}/admin/book")).json()["requests"]
    assert [7_500_000, 3_000_000, 3_000_000] == [row["bill_nanos"] for row in rows]
    await order(http, instant, "bill_missing")
    assert "metrics" not in await get(http, await create(http, instant))
    await order(http, instant, "old_metrics")
    assert 1 == (await get(http, await create(http, instant)))["metrics"]["image_count"]


async def test_faults_on_the_run(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Failures in fal's three shapes, with and without a bill; a plain error text at Replicate."""
    await order(http, instant, "fail_run", code=422, type="content_policy_violation", billed=True)
    await order(http, instant, "fail_run", code=500, bare=True)
    await order(http, instant, "fail_run", code=503, type="runner_disconnected", infrastructure=True)
    results = [await result_of(http, await submit(http, instant)) for _ in range(3)]
    assert [422, 500, 503] == [answer.status_code for answer in results]
    assert "1" == results[0].headers["x-fal-billable-units"]
    assert isinstance(results[1].json()["detail"], str)
    assert "runner_disconnected" == results[2].headers["x-fal-error-type"]
    await order(http, instant, "fail_run", error="Prediction interrupted; please retry (code: PA)")
    await order(http, instant, "dict_error")
    assert (await get(http, await create(http, instant)))["error"]["message"].endswith("(code: PA)")
    assert 3_000_000 == instant.world.book.totals["fal"].billed_nanos


async def test_faults_on_the_count(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Fewer, more and dropped pictures, billed as they came out."""
    counts = []
    for kind, args in (("fewer_images", {"n": 2}), ("more_images", {"n": 1}), ("partial_moderation", {})):
        await order(http, instant, kind, **args)
        made = await create(http, instant, input={"prompt": "x", "num_outputs": 3})
        counts.append(len((await get(http, made))["output"]))
    assert [2, 4, 2] == counts
    assert 8 * 3_000_000 == instant.world.book.totals["replicate"].billed_nanos


async def test_flagged_pictures_are_black_and_billed_at_flux(
    instant: Sandbox, http: httpx.AsyncClient
) -> None:
    """flux at fal: 200, has_nsfw_concepts, billed; partner models: 422, unbilled."""
    await order(http, instant, "flag_content")
    await order(http, instant, "flag_content")
    flux = await result_of(http, await submit(http, instant))
    partner = await result_of(http, await submit(http, instant, "fal-ai/nano-banana"))
    assert (200, [True]) == (flux.status_code, flux.json()["has_nsfw_concepts"])
    picture = Image.open(io.BytesIO((await http.get(flux.json()["images"][0]["url"])).content))
    assert ((0, 0), (0, 0), (0, 0)) == picture.getextrema()
    assert (422, "content_policy_violation") == (
        partner.status_code,
        partner.json()["detail"][0]["type"],
    )
    assert 3_000_000 == instant.world.book.totals["fal"].billed_nanos


async def test_faults_on_the_pictures(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Undecodable, cut off, misnamed, missized, on a foreign host, gone, and without sizes."""
    kinds = ["corrupt_image", "truncated_image", "wrong_extension", "wrong_size", "foreign_host_url"]
    images = {}
    for kind in [*kinds, "lost_files", "null_sizes"]:
        await order(http, instant, kind)
        images[kind] = (await result_of(http, await submit(http, instant))).json()["images"][0]
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO((await http.get(images["corrupt_image"]["url"])).content))
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(images["truncated_image"]["url"])
    misnamed = await http.get(images["wrong_extension"]["url"])
    assert images["wrong_extension"]["url"].endswith(".png")
    assert "JPEG" == Image.open(io.BytesIO(misnamed.content)).format
    assert (640, 480) == (images["wrong_size"]["width"], images["wrong_size"]["height"])
    assert images["foreign_host_url"]["url"].startswith("https://pictures.example.net/")
    assert 404 == (await http.get(images["lost_files"]["url"])).status_code
    assert None is images["null_sizes"]["width"]


async def test_faults_on_reads(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """A poll, a result and a download can fail a few times and then come right; words can be odd."""
    await order(http, instant, "status", on="poll", code=503, count=2)
    made = await submit(http, instant)
    urls = made.json()
    assert [503, 503, 200] == [
        (await http.get(urls["status_url"], headers=FAL_KEY)).status_code for _ in range(3)
    ]
    await order(http, instant, "status", on="result", code=500)
    made = await submit(http, instant)
    assert [500, 200] == [(await result_of(http, made)).status_code for _ in range(2)]
    await order(http, instant, "status", on="download", code=404)
    url = (await result_of(http, await submit(http, instant))).json()["images"][0]["url"]
    assert [404, 200] == [(await http.get(url)).status_code for _ in range(2)]
    await order(http, instant, "status_unknown_word")
    made = await submit(http, instant)
    words = [(await http.get(made.json()["status_url"], headers=FAL_KEY)).json()["status"] for _ in range(2)]
    assert ["PREPARING", "COMPLETED"] == words
    await order(http, instant, "lost_request")
    made = await submit(http, instant)
    assert 404 == (await result_of(http, made)).status_code


async def test_replicates_oddities(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Output while processing, null version, a remapped model, an upload that fails."""
    await order(http, instant, "processing_with_output")
    made = await create(http, instant)
    bodies = [await get(http, made) for _ in range(2)]
    assert ["processing", "succeeded"] == [body["status"] for body in bodies]
    assert bodies[0]["output"] == bodies[1]["output"]
    await order(http, instant, "null_version")
    assert None is (await create(http, instant)).json()["version"]
    await order(http, instant, "remapped")
    assert "replicate/lifeboat" == (await create(http, instant)).json()["model"]
    await order(http, instant, "status", on="upload", code=500)
    files = {"content": ("a.txt", b"a", "text/plain")}
    url = f"{instant.replicate_url}/v1/files"
    uploads = [(await http.post(url, files=files, headers=REPLICATE_KEY)).status_code for _ in range(2)]
    assert [500, 201] == uploads


async def test_a_runner_that_dies_steps_back_into_the_queue(slow: Sandbox, http: httpx.AsyncClient) -> None:
    """IN_PROGRESS, IN_QUEUE, IN_PROGRESS, COMPLETED; billed once."""
    await order(http, slow, "requeue")
    made = await submit(http, slow)
    entry = slow.world.book.find("fal", made.json()["request_id"])
    assert entry is not None
    seen = []
    while entry.ended_at is None:
        seen.append((await http.get(made.json()["status_url"], headers=FAL_KEY)).json()["status"])
        slow.world.clock.advance(0.05)
        await asyncio.sleep(0)
    walk = [word for number, word in enumerate(seen) if number == 0 or seen[number - 1] != word]
    assert ["IN_QUEUE", "IN_PROGRESS", "IN_QUEUE", "IN_PROGRESS"] == walk
    assert 1 == slow.world.book.totals["fal"].billed_count


async def test_a_deep_queue_is_deep(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Positions of thousands that shrink."""
    await order(http, instant, "deep_queue", position=12_000, seconds=100)
    made = await submit(http, instant)
    first = (await http.get(made.json()["status_url"], headers=FAL_KEY)).json()["queue_position"]
    instant.world.clock.advance(50)
    later = (await http.get(made.json()["status_url"], headers=FAL_KEY)).json()["queue_position"]
    assert 11_000 < first <= 12_000
    assert later < 7_000


async def test_the_provider_may_end_a_request_itself(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """canceled: charged at Replicate, free at fal; aborted: free."""
    for kind in ("canceled", "aborted"):
        await order(http, instant, kind)
        made = await create(http, instant)
        entry = instant.world.book.find("replicate", made.json()["id"])
        assert entry is not None
        while entry.ended_at is None:
            instant.world.clock.advance(1)
            await asyncio.sleep(0)
        assert kind == (await get(http, made))["status"]
    assert 3_000_000 == instant.world.book.totals["replicate"].billed_nanos


async def test_orders_choose_their_requests(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """By provider, endpoint glob, prompt and number of times."""
    board = f"{instant.url}/admin/faults"
    wish = {"provider": "fal", "endpoint": "fal-ai/flux/*", "match_prompt": "bad", "times": 2}
    await http.post(board, json={"kind": "refuse_input", **wish})
    assert 201 == (await create(http, instant, input={"prompt": "bad"})).status_code
    assert 200 == (await submit(http, instant, "fal-ai/nano-banana", prompt="bad")).status_code
    assert 200 == (await submit(http, instant, prompt="good")).status_code
    codes = [(await submit(http, instant, prompt="a bad one")).status_code for _ in range(3)]
    assert [422, 422, 200] == codes
    shown = (await http.get(board)).json()
    assert 2 == shown["orders"][0]["hits"]
    assert set(KINDS) == set(shown["kinds"])


async def test_wrong_orders_are_refused(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Unknown kinds, arguments, keys and providers are 400: a typo must not look like a passing test."""
    for wish in (
        {"kind": "no_such"},
        {"kind": "no_id", "args": {"x": 1}},
        {"kind": "no_id", "endpoints": "x"},
        {"kind": "no_id", "provider": "openai"},
        {"kind": "bill_factor", "args": {"factor": "many"}},
    ):
        assert 400 == (await http.post(f"{instant.url}/admin/faults", json=wish)).status_code


async def test_prompts_order_faults_only_where_allowed(start: Start, http: httpx.AsyncClient) -> None:
    """[[fault:…]] in a prompt is obeyed with prompt_faults, and is just text without."""
    obeying, deaf = await start(instant=True, prompt_faults=True), await start(instant=True)
    prompt = "a fox [[fault:status code=418]]"
    assert 418 == (await submit(http, obeying, prompt=prompt)).status_code
    assert 418 == (await create(http, obeying, input={"prompt": prompt})).status_code
    assert 200 == (await submit(http, deaf, prompt=prompt)).status_code
    assert 400 == (await submit(http, obeying, prompt="[[fault:no_such]]")).status_code


async def test_results_expire_when_told(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """fal's result answers 404 after six minutes; Replicate's prediction stays, without input and output."""
    await order(http, instant, "result_expires", seconds=360)
    await order(http, instant, "result_expires", seconds=360)
    made = await submit(http, instant)
    prediction = await create(http, instant)
    assert 200 == (await result_of(http, made)).status_code
    assert not (await get(http, prediction))["data_removed"]
    instant.world.clock.advance(361)
    assert 404 == (await result_of(http, made)).status_code
    removed = await get(http, prediction)
    assert (True, None, {}, "succeeded") == (
        removed["data_removed"],
        removed["output"],
        removed["input"],
        removed["status"],
    )


async def test_lists_can_be_bare_or_written_otherwise(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Payloads are not shown, or have the model's defaults in them."""
    await order(http, instant, "list_bare")
    await submit(http, instant)
    await order(http, instant, "list_respelled")
    await order(http, instant, "list_respelled")
    made = await submit(http, instant)
    await create(http, instant)
    listed = await http.get(
        f"{instant.fal_url}/api/v1/models/requests/by-endpoint",
        params={"endpoint_id": "fal-ai/flux/schnell", "expand": "payloads"},
        headers=FAL_KEY,
    )
    respelled, bare = listed.json()["items"]
    assert "json_input" not in bare
    assert made.json()["request_id"] == respelled["request_id"]
    assert {"num_inference_steps", "num_images"} <= set(respelled["json_input"])
    page = await http.get(f"{instant.replicate_url}/v1/predictions", headers=REPLICATE_KEY)
    assert "num_outputs" in page.json()["results"][0]["input"]


async def test_the_book_lets_tests_count(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """POSTs, acceptances and nanos, per provider; per request the bill, the token and a digest of its input."""
    await order(http, instant, "refuse_input")
    for seed in (1, 1, 2):
        await create(
            http, instant, input={"seed": seed, "prompt": "x"}, webhook=f"{instant.url}/w/token-{seed}"
        )
    book = (await http.get(f"{instant.url}/admin/book")).json()
    replicate = book["providers"]["replicate"]
    assert (3, 2, 2) == (replicate["posts"], replicate["accepted"], replicate["billed_count"])
    assert replicate["billed_nanos"] == sum(row["bill_nanos"] for row in book["requests"])
    assert ["token-2", "token-1"] == [row["token"] for row in book["requests"]]
    assert ["token-1"] == [row["token"] for row in book["refused"]]
    assert book["requests"][1]["input_digest"] == book["refused"][0]["input_digest"]
    assert book["requests"][0]["input_digest"] != book["requests"][1]["input_digest"]
    assert input_digest({"prompt": "x", "seed": 2.0}) == book["requests"][0]["input_digest"]
