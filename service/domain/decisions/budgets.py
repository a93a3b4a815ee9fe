"""Setting and ending budgets. The store holds the budgets against every Accept while this is decided."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from service.domain.commands import DeleteBudget, SetBudget
from service.domain.errors import EtagMismatch
from service.domain.records import Budget, BudgetChange
from service.domain.world import World


def _text(budget: Budget | None) -> str:
    return "" if budget is None else json.dumps({**asdict(budget), "period": budget.period.value})


def set_budget(world: World, command: SetBudget) -> Budget:
    """Create or change the one live budget of (project, label, period). Lowering it below spent + held refuses new holds only."""
    written = world.budget_changes_known.get(command.change_id)
    if written is not None and (made := world.budgets.get(written.budget_id)) is not None:
        return made
    wanted = (command.project, command.label_key, command.label_value, command.period)
    live = (b for b in world.budgets.values() if b.live)
    known = next((b for b in live if (b.project, b.label_key, b.label_value, b.period) == wanted), None)
    if command.revision is not None and command.revision != (known.revision if known else 0):
        raise EtagMismatch("the budget was changed by somebody else")
    budget = Budget(
        id=known.id if known else command.budget_id,
        project=command.project,
        label_key=command.label_key,
        label_value=command.label_value,
        period=command.period,
        limit_nanos=command.limit_nanos,
        hard=command.hard,
        alert_percents=command.alert_percents,
        revision=known.revision + 1 if known else 1,
        live=True,
        updated_at=world.now,
        updated_by=command.by,
    )
    unchanged = known is not None and replace(
        budget, revision=known.revision, updated_at=known.updated_at, updated_by=known.updated_by
    ) == known  # fmt: skip
    if known is not None and unchanged:
        return known
    world.budgets.put(budget.id, budget)
    world.budget_changes.add(
        BudgetChange(
            command.change_id,
            budget.id,
            budget.revision,
            world.now,
            command.by,
            command.reason,
            _text(known),
            _text(budget),
        )
    )
    return budget


def delete_budget(world: World, command: DeleteBudget) -> Budget | None:
    """End a budget; its windows and its audit stay. None when there is no such live budget."""
    known = world.budgets.get(command.budget_id)
    if command.change_id in world.budget_changes_known:
        return known
    if known is None or not known.live:
        return None
    if command.revision is not None and command.revision != known.revision:
        raise EtagMismatch("the budget was changed by somebody else")
    ended = replace(
        known, live=False, revision=known.revision + 1, updated_at=world.now, updated_by=command.by
    )
    world.budgets.put(ended.id, ended)
    world.budget_changes.add(
        BudgetChange(
            command.change_id,
            ended.id,
            ended.revision,
            world.now,
            command.by,
            command.reason,
            _text(known),
            "",
        )
    )
    return ended
