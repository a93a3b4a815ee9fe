"""Which rows a command needs before it can be decided. The store loads and locks them in one fixed order.

flights → renders → attempts → jobs → assets → budget windows. Named jobs and attempts bring their render with them; a
flight brings the renders it points at (`render_id` and `good_render_id`); a render brings all its attempts, and its pictures
with their assets.
"""

from __future__ import annotations

from functools import singledispatch

from service.domain import commands as c
from service.domain.bills import Side
from service.domain.catalog import PROVIDERS
from service.domain.oversight import SwitchScope
from service.domain.records import Grade
from service.domain.value import value


@value(frozen=True, slots=True)
class Reach:
    """The keys that a command starts from."""

    requests: tuple[tuple[str, str], ...] = ()
    """(project, request_id): jobs to be found by it, read without a lock and again after the flights are locked."""
    flights: tuple[tuple[str, str], ...] = ()
    """(scope, fingerprint): created when missing, then locked."""
    jobs: tuple[str, ...] = ()
    renders: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()
    provider_ids: tuple[tuple[str, str], ...] = ()
    waiting: bool = False
    """Whether all waiting jobs of the touched renders are needed, locked."""
    assets: tuple[str, ...] = ()
    settles: bool = False
    """Whether money may be settled: the hold_budgets of the touched attempts and their windows, locked; and the payers'
    job rows, for their labels."""
    budgets_of: tuple[str, ...] = ()
    """Projects whose live budgets are needed."""
    holds: bool = False
    """Whether `may_hold` names holders among the waiting jobs: the budgets of the touched renders' projects are needed."""
    budget_ids: tuple[str, ...] = ()
    budget_changes: tuple[str, ...] = ()
    """Lines of the budgets' audit that may be written already, by an earlier try of the same command."""
    budgets_exclusive: bool = False
    """Whether the budgets table is locked against every Accept first; then the open holds and the posts of the window
    are summed for `SetBudget` by the store (`World.windows`)."""
    replicas: tuple[str, ...] = ()
    flights_of_attempts: bool = False
    """Whether the flight of each touched render (its scope and fingerprint) is needed, locked before the render; only where
    its row exists: a missing one is inserted by the decision when it is needed."""
    switches: tuple[tuple[SwitchScope, str], ...] = ()
    """Switches by scope and target, locked where they exist."""
    audit: tuple[str, ...] = ()
    """Lines of the audit that may be written already, by an earlier try of the same command (`World.audit_known`)."""
    sources: tuple[str, ...] = ()
    """Sources of transfers that may be booked already, by an earlier try of the same command (`World.sources_known`)."""
    comparisons: tuple[tuple[str, Grade, int, int], ...] = ()
    """(provider, grade, from, before) of spans that were compared with a provider's books: their kept comparisons, and the
    provider's discrepancies that are open in the span or named by `disputes`, locked."""
    disputes: tuple[tuple[str, Side, str], ...] = ()


@singledispatch
def reach(command: object) -> Reach:
    """The reach of a command."""
    raise TypeError(f"not a command: {type(command).__name__}")


@reach.register
def _(command: c.Accept) -> Reach:
    return Reach(
        requests=((command.project, command.request_id),),
        flights=((command.scope, command.fingerprint),) if command.has_flight else (),
        assets=tuple(asset.sha256 for asset in command.input_assets),
        budgets_of=(command.project,),
    )


@reach.register
def _(command: c.MarkSeen) -> Reach:
    return Reach(assets=command.sha256s)


@reach.register
def _(command: c.MarkGone) -> Reach:
    return Reach(assets=command.sha256s)


@reach.register
def _(command: c.Cancel) -> Reach:
    return Reach(jobs=(command.job_id,), waiting=True, settles=True)


@reach.register
def _(command: c.ExpireJobs) -> Reach:
    return Reach(jobs=command.job_ids, waiting=True, settles=True)


@reach.register
def _(command: c.Heartbeat) -> Reach:
    return Reach(replicas=(command.replica_id,))


@reach.register
def _(command: c.TakeOver) -> Reach:
    return Reach(renders=tuple(key for key, _ in command.renders), replicas=(command.owner,))


@reach.register
def _(command: c.EndOverdue) -> Reach:
    return Reach(renders=command.render_ids, waiting=True, settles=True)


@reach.register
def _(command: c.Fenced) -> Reach:
    return Reach(renders=(command.render_id,))


@reach.register
def _(command: c.Dispatch) -> Reach:
    return Reach(renders=(command.render_id,), waiting=True, settles=True)


@reach.register
def _(command: c.ResolveUnconfirmed) -> Reach:
    return Reach(renders=(command.render_id,), waiting=True, settles=True)


@reach.register
def _(command: c.Finish) -> Reach:
    return Reach(
        renders=(command.render_id,),
        waiting=True,
        assets=tuple(asset.sha256 for _, asset, _ in command.assets),
    )


@reach.register
def _(command: c.Fail) -> Reach:
    return Reach(renders=(command.render_id,), waiting=True, settles=True, holds=True)


@reach.register
def _(command: c.Evidence) -> Reach:
    return Reach(attempts=(command.attempt_id,))


@reach.register
def _(command: c.BindProviderId) -> Reach:
    ids = (command.provider_id, *command.aliases)
    return Reach(attempts=(command.attempt_id,), provider_ids=tuple((command.provider, i) for i in ids))


@reach.register
def _(command: c.NotSent) -> Reach:
    return Reach(attempts=(command.attempt_id,), settles=True)


@reach.register
def _(command: c.Reject) -> Reach:
    return Reach(attempts=(command.attempt_id,), settles=True)


@reach.register
def _(command: c.RecordResult) -> Reach:
    return Reach(attempts=(command.attempt_id,), settles=True)


@reach.register
def _(command: c.LateResult) -> Reach:
    return Reach(
        attempts=(command.attempt_id,),
        assets=tuple(asset.sha256 for _, asset, _ in command.assets),
        flights_of_attempts=True,
    )


@reach.register
def _(command: c.SetSwitch) -> Reach:
    return Reach(switches=((command.scope, command.target),), audit=(command.event_id,))


@reach.register
def _(command: c.TellPrice) -> Reach:
    return Reach(audit=(command.event_id,))


@reach.register
def _(command: c.ResolveByHand) -> Reach:
    # Whose id it is, the attempt tells; that is not known before it is read.
    adopted = command.adopt_provider_id
    return Reach(
        attempts=(command.attempt_id,),
        provider_ids=tuple((name, adopted) for name in PROVIDERS) if adopted is not None else (),
        waiting=True,
        settles=True,
        audit=(command.event_id,),
    )


@reach.register
def _(_command: c.Prune) -> Reach:
    # The store carries it out by itself: it removes whole rows by their age, and no rule looks at them.
    return Reach()


@reach.register
def _(_command: c.RollDays) -> Reach:
    # As Prune: sums of what does not change any more.
    return Reach()


@reach.register
def _(_command: c.RecordStored) -> Reach:
    return Reach()


@reach.register
def _(command: c.SetBudget) -> Reach:
    return Reach(
        budgets_of=(command.project,),
        budget_ids=(command.budget_id,),
        budget_changes=(command.change_id,),
        budgets_exclusive=True,
    )


@reach.register
def _(command: c.DeleteBudget) -> Reach:
    return Reach(budget_ids=(command.budget_id,), budget_changes=(command.change_id,), budgets_exclusive=True)


@reach.register
def _(command: c.Correct) -> Reach:
    return Reach(attempts=(command.attempt_id,), settles=True)


@reach.register
def _(command: c.RecordComparison) -> Reach:
    span = (command.provider, command.grade, command.range_from, command.range_before)
    return Reach(
        comparisons=(span,),
        disputes=tuple((one.provider, one.side, one.subject) for one in command.disputes),
    )


@reach.register
def _(command: c.AccrueStorage) -> Reach:
    return Reach(sources=tuple(command.source(one.project) for one in command.charges))
