"""What-if reads what was paid page by page, and changes nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from service.app.price_files import amended
from service.catalog.loader import FOLDER
from service.core.pricing import Catalogs
from service.core.whatif import WhatIf, WhatIfAsk
from service.domain.catalog import Catalog
from service.domain.errors import FieldInvalid, ModelNotFound, Overloaded, ReportUnsupported, RouteNotFound
from service.domain.limits import whatif_page_rows
from service.domain.queries import PaidQuery
from service.domain.whatif import Change, PaidRender
from tests.support.memory_paid import MemoryPaid
from tests.unit.core.rig import CATALOG, PRICE, Rig

EVER = 2**60


@pytest.fixture
def rig() -> Rig:
    return Rig()


def whatif(
    rig: Rig, paid: MemoryPaid | None = None, renders_max: int = 1000, read: Callable[[Catalog, str], Catalog] = amended
) -> WhatIf:  # fmt: skip
    return WhatIf(paid or MemoryPaid(rig.store), Catalogs(CATALOG, rig.clock), read, renders_max)


def asked(change: Change = Change(model="flux-schnell"), **fields: object) -> WhatIfAsk:  # noqa: B008  # frozen
    return replace(WhatIfAsk(0, EVER, change), **fields)  # type: ignore[arg-type]  # by name


async def test_what_was_paid_is_priced_anew_and_nothing_is_written(rig: Rig) -> None:
    """Drawn pictures only: what came from the cache was not paid."""
    await rig.drawn("one")
    await rig.drawn("two", pin_provider="replicate")
    await rig.drawn("two", pin_provider="replicate")
    before = rig.store.tables.image()
    answer = await whatif(rig).ask(asked())
    assert before == rig.store.tables.image()
    rows = [(old, new, sums.renders, sums.expected_nanos) for old, new, sums in answer.comparison.rows]
    assert [
        (("test-ok", "fal", "test-ok"), ("flux-schnell", "fal", "flux-schnell"), 1, 3_000_000),
        (("test-ok", "replicate", "test-ok"), ("flux-schnell", "replicate", "flux-schnell"), 1, 3_000_000),
    ] == rows
    assert 2 * PRICE == answer.comparison.total.actual_nanos
    assert CATALOG.version == answer.catalog_version


async def test_filters_go_to_the_reader(rig: Rig) -> None:
    """Other projects, models and providers are not looked at."""
    await rig.drawn("one")
    for fields, count in (
        ({"projects": ("growth",)}, 1),
        ({"projects": ("ads",)}, 0),
        ({"models": ("test-ok",), "providers": ("fal",), "routes": ("test-ok",)}, 1),
        ({"providers": ("replicate",)}, 0),
        ({"operations": ("EDIT",)}, 0),
        ({"used_from": EVER - 1}, 0),
    ):
        assert count == (await whatif(rig).ask(asked(**fields))).comparison.total.renders


class ManyPaid(MemoryPaid):
    """So many paid renders, all alike."""

    def __init__(self, rig: Rig, one: PaidRender, count: int) -> None:
        super().__init__(rig.store)
        self._rows = [replace(one, attempt_id=f"a{number:06}", usage_at=number) for number in range(count)]

    async def paid(self, query: PaidQuery) -> tuple[PaidRender, ...]:
        self.pages += 1
        begin = 0 if query.after is None else query.after[0] + 1
        return tuple(self._rows[begin : begin + query.limit]) if query.provider == "fal" else ()


async def test_pages_are_read_until_the_last(rig: Rig) -> None:
    """Every row once; one more than allowed refuses the question."""
    await rig.drawn("one")
    (one,) = await MemoryPaid(rig.store).paid(PaidQuery("fal", 0, EVER, 1))
    count = 2 * whatif_page_rows + 1
    paid = ManyPaid(rig, one, count)
    answer = await whatif(rig, paid, renders_max=count).ask(asked())
    assert (count, 4) == (answer.comparison.total.renders, paid.pages)
    with pytest.raises(ReportUnsupported, match="more than 1000 pictures"):
        await whatif(rig, paid, renders_max=count - 1).ask(asked())


async def test_one_at_a_time(rig: Rig) -> None:
    """Another question is told to come again, and finds room when the first has ended."""
    gate = asyncio.Event()

    class Waiting(MemoryPaid):
        async def paid(self, query: PaidQuery) -> tuple[PaidRender, ...]:
            await gate.wait()
            return ()

    one = whatif(rig, Waiting(rig.store))
    first = asyncio.ensure_future(one.ask(asked()))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refusal:
        await one.ask(asked())
    assert refusal.value.retry_after_seconds
    gate.set()
    await first
    await one.ask(asked())


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        (Change(model="flux-9"), ModelNotFound, "change.model"),
        (Change(pin_provider="runpod"), RouteNotFound, "change.provider"),
        (Change(pin_provider="fal", pin_route="flux-9"), RouteNotFound, "change.route"),
        (Change(model="sdxl", pin_provider="fal"), RouteNotFound, "change.provider"),
        (Change(pin_route="flux-dev"), FieldInvalid, "change.provider"),
    ],
)
async def test_a_change_to_what_does_not_exist_is_refused(
    rig: Rig, change: Change, error: type[FieldInvalid], field: str
) -> None:
    """Before anything is read."""
    paid = MemoryPaid(rig.store)
    with pytest.raises(error) as refusal:
        await whatif(rig, paid).ask(asked(change))
    assert (field, 0) == (refusal.value.metadata["field"], paid.pages)


async def test_another_price_file_prices_its_models(rig: Rig) -> None:
    """The file takes the place of its models; others keep their prices. The answer names another version of the catalog."""
    await rig.drawn("one")
    text = (FOLDER / "test-models.yaml").read_text()
    dearer = text.replace('"0.01"', '"0.02"').replace(" 10000000", " 20000000")
    answer = await whatif(rig).ask(asked(Change(), catalog_text=dearer))
    assert 2 * PRICE == answer.comparison.total.expected_nanos
    assert CATALOG.version != answer.catalog_version
    other = await whatif(rig).ask(asked(Change(), catalog_text=(FOLDER / "flux-dev.yaml").read_text()))
    assert PRICE == other.comparison.total.expected_nanos


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model: x", "the file: revision: Field required"),
        ("- 1", "the file: file: Input should be a valid dictionary"),
        ("model: [", "the file: while parsing"),
        ("[" * 5000, "the file: is nested too deeply"),
        ("a: &a [*a]", "an alias to itself"),
        (
            "a: &a [x, x, x, x, x, x, x, x]\n"
            + "\n".join(
                f"{here}: &{here} [{', '.join([f'*{before}'] * 8)}]" for before, here in zip("abcdef", "bcdefg", strict=True)
            ),
            "has more than 50000 values",
        ),
        ("x" * (256 * 1024 + 1), "at most 262144 bytes"),
    ],
    ids=["fields", "list", "syntax", "deep", "endless", "bomb", "large"],
)  # fmt: skip
async def test_a_faulty_file_is_refused_with_every_fault(rig: Rig, text: str, problem: str) -> None:
    """Named by its place, and never a danger to the service."""
    with pytest.raises(FieldInvalid) as refusal:
        await whatif(rig).ask(asked(Change(), catalog_text=text))
    assert any(problem in one.text for one in refusal.value.violations), refusal.value.violations
    assert {"change.catalog_yaml"} == {one.field for one in refusal.value.violations}


async def test_a_file_that_clashes_with_the_catalog_is_refused(rig: Rig) -> None:
    """An alias of it may not mean another model."""
    text = (FOLDER / "sdxl.yaml").read_text().replace("[stable-diffusion-xl]", "[flux-dev]")
    with pytest.raises(FieldInvalid, match="flux-dev already means flux-dev"):
        await whatif(rig).ask(asked(Change(), catalog_text=text))
