"""Which function decides which command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.domain import commands as c
from service.domain.decisions import (
    accept,
    budgets,
    end,
    evidence,
    late,
    operate,
    reconcile,
    resolve,
    run,
    storing,
    watchers,
)
from service.domain.world import World

Holder = tuple[str, tuple[tuple[str, str], ...]]

# Prune, RollDays and RecordStored have no rule to decide: the store removes rows by their age, and sums others up.
_DECISIONS: dict[type[c.Command], Callable[[World, Any], Any]] = {
    c.Accept: accept.accept,
    c.MarkSeen: accept.mark_seen,
    c.MarkGone: accept.mark_gone,
    c.Cancel: watchers.cancel,
    c.ExpireJobs: watchers.expire_jobs,
    c.Heartbeat: run.heartbeat,
    c.TakeOver: run.take_over,
    c.Dispatch: run.dispatch,
    c.MarkUnknown: run.mark_unknown,
    c.Progress: run.progress,
    c.ResolveAbsent: resolve.resolve_absent,
    c.ResolveUnconfirmed: resolve.resolve_unconfirmed,
    c.EndOverdue: resolve.end_overdue,
    c.Finish: end.finish,
    c.Fail: end.fail,
    c.NotSent: evidence.not_sent,
    c.Reject: evidence.reject,
    c.BindProviderId: evidence.bind_provider_id,
    c.RecordResult: evidence.record_result,
    c.LateResult: late.late_result,
    c.SetSwitch: operate.set_switch,
    c.ResolveByHand: operate.resolve_by_hand,
    c.TellPrice: operate.tell_price,
    c.AccrueStorage: storing.accrue_storage,
    c.Correct: reconcile.correct,
    c.RecordComparison: reconcile.record_comparison,
    c.SetBudget: budgets.set_budget,
    c.DeleteBudget: budgets.delete_budget,
}


def decide(world: World, command: c.Command) -> Any:
    """Carry one command out on the world and answer its outcome."""
    return _DECISIONS[type(command)](world, command)


def may_hold(world: World, command: c.Command) -> tuple[Holder, ...]:
    """For whom the command may take a new hold: (project, labels). The store locks the windows of these."""
    if isinstance(command, c.Accept):
        return accept.may_hold(world, command)
    if isinstance(command, c.Fail):
        return end.may_hold(world, command)
    return ()
