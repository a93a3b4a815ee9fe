"""Budgets that the configuration file names: set at start, ended when the file names them no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.commands import DeleteBudget, SetBudget
from service.domain.records import Period
from service.ports import Dice, LedgerReader, Store

SETTER = "configuration file"


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One budget of the file."""

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


async def apply_budgets(store: Store, ledger: LedgerReader, dice: Dice, lines: Sequence[BudgetLine]) -> None:
    """Make the live budgets those of the file; budgets that somebody set by a call stay. Running it again changes nothing."""
    for line in lines:
        await store.execute(
            SetBudget(
                budget_id=dice.new_id(),
                change_id=dice.new_id(),
                project=line.project,
                label_key=line.label_key,
                label_value=line.label_value,
                period=line.period,
                limit_nanos=line.limit_nanos,
                hard=line.hard,
                alert_percents=line.alert_percents,
                by=SETTER,
                reason="named by the configuration file",
            )
        )
    named = {line.identity for line in lines}
    for state in await ledger.budgets(None):
        budget = state.budget
        identity = (budget.project, budget.label_key, budget.label_value, budget.period)
        if budget.updated_by == SETTER and identity not in named:
            await store.execute(
                DeleteBudget(
                    budget_id=budget.id,
                    change_id=dice.new_id(),
                    by=SETTER,
                    reason="not in the configuration file any more",
                )
            )
