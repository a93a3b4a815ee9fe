"""A request that arrived after all, when its render had gone on without it: the same picture is perhaps drawn twice."""

from __future__ import annotations

from typing import Final

from service.core.context import RunContext
from service.domain.commands import Bound
from service.domain.exchange import Stage
from service.domain.failure import ProviderDenied, ProviderUnavailable
from service.domain.records import AttemptState

_IN_USE: Final = frozenset(
    {AttemptState.DISPATCHING, AttemptState.UNKNOWN, AttemptState.ACCEPTED, AttemptState.SUCCEEDED}
)
"""States in which the newest attempt has, or may yet have, a picture of its own."""


async def doubled(context: RunContext, bound: Bound) -> None:
    """Have its money and its pictures fetched aside. Where the newest attempt was sent too, count it, and stop it if it still
    queues and so costs nothing.
    """
    if bound.newest.state in _IN_USE:
        await _stop(context, bound)
    context.superseded(bound.attempt)


async def _stop(context: RunContext, bound: Bound) -> None:
    attempt = bound.attempt
    context.metrics.providers.double_dispatches.labels(attempt.provider, attempt.route).inc()
    context.log.error("double_dispatch", render=bound.render.id, attempt=attempt.id, newest=bound.newest.id)
    provider = context.providers.get(attempt.provider)
    if provider is not None and attempt.provider_id is not None and not attempt.is_ended:
        try:
            status = await provider.poll(attempt.endpoint, attempt.provider_id)
            if status.stage is Stage.QUEUED:
                answer = await provider.cancel(attempt.endpoint, attempt.provider_id)
                context.log.info("provider_asked_to_cancel", attempt=attempt.id, answer=answer.value)
        except (ProviderUnavailable, ProviderDenied) as error:
            # Whoever fetches it aside learns how it ended.
            context.log.warning("double_not_stopped", attempt=attempt.id, error=repr(error))
