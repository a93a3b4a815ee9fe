"""Every route of the catalog, drawn for real at the sandbox: the pictures come, and what is charged is what was billed."""

from typing import Any

import pytest
from lightmeter import AspectRatio, Drawing, Job, Money

from sandbox import Sandbox
from service.catalog.loader import load_catalog
from tests.support.replica import WAIT_SECONDS_MAX, Replica, billed_nanos

ROUTES = [
    (model.name, route.provider, route.name)
    for model in load_catalog(sandbox=False).models.values()
    for route in model.routes
]
UNITS_WITHOUT_A_PRICE = {("fal", "flux-2-pro"), ("fal", "flux-2-pro-edit")}
ASKED: dict[str, dict[str, Any]] = {
    "nano-banana-2": {"size": AspectRatio(16, 9, "two_k")},
    "seedream-4": {"extra": {"max_images": 3}},
    "gpt-image-2": {"quality": "medium"},
}


async def drawn(replica: Replica, model: str, pin: str, *, edits: bool) -> Job:
    """A picture by this route; an edit starts from one that was drawn before."""
    client = replica.client()
    ask = Drawing(model=model, prompt="a fox in snow", **ASKED.get(model, {}))
    if not edits:
        return await client.generate(ask, pin=pin, timeout=WAIT_SECONDS_MAX)
    first = await client.generate(
        Drawing(model="flux-schnell", prompt="a fox"), pin="replicate", timeout=WAIT_SECONDS_MAX
    )
    return await client.edit(ask, first.assets[0], pin=pin, timeout=WAIT_SECONDS_MAX)


@pytest.mark.parametrize(("model", "provider", "route"), ROUTES, ids=["/".join(one) for one in ROUTES])
async def test_a_route_draws_and_is_charged_what_it_billed(
    embedded: Replica, sandbox: Sandbox, model: str, provider: str, route: str
) -> None:
    """By its own evidence, within its hold; where the evidence has no price, as estimated."""
    known = next(one for one in await embedded.client().models() if one.name == model)
    edits = "GENERATE" not in known.operations or route.endswith("-edit")
    job = await drawn(embedded, model, f"{provider}/{route}", edits=edits)
    first = 3_000_000 if edits else 0
    assert Money(billed_nanos(sandbox) - first) == job.receipt.charged
    (attempt,) = job.receipt.attempts
    assert (provider, route) == (attempt.provider, attempt.route)
    unpriced = (provider, route) in UNITS_WITHOUT_A_PRICE
    assert ("ESTIMATE" if unpriced else "BILLED_UNITS") == job.receipt.evidence
    assert job.assets
    if model == "seedream-4":
        assert len(job.assets) * 30_000_000 == job.receipt.charged.nanos
