"""What a check of the doctor finds, and the few judgements that several checks share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from service.domain.limits import MICROS_PER_SECOND

SKEW_SECONDS_WARN: Final = 5.0
SKEW_SECONDS_MAX: Final = 60.0
"""Presigned addresses and the times of webhooks are refused when clocks are minutes apart."""


class Verdict(Enum):
    """How bad it is. Only FAIL makes the doctor's exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, and what to do where it is not in order."""

    check: str
    verdict: Verdict
    text: str


def ok(check: str, text: str) -> Finding:
    """In order."""
    return Finding(check, Verdict.OK, text)


def warn(check: str, text: str) -> Finding:
    """It works, and somebody should look."""
    return Finding(check, Verdict.WARN, text)


def fail(check: str, text: str) -> Finding:
    """It does not work."""
    return Finding(check, Verdict.FAIL, text)


def clock_finding(whose: str, theirs: int, ours: int, *, grain_seconds: float = 0.0) -> Finding:
    """How far two clocks (microseconds) are apart; `grain_seconds` is how coarse theirs is told."""
    behind = (theirs - ours) / MICROS_PER_SECOND + grain_seconds / 2
    check = f"clock of {whose}"
    apart = max(0.0, abs(behind) - grain_seconds / 2)
    if apart < SKEW_SECONDS_WARN:
        return ok(check, "agrees with this machine's")
    text = (
        f"this machine's clock is {apart:.0f} s {'behind' if behind > 0 else 'ahead'}; keep it right with NTP"
    )
    return fail(check, text) if apart > SKEW_SECONDS_MAX else warn(check, text)


def cause_of(error: BaseException) -> str:
    """The innermost cause in one line, for an operator."""
    while error.__cause__ is not None:
        error = error.__cause__
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:300] if words else type(error).__name__
