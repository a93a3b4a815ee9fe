"""Jobs, renders and attempts as the store would show them."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from service.domain.drawing import Dimensions, Drawing, Size
from service.domain.fingerprint import content
from service.domain.price import BilledUnit, PriceAsk, PriceSnapshot
from service.domain.price_rules import PerImage
from service.domain.records import (
    Asset,
    AssetState,
    Attempt,
    AttemptState,
    Grade,
    Job,
    JobState,
    Origin,
    Render,
    RenderAsset,
    RenderState,
    Transfer,
    TransferKind,
)
from service.domain.view import JobView

T0 = 1_767_225_600_000_000  # 2026-01-01T00:00Z
SECOND = 1_000_000
JOB_ID = "0193f0aa-0000-7000-8000-000000000001"
SHA = "ab" * 32
PRICE_NANOS = 40_000_000

DRAWING = Drawing(
    model="flux-1.1-pro", prompt="a fox in snow", size=Size(dimensions=Dimensions(1024, 1024)), seed=7
)

PRICE = (
    PriceSnapshot(
        rule_id="fal/flux-1.1-pro",
        version="v1",
        source_uri="https://fal.ai/models/fal-ai/flux-pro/v1.1",
        effective_on="2026-01-01",
        rule=PerImage(Decimal("0.04")),
        billed_unit=BilledUnit("images", Decimal("0.04")),
    )
    .frozen_for(PriceAsk(image_count=1, width_px=1024, height_px=1024))
    .to_json()
)

ASSET = Asset(
    sha256=SHA,
    extension="png",
    mime_type="image/png",
    size_bytes=3,
    width_px=1024,
    height_px=1024,
    has_alpha=False,
    average_color="#102030",
    state=AssetState.PRESENT,
    seen_at=T0,
)


def job(**changes: Any) -> Job:
    """A waiting job of the project `default`."""
    return replace(
        Job(
            id=JOB_ID,
            project="default",
            request_id="banner-1",
            request_digest="a.b.c",
            render_id="render-1",
            origin=Origin.PROVIDER,
            state=JobState.QUEUED,
            version=1,
            operation="GENERATE",
            model="flux-1.1-pro",
            image_count=1,
            fingerprint="cd" * 32,
            avoided_nanos=None,
            max_cost_nanos=None,
            deadline_at=None,
            accepted_at=T0,
            final_at=None,
            labels=(("team", "growth"),),
            options="{}",
            failure=None,
        ),
        **changes,
    )


def render(**changes: Any) -> Render:
    """A render at work."""
    return replace(
        Render(
            id="render-1",
            project="default",
            scope="default",
            fingerprint="cd" * 32,
            state=RenderState.RUNNING,
            version=3,
            joinable=True,
            cancel_requested_at=None,
            owner="replica-1",
            fence=1,
            next_step_at=T0,
            operation="GENERATE",
            model="flux-1.1-pro",
            image_count=1,
            plan='{"routes": [], "fresh_micros": null}',
            content=content(DRAWING, revision="1"),
            progress="{}",
            created_at=T0,
            finished_at=None,
            fresh_until=None,
        ),
        **changes,
    )


def attempt(**changes: Any) -> Attempt:
    """An accepted attempt whose hold is open."""
    return replace(
        Attempt(
            id="attempt-1",
            render_id="render-1",
            number=1,
            payer_job=JOB_ID,
            project="default",
            provider="fal",
            route="flux-1.1-pro",
            endpoint="fal-ai/flux-pro/v1.1",
            state=AttemptState.ACCEPTED,
            version=3,
            token="t" * 32,
            price=PRICE,
            hold_nanos=PRICE_NANOS,
            hold_open=True,
            ordinal=0,
            settled_nanos=None,
            grade=Grade.NONE,
            units="",
            usage_at=T0,
            provider_id="fal-1",
            seed_sent=7,
            dispatched_at=T0 + SECOND,
            accepted_at=T0 + 2 * SECOND,
        ),
        **changes,
    )


def settled(**changes: Any) -> Attempt:
    """The attempt after its result: 2 s in the queue, 5 s of drawing, one picture billed."""
    told = {"outputs": [{"url": "x", "flagged": False}], "seed": 11, "billable_units": "1", "metrics": {}}
    after = attempt(
        state=AttemptState.SUCCEEDED,
        version=5,
        hold_open=False,
        ordinal=1,
        settled_nanos=PRICE_NANOS,
        grade=Grade.BILLED_UNITS,
        units="1 images",
        ended_at=T0 + 9 * SECOND,
        queue_seconds=2.0,
        run_seconds=5.0,
        result=json.dumps(told),
    )
    return replace(after, **changes)


def running_view(**changes: Any) -> JobView:
    """A job that is being drawn."""
    return JobView(
        job(**changes), render(progress='{"fraction": 0.6, "last_log": "step 3"}'), (attempt(),), ()
    )


def done_view(origin: Origin = Origin.PROVIDER, **changes: Any) -> JobView:
    """A job that has its picture; for another origin than PROVIDER somebody else paid."""
    final = {"state": JobState.SUCCEEDED, "version": 7, "final_at": T0 + 10 * SECOND, "origin": origin}
    if origin is not Origin.PROVIDER:
        final["avoided_nanos"] = PRICE_NANOS
    if origin is Origin.CACHE:
        final |= {"accepted_at": T0 + 60 * SECOND, "final_at": T0 + 60 * SECOND, "version": 1}
    after = render(
        state=RenderState.SUCCEEDED,
        finished_at=T0 + 10 * SECOND,
        progress='{"download_seconds": 0.5, "store_seconds": 0.25}',
    )
    paid = settled() if origin is Origin.PROVIDER else settled(payer_job="another-job")
    return JobView(job(**final | changes), after, (paid,), ((RenderAsset("render-1", 0, SHA, False), ASSET),))


def transfer(**changes: Any) -> Transfer:
    """The post of the attempt."""
    return replace(
        Transfer(
            source="attempt-1",
            ordinal=1,
            kind=TransferKind.POST,
            debit="project:default",
            credit="provider:fal",
            amount_nanos=PRICE_NANOS,
            total_after_nanos=PRICE_NANOS,
            grade=Grade.BILLED_UNITS,
            evidence_ref="fal-1",
            units="1 images",
            price_version="fal/flux-1.1-pro@v1",
            list_price_nanos=PRICE_NANOS,
            discount_nanos=0,
            project="default",
            model="flux-1.1-pro",
            provider="fal",
            route="flux-1.1-pro",
            operation="GENERATE",
            job_id=JOB_ID,
            render_id="render-1",
            attempt_number=1,
            usage_at=T0,
            booked_at=T0 + 9 * SECOND,
        ),
        **changes,
    )
