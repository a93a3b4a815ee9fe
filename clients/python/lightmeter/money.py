"""Money as the ledger keeps it: whole billionths of a dollar, with Decimal at the edges and no float
anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from lightmeter.v1 import money_pb2 as pb

NANOS_PER_USD: Final = 1_000_000_000
_NANOS_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An exact amount of US dollars. `nanos` is the ledger's own number: 128_000_000 is $0.128."""

    nanos: int

    def __post_init__(self) -> None:
        if type(self.nanos) is not int:
            raise TypeError(f"nanos must be an int, not {type(self.nanos).__name__}; use usd() for dollars")
        if abs(self.nanos) > _NANOS_MAX:
            raise ValueError("the amount does not fit into 64 bits of nano-dollars")

    @property
    def usd(self) -> Decimal:
        """The amount in dollars, exactly."""
        return Decimal(self.nanos) / NANOS_PER_USD

    @property
    def proto(self) -> pb.Money:
        """The message for the wire."""
        return pb.Money(currency_code="USD", amount_nanos=self.nanos)

    @classmethod
    def from_proto(cls, message: pb.Money) -> Money:
        """Reads a message; another currency than USD is a ValueError: nothing here could add it up."""
        if message.currency_code not in ("", "USD"):
            raise ValueError(f"amounts in {message.currency_code} are not known here, only USD")
        return cls(message.amount_nanos)

    def __add__(self, other: Money) -> Money:
        return Money(self.nanos + other.nanos)

    def __sub__(self, other: Money) -> Money:
        return Money(self.nanos - other.nanos)

    def __neg__(self) -> Money:
        return Money(-self.nanos)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __str__(self) -> str:
        if not self.nanos:
            return "$0"
        whole, part = divmod(abs(self.nanos), NANOS_PER_USD)
        digits = f"{part:09d}".rstrip("0").ljust(2, "0")
        return f"{'-' if self.nanos < 0 else ''}${whole:,}.{digits}"


ZERO: Final = Money(0)


def usd(amount: Money | Decimal | int | str) -> Money:
    """Dollars as an exact amount: `usd("0.10")`, `usd("$0.10")`, `usd(Decimal("0.1"))`, `usd(2)`.

    A float is a TypeError, because 0.1 as a float is not ten cents; more than nine decimals are a ValueError,
    because they would have to be rounded silently.
    """
    if isinstance(amount, Money):
        return amount
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int | str):
        raise TypeError(f"dollars are given as str, Decimal, int or Money, not {type(amount).__name__}")
    try:
        value = Decimal(amount.strip().removeprefix("$") if isinstance(amount, str) else amount)
    except InvalidOperation:
        raise ValueError(f"{amount!r} is no amount in dollars; write it like 0.20") from None
    if not value.is_finite():
        raise ValueError(f"{amount!r} is no amount in dollars; write it like 0.20")
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # only NaN and infinities have a letter there
    if len(digits) + exponent > 10:
        raise ValueError(f"{amount} dollars do not fit into the ledger")
    nanos = value.scaleb(9)
    if nanos != nanos.to_integral_value():
        raise ValueError(f"{amount} dollars have more than nine decimals")
    return Money(int(nanos))
