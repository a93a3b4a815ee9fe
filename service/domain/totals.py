"""Totals: what reports, exports and metrics read, kept in the same transaction as what they sum."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.value import value

LATENCY_BOUNDS_SECONDS = (
    0.01,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.0,
    4.0,
    8.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
)
"""Upper bounds of the latency buckets of totals; one more bucket holds what is slower."""


@value(frozen=True, slots=True)
class TotalsKey:
    """Everything that a report can group by. Hours are microseconds at the full UTC hour; 0 and 0 is the lifetime row."""

    usage_hour: int
    booked_hour: int
    project: str
    model: str
    provider: str
    route: str
    operation: str
    origin: str
    outcome: str
    evidence: str
    fault: str

    def lifetime(self) -> TotalsKey:
        """The key of the row that sums all hours."""
        return TotalsKey(
            0, 0, self.project, self.model, self.provider, self.route, self.operation, self.origin,
            self.outcome, self.evidence, self.fault,
        )  # fmt: skip


@dataclass(slots=True)
class TotalsDelta:
    """What is added to one totals row; every column only grows."""

    charged_nanos: int = 0
    corrected_up_nanos: int = 0
    corrected_down_nanos: int = 0
    avoided_nanos: int = 0
    jobs: int = 0
    attempts: int = 0
    images: int = 0
    latency_micros: int = 0
    buckets: dict[int, int] | None = None
    """Index of the latency bucket → how many jobs."""
