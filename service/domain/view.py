"""A job as it is shown: the row with everything that its message is made of, read in one statement or taken from a batch."""

from __future__ import annotations

from service.domain.price import PriceSnapshot
from service.domain.records import Asset, Attempt, AttemptState, Grade, Job, JobState, Render, RenderAsset
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
        """The attempt that made the job's result, or the newest, which stands for the work."""
        if self.job.state is JobState.SUCCEEDED:
            return drawn_by(self.attempts)
        return self.attempts[-1] if self.attempts else None


def drawn_by(attempts: tuple[Attempt, ...]) -> Attempt | None:
    """Which of a render's attempts made its pictures: the newest that succeeded; usually the newest of all."""
    for attempt in reversed(attempts):
        if attempt.state is AttemptState.SUCCEEDED:
            return attempt
    return attempts[-1] if attempts else None


def worth(attempts: tuple[Attempt, ...]) -> int | None:
    """What the pictures of these attempts cost, for whoever got them for nothing (nano-USD); None while nobody knows."""
    if any(
        one.grade is Grade.UNCONFIRMED and not PriceSnapshot.from_json(one.price).is_known for one in attempts
    ):
        return None
    return sum(one.total_nanos for one in attempts)


def standing(newest: Render | None, older: Render | None) -> Render | None:
    """Which of the renders that a flight names stands for it: the newest, unless it ended without a picture that is kept."""
    if newest is None or (newest.finished_at is not None and newest.fresh_until is None):
        return older or newest
    return newest
