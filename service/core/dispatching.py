"""The way of an attempt to its provider: inputs delivered, body shaped, marker committed, one POST, its answer committed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from service.core.context import RunContext
from service.core.doubles import doubled
from service.core.errand import Errand
from service.core.runner import to_the_end
from service.core.steady import STORE_TRIES_MAX, Steady
from service.domain.catalog import Route
from service.domain.commands import BindProviderId, Bound, Dispatch, MarkUnknown, NotSent, Reject, Send
from service.domain.drawing import InputPicture
from service.domain.due import limit_at
from service.domain.errors import Overloaded, StorageUnavailable, StoreUnavailable
from service.domain.exchange import Accepted, DispatchAnswer, Order, Refused, Unclear
from service.domain.limits import MICROS_PER_SECOND, send_window_seconds
from service.domain.records import Attempt
from service.domain.sent import input_digest
from service.domain.shape import shape

_NOT_SENT_MAX = 3


@dataclass(frozen=True, slots=True)
class Body:
    """What the provider is sent, complete, and what of it the marker remembers."""

    content: bytes
    seed: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A POST was made: what came of it, and the attempt as it is committed."""

    attempt: Attempt
    answer: DispatchAnswer


class NoPost(Enum):
    """Why a dispatch sent nothing."""

    LOST = "LOST"
    """The render is not ours to send, or not to be sent any more."""
    UNMARKED = "UNMARKED"
    """The database did not say whether the marker is committed."""
    LATE = "LATE"
    """The marker took too long; it is taken back."""


class Dispatcher:
    """Sends an attempt at most once."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._store = Steady(context.store, context.clock, context.dice, context.log)

    # -- before the POST

    async def body(self, errand: Errand, attempt: Attempt, route: Route) -> Body:
        """The provider's JSON. Raises DoorError and StorageUnavailable when an input can't be given to the provider."""
        drawing = errand.drawing
        # A seed of our own makes the inputs of an attempt unique: by it a lost request is found again.
        rolled = self._context.dice.seed() if drawing.seed is None and route.takes_seed else None
        inputs = drawing.inputs
        urls = [await self._input_url(attempt.provider, one) for one in inputs.images] if inputs else []
        mask = await self._input_url(attempt.provider, inputs.mask) if inputs and inputs.mask else None
        seed = drawing.seed if rolled is None else rolled
        data: dict[str, Any] = shape(route, drawing, seed=seed, image_urls=urls, mask_url=mask)
        content = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
        return Body(content, seed, input_digest(data))

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

    async def send(self, errand: Errand, attempt: Attempt, route: Route, body: Body) -> Sent | NoPost:
        """Marker, one POST, and what came of it committed. LOST when there is nothing more to do here; UNMARKED and LATE when
        it could not be sent however often it was tried.
        """
        order = Order(
            provider=attempt.provider,
            endpoint=attempt.endpoint,
            body=body.content,
            token=attempt.token,
            start_timeout_seconds=route.start_timeout_seconds,
            run_seconds_max=route.run_seconds_max,
        )
        late_count = 0
        outcome: Sent | NoPost = NoPost.LOST
        for _ in range(STORE_TRIES_MAX):
            if not await self._may_send(errand, attempt):
                return NoPost.LOST
            # Shielded as a whole: a POST whose id is not committed is a picture that nobody can find again.
            outcome = await to_the_end(self._dispatch(errand, attempt, order, body))
            if isinstance(outcome, Sent):
                await self._doubt(errand, outcome)
                return outcome
            if outcome is NoPost.LOST:
                return outcome
            self._context.log.warning("not_sent", attempt=attempt.id, cause=outcome.value)
            late_count += outcome is NoPost.LATE and self._context.lease.holds()
            if late_count == _NOT_SENT_MAX:
                break
            if outcome is NoPost.UNMARKED:
                await self._context.clock.sleep(self._context.dice.jitter())
        return outcome

    async def _doubt(self, errand: Errand, sent: Sent) -> None:
        """Write down that nobody knows, where that is so: its sender need not wait before it may be doubted."""
        if isinstance(sent.answer, Unclear):
            self._context.log.warning("dispatch_unclear", attempt=sent.attempt.id, cause=sent.answer.kind)
            command = MarkUnknown(*errand.fence(sent.attempt), cause=sent.answer.kind)
            await self._store.execute(command)

    async def _may_send(self, errand: Errand, attempt: Attempt) -> bool:
        """Wait until operators let it go and our lease holds. False when it waited too long, or others have it by then."""
        context = self._context
        left = (limit_at(errand.render, attempt) - context.clock.now()) / MICROS_PER_SECOND
        where = (attempt.provider, attempt.route, attempt.project)
        if left <= 0 or not await context.switches.wait_until_on(*where, left):
            context.log.warning("pending_too_long", attempt=attempt.id)
            return False
        return await context.lease.held()

    async def _dispatch(self, errand: Errand, attempt: Attempt, order: Order, body: Body) -> Sent | NoPost:
        store, clock = self._context.store, self._context.clock
        window_ends = clock.monotonic() + send_window_seconds
        fence = errand.fence(attempt)
        try:
            marked = await store.execute(Dispatch(*fence, seed=body.seed, input_digest=body.digest))
        except (StoreUnavailable, Overloaded):
            return NoPost.UNMARKED
        if not isinstance(marked, Send):
            return NoPost.LOST
        # Nothing leaves after the lease has ended either: another replica may own the render then.
        send_before = min(window_ends, self._context.lease.ends)
        answer = await self._context.providers[order.provider].dispatch(order, send_before)
        if answer is None:
            assert marked.attempt.send_before is not None, "a marker says until when it is sent"
            await store.execute(NotSent(attempt.id, marked.attempt.send_before))
            return NoPost.LATE
        return await self._commit(marked.attempt, answer)

    async def _commit(self, attempt: Attempt, answer: DispatchAnswer) -> Sent | NoPost:
        """Write down what the provider said before anything else is done."""
        store = self._context.store
        if isinstance(answer, Accepted):
            bound: Bound = await store.execute(
                BindProviderId(
                    attempt.id,
                    attempt.provider,
                    answer.provider_id,
                    aliases=answer.aliases,
                    queue_position=answer.queue_position,
                )
            )
            if bound.newest.id != bound.attempt.id:
                await doubled(self._context, bound)
                return NoPost.LOST
            return Sent(bound.attempt, answer)
        if isinstance(answer, Refused):
            refused: Attempt = await store.execute(Reject(attempt.id, answer.failure))
            if refused.provider_id is not None:
                # The provider has named an id for it elsewhere: it is not refused, whatever this answer says.
                return Sent(refused, Accepted(refused.provider_id))
            return Sent(refused, answer)
        return Sent(attempt, answer)
