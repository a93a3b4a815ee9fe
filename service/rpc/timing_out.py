"""How long a job's phases took: its life cut at the times that were recorded, so that the phases sum to the total.

What a provider says of its own queue and run is taken as far as it fits between our dispatch and the moment at which we
knew the end. The rest of that span (the request's way there, the wait for the next poll) is ours and counts as `download`.
A phase before a job's acceptance (it joined late) or after its end is none of that job's time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from lightmeter.v1 import money_pb2

from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Attempt, Origin
from service.domain.view import JobView
from service.rpc.instants import put_span

_NO_PHASES: Mapping[str, int] = {}
_THEIRS = ("retried", "provider_queue", "provider_run")
_PHASES = ("queued", "retried", "provider_queue", "provider_run", "download", "store", "settle")


def put_timing(message: money_pb2.Timing, view: JobView) -> None:
    """Write the phases so far; `total` and `added` once the job is final."""
    job = view.job
    input_micros = 0
    if job.input_seconds is not None:
        input_micros = round(job.input_seconds * MICROS_PER_SECOND)
        put_span(message.input, input_micros)
    phases = _NO_PHASES if job.origin is Origin.CACHE else _phases(view)
    for name, micros in phases.items():
        put_span(getattr(message, name), micros)
    if job.final_at is not None:
        total = job.final_at - job.accepted_at + input_micros
        put_span(message.total, total)
        put_span(message.added, total - sum(phases.get(name, 0) for name in _THEIRS) if phases else total)


def _phases(view: JobView) -> dict[str, int]:
    """Phase → microseconds, without those that were not entered. For a final job they sum to its life."""
    job = view.job
    ends, current = _ends(view)
    if job.final_at is not None:
        ends = {name: min(end, job.final_at) for name, end in ends.items()}
        ends[current] = job.final_at
    phases: dict[str, int] = {}
    reached = job.accepted_at
    for name in _PHASES:
        if name in ends:
            until = max(reached, ends[name])
            phases[name] = until - reached
            reached = until
    return phases


def _ends(view: JobView) -> tuple[dict[str, int], str]:
    """When each finished phase ended, by the database's clock, and the phase that came after them."""
    attempts = [one for one in view.attempts if one.dispatched_at is not None]
    if not attempts:
        return {}, "queued"
    first, last = attempts[0], attempts[-1]
    assert first.dispatched_at is not None
    assert last.dispatched_at is not None
    ends = {"queued": first.dispatched_at}
    if last is not first:
        ends["retried"] = last.dispatched_at
    if last.ended_at is None:
        return ends, "provider_run"
    run_end = _put_provider(ends, last, last.dispatched_at, last.ended_at)
    render = view.render
    if render is None or render.finished_at is None or not view.assets:
        return ends, "download"
    seconds = json.loads(render.progress).get("store_seconds")
    if seconds is None:
        ends["download"] = render.finished_at
    else:
        stored = render.finished_at - round(float(seconds) * MICROS_PER_SECOND)
        ends["download"] = max(run_end, stored)
        ends["store"] = render.finished_at
    return ends, "settle"


def _put_provider(ends: dict[str, int], attempt: Attempt, start: int, end: int) -> int:
    """When the provider's queue and its run ended, as far as it told and as it can be true. Answers the latter."""
    queue_end = start
    if attempt.queue_seconds is not None:
        queue_end = min(end, start + round(attempt.queue_seconds * MICROS_PER_SECOND))
        ends["provider_queue"] = queue_end
    run_end = end
    if attempt.run_seconds is not None:
        run_end = min(end, queue_end + round(attempt.run_seconds * MICROS_PER_SECOND))
    ends["provider_run"] = run_end
    return run_end
