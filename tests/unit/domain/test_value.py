"""Values declared with `value`."""

from dataclasses import fields, is_dataclass, replace

import pytest

from service.domain.value import value


@value(frozen=True, slots=True)
class Pair:
    """A pair."""

    left: int
    right: str = "r"


def test_equal_fields_make_equal_values() -> None:
    """Values with equal fields are equal, have one hash, and can stand for each other as keys."""
    assert Pair(1) == Pair(1, "r")
    assert {Pair(1): "found"}[Pair(1)] == "found"
    assert Pair(1) != Pair(2)


def test_a_value_is_a_dataclass() -> None:
    """What works with dataclasses works with values: fields by name, replaced copies, slots only."""
    assert is_dataclass(Pair)
    assert [one.name for one in fields(Pair)] == ["left", "right"]
    assert replace(Pair(1), right="x") == Pair(1, "x")
    assert not hasattr(Pair(1), "__dict__")


def test_what_may_change_is_no_value() -> None:
    """Only what the type checker freezes may be declared so."""
    with pytest.raises(AssertionError):
        value(frozen=False, slots=True)
