"""Setting and ending budgets."""

from __future__ import annotations

from typing import ClassVar

from service.domain.commands.command import Command, Lane
from service.domain.records import Period
from service.domain.value import value


@value(frozen=True, slots=True)
class SetBudget(Command):
    """Create or change the one budget of (project, label, period). Answers the Budget."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    budget_id: str
    change_id: str
    project: str
    label_key: str
    label_value: str
    period: Period
    limit_nanos: int
    hard: bool
    alert_percents: tuple[int, ...]
    by: str
    reason: str = ""
    revision: int | None = None
    """The revision that the caller saw; None to set regardless."""


@value(frozen=True, slots=True)
class DeleteBudget(Command):
    """End a budget. Its windows and its audit stay."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    budget_id: str
    change_id: str
    by: str
    reason: str = ""
    revision: int | None = None
