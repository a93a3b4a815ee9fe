"""What both request lists have in common: which rows are the request that is looked for.

The rule is equality of the whole input as it was sent (`service.domain.sent.input_digest`): both providers
list the input that they were given, without their models' defaults (fal docs: payloads; Replicate docs:
predictions list, and recorded answers). Should one of them ever write it otherwise, no row would match any
more, and absence would look proven. Therefore rows that could be the request in another spelling are named
(`Scan.others`), and rows that cannot be compared make the scan incomplete.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final

from service.domain.exchange import Listed, Scan, Search
from service.domain.limits import MICROS_PER_SECOND
from service.domain.sent import input_digest
from service.ports import Clock
from service.providers.wire import Answer, number

NANOS_PER_USD: Final = Decimal(10**9)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CLOCKS_APART_SECONDS_MAX: Final = 60
"""Half of what a request may stand from the moment of its dispatch: farther apart, it would be missed where it is listed."""


class Found:
    """What has been read of a list so far."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._matches: dict[str, Listed] = {}
        self._others: dict[str, None] = {}
        self._unreadable_count = 0

    def dated(self, answer: Answer, clock: Clock) -> None:
        """A page was read: by the time of its answer, where it says one, the list's times are ours, or prove no absence."""
        try:
            served = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        if abs(served - clock.now() / MICROS_PER_SECOND) > CLOCKS_APART_SECONDS_MAX:
            self.unreadable()

    def unreadable(self) -> None:
        """A row that does not say what it is about."""
        self._unreadable_count += 1

    def note(self, listed: Listed, *, same_endpoint: bool, digest: str | None) -> None:
        """A row. `digest`: of its input; None when the list does not show it. Nothing but the span counts."""
        if not self.search.sent_from <= listed.sent_at <= self.search.sent_before:
            return
        same_input = digest == self.search.input_digest
        if digest is None:
            if same_endpoint:
                self._unreadable_count += 1
        elif same_input and same_endpoint:
            self._matches[listed.provider_id] = listed
        elif same_input or same_endpoint:
            self._others[listed.provider_id] = None

    def scan(self, *, read_whole: bool) -> Scan:
        """The answer."""
        matches = sorted(self._matches.values(), key=lambda one: (one.sent_at, one.provider_id))
        return Scan(tuple(matches), read_whole and not self._unreadable_count, tuple(self._others))


def sent_digest(value: Any) -> str | None:
    """The digest of a listed input; None when it is no object, or holds what JSON's numbers cannot say."""
    if not isinstance(value, dict):
        return None
    try:
        return input_digest(_plain(value))
    except (ValueError, OverflowError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    """Fractions as the floats that the sender's JSON library read: `service.providers.wire` reads them as Decimal."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, Decimal):
        return value
    fraction = float(value)
    if not isfinite(fraction):
        raise OverflowError("no fraction that a sender could have meant")
    return fraction


def exact_nanos(value: Any) -> int | None:
    """A JSON amount in USD as nano-USD, where that is exact; None otherwise."""
    amount = number(value)
    nanos = None if amount is None else amount * NANOS_PER_USD
    return int(nanos) if nanos is not None and nanos == nanos.to_integral_value() else None


def iso_of(micros: int) -> str:
    """A moment as both providers' filters take it."""
    moment = EPOCH + timedelta(microseconds=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def micros_of_iso(text: Any) -> int | None:
    """Microseconds of an ISO 8601 time; one without a zone is UTC. None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)
