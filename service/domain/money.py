"""Money: whole nano-dollars inside, Decimal at the edges, and the only place where an amount is rounded.

Charges and expected amounts round half up to a whole nano-dollar, as invoices do; ceilings round up, because
a hold must never be smaller than the bill. Each position is rounded once; totals are sums of rounded
positions.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, localcontext
from enum import Enum
from typing import Final

NANOS_PER_USD: Final = 1_000_000_000
CURRENCY: Final = "USD"
NANOS_MAX: Final = 2**63 - 1
"""The ledger's column: about 9.2 billion dollars."""

_DIGITS: Final = 80
"""More digits than any price times any quantity has, so that the one rounding is the only one."""


class Rounding(Enum):
    """How an amount becomes a whole number of nano-dollars."""

    NEAREST = ROUND_HALF_UP
    """Charges and expected amounts."""
    UP = ROUND_CEILING
    """Ceilings."""


def nanos_from_usd(amount: Decimal | str, rounding: Rounding = Rounding.NEAREST) -> int:
    """Nano-dollars of an amount in dollars, rounded once."""
    return product_nanos(Decimal(amount), Decimal(1), rounding)


def product_nanos(quantity: Decimal, unit_price: Decimal, rounding: Rounding = Rounding.NEAREST) -> int:
    """Nano-dollars of a quantity at a unit price in dollars, rounded once, after the multiplication."""
    with localcontext() as context:
        context.prec = _DIGITS
        return int((quantity * unit_price * NANOS_PER_USD).to_integral_value(rounding.value))


def usd_from_nanos(nanos: int) -> Decimal:
    """The exact amount in dollars."""
    return Decimal(nanos).scaleb(-9)


def usd_text(nanos: int) -> str:
    """For people: `$0.128`, `$12.00`, `-$0.04`; at least cents, all digits that there are."""
    whole, part = divmod(abs(nanos), NANOS_PER_USD)
    digits = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanos < 0 else ''}${whole:,}.{digits}"


def decimal_text(value: Decimal | int) -> str:
    """The shortest plain decimal: no exponent, no trailing zeros (`0.5`, `1.1`, `100`)."""
    text = format(Decimal(value), "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
