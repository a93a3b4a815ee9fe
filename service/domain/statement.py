"""The account of one project for one UTC month, by booked time: what finance files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from service.domain.limits import MICROS_PER_SECOND, paging_lag_seconds

STORAGE_PROVIDER = "r2"
"""In lines about storage."""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line. Corrections may be negative; jobs are those with a drawing of their own that became final, images those that they
    were given.
    """

    provider: str
    model: str
    operation: str
    jobs: int
    images: int
    charged_nanos: int
    corrected_this_month_nanos: int
    corrected_earlier_months_nanos: int

    @property
    def total_nanos(self) -> int:
        """What the line adds to the month."""
        return self.charged_nanos + self.corrected_this_month_nanos + self.corrected_earlier_months_nanos

    @property
    def is_storage(self) -> bool:
        """Whether it is about storage."""
        return self.provider == STORAGE_PROVIDER


@dataclass(frozen=True, slots=True)
class Statement:
    """Lines by provider, model, operation. A closed one never changes."""

    project: str
    month: str
    closed: bool
    opening_held_nanos: int
    closing_held_nanos: int
    lines: tuple[StatementLine, ...]

    @property
    def storage_nanos(self) -> int:
        """What storage cost."""
        return sum(line.total_nanos for line in self.lines if line.is_storage)

    @property
    def charged_nanos(self) -> int:
        """What was posted, without storage, before corrections."""
        return sum(line.charged_nanos for line in self.lines if not line.is_storage)

    @property
    def corrected_this_month_nanos(self) -> int:
        """Corrections to usage of the month."""
        return sum(line.corrected_this_month_nanos for line in self.lines if not line.is_storage)

    @property
    def corrected_earlier_months_nanos(self) -> int:
        """Corrections to usage of earlier months."""
        return sum(line.corrected_earlier_months_nanos for line in self.lines if not line.is_storage)

    @property
    def total_nanos(self) -> int:
        """What is to be paid for the month."""
        return sum(line.total_nanos for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain data."""
        return {
            "project": self.project,
            "month": self.month,
            "closed": self.closed,
            "opening_held_nanos": self.opening_held_nanos,
            "charged_nanos": self.charged_nanos,
            "corrected_this_month_nanos": self.corrected_this_month_nanos,
            "corrected_earlier_months_nanos": self.corrected_earlier_months_nanos,
            "storage_nanos": self.storage_nanos,
            "total_nanos": self.total_nanos,
            "closing_held_nanos": self.closing_held_nanos,
            "lines": [{**asdict(line), "total_nanos": line.total_nanos} for line in self.lines],
        }

    @property
    def sha256(self) -> str:
        """Of the canonical JSON (keys sorted, no spaces), to compare copies; empty while the month is open."""
        if not self.closed:
            return ""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def month_span(month: str) -> tuple[int, int] | None:
    """Start and end (microseconds) of a UTC month written as `2026-11`; None for anything else."""
    if len(month) != len("2026-11"):
        return None
    try:
        start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    except ValueError:
        return None
    return _micros(start), _micros(end)


def is_closed(month_end: int, now: int) -> bool:
    """Whether nothing can be booked into the month any more: commits of its last instants have had their time."""
    return now >= month_end + paging_lag_seconds * MICROS_PER_SECOND


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * MICROS_PER_SECOND
