"""Following a request at the provider: poll, show progress, pass a cancel on, fetch the result. Bounded by the route's limits.

Webhooks, and cancels, wake the follower by a hint of their own; what it commits itself wakes nobody here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from service.core.context import RunContext
from service.core.errand import Fence
from service.core.logfeed import NewLines
from service.core.pokes import poke_key
from service.domain.catalog import Route
from service.domain.commands import Progress, RunOutcome
from service.domain.errors import Overloaded, Reason, StoreUnavailable
from service.domain.exchange import CancelAnswer, Ended, Result, Stage, Status
from service.domain.failure import Failure, Fault, ProviderDenied, ProviderUnavailable, RetryAdvice
from service.domain.limits import (
    MICROS_PER_SECOND,
    cancel_settle_seconds,
    poll_seconds_max,
    poll_seconds_min,
    poll_with_webhooks_seconds,
    progress_seconds_min,
    result_kept_seconds,
)
from service.domain.records import Attempt
from service.ports import Provider

_UNKNOWN_ID_POLLS = 3
_UNKNOWN_ID_SECONDS = 60.0
_CANCEL_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 30.0
_PAUSE_SECONDS_MAX = 30.0
_POLL_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No end can be learnt within the limits."""

    failure: Failure


@dataclass(slots=True)
class _Watch:
    """What the follower remembers between two polls. Times by the monotonic clock; `started` is when it was sent."""

    started: float
    limit: float
    """When the route's own times have passed."""
    kept_until: float
    """When the result would be gone: so long no answer is no end."""
    pause_seconds: float = 0.0
    shown: str = ""
    shown_at: float = -1.0
    unknown_count: int = 0
    unknown_since: float = 0.0
    unanswered: bool = False
    hinted: bool = False
    looked_at: float = float("-inf")
    cancel_sent: bool = False
    ran: bool = False
    """Whether it was ever seen to run."""
    never_ran: bool = False
    """The provider has taken it out of its queue."""
    lost: bool = False
    """Another replica owns the render."""
    lines: NewLines = field(default_factory=NewLines)
    last_log: str = ""


class Follower:
    """Polls until the provider is done."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    async def follow(self, fence: Fence, attempt: Attempt, route: Route) -> Result | GaveUp | None:
        """The provider's last word; GaveUp when the limits have passed; None when another replica owns the render."""
        provider = self._context.providers[attempt.provider]
        watch = self._watch(attempt, route)
        subscription = self._context.hints.subscribe(poke_key(fence[0]))
        try:
            while not watch.lost:
                status = await self._poll(provider, attempt, watch)
                end = await self._end(provider, attempt, status, watch)
                if end is not None:
                    return end
                if status is not None:
                    await self._show(fence, attempt, status, watch)
                # A hint that came too soon after a look waits for the next one, not for the next poll.
                pause = (
                    min(watch.pause_seconds, _CANCEL_LOOK_SECONDS) if watch.hinted else watch.pause_seconds
                )
                watch.hinted |= await subscription.wait(pause)
                await self._pass_cancel_on(attempt, route, provider, watch)
            return None
        finally:
            subscription.close()

    def _watch(self, attempt: Attempt, route: Route) -> _Watch:
        clock = self._context.clock
        sent_at = attempt.dispatched_at or attempt.accepted_at or clock.now()
        started = clock.monotonic() - max(0, clock.now() - sent_at) / MICROS_PER_SECOND
        limit = started + route.start_timeout_seconds + route.run_seconds_max + _GRACE_SECONDS
        return _Watch(started, limit, max(limit, started + result_kept_seconds))

    async def _end(
        self, provider: Provider, attempt: Attempt, status: Status | None, watch: _Watch
    ) -> Result | GaveUp | None:
        """The end, if this look shows one or was the last that the limits allow."""
        if status is not None and status.stage is Stage.ENDED:
            return await self._ended(provider, attempt, watch)
        if status is not None and status.stage is Stage.GONE and self._gone(watch):
            return _never_ran(_CANCELLED) if watch.never_ran else GaveUp(_FORGOTTEN)
        now = self._context.clock.monotonic()
        if now < (watch.kept_until if watch.unanswered and not watch.cancel_sent else watch.limit):
            return None
        if watch.cancel_sent:
            return _never_ran(_CANCELLED) if watch.never_ran else GaveUp(_TOO_LONG)
        await self._cancel(provider, attempt, watch)
        return _never_ran(_NEVER_STARTED) if watch.never_ran else GaveUp(_TOO_LONG)

    async def _ended(self, provider: Provider, attempt: Attempt, watch: _Watch) -> Result | GaveUp:
        result = await self._result(provider, attempt)
        if result is None:
            return GaveUp(_NO_RESULT)
        silent = result.billable_units is None and not result.metrics
        if watch.never_ran and result.ended is not Ended.SUCCEEDED and silent:
            # Taken out of the queue before it ran, and no units are named: there was nothing to bill.
            return replace(result, surely_unbilled=True)
        return result

    async def _poll(self, provider: Provider, attempt: Attempt, watch: _Watch) -> Status | None:
        """One look; None when there was no answer."""
        watch.pause_seconds = self._pace(watch)
        try:
            status = await provider.poll(attempt.endpoint, attempt.provider_id or "")
        except ProviderUnavailable as error:
            watch.unanswered = True
            asked = max(min(watch.pause_seconds, poll_seconds_max), error.retry_after_seconds or 0.0)
            watch.pause_seconds = min(_PAUSE_SECONDS_MAX, asked)
            return None
        except ProviderDenied:
            # The account is blocked, the request is not lost: wait for an operator while a result may be there.
            watch.unanswered = True
            watch.pause_seconds = poll_seconds_max
            return None
        watch.unanswered = False
        if status.stage is not Stage.GONE:
            watch.unknown_count = 0
        watch.ran |= status.stage is Stage.RUNNING
        return status

    def _pace(self, watch: _Watch) -> float:
        """How long until the next look, if nothing wakes us."""
        jitter = self._context.dice.jitter()
        if self._context.webhooks_on and watch.unknown_count == 0 and not watch.cancel_sent:
            return poll_with_webhooks_seconds * jitter
        # In proportion to the age, so that what polling adds stays a small share of what the provider takes.
        age = self._context.clock.monotonic() - watch.started
        return min(poll_seconds_max, max(poll_seconds_min, age * _POLL_SHARE)) * jitter

    def _gone(self, watch: _Watch) -> bool:
        now = self._context.clock.monotonic()
        if watch.unknown_count == 0:
            watch.unknown_since = now
        watch.unknown_count += 1
        return watch.unknown_count >= _UNKNOWN_ID_POLLS and now - watch.unknown_since >= _UNKNOWN_ID_SECONDS

    async def _result(self, provider: Provider, attempt: Attempt) -> Result | None:
        clock = self._context.clock
        until = clock.monotonic() + result_kept_seconds
        pause = poll_seconds_min
        while clock.monotonic() < until:
            try:
                return await provider.result(attempt.endpoint, attempt.provider_id or "")
            except ProviderUnavailable as error:
                pause = max(pause, error.retry_after_seconds or 0.0)
            except ProviderDenied:
                pause = poll_seconds_max
            await clock.sleep(min(_PAUSE_SECONDS_MAX, pause * self._context.dice.jitter()))
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
            command = Progress(*fence, state=state, progress=json.dumps(data))
            watch.lost = await self._context.store.execute(command) is RunOutcome.LOST
        except (StoreUnavailable, Overloaded):
            # Progress may be dropped; what matters is committed by patient commands.
            self._context.log.warning("progress_dropped", attempt=attempt.id)

    async def _pass_cancel_on(
        self, attempt: Attempt, route: Route, provider: Provider, watch: _Watch
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
        asked = view is not None and view.render is not None and view.render.cancel_requested_at is not None
        if asked and (route.time_priced or await self._queues(provider, attempt, watch)):
            watch.cancel_sent = await self._cancel(provider, attempt, watch)
            if watch.cancel_sent:
                watch.limit = min(watch.limit, now + cancel_settle_seconds)

    async def _queues(self, provider: Provider, attempt: Attempt, watch: _Watch) -> bool:
        """Whether stopping it saves its price: the last look may be half a minute old, and what has begun is paid for anyway."""
        status = await self._poll(provider, attempt, watch)
        return status is not None and status.stage is Stage.QUEUED

    async def _cancel(self, provider: Provider, attempt: Attempt, watch: _Watch) -> bool:
        """Ask the provider to stop. Not while our lease has ended: somebody else decides about the render then."""
        if not self._context.lease.holds():
            return False
        try:
            answer = await provider.cancel(attempt.endpoint, attempt.provider_id or "")
        except (ProviderUnavailable, ProviderDenied):
            return False
        watch.never_ran = answer is CancelAnswer.CANCELLED and not watch.ran
        self._context.log.info("provider_asked_to_cancel", attempt=attempt.id, answer=answer.value)
        return True


def _never_ran(failure: Failure) -> Result:
    return Result(Ended.CANCELLED, failure=failure, surely_unbilled=True)


def _failed(reason: Reason, message: str) -> Failure:
    return Failure(reason, message, Fault.PROVIDER, RetryAdvice.MAY_PAY_AGAIN)


_CANCELLED = Failure(
    Reason.PROVIDER_FAILED,
    "the request was taken out of the provider's queue",
    Fault.CALLER,
    RetryAdvice.FREE,
)
_NEVER_STARTED = Failure(
    Reason.PROVIDER_FAILED, "the provider did not begin in time", Fault.PROVIDER, RetryAdvice.FREE
)
_NO_RESULT = _failed(Reason.RESULT_LOST, "the provider finished and did not hand the result out")
_FORGOTTEN = _failed(Reason.PROVIDER_FAILED, "the provider does not know the request any more")
_TOO_LONG = _failed(Reason.PROVIDER_FAILED, "the provider did not finish within the route's time limit")
