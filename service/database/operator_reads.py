"""What operators look at: attempts with what the provider calls them, the switches that are set, and the audit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TextClause,
    case,
    false,
    func,
    literal,
    select,
    tuple_,
)

from service.database import codec
from service.database.ledger_tables import budget_changes, budgets
from service.database.snapshots import Snapshots
from service.database.tables import HOLDING, attempts, audit_events, jobs, provider_ids, renders, switches
from service.domain.budget import budget_name
from service.domain.limits import switches_count_max
from service.domain.oversight import AuditEvent, Switch, SwitchState
from service.domain.queries import AttemptQuery, AuditPage, AuditQuery, OpenAttempt
from service.domain.records import AttemptState

BUDGET_SET: Final = "budget.set"
BUDGET_DELETED: Final = "budget.delete"
BUDGET_TARGET: Final = "budget:"
_ATTEMPT_COLUMNS: Final = len(attempts.columns)
_BUDGET_COLUMNS: Final = len(budgets.columns)
_HOLDING: Final = frozenset(
    {AttemptState.HELD.value, AttemptState.DISPATCHING.value, AttemptState.UNKNOWN.value}
)
"""States that an attempt can only be in while its hold is open: few, and found by an index."""


class DatabaseOperatorReader:
    """Implements `OperatorReader`. `reports` is for reads that may take long: attempts of any age, by anything."""

    def __init__(self, snapshots: Snapshots, reports: Snapshots) -> None:
        self._snapshots = snapshots
        self._reports = reports

    async def attempts(self, query: AttemptQuery) -> tuple[OpenAttempt, ...]:
        """A page of attempts, oldest dispatch first; those whose render was removed are not shown."""
        return await self._reports.read(
            lambda connection: _opened(connection, connection.execute(_attempts(query)).all())
        )

    async def attempt(self, attempt_id: str) -> OpenAttempt | None:
        """One attempt, or None."""

        def read(connection: Connection) -> OpenAttempt | None:
            rows = connection.execute(_SHOWN.where(attempts.c.id == attempt_id)).all()
            return next(iter(_opened(connection, rows)), None)

        return await self._snapshots.read(read)

    async def switches(self) -> tuple[Switch, ...]:
        """The switches that are not ON and not expired by the database's clock, by scope and target."""

        def read(connection: Connection) -> tuple[Switch, ...]:
            now = self._snapshots.now(connection)
            lasting = func.coalesce(switches.c.expires_at, now + 1) > now
            statement = (
                select(switches)
                .where(switches.c.state != SwitchState.ON.value, lasting)
                .order_by(switches.c.scope, switches.c.target)
                .limit(switches_count_max)
            )
            return tuple(codec.SWITCHES.record(row) for row in connection.execute(statement))

        return await self._snapshots.read(read)

    async def audit(self, query: AuditQuery) -> AuditPage:
        """A page of the audit, newest first. Changes of budgets, which have a table of their own, stand among the others."""

        def read(connection: Connection) -> AuditPage:
            found = [codec.AUDIT_EVENTS.record(row) for row in connection.execute(_audited(query))]
            found += [_budget_change(row) for row in connection.execute(_budgets_changed(query))]
            found.sort(key=lambda one: (one.at, one.id), reverse=True)
            return AuditPage(tuple(found[: query.limit]))

        return await self._snapshots.read(read)


_SHOWN: Final = select(attempts, renders).select_from(
    attempts.join(renders, renders.c.id == attempts.c.render_id)
)


def _attempts(query: AttemptQuery) -> Select[Any]:
    c = attempts.c
    at = func.coalesce(c.dispatched_at, 0)
    place = tuple_(at, c.id)
    conditions: list[ColumnElement[bool] | TextClause] = []
    if query.states:
        conditions.append(c.state.in_(query.states))
        if _HOLDING.issuperset(query.states):
            conditions.append(HOLDING)
    plain = ((c.provider, query.provider), (c.route, query.route), (c.project, query.project))
    conditions += [column == wanted for column, wanted in plain if wanted is not None]
    if query.job_id is not None:
        of_job = select(jobs.c.render_id).where(jobs.c.id == query.job_id).scalar_subquery()
        conditions.append(c.render_id == of_job)
    if query.dispatched_from is not None:
        conditions.append(at >= query.dispatched_from)
    if query.dispatched_before is not None:
        conditions.append(at < query.dispatched_before)
    if query.after is not None:
        conditions.append(place > tuple_(*query.after))
    return _SHOWN.where(*conditions).order_by(at, c.id).limit(query.limit)


def _opened(connection: Connection, rows: Sequence[Any]) -> tuple[OpenAttempt, ...]:
    c = provider_ids.c
    ids = [row[0] for row in rows]
    statement = (
        select(c.attempt_id, c.provider_id)
        .where(c.attempt_id.in_(ids))
        .order_by(c.canonical.desc(), c.provider_id)
    )
    known: dict[str, list[str]] = {}
    for attempt_id, provider_id in connection.execute(statement) if ids else ():
        known.setdefault(attempt_id, []).append(provider_id)
    return tuple(
        OpenAttempt(
            codec.ATTEMPTS.record(row[:_ATTEMPT_COLUMNS]),
            codec.RENDERS.record(row[_ATTEMPT_COLUMNS:]),
            tuple(known.get(row[0], ())),
        )
        for row in rows
    )


def _audited(query: AuditQuery) -> Select[Any]:
    c = audit_events.c
    conditions = _within(query, c.at, c.id, c.actor)
    if query.action is not None:
        conditions.append(c.action == query.action)
    if query.target is not None:
        conditions.append(c.target == query.target)
    return select(audit_events).where(*conditions).order_by(c.at.desc(), c.id.desc()).limit(query.limit)


def _budgets_changed(query: AuditQuery) -> Select[Any]:
    """Lines of the budgets' audit with their budgets, as far as the asked action and target can be theirs."""
    c = budget_changes.c
    conditions = _within(query, c.at, c.id, c.by)
    if query.action is not None:
        deleted = c.after == ""
        mine = {BUDGET_SET: ~deleted, BUDGET_DELETED: deleted}
        conditions.append(mine.get(query.action, false()))
    if query.target is not None:
        conditions.append(_named(query.target))
    return (
        select(budgets, c.id, c.at, c.by, c.reason, c.before, c.after)
        .select_from(budget_changes.join(budgets, budgets.c.id == c.budget_id))
        .where(*conditions)
        .order_by(c.at.desc(), c.id.desc())
        .limit(query.limit)
    )


def _named(target: str) -> ColumnElement[bool]:
    """Whether a budget's name, as `budget_name` makes it, is the target's."""
    c = budgets.c
    label = case((c.label_key == "", ""), else_=c.label_key + "=" + c.label_value + "/")
    return literal(BUDGET_TARGET) + c.project + "/" + label + func.lower(c.period) == target


def _budget_change(row: Sequence[Any]) -> AuditEvent:
    budget = codec.BUDGETS.record(row[:_BUDGET_COLUMNS])
    change_id, at, by, reason, before, after = row[_BUDGET_COLUMNS:]
    return AuditEvent(
        id=change_id,
        at=at,
        actor=by,
        action=BUDGET_SET if after else BUDGET_DELETED,
        target=BUDGET_TARGET + budget_name(budget),
        reason=reason,
        details=json.dumps({"before": _budget(before), "after": _budget(after)}),
    )


def _budget(text: str) -> Any:
    return json.loads(text) if text else None


def _within(
    query: AuditQuery, at: ColumnElement[int], key: ColumnElement[str], actor: ColumnElement[str]
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if query.at_from is not None:
        conditions.append(at >= query.at_from)
    if query.at_before is not None:
        conditions.append(at < query.at_before)
    if query.actor is not None:
        conditions.append(actor == query.actor)
    if query.after is not None:
        conditions.append(tuple_(at, key) < tuple_(*query.after))
    return conditions
