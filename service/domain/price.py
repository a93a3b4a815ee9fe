"""What a request costs: a version of a price rule, the estimate before the drawing and the charge after it.

A `PriceSnapshot` is frozen on the attempt that it prices: with the unit prices of that attempt's own request
in it, it can be settled later without knowing the request. Everything is Decimal or whole nano-dollars.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from service.domain.money import CURRENCY, NANOS_MAX, Rounding, decimal_text
from service.domain.price_data import rule_from_data, rule_to_data
from service.domain.price_rules import (
    IMAGES_METRIC,
    RUNS_METRIC,
    PriceAsk,
    PriceLine,
    Rule,
    Unpriced,
    line,
    total,
)

__all__ = [
    "BilledUnit",
    "Certainty",
    "Charge",
    "Estimate",
    "PriceAsk",
    "PriceLine",
    "PriceSnapshot",
    "UsageEvidence",
]

_METRIC_ALIASES: Final = {"image_count": IMAGES_METRIC}
"""Replicate's name of 2024 and its name since 2026."""

_SNAPSHOTS_KEPT: Final = 4_096


class Certainty(Enum):
    """How well a price is known before the drawing."""

    EXACT = "EXACT"
    """It follows from the request alone."""
    ESTIMATE = "ESTIMATE"
    """The expected price is likely, the ceiling is sure."""
    CEILING_ONLY = "CEILING_ONLY"
    """Only the ceiling is known."""
    UNKNOWN = "UNKNOWN"
    """There is no price."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A price before the drawing.

    With CEILING_ONLY `expected_nanos` is the ceiling. With UNKNOWN both are None: a missing price is never 0.
    `lines` calculate the expected amount, else the ceiling.
    """

    expected_nanos: int | None
    ceiling_nanos: int | None
    certainty: Certainty
    lines: tuple[PriceLine, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageEvidence:
    """What a provider reported with the result.

    `billable_units` is fal's header; `metrics` are Replicate's; `images_count` is how many pictures we saw.
    """

    billable_units: Decimal | None = None
    metrics: Mapping[str, Decimal] = field(default_factory=dict)
    images_count: int | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What the evidence comes to. `units` is the evidence in words (`1.1 megapixels`).

    `billed` is False when nothing but our own count of the pictures was there to go by: that is still an
    estimate.
    """

    nanos: int
    units: str
    lines: tuple[PriceLine, ...]
    billed: bool = True


@dataclass(frozen=True, slots=True)
class BilledUnit:
    """The unit that a provider counts in its own evidence, and its price. None: the evidence cannot be
    priced.
    """

    name: str
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PriceSnapshot:
    """One version of a price rule.

    `effective_on` is an ISO date. `estimated` says that the source leaves something open (how it rounds,
    say), so that no price by it is EXACT. `metric_prices` is filled by `frozen_for`.
    """

    rule_id: str
    version: str
    source_uri: str
    effective_on: str
    rule: Rule
    billed_unit: BilledUnit | None = None
    estimated: bool = False
    currency: str = CURRENCY
    metric_prices: tuple[tuple[str, Decimal], ...] = ()

    @property
    def kind(self) -> str:
        """The kind of the rule, such as `per_image`."""
        return self.rule.kind

    @property
    def is_known(self) -> bool:
        """Whether this is a price at all, and not what was configured to be held without one."""
        return self.kind != Unpriced.kind

    def estimate(self, ask: PriceAsk) -> Estimate:
        """Price an ask before it is drawn."""
        priced = self.rule.price(ask)
        if priced.ceiling is None:
            return Estimate(None, None, Certainty.UNKNOWN)
        ceiling = total(priced.ceiling)
        if priced.expected is None or ask.fewer_possible:
            return Estimate(ceiling, ceiling, Certainty.CEILING_ONLY, priced.ceiling)
        certainty = Certainty.EXACT if priced.exact and not self.estimated else Certainty.ESTIMATE
        expected = total(priced.expected)
        return Estimate(expected, max(ceiling, expected), certainty, priced.expected)

    def frozen_for(self, ask: PriceAsk) -> PriceSnapshot:
        """The snapshot with the unit prices of this very ask, so that metrics alone settle it."""
        return replace(self, metric_prices=tuple(sorted(self.rule.metric_prices(ask).items())))

    def settle(self, evidence: UsageEvidence) -> Charge | None:
        """The charge by the evidence; None when it is missing, zero or nonsense: the estimate has to do."""
        if self.kind == "free":
            return Charge(0, "free", ())
        charge = self._by_units(evidence) or self._by_metrics(evidence) or self._by_count(evidence)
        return charge if charge is None or 0 < charge.nanos <= NANOS_MAX else None

    def _by_units(self, evidence: UsageEvidence) -> Charge | None:
        units = evidence.billable_units
        unit = self.billed_unit
        if unit is None or unit.unit_price is None or units is None or not _counts(units):
            return None
        position = line("billed units", units, unit.name, unit.unit_price, Rounding.NEAREST)
        return Charge(position.amount_nanos, f"{position.quantity} {unit.name}", (position,))

    def _by_metrics(self, evidence: UsageEvidence) -> Charge | None:
        renamed = {_METRIC_ALIASES.get(name, name): value for name, value in evidence.metrics.items()}
        metrics = {**renamed, **evidence.metrics}
        lines = []
        for name, unit_price in self.metric_prices:
            quantity = metrics.get(name, Decimal(1) if name == RUNS_METRIC else None)
            if quantity is None or not quantity.is_finite() or quantity < 0:
                return None
            if quantity:
                lines.append(line(name, quantity, name, unit_price, Rounding.NEAREST))
        if not any(one.unit != RUNS_METRIC for one in lines):
            return None
        words = ", ".join(f"{one.quantity} {one.unit}" for one in lines)
        return Charge(total(tuple(lines)), words, tuple(lines))

    def _by_count(self, evidence: UsageEvidence) -> Charge | None:
        if not evidence.images_count or [name for name, _ in self.metric_prices] != [IMAGES_METRIC]:
            return None
        unit_price = self.metric_prices[0][1]
        position = line("pictures received", evidence.images_count, "image", unit_price, Rounding.NEAREST)
        return Charge(
            position.amount_nanos, f"{position.quantity} image (counted)", (position,), billed=False
        )

    def to_json(self) -> str:
        """All of it as JSON text, nothing rounded."""
        data: dict[str, Any] = {
            "rule_id": self.rule_id,
            "version": self.version,
            "kind": self.kind,
            "source_uri": self.source_uri,
            "effective_on": self.effective_on,
            "currency": self.currency,
            "estimated": self.estimated,
            "rule": rule_to_data(self.rule),
            "metric_prices": {name: decimal_text(price) for name, price in self.metric_prices},
        }
        if self.billed_unit is not None:
            price = self.billed_unit.unit_price
            data["billed_unit"] = {
                "name": self.billed_unit.name,
                "unit_price": None if price is None else decimal_text(price),
            }
        return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    @lru_cache(maxsize=_SNAPSHOTS_KEPT)
    def from_json(text: str) -> PriceSnapshot:
        """The inverse of `to_json`."""
        data = json.loads(text)
        unit = data.get("billed_unit")
        return PriceSnapshot(
            rule_id=data["rule_id"],
            version=data["version"],
            source_uri=data["source_uri"],
            effective_on=data["effective_on"],
            rule=rule_from_data(data["kind"], data["rule"]),
            billed_unit=None if unit is None else BilledUnit(unit["name"], _decimal(unit["unit_price"])),
            estimated=data["estimated"],
            currency=data["currency"],
            metric_prices=tuple((name, Decimal(price)) for name, price in data["metric_prices"].items()),
        )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _counts(units: Decimal) -> bool:
    return units.is_finite() and units > 0
