"""Faults of our own that a test plants into a run, to see that the run finds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def _as_it_is(inner: Any) -> Any:
    return inner


@dataclass(frozen=True, slots=True)
class Twists:
    """Wrappers around what a replica is given, and around how the database decides. As they are, nothing is twisted."""

    store: Callable[[Any], Any] = _as_it_is
    provider: Callable[[Any], Any] = _as_it_is
    decide: Callable[[Any], Any] = _as_it_is
    """Around `Database.carry_out`."""
