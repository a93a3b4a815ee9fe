"""What is to be done, found in the rows: passed deadlines, renders without a living owner, evidence that may still come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import CompoundSelect, Connection, and_, func, or_, select, union

from service.database import codec
from service.database.snapshots import Snapshots
from service.database.tables import HOLDING, WITHOUT_END, attempts, jobs, provider_ids, renders, replicas
from service.database.views import Views
from service.domain.limits import MICROS_PER_SECOND, late_search_seconds
from service.domain.records import Attempt, AttemptState, Grade, RenderState
from service.domain.view import JobView

_LATE_MICROS: Final = int(late_search_seconds) * MICROS_PER_SECOND
_HELD_MICROS_MAX: Final = _LATE_MICROS
"""More than lies between the first hold of a render and the dispatch of any of its attempts."""
_UNRESOLVED: Final = (AttemptState.DISPATCHING.value, AttemptState.UNKNOWN.value)


class DatabaseWorkReader:
    """Implements `WorkReader`. Every read finds its rows by an index over what is open, or recent."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._views = Views(snapshots.dialect)

    async def due_jobs(self, limit: int) -> tuple[str, ...]:
        """Ids of jobs that are not final and past their deadline by the database's clock."""

        def read(connection: Connection) -> tuple[str, ...]:
            due = jobs.c.deadline_at <= self._snapshots.now(connection)
            statement = (
                select(jobs.c.id)
                .where(jobs.c.final_at.is_(None), jobs.c.deadline_at.is_not(None), due)
                .order_by(jobs.c.deadline_at)
                .limit(limit)
            )
            return tuple(connection.execute(statement).scalars())

        return await self._snapshots.read(read)

    async def strays(self, owner: str, limit: int) -> tuple[tuple[str, int], ...]:
        """(id, fence) of renders that are not final and owned by `owner` or by nobody alive, or overdue; oldest first."""

        def read(connection: Connection) -> tuple[tuple[str, int], ...]:
            now = self._snapshots.now(connection)
            living = select(replicas.c.id).where(replicas.c.lease_until > now, replicas.c.id != owner)
            stray = or_(renders.c.owner.not_in(living), renders.c.next_step_at <= now)
            statement = (
                select(renders.c.id, renders.c.fence)
                .where(renders.c.finished_at.is_(None), stray)
                .order_by(renders.c.created_at, renders.c.id)
                .limit(limit)
            )
            return tuple((row[0], row[1]) for row in connection.execute(statement))

        return await self._snapshots.read(read)

    async def overdue(self, limit: int) -> tuple[str, ...]:
        """Ids of renders that are not final and past their next step; the longest overdue first."""

        def read(connection: Connection) -> tuple[str, ...]:
            statement = (
                select(renders.c.id)
                .where(
                    renders.c.finished_at.is_(None),
                    renders.c.next_step_at <= self._snapshots.now(connection),
                )
                .order_by(renders.c.next_step_at, renders.c.id)
                .limit(limit)
            )
            return tuple(connection.execute(statement).scalars())

        return await self._snapshots.read(read)

    async def attempt_of_token(self, token: str) -> JobView | None:
        """The payer's view of the render whose attempt has this correlation token."""

        def read(connection: Connection) -> JobView | None:
            statement = select(attempts.c.payer_job).where(attempts.c.token == token)
            payer = connection.execute(statement).scalar_one_or_none()
            return None if payer is None else self._views.of_job(connection, payer)

        return await self._snapshots.read(read)

    async def late(self, limit: int) -> tuple[JobView, ...]:
        """Payers' views of ended renders with an attempt of which more may be learnt; newest dispatch first."""

        def read(connection: Connection) -> tuple[JobView, ...]:
            found = _late(self._snapshots.now(connection)).subquery()
            at = func.max(found.c.dispatched_at)
            newest = select(found.c.render_id).group_by(found.c.render_id).order_by(at.desc()).limit(limit)
            ids = list(connection.execute(newest).scalars())
            last = self._views.attempts(connection, ids)
            payers = [last[render_id][-1].payer_job for render_id in ids]
            return tuple(self._views.of_jobs(connection, payers))

        return await self._snapshots.read(read)

    async def bound(self, provider: str, provider_ids: tuple[str, ...]) -> Mapping[str, str]:
        """Which of these ids belong to an attempt already."""
        return await self._snapshots.read(lambda connection: _bound(connection, provider, provider_ids))

    async def unresolved(self, provider: str, endpoint: str, input_digest: str) -> tuple[Attempt, ...]:
        """Attempts without an id whose input was the same and whose fate is not known; oldest dispatch first.

        Those that were given up so long ago that nobody looks for them any more are left out.
        """

        def read(connection: Connection) -> tuple[Attempt, ...]:
            since = self._snapshots.now(connection) - 2 * _LATE_MICROS - _HELD_MICROS_MAX
            c = attempts.c
            # Provider and endpoint are compared afterwards: asked for, they tempt into an index over all attempts of a provider.
            same = (c.input_digest == input_digest, c.provider_id.is_(None))
            open_ones = select(attempts).where(HOLDING, c.state.in_(_UNRESOLVED), *same)
            given_up = select(attempts).where(
                WITHOUT_END, c.usage_at >= since, c.grade == Grade.UNCONFIRMED.value, *same
            )
            rows = connection.execute(union(open_ones, given_up)).all()
            found = [codec.ATTEMPTS.record(row) for row in rows]
            there = [one for one in found if (one.provider, one.endpoint) == (provider, endpoint)]
            return tuple(sorted(there, key=lambda one: (one.dispatched_at or 0, one.id)))

        return await self._snapshots.read(read)


def _bound(connection: Connection, provider: str, wanted: tuple[str, ...]) -> dict[str, str]:
    c = provider_ids.c
    statement = select(c.provider_id, c.attempt_id).where(c.provider == provider, c.provider_id.in_(wanted))
    return {row[0]: row[1] for row in connection.execute(statement)}


def _late(now: int) -> CompoundSelect[Any]:
    """(render_id, dispatched_at) of such attempts: those without an end, and those whose pictures their render lacks."""
    since = now - _LATE_MICROS
    c = attempts.c
    joined = attempts.join(renders, renders.c.id == c.render_id)
    recent = (c.dispatched_at >= since, renders.c.finished_at.is_not(None))
    may_end = or_(c.state == AttemptState.ACCEPTED.value, c.grade == Grade.UNCONFIRMED.value)
    without_end = (
        select(c.render_id, c.dispatched_at)
        .select_from(joined)
        .where(WITHOUT_END, c.usage_at >= since - _HELD_MICROS_MAX, *recent, may_end)
    )
    unkept = and_(renders.c.fresh_until.is_(None), renders.c.finished_at >= since)
    without_picture = (
        select(c.render_id, c.dispatched_at)
        .select_from(joined)
        .where(
            unkept,
            renders.c.state != RenderState.SUCCEEDED.value,
            c.state == AttemptState.SUCCEEDED.value,
            or_(c.result_expires_at.is_(None), c.result_expires_at > now),
            *recent,
        )
    )
    return union(without_end, without_picture)
