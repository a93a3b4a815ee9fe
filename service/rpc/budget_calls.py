"""The calls of the LedgerService about budgets, and their messages."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, Protocol

from lightmeter.v1 import ledger_service_pb2 as pb
from lightmeter.v1 import ledger_service_pb2_grpc

from service.core.budgeting import BudgetLine
from service.domain.budget import budget_name, window_end, window_start
from service.domain.limits import (
    alert_percents_count_max,
    budget_name_characters_max,
    label_value_bytes_max,
    operator_reason_characters_max,
)
from service.domain.queries import BudgetState
from service.domain.records import Period
from service.ports import Clock
from service.rpc import enums, syntax
from service.rpc.identity import Caller, Callers
from service.rpc.instants import stamp
from service.rpc.money_out import money
from service.rpc.paging import Cursor
from service.rpc.syntax import Faults

_PERIODS: Final = enums.members(enums.BUDGET_WINDOWS)
_PERCENT_MAX: Final = 1_000


class BudgetUseCases(Protocol):
    """`service.core.budgeting.Budgets`."""

    async def listed(self, project: str | None) -> tuple[BudgetState, ...]:
        """The live budgets, by name."""
        ...

    async def set(self, line: BudgetLine, *, by: str, reason: str, revision: int | None) -> BudgetState:
        """Create or replace."""
        ...

    async def delete(self, name: str, *, by: str, reason: str, revision: int | None) -> None:
        """End."""
        ...


class BudgetCalls(ledger_service_pb2_grpc.LedgerServiceServicer):
    """ListBudgets, SetBudget, DeleteBudget. Everybody sees the own project's; setting and ending them is an admin's."""

    _callers: Callers
    _budgets: BudgetUseCases
    _clock: Clock

    async def ListBudgets(self, request: pb.ListBudgetsRequest, context: Any) -> pb.ListBudgetsResponse:
        """A page of budgets by name."""
        caller = self._callers.identify(context)
        faults = Faults()
        syntax.project(faults, "project", request.project)
        faults.refuse()
        project = caller.seeing(request.project) if request.project else caller.sees_all_or_own()
        cursor = Cursor(caller.project, request, request.page_size)
        after = cursor.after(request.page_token, (str,))
        states = list(await self._budgets.listed(project))
        if after is not None:
            states = [one for one in states if budget_name(one.budget) > after[0]]
        shown = states[: cursor.size]
        response = pb.ListBudgetsResponse(budgets=[self._message(one) for one in shown])
        if len(states) > cursor.size:
            response.next_page_token = cursor.token([budget_name(shown[-1].budget)])
        return response

    async def SetBudget(self, request: pb.SetBudgetRequest, context: Any) -> pb.SetBudgetResponse:
        """Create a budget or replace its settings."""
        caller = self._callers.identify(context)
        line, revision = _read_budget(caller, request)
        caller.require_admin()
        state = await self._budgets.set(line, by=caller.name, reason=request.reason, revision=revision)
        return pb.SetBudgetResponse(budget=self._message(state))

    async def DeleteBudget(self, request: pb.DeleteBudgetRequest, context: Any) -> pb.DeleteBudgetResponse:
        """End a budget."""
        caller = self._callers.identify(context)
        faults = Faults()
        if not request.name:
            faults.add("name", "must not be empty", limit=1, actual=0)
        faults.text("name", request.name, budget_name_characters_max)
        faults.text("reason", request.reason, operator_reason_characters_max)
        revision = _revision(faults, "etag", request.etag)
        faults.refuse()
        caller.require_admin()
        await self._budgets.delete(request.name, by=caller.name, reason=request.reason, revision=revision)
        return pb.DeleteBudgetResponse()

    def _message(self, state: BudgetState) -> pb.Budget:
        return budget_message(state, self._clock.now())


def _read_budget(caller: Caller, request: pb.SetBudgetRequest) -> tuple[BudgetLine, int | None]:
    """Raises FieldInvalid with every fault."""
    given, faults = request.budget, Faults()
    syntax.project(faults, "budget.project", given.project)
    if given.label_key and not syntax.is_label_key(given.label_key):
        faults.add("budget.label_key", "is no label's key")
    if bool(given.label_key) != bool(given.label_value):
        faults.add("budget.label_value", "a label's key and its value go together")
    size_bytes = len(given.label_value.encode("utf-8", "replace"))
    if size_bytes > label_value_bytes_max:
        text = f"a value has at most {label_value_bytes_max} bytes"
        faults.add("budget.label_value", text, limit=label_value_bytes_max, actual=size_bytes)
    faults.text("budget.label_value", given.label_value, label_value_bytes_max)
    period = faults.choice("budget.window", given.window, _PERIODS)
    if not given.window:
        faults.add("budget.window", "is required")
    if given.enforcement not in (pb.BUDGET_ENFORCEMENT_HARD, pb.BUDGET_ENFORCEMENT_SOFT):
        faults.add("budget.enforcement", "must be HARD or SOFT", actual=given.enforcement)
    limit = 0
    if given.HasField("limit"):
        limit = syntax.dollars(faults, "budget.limit", given.limit)
    else:
        faults.add("budget.limit", "is required")
    _check_percents(faults, given.alert_percents)
    faults.text("reason", request.reason, operator_reason_characters_max)
    revision = _revision(faults, "budget.etag", given.etag)
    faults.refuse()
    assert period is not None
    line = BudgetLine(
        project=given.project or caller.project,
        label_key=given.label_key,
        label_value=given.label_value,
        period=period,
        limit_nanos=limit,
        hard=given.enforcement == pb.BUDGET_ENFORCEMENT_HARD,
        alert_percents=tuple(given.alert_percents),
    )
    return line, revision


def _check_percents(faults: Faults, percents: Any) -> None:
    field, count_max = "budget.alert_percents", alert_percents_count_max
    if len(percents) > count_max:
        faults.add(field, f"at most {count_max} values", limit=count_max, actual=len(percents))
    for index, percent in enumerate(percents[:count_max]):
        faults.within(f"{field}[{index}]", percent, 1, _PERCENT_MAX)
    if any(one >= other for one, other in pairwise(percents)):
        faults.add(field, "must rise")


def _revision(faults: Faults, field: str, etag: str) -> int | None:
    if not etag:
        return None
    if not (etag.isascii() and etag.isdigit() and len(etag) <= 18):
        faults.add(field, "is no etag of a budget")
        return None
    return int(etag)


def budget_message(state: BudgetState, now: int) -> pb.Budget:
    """A budget with its current window, which is empty when nothing was held in it yet. `now` is in microseconds."""
    budget, window = state.budget, state.window
    start = window_start(budget.period, now)
    current = window if window is not None and window.window_start == start else None
    message = pb.Budget(
        name=budget_name(budget),
        project=budget.project,
        label_key=budget.label_key,
        label_value=budget.label_value,
        window=enums.BUDGET_WINDOWS[budget.period],
        enforcement=pb.BUDGET_ENFORCEMENT_HARD if budget.hard else pb.BUDGET_ENFORCEMENT_SOFT,
        limit=money(budget.limit_nanos),
        alert_percents=budget.alert_percents,
        spent=money(current.spent_nanos if current else 0),
        held=money(current.held_nanos if current else 0),
        etag=str(budget.revision),
        updater=budget.updated_by,
    )
    if budget.period is not Period.TOTAL:
        message.window_start_time.CopyFrom(stamp(start))
    end = window_end(budget.period, start)
    if end is not None:
        message.window_end_time.CopyFrom(stamp(end))
    return message
