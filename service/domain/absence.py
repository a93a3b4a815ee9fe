"""When silence in a provider's list proves that a request never arrived, and when the search for it ends."""

from __future__ import annotations

from service.domain.limits import MICROS_PER_SECOND, dispatch_post_seconds_max, unknown_grace_seconds
from service.domain.value import value


@value(frozen=True, slots=True)
class AbsenceRule:
    """How far a provider's request list can be trusted to show what arrived."""

    settle_seconds: float
    """So long after the last moment of sending a request may still be missing from the list, beside what `waits` adds."""
    waits: bool
    """Whether the list shows a request only once it has started: then its start timeout and run limit are waited for too."""
    scans: int
    """How many complete scans without a match are needed."""
    scan_gap_seconds: float
    """How far apart they have to be."""
    within_seconds: float | None
    """After this long the list may have lost what it showed once: absence proves nothing any more. None: it never does."""
    dispatch_again: bool
    """Whether a render whose attempt is proven absent may be dispatched again by itself."""


def doubted_from(send_before: int) -> int:
    """From when (microseconds) somebody other than the sender may judge an attempt: its POST has ended, and a little more."""
    return send_before + int((dispatch_post_seconds_max + unknown_grace_seconds) * MICROS_PER_SECOND)


def absent_from(rule: AbsenceRule, send_before: int, start_timeout_seconds: int, run_seconds_max: int) -> int:
    """From when (microseconds) a complete scan without a match counts towards absence."""
    waited = start_timeout_seconds + run_seconds_max if rule.waits else 0
    settled = send_before + int((rule.settle_seconds + waited) * MICROS_PER_SECOND)
    return max(settled, doubted_from(send_before))


def search_until(
    rule: AbsenceRule, send_before: int, start_timeout_seconds: int, run_seconds_max: int
) -> int:
    """When (microseconds) an unresolved attempt is given up: its hold is charged as unconfirmed."""
    first = absent_from(rule, send_before, start_timeout_seconds, run_seconds_max)
    scans = int(rule.scans * rule.scan_gap_seconds * 2 * MICROS_PER_SECOND)
    if rule.within_seconds is None:
        return first + scans
    return max(first + scans, send_before + int(rule.within_seconds * MICROS_PER_SECOND))
