"""Following a request at the provider: poll, show progress, pass a cancel on, fetch the result. Bounded by the route's limits."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from service.core.context import RunContext
from service.core.logfeed import NewLines
from service.domain.catalog import Route
from service.domain.commands import Progress
from service.domain.errors import Reason, StoreUnavailable
from service.domain.exchange import Result, Stage, Status
from service.domain.failure import Failure, Fault, ProviderDenied, ProviderUnavailable, RetryAdvice
from service.domain.limits import poll_seconds_max, poll_seconds_min, progress_seconds_min
from service.domain.records import Attempt
from service.ports import Provider

_UNKNOWN_ID_POLLS = 3
_UNKNOWN_ID_SECONDS = 60.0
_CANCEL_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 30.0
_KEPT_SECONDS = 3_600.0
"""As long as every provider keeps a result: what may be paid for is asked for until then, blocked account or not."""
_POLL_SHARE = 0.1

Fence = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No end can be learnt within the limits."""

    failure: Failure


@dataclass(slots=True)
class _Watch:
    """What the follower remembers between two polls."""

    started: float
    pause_seconds: float = 0.0
    shown: str = ""
    shown_at: float = -1.0
    unknown_count: int = 0
    unknown_since: float = 0.0
    denied: bool = False
    hinted: bool = False
    looked_at: float = 0.0
    cancel_sent: bool = False
    lines: NewLines = field(default_factory=NewLines)
    last_log: str = ""


class Follower:
    """Polls until the provider is done."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    async def follow(self, fence: Fence, attempt: Attempt, route: Route, provider_id: str) -> Result | GaveUp:
        """The provider's last word, or GaveUp when the route's limits have passed."""
        clock = self._context.clock
        watch = _Watch(started=clock.monotonic())
        limit = watch.started + route.start_timeout_seconds + route.run_seconds_max + _GRACE_SECONDS
        denied_limit = max(limit, watch.started + _KEPT_SECONDS)
        provider = self._context.providers[attempt.provider]
        subscription = self._context.hints.subscribe(fence[0])
        try:
            while clock.monotonic() < (denied_limit if watch.denied else limit):
                status = await self._poll(provider, attempt, provider_id, watch)
                if status is not None and status.stage is Stage.ENDED:
                    result = await self._result(provider, attempt, provider_id)
                    return result or GaveUp(_NO_RESULT)
                if status is not None and status.stage is Stage.GONE and self._gone(watch):
                    return GaveUp(_FORGOTTEN)
                if status is not None:
                    await self._show(fence, attempt, status, watch)
                watch.hinted |= await subscription.wait(watch.pause_seconds)
                await self._pass_cancel_on(attempt, provider, provider_id, watch)
            await self._cancel(provider, attempt, provider_id)
            return GaveUp(_TOO_LONG)
        finally:
            subscription.close()

    async def fetch(self, attempt: Attempt) -> Result | None:
        """The result of a request that is known to have ended; None when it is not to be had any more."""
        provider = self._context.providers[attempt.provider]
        return await self._result(provider, attempt, attempt.provider_id or "")

    async def _poll(
        self, provider: Provider, attempt: Attempt, provider_id: str, watch: _Watch
    ) -> Status | None:
        # In proportion to the age, so that what polling adds stays a small share of what the provider takes.
        age = self._context.clock.monotonic() - watch.started
        paced = min(poll_seconds_max, max(poll_seconds_min, age * _POLL_SHARE))
        watch.pause_seconds = paced * self._context.dice.jitter()
        watch.denied = False
        try:
            status = await provider.poll(attempt.endpoint, provider_id)
        except ProviderUnavailable as error:
            watch.pause_seconds = min(30.0, max(watch.pause_seconds, error.retry_after_seconds or 0.0))
            return None
        except ProviderDenied:
            # The account is blocked, the request is not lost: wait for an operator while a result may be there.
            watch.denied = True
            watch.pause_seconds = poll_seconds_max
            return None
        if status.stage is not Stage.GONE:
            watch.unknown_count = 0
        return status

    def _gone(self, watch: _Watch) -> bool:
        now = self._context.clock.monotonic()
        if watch.unknown_count == 0:
            watch.unknown_since = now
        watch.unknown_count += 1
        return watch.unknown_count >= _UNKNOWN_ID_POLLS and now - watch.unknown_since >= _UNKNOWN_ID_SECONDS

    async def _result(self, provider: Provider, attempt: Attempt, provider_id: str) -> Result | None:
        clock = self._context.clock
        until = clock.monotonic() + _KEPT_SECONDS
        pause = poll_seconds_min
        while clock.monotonic() < until:
            try:
                return await provider.result(attempt.endpoint, provider_id)
            except ProviderUnavailable as error:
                pause = max(pause, error.retry_after_seconds or 0.0)
            except ProviderDenied:
                pause = poll_seconds_max
            await clock.sleep(min(30.0, pause * self._context.dice.jitter()))
            pause = min(poll_seconds_max, pause * 2)
        return None

    async def _show(self, fence: Fence, attempt: Attempt, status: Status, watch: _Watch) -> None:
        """Write a visible step, at most one a second; hand new log lines to whoever watches."""
        fresh = watch.lines.of(status.logs)
        if fresh:
            watch.last_log = fresh[-1].text[:500]
            self._context.feed.publish(fence[0], fresh)
        data: dict[str, object] = {}
        if status.queue_position is not None:
            data["queue_position"] = status.queue_position
        if status.fraction is not None:
            data["fraction"] = round(status.fraction, 3)
        if watch.last_log:
            data["last_log"] = watch.last_log
        state = "RUNNING" if status.stage is Stage.RUNNING else "QUEUED"
        shown = state + json.dumps(data)
        now = self._context.clock.monotonic()
        if status.stage is Stage.GONE or shown == watch.shown or now - watch.shown_at < progress_seconds_min:
            return
        watch.shown, watch.shown_at = shown, now
        try:
            await self._context.store.execute(Progress(*fence, state=state, progress=json.dumps(data)))
        except StoreUnavailable:
            # Progress may be dropped; what matters is committed by patient commands.
            self._context.log.warning("progress_dropped", attempt=attempt.id)

    async def _pass_cancel_on(
        self, attempt: Attempt, provider: Provider, provider_id: str, watch: _Watch
    ) -> None:
        now = self._context.clock.monotonic()
        due = _CANCEL_LOOK_SECONDS if watch.hinted else poll_seconds_max
        if watch.cancel_sent or now - watch.looked_at < due:
            return
        watch.looked_at, watch.hinted = now, False
        try:
            view = await self._context.jobs.view(attempt.payer_job)
        except StoreUnavailable:
            return
        if view is not None and view.render is not None and view.render.cancel_requested_at is not None:
            watch.cancel_sent = await self._cancel(provider, attempt, provider_id)
            watch.pause_seconds = 0.0

    async def _cancel(self, provider: Provider, attempt: Attempt, provider_id: str) -> bool:
        try:
            answer = await provider.cancel(attempt.endpoint, provider_id)
        except (ProviderUnavailable, ProviderDenied):
            return False
        self._context.log.info("provider_asked_to_cancel", attempt=attempt.id, answer=answer.value)
        return True


def _failed(reason: Reason, message: str) -> Failure:
    return Failure(reason, message, Fault.PROVIDER, RetryAdvice.MAY_PAY_AGAIN)


_NO_RESULT = _failed(Reason.RESULT_LOST, "the provider finished and did not hand the result out")
_FORGOTTEN = _failed(Reason.PROVIDER_FAILED, "the provider does not know the request any more")
_TOO_LONG = _failed(Reason.PROVIDER_FAILED, "the provider did not finish within the route's time limit")
