"""What ends jobs from the outside: their callers, and time."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from service.domain.commands.command import Command, Lane
from service.domain.value import value
from service.domain.view import JobView


@value(frozen=True, slots=True)
class Cancel(Command):
    """End a job at the wish of its caller."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    job_id: str
    project: str | None
    """None for an admin."""
    reason: str = ""


class CancelOutcome(Enum):
    """What the cancel reached."""

    NOT_SENT = "NOT_SENT"
    PROVIDER_ASKED = "PROVIDER_ASKED"
    DETACHED = "DETACHED"
    ALREADY_FINAL = "ALREADY_FINAL"


@value(frozen=True, slots=True)
class Cancelled:
    """The job after the cancel."""

    outcome: CancelOutcome
    view: JobView


@value(frozen=True, slots=True)
class ExpireJobs(Command):
    """End the jobs among these whose deadline has passed."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    job_ids: tuple[str, ...]
