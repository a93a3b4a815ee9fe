"""Prices before and after the drawing: every kind of rule against worked examples."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.drawing import Quality, Resolution
from service.domain.money import NANOS_MAX
from service.domain.price import BilledUnit, Certainty, PriceAsk, PriceSnapshot, UsageEvidence
from service.domain.price_data import RULE_KINDS
from service.domain.price_rules import (
    Free,
    GpuSeconds,
    MegapixelRounding,
    PerImage,
    PerImageByResolution,
    PerMegapixel,
    Rule,
    RunPlusMegapixels,
    Tier,
    Unpriced,
)
from service.domain.price_tables import (
    AreaTokens,
    Cell,
    InputTokens,
    QualityFactor,
    Row,
    SizeQualityTable,
    Tokens,
)

D = Decimal
BINARY, DECIMAL, EXACT = MegapixelRounding.UP_BINARY, MegapixelRounding.UP_DECIMAL, MegapixelRounding.EXACT
KNOWN, LIKELY, CEILING, UNKNOWN = Certainty

SCHNELL = PerMegapixel(D("0.003"), BINARY)
WARY = PerMegapixel(D("0.003"), BINARY, ceiling_rounding=DECIMAL, auto_pixels_max=4_000_000)
FLUX_2_PRO = PerMegapixel(D("0.015"), BINARY, first_usd=D("0.03"), inputs_count=True)
REPLICATE_FLUX_2_PRO = RunPlusMegapixels(D("0.015"), D("0.015"), D("0.015"), BINARY)
BANANA_2 = PerImageByResolution(
    (
        Tier(Resolution.HALF_K, D("0.06"), 512 * 512),
        Tier(Resolution.ONE_K, D("0.08"), 1024 * 1024),
        Tier(Resolution.TWO_K, D("0.12"), 2048 * 2048),
        Tier(Resolution.FOUR_K, D("0.16")),
    )
)
SDXL = GpuSeconds("gpu-l40s", D("0.000975"), typical_seconds=D(5))


def cells(low: str, medium: str, high: str) -> tuple[Cell, ...]:
    return (Cell(Quality.LOW, D(low)), Cell(Quality.MEDIUM, D(medium)), Cell(Quality.HIGH, D(high)))


TABLE = SizeQualityTable(
    (
        Row(cells(".011", ".042", ".167"), 1024, 1024),
        Row(cells(".016", ".063", ".25"), 1024, 1536),
    )
)
UNEVEN = SizeQualityTable(
    (Row(cells(".01", ".06", ".22"), 1000, 1000), Row(cells(".01", ".05", ".17"), 1000, 1500))
)
REPLICATE_GPT = SizeQualityTable(
    (
        Row(
            (*cells(".012", ".047", ".128"), Cell(Quality.AUTO, D(".128"))),
        ),
    )
)
GPT_TOKENS = InputTokens(D(5), D(8), image_tokens_max=1536, magnified_edge_px=1024, per_output=True)
GPT_FORMULA = AreaTokens(
    (QualityFactor(Quality.LOW, 16), QualityFactor(Quality.MEDIUM, 48), QualityFactor(Quality.HIGH, 96)),
    2_000_000,
    4_000_000,
    D(30),
)
EDITS = SizeQualityTable(TABLE.rows, input_tokens=GPT_TOKENS, round_up_usd=D("0.0001"))
COMPUTED = SizeQualityTable(TABLE.rows, formula=GPT_FORMULA)
TOKENS = Tokens(
    GPT_TOKENS,
    image_output_usd=D(30),
    output_tokens_typical=1000,
    output_tokens_max=5000,
    cached_text_input_usd=D("1.25"),
    metrics={
        "token_input_count": "text_input",
        "token_cached_count": "cached_text_input",
        "token_output_count": "image_output",
    },
)


def ask(
    width_px: int | None = None,
    height_px: int | None = None,
    count: int = 1,
    quality: Quality | None = None,
    resolution: Resolution | None = None,
    inputs: tuple[tuple[int, int], ...] = (),
    letters: int = 0,
) -> PriceAsk:
    return PriceAsk(count, width_px, height_px, quality, resolution, inputs, 60, letters, letters)


def snapshot(rule: Rule, unit: BilledUnit | None = None, *, estimated: bool = False) -> PriceSnapshot:
    return PriceSnapshot("rule", "1", "https://example.invalid", "2026-11-21", rule, unit, estimated)


# rule, ask, expected nanos, ceiling nanos, certainty
ESTIMATES: list[tuple[str, Rule, PriceAsk, int | None, int | None, Certainty]] = [
    ("free", Free(), ask(), 0, 0, KNOWN),
    ("unpriced", Unpriced(D("0.5")), ask(count=4), 500_000_000, 500_000_000, CEILING),
    ("image", PerImage(D("0.04")), ask(), 40_000_000, 40_000_000, KNOWN),
    ("images", PerImage(D("0.003")), ask(count=4), 12_000_000, 12_000_000, KNOWN),
    # fal's examples for flux-2-pro: 512x512 is one megapixel, 1024x1024 one, 1920x1080 two.
    ("mp small", SCHNELL, ask(512, 512), 3_000_000, 3_000_000, KNOWN),
    ("mp 1024", SCHNELL, ask(1024, 1024), 3_000_000, 3_000_000, KNOWN),
    ("mp over", SCHNELL, ask(1025, 1024), 6_000_000, 6_000_000, KNOWN),
    ("mp count", SCHNELL, ask(1920, 1080, 3), 18_000_000, 18_000_000, KNOWN),
    ("mp auto unknown", SCHNELL, ask(), None, None, UNKNOWN),
    ("mp wary", WARY, ask(1024, 1024), 3_000_000, 6_000_000, LIKELY),
    ("mp wary agrees", WARY, ask(1000, 1000), 3_000_000, 3_000_000, KNOWN),
    ("mp auto ceiling", WARY, ask(), 12_000_000, 12_000_000, CEILING),
    ("mp decimal", PerMegapixel(D("0.003"), DECIMAL), ask(1024, 1024), 6_000_000, 6_000_000, KNOWN),
    ("mp exact", PerMegapixel(D("0.003"), EXACT), ask(1024, 1024), 3_145_728, 3_145_728, KNOWN),
    ("first mp", FLUX_2_PRO, ask(1024, 1024), 30_000_000, 30_000_000, KNOWN),
    ("further mp", FLUX_2_PRO, ask(1920, 1080), 45_000_000, 45_000_000, KNOWN),
    ("input mp", FLUX_2_PRO, ask(1024, 1024, inputs=((1920, 1080),)), 60_000_000, 60_000_000, KNOWN),
    ("run", REPLICATE_FLUX_2_PRO, ask(1024, 1024), 30_000_000, 30_000_000, KNOWN),
    ("run in", REPLICATE_FLUX_2_PRO, ask(1024, 1024, inputs=((64, 64),)), 45_000_000, 45_000_000, KNOWN),
    ("run auto", REPLICATE_FLUX_2_PRO, ask(), None, None, UNKNOWN),
    ("tier", BANANA_2, ask(resolution=Resolution.TWO_K), 120_000_000, 120_000_000, KNOWN),
    ("tier by size", BANANA_2, ask(1024, 1025), 120_000_000, 120_000_000, KNOWN),
    ("tier too large", BANANA_2, ask(4096, 4096), 160_000_000, 160_000_000, CEILING),
    ("tier auto", BANANA_2, ask(count=2), 320_000_000, 320_000_000, CEILING),
    (
        "tier default",
        PerImageByResolution(BANANA_2.tiers, Resolution.ONE_K),
        ask(),
        80_000_000,
        80_000_000,
        KNOWN,
    ),
    ("seconds", SDXL, ask(), 4_875_000, 58_500_000, LIKELY),
    ("cell", TABLE, ask(1024, 1024, quality=Quality.LOW), 11_000_000, 11_000_000, KNOWN),
    ("cell lying", TABLE, ask(1536, 1024, quality=Quality.HIGH), 250_000_000, 250_000_000, KNOWN),
    ("nearest larger", TABLE, ask(1100, 1100, quality=Quality.LOW), 16_000_000, 16_000_000, LIKELY),
    ("below all", TABLE, ask(512, 512, quality=Quality.LOW), 11_000_000, 11_000_000, KNOWN),
    ("above all", TABLE, ask(4000, 4000, quality=Quality.LOW), 16_000_000, 16_000_000, KNOWN),
    ("auto quality", TABLE, ask(1024, 1024), 167_000_000, 167_000_000, CEILING),
    ("auto size", TABLE, ask(quality=Quality.MEDIUM), 63_000_000, 63_000_000, CEILING),
    ("auto both", TABLE, ask(count=2), 500_000_000, 500_000_000, CEILING),
    ("no such quality", TABLE, ask(1024, 1024, quality=Quality.MAX), None, None, UNKNOWN),
    ("uneven", UNEVEN, ask(1100, 1100, quality=Quality.HIGH), 170_000_000, 220_000_000, LIKELY),
    ("priced auto", REPLICATE_GPT, ask(), 128_000_000, 128_000_000, KNOWN),
    ("any size", REPLICATE_GPT, ask(9999, 1, quality=Quality.LOW), 12_000_000, 12_000_000, KNOWN),
    # 4 tokens expected and 14 possible at 5 USD a million, rounded up to 0.0001.
    ("words", EDITS, ask(1024, 1024, quality=Quality.LOW, letters=14), 11_100_000, 11_100_000, LIKELY),
    # 1,024 patches, at most 1,536 tokens, at 8 USD a million.
    (
        "edit",
        EDITS,
        ask(1024, 1024, quality=Quality.LOW, inputs=((1024, 1024),)),
        19_200_000,
        23_300_000,
        LIKELY,
    ),
    # Enlarged to 1024 at most twice: 256x256 counts as 512x512, 256 patches; twice, for two outputs.
    (
        "small input",
        EDITS,
        ask(1024, 1024, 2, Quality.LOW, inputs=((256, 256),)),
        26_100_000,
        46_600_000,
        LIKELY,
    ),
    ("auto edit", EDITS, ask(inputs=((1024, 1024),)), 262_300_000, 262_300_000, CEILING),
    # OpenAI's calculator at high quality: 1792x1024 has 5,063 tokens, 2048x2048 has 14,272.
    ("formula", COMPUTED, ask(1792, 1024, quality=Quality.HIGH), 151_890_000, 250_000_000, LIKELY),
    ("formula dear", COMPUTED, ask(2048, 2048, quality=Quality.HIGH), 428_160_000, 428_160_000, KNOWN),
    ("formula auto", COMPUTED, ask(2048, 2048), 428_160_000, 428_160_000, CEILING),
    ("tokens", TOKENS, ask(letters=400), 30_500_000, 152_000_000, LIKELY),
]


@pytest.mark.parametrize(
    ("rule", "asked", "expected", "ceiling", "certainty"),
    [one[1:] for one in ESTIMATES],
    ids=[one[0] for one in ESTIMATES],
)
def test_worked_examples_of_estimates(
    rule: Rule, asked: PriceAsk, expected: int | None, ceiling: int | None, certainty: Certainty
) -> None:
    """Every kind of rule, to the nano-dollar; what is not known is said."""
    estimate = snapshot(rule).estimate(asked)
    assert (expected, ceiling, certainty) == (
        estimate.expected_nanos,
        estimate.ceiling_nanos,
        estimate.certainty,
    )
    assert (estimate.expected_nanos or 0) == sum(one.amount_nanos for one in estimate.lines)


def test_the_formula_gives_the_token_counts_of_openais_calculator() -> None:
    """7,024, 5,488, 5,063 and 12,329 tokens at high quality, at 30 USD a million."""
    sizes = {(1024, 1024): 7024, (1536, 1024): 5488, (1792, 1024): 5063, (3584, 2048): 12329}
    prices = {size: GPT_FORMULA.price_usd(ask(*size), Quality.HIGH) for size in sizes}
    assert {size: D(tokens) * 30 / 1_000_000 for size, tokens in sizes.items()} == prices


def test_an_uncertain_source_makes_no_price_exact() -> None:
    """Where the source leaves something open, the expected amount is an estimate."""
    assert snapshot(SCHNELL, estimated=True).estimate(ask(512, 512)).certainty is LIKELY


def evidence(units: str | None = None, count: int | None = None, **metrics: str) -> UsageEvidence:
    numbers = {name: D(value) for name, value in metrics.items()}
    return UsageEvidence(None if units is None else D(units), numbers, count)


MEGAPIXELS = BilledUnit("megapixels", D("0.003"))

# rule, unit, ask, evidence, nanos and units, or None
SETTLEMENTS: list[tuple[str, Rule, BilledUnit | None, PriceAsk, UsageEvidence, tuple[int, str] | None]] = [
    ("fal units", SCHNELL, MEGAPIXELS, ask(9, 9), evidence("1.1"), (3_300_000, "1.1 megapixels")),
    ("fal tiny units", SCHNELL, MEGAPIXELS, ask(9, 9), evidence("0.0000001"), None),
    ("fal whole units", SCHNELL, MEGAPIXELS, ask(9, 9), evidence("1.0"), (3_000_000, "1 megapixels")),
    ("fal zero units", SCHNELL, MEGAPIXELS, ask(9, 9), evidence("0"), None),
    ("fal no units", SCHNELL, MEGAPIXELS, ask(9, 9), evidence(), None),
    ("fal negative", SCHNELL, MEGAPIXELS, ask(9, 9), evidence("-1"), None),
    ("fal not a number", SCHNELL, MEGAPIXELS, ask(9, 9), evidence("NaN"), None),
    ("fal absurd", SCHNELL, MEGAPIXELS, ask(9, 9), evidence("1E+30"), None),
    ("fal unpriced unit", FLUX_2_PRO, BilledUnit("units"), ask(9, 9), evidence("1"), None),
    ("fal gpt", EDITS, BilledUnit("units", D(1)), ask(), evidence("0.1651"), (165_100_000, "0.1651 units")),
    (
        "replicate images",
        PerImage(D("0.025")),
        None,
        ask(count=4),
        evidence(image_output_count="3", predict_time="2.5"),
        (75_000_000, "3 image_output_count"),
    ),
    (
        "replicate 2024",
        PerImage(D("0.025")),
        None,
        ask(),
        evidence(image_count="1"),
        (25_000_000, "1 image_output_count"),
    ),
    (
        "replicate both names",
        PerImage(D("0.025")),
        None,
        ask(),
        evidence(image_output_count="2", image_count="9"),
        (50_000_000, "2 image_output_count"),
    ),
    ("replicate none", PerImage(D("0.025")), None, ask(), evidence(predict_time="2.5"), None),
    ("replicate zero", PerImage(D("0.025")), None, ask(), evidence(image_output_count="0"), None),
    (
        "replicate quality",
        REPLICATE_GPT,
        None,
        ask(quality=Quality.MEDIUM),
        evidence(image_output_count="2", token_input_count="50"),
        (94_000_000, "2 image_output_count"),
    ),
    (
        "replicate run",
        REPLICATE_FLUX_2_PRO,
        None,
        ask(1024, 1024),
        evidence(image_output_megapixel_count="1.05", image_input_megapixel_count="0"),
        (30_750_000, "1.05 image_output_megapixel_count, 1 run_count"),
    ),
    (
        "replicate run, no megapixels",
        REPLICATE_FLUX_2_PRO,
        None,
        ask(1024, 1024),
        evidence(run_count="1"),
        None,
    ),
    ("seconds", SDXL, None, ask(), evidence(predict_time="2.5"), (2_437_500, "2.5 predict_time")),
    (
        "tokens",
        TOKENS,
        None,
        ask(),
        evidence(token_input_count="100", token_cached_count="100", token_output_count="1000"),
        (30_625_000, "100 token_cached_count, 100 token_input_count, 1000 token_output_count"),
    ),
    ("free", Free(), None, ask(), evidence(), (0, "free")),
    ("unpriced", Unpriced(D("0.5")), None, ask(), evidence("3", image_output_count="1"), None),
    ("unpriced, counted", Unpriced(D("0.5")), None, ask(), evidence(count=1), None),
]


@pytest.mark.parametrize(
    ("rule", "unit", "asked", "given_evidence", "charge"),
    [one[1:] for one in SETTLEMENTS],
    ids=[one[0] for one in SETTLEMENTS],
)
def test_worked_examples_of_settlement(
    rule: Rule,
    unit: BilledUnit | None,
    asked: PriceAsk,
    given_evidence: UsageEvidence,
    charge: tuple[int, str] | None,
) -> None:
    """The frozen snapshot alone settles the evidence; missing, zero or absurd evidence settles nothing."""
    frozen = PriceSnapshot.from_json(snapshot(rule, unit).frozen_for(asked).to_json())
    settled = frozen.settle(given_evidence)
    assert charge == (None if settled is None else (settled.nanos, settled.units))
    if settled is not None:
        assert settled.billed
        assert settled.nanos == sum(one.amount_nanos for one in settled.lines)


def test_counted_pictures_stand_in_for_missing_metrics_and_are_no_bill() -> None:
    """Three of four pictures came and the provider said nothing: three are charged, as an estimate."""
    frozen = snapshot(PerImage(D("0.025"))).frozen_for(ask(count=4))
    settled = frozen.settle(evidence(count=3))
    assert settled is not None
    assert (75_000_000, False) == (settled.nanos, settled.billed)


@pytest.mark.parametrize("rule", [one[1] for one in ESTIMATES], ids=[one[0] for one in ESTIMATES])
@pytest.mark.parametrize("unit", [None, MEGAPIXELS, BilledUnit("units")])
def test_snapshots_survive_json_without_loss(rule: Rule, unit: BilledUnit | None) -> None:
    """What is frozen on an attempt is all there is to know, and has no float in it."""
    frozen = snapshot(rule, unit, estimated=True).frozen_for(ask(1024, 1024, quality=Quality.LOW))
    text = frozen.to_json()
    assert frozen == PriceSnapshot.from_json(text)
    assert text == PriceSnapshot.from_json(text).to_json()
    json.loads(text, parse_float=lambda number: pytest.fail(f"{number} is a float"))


def test_every_kind_of_rule_has_worked_examples() -> None:
    """A new kind comes with its examples."""
    assert set(RULE_KINDS) == {rule.kind for _, rule, *_ in ESTIMATES}
    assert {rule.kind for _, rule, *_ in SETTLEMENTS} >= set(RULE_KINDS) - {"per_image_by_resolution"}


def test_data_of_another_make_is_refused() -> None:
    """An unknown field of a rule is no default."""
    text = snapshot(PerImage(D(1))).to_json().replace("price_usd", "price_eur")
    with pytest.raises(ValueError, match="price_eur"):
        PriceSnapshot.from_json(text)


asks = st.builds(
    PriceAsk,
    image_count=st.integers(1, 10),
    width_px=st.none() | st.integers(1, 4096),
    height_px=st.integers(1, 4096),
    quality=st.none() | st.sampled_from(Quality),
    resolution=st.none() | st.sampled_from(Resolution),
    inputs=st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), max_size=3).map(tuple),
    run_seconds_max=st.integers(0, 600),
    prompt_characters=st.integers(0, 1000),
)


@given(asks, st.sampled_from([rule for _, rule, *_ in ESTIMATES]))
def test_nothing_is_expected_above_its_ceiling(asked: PriceAsk, rule: Rule) -> None:
    """A hold covers the expected price, and an unknown price is never zero."""
    estimate = snapshot(rule).estimate(asked)
    if estimate.certainty is UNKNOWN:
        assert (None, None) == (estimate.expected_nanos, estimate.ceiling_nanos)
    else:
        assert estimate.expected_nanos is not None
        assert estimate.ceiling_nanos is not None
        assert 0 <= estimate.expected_nanos <= estimate.ceiling_nanos <= NANOS_MAX
        assert rule.kind == "free" or estimate.ceiling_nanos > 0


@given(asks, st.sampled_from([rule for _, rule, *_ in ESTIMATES]))
def test_automatic_quality_is_held_at_the_dearest(asked: PriceAsk, rule: Rule) -> None:
    """Whatever quality the provider picks, the hold of AUTO covers it."""
    open_ask = PriceAsk(
        asked.image_count,
        asked.width_px,
        asked.height_px,
        None,
        asked.resolution,
        asked.inputs,
        asked.run_seconds_max,
        asked.prompt_characters,
    )
    automatic = snapshot(rule).estimate(open_ask).ceiling_nanos
    named = snapshot(rule).estimate(asked).ceiling_nanos
    assert automatic is None or named is None or automatic >= named
