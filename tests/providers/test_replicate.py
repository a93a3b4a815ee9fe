"""Replicate over the wire: headers and body of a create, and what the sandbox can make it do."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from service.domain.errors import Reason
from service.domain.exchange import Accepted, Ended, Order, Stage
from tests.providers.rig import REPLICATE_ENDPOINT, SDXL, TOKEN, Rig, make_replicate, order
from tests.support.clock import FakeClock

CLOCK = FakeClock()
DELIVERED = "https://replicate.delivery/xezq/a/out-0.webp"


async def sent(wanted: Order, **args: Any) -> httpx.Request:
    """The one request of a dispatch."""
    seen: list[httpx.Request] = []

    def play(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"id": "abc"})

    transport = httpx.MockTransport(play)
    provider = make_replicate("http://replicate.test", CLOCK, key="r8_secret", transport=transport, **args)
    assert Accepted("abc") == await provider.dispatch(wanted, CLOCK.monotonic() + 5)
    await provider.close()
    [request] = seen
    return request


async def test_a_create_ends_by_itself_and_carries_the_token_of_the_attempt() -> None:
    """Cancel-After covers queue and run; the webhook names the attempt and wants the end only; no Prefer."""
    request = await sent(order("replicate", REPLICATE_ENDPOINT), webhook_base_url="https://us.test")
    assert f"/v1/models/{REPLICATE_ENDPOINT}/predictions" == request.url.path
    assert ("660s", "Bearer r8_secret") == (request.headers["cancel-after"], request.headers["authorization"])
    assert "prefer" not in request.headers
    assert {
        "input": {"prompt": "a fox", "seed": 7},
        "webhook": f"https://us.test/webhooks/replicate/{TOKEN}",
        "webhook_events_filter": ["completed"],
    } == json.loads(request.content)


async def test_a_pinned_version_goes_to_the_other_route() -> None:
    """`owner/name:version` is created at /v1/predictions with that version."""
    request = await sent(order("replicate", SDXL))
    assert "/v1/predictions" == request.url.path
    assert {"input": {"prompt": "a fox", "seed": 7}, "version": SDXL} == json.loads(request.content)


async def test_the_input_goes_out_as_the_bytes_that_were_hashed() -> None:
    """Order of keys, spaces and escapes of the input are not touched."""
    body = b'{"z": 1.10,  "a": "\\u00e9"}'
    request = await sent(Order("replicate", REPLICATE_ENDPOINT, body, TOKEN, 1, 1))
    assert body in request.content
    assert "5s" == request.headers["cancel-after"]


@pytest.mark.parametrize("fault", ["null_version", "remapped", "dict_error", "old_metrics"])
async def test_odd_predictions_lose_nothing(replicate: Rig, fault: str) -> None:
    """A null or foreign version, older metrics, keys of another shape: accepted, followed, and read."""
    replicate.fault(fault)
    result = await replicate.provider.result(REPLICATE_ENDPOINT, await replicate.accepted())
    assert (Ended.SUCCEEDED, 1) == (result.ended, len(result.outputs))
    count = "image_count" if fault == "old_metrics" else "image_output_count"
    assert Decimal(1) == result.metrics[count]


async def test_moderation_drops_pictures_one_by_one_or_all(replicate: Rig) -> None:
    """Fewer pictures than asked for are fewer outputs; none is a refusal of the content."""
    replicate.fault("partial_moderation", dropped=1)
    some = await replicate.provider.result(REPLICATE_ENDPOINT, await replicate.accepted(num_outputs=3))
    assert 2 == len(some.outputs)
    replicate.fault("flag_content")
    none = await replicate.provider.result(REPLICATE_ENDPOINT, await replicate.accepted())
    assert none.failure is not None
    assert (Ended.FAILED, Reason.CONTENT_REJECTED) == (none.ended, none.failure.reason)


async def test_a_stuck_prediction_ends_at_replicate_by_itself(replicate: Rig) -> None:
    """Cancel-After is obeyed without us: queue and run limits over, the prediction is aborted, and free."""
    replicate.fault("stuck")
    provider_id = await replicate.accepted()
    assert Stage.QUEUED is (await replicate.provider.poll(REPLICATE_ENDPOINT, provider_id)).stage
    replicate.sandbox.world.clock.advance(661)
    async with asyncio.timeout(5):
        while (await replicate.provider.poll(REPLICATE_ENDPOINT, provider_id)).stage is not Stage.ENDED:
            pass  # the sandbox's task wakes up between two looks
    result = await replicate.provider.result(REPLICATE_ENDPOINT, provider_id)
    assert (Ended.ABORTED, True) == (result.ended, result.surely_unbilled)


async def test_models_priced_by_time_may_charge_for_a_failure(replicate: Rig) -> None:
    """A pinned version is priced by time: a failed run of it is not surely free."""
    replicate.fault("fail_run", error="Prediction timed out")
    result = await replicate.provider.result(SDXL, await replicate.accepted(endpoint=SDXL))
    assert (Ended.FAILED, False) == (result.ended, result.surely_unbilled)


async def test_missing_metrics_are_empty(replicate: Rig) -> None:
    """The adapter passes on what is there and invents nothing."""
    replicate.fault("bill_missing")
    assert {} == (await replicate.provider.result(REPLICATE_ENDPOINT, await replicate.accepted())).metrics
