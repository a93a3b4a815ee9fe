"""What requests cost: units, unit prices and nano-USD, from public price pages of November 2026.

Amounts are Decimal until the end; one rounding (half up, to a whole nano-USD) happens in `Charge.nanos`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from itertools import pairwise

NANOS_PER_USD = Decimal(1_000_000_000)
PIXELS_PER_MEGAPIXEL = 1024 * 1024
GPU_L40S_USD_PER_SECOND = Decimal("0.000975")


@dataclass(frozen=True, slots=True)
class Made:
    """What a finished request made, as far as a bill needs it. Sizes are (width, height) in pixels."""

    prompt: str
    quality: str
    outputs: int
    width_px: int
    height_px: int
    inputs_px: tuple[tuple[int, int], ...]
    run_seconds: Decimal
    resolution: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """A bill: `units` of `unit` at `unit_price_usd` each, and Replicate's metrics for it."""

    units: Decimal
    unit: str
    unit_price_usd: Decimal
    metrics: Mapping[str, int | float] = field(default_factory=dict)

    @property
    def nanos(self) -> int:
        """The amount in nano-USD, rounded half up."""
        return int((self.units * self.unit_price_usd * NANOS_PER_USD).quantize(Decimal(1), ROUND_HALF_UP))

    def times(self, factor: Decimal) -> Charge:
        """The same bill with its units (and what is counted in metrics) multiplied."""
        counted = {name: _scaled(value, factor) for name, value in self.metrics.items()}
        return Charge((self.units * factor).normalize(), self.unit, self.unit_price_usd, counted)


def _scaled(value: float, factor: Decimal) -> int | float:
    scaled = Decimal(str(value)) * factor
    return int(scaled) if scaled == scaled.to_integral_value() else float(scaled)


Tariff = Callable[[Made], Charge]


def per_image(price_usd: str, unit: str = "images", metric: str = "image_output_count") -> Tariff:
    """A fixed price for each picture that came out."""

    def charge(made: Made) -> Charge:
        return Charge(Decimal(made.outputs), unit, Decimal(price_usd), {metric: made.outputs})

    return charge


def per_megapixel(price_usd: str) -> Tariff:
    """A price per megapixel of 1,048,576 pixels, each picture rounded up to a whole one."""

    def charge(made: Made) -> Charge:
        each = -(-made.width_px * made.height_px // PIXELS_PER_MEGAPIXEL)
        return Charge(Decimal(each * made.outputs), "megapixels", Decimal(price_usd))

    return charge


def per_image_by_quality(prices_usd: Mapping[str, str]) -> Tariff:
    """A price per picture that depends on the quality; `auto` is in the table like the others."""

    def charge(made: Made) -> Charge:
        metrics = {
            "image_output_count": made.outputs,
            "token_input_count": text_tokens(made.prompt)
            + sum(picture_tokens(size) for size in made.inputs_px),
        }
        return Charge(Decimal(made.outputs), "images", Decimal(prices_usd[made.quality]), metrics)

    return charge


def per_image_by_resolution(prices_usd: Mapping[str, str]) -> Tariff:
    """A price per picture that depends on the resolution, and Replicate's metric for it."""

    def charge(made: Made) -> Charge:
        metrics = {"image_output_count": made.outputs}
        return Charge(Decimal(made.outputs), "images", Decimal(prices_usd[made.resolution]), metrics)

    return charge


def per_image_by_factor(price_usd: str, factors: Mapping[str, str]) -> Tariff:
    """fal's way to the same: one price, and units that count a dearer resolution for more than one."""

    def charge(made: Made) -> Charge:
        units = (made.outputs * Decimal(factors[made.resolution])).normalize()
        return Charge(units, "images", Decimal(price_usd))

    return charge


def _whole_megapixels(made: Made) -> int:
    sizes = [(made.width_px, made.height_px)] * made.outputs + list(made.inputs_px)
    return sum(-(-width_px * height_px // PIXELS_PER_MEGAPIXEL) for width_px, height_px in sizes)


def first_and_further_megapixels(first_usd: str, further_usd: str) -> Tariff:
    """A price for the first megapixel of a request and another for each further one, inputs counted; in units of a dollar."""

    def charge(made: Made) -> Charge:
        amount = Decimal(first_usd) + Decimal(further_usd) * (_whole_megapixels(made) - 1)
        return Charge(amount, "units", Decimal(1))

    return charge


def run_and_megapixels(run_usd: str, megapixel_usd: str) -> Tariff:
    """A price for the run and one for each megapixel of 1,000,000 pixels that goes in or comes out, not rounded."""

    def charge(made: Made) -> Charge:
        sent = Decimal(sum(width_px * height_px for width_px, height_px in made.inputs_px)).scaleb(-6)
        drawn = Decimal(made.width_px * made.height_px * made.outputs).scaleb(-6)
        amount = Decimal(run_usd) + Decimal(megapixel_usd) * (sent + drawn)
        metrics: dict[str, int | float] = {
            "run_count": 1,
            "image_input_megapixel_count": float(sent),
            "image_output_megapixel_count": float(drawn),
        }
        return Charge(amount, "dollars", Decimal(1), metrics)

    return charge


def per_second(price_usd: Decimal) -> Tariff:
    """A price per second that the hardware was busy."""

    def charge(made: Made) -> Charge:
        return Charge(made.run_seconds, "seconds", price_usd)

    return charge


def text_tokens(text: str) -> int:
    """A prompt's tokens, at four characters each."""
    return -(-len(text) // 4)


def picture_tokens(size: tuple[int, int]) -> int:
    """An input picture's tokens: patches of 32 by 32 pixels, at most 1536."""
    width_px, height_px = size
    return min(1536, -(-width_px // 32) * -(-height_px // 32))


GPT_IMAGE_2_ROWS: tuple[tuple[int, Mapping[str, str]], ...] = (
    (1024 * 768, {"low": "0.005", "medium": "0.037", "high": "0.145"}),
    (1024 * 1024, {"low": "0.006", "medium": "0.053", "high": "0.211"}),
    (1024 * 1536, {"low": "0.005", "medium": "0.042", "high": "0.165"}),
    (1920 * 1080, {"low": "0.005", "medium": "0.040", "high": "0.158"}),
    (2560 * 1440, {"low": "0.007", "medium": "0.056", "high": "0.222"}),
    (3840 * 2160, {"low": "0.012", "medium": "0.101", "high": "0.401"}),
)
"""Pixels of a size, and its price by quality: the finer public figures behind fal's cents."""

TEXT_TOKEN_USD = Decimal("0.000005")
PICTURE_TOKEN_USD = Decimal("0.000008")


def gpt_image_2_fal(made: Made) -> Charge:
    """In USD units: a table by size and quality, plus prompt and input tokens, rounded up to 0.0001."""
    quality = "high" if made.quality == "auto" else made.quality
    each = _interpolated(made.width_px * made.height_px, quality)
    total = each * made.outputs
    total += TEXT_TOKEN_USD * text_tokens(made.prompt)
    total += PICTURE_TOKEN_USD * sum(picture_tokens(size) for size in made.inputs_px)
    return Charge(total.quantize(Decimal("0.0001"), ROUND_CEILING), "units", Decimal(1))


def _interpolated(pixels: int, quality: str) -> Decimal:
    rows = GPT_IMAGE_2_ROWS
    if pixels <= rows[0][0]:
        return Decimal(rows[0][1][quality])
    for (low_px, low), (high_px, high) in pairwise(rows):
        if pixels <= high_px:
            share = Decimal(pixels - low_px) / Decimal(high_px - low_px)
            return Decimal(low[quality]) + (Decimal(high[quality]) - Decimal(low[quality])) * share
    return Decimal(rows[-1][1][quality])
