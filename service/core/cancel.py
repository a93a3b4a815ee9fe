"""Ending a job at the wish of its caller."""

from __future__ import annotations

from service.core.pokes import poke_key
from service.domain.commands import Cancel, Cancelled
from service.ports import Hints, Store


class Cancellations:
    """The use case of CancelJob. The runner learns of it by a hint, and from the row."""

    def __init__(self, store: Store, hints: Hints) -> None:
        self._store = store
        self._hints = hints

    async def cancel(self, job_id: str, project: str | None, reason: str) -> Cancelled:
        """The job after the cancel; JobNotFound when this project has no such job."""
        outcome: Cancelled = await self._store.execute(Cancel(job_id, project, reason))
        render = outcome.view.render
        if render is not None and render.cancel_requested_at is not None:
            self._hints.publish((poke_key(render.id),))
        return outcome
