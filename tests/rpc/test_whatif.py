"""WhatIf on the wire: what may be asked, by whom, and how the answer reads."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from lightmeter.v1 import drawing_pb2, errors_pb2
from lightmeter.v1 import ledger_service_pb2 as pb

from service.catalog.loader import FOLDER
from service.domain.drawing import Drawing
from service.domain.fingerprint import content
from service.domain.limits import MICROS_PER_SECOND
from service.domain.routing import effective
from service.rpc.identity import Caller, Role
from tests.rpc.rig import CATALOG, Rig, opened, refused
from tests.support.orders import CEILING_NANOS, Orders, draw

HOUR = 3_600 * MICROS_PER_SECOND


class Ordinary:
    """Callers without the admin's role."""

    def identify(self, context: object) -> Caller:
        """Always the same."""
        return Caller("growth", Role.CALLER)


def at(micros: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(micros)
    return stamp


def span(rig: Rig, hours: int = 24, shift: int = 0) -> pb.TimeRange:
    """So many hours, the last of them the present one."""
    end = (rig.clock.now() // HOUR + 1) * HOUR + shift
    return pb.TimeRange(start_time=at(end - hours * HOUR), end_time=at(end))


def question(rig: Rig, *, hours: int = 24, shift: int = 0, **fields: Any) -> pb.WhatIfRequest:
    """By default: what if everything were drawn with flux-schnell."""
    change = fields.pop("change", pb.WhatIfChange(model="flux-schnell"))
    return pb.WhatIfRequest(range=span(rig, hours, shift), change=change, **fields)


async def paid(
    rig: Rig, subject: str, *, project: str = "growth", model: str = "flux-dev", **asked: Any
) -> None:
    """Let the store draw and charge a request."""
    known = CATALOG.resolve(model)
    drawing = effective(known, Drawing(model=model, prompt=subject, **asked))
    text = content(drawing, revision=known.revision)
    orders = Orders(rig.server._interceptor._dice)  # type: ignore[attr-defined]  # ids that differ from test to test
    await draw(rig.store, orders.accept(subject, project=project, scope=project, model=model, content=text))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with opened() as one:
        await paid(one, "a fox")
        await paid(one, "an owl")
        await paid(one, "a bee", project="ads", guidance=99)
        yield one


async def test_an_answer_has_rows_totals_and_causes(rig: Rig) -> None:
    """Paid and new amounts by route; why the rest cannot be priced."""
    found: pb.WhatIfResponse = await rig.books.WhatIf(question(rig), timeout=5)
    assert [
        ("flux-dev", "fal", "fal-one", "", ""),
        ("flux-dev", "fal", "fal-one", "flux-schnell", "fal"),
    ] == [(one.model, one.provider, one.route, one.new_model, one.new_provider) for one in found.rows]
    left, moved = found.rows
    assert (1, 1, 0) == (
        left.figures.render_count,
        left.figures.unpriced_count,
        left.figures.expected.amount_nanos,
    )
    (cause,) = left.causes
    assert (errors_pb2.ERROR_REASON_NO_ELIGIBLE_ROUTE, 1) == (cause.reason, cause.render_count)
    assert "drawing.guidance" in cause.message
    assert (2, 2 * CEILING_NANOS, 2 * CEILING_NANOS, 6_000_000, 6_000_000) == (
        moved.figures.render_count,
        moved.figures.actual.amount_nanos,
        moved.figures.actual_priced.amount_nanos,
        moved.figures.expected.amount_nanos,
        moved.figures.ceiling.amount_nanos,
    )
    assert (3, 1, 3 * CEILING_NANOS) == (
        found.total.render_count,
        found.total.unpriced_count,
        found.total.actual.amount_nanos,
    )
    assert (0, CATALOG.version) == (found.pruned_count, found.catalog_version)


async def test_a_filter_and_the_range_choose_the_pictures(rig: Rig) -> None:
    """By project, model, provider, route, operation and time."""
    generate, edit = drawing_pb2.OPERATION_GENERATE, drawing_pb2.OPERATION_EDIT
    for fields, count in (
        ({"filter": pb.CostFilter(projects=["growth"])}, 2),
        (
            {"filter": pb.CostFilter(projects=["growth", "ads"], models=["flux-dev"], operations=[generate])},
            3,
        ),
        ({"filter": pb.CostFilter(providers=["replicate"])}, 0),
        ({"filter": pb.CostFilter(routes=["fal-one"])}, 3),
        ({"filter": pb.CostFilter(operations=[edit])}, 0),
        ({"shift": -HOUR}, 0),
    ):
        found = await rig.books.WhatIf(question(rig, **fields), timeout=5)
        assert count == found.total.render_count, fields


async def test_a_price_file_prices_its_models(rig: Rig) -> None:
    """In place of the catalog's own prices."""
    await paid(rig, "a hare", model="test-ok")
    text = (FOLDER / "test-models.yaml").read_text()
    dearer = text.replace('"0.01"', '"0.02"').replace(" 10000000", " 20000000")
    found = await rig.books.WhatIf(question(rig, change=pb.WhatIfChange(catalog_yaml=dearer)), timeout=10)
    expected = {one.model: one.figures.expected.amount_nanos for one in found.rows if one.new_model}
    assert {"flux-dev": 2 * 25_000_000, "test-ok": 20_000_000} == expected
    assert CATALOG.version != found.catalog_version


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"change": pb.WhatIfChange()}, "FIELD_INVALID", "change"),
        ({"change": pb.WhatIfChange(route="flux-dev")}, "FIELD_INVALID", "change.provider"),
        ({"change": pb.WhatIfChange(quality=99)}, "FIELD_INVALID", "change.quality"),  # type: ignore[arg-type]  # no such one
        ({"change": pb.WhatIfChange(model="m" * 300)}, "FIELD_INVALID", "change.model"),
        ({"change": pb.WhatIfChange(model="flux-9")}, "MODEL_NOT_FOUND", "change.model"),
        ({"change": pb.WhatIfChange(provider="fal", route="x")}, "ROUTE_NOT_FOUND", "change.route"),
        ({"change": pb.WhatIfChange(catalog_yaml="model: x")}, "FIELD_INVALID", "change.catalog_yaml"),
        ({"change": pb.WhatIfChange(catalog_yaml="é" * 140_000)}, "FIELD_INVALID", "change.catalog_yaml"),
        ({"filter": pb.CostFilter(labels={"team": "ads"})}, "FIELD_INVALID", "filter.labels"),
        ({"filter": pb.CostFilter(evidences=[1])}, "FIELD_INVALID", "filter.evidences"),
        ({"shift": 1}, "FIELD_INVALID", "range.start_time"),
        ({"hours": 0}, "FIELD_INVALID", "range.end_time"),
        ({"hours": 745}, "REPORT_UNSUPPORTED", "range"),
    ],
    ids=lambda one: str(one)[:40],
)
async def test_what_cannot_be_answered_is_refused(
    rig: Rig, fields: dict[str, Any], reason: str, field: str
) -> None:
    """With the field that is to blame."""
    refusal = await refused(rig.books.WhatIf(question(rig, **fields), timeout=5))
    assert (f"ERROR_REASON_{reason}", field) == (refusal.reason, refusal.metadata["field"])


async def test_a_month_of_31_days_fits(rig: Rig) -> None:
    """The longest range."""
    assert 3 == (await rig.books.WhatIf(question(rig, hours=744), timeout=5)).total.render_count


async def test_everybody_sees_the_own_project_only() -> None:
    """Without asking for it too; other projects and price files are an admin's."""
    async with opened(callers=Ordinary()) as rig:
        await paid(rig, "a fox")
        await paid(rig, "a bee", project="ads")
        for chosen in ([], ["growth"]):
            found = await rig.books.WhatIf(question(rig, filter=pb.CostFilter(projects=chosen)), timeout=5)
            assert 1 == found.total.render_count
        for fields in (
            {"filter": pb.CostFilter(projects=["ads"])},
            {"change": pb.WhatIfChange(catalog_yaml="model: x")},
        ):
            refusal = await refused(rig.books.WhatIf(question(rig, **fields), timeout=5))
            assert "ERROR_REASON_ROLE_INSUFFICIENT" == refusal.reason
