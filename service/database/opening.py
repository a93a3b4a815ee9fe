"""The first window of a new budget: it starts with what is spent and held already.

Called while the budgets table is held exclusively, so that no transaction that holds or settles money is under way.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.database.dialect import Dialect
from service.database.session import Session
from service.domain.budget import window_start
from service.domain.commands import SetBudget
from service.domain.records import Window
from service.domain.world import World


@dataclass(frozen=True, slots=True)
class Opening:
    """What the budget of `command` would start with, if the command makes it."""

    command: SetBudget
    window: Window
    """Its budget is the command's `budget_id`."""


class Openings:
    """Prebuilt for one engine."""

    def __init__(self, dialect: Dialect) -> None:
        p = dialect.param
        self._long_statements = dialect.long_statements
        self._whole = f"a.project = {p('project')} AND a.usage_at >= {p('start')}"
        self._labelled = (
            f"{self._whole} AND EXISTS (SELECT 1 FROM job_labels AS l WHERE l.job_id = a.payer_job "
            f"AND l.label_key = {p('label_key')} AND l.label_value = {p('label_value')})"
        )
        self._figures = (
            "SELECT coalesce(sum(CASE WHEN hold_open THEN 0 ELSE coalesce(settled_nanos, 0) END), 0), "
            "coalesce(sum(CASE WHEN hold_open THEN hold_nanos ELSE 0 END), 0), "
            "coalesce(sum(CASE WHEN NOT hold_open AND settled_nanos > hold_nanos "
            "THEN settled_nanos - hold_nanos ELSE 0 END), 0), "
            "coalesce(sum(CASE WHEN grade = 'UNCONFIRMED' THEN coalesce(settled_nanos, 0) ELSE 0 END), 0) "
            "FROM attempts AS a WHERE "
        )
        self._holds = (
            "INSERT INTO hold_budgets (attempt_id, budget_id, window_start, nanos) "
            f"SELECT a.id, {p('budget_id')}, {p('start')}, a.hold_nanos FROM attempts AS a WHERE "
        )

    def prepare(self, session: Session, world: World, command: SetBudget) -> Opening | None:
        """The figures of the current window, or None when the command changes a budget that is there."""
        asked = (command.project, command.label_key, command.label_value, command.period)
        for budget in world.budgets.values():
            if budget.live and asked == (budget.project, budget.label_key, budget.label_value, budget.period):
                return None
        start = window_start(command.period, world.now)
        if self._long_statements is not None:
            # A window that has seen very many attempts takes longer than a batch may, and would be tried for ever.
            session.run(self._long_statements)
        where = self._labelled if command.label_key else self._whole
        row = session.rows(self._figures + where, self._parameters(command, start))[0]
        spent, held, overrun, unconfirmed = (int(value) for value in row)
        return Opening(command, Window(command.budget_id, start, spent, held, overrun, unconfirmed))

    def plant(self, world: World, opening: Opening) -> None:
        """After the decision: give the budget its window if the command made it."""
        made = world.budgets.get(opening.command.budget_id)
        if made is not None and made.live and made.revision == 1:
            world.windows.put((opening.window.budget_id, opening.window.window_start), opening.window)

    def write(self, session: Session, world: World, opening: Opening) -> None:
        """Let later posts and corrections of the attempts that were summed reach the new window too."""
        start = opening.window.window_start
        if world.windows.get((opening.window.budget_id, start)) is None:
            return
        where = self._labelled if opening.command.label_key else self._whole
        parameters = {**self._parameters(opening.command, start), "budget_id": opening.command.budget_id}
        session.run(self._holds + where, parameters)

    def _parameters(self, command: SetBudget, start: int) -> dict[str, str | int]:
        parameters: dict[str, str | int] = {"project": command.project, "start": start}
        if command.label_key:
            parameters |= {"label_key": command.label_key, "label_value": command.label_value}
        return parameters
