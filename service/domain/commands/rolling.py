"""What keeps reports and metrics quick however much there is: days summed once they are over, bytes counted now and then."""

from __future__ import annotations

from service.domain.commands.command import Command
from service.domain.value import value


@value(frozen=True, slots=True)
class RollDays(Command):
    """Sum the totals of the oldest days of booking that have ended and were not summed yet. Answers how many days were (int);
    fewer than `days_max` means: all.

    What was booked on a day that has ended does not change any more, so each is summed once.
    """

    days_max: int


@value(frozen=True, slots=True)
class RecordStored(Command):
    """Keep how many bytes of pictures each project has, as counted now. Replaces what was counted before. Answers None."""

    sizes: tuple[tuple[str, int], ...]
    """(project, bytes)."""
