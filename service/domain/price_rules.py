"""How routes charge: every kind of price rule, as data with one method that prices an ask.

A rule knows nothing of providers: it says what a request is expected to cost, what it can cost at most, and
which of a provider's metrics carry its unit prices. Prices are USD as Decimal; amounts are whole nano-
dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from typing import ClassVar, Final, Protocol

from service.domain.drawing import Quality, Resolution
from service.domain.money import Rounding, decimal_text, nanos_from_usd, product_nanos, usd_from_nanos

IMAGES_METRIC: Final = "image_output_count"
OUTPUT_MEGAPIXELS_METRIC: Final = "image_output_megapixel_count"
INPUT_MEGAPIXELS_METRIC: Final = "image_input_megapixel_count"
RUNS_METRIC: Final = "run_count"
SECONDS_METRIC: Final = "predict_time"
MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class PriceAsk:
    """What a price depends on. `image_count` is what the provider will return at most; sizes are None for
    auto.
    """

    image_count: int = 1
    width_px: int | None = None
    height_px: int | None = None
    quality: Quality | None = None
    resolution: Resolution | None = None
    inputs: tuple[tuple[int, int], ...] = ()
    run_seconds_max: int = 0
    prompt_characters: int = 0
    prompt_bytes: int = 0
    """UTF-8 bytes of the prompt: no tokenizer makes more tokens than that. 0 where unknown: four per
    character."""
    fewer_possible: bool = False
    """The provider decides how many pictures it returns, up to `image_count`."""

    @property
    def pixels(self) -> int | None:
        """Pixels of one output picture; None when the provider decides."""
        if self.width_px is None or self.height_px is None:
            return None
        return self.width_px * self.height_px


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One position of a calculation; quantity and unit price are plain decimals, since they may lie below a
    nano.
    """

    description: str
    quantity: str
    unit: str
    unit_price: str
    amount_nanos: int


@dataclass(frozen=True, slots=True)
class Priced:
    """What a rule says to an ask. `ceiling` None: no price known. `expected` None: only the ceiling is."""

    expected: tuple[PriceLine, ...] | None
    ceiling: tuple[PriceLine, ...] | None
    exact: bool = False


UNPRICED: Final = Priced(None, None)


def line(
    description: str, quantity: Decimal | int, unit: str, unit_price: Decimal, rounding: Rounding
) -> PriceLine:
    """A position, rounded once."""
    exact = Decimal(quantity)
    nanos = product_nanos(exact, unit_price, rounding)
    return PriceLine(description, decimal_text(exact), unit, decimal_text(unit_price), nanos)


def total(lines: tuple[PriceLine, ...]) -> int:
    """The sum of the positions in nano-dollars."""
    return sum(one.amount_nanos for one in lines)


class Rule(Protocol):
    """One way to charge."""

    kind: ClassVar[str]

    @property
    def reads_prompt(self) -> bool:
        """Whether the length of the prompt is part of the price."""
        return False

    def price(self, ask: PriceAsk) -> Priced:
        """Price an ask before it is drawn."""
        ...

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """USD per unit of each metric that a provider reports, for this ask; empty where metrics don't carry
        the price.
        """
        ...


def _fixed(description: str, quantity: int, unit: str, unit_price: Decimal) -> Priced:
    return Priced(
        expected=(line(description, quantity, unit, unit_price, Rounding.NEAREST),),
        ceiling=(line(description, quantity, unit, unit_price, Rounding.UP),),
        exact=True,
    )


@dataclass(frozen=True, slots=True)
class Free(Rule):
    """Costs nothing, surely."""

    kind: ClassVar[str] = "free"

    def price(self, ask: PriceAsk) -> Priced:
        """Nothing, for certain."""
        return Priced((), (), exact=True)

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """None is needed."""
        return {}


@dataclass(frozen=True, slots=True)
class PerImage(Rule):
    """The same for each picture."""

    kind: ClassVar[str] = "per_image"

    price_usd: Decimal

    def price(self, ask: PriceAsk) -> Priced:
        """Count times price."""
        return _fixed("output images", ask.image_count, "image", self.price_usd)

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """Per output picture."""
        return {IMAGES_METRIC: self.price_usd}


@dataclass(frozen=True, slots=True)
class Unpriced(Rule):
    """No price is known. The request holds what was configured for that; only a bill says what it costs."""

    kind: ClassVar[str] = "unpriced"

    ceiling_usd: Decimal

    def price(self, ask: PriceAsk) -> Priced:
        """The configured ceiling, whatever is asked for."""
        ceiling = line("configured ceiling, no price is known", 1, "request", self.ceiling_usd, Rounding.UP)
        return Priced(None, (ceiling,))

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """None is known."""
        return {}


class MegapixelRounding(Enum):
    """How pixels become megapixels."""

    UP_BINARY = "UP_BINARY"
    """Rounded up to a whole megapixel of 1,048,576 pixels."""
    UP_DECIMAL = "UP_DECIMAL"
    """Rounded up to a whole megapixel of 1,000,000 pixels."""
    EXACT = "EXACT"
    """Megapixels of 1,000,000 pixels, not rounded."""

    def megapixels(self, pixels: int) -> Decimal:
        """Megapixels that one picture counts."""
        if self is MegapixelRounding.EXACT:
            return Decimal(pixels) / MILLION
        return Decimal(-(-pixels // (2**20 if self is MegapixelRounding.UP_BINARY else 10**6)))


@dataclass(frozen=True, slots=True)
class PerMegapixel(Rule):
    """Per megapixel of each picture; the first one may have its own price, input pictures may count too.

    `ceiling_rounding` is for providers whose rounding is not known for sure; `auto_pixels_max` is the largest
    picture that the provider may choose when no size is asked for. With `first_usd`, the first megapixel of
    the whole request.
    """

    kind: ClassVar[str] = "per_megapixel"

    price_usd: Decimal
    rounding: MegapixelRounding
    first_usd: Decimal | None = None
    inputs_count: bool = False
    ceiling_rounding: MegapixelRounding | None = None
    auto_pixels_max: int | None = None

    def _lines(
        self, ask: PriceAsk, pixels: int, how: MegapixelRounding, rounding: Rounding
    ) -> tuple[PriceLine, ...]:
        megapixels = how.megapixels(pixels) * ask.image_count
        if self.inputs_count:
            megapixels += sum((how.megapixels(width * height) for width, height in ask.inputs), Decimal(0))
        if self.first_usd is None:
            return (line("output megapixels", megapixels, "megapixel", self.price_usd, rounding),)
        first = min(megapixels, Decimal(1))
        lines = [line("first megapixel", first, "megapixel", self.first_usd, rounding)]
        if megapixels > first:
            lines.append(
                line("further megapixels", megapixels - first, "megapixel", self.price_usd, rounding)
            )
        return tuple(lines)

    def price(self, ask: PriceAsk) -> Priced:
        """Megapixels times price; with an automatic size only the ceiling is known."""
        wary = self.ceiling_rounding or self.rounding
        if ask.pixels is None:
            if self.auto_pixels_max is None:
                return UNPRICED
            return Priced(None, self._lines(ask, self.auto_pixels_max, wary, Rounding.UP))
        expected = self._lines(ask, ask.pixels, self.rounding, Rounding.NEAREST)
        ceiling = self._lines(ask, ask.pixels, wary, Rounding.UP)
        return Priced(expected, ceiling, exact=total(expected) == total(ceiling))

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """Per megapixel, unless the first one differs: then no sum over metrics gives the price."""
        if self.first_usd is not None:
            return {}
        prices = {OUTPUT_MEGAPIXELS_METRIC: self.price_usd}
        if self.inputs_count:
            prices[INPUT_MEGAPIXELS_METRIC] = self.price_usd
        return prices


@dataclass(frozen=True, slots=True)
class RunPlusMegapixels(Rule):
    """A price for the run, plus one per megapixel that goes in and one per megapixel that comes out.

    `ceiling_rounding` and `auto_pixels_max` as in `PerMegapixel`.
    """

    kind: ClassVar[str] = "run_plus_megapixels"

    run_usd: Decimal
    input_usd: Decimal
    output_usd: Decimal
    rounding: MegapixelRounding
    auto_pixels_max: int | None = None
    ceiling_rounding: MegapixelRounding | None = None

    def _lines(
        self, ask: PriceAsk, pixels: int, how: MegapixelRounding, rounding: Rounding
    ) -> tuple[PriceLine, ...]:
        inputs = sum((how.megapixels(width * height) for width, height in ask.inputs), Decimal(0))
        outputs = how.megapixels(pixels) * ask.image_count
        lines = [
            line("run", 1, "run", self.run_usd, rounding),
            line("output megapixels", outputs, "megapixel", self.output_usd, rounding),
        ]
        if inputs:
            lines.append(line("input megapixels", inputs, "megapixel", self.input_usd, rounding))
        return tuple(lines)

    def price(self, ask: PriceAsk) -> Priced:
        """The sum; with an automatic size only the ceiling is known."""
        wary = self.ceiling_rounding or self.rounding
        if ask.pixels is None:
            if self.auto_pixels_max is None:
                return UNPRICED
            return Priced(None, self._lines(ask, self.auto_pixels_max, wary, Rounding.UP))
        expected = self._lines(ask, ask.pixels, self.rounding, Rounding.NEAREST)
        ceiling = self._lines(ask, ask.pixels, wary, Rounding.UP)
        return Priced(expected, ceiling, exact=total(expected) == total(ceiling))

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """One for each part."""
        return {
            RUNS_METRIC: self.run_usd,
            INPUT_MEGAPIXELS_METRIC: self.input_usd,
            OUTPUT_MEGAPIXELS_METRIC: self.output_usd,
        }


@dataclass(frozen=True, slots=True)
class Tier:
    """A resolution and its price per picture; exact sizes up to `pixels_max` belong to it."""

    resolution: Resolution
    price_usd: Decimal
    pixels_max: int | None = None


@dataclass(frozen=True, slots=True)
class PerImageByResolution(Rule):
    """Per picture, by resolution. Without `default` an unnamed resolution is held at the dearest tier."""

    kind: ClassVar[str] = "per_image_by_resolution"

    tiers: tuple[Tier, ...]
    default: Resolution | None = None

    def _tier(self, ask: PriceAsk) -> Tier | None:
        wanted = ask.resolution
        if wanted is None and ask.pixels is not None:
            fitting = [tier for tier in self.tiers if tier.pixels_max and ask.pixels <= tier.pixels_max]
            return min(fitting, key=lambda tier: tier.pixels_max or 0) if fitting else None
        wanted = wanted or self.default
        return next((tier for tier in self.tiers if tier.resolution is wanted), None)

    @property
    def _dearest(self) -> Tier:
        return max(self.tiers, key=lambda tier: tier.price_usd)

    def price(self, ask: PriceAsk) -> Priced:
        """The tier's price, or the dearest as a ceiling."""
        tier = self._tier(ask)
        if tier is None:
            dearest = self._dearest.price_usd
            ceiling = line(
                "output images, dearest resolution", ask.image_count, "image", dearest, Rounding.UP
            )
            return Priced(None, (ceiling,))
        return _fixed(f"output images, {tier.resolution.value}", ask.image_count, "image", tier.price_usd)

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """The tier's price per output picture; the dearest where the tier is not known."""
        return {IMAGES_METRIC: (self._tier(ask) or self._dearest).price_usd}


@dataclass(frozen=True, slots=True)
class GpuSeconds(Rule):
    """Per second that the hardware is busy: typical seconds are expected, the route's run limit is the
    ceiling.
    """

    kind: ClassVar[str] = "gpu_seconds"

    hardware: str
    price_usd: Decimal
    typical_seconds: Decimal

    def price(self, ask: PriceAsk) -> Priced:
        """Seconds times price; never exact."""
        if ask.run_seconds_max <= 0:
            return UNPRICED
        typical = min(self.typical_seconds, Decimal(ask.run_seconds_max))
        words = f"{self.hardware} seconds"
        return Priced(
            expected=(line(words, typical, "second", self.price_usd, Rounding.NEAREST),),
            ceiling=(line(words, ask.run_seconds_max, "second", self.price_usd, Rounding.UP),),
        )

    def metric_prices(self, ask: PriceAsk) -> Mapping[str, Decimal]:
        """Per second of prediction."""
        return {SECONDS_METRIC: self.price_usd}


def rounded_up(lines: tuple[PriceLine, ...], step_usd: Decimal) -> tuple[PriceLine, ...]:
    """The lines, with one more that brings their sum up to a multiple of `step_usd`."""
    sum_usd = usd_from_nanos(total(lines))
    missing = (sum_usd / step_usd).to_integral_value(ROUND_CEILING) * step_usd - sum_usd
    if not missing:
        return lines
    amount = nanos_from_usd(missing)
    words = f"rounded up to ${decimal_text(step_usd)}"
    return (*lines, PriceLine(words, "1", "rounding", decimal_text(missing), amount))
