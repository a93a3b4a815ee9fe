"""Webhooks: signed as documented, retried, repeated, forged, late or lost."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from replicate.webhook import Webhooks, WebhookSigningSecret, WebhookValidationError

from sandbox import Sandbox
from sandbox.webhooks import fal_signature, replicate_signature
from tests.sandbox.conftest import FAL_KEY, REPLICATE_KEY, Start
from tests.sandbox.receiver import Delivery, Receiver
from tests.sandbox.test_replicate_api import create

SCHNELL = "fal-ai/flux/schnell"


def test_fals_signature_is_the_documented_one() -> None:
    """A vector made with the key of RFC 8032's first test."""
    key = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    body = b'{"request_id":"req-1","status":"OK","payload":{}}'
    assert (
        "d4348b4e0c4243ea3462ba3f632b6dfe9b712064b43b702d0b021d81f3efad38"
        "56fd1ad761558c5ab1b1ec95dc0bd78bf2d18c3e21edc81a41b93079650ba007"
    ) == fal_signature(key, "req-1", "user-1", 1700000000, body)


def test_replicates_signature_is_the_standard_one() -> None:
    """The vector of the Standard Webhooks libraries."""
    assert "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" == replicate_signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )


async def fal_submit(
    http: httpx.AsyncClient, sandbox: Sandbox, hook: str, endpoint: str = SCHNELL, **inputs: Any
) -> httpx.Response:
    """Submit with a webhook."""
    return await http.post(
        f"{sandbox.fal_url}/queue/{endpoint}",
        params={"fal_webhook": hook},
        json={"prompt": "x", **inputs},
        headers=FAL_KEY,
    )


async def fal_verifies(http: httpx.AsyncClient, sandbox: Sandbox, delivery: Delivery) -> bool:
    """Whether any published key made this signature."""
    keys = (await http.get(f"{sandbox.fal_url}/rest/.well-known/jwks.json")).json()["keys"]
    heads = delivery.headers
    lines = [heads[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")]
    message = "\n".join([*lines, hashlib.sha256(delivery.body).hexdigest()]).encode()
    for key in keys:
        public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))
        try:
            public.verify(bytes.fromhex(heads["x-fal-webhook-signature"]), message)
        except InvalidSignature:
            continue
        return True
    return False


async def replicate_verifies(http: httpx.AsyncClient, sandbox: Sandbox, delivery: Delivery) -> bool:
    """Whether the official package accepts it."""
    answer = await http.get(f"{sandbox.replicate_url}/v1/webhooks/default/secret", headers=REPLICATE_KEY)
    secret = WebhookSigningSecret(key=answer.json()["key"])
    try:
        Webhooks.validate(headers=delivery.headers, body=delivery.body.decode(), secret=secret)
    except WebhookValidationError:
        return False
    return True


async def test_fal_tells_of_success_and_of_failure(
    instant: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """OK with the output, ERROR with the model's detail; signed by one of several keys; tokens are booked."""
    await fal_submit(http, instant, f"{receiver.url}/webhooks/fal/token-1")
    good = await receiver.next()
    await fal_submit(http, instant, f"{receiver.url}/webhooks/fal/token-2", num_images=9)
    bad = await receiver.next()
    assert "/webhooks/fal/token-1" == good.path
    assert ("OK", 1) == (json.loads(good.body)["status"], len(json.loads(good.body)["payload"]["images"]))
    failed = json.loads(bad.body)
    assert ("ERROR", "Invalid status code: 422") == (failed["status"], failed["error"])
    assert "less_than_equal" == failed["payload"]["detail"][0]["type"]
    assert await fal_verifies(http, instant, good)
    assert not await fal_verifies(http, instant, Delivery(good.path, good.headers, bad.body))
    rows = (await http.get(f"{instant.url}/admin/book")).json()["requests"]
    assert ["token-2", "token-1"] == [row["token"] for row in rows]


async def test_replicate_sends_the_events_that_were_asked_for(
    start: Start, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """start, logs, output, completed as filtered; the body is the prediction, signed as documented."""
    sandbox = await start(speed=20)
    hook = {"webhook": f"{receiver.url}/hook"}
    await create(
        http, sandbox, "openai/gpt-image-2", **hook, webhook_events_filter=["start", "logs", "completed"]
    )
    seen = [await receiver.next()]
    while json.loads(seen[-1].body)["status"] not in ("succeeded", "failed"):
        seen.append(await receiver.next())
    statuses = [json.loads(one.body)["status"] for one in seen]
    assert ("processing", "succeeded") == (statuses[0], statuses[-1])
    assert len(seen) > 2
    assert [True] * len(seen) == [await replicate_verifies(http, sandbox, one) for one in seen]
    unfiltered = await start(instant=True)
    await create(http, unfiltered, **hook)
    assert 2 == len({(await receiver.next()).headers["webhook-id"] for _ in range(2)})


@pytest.mark.parametrize("provider", ["fal", "replicate"])
async def test_a_refused_delivery_is_sent_again(
    instant: Sandbox, http: httpx.AsyncClient, receiver: Receiver, provider: str
) -> None:
    """After 500 and 404 it comes again, under the same id; after a redirect it does not."""
    receiver.answers = [500, 404]
    if provider == "fal":
        await fal_submit(http, instant, receiver.url)
    else:
        await create(http, instant, webhook=receiver.url, webhook_events_filter=["completed"])
    seen: list[Delivery] = []
    while len(seen) < 3:
        if receiver.waiting:
            seen.append(await receiver.next())
        instant.world.clock.advance(5)
        await asyncio.sleep(0.001)
    assert 1 == len({one.body for one in seen})
    ids = {one.headers.get("webhook-id") or one.headers["x-fal-webhook-request-id"] for one in seen}
    assert 1 == len(ids)
    receiver.answers = [302]
    await fal_submit(http, instant, receiver.url)
    await receiver.next()
    for _ in range(5):
        instant.world.clock.advance(600)
        await asyncio.sleep(0.001)
    assert 0 == receiver.waiting


async def test_webhooks_are_forged_repeated_late_stale_empty_and_lost(
    instant: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """Each fault on a webhook does what it says."""
    board = instant.world.faults
    board.order({"kind": "forge_webhook"})
    await fal_submit(http, instant, receiver.url)
    forged, right = await receiver.next(), await receiver.next()
    assert [False, True] == [await fal_verifies(http, instant, one) for one in (forged, right)]
    board.order({"kind": "forge_webhook", "args": {"only": True}})
    await create(http, instant, webhook=receiver.url, webhook_events_filter=["completed"])
    assert not await replicate_verifies(http, instant, await receiver.next())
    board.order({"kind": "repeat_webhook", "args": {"copies": 2}})
    await fal_submit(http, instant, receiver.url)
    assert 1 == len({(await receiver.next()).body for _ in range(3)})
    board.order({"kind": "stale_webhook"})
    await fal_submit(http, instant, receiver.url)
    stale = await receiver.next()
    now = instant.world.clock.real_unix_seconds()
    assert now - 700 < int(stale.headers["x-fal-webhook-timestamp"]) < now - 500
    board.order({"kind": "null_payload_webhook"})
    await fal_submit(http, instant, receiver.url)
    assert {"payload": None}.items() <= json.loads((await receiver.next()).body).items()
    board.order({"kind": "null_payload_webhook"})
    await fal_submit(http, instant, receiver.url, "sandbox/test-fails")
    unspeakable = json.loads((await receiver.next()).body)
    assert ("ERROR", None, True) == (
        unspeakable["status"],
        unspeakable["payload"],
        "payload_error" in unspeakable,
    )
    board.order({"kind": "lose_webhook"})
    await fal_submit(http, instant, receiver.url)
    board.order({"kind": "delay_webhook", "args": {"seconds": 30}})
    late = (await fal_submit(http, instant, receiver.url)).json()["request_id"]
    await asyncio.sleep(0.02)
    assert 0 == receiver.waiting
    instant.world.clock.advance(31)
    assert late == json.loads((await receiver.next()).body)["request_id"]


async def test_nothing_is_sent_beyond_loopback(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """A webhook to another host is dropped, and an input picture from there is refused."""
    await fal_submit(http, instant, "http://192.0.2.1/hook")
    edit = await fal_submit(
        http, instant, "http://192.0.2.1/hook", "fal-ai/flux-pro/kontext", image_url="http://192.0.2.1/a.png"
    )
    result = await http.get(edit.json()["response_url"], headers=FAL_KEY)
    assert "file_download_error" == result.json()["detail"][0]["type"]
    assert 0 == instant.world.book.totals["fal"].webhooks_sent


async def in_time(sandbox: Sandbox, receiver: Receiver) -> Delivery:
    """The delivery that comes when enough of the sandbox's time has passed."""
    async with asyncio.timeout(5):
        while not receiver.waiting:
            sandbox.world.clock.advance(5)
            await asyncio.sleep(0.001)
        return await receiver.next()


async def test_webhooks_are_replayed_truncated_huge_and_stray(
    instant: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """Each comes before or after the right one, and does what its fault says."""
    board = instant.world.faults
    hook = f"{receiver.url}/webhooks/fal/token"
    board.order({"kind": "replay_webhook", "args": {"seconds": 100}})
    await fal_submit(http, instant, hook)
    first = await receiver.next()
    assert first == await in_time(instant, receiver)
    board.order({"kind": "truncate_webhook", "args": {"signed": True}})
    await fal_submit(http, instant, hook)
    half, whole = await receiver.next(), await receiver.next()
    assert (True, True) == (whole.body.startswith(half.body), await fal_verifies(http, instant, half))
    board.order({"kind": "truncate_webhook", "args": {"signed": False, "only": True}})
    await fal_submit(http, instant, hook)
    assert not await fal_verifies(http, instant, await receiver.next())
    board.order({"kind": "truncate_webhook", "args": {"cut": True}})
    await fal_submit(http, instant, hook)
    cut, whole = await receiver.next(), await receiver.next()
    assert int(cut.headers["content-length"]) == len(whole.body) > len(cut.body) > 0
    board.order({"kind": "huge_webhook", "args": {"bytes": 3_000_000, "only": True}})
    await fal_submit(http, instant, hook)
    huge = await receiver.next()
    assert (3_000_000, True) == (len(huge.body), await fal_verifies(http, instant, huge))
    board.order({"kind": "stray_webhook"})
    made = (await fal_submit(http, instant, hook)).json()["request_id"]
    stray, right = await receiver.next(), await receiver.next()
    assert await fal_verifies(http, instant, stray)
    assert (True, False) == (right.path == hook.removeprefix(receiver.url), stray.path == right.path)
    assert made == json.loads(right.body)["request_id"] != json.loads(stray.body)["request_id"]
    board.order({"kind": "stray_webhook", "args": {"same_token": True}})
    await fal_submit(http, instant, hook)
    assert (await receiver.next()).path == (await receiver.next()).path
    assert 0 == receiver.waiting


async def test_events_change_places(instant: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """Only the events that are named come late: the output after the end."""
    instant.world.faults.order({"kind": "delay_webhook", "args": {"seconds": 60, "event": "output"}})
    await create(http, instant, webhook=receiver.url)
    completed = await receiver.next()
    output = await in_time(instant, receiver)
    assert ("completed", "output") == tuple(
        one.headers["webhook-id"].rpartition("_")[2] for one in (completed, output)
    )


async def test_webhooks_are_sent_by_hand(
    instant: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """About any request, as old, as large, as broken and as forged as somebody wants; nowhere but to loopback."""

    async def send(**wish: Any) -> httpx.Response:
        return await http.post(f"{instant.url}/admin/webhooks", json=wish)

    receiver.answers = [418]
    sent = await send(provider="fal", url=receiver.url, request_id="who", age_seconds=400, bytes=5_000)
    assert {"answer": 418} == sent.json()
    came = await receiver.next()
    assert ("who", 5_000) == (json.loads(came.body)["request_id"], len(came.body))
    assert int(came.headers["x-fal-webhook-timestamp"]) <= instant.world.clock.real_unix_seconds() - 400
    assert await fal_verifies(http, instant, came)
    await send(provider="replicate", url=receiver.url, body="no JSON", event="start")
    came = await receiver.next()
    assert (b"no JSON", True) == (came.body, await replicate_verifies(http, instant, came))
    await send(provider="replicate", url=receiver.url, forged=True)
    assert not await replicate_verifies(http, instant, await receiver.next())
    await send(provider="fal", url=receiver.url, truncated=True)
    assert not await fal_verifies(http, instant, await receiver.next())
    for wish in (
        {"provider": "fal", "url": "http://192.0.2.1/"},
        {"provider": "other", "url": receiver.url},
        {"provider": "fal"},
        {"provider": "fal", "url": receiver.url, "colour": "red"},
    ):
        assert 400 == (await send(**wish)).status_code
    assert 0 == receiver.waiting


async def test_keys_change_when_told(instant: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """After a rotation the old signatures fit no more, the new ones fit the published keys, and there may be none to be had."""
    jwks = f"{instant.fal_url}/rest/.well-known/jwks.json"
    secret = f"{instant.replicate_url}/v1/webhooks/default/secret"
    await fal_submit(http, instant, receiver.url)
    await create(http, instant, webhook=receiver.url, webhook_events_filter=["completed"])
    old = {
        "x-fal-webhook-user-id" in one.headers: one for one in [await receiver.next(), await receiver.next()]
    }
    before = (await http.get(secret, headers=REPLICATE_KEY)).json()
    assert 200 == (await http.post(f"{instant.url}/admin/webhooks/rotate")).status_code
    assert not await fal_verifies(http, instant, old[True])
    assert not await replicate_verifies(http, instant, old[False])
    assert before != (await http.get(secret, headers=REPLICATE_KEY)).json()
    await fal_submit(http, instant, receiver.url)
    assert await fal_verifies(http, instant, await receiver.next())
    board = instant.world.faults
    board.order({"kind": "list_unavailable", "endpoint": "jwks", "args": {"code": 429, "retry_after": 9}})
    board.order({"kind": "list_unavailable", "endpoint": "webhook-secret"})
    limited = await http.get(jwks)
    assert (429, "9") == (limited.status_code, limited.headers["retry-after"])
    assert 503 == (await http.get(secret, headers=REPLICATE_KEY)).status_code
