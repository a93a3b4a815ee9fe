"""One render, from its hold to its pictures: dispatch, follow, record, keep, finish; or the next route."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from service.core.context import RunContext
from service.core.follow import Follower, GaveUp
from service.core.keep import Keeper, Kept
from service.core.runner import to_the_end
from service.core.steady import STORE_TRIES_MAX, Steady
from service.domain.catalog import FailureCharge, Route
from service.domain.commands import (
    BindProviderId,
    Dispatch,
    Fail,
    Finish,
    MarkUnknown,
    NextAttempt,
    NotSent,
    PutAgain,
    RecordResult,
    Reject,
    ResolveUnconfirmed,
    RunOutcome,
    Send,
)
from service.domain.drawing import Drawing, InputPicture
from service.domain.errors import Overloaded, Reason, StorageUnavailable, StoreUnavailable
from service.domain.exchange import Accepted, DispatchAnswer, Ended, Order, Refused, Result
from service.domain.failure import DoorError, Failure, Fault, RetryAdvice
from service.domain.fingerprint import drawing_from_canonical
from service.domain.limits import (
    MICROS_PER_SECOND,
    attempts_per_render_max,
    dispatch_post_seconds_max,
    send_window_seconds,
    unknown_grace_seconds,
)
from service.domain.records import Attempt, AttemptState, Render
from service.domain.shape import shape
from service.domain.view import JobView

_NOT_SENT_MAX = 3
_PUT_AGAIN_MAX = 3


@dataclass(frozen=True, slots=True)
class _Setting:
    """What stays the same over all attempts of a render."""

    render: Render
    drawing: Drawing


class _NoPost(Enum):
    """Why a dispatch sent nothing."""

    LOST = "LOST"
    """The render is not ours to send, or not to be sent any more."""
    UNMARKED = "UNMARKED"
    """The database did not say whether the marker is committed."""
    LATE = "LATE"
    """The marker took too long; it is taken back."""


class RenderRun:
    """The owner's way through a render. Every step is a command; a lost fence ends the way without a trace."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._store = Steady(context.store, context.clock, context.dice, context.log)
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
        setting = _Setting(view.render, drawing_from_canonical(view.render.content))
        attempt: Attempt | None = view.attempts[-1]
        for _ in range(attempts_per_render_max):
            if attempt is None:
                return
            attempt = await self._attempt(setting, attempt)

    async def _attempt(self, setting: _Setting, attempt: Attempt) -> Attempt | None:
        """Go on from where the row stands, to the attempt's end; the next attempt, if the render goes on."""
        route = self._route(setting.render, attempt)
        if attempt.state is AttemptState.HELD:
            return await self._fresh(setting, attempt, route)
        if route is None:
            self._context.log.error("route_unknown", attempt=attempt.id, route=attempt.route)
            return None
        if attempt.state in (AttemptState.DISPATCHING, AttemptState.UNKNOWN):
            return await self._unanswered(setting, attempt, route)
        if attempt.state is AttemptState.ACCEPTED:
            return await self._follow(setting, attempt, route, attempt.provider_id or "")
        if attempt.state is AttemptState.SUCCEEDED:
            result = await self._follower.fetch(attempt)
            if result is None:
                return await self._fail(setting, attempt, _NOT_FETCHED, failover=False)
            await self._finish(setting, attempt, route, result)
            return None
        failure = attempt.failure or _NOTHING_RETURNED
        return await self._fail(setting, attempt, failure, failover=failure.fault is not Fault.CALLER)

    async def _fresh(self, setting: _Setting, attempt: Attempt, route: Route | None) -> Attempt | None:
        """Nothing was sent yet: shape it, send it, follow it."""
        if route is None:
            return await self._fail(setting, attempt, _ROUTE_GONE)
        try:
            body = await self._body(setting, attempt, route)
        except (DoorError, StorageUnavailable) as error:
            self._context.log.warning("inputs_not_delivered", attempt=attempt.id, error=repr(error))
            return await self._fail(setting, attempt, _INPUTS_NOT_DELIVERED)
        answer = await self._send(setting, attempt, route, *body)
        if answer is None:
            return None
        if isinstance(answer, Accepted):
            return await self._follow(setting, attempt, route, answer.provider_id)
        if isinstance(answer, Refused):
            return await self._fail(setting, attempt, answer.failure, failover=not answer.fatal)
        self._context.log.warning("dispatch_unclear", attempt=attempt.id, cause=answer.kind)
        await self._give_up(setting, attempt, answer.kind)
        return None

    async def _unanswered(self, setting: _Setting, attempt: Attempt, route: Route) -> Attempt | None:
        """Whoever sent it is gone: wait until that POST must have ended, then take what its row says by then."""
        clock = self._context.clock
        ended_at = (attempt.send_before or 0) / MICROS_PER_SECOND + dispatch_post_seconds_max
        await clock.sleep(max(0.0, ended_at + unknown_grace_seconds - clock.now() / MICROS_PER_SECOND))
        view = await self._store.until_answered(lambda: self._context.jobs.view(attempt.payer_job))
        known = next((one for one in view.attempts if one.id == attempt.id), attempt) if view else attempt
        if known.state not in (AttemptState.DISPATCHING, AttemptState.UNKNOWN):
            return await self._attempt(setting, known)
        await self._give_up(setting, attempt, "its sender is gone")
        return None

    async def _give_up(self, setting: _Setting, attempt: Attempt, cause: str) -> None:
        await self._store.execute(MarkUnknown(*self._fence(setting, attempt), cause=cause))
        await self._store.execute(ResolveUnconfirmed(*self._fence(setting, attempt)))

    def _route(self, render: Render, attempt: Attempt) -> Route | None:
        model = self._context.catalog.models.get(render.model)
        return model.route(attempt.provider, attempt.route) if model else None

    @staticmethod
    def _fence(setting: _Setting, attempt: Attempt) -> tuple[str, str, str, int]:
        return setting.render.id, attempt.id, setting.render.owner, setting.render.fence

    # -- before the POST

    async def _body(self, setting: _Setting, attempt: Attempt, route: Route) -> tuple[bytes, int | None]:
        """The provider's JSON, complete, and the seed in it when we rolled one."""
        drawing = setting.drawing
        rolled = self._context.dice.seed() if drawing.seed is None and route.takes_seed else None
        inputs = drawing.inputs
        urls = [await self._input_url(attempt.provider, one) for one in inputs.images] if inputs else []
        mask = await self._input_url(attempt.provider, inputs.mask) if inputs and inputs.mask else None
        seed = drawing.seed if rolled is None else rolled
        data = shape(route, drawing, seed=seed, image_urls=urls, mask_url=mask)
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(), seed

    async def _input_url(self, provider: str, picture: InputPicture) -> str:
        """Our own signed URL where the provider can read it, else an upload."""
        asset = await self._store.until_answered(lambda: self._context.jobs.asset(picture.sha256, None))
        if asset is None:
            raise StorageUnavailable("an input picture of this render has no row")
        url = self._context.blobs.provider_url(asset.key)
        if url is not None:
            return url
        content = await self._context.blobs.get(asset.key)
        if content is None:
            raise StorageUnavailable("an input picture of this render is gone")
        return await self._context.providers[provider].upload(content, asset.mime_type)

    # -- the POST

    async def _send(
        self, setting: _Setting, attempt: Attempt, route: Route, body: bytes, seed: int | None
    ) -> DispatchAnswer | None:
        """Marker, one POST, and what came of it committed. None when there is nothing more to do here."""
        order = Order(
            provider=attempt.provider,
            endpoint=attempt.endpoint,
            body=body,
            token=attempt.token,
            start_timeout_seconds=route.start_timeout_seconds,
            run_seconds_max=route.run_seconds_max,
        )
        late_count = 0
        for _ in range(STORE_TRIES_MAX):
            # Shielded as a whole: a POST whose id is not committed is a picture that nobody can find again.
            answer = await to_the_end(self._dispatch(setting, attempt, order, seed))
            if answer is _NoPost.LOST:
                return None
            if not isinstance(answer, _NoPost):
                return answer
            self._context.log.warning("not_sent", attempt=attempt.id, cause=answer.value)
            late_count += answer is _NoPost.LATE
            if late_count == _NOT_SENT_MAX:
                break
            if answer is _NoPost.UNMARKED:
                await self._context.clock.sleep(self._context.dice.jitter())
        await self._fail(setting, attempt, _NEVER_SENT, failover=False)
        return None

    async def _dispatch(
        self, setting: _Setting, attempt: Attempt, order: Order, seed: int | None
    ) -> DispatchAnswer | _NoPost:
        store = self._context.store
        send_before = self._context.clock.monotonic() + send_window_seconds
        try:
            marked = await store.execute(Dispatch(*self._fence(setting, attempt), seed=seed))
        except (StoreUnavailable, Overloaded):
            return _NoPost.UNMARKED
        if not isinstance(marked, Send):
            return _NoPost.LOST
        answer = await self._context.providers[order.provider].dispatch(order, send_before)
        if answer is None:
            await store.execute(NotSent(attempt.id))
            return _NoPost.LATE
        if isinstance(answer, Accepted):
            await store.execute(
                BindProviderId(
                    attempt.id,
                    order.provider,
                    answer.provider_id,
                    aliases=answer.aliases,
                    queue_position=answer.queue_position,
                )
            )
        elif isinstance(answer, Refused):
            refused: Attempt = await store.execute(Reject(attempt.id, answer.failure))
            if refused.provider_id is not None:
                # The provider has named an id for it elsewhere: it is not refused, whatever this answer says.
                return Accepted(refused.provider_id)
        return answer

    # -- after the POST

    async def _follow(
        self, setting: _Setting, attempt: Attempt, route: Route, provider_id: str
    ) -> Attempt | None:
        fence = self._fence(setting, attempt)
        result = await self._follower.follow(fence, attempt, route, provider_id)
        if isinstance(result, GaveUp):
            await self._store.execute(ResolveUnconfirmed(*fence, failure=result.failure))
            return None
        recorded: Attempt = await self._store.execute(_record(attempt, route, result))
        self._observe(setting, recorded)
        if recorded.state is not AttemptState.SUCCEEDED:
            failure = result.failure or _NOTHING_RETURNED
            failover = failure.fault is not Fault.CALLER
            return await self._fail(setting, recorded, failure, failover=failover)
        await self._finish(setting, recorded, route, result)
        return None

    async def _finish(self, setting: _Setting, attempt: Attempt, route: Route, result: Result) -> None:
        kept = await self._keeper.keep(setting.drawing, attempt, route, result)
        if isinstance(kept, Failure):
            await self._fail(setting, attempt, kept, failover=False)
            return
        put_again: frozenset[str] = frozenset()
        for _ in range(_PUT_AGAIN_MAX):
            outcome = await self._store.execute(self._finish_command(setting, attempt, kept, put_again))
            if not isinstance(outcome, PutAgain):
                return
            if not await self._keeper.put_again(kept, outcome.sha256s):
                break
            put_again |= frozenset(outcome.sha256s)
        await self._fail(setting, attempt, _NOT_KEPT, failover=False)

    def _finish_command(
        self, setting: _Setting, attempt: Attempt, kept: Kept, put_again: frozenset[str]
    ) -> Finish:
        return Finish(
            *self._fence(setting, attempt),
            assets=kept.assets,
            partial=kept.partial,
            keep=kept.cacheable,
            notices=kept.notices,
            phases=kept.phases,
            put_again=put_again,
        )

    async def _fail(
        self, setting: _Setting, attempt: Attempt, failure: Failure, *, failover: bool = True
    ) -> Attempt | None:
        dice = self._context.dice
        outcome = await self._store.execute(
            Fail(
                *self._fence(setting, attempt),
                failure=failure,
                next_attempt_id=dice.new_id(),
                next_token=dice.new_token(),
                failover=failover,
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

    def _observe(self, setting: _Setting, attempt: Attempt) -> None:
        if attempt.hold_nanos > 0 and attempt.settled_nanos is not None:
            ratio = attempt.settled_nanos / attempt.hold_nanos
            self._context.metrics.jobs.hold_use_ratio.labels(setting.render.model, attempt.provider).observe(
                ratio
            )


def _record(attempt: Attempt, route: Route, result: Result) -> RecordResult:
    """What the provider said, as evidence. The rule of the route fills in where a failure says nothing of its price."""
    # A cancelled run was stopped under way and may be charged; a failed one costs what the route's rule says.
    fails_free = result.ended is Ended.FAILED and route.failure_charge is FailureCharge.NONE
    free = result.surely_unbilled or (fails_free and result.billable_units is None)
    kept = {
        "outputs": [{"url": one.url, "flagged": one.flagged} for one in result.outputs],
        "seed": result.seed,
        "notices": list(result.notices),
        "billable_units": None if result.billable_units is None else str(result.billable_units),
        "metrics": {name: str(value) for name, value in result.metrics.items()},
    }
    expires = result.expires_in_seconds
    return RecordResult(
        attempt.id,
        ended=result.ended.value,
        billable_units=None if result.billable_units is None else str(result.billable_units),
        metrics=tuple((name, str(value)) for name, value in result.metrics.items()),
        images_count=len(result.outputs),
        surely_unbilled=free,
        failure=result.failure,
        result=json.dumps(kept),
        result_expires_in_micros=None if expires is None else int(expires * MICROS_PER_SECOND),
        queue_seconds=result.queue_seconds,
        run_seconds=result.run_seconds,
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
_NOT_FETCHED = Failure(
    Reason.RESULT_LOST,
    "the picture was drawn and could not be fetched again",
    Fault.PROVIDER,
    RetryAdvice.MAY_PAY_AGAIN,
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
