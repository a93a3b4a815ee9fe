"""A job as it is shown: the row with everything that its message is made of, read in one statement or taken from a batch."""

from __future__ import annotations

from service.domain.records import Asset, Attempt, Job, Render, RenderAsset
from service.domain.value import value


@value(frozen=True, slots=True)
class JobView:
    """A job, its render, the render's attempts by number, and its pictures by position (empty until it succeeded)."""

    job: Job
    render: Render | None
    """None once pruned."""
    attempts: tuple[Attempt, ...]
    assets: tuple[tuple[RenderAsset, Asset], ...]

    @property
    def version(self) -> int:
        """The visible version: the job's own while final, else the sum of job and render."""
        if self.job.is_final or self.render is None:
            return self.job.version
        return self.job.version + self.render.version

    @property
    def winning(self) -> Attempt | None:
        """The newest attempt: the one that made the result, or stands for the work now."""
        return self.attempts[-1] if self.attempts else None
