"""What pictures would have cost, as values. Each value keeps its message in `.proto`."""

from __future__ import annotations

from dataclasses import dataclass, field

from lightmeter import wire
from lightmeter.money import Money
from lightmeter.v1 import errors_pb2
from lightmeter.v1 import ledger_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class WhatIfFigures:
    """Sums of a row. Compare `expected` with `actual_priced`: both leave out what cannot be priced with the change."""

    render_count: int
    unpriced_count: int
    actual: Money
    actual_priced: Money
    expected: Money
    ceiling: Money

    @property
    def difference(self) -> Money:
        """What the change would have added; below zero where it would have saved."""
        return self.expected - self.actual_priced

    @property
    def unpriced_share(self) -> float:
        """The share of renders that cannot be priced with the change, 0 to 1."""
        return self.unpriced_count / self.render_count if self.render_count else 0.0

    @classmethod
    def from_proto(cls, message: pb.WhatIfFigures) -> WhatIfFigures:
        """Reads a message."""
        return cls(
            render_count=message.render_count,
            unpriced_count=message.unpriced_count,
            actual=Money.from_proto(message.actual),
            actual_priced=Money.from_proto(message.actual_priced),
            expected=Money.from_proto(message.expected),
            ceiling=Money.from_proto(message.ceiling),
        )


@dataclass(frozen=True, slots=True)
class WhatIfCause:
    """Why so many renders cannot be priced with the change."""

    reason: str
    message: str
    render_count: int


@dataclass(frozen=True, slots=True)
class WhatIfRow:
    """What became of the renders of one route; the new names are empty for those that cannot be priced."""

    model: str
    provider: str
    route: str
    new_model: str
    new_provider: str
    new_route: str
    figures: WhatIfFigures
    causes: tuple[WhatIfCause, ...]

    @classmethod
    def from_proto(cls, message: pb.WhatIfRow) -> WhatIfRow:
        """Reads a message."""
        return cls(
            model=message.model,
            provider=message.provider,
            route=message.route,
            new_model=message.new_model,
            new_provider=message.new_provider,
            new_route=message.new_route,
            figures=WhatIfFigures.from_proto(message.figures),
            causes=tuple(
                WhatIfCause(wire.word(errors_pb2.ErrorReason, one.reason), one.message, one.render_count)
                for one in message.causes
            ),
        )


@dataclass(frozen=True, slots=True)
class WhatIfReport:
    """What the pictures of a range would have cost. Pruned renders are in no row: their requests are not kept."""

    rows: tuple[WhatIfRow, ...]
    total: WhatIfFigures
    pruned_count: int
    pruned_actual: Money
    catalog_version: str
    proto: pb.WhatIfResponse = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.WhatIfResponse) -> WhatIfReport:
        """Reads a message."""
        return cls(
            rows=tuple(WhatIfRow.from_proto(row) for row in message.rows),
            total=WhatIfFigures.from_proto(message.total),
            pruned_count=message.pruned_count,
            pruned_actual=Money.from_proto(message.pruned_actual),
            catalog_version=message.catalog_version,
            proto=message,
        )
