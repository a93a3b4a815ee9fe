"""Budgets that the configuration file names: set at start, ended when the file names them no more."""

from __future__ import annotations

from collections.abc import Sequence

from service.core.budgeting import BudgetLine, Budgets, identity_of
from service.domain.budget import budget_name

SETTER = "configuration file"


async def apply_budgets(budgets: Budgets, lines: Sequence[BudgetLine]) -> None:
    """Make the live budgets those of the file; budgets that somebody set by a call stay. Running it again changes nothing."""
    for line in lines:
        await budgets.set(line, by=SETTER, reason="named by the configuration file", revision=None)
    named = {line.identity for line in lines}
    for state in await budgets.listed(None):
        budget = state.budget
        if budget.updated_by == SETTER and identity_of(budget) not in named:
            name = budget_name(budget)
            await budgets.delete(
                name, by=SETTER, reason="not in the configuration file any more", revision=None
            )
