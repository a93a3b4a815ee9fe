"""Webhook signatures: the published vectors, and what a forger may try."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.webhooks import fal_signature, replicate_signature
from service.domain.exchange import WebhookNotice
from service.domain.failure import ProviderUnavailable, WebhookForged
from service.providers.fal_webhooks import FalWebhooks
from service.providers.replicate_webhooks import ReplicateWebhooks, secret_of
from service.providers.webhook_keys import KeptKeys
from tests.providers.books_rig import fal_books
from tests.providers.internet import Internet
from tests.support.clock import FakeClock

JWKS = ".well-known/jwks.json"
SECRET_PATH = "v1/webhooks/default/secret"
FAL_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
FAL_SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
FAL_BODY = b'{"request_id":"req-1","status":"OK","payload":{}}'
FAL_TIME = 1700000000
FAL_HEADERS = {
    "x-fal-webhook-request-id": "req-1",
    "x-fal-webhook-user-id": "user-1",
    "x-fal-webhook-timestamp": str(FAL_TIME),
    "x-fal-webhook-signature": "d4348b4e0c4243ea3462ba3f632b6dfe9b712064b43b702d0b021d81f3efad38"
    "56fd1ad761558c5ab1b1ec95dc0bd78bf2d18c3e21edc81a41b93079650ba007",
}
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_TIME = 1614265330
STANDARD_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STANDARD_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def at(seconds: int) -> FakeClock:
    """A clock that stands at this Unix time."""
    return FakeClock(seconds * 1_000_000)


def fal(*keys: Any) -> tuple[FalWebhooks, Internet]:
    """fal's check with this key set, in November 2023."""
    internet = Internet(**{JWKS: httpx.Response(200, json={"keys": list(keys)})})
    return FalWebhooks(at(FAL_TIME), transport=internet), internet


def replicate(key: Any = STANDARD_SECRET) -> ReplicateWebhooks:
    """Replicate's check with this secret, in February 2021."""
    internet = Internet(**{SECRET_PATH: httpx.Response(200, json={"key": key})})
    return ReplicateWebhooks("token", at(STANDARD_TIME), transport=internet)


def standard(signature: str, body: bytes = STANDARD_BODY) -> tuple[Mapping[str, str], bytes]:
    """The published message with this signature header."""
    headers = {
        "webhook-id": STANDARD_ID,
        "webhook-timestamp": str(STANDARD_TIME),
        "webhook-signature": signature,
    }
    return headers, body


async def kind_of(check: FalWebhooks | ReplicateWebhooks, headers: Mapping[str, str], body: bytes) -> str:
    """How it is refused."""
    with pytest.raises(WebhookForged) as refused:
        await check.check(headers, body)
    return refused.value.kind


async def test_fals_vector_passes() -> None:
    """Made with the key of RFC 8032's first test, by fal's documented construction; one bit of anything else and it does not."""
    check, _ = fal({"x": FAL_X})
    assert WebhookNotice("req-1") == await check.check(FAL_HEADERS, FAL_BODY)
    for name in ("x-fal-webhook-request-id", "x-fal-webhook-user-id"):
        assert "bad_signature" == await kind_of(check, {**FAL_HEADERS, name: "other"}, FAL_BODY)
    moved = {**FAL_HEADERS, "x-fal-webhook-timestamp": str(FAL_TIME + 1)}
    assert "bad_signature" == await kind_of(check, moved, FAL_BODY)
    assert "bad_signature" == await kind_of(check, FAL_HEADERS, FAL_BODY + b"\n")
    await check.close()


async def test_the_standard_webhooks_vector_passes() -> None:
    """The published signature fits the published message: it is refused for its body only, which is about no prediction."""
    check = replicate()
    assert "malformed_body" == await kind_of(check, *standard(STANDARD_SIGNATURE))
    assert "bad_signature" == await kind_of(check, *standard(STANDARD_SIGNATURE, STANDARD_BODY + b" "))
    await check.close()


async def test_every_key_of_the_set_is_tried_and_odd_ones_are_passed_over() -> None:
    """Other kinds, other lengths, no text, no base64: none of them hides the right one."""
    odd = [
        None,
        7,
        {},
        {"x": None},
        {"x": "\u00e4"},
        {"x": "AAAA"},
        {"kty": "RSA", "n": "x"},
        {"x": "A" * 43},
    ]
    check, _ = fal(*odd, {"x": FAL_X})
    assert WebhookNotice("req-1") == await check.check(FAL_HEADERS, FAL_BODY)
    await check.close()


@pytest.mark.parametrize("keys", [[], [{"x": "AAAA"}]], ids=["none", "unusable"])
async def test_a_key_set_without_a_key_is_no_verdict(keys: list[Any]) -> None:
    """Unavailable: the webhook may be right."""
    check, _ = fal(*keys)
    with pytest.raises(ProviderUnavailable):
        await check.check(FAL_HEADERS, FAL_BODY)
    await check.close()


@pytest.mark.parametrize("signature", ["zz" * 64, "00", "00" * 63, "00" * 65, "0x" + "00" * 63])
async def test_a_signature_that_is_none_asks_for_no_key(signature: str) -> None:
    """Refused before anything is fetched, and without telling the key to anybody."""
    check, internet = fal({"x": FAL_X})
    odd = {**FAL_HEADERS, "x-fal-webhook-signature": signature}
    assert ("bad_signature", []) == (await kind_of(check, odd, FAL_BODY), internet.requests)
    await check.close()


async def test_fals_keys_are_fetched_without_a_key_of_ours() -> None:
    """They are public; nothing secret goes there."""
    check, internet = fal({"x": FAL_X})
    await check.check(FAL_HEADERS, FAL_BODY)
    assert "https://rest.fal.ai/.well-known/jwks.json" == str(internet.requests[0].url)
    assert "authorization" not in internet.requests[0].headers
    await check.close()


async def test_a_forger_cannot_make_us_fetch_keys() -> None:
    """A thousand wrong signatures in one minute cost one fetch beside the first."""
    check, internet = fal({"x": FAL_X})
    wrong = {**FAL_HEADERS, "x-fal-webhook-signature": "00" * 64}
    for _ in range(1_000):
        assert "bad_signature" == await kind_of(check, wrong, FAL_BODY)
    assert 1 == len(internet.requests)
    await check.close()


async def test_both_of_fals_ids_are_told() -> None:
    """The one that was submitted comes first: it can be asked for."""
    async with fal_books() as books:
        came = await books.delivered("gateway_webhook")
        notice = await books.check.check(came.headers, came.body)
        assert (books.entries[0].id, (json.loads(came.body)["request_id"],)) == (
            notice.provider_id,
            notice.aliases,
        )
        assert notice.aliases != (notice.provider_id,)


async def test_a_gateway_id_alone_is_enough() -> None:
    """And so is a request id alone; an unusable one beside it does not count."""
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(FAL_SEED))
    check, _ = fal({"x": FAL_X})
    for body, expected in (
        (b'{"gateway_request_id":"g-1"}', WebhookNotice("g-1")),
        (b'{"request_id":"r-1","gateway_request_id":null}', WebhookNotice("r-1")),
        (b'{"request_id":"r-1","gateway_request_id":"../x"}', WebhookNotice("r-1")),
        (b'{"request_id":"r-1","gateway_request_id":"r-1"}', WebhookNotice("r-1")),
    ):
        signature = fal_signature(key, "req-1", "user-1", FAL_TIME, body)
        assert expected == await check.check({**FAL_HEADERS, "x-fal-webhook-signature": signature}, body)
    await check.close()


async def test_any_right_signature_of_several_suffices() -> None:
    """During a change of secrets there are two; unreadable ones before the right one do not hide it."""
    check = replicate()
    body = b'{"id":"abc"}'
    right = replicate_signature(STANDARD_SECRET, STANDARD_ID, STANDARD_TIME, body)
    for text in (f"v1,!!! v1 v1, {right}", f"v1a,x {right} v1,AAAA", f"v2,AAAA  {right}"):
        assert WebhookNotice("abc") == await check.check(*standard(text, body))
    await check.close()


async def test_other_schemes_do_not_count() -> None:
    """The right bytes under another version are a wrong signature; so are too many signatures before it."""
    check = replicate()
    body = b'{"id":"abc"}'
    right = replicate_signature(STANDARD_SECRET, STANDARD_ID, STANDARD_TIME, body)
    bare = right.partition(",")[2]
    for text in (f"v2,{bare}", f"V1,{bare}", bare, f",{bare}", f"v1{bare}", f"v1, {bare}"):
        assert "bad_signature" == await kind_of(check, *standard(text, body))
    assert "bad_signature" == await kind_of(check, *standard("v1,AAAA " * 16 + right, body))
    assert "malformed_header" == await kind_of(check, *standard("v1,AAAA " * 1_000 + right, body))
    assert "malformed_header" == await kind_of(check, *standard("v1,\u00e4", body))
    await check.close()


@pytest.mark.parametrize(
    "key", [None, 7, "", "whsec_", "foo_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!"]
)
async def test_a_secret_that_is_none_verifies_nothing(key: Any) -> None:
    """Not even what was signed with nothing: unavailable."""
    check = replicate(key)
    empty = base64.b64encode(hmac.digest(b"", f"{STANDARD_ID}.{STANDARD_TIME}.".encode(), "sha256")).decode()
    with pytest.raises(ProviderUnavailable):
        await check.check(*standard(f"v1,{empty}", b""))
    assert secret_of(key) is None
    await check.close()


async def test_who_holds_older_keys_gets_the_newer_ones_that_are_there() -> None:
    """Fetched meanwhile by another check, they cost nothing and wait for no pace."""
    clock = at(FAL_TIME)
    fetched: list[int] = []

    async def fetch() -> str:
        fetched.append(1)
        return f"keys {len(fetched)}"

    kept = KeptKeys("fal", clock, fetch)
    old = await kept.current()
    assert await kept.newer(old) is None
    clock.advance(61)
    assert ["keys 2", "keys 2"] == [await kept.newer(old), await kept.newer(old)]
    assert "keys 2" == await kept.current()
    assert 2 == len(fetched)
