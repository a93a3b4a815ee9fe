"""Webhooks: a verified notice binds the provider's ids to an attempt and wakes whoever follows it. Nothing else is taken from it.

Results never come in this way: who is woken fetches them from the provider. A webhook can come before the answer to its own
POST, twice, after the render was given up, or for an attempt that nobody knows any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

from service.core.pokes import poke_key
from service.domain.commands import BindProviderId, Bound
from service.domain.errors import LightmeterError
from service.domain.exchange import WebhookNotice
from service.domain.failure import ProviderDenied, ProviderUnavailable, WebhookForged
from service.domain.records import Attempt
from service.domain.render import RENDER_FINAL
from service.domain.view import JobView
from service.metrics import Metrics
from service.ports import Clock, Hints, Log, Store, WebhookCheck, WorkReader

_TOKEN: Final = re.compile(r"[0-9a-f]{32}")
_STALE: Final = "stale"
"""The kind of a forgery whose only fault is its time."""
_LOG_SECONDS: Final = 60.0
"""One log line per provider and kind of forgery in this time: whoever forges must not be able to fill the disk."""


class Took(Enum):
    """What became of a webhook; the outcome in the metrics."""

    BOUND = "bound"
    """The id belongs to the attempt, by a commit, and the owner was woken."""
    REPEATED = "repeated"
    """The end of the attempt was known already."""
    LATE = "late"
    """The render went on or ended without the attempt: its money and its pictures are fetched aside."""
    UNKNOWN = "unknown"
    """Authentic, and for no attempt that we know. It is answered like a known one, so that it is not sent again."""
    FORGED = "forged"
    STALE = "stale"
    UNAVAILABLE = "unavailable"
    """The database or the provider's keys are not to be had now: it should come again."""
    TOO_LARGE = "too_large"
    INCOMPLETE = "incomplete"
    """Its body did not come, or not in time."""


class Late(Protocol):
    """Who fetches what an attempt without a follower came to."""

    def begin(self, attempt: Attempt) -> bool:
        """Fetch it in the background; False when that is done already or has to wait for a later look."""
        ...

    def follow_superseded(self, attempt: Attempt) -> bool:
        """The same for one beside which a newer attempt of the same render runs."""
        ...


class Webhooks:
    """The use case of the HTTP door. MAY be called concurrently; a cancelled call leaves what it had committed."""

    def __init__(
        self,
        *,
        checks: Mapping[str, WebhookCheck],
        work: WorkReader,
        store: Store,
        hints: Hints,
        late: Late,
        clock: Clock,
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._checks = checks
        self._work = work
        self._store = store
        self._hints = hints
        self._late = late
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._said_at: dict[tuple[str, str], float] = {}

    def knows(self, provider: str) -> bool:
        """Whether this provider sends us webhooks."""
        return provider in self._checks

    def count(self, provider: str, took: Took) -> None:
        """Count an outcome that was decided at the door."""
        self._metrics.providers.webhooks.labels(provider, took.value).inc()

    async def take(self, provider: str, token: str, headers: Mapping[str, str], body: bytes) -> Took:
        """Verify it and act on it. BOUND, REPEATED, LATE and UNKNOWN need not come again. Raises nothing of what may happen."""
        try:
            took = await self._take(provider, token, headers, body)
        except WebhookForged as forged:
            self._say_forged(provider, forged)
            took = Took.STALE if forged.kind == _STALE else Took.FORGED
        except (ProviderUnavailable, ProviderDenied, LightmeterError) as error:
            self._log.warning("webhook_not_taken", provider=provider, error=repr(error))
            took = Took.UNAVAILABLE
        self.count(provider, took)
        return took

    async def _take(self, provider: str, token: str, headers: Mapping[str, str], body: bytes) -> Took:
        notice = await self._checks[provider].check(headers, body)
        view = await self._work.attempt_of_token(token) if _TOKEN.fullmatch(token) else None
        attempt = _attempt(view, provider, token)
        if view is None or view.render is None or attempt is None:
            self._log.info("webhook_unknown", provider=provider, request=notice.provider_id)
            return Took.UNKNOWN
        render, newest, known_before = view.render, view.attempts[-1], attempt.provider_id
        if not _is_bound(attempt, notice):
            bound = await self._bind(attempt, notice)
            render, attempt, newest = bound.render, bound.attempt, bound.newest
            if attempt.provider_id is None:
                self._log.error("webhook_id_taken", attempt=attempt.id, request=notice.provider_id)
                return Took.UNKNOWN
        if attempt.is_ended and attempt.result is not None:
            return Took.REPEATED
        if render.state in RENDER_FINAL:
            self._late.begin(attempt)
            return Took.LATE
        if newest.id != attempt.id:
            if known_before is None:
                # The render went on because this one was believed lost: the same picture is drawn twice.
                self._metrics.providers.double_dispatches.labels(attempt.provider, attempt.route).inc()
                self._log.error("double_dispatch", render=render.id, attempt=attempt.id, newest=newest.id)
            self._late.follow_superseded(attempt)
            return Took.LATE
        self._hints.publish((poke_key(render.id),))
        return Took.BOUND

    async def _bind(self, attempt: Attempt, notice: WebhookNotice) -> Bound:
        bound: Bound = await self._store.execute(
            BindProviderId(
                attempt.id, attempt.provider, notice.provider_id, aliases=notice.aliases, source="WEBHOOK"
            )
        )
        return bound

    def _say_forged(self, provider: str, forged: WebhookForged) -> None:
        now = self._clock.monotonic()
        key = (provider, forged.kind)
        if now - self._said_at.get(key, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._said_at[key] = now
            self._log.warning("webhook_refused", provider=provider, kind=forged.kind)


def _attempt(view: JobView | None, provider: str, token: str) -> Attempt | None:
    """The attempt that has this token at this provider: another provider's word about it is none."""
    attempts = view.attempts if view is not None else ()
    return next((one for one in attempts if (one.token, one.provider) == (token, provider)), None)


def _is_bound(attempt: Attempt, notice: WebhookNotice) -> bool:
    """Whether the rows say already what the notice says."""
    return attempt.provider_id == notice.provider_id and not set(notice.aliases) - {notice.provider_id}
