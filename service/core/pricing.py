"""The catalog with the prices of the day: a new version of a price counts from its day on, without a restart. And what may be
held where there is no price.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from service.domain.catalog import Catalog
from service.domain.limits import MICROS_PER_SECOND
from service.ports import Clock

_DAY: Final = 24 * 3_600 * MICROS_PER_SECOND


class Catalogs:
    """Answers the same object until a price changes, so that what was prepared by it may be kept."""

    def __init__(
        self, catalog: Catalog, clock: Clock, unpriced: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """`unpriced`: project → nano-USD that its requests may hold where no price is known."""
        self._clock = clock
        self._unpriced = unpriced
        self._day = -1
        self._current = catalog

    def unpriced_nanos(self, project: str) -> int | None:
        """What a request of this project may hold at a route without a price; None where that is refused."""
        return self._unpriced.get(project)

    def today(self) -> Catalog:
        """The catalog as it is priced on the UTC day that it is now."""
        day = self._clock.now() // _DAY
        if day != self._day:
            self._current = self._current.priced_on(iso_day(day * _DAY))
            self._day = day
        return self._current


def iso_day(at: int) -> str:
    """The UTC day that holds an instant (microseconds), as `2026-11-21`."""
    return datetime.fromtimestamp(at // MICROS_PER_SECOND, tz=UTC).strftime("%Y-%m-%d")
