"""Renders that nobody works on: of a replica that died, or that this one lost sight of. They are taken over and gone on with.

A call can end between the commit that accepted its request and the start of its render; a process can end anywhere. The rows
are the truth: whatever is not final and runs nowhere is found here.
"""

from __future__ import annotations

from service.core.housekeeping import Repeater
from service.core.runner import Runner
from service.domain.commands import TakeOver
from service.domain.limits import heartbeat_seconds, renders_running_max, take_over_count_max
from service.metrics import Metrics
from service.ports import Clock, JobReader, Log, Store


def recovery(
    store: Store, jobs: JobReader, runner: Runner, replica_id: str, clock: Clock, log: Log, metrics: Metrics
) -> Repeater:
    """Look for strays at the pace of the heartbeat, and take at most `take_over_count_max` at a time."""
    suspected: set[str] = set()

    async def recover() -> None:
        found = await jobs.strays(replica_id, renders_running_max + take_over_count_max)
        idle = [render_id for render_id in found if not runner.runs(render_id)]
        # Twice in a row: a render that was accepted a moment ago is about to be begun by its own call.
        twice = [render_id for render_id in idle if render_id in suspected]
        suspected.clear()
        suspected.update(idle)
        if not twice or not runner.has_room:
            return
        payers = await store.execute(TakeOver(tuple(twice[:take_over_count_max]), replica_id))
        for job_id in payers:
            view = await jobs.view(job_id)
            if view is not None:
                metrics.store.lease_takeovers.inc()
                log.info("render_taken_over", render=view.job.render_id)
                runner.begin(view)

    return Repeater("recovery", heartbeat_seconds, recover, clock, log)
