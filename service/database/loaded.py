"""What a batch has read, and which of it is locked: only that may be changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.database.opening import Opening
from service.domain.bills import Side
from service.domain.oversight import SwitchScope
from service.domain.world import World


@dataclass(slots=True)
class Locked:
    """The rows that a batch may change: those that it has locked."""

    flights: set[tuple[str, str]] = field(default_factory=set)
    renders: set[str] = field(default_factory=set)
    attempts: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    assets: set[str] = field(default_factory=set)
    windows: set[tuple[str, int]] = field(default_factory=set)
    replicas: set[str] = field(default_factory=set)
    discrepancies: set[tuple[str, Side, str]] = field(default_factory=set)
    switches: set[tuple[SwitchScope, str]] = field(default_factory=set)


@dataclass(slots=True)
class Loaded:
    """The world of a batch, what of it is locked, and which rows the loader itself inserted."""

    world: World
    locked: Locked
    new_flights: list[tuple[str, str]]
    openings: list[Opening]


class Unlocked(Exception):
    """The batch wants to change a row that it expected only to read: again, with every lock."""
