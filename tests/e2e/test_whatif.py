"""What-if from end to end: pictures are drawn and billed by the sandbox, then priced anew."""

import pytest
from lightmeter import Drawing, FieldInvalid, Money

from service.catalog.loader import FOLDER
from tests.e2e.test_calls import WAIT_SECONDS_MAX
from tests.support.replica import Replica


async def test_what_was_paid_is_compared_with_another_model(embedded: Replica) -> None:
    """The cached repetition was not paid; a request that the other model cannot honour says why."""
    client = embedded.client()
    for _ in range(2):
        await client.generate(Drawing(model="flux-dev", prompt="a fox"), timeout=WAIT_SECONDS_MAX)
    await client.generate(
        Drawing(model="nano-banana-2", prompt="an owl", size="16:9", image_count=2), timeout=WAIT_SECONDS_MAX
    )
    found = await client.what_if(model="flux-schnell")
    priced, total = {one.model: one.figures for one in found.rows}, found.total
    assert (Money(25_000_000), Money(3_000_000)) == (
        priced["flux-dev"].actual_priced,
        priced["flux-dev"].expected,
    )
    assert (Money(160_000_000), Money(6_000_000)) == (
        priced["nano-banana-2"].actual_priced,
        priced["nano-banana-2"].expected,
    )
    assert (2, 0, Money(9_000_000)) == (total.render_count, total.unpriced_count, total.expected)
    square = await client.what_if(model="nano-banana-2", from_models=["flux-dev"])
    assert (1, 1) == (square.total.render_count, square.total.unpriced_count)
    assert "drawing.size" in square.rows[0].causes[0].message


async def test_another_price_file_is_tried_without_being_installed(embedded: Replica) -> None:
    """Its prices count for the question alone; a faulty one is named by its place."""
    client = embedded.client()
    await client.generate(Drawing(model="test-ok", prompt="a fox"), timeout=WAIT_SECONDS_MAX)
    text = (FOLDER / "test-models.yaml").read_text()
    dearer = text.replace('"0.01"', '"0.02"').replace(" 10000000", " 20000000")
    assert Money(20_000_000) == (await client.what_if(prices=dearer)).total.expected
    with pytest.raises(FieldInvalid) as refused:
        await client.what_if(prices=text.replace('"0.01"', "0.01"))
    assert "is a float" in str(refused.value)
    quote = await client.quote(Drawing(model="test-ok", prompt="a bear"))
    assert Money(10_000_000) == quote.expected
