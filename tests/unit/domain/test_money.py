"""Amounts: whole nano-dollars, rounded once."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.money import (
    Rounding,
    decimal_text,
    nanos_from_usd,
    product_nanos,
    usd_from_nanos,
    usd_text,
)


@pytest.mark.parametrize(
    ("amount", "nearest", "up"),
    [
        ("0", 0, 0),
        ("0.128", 128_000_000, 128_000_000),
        ("0.0000000004", 0, 1),
        ("0.0000000005", 1, 1),
        ("0.0000000015", 2, 2),
        ("1.0000000001", 1_000_000_000, 1_000_000_001),
        ("9000000000.000000001", 9_000_000_000_000_000_001, 9_000_000_000_000_000_001),
    ],
)
def test_dollars_become_nanos_by_one_rounding(amount: str, nearest: int, up: int) -> None:
    """Charges round half up, ceilings up, and no digit is lost before."""
    assert (nearest, up) == (nanos_from_usd(amount), nanos_from_usd(Decimal(amount), Rounding.UP))


def test_a_product_is_not_rounded_before_it_is_whole() -> None:
    """A million tokens at five dollars a million are five dollars, though one token is 5,000 nanos."""
    assert product_nanos(Decimal(3), Decimal("0.0000000005")) == 2
    assert product_nanos(Decimal(1_000_000), Decimal(5) / Decimal(1_000_000)) == 5_000_000_000


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (128_000_000, "$0.128"),
        (100_000_000, "$0.10"),
        (1, "$0.000000001"),
        (-40_000_000, "-$0.04"),
        (1_234_500_000_000, "$1,234.50"),
    ],
)
def test_people_read_dollars_with_all_their_digits(nanos: int, text: str) -> None:
    """At least cents, and nothing cut off."""
    assert text == usd_text(nanos)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.10", "1.1"),
        ("100", "100"),
        ("1E+2", "100"),
        ("0.0", "0"),
        ("-0", "0"),
        ("0.00000125", "0.00000125"),
        (3, "3"),
    ],
)
def test_decimals_have_one_spelling(value: str | int, text: str) -> None:
    """No exponent and no trailing zero."""
    assert text == decimal_text(Decimal(value))


@given(st.integers(-(2**63), 2**63 - 1))
def test_nanos_survive_the_way_to_dollars_and_back(nanos: int) -> None:
    """The edge loses nothing."""
    assert nanos == nanos_from_usd(usd_from_nanos(nanos))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**9), max_value=10**9))
def test_the_spelling_of_a_decimal_is_its_value(value: Decimal) -> None:
    """Reading the text gives the number back."""
    assert value == Decimal(decimal_text(value))
