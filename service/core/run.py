"""One render, from its hold to its pictures: whatever its row says now tells the next step, here or after a takeover."""

from __future__ import annotations

from service.core.context import RunContext
from service.core.dispatching import Dispatcher, NoPost
from service.core.errand import Errand
from service.core.follow import Follower, GaveUp
from service.core.keep import Keeper, Kept
from service.core.seek import Seeker
from service.core.steady import Steady
from service.core.told import record, recorded
from service.domain.catalog import Route
from service.domain.commands import Fail, Finish, NextAttempt, PutAgain, ResolveUnconfirmed, RunOutcome
from service.domain.errors import Reason, StorageUnavailable
from service.domain.exchange import Refused
from service.domain.failure import DoorError, Failure, Fault, RetryAdvice
from service.domain.fingerprint import drawing_from_canonical
from service.domain.limits import attempts_per_render_max
from service.domain.records import Attempt, AttemptState, Render
from service.domain.view import JobView

_PUT_AGAIN_MAX = 3
_STEPS_MAX = 8 * attempts_per_render_max
"""An attempt goes through four states, and back to the first when nothing was sent; more steps would be a circle."""


class RenderRun:
    """The owner's way through a render. Every step is a command; a lost fence ends the way without a trace."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._store = Steady(context.store, context.clock, context.dice, context.log)
        self._dispatcher = Dispatcher(context)
        self._seeker = Seeker(context)
        self._follower = Follower(context)
        self._keeper = Keeper(context)

    @property
    def unstored_count(self) -> int:
        """How many paid results wait for the picture store."""
        return self._keeper.unstored_count

    async def run(self, view: JobView) -> None:
        """Take a render to its end, from wherever its row stands."""
        assert view.render is not None, "a job that is not final has its render"
        assert view.attempts, "a render has its first attempt from the start"
        render = view.render
        self._context.log.info(
            "render_begun",
            job=view.job.id,
            render=render.id,
            model=render.model,
            sameness=self._context.tag(render.fingerprint),
        )
        errand = Errand(render, drawing_from_canonical(render.content))
        attempt: Attempt | None = view.attempts[-1]
        for _ in range(_STEPS_MAX):
            if attempt is None:
                return
            attempt = await self._step(errand, attempt)
        self._context.log.error("render_in_circles", render=render.id)

    async def _step(self, errand: Errand, attempt: Attempt) -> Attempt | None:
        """Go on from where the row stands. Answers the row after it: of this attempt, or of the next; None at the end."""
        route = self._route(errand.render, attempt)
        if attempt.state is AttemptState.HELD:
            return await self._fresh(errand, attempt, route)
        if route is None:
            self._context.log.error("route_unknown", attempt=attempt.id, route=attempt.route)
            return None
        match attempt.state:
            case AttemptState.DISPATCHING | AttemptState.UNKNOWN:
                return await self._seeker.seek(errand, attempt, route)
            case AttemptState.ACCEPTED:
                return await self._follow(errand, attempt, route)
            case AttemptState.SUCCEEDED:
                return await self._finish(errand, attempt, route)
            case _:
                return await self._after(errand, attempt)

    def _route(self, render: Render, attempt: Attempt) -> Route | None:
        model = self._context.catalog.models.get(render.model)
        return model.route(attempt.provider, attempt.route) if model else None

    # -- HELD

    async def _fresh(self, errand: Errand, attempt: Attempt, route: Route | None) -> Attempt | None:
        """Nothing was sent yet: shape it and send it."""
        if route is None:
            return await self._fail(errand, attempt, _ROUTE_GONE)
        try:
            body = await self._dispatcher.body(errand, attempt, route)
        except (DoorError, StorageUnavailable) as error:
            self._context.log.warning("inputs_not_delivered", attempt=attempt.id, error=repr(error))
            return await self._fail(errand, attempt, _INPUTS_NOT_DELIVERED)
        sent = await self._dispatcher.send(errand, attempt, route, body)
        if sent is NoPost.LOST:
            return None
        if isinstance(sent, NoPost):
            return await self._fail(errand, attempt, _NEVER_SENT, failover=False)
        if isinstance(sent.answer, Refused):
            return await self._fail(errand, sent.attempt, sent.answer.failure, failover=not sent.answer.fatal)
        return sent.attempt

    # -- ACCEPTED

    async def _follow(self, errand: Errand, attempt: Attempt, route: Route) -> Attempt | None:
        fence = errand.fence(attempt)
        result = await self._follower.follow(fence, attempt, route)
        if result is None:
            return None
        if isinstance(result, GaveUp):
            await self._store.execute(ResolveUnconfirmed(*fence, failure=result.failure))
            return None
        told: Attempt = await self._store.execute(record(attempt.id, route, result))
        if told.hold_nanos > 0 and told.settled_nanos is not None:
            ratio = told.settled_nanos / told.hold_nanos
            used = self._context.metrics.jobs.hold_use_ratio
            used.labels(errand.render.model, told.provider).observe(ratio)
        return told

    # -- SUCCEEDED

    async def _finish(self, errand: Errand, attempt: Attempt, route: Route) -> Attempt | None:
        """Bring the pictures home that the row names."""
        result = recorded(attempt, self._context.clock.now())
        kept = await self._keeper.keep(errand.drawing, attempt, route, result)
        if isinstance(kept, Failure):
            return await self._fail(errand, attempt, kept, failover=False)
        put_again: frozenset[str] = frozenset()
        for _ in range(_PUT_AGAIN_MAX):
            outcome = await self._store.execute(_finish_command(errand, attempt, kept, put_again))
            if not isinstance(outcome, PutAgain):
                return None
            if not await self._keeper.put_again(kept, outcome.sha256s):
                break
            put_again |= frozenset(outcome.sha256s)
        return await self._fail(errand, attempt, _NOT_KEPT, failover=False)

    # -- FAILED, CANCELLED, REJECTED

    async def _after(self, errand: Errand, attempt: Attempt) -> Attempt | None:
        """The attempt gave no picture: go on where that is free and can help."""
        failure = attempt.failure or _NOTHING_RETURNED
        if attempt.state is not AttemptState.REJECTED:
            return await self._fail(errand, attempt, failure, failover=failure.fault is not Fault.CALLER)
        if failure.reason is Reason.DISPATCH_UNCONFIRMED:
            # It never arrived. Where the provider's list can be trusted to say so, it may be sent once more.
            records = self._context.records.get(attempt.provider)
            again = records is not None and records.absence.dispatch_again
            return await self._fail(errand, attempt, failure, failover=again, again=again)
        return await self._fail(
            errand, attempt, failure, failover=failure.reason is not Reason.CONTENT_REJECTED
        )

    async def _fail(
        self,
        errand: Errand,
        attempt: Attempt,
        failure: Failure,
        *,
        failover: bool = True,
        again: bool = False,
    ) -> Attempt | None:
        dice = self._context.dice
        outcome = await self._store.execute(
            Fail(
                *errand.fence(attempt),
                failure=failure,
                next_attempt_id=dice.new_id(),
                next_token=dice.new_token(),
                failover=failover,
                again=again,
            )
        )
        if not isinstance(outcome, NextAttempt):
            assert isinstance(outcome, RunOutcome)
            return None
        following = outcome.attempt
        self._context.metrics.providers.failovers.labels(
            f"{attempt.provider}/{attempt.route}",
            f"{following.provider}/{following.route}",
            failure.reason.value,
        ).inc()
        return following


def _finish_command(errand: Errand, attempt: Attempt, kept: Kept, put_again: frozenset[str]) -> Finish:
    return Finish(
        *errand.fence(attempt),
        assets=kept.assets,
        partial=kept.partial,
        keep=kept.cacheable,
        notices=kept.notices,
        phases=kept.phases,
        put_again=put_again,
    )


_ROUTE_GONE = Failure(
    Reason.ROUTES_UNAVAILABLE, "the route is not in the catalog any more", Fault.OPERATOR, RetryAdvice.FREE
)
_INPUTS_NOT_DELIVERED = Failure(
    Reason.ROUTES_UNAVAILABLE,
    "the provider could not be given the input pictures",
    Fault.PROVIDER,
    RetryAdvice.FREE,
)
_NEVER_SENT = Failure(
    Reason.ROUTES_UNAVAILABLE, "the request could not be sent in time", Fault.SERVICE, RetryAdvice.FREE
)
_NOT_KEPT = Failure(
    Reason.STORAGE_UNAVAILABLE,
    "the picture store was away when the picture had to be put there once more",
    Fault.OPERATOR,
    RetryAdvice.MAY_PAY_AGAIN,
)
_NOTHING_RETURNED = Failure(
    Reason.PROVIDER_FAILED,
    "the provider ended the request without a picture",
    Fault.PROVIDER,
    RetryAdvice.MAY_PAY_AGAIN,
)
