"""Budgets as callers set, end and look at them."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.budget import budget_name
from service.domain.commands import DeleteBudget, SetBudget
from service.domain.queries import BudgetState
from service.domain.records import Budget, Period
from service.ports import Dice, LedgerReader, Store


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """What a budget is to be: which one it is, and its settings."""

    project: str
    label_key: str
    label_value: str
    period: Period
    limit_nanos: int
    hard: bool
    alert_percents: tuple[int, ...]

    @property
    def identity(self) -> tuple[str, str, str, Period]:
        """What makes it this budget and no other."""
        return self.project, self.label_key, self.label_value, self.period


def identity_of(budget: Budget) -> tuple[str, str, str, Period]:
    """The same of a live budget."""
    return budget.project, budget.label_key, budget.label_value, budget.period


class Budgets:
    """The use cases of ListBudgets, SetBudget and DeleteBudget. Raises StoreUnavailable and Overloaded like its ports."""

    def __init__(self, store: Store, ledger: LedgerReader, dice: Dice) -> None:
        self._store = store
        self._ledger = ledger
        self._dice = dice

    async def listed(self, project: str | None) -> tuple[BudgetState, ...]:
        """The live budgets of a project, or all, by name."""
        return tuple(sorted(await self._ledger.budgets(project), key=lambda one: budget_name(one.budget)))

    async def set(self, line: BudgetLine, *, by: str, reason: str, revision: int | None) -> BudgetState:
        """Create the budget or replace its settings. Raises EtagMismatch when `revision` is not the newest (0: none yet)."""
        budget: Budget = await self._store.execute(
            SetBudget(
                budget_id=self._dice.new_id(),
                change_id=self._dice.new_id(),
                project=line.project,
                label_key=line.label_key,
                label_value=line.label_value,
                period=line.period,
                limit_nanos=line.limit_nanos,
                hard=line.hard,
                alert_percents=line.alert_percents,
                by=by,
                reason=reason,
                revision=revision,
            )
        )
        states = await self._ledger.budgets(line.project)
        return next((one for one in states if one.budget.id == budget.id), BudgetState(budget, None))

    async def delete(self, name: str, *, by: str, reason: str, revision: int | None) -> None:
        """End the budget of this name; nothing when there is none. Raises EtagMismatch."""
        project = name.partition("/")[0]
        for state in await self._ledger.budgets(project):
            if budget_name(state.budget) == name:
                await self._store.execute(
                    DeleteBudget(
                        budget_id=state.budget.id,
                        change_id=self._dice.new_id(),
                        by=by,
                        reason=reason,
                        revision=revision,
                    )
                )
