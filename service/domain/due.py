"""How long a render may stay where it is. Every state that is not final has a limit; past it somebody else may act.

The limit follows from what the rows remember (when it was held, sent, accepted, ended) and from the route's own times, so it
can be reckoned again by anyone. `Render.next_step_at` is the limit of the state that the last move led to; a takeover may put
it off for a while. Times are microseconds by the database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from service.domain.absence import doubted_from
from service.domain.limits import (
    MICROS_PER_SECOND,
    accepted_grace_seconds,
    dispatch_post_seconds_max,
    ended_seconds_max,
    overdue_end_seconds,
    pending_seconds_max,
    start_timeout_seconds,
    storing_grace_seconds,
    storing_seconds_default,
    unknown_seconds_beyond_run,
)
from service.domain.records import Attempt, AttemptState, Render
from service.domain.routing import PlannedRoute


def planned_route(render: Render, attempt: Attempt) -> PlannedRoute | None:
    """The route of the render's plan that the attempt took."""
    for data in json.loads(render.plan)["routes"]:
        if (data["provider"], data["route"], data["endpoint"]) == (
            attempt.provider,
            attempt.route,
            attempt.endpoint,
        ):
            return PlannedRoute.from_dict(data)
    return None


def _after(at: int | None, seconds: float) -> int:
    return (at or 0) + int(seconds * MICROS_PER_SECOND)


def _route_seconds(render: Render, attempt: Attempt) -> int:
    """The longest that a provider lets a request wait for its start and run."""
    route = planned_route(render, attempt)
    return start_timeout_seconds if route is None else route.start_timeout_seconds + route.run_seconds_max


def _held(_render: Render, attempt: Attempt) -> int:
    return _after(attempt.usage_at, pending_seconds_max)


def _dispatching(_render: Render, attempt: Attempt) -> int:
    return doubted_from(attempt.send_before or attempt.usage_at)


def _unknown(render: Render, attempt: Attempt) -> int:
    sent = attempt.send_before or attempt.usage_at
    return _after(sent, _route_seconds(render, attempt) + unknown_seconds_beyond_run)


def _accepted(render: Render, attempt: Attempt) -> int:
    at = attempt.accepted_at or attempt.dispatched_at or attempt.usage_at
    seconds = _route_seconds(render, attempt) + dispatch_post_seconds_max + accepted_grace_seconds
    return _after(at, seconds)


def _succeeded(_render: Render, attempt: Attempt) -> int:
    kept = attempt.result_expires_at or _after(attempt.ended_at, storing_seconds_default)
    return _after(kept, storing_grace_seconds)


def _ended(_render: Render, attempt: Attempt) -> int:
    return _after(attempt.ended_at, ended_seconds_max)


_LIMITS: Final[Mapping[AttemptState, Callable[[Render, Attempt], int]]] = {
    AttemptState.HELD: _held,
    AttemptState.DISPATCHING: _dispatching,
    AttemptState.UNKNOWN: _unknown,
    AttemptState.ACCEPTED: _accepted,
    AttemptState.SUCCEEDED: _succeeded,
    AttemptState.FAILED: _ended,
    AttemptState.CANCELLED: _ended,
    AttemptState.REJECTED: _ended,
}


def limit_at(render: Render, attempt: Attempt) -> int:
    """Until when the render's owner has to have taken the next step; `attempt` is its newest."""
    return _LIMITS[attempt.state](render, attempt)


def ends_at(render: Render, attempt: Attempt) -> int:
    """From when a render that nobody can go on with is ended. What was not sent ends with its limit, without a further hour."""
    limit = limit_at(render, attempt)
    return limit if attempt.state is AttemptState.HELD else _after(limit, overdue_end_seconds)


def stepped(render: Render, attempt: Attempt) -> Render:
    """The render with the time of its next step as its newest attempt stands now."""
    return replace(render, next_step_at=limit_at(render, attempt))
