"""What must hold after every single commit: looked at where it changed, so that looking is cheap.

Rows move only as the tables of legal moves allow, versions only grow, what is final stays, money never appears or disappears,
windows are the sums of their holds, and nobody is sent out a second time while the first may have arrived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from service.domain import commands as c
from service.domain.records import (
    Attempt,
    Budget,
    Grade,
    Job,
    JobState,
    Render,
    RenderState,
    Transfer,
    TransferKind,
    Window,
)
from service.domain.render import ATTEMPT_MOVES, RENDER_FINAL, RENDER_MOVES
from tests.simulation.tables import Change, KeptTables
from tests.support.books import moved

_FIXED_ATTEMPT = (
    "render_id",
    "number",
    "payer_job",
    "project",
    "provider",
    "route",
    "endpoint",
    "token",
    "price",
    "hold_nanos",
)
_FIXED_RENDER = (
    "project",
    "scope",
    "fingerprint",
    "operation",
    "model",
    "image_count",
    "content",
    "created_at",
    "plan",
)
_LATE_RENDER = ("fresh_until", "partial", "notices", "version", "finished_at", "state")
"""What a late result may change about a render that ended without one."""
_PRUNED_RENDER = ("content", "plan", "progress", "notices", "version")


class Rules:
    """Looks at every commit; answers what is broken."""

    def __init__(self, tables: KeptTables) -> None:
        self._tables = tables
        self._shown: dict[str, int] = {}
        self._joinable: dict[tuple[str, str], str] = {}
        self._booked: dict[str, list[Transfer]] = defaultdict(list)
        self._windows: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._slack: dict[tuple[str, int], int] = defaultdict(int)
        """What later corrections added to a post that was below its hold: the one thing that may pass a limit."""

    def look(self, who: str, command: c.Command, change: Change) -> Iterator[tuple[str, str]]:
        """(what is broken, key of the row) for each rule that this commit breaks."""
        rows, lines = change.rows, change.lines
        if isinstance(command, c.Fenced):
            yield from self._owned(who, command, rows)
        for _, old, new in rows.get("renders", ()):
            yield from self._render(old, new, command)
        for _, old, new in rows.get("attempts", ()):
            yield from self._attempt(old, new)
        for _, old, new in rows.get("jobs", ()):
            yield from self._job(old, new)
        yield from self._versions(rows)
        for transfer in lines.get("transfers", ()):
            yield from self._transfer(transfer)
        for _, old, new in rows.get("attempts", ()):
            yield from self._books(old, new)
        yield from self._holds(rows)
        yield from self._limits(rows, lines, command)

    # -- states

    def _owned(self, who: str, command: c.Fenced, rows: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Only the owner of a render acts for it. Windows are made before it is known whether it does."""
        found = next((old for key, old, _ in rows.get("renders", ()) if key == command.render_id), None)
        render = found or self._tables.renders.get(command.render_id)
        acted = any(changed for name, changed in rows.items() if name != "windows")
        if acted and render is not None and (render.owner, render.fence) != (who, command.fence):
            yield f"{who} acted for a render of {render.owner}", command.render_id

    def _render(self, old: Render | None, new: Render, command: c.Command) -> Iterator[tuple[str, str]]:
        key = (new.scope, new.fingerprint)
        if new.joinable:
            if self._joinable.setdefault(key, new.id) != new.id:
                yield f"two renders of one fingerprint can be joined: {self._joinable[key]}", new.id
        elif self._joinable.get(key) == new.id:
            del self._joinable[key]
        if (new.state in RENDER_FINAL) != (new.finished_at is not None) or (new.joinable and new.finished_at):
            yield "final, finished and joinable do not agree", new.id
        if old is None:
            if (new.state, new.fence) != (RenderState.PENDING, 1):
                yield f"a render begins as {new.state.value}", new.id
            return
        late = isinstance(command, c.LateResult) and old.state in (RenderState.FAILED, RenderState.CANCELLED)
        legal = new.state is RenderState.SUCCEEDED if late else _reaches(RENDER_MOVES, old.state, new.state)
        if new.state is not old.state and not legal:
            yield f"a render moved from {old.state.value} to {new.state.value}", new.id
        if old.state in RENDER_FINAL:
            free = _LATE_RENDER if late else _PRUNED_RENDER if isinstance(command, c.Prune) else ()
            if _without(old, free) != _without(new, free):
                yield "a final render changed", new.id
        if new.fence < old.fence or (new.owner != old.owner and new.fence <= old.fence):
            yield f"the fence went from {old.fence} to {new.fence}", new.id
        if new.version < old.version or (new.state is not old.state and new.version == old.version):
            yield f"a render's version went from {old.version} to {new.version}", new.id
        if isinstance(command, c.Prune):
            return
        for name in _FIXED_RENDER:
            if getattr(old, name) != getattr(new, name):
                yield f"a render's {name} changed", new.id
        if new.state is RenderState.SUCCEEDED and not any(self._tables.kept.assets_of(new.id)):
            yield "a render succeeded without a picture", new.id

    def _attempt(self, old: Attempt | None, new: Attempt) -> Iterator[tuple[str, str]]:
        if old is None:
            return
        if new.state is not old.state and not _reaches(ATTEMPT_MOVES, old.state, new.state):
            yield f"an attempt moved from {old.state.value} to {new.state.value}", new.id
        if new.version <= old.version:
            yield "an attempt changed and its version did not grow", new.id
        if old.provider_id is not None and new.provider_id != old.provider_id:
            yield "an attempt's provider id changed", new.id
        for name in _FIXED_ATTEMPT:
            if getattr(old, name) != getattr(new, name):
                yield f"an attempt's {name} changed", new.id
        if new.grade.rank < old.grade.rank and not old.hold_open:
            yield f"the evidence of an attempt went from {old.grade.value} to {new.grade.value}", new.id

    def _job(self, old: Job | None, new: Job) -> Iterator[tuple[str, str]]:
        if (new.state not in (JobState.QUEUED, JobState.RUNNING)) != new.is_final:
            yield f"a job is {new.state.value} and final_at is {new.final_at}", new.id
        if new.state is JobState.FAILED and new.failure is None:
            yield "a job failed without a reason", new.id
        if old is not None and old.is_final and new != old:
            yield "a final job changed", new.id
        render = self._tables.renders.get(new.render_id)
        if not new.is_final and (render is None or render.state in RENDER_FINAL):
            yield "a job waits for a render that ended", new.id
        if new.state is JobState.SUCCEEDED and (render is None or render.state is not RenderState.SUCCEEDED):
            yield "a job succeeded without its render", new.id

    def _versions(self, rows: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """What callers see of a job only grows, and grows when it changes."""
        touched = {key: None for key, _, _ in rows.get("jobs", ())}
        for key, _, _ in rows.get("renders", ()):
            for job_id in self._tables.kept._jobs_by_render.get(key, ()):
                touched[job_id] = None
        for job_id in touched:
            job = self._tables.jobs[job_id]
            render = self._tables.renders.get(job.render_id)
            version = job.version if job.is_final or render is None else job.version + render.version
            before = self._shown.get(job_id, 0)
            ended = any(key == job_id and new.is_final for key, _, new in rows.get("jobs", ()))
            if version < before or (ended and version == before):
                yield f"the visible version of a job went from {before} to {version}", job_id
            self._shown[job_id] = version

    # -- money

    def _transfer(self, new: Transfer) -> Iterator[tuple[str, str]]:
        rows = self._booked[new.source]
        rows.append(new)
        if new.ordinal != len(rows) - 1:
            yield f"transfer {new.ordinal} comes as number {len(rows) - 1}", new.source
        first = {0: (TransferKind.HOLD,), 1: (TransferKind.POST, TransferKind.VOID)}
        if new.kind not in first.get(new.ordinal, (TransferKind.CORRECTION,)):
            yield f"transfer {new.ordinal} is a {new.kind.value}", new.source
        before = rows[-2].total_after_nanos if len(rows) > 1 else 0
        if new.amount_nanos < 0 or new.total_after_nanos != before + moved(new):
            yield f"transfer {new.ordinal} does not add up", new.source

    def _books(self, old: Attempt | None, new: Attempt) -> Iterator[tuple[str, str]]:
        rows = self._booked[new.id]
        if not rows or rows[-1].ordinal != new.ordinal or rows[-1].total_after_nanos != new.total_nanos:
            yield "an attempt says something else than its transfers", new.id
        if new.hold_open != (len(rows) == 1):
            yield "a hold is open although it was closed, or the other way round", new.id
        if old is not None and not old.hold_open and new.hold_open:
            yield "a hold was opened again", new.id
        if new.unbilled and new.total_nanos:
            yield "unbilled and charged", new.id
        render = self._tables.renders.get(new.render_id)
        if new.hold_open and render is not None and render.state in RENDER_FINAL:
            yield f"the render is {render.state.value} and a hold is open", new.id

    def _holds(self, rows: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Windows are the sums of what was held and settled in them."""
        tables = self._tables
        taken = {key for key, _, _ in rows.get("hold_budgets", ())}
        for _, old, new in rows.get("attempts", ()):
            for hold in tables.kept.holds_of(new.id):
                window = self._windows[hold.budget_id, hold.window_start]
                fresh = (new.id, hold.budget_id) in taken
                _add(window, new, hold.nanos, 1)
                if old is not None and not fresh:
                    _add(window, old, hold.nanos, -1)
                    self._slack[hold.budget_id, hold.window_start] += _raised(old, new)
            taken = {key for key in taken if key[0] != new.id}
        for attempt_id, budget_id in sorted(taken):
            hold = tables.hold_budgets[attempt_id, budget_id]
            _add(self._windows[budget_id, hold.window_start], tables.attempts[attempt_id], hold.nanos, 1)
        for key, _, new in rows.get("windows", ()):
            found = [new.spent_nanos, new.held_nanos, new.overrun_nanos, new.unconfirmed_nanos]
            if found != self._windows[key]:
                yield f"window {key} says {found} and holds {self._windows[key]}", key[0]

    def _limits(
        self, rows: dict[str, Any], lines: dict[str, Any], command: c.Command
    ) -> Iterator[tuple[str, str]]:
        """spent - overrun + held stays within a hard limit, but for corrections upwards; and nothing new passes it at all."""
        if isinstance(command, c.SetBudget):
            return
        for key, old, new in rows.get("windows", ()):
            budget: Budget | None = self._tables.budgets.get(key[0])
            if budget is None or not (budget.hard and budget.live):
                continue
            before = old or Window(key[0], key[1], 0, 0, 0, 0)
            used, was = new.spent_nanos + new.held_nanos, before.spent_nanos + before.held_nanos
            if new.held_nanos > before.held_nanos and used > max(was, budget.limit_nanos):
                yield f"a hold passed the limit of {budget.id}: {used} > {budget.limit_nanos}", key[0]
            bare = used - new.overrun_nanos - self._slack[key]
            if bare > budget.limit_nanos and budget.revision == 1:
                yield f"{budget.id} is passed without an overrun: {bare} > {budget.limit_nanos}", key[0]


def _reaches(moves: dict[Any, Any], old: Any, new: Any) -> bool:
    """Directly, or by one state in between: a commit may make two moves."""
    return new in moves[old] or any(new in moves[between] for between in moves[old])


def _without(render: Render, names: tuple[str, ...]) -> Render:
    return replace(render, **dict.fromkeys(names))


def _add(window: list[int], attempt: Attempt, hold_nanos: int, sign: int) -> None:
    total = attempt.total_nanos
    window[0] += sign * total
    window[1] += sign * (hold_nanos if attempt.hold_open else 0)
    window[2] += sign * max(0, total - hold_nanos)
    window[3] += sign * (total if attempt.grade is Grade.UNCONFIRMED else 0)


def _raised(old: Attempt, new: Attempt) -> int:
    """By how much a correction raised the part of an amount that lies within its hold."""
    if old.hold_open or new.hold_open:
        return 0
    return max(0, min(new.total_nanos, new.hold_nanos) - min(old.total_nanos, old.hold_nanos))
