"""What-if in the client and on the command line."""

import json
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from lightmeter import AsyncClient, FieldInvalid, Money
from lightmeter.v1 import drawing_pb2, errors_pb2
from lightmeter.v1 import ledger_service_pb2 as pb

from tests.client.fake_service import Script, money, refusal
from tests.client.test_cli import Run, run

__all__ = ["run"]


def answer() -> pb.WhatIfResponse:
    """Two renders that would be cheaper, one that the change cannot honour, and one that was pruned."""

    def figures(
        renders: int, unpriced: int, actual: int, kept: int, expected: int, ceiling: int
    ) -> pb.WhatIfFigures:
        return pb.WhatIfFigures(
            render_count=renders,
            unpriced_count=unpriced,
            actual=money(actual),
            actual_priced=money(kept),
            expected=money(expected),
            ceiling=money(ceiling),
        )

    old = {"model": "flux-dev", "provider": "fal", "route": "flux-dev"}
    new = {"new_model": "flux-schnell", "new_provider": "fal", "new_route": "flux-schnell"}
    cause = pb.WhatIfCause(
        reason=errors_pb2.ERROR_REASON_NO_ELIGIBLE_ROUTE,
        message="drawing.guidance: not supported",
        render_count=1,
    )
    return pb.WhatIfResponse(
        rows=[
            pb.WhatIfRow(**old, figures=figures(1, 1, 25_000_000, 0, 0, 0), causes=[cause]),
            pb.WhatIfRow(**old, **new, figures=figures(2, 0, 50_000_000, 50_000_000, 6_000_000, 9_000_000)),
        ],
        total=figures(3, 1, 75_000_000, 50_000_000, 6_000_000, 9_000_000),
        pruned_count=1,
        pruned_actual=money(25_000_000),
        catalog_version="abc",
    )


async def test_a_question_says_what_is_to_be_different_and_for_which_pictures(
    client: AsyncClient, script: Script
) -> None:
    """Every argument has its field."""
    script.on("WhatIf", answer())
    found = await client.what_if(
        model="flux-schnell",
        quality="low",
        pin="fal/flux-dev",
        prices="model: x",
        month="2026-10",
        from_models=["flux-dev"],
        projects=["growth"],
        providers=["fal"],
        routes=["flux-dev"],
        operations=["generate"],
    )
    (asked,) = script.asked["WhatIf"]
    assert asked.change == pb.WhatIfChange(
        model="flux-schnell",
        quality=drawing_pb2.QUALITY_LOW,
        provider="fal",
        route="flux-dev",
        catalog_yaml="model: x",
    )
    assert asked.filter == pb.CostFilter(
        projects=["growth"],
        models=["flux-dev"],
        providers=["fal"],
        routes=["flux-dev"],
        operations=[drawing_pb2.OPERATION_GENERATE],
    )
    assert (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)) == (
        asked.range.start_time.ToDatetime(UTC),
        asked.range.end_time.ToDatetime(UTC),
    )
    assert (Money(-44_000_000), 1, Money(25_000_000)) == (
        found.total.difference,
        found.pruned_count,
        found.pruned_actual,
    )
    assert ("NO_ELIGIBLE_ROUTE", 1) == (found.rows[0].causes[0].reason, found.rows[0].causes[0].render_count)
    assert pytest.approx(1 / 3) == found.total.unpriced_share


async def test_a_faulty_price_file_names_its_fault(client: AsyncClient, script: Script) -> None:
    """As every field does."""
    script.on(
        "WhatIf",
        refusal(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", metadata={"field": "change.catalog_yaml"}),
    )
    with pytest.raises(FieldInvalid) as refused:
        await client.what_if(prices="x")
    assert "change.catalog_yaml" == refused.value.metadata["field"]


async def test_the_command_shows_what_was_paid_and_what_it_would_have_cost(
    run: Run, script: Script, tmp_path: Path
) -> None:
    """A table by route, the share without a price, and why."""
    script.on("WhatIf", answer())
    path = tmp_path / "cheaper.yaml"
    path.write_text("model: x")
    result = await run(
        "whatif", "--month", "2026-10", "--from-model", "flux-dev", "--prices", str(path), "--pin", "fal"
    )
    assert 0 == result.exit_code, result.output
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert [
        ["drawn by", "would be", "renders", "paid", "would cost", "at most", "difference", "unpriced"],
        ["flux-dev at fal/flux-dev", "cannot be priced", "1", "$0.025", "-", "-", "-", "100 %"],
        [
            "flux-dev at fal/flux-dev",
            "flux-schnell at fal/flux-schnell",
            "2",
            "$0.05",
            "$0.006",
            "$0.009",
            "-$0.044",
            "0 %",
        ],
        ["total", "3", "$0.05", "$0.006", "$0.009", "-$0.044", "33 %"],
        ["flux-dev at fal: 1 cannot be priced: drawing.guidance: not supported"],
        ["1 renders for $0.025: their requests are not kept"],
    ] == cells
    assert "model: x" == script.asked["WhatIf"][0].change.catalog_yaml
    assert "abc" == json.loads((await run("whatif", "--model", "x", "--json")).stdout)["catalogVersion"]


async def test_the_command_says_when_there_is_nothing(run: Run, script: Script) -> None:
    """No empty table."""
    script.on("WhatIf", pb.WhatIfResponse())
    assert "nothing was drawn and paid in this range\n" == (await run("whatif", "--quality", "low")).stdout
