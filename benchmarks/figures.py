"""What is measured, what it is called, and the one flat file that keeps it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAME: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+\.c[0-9]+\.[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Measured:
    """One case at one concurrency: answers a second, latencies in milliseconds, and further figures by name."""

    per_second: float
    p50_ms: float
    p99_ms: float
    further: Mapping[str, float]

    def figures(self) -> dict[str, float]:
        """By the names that they have in the file."""
        return {"per_second": self.per_second, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms, **self.further}

    def to_json(self) -> str:
        """As a process of load prints it."""
        return json.dumps(self.figures())

    @classmethod
    def from_json(cls, text: str) -> Measured:
        """What a process of load printed."""
        figures = json.loads(text)
        return cls(figures.pop("per_second"), figures.pop("p50_ms"), figures.pop("p99_ms"), figures)


def measured(latencies_seconds: Sequence[float], elapsed_seconds: float, **further: float) -> Measured:
    """From the latency of every answer and the time that all took together. Raises ValueError without answers."""
    if not latencies_seconds or elapsed_seconds <= 0:
        raise ValueError("nothing was answered")
    return Measured(
        per_second=len(latencies_seconds) / elapsed_seconds,
        p50_ms=percentile(latencies_seconds, 50) * 1_000,
        p99_ms=percentile(latencies_seconds, 99) * 1_000,
        further=further,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed. Raises ValueError without values."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def mean(several: Sequence[Measured]) -> Measured:
    """The average of the same case measured several times, such as the echo before and after another case."""
    names = several[0].figures()
    sums = {name: sum(one.figures()[name] for one in several) / len(several) for name in names}
    return Measured(sums.pop("per_second"), sums.pop("p50_ms"), sums.pop("p99_ms"), sums)


class Results:
    """The figures of one run, and their file."""

    def __init__(self) -> None:
        self._figures: dict[str, float] = {}

    def put(self, case: str, database: str, concurrency: int, figures: Mapping[str, float]) -> None:
        """Add the figures of one case. Raises ValueError for a name that the file must not have."""
        for figure, value in figures.items():
            name = f"{case}.{database}.c{concurrency}.{figure}"
            if not NAME.fullmatch(name):
                raise ValueError(f"no name of a figure: {name}")
            self._figures[name] = _rounded(value)

    def lines(self) -> list[str]:
        """For a person, in the order of measuring."""
        width = max(map(len, self._figures), default=0)
        return [f"{name:<{width}}  {value:>12,}" for name, value in self._figures.items()]

    def write(self, path: Path) -> None:
        """Replace the measurements in the file that were made again; others that joined it stay."""
        kept: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        kept.update(self._figures)
        path.write_text(json.dumps(dict(sorted(kept.items())), indent=2) + "\n")


def _rounded(value: float) -> float:
    """Four significant digits; more would pretend to know."""
    return float(f"{value:.4g}")
