"""fal over the wire: headers of a submit, addresses, uploads, and what the sandbox can make it do."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import fal_client
import fal_client.client as package
import httpx
import pytest

from service.domain.errors import Reason
from service.domain.exchange import Accepted, Ended, Stage
from service.domain.failure import ProviderUnavailable
from tests.providers.rig import FAL_ENDPOINT, TOKEN, Rig, make_fal, order
from tests.providers.wire_server import WireServer, http
from tests.support.clock import FakeClock

CLOCK = FakeClock()
OWN = {"x-fal-request-id": "abc"}


async def test_the_submit_says_what_protects_the_bill() -> None:
    """Start deadline, no substitute model, files kept two days, token in the webhook, input unchanged; and
    the queue's own repeats are left on.
    """
    seen: list[httpx.Request] = []

    def play(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"request_id": "abc"})

    transport = httpx.MockTransport(play)
    provider = make_fal(
        "http://fal.test", CLOCK, key="id:secret", webhook_base_url="https://us.test/", transport=transport
    )
    wanted = order("fal", FAL_ENDPOINT)
    await provider.dispatch(wanted, CLOCK.monotonic() + 5)
    await provider.close()
    [request] = seen
    assert ("POST", f"/queue/{FAL_ENDPOINT}", wanted.body) == (
        request.method,
        request.url.path,
        request.content,
    )
    hook = parse_qs(urlsplit(str(request.url)).query)["fal_webhook"]
    assert [f"https://us.test/webhooks/fal/{TOKEN}"] == hook
    assert "Key id:secret" == request.headers["authorization"]
    assert "600" == request.headers["x-fal-request-timeout"]
    assert "true" == request.headers["x-app-fal-disable-fallback"]
    kept = json.loads(request.headers["x-fal-object-lifecycle-preference"])
    assert {"expiration_duration_seconds": 172_800} == kept
    assert "x-fal-no-retry" not in request.headers
    assert "x-fal-store-io" not in request.headers


async def test_a_request_is_asked_for_at_owner_and_app_only() -> None:
    """Status, result and cancel addresses drop the endpoint's path, keep a namespace, and escape the id."""
    seen: list[str] = []

    def play(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx.Response(202, json={"status": "IN_QUEUE"})

    provider = make_fal("http://fal.test", CLOCK, transport=httpx.MockTransport(play))
    await provider.poll("fal-ai/flux/dev/image-to-image", "abc")
    await provider.poll("workflows/me/mine/deep", "abc")
    await provider.cancel(FAL_ENDPOINT, "a/../b?c")
    await provider.close()
    assert [
        "GET /queue/fal-ai/flux/requests/abc/status?logs=1",
        "GET /queue/workflows/me/mine/requests/abc/status?logs=1",
        "PUT /queue/fal-ai/flux/requests/a%2F..%2Fb%3Fc/cancel",
    ] == seen


async def test_a_deep_queue_shows_its_position(fal: Rig) -> None:
    """The position at the acceptance is read; equal ids make no alias."""
    fal.fault("deep_queue", position=12_654)
    deep = await fal.send()
    assert isinstance(deep, Accepted)
    assert ((), 12_654) == (deep.aliases, deep.queue_position)


async def test_flagged_pictures_come_with_their_flag_and_their_bill(fal: Rig) -> None:
    """flux delivers and bills what it flags; the flag is on the output that it belongs to."""
    fal.fault("flag_content", at=[1])
    result = await fal.provider.result(FAL_ENDPOINT, await fal.accepted(num_images=2))
    assert [False, True] == [output.flagged for output in result.outputs]
    assert result.billable_units is not None


async def test_a_missing_bill_is_none_and_a_zero_is_zero(fal: Rig) -> None:
    """The adapter passes on what the header says and decides nothing."""
    fal.fault("bill_missing")
    assert (await fal.provider.result(FAL_ENDPOINT, await fal.accepted())).billable_units is None
    fal.fault("bill_zero")
    assert Decimal(0) == (await fal.provider.result(FAL_ENDPOINT, await fal.accepted())).billable_units


async def test_a_gateway_error_on_the_result_does_not_hide_the_picture(fal: Rig) -> None:
    """500 without the request's mark is unavailable; the next look has the pictures."""
    fal.fault("status", code=500, on="result", count=1)
    provider_id = await fal.accepted()
    with pytest.raises(ProviderUnavailable):
        await fal.provider.result(FAL_ENDPOINT, provider_id)
    assert (await fal.provider.result(FAL_ENDPOINT, provider_id)).outputs


async def test_invalid_input_is_found_out_at_the_result(fal: Rig) -> None:
    """fal accepts first and judges the input later: FAILED, the caller's matter, and perhaps billed."""
    result = await fal.provider.result(FAL_ENDPOINT, await fal.accepted(num_inference_steps=9_999))
    assert result.failure is not None
    assert (Ended.FAILED, Reason.PROVIDER_REJECTED_INPUT, False) == (
        result.ended,
        result.failure.reason,
        result.surely_unbilled,
    )


async def test_missing_logs_do_not_stop_a_poll(fal: Rig) -> None:
    """A status without the key logs is read like any other."""
    fal.fault("missing_logs_key")
    assert Stage.ENDED is (await fal.provider.poll(FAL_ENDPOINT, await fal.accepted())).stage


async def test_uploads_send_what_the_package_sends() -> None:
    """Token and picture: the same requests, in the headers that count, as fal-client makes them; the key goes
    to the REST host only.
    """
    token = {
        "token": "t",
        "token_type": "Bearer",
        "base_url": "http://x.test",
        "expires_at": "2099-01-01T00:00Z",
    }
    answers = {
        "/rest/storage/auth/token": http("200 OK", json.dumps(token).encode()),
        "/files/upload": http("200 OK", b'{"access_url": "https://v3.fal.media/files/b/x.png"}'),
    }
    async with WireServer(answers) as server:
        provider = make_fal(server.url, CLOCK, key="id:secret")
        ours = await provider.upload(b"png", "image/png")
        await provider.close()
        before = package.REST_URL, package.CDN_URL
        package.REST_URL, package.CDN_URL = f"{server.url}/rest", server.url
        try:
            client = fal_client.AsyncClient(key="id:secret")
            settings = fal_client.StorageSettings(expires_in="1d")
            theirs = await client.upload(b"png", "image/png", lifecycle=settings)
            await (await client._client).aclose()
        finally:
            package.REST_URL, package.CDN_URL = before
        shown = [essence_of(head) for head in server.heads]
    assert ("https://v3.fal.media/files/b/x.png", ours) == (ours, theirs)
    assert shown[:2] == shown[2:]
    assert ["Key id:secret", "Bearer t"] == [one["authorization"] for one in shown[:2]]


def essence_of(head: str) -> dict[str, str]:
    """Request line and the headers that mean something to fal."""
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    names = ("content-type", "content-length", "x-fal-object-lifecycle")
    kept = {name: headers.get(name, "") for name in names}
    authorization = next(line for line in lines if line.lower().startswith("authorization: "))
    return {"line": first, "authorization": authorization.partition(": ")[2], **kept}


async def test_a_cancelled_request_with_billed_units_is_not_free() -> None:
    """The bill is better evidence than a status without an inference time."""
    body = {"detail": "Request was cancelled by the client", "error_type": "client_cancelled"}
    for units, free in (("1", False), ("0", True), (None, True)):

        def play(request: httpx.Request, units: str | None = units) -> httpx.Response:
            if request.url.path.endswith("/status"):
                return httpx.Response(200, json={"status": "COMPLETED", "metrics": {}, "logs": []})
            headers = {**OWN, **({} if units is None else {"x-fal-billable-units": units})}
            return httpx.Response(499, json=body, headers=headers)

        provider = make_fal("http://fal.test", CLOCK, transport=httpx.MockTransport(play))
        result = await provider.result(FAL_ENDPOINT, "abc")
        assert (Ended.CANCELLED, free) == (result.ended, result.surely_unbilled)
        await provider.close()
