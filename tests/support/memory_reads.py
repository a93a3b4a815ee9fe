"""Reads of the store in memory: jobs for the doors, what is to be done for the duties, and what operators look at."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from service.domain.budget import window_start
from service.domain.errors import StoreUnavailable
from service.domain.limits import MICROS_PER_SECOND, events_shown_max, late_search_seconds
from service.domain.oversight import Event, Switch, SwitchState
from service.domain.queries import (
    AttemptQuery,
    AuditPage,
    AuditQuery,
    BudgetState,
    JobPage,
    JobQuery,
    OpenAttempt,
)
from service.domain.records import (
    Asset,
    Attempt,
    AttemptState,
    Grade,
    Render,
    RenderAsset,
    RenderInput,
    RenderState,
)
from service.domain.render import RENDER_FINAL
from service.domain.view import JobView, standing
from service.domain.world import World
from service.ports import Clock


class _Books(Protocol):
    """Where the committed rows are."""

    def world(self, now: int) -> World:
        """All of them, loaded."""
        ...


class _Shelf(Protocol):
    """A store whose rows can be looked into."""

    @property
    def tables(self) -> _Books:
        """The rows."""
        ...

    @property
    def events(self) -> Iterable[Event]:
        """What was unusual, in the order of its writing."""
        ...


class _Reads:
    """One read of the rows at a time; some may be told to fail."""

    def __init__(self, store: _Shelf, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.reads_count = 0
        self.broken_count = 0
        """How many of the next reads fail."""

    def _world(self) -> World:
        self.reads_count += 1
        if self.broken_count:
            self.broken_count -= 1
            raise StoreUnavailable("the database did not answer in time")
        return self._store.tables.world(self._clock.now())

    def _payers(self, world: World, render: Render) -> JobView:
        payer = world.jobs.get(world.attempts_of(render.id)[-1].payer_job)
        assert payer is not None, "an attempt has its payer"
        return world.view(payer)


class MemoryWork(_Reads):
    """Implements `WorkReader`."""

    async def due_jobs(self, limit: int) -> tuple[str, ...]:
        """Jobs past their deadline."""
        now = self._clock.now()
        jobs = self._world().jobs.values()
        due = [j.id for j in jobs if not j.is_final and j.deadline_at is not None and j.deadline_at <= now]
        return tuple(due[:limit])

    async def strays(self, owner: str, limit: int) -> tuple[tuple[str, int], ...]:
        """Renders that are not final and owned by `owner` or by nobody alive, or overdue."""
        world = self._world()
        living = {one.id for one in world.replicas.values() if one.lease_until > world.now} - {owner}
        found = [
            one
            for one in world.renders.values()
            if one.finished_at is None and (one.owner not in living or one.next_step_at <= world.now)
        ]
        found.sort(key=lambda one: (one.created_at, one.id))
        return tuple((one.id, one.fence) for one in found[:limit])

    async def overdue(self, limit: int) -> tuple[str, ...]:
        """Renders that are not final and past their next step."""
        world = self._world()
        found = [r for r in world.renders.values() if r.finished_at is None and r.next_step_at <= world.now]
        return tuple(one.id for one in sorted(found, key=lambda one: one.next_step_at)[:limit])

    async def attempt_of_token(self, token: str) -> JobView | None:
        """The payer's view of the attempt with this token."""
        world = self._world()
        attempt = next((one for one in world.attempts.values() if one.token == token), None)
        payer = world.jobs.get(attempt.payer_job) if attempt is not None else None
        return world.view(payer) if payer is not None else None

    async def late(self, limit: int) -> tuple[JobView, ...]:
        """Ended renders with an attempt of which more may be learnt, newest dispatch first."""
        world = self._world()
        since = world.now - late_search_seconds * MICROS_PER_SECOND
        found: dict[str, int] = {}
        for attempt in world.attempts.values():
            render = world.renders.get(attempt.render_id)
            if render is None or render.state not in RENDER_FINAL or (attempt.dispatched_at or 0) < since:
                continue
            if _may_tell_more(attempt, render, world.now):
                found[render.id] = max(found.get(render.id, 0), attempt.dispatched_at or 0)
        newest = sorted(found, key=lambda key: found[key], reverse=True)[:limit]
        renders = [world.renders.get(key) for key in newest]
        return tuple(self._payers(world, one) for one in renders if one is not None)

    async def bound(self, provider: str, provider_ids: tuple[str, ...]) -> dict[str, str]:
        """Which of these ids an attempt has."""
        world = self._world()
        rows = (world.provider_ids.get((provider, key)) for key in provider_ids)
        return {row.provider_id: row.attempt_id for row in rows if row is not None}

    async def unresolved(self, provider: str, endpoint: str, input_digest: str) -> tuple[Attempt, ...]:
        """Attempts with this input of which nobody knows what became of them."""
        open_states = (AttemptState.DISPATCHING, AttemptState.UNKNOWN)
        found = [
            one
            for one in self._world().attempts.values()
            if (one.provider, one.endpoint, one.input_digest) == (provider, endpoint, input_digest)
            and one.provider_id is None
            and (one.state in open_states or one.grade is Grade.UNCONFIRMED)
        ]
        return tuple(sorted(found, key=lambda one: (one.dispatched_at or 0, one.id)))


def _may_tell_more(attempt: Attempt, render: Render, now: int) -> bool:
    if attempt.state is AttemptState.SUCCEEDED:
        kept = attempt.result_expires_at is None or attempt.result_expires_at > now
        return render.state is not RenderState.SUCCEEDED and kept
    bound = attempt.state is AttemptState.ACCEPTED
    return bound or (attempt.grade is Grade.UNCONFIRMED and attempt.result is None)


class MemoryOperators(_Reads):
    """Implements `OperatorReader`."""

    async def attempts(self, query: AttemptQuery) -> tuple[OpenAttempt, ...]:
        """A page of attempts."""
        world = self._world()
        found = [one for one in world.attempts.values() if _asked(query, one, world)]
        found.sort(key=lambda one: (one.dispatched_at or 0, one.id))
        return tuple(_opened(world, one) for one in found[: query.limit])

    async def attempt(self, attempt_id: str) -> OpenAttempt | None:
        """One attempt."""
        world = self._world()
        attempt = world.attempts.get(attempt_id)
        return _opened(world, attempt) if attempt is not None else None

    async def switches(self) -> tuple[Switch, ...]:
        """What is not ON and has not expired."""
        world = self._world()
        rows = [
            one
            for one in world.switches.values()
            if one.state is not SwitchState.ON and (one.expires_at is None or one.expires_at > world.now)
        ]
        return tuple(sorted(rows, key=lambda one: (one.scope.value, one.target)))

    async def audit(self, query: AuditQuery) -> AuditPage:
        """A page of what was changed by hand; budgets are left to the database."""
        rows = sorted(self._world().audit_known.values(), key=lambda one: (one.at, one.id), reverse=True)
        found = [
            one
            for one in rows
            if query.actor in (None, one.actor)
            and query.action in (None, one.action)
            and query.target in (None, one.target)
            and (query.at_from is None or one.at >= query.at_from)
            and (query.at_before is None or one.at < query.at_before)
            and (query.after is None or (one.at, one.id) < query.after)
        ]
        return AuditPage(tuple(found[: query.limit]))


def _asked(query: AttemptQuery, attempt: Attempt, world: World) -> bool:
    at = attempt.dispatched_at or 0
    job = world.jobs.get(query.job_id) if query.job_id is not None else None
    return (
        (not query.states or attempt.state.value in query.states)
        and query.provider in (None, attempt.provider)
        and query.route in (None, attempt.route)
        and query.project in (None, attempt.project)
        and (query.job_id is None or (job is not None and job.render_id == attempt.render_id))
        and (query.dispatched_from is None or at >= query.dispatched_from)
        and (query.dispatched_before is None or at < query.dispatched_before)
        and (query.after is None or (at, attempt.id) > query.after)
    )


def _opened(world: World, attempt: Attempt) -> OpenAttempt:
    render = world.renders.get(attempt.render_id)
    assert render is not None, "an attempt has its render"
    ids = [row for row in world.provider_ids.values() if row.attempt_id == attempt.id]
    ids.sort(key=lambda row: (not row.canonical, row.provider_id))
    return OpenAttempt(attempt, render, tuple(row.provider_id for row in ids))


class MemoryReader(MemoryWork, MemoryOperators):
    """Implements `JobReader` too, on the tables of a MemoryStore."""

    async def view(self, job_id: str) -> JobView | None:
        """The job as it is committed."""
        await asyncio.sleep(0)
        world = self._world()
        job = world.jobs.get(job_id)
        return world.view(job) if job is not None else None

    async def view_by_request(self, project: str, request_id: str) -> JobView | None:
        """The same by the caller's own id."""
        world = self._world()
        job = world.job_by_request(project, request_id)
        return world.view(job) if job is not None else None

    async def page(self, query: JobQuery) -> JobPage:
        """The project's jobs, in order; other restrictions belong to the database."""
        world = self._world()
        jobs = [job for job in world.jobs.values() if query.project in (None, job.project)]
        jobs.sort(key=lambda job: (job.accepted_at, job.id), reverse=query.newest_first)
        return JobPage(tuple(world.view(job) for job in jobs[: query.limit]))

    async def asset(self, sha256: str, project: str | None) -> Asset | None:
        """A picture that a job of the project drew or was given."""
        world = self._world()
        rows: Iterable[RenderAsset | RenderInput] = (
            *world.render_assets.values(),
            *world.render_inputs.values(),
        )
        owners = {
            render.project
            for row in rows
            if row.sha256 == sha256 and (render := world.renders.get(row.render_id)) is not None
        }
        return world.assets.get(sha256) if project is None or project in owners else None

    async def flight(self, scope: str, fingerprint: str) -> tuple[Render, tuple[Attempt, ...]] | None:
        """What the fingerprint points at."""
        world = self._world()
        flight = world.flights.get((scope, fingerprint))
        named = (flight.render_id, flight.good_render_id) if flight is not None else (None, None)
        newest, older = (world.renders.get(key) if key is not None else None for key in named)
        render = standing(newest, older)
        return (render, world.attempts_of(render.id)) if render is not None else None

    async def render(self, render_id: str) -> tuple[Render, tuple[Attempt, ...]] | None:
        """A render and its attempts."""
        world = self._world()
        render = world.renders.get(render_id)
        return (render, world.attempts_of(render_id)) if render is not None else None

    async def events(self, render_id: str) -> tuple[Event, ...]:
        """What was unusual about a render."""
        self._world()
        found = [one for one in self._store.events if one.render_id == render_id]
        return tuple(found[:events_shown_max])

    async def budgets(self, project: str | None) -> tuple[BudgetState, ...]:
        """The live budgets with their windows: the one read of the books that use cases make."""
        world = self._world()
        live = [one for one in world.budgets.values() if one.live and project in (None, one.project)]
        return tuple(
            BudgetState(one, world.windows.get((one.id, window_start(one.period, world.now)))) for one in live
        )
