"""Price rules with a table in them: size × quality, and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from service.domain.drawing import Quality
from service.domain.money import Rounding
from service.domain.price_rules import (
    IMAGES_METRIC,
    MILLION,
    UNPRICED,
    PriceAsk,
    Priced,
    PriceLine,
    Rule,
    line,
    rounded_up,
)


@dataclass(frozen=True, slots=True)
class InputTokens:
    """What a request's inputs cost in tokens, USD per million.

    Expected: a token per four characters of the prompt and per patch of an input picture, up to
    `image_tokens_max`; pictures whose longer edge is below `magnified_edge_px` are first enlarged to it, at
    most twice. Ceiling: a token per byte of the prompt, and `image_tokens_max` per input picture.
    `per_output` is for providers that bill the inputs anew for each output picture.
    """

    text_usd: Decimal
    image_usd: Decimal
    image_tokens_max: int
    patch_px: int = 32
    magnified_edge_px: int = 0
    per_output: bool = False

    def expected(self, ask: PriceAsk) -> tuple[PriceLine, ...]:
        """The likely tokens."""
        pictures = sum(min(self.image_tokens_max, self._patches(*size)) for size in ask.inputs)
        return self._lines(ask, -(-ask.prompt_characters // 4), pictures, Rounding.NEAREST)

    def ceiling(self, ask: PriceAsk) -> tuple[PriceLine, ...]:
        """As many tokens as there can be."""
        text = ask.prompt_bytes or 4 * ask.prompt_characters
        return self._lines(ask, text, self.image_tokens_max * len(ask.inputs), Rounding.UP)

    def _patches(self, width_px: int, height_px: int) -> int:
        longer = max(width_px, height_px)
        if longer < self.magnified_edge_px:
            enlarged = min(2 * longer, self.magnified_edge_px)
            width_px, height_px = width_px * enlarged // longer, height_px * enlarged // longer
        return -(-width_px // self.patch_px) * -(-height_px // self.patch_px)

    def _lines(self, ask: PriceAsk, text: int, pictures: int, rounding: Rounding) -> tuple[PriceLine, ...]:
        times = ask.image_count if self.per_output else 1
        lines = []
        if text:
            lines.append(line("text input", text * times, "token", self.text_usd / MILLION, rounding))
        if pictures:
            lines.append(line("image input", pictures * times, "token", self.image_usd / MILLION, rounding))
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class QualityFactor:
    """How finely a quality cuts the longer edge into tokens."""

    quality: Quality
    factor: int


@dataclass(frozen=True, slots=True)
class AreaTokens:
    """Output tokens by area, shape and quality, for sizes that no table lists.

    With f the quality's factor: f × round(f × shorter ÷ longer edge) × (offset + pixels) ÷ divisor, rounded
    up.
    """

    factors: tuple[QualityFactor, ...]
    offset_px: int
    divisor_px: int
    token_usd: Decimal
    """USD per million output tokens."""

    def price_usd(self, ask: PriceAsk, quality: Quality) -> Decimal | None:
        """USD per output picture; None for an automatic size or a quality that it does not know."""
        factor = next((one.factor for one in self.factors if one.quality is quality), None)
        if factor is None or ask.width_px is None or ask.height_px is None:
            return None
        shorter, longer = sorted((ask.width_px, ask.height_px))
        across = (2 * factor * shorter + longer) // (2 * longer)
        tokens = -(-factor * across * (self.offset_px + shorter * longer) // self.divisor_px)
        return tokens * self.token_usd / MILLION


@dataclass(frozen=True, slots=True)
class Cell:
    """The price of one quality. `ceiling_usd` where a provider's page rounds its prices up; else the price
    itself.
    """

    quality: Quality
    price_usd: Decimal
    ceiling_usd: Decimal | None = None

    @property
    def most_usd(self) -> Decimal:
        """What it may cost."""
        return self.price_usd if self.ceiling_usd is None else self.ceiling_usd


@dataclass(frozen=True, slots=True)
class Row:
    """The prices of one size; without a size, of every size."""

    cells: tuple[Cell, ...]
    width_px: int | None = None
    height_px: int | None = None

    @property
    def pixels(self) -> int:
        """Area in pixels; 0 for every size."""
        return (self.width_px or 0) * (self.height_px or 0)

    def cell(self, quality: Quality) -> Cell | None:
        """The cell of a quality."""
        return next((cell for cell in self.cells if cell.quality is quality), None)

    def dearest(self) -> Cell:
        """The cell that may cost most."""
        return max(self.cells, key=lambda cell: cell.most_usd)


@dataclass(frozen=True, slots=True)
class SizeQualityTable(Rule):
    """Per picture, by size and quality.

    A size that is not in the table is priced like the nearest larger one by area; where none is larger, like
    the dearest row. Because such tables need not rise with the area, its ceiling is the dearest of the rows
    next to it, and of `formula` where the provider has one. An automatic size or quality is held at the
    dearest, unless the table has a price for AUTO.
    """

    kind: ClassVar[str] = "size_quality_table"

    rows: tuple[Row, ...]
    formula: AreaTokens | None = None
    input_tokens: InputTokens | None = None
    round_up_usd: Decimal | None = None

    @property
    def reads_prompt(self) -> bool:
        """Where its tokens are billed."""
        return self.input_tokens is not None

    def _rows(self, ask: PriceAsk) -> tuple[Row | None, tuple[Row, ...]]:
        """The row to expect, if one is, and the rows that it may turn out to be."""
        if all(row.width_px is None for row in self.rows):
            return self.rows[0], self.rows[:1]
        pixels = ask.pixels
        if pixels is None:
            return None, self.rows
        listed = self._listed(ask)
        if listed is not None:
            return listed, (listed,)
        above = [row for row in self.rows if row.pixels >= pixels]
        below = [row for row in self.rows if row.pixels < pixels]
        if not above:
            dearest = max(self.rows, key=lambda row: self._most(row, ask))
            return dearest, (dearest,)
        larger = min(above, key=lambda row: row.pixels)
        return larger, (larger, max(below, key=lambda row: row.pixels)) if below else (larger,)

    def _listed(self, ask: PriceAsk) -> Row | None:
        """The row of exactly this size, lying or standing."""
        sizes = {(row.width_px, row.height_px): row for row in self.rows}
        return sizes.get((ask.width_px, ask.height_px)) or sizes.get((ask.height_px, ask.width_px))

    @staticmethod
    def _cell(row: Row, ask: PriceAsk) -> Cell | None:
        return row.cell(ask.quality or Quality.AUTO)

    def _most(self, row: Row, ask: PriceAsk) -> Decimal:
        return (self._cell(row, ask) or row.dearest()).most_usd

    def _formula(self, ask: PriceAsk) -> Decimal | None:
        """What the formula says to a size that is not in the table; to an automatic quality, the dearest."""
        if self.formula is None or self._listed(ask) is not None:
            return None
        asked = ask.quality or Quality.AUTO
        qualities = [one.quality for one in self.formula.factors] if asked is Quality.AUTO else [asked]
        prices = [self.formula.price_usd(ask, quality) for quality in qualities]
        return max((price for price in prices if price is not None), default=None)

    def price(self, ask: PriceAsk) -> Priced:
        """The cell, times the count, plus input tokens."""
        quality = ask.quality or Quality.AUTO
        if quality is not Quality.AUTO and not all(row.cell(quality) for row in self.rows):
            return UNPRICED
        row, possible = self._rows(ask)
        computed = self._formula(ask)
        most = max(*(self._most(one, ask) for one in possible), computed or Decimal(0))
        words = "output images" if quality is Quality.AUTO else f"output images, {quality.value}"
        outputs = line(words, ask.image_count, "image", most, Rounding.UP)
        ceiling = self._with_inputs(outputs, ask, ceiling=True)
        cell = None if row is None else self._cell(row, ask)
        if cell is None:
            return Priced(None, ceiling)
        unit_price = cell.price_usd if computed is None else computed
        outputs = line(words, ask.image_count, "image", unit_price, Rounding.NEAREST)
        exact = self.input_tokens is None and len(possible) == 1 and unit_price == most
        return Priced(self._with_inputs(outputs, ask, ceiling=False), ceiling, exact)

    def _with_inputs(self, outputs: PriceLine, ask: PriceAsk, *, ceiling: bool) -> tuple[PriceLine, ...]:
        lines: tuple[PriceLine, ...] = (outputs,)
        if self.input_tokens is not None:
            lines += self.input_tokens.ceiling(ask) if ceiling else self.input_tokens.expected(ask)
        return lines if self.round_up_usd is None else rounded_up(lines, self.round_up_usd)

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """Per output picture of the asked quality, where metrics can carry the price at all."""
        if self.input_tokens is not None or self.round_up_usd is not None:
            return {}
        row, possible = self._rows(ask)
        cell = None if row is None else self._cell(row, ask)
        dearest = max(self._most(one, ask) for one in possible)
        return {IMAGES_METRIC: dearest if cell is None else cell.price_usd}


@dataclass(frozen=True, slots=True)
class Tokens(Rule):
    """Per token, in and out, USD per million. Cached input is cheaper, and never expected before the bill
    says so.

    `metrics` maps a provider's metric to the rate that it is billed at: `text_input`, `image_input`,
    `cached_text_input`, `cached_image_input`, `text_output` or `image_output`.
    """

    kind: ClassVar[str] = "tokens"

    inputs: InputTokens
    image_output_usd: Decimal
    output_tokens_typical: int
    output_tokens_max: int
    text_output_usd: Decimal = Decimal(0)
    cached_text_input_usd: Decimal | None = None
    cached_image_input_usd: Decimal | None = None
    metrics: Mapping[str, str] = field(default_factory=dict)

    @property
    def reads_prompt(self) -> bool:
        """Its tokens are billed."""
        return True

    def price(self, ask: PriceAsk) -> Priced:
        """Input tokens plus the tokens of each output picture; never exact."""
        rate = self.image_output_usd / MILLION
        typical = self.output_tokens_typical * ask.image_count
        most = self.output_tokens_max * ask.image_count
        return Priced(
            expected=(
                *self.inputs.expected(ask),
                line("image output", typical, "token", rate, Rounding.NEAREST),
            ),
            ceiling=(*self.inputs.ceiling(ask), line("image output", most, "token", rate, Rounding.UP)),
        )

    def rate_usd(self, name: str) -> Decimal:
        """USD per million of a named rate; cached rates fall back to the uncached ones."""
        rates = {
            "text_input": self.inputs.text_usd,
            "image_input": self.inputs.image_usd,
            "cached_text_input": self.cached_text_input_usd,
            "cached_image_input": self.cached_image_input_usd,
            "text_output": self.text_output_usd,
            "image_output": self.image_output_usd,
        }
        rate = rates[name]
        return rates[name.removeprefix("cached_")] or Decimal(0) if rate is None else rate

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """USD per token of each mapped metric."""
        return {metric: self.rate_usd(name) / MILLION for metric, name in self.metrics.items()}
