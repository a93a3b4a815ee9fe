"""Bills follow the public price pages, to the nano-dollar."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from sandbox import Sandbox
from tests.sandbox.conftest import FAL_KEY, REPLICATE_KEY
from tests.sandbox.test_fal_queue import submit
from tests.sandbox.test_replicate_api import get


@pytest.mark.parametrize(
    ("endpoint", "inputs", "units", "nanos"),
    [
        ("fal-ai/flux/schnell", {}, "1", 3_000_000),
        ("fal-ai/flux/schnell", {"image_size": "square_hd", "num_images": 4}, "4", 12_000_000),
        ("fal-ai/flux/schnell", {"image_size": {"width": 1025, "height": 1024}}, "2", 6_000_000),
        ("fal-ai/flux/dev", {"image_size": {"width": 2048, "height": 2048}}, "4", 100_000_000),
        ("fal-ai/flux-pro/v1.1", {}, "1", 40_000_000),
        ("fal-ai/nano-banana", {"num_images": 2}, "2", 78_000_000),
        # 1,024 x 768 at high is 0.145; one prompt token of 0.000005 rounds up to the next 0.0001.
        ("openai/gpt-image-2", {}, "0.1451", 145_100_000),
        ("openai/gpt-image-2", {"quality": "low", "image_size": "square_hd"}, "0.0061", 6_100_000),
        ("openai/gpt-image-2", {"quality": "auto", "num_images": 2}, "0.2901", 290_100_000),
        ("openai/gpt-image-2", {"image_size": {"width": 3840, "height": 2160}}, "0.4011", 401_100_000),
        # Halfway in pixels between 1,024 x 768 and 1,024 x 1,024: halfway between their prices.
        ("openai/gpt-image-2", {"image_size": {"width": 1024, "height": 896}}, "0.1781", 178_100_000),
    ],
)
async def test_fal_bills_units(
    instant: Sandbox, http: httpx.AsyncClient, endpoint: str, inputs: dict[str, Any], units: str, nanos: int
) -> None:
    """Megapixels are rounded up per picture; gpt-image-2 is metered in dollars, rounded up to 0.0001."""
    made = await submit(http, instant, endpoint, **inputs)
    result = await http.get(made.json()["response_url"], headers=FAL_KEY)
    assert units == result.headers["x-fal-billable-units"]
    assert nanos == instant.world.book.totals["fal"].billed_nanos
    price = Decimal(instant.world.fal[endpoint].unit_price)
    assert nanos == Decimal(units) * price * 10**9


async def test_seedream_bills_every_picture_of_a_series(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Up to num_images times max_images come out, each for 0.03."""
    made = await submit(
        http, instant, "fal-ai/bytedance/seedream/v4/text-to-image", num_images=2, max_images=6
    )
    result = await http.get(made.json()["response_url"], headers=FAL_KEY)
    count = len(result.json()["images"])
    assert 2 <= count <= 12
    assert (str(count), count * 30_000_000) == (
        result.headers["x-fal-billable-units"],
        instant.world.book.totals["fal"].billed_nanos,
    )


async def test_an_edit_pays_for_its_input_pictures(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """Image-to-image is billed by its output, of the input's size; gpt-image-2 meters the input too."""
    source = await submit(http, instant, image_size="square_hd")
    url = (await http.get(source.json()["response_url"], headers=FAL_KEY)).json()["images"][0]["url"]
    before = instant.world.book.totals["fal"].billed_nanos
    await submit(http, instant, "fal-ai/flux/dev/image-to-image", image_url=url)
    after = instant.world.book.totals["fal"].billed_nanos
    assert 30_000_000 == after - before
    await submit(http, instant, "openai/gpt-image-2/edit", image_urls=[url], quality="low")
    # 0.006 for the picture, 1,024 patches at 0.000008, one prompt token.
    assert 14_200_000 == instant.world.book.totals["fal"].billed_nanos - after


@pytest.mark.parametrize(
    ("model", "inputs", "nanos"),
    [
        ("black-forest-labs/flux-schnell", {"num_outputs": 4}, 12_000_000),
        ("black-forest-labs/flux-dev", {}, 25_000_000),
        ("black-forest-labs/flux-1.1-pro", {}, 40_000_000),
        ("openai/gpt-image-2", {"quality": "low", "number_of_images": 3}, 36_000_000),
        ("openai/gpt-image-2", {"quality": "medium"}, 47_000_000),
        ("openai/gpt-image-2", {}, 128_000_000),
        ("bytedance/seedream-4", {}, 30_000_000),
    ],
)
async def test_replicate_bills_outputs(
    instant: Sandbox, http: httpx.AsyncClient, model: str, inputs: dict[str, Any], nanos: int
) -> None:
    """Price per output image times image_output_count; quality left out is `auto`, at the high price."""
    made = await http.post(
        f"{instant.replicate_url}/v1/models/{model}/predictions",
        json={"input": {"prompt": "x", **inputs}},
        headers=REPLICATE_KEY,
    )
    body = await get(http, made)
    assert nanos == instant.world.book.totals["replicate"].billed_nanos
    outputs = [body["output"]] if isinstance(body["output"], str) else body["output"]
    assert len(outputs) == body["metrics"]["image_output_count"]


async def test_sdxl_bills_its_seconds(instant: Sandbox, http: httpx.AsyncClient) -> None:
    """A time-priced model costs predict_time at the L40S rate, rounded to a nano-dollar."""
    version = instant.world.replicate["stability-ai/sdxl"].version
    made = await http.post(
        f"{instant.replicate_url}/v1/predictions",
        json={"version": version, "input": {"prompt": "x"}},
        headers=REPLICATE_KEY,
    )
    seconds = Decimal(str((await get(http, made))["metrics"]["predict_time"]))
    exact = seconds * Decimal("0.000975") * 10**9
    assert abs(exact - instant.world.book.totals["replicate"].billed_nanos) <= Decimal("0.5")
    assert seconds > 1
