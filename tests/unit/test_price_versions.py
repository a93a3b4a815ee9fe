"""Versions of a price in a catalog file: which one counts on a day, and how a faulty one is named."""

from pathlib import Path

import pytest

from service.catalog.loader import FOLDER, CatalogInvalid, load_catalog

ANNOUNCED = """    other_prices:
      - rule_id: replicate/flux-kontext-pro
        kind: per_image
        rule: {price_usd: "0.05"}
        source_uri: https://replicate.com/black-forest-labs/flux-kontext-pro
        read_on: 2026-11-21
        effective_on: 2027-01-01
        currency: USD
        summary: 0.05 USD per output image.
        examples:
          - words: one edited picture
            ask: {inputs: ["2000x1500"]}
            expected_nanos: 50000000
            ceiling_nanos: 50000000
            source: "replicate.com: announced for January"
"""


def with_announced(folder: Path, *changes: tuple[str, str]) -> Path:
    """A catalog of one model, whose last route's price will change."""
    text = (FOLDER / "flux-kontext-pro.yaml").read_text() + ANNOUNCED
    for old, new in changes:
        assert old in text
        text = new.join(text.rsplit(old, 1))
    (folder / "flux-kontext-pro.yaml").write_text(text)
    return folder


def test_a_price_has_versions_and_the_day_decides_which_counts(tmp_path: Path) -> None:
    """Before its day an announced version changes nothing; a day before the first version counts as its day."""
    catalog = load_catalog(sandbox=True, folder=with_announced(tmp_path))
    found = []
    for day in ("2020-01-01", "2026-11-21", "2026-12-31", "2027-01-01", "2030-06-30"):
        route = catalog.priced_on(day).resolve("flux-kontext-pro").routes[1]
        assert route.price is not None
        found.append((route.price.effective_on, route.price_summary, route.cost_examples[0][1]))
    old = ("2026-11-21", "0.04 USD per output image.", 40_000_000)
    new = ("2027-01-01", "0.05 USD per output image.", 50_000_000)
    assert [old, old, old, new, new] == found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([("effective_on: 2027-01-01", "effective_on: 2026-11-21")], "two versions count from the same day"),
        ([("effective_on: 2027-01-01", "effective_on: soon")], "routes.1.other_prices.0.effective_on: Input should be"),
        ([('price_usd: "0.05"', "price_usd: 0.05")], "0.05 is a float"),
        ([('price_usd: "0.05"', 'price: "0.05"')], "routes.1.other_prices.0.rule: no per_image rule: unknown: price"),
        ([("kind: per_image", "kind: monthly")], "routes.1.other_prices.0.rule: no monthly rule"),
        ([("ceiling_nanos: 50000000", "ceiling_nanos: 1")], "routes.1.other_prices.0.examples.0.ceiling_nanos: 1, but"),
        ([("currency: USD", "currency: EUR")], "routes.1.other_prices.0.currency: Input should be 'USD'"),
        ([("    other_prices:\n      - rule_id", "    other_prices: []\n    old:\n      - rule_id")], "routes.1.old: Extra"),
    ],
)  # fmt: skip
def test_a_faulty_version_keeps_the_catalog_from_loading_and_is_named(
    tmp_path: Path, changes: list[tuple[str, str]], problem: str
) -> None:
    """A version is checked like the price beside it, and named by its place."""
    with pytest.raises(CatalogInvalid) as caught:
        load_catalog(sandbox=True, folder=with_announced(tmp_path, *changes))
    assert any(problem in one for one in caught.value.problems), caught.value.problems


def test_a_version_needs_a_price_beside_it(tmp_path: Path) -> None:
    """What counts today is never only among the others."""
    text = (FOLDER / "flux-kontext-pro.yaml").read_text()
    begin = text.rindex("    price:\n")
    (tmp_path / "flux-kontext-pro.yaml").write_text(text[:begin] + ANNOUNCED)
    with pytest.raises(CatalogInvalid, match=r"routes\.1\.other_prices: needs a price beside it"):
        load_catalog(sandbox=True, folder=tmp_path)
