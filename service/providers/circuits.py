"""When a circuit opens and closes: what the breaker has learned from dispatches, without any call in it.

The Nth consecutive failure opens a route; so do five unclear dispatches within a minute, successes in between
or not, because each of them may cost money twice over. A block of the account holds all routes. When the
pause is over one dispatch goes through as a trial.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

from service.domain.exchange import Accepted, DispatchAnswer, Health, Refused, Unclear
from service.domain.limits import dispatch_post_seconds_max
from service.ports import Clock

FAILURES_MAX: Final = 5
OPEN_SECONDS: Final = 30.0
BLOCKED_SECONDS: Final = 300.0
UNCLEAR_MAX: Final = 5
UNCLEAR_SECONDS: Final = 60.0

FAILURE_KINDS: Final = ("unreachable", "rate_limited", "not_found")
"""Refusals that count; the others (input, content) are answers of a healthy route."""


class Circuits:
    """One provider's circuits: one per endpoint (the catalog bounds their number), and one for the
    account.
    """

    def __init__(
        self, clock: Clock, *, failures_max: int, open_seconds: float, blocked_seconds: float
    ) -> None:
        self._clock = clock
        self._failures_max = failures_max
        self._open_seconds = open_seconds
        self._blocked_seconds = blocked_seconds
        self._failures: defaultdict[str, int] = defaultdict(int)
        self._unclear: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=UNCLEAR_MAX))
        self._open_until: dict[str, float] = {}
        self._blocked_until: float | None = None

    def health(self, endpoint: str) -> Health:
        """The health of a route now."""
        now = self._clock.monotonic()
        if self._blocked_until is not None and now < self._blocked_until:
            return Health.ACCOUNT_BLOCKED
        if now < self._open_until.get(endpoint, now):
            return Health.OPEN
        trial = endpoint in self._open_until or self._blocked_until is not None
        return Health.DEGRADED if trial or self._failures.get(endpoint) else Health.OK

    def pause_seconds(self, endpoint: str) -> float:
        """How long the route stays open."""
        now = self._clock.monotonic()
        return max(0.0, max(self._open_until.get(endpoint, now), self._blocked_until or now) - now)

    def begin(self, endpoint: str) -> None:
        """A dispatch goes out. If it is the trial after a pause, the others wait until it has an answer."""
        until = self._clock.monotonic() + dispatch_post_seconds_max
        if endpoint in self._open_until:
            self._open_until[endpoint] = until
        if self._blocked_until is not None:
            self._blocked_until = until

    def learn(self, endpoint: str, answer: DispatchAnswer | None) -> None:
        """Take the outcome of a dispatch into account."""
        now = self._clock.monotonic()
        match answer:
            case Accepted():
                self._close(endpoint)
                self._blocked_until = None
            case Refused(kind="account_blocked"):
                self.block()
            case Refused(kind="unauthorized"):
                self._open_until[endpoint] = now + self._blocked_seconds
            case Refused() if answer.kind in FAILURE_KINDS:
                self._fail(endpoint, now, answer.retry_after_seconds or 0.0)
            case Refused():
                self._close(endpoint)
            case Unclear():
                self._unclear[endpoint].append(now)
                self._fail(endpoint, now, 0.0)
            case None:
                pass

    def block(self) -> None:
        """The provider refuses the account."""
        self._blocked_until = self._clock.monotonic() + self._blocked_seconds

    def _close(self, endpoint: str) -> None:
        self._failures.pop(endpoint, None)
        self._open_until.pop(endpoint, None)

    def _fail(self, endpoint: str, now: float, pause_seconds: float) -> None:
        self._failures[endpoint] += 1
        times = self._unclear[endpoint]
        often = len(times) == UNCLEAR_MAX and now - times[0] <= UNCLEAR_SECONDS
        if often or self._failures[endpoint] >= self._failures_max or endpoint in self._open_until:
            self._open_until[endpoint] = now + max(self._open_seconds, pause_seconds)
