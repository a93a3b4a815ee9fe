"""Jobs as callers see them, read outside the lanes. What replicas and operators look for has readers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, case, exists, func, literal_column, or_, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from service.database import codec
from service.database.snapshots import Snapshots
from service.database.tables import (
    attempts,
    events,
    flights,
    job_labels,
    jobs,
    render_assets,
    render_inputs,
    renders,
)
from service.database.views import SHOWN, Views
from service.domain.limits import MICROS_PER_SECOND, events_shown_max, paging_lag_seconds
from service.domain.oversight import Event
from service.domain.queries import JobPage, JobQuery
from service.domain.records import Asset, Attempt, Grade, Render, RenderState
from service.domain.view import JobView, standing

_CONFIRMED = (Grade.BILLING_EVENT.value, Grade.INVOICE.value)


class DatabaseJobReader:
    """Implements `JobReader`."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._views = Views(snapshots.dialect)

    async def view(self, job_id: str) -> JobView | None:
        """The job with render, attempts and pictures, in one snapshot."""
        return await self._snapshots.read(lambda connection: self._views.of_job(connection, job_id))

    async def view_by_request(self, project: str, request_id: str) -> JobView | None:
        """The same, found by the caller's own id."""

        def read(connection: Connection) -> JobView | None:
            asked = and_(jobs.c.project == project, jobs.c.request_id == request_id)
            job_id = connection.execute(select(jobs.c.id).where(asked)).scalar_one_or_none()
            return None if job_id is None else self._views.of_job(connection, job_id)

        return await self._snapshots.read(read)

    async def page(self, query: JobQuery) -> JobPage:
        """A page of jobs. Newest first shows them at once; oldest first stops before what may still appear below."""

        def read(connection: Connection) -> JobPage:
            through = None
            if not query.newest_first:
                through = self._snapshots.now(connection) - paging_lag_seconds * MICROS_PER_SECOND
            rows = connection.execute(_page(query, through, self._snapshots.dialect.json_text)).all()
            return JobPage(tuple(self._views.of_rows(connection, rows)))

        return await self._snapshots.read(read)

    async def asset(self, sha256: str, project: str | None) -> Asset | None:
        """A picture of which this project has a job, as result or as input; any picture for None."""

        def read(connection: Connection) -> Asset | None:
            table = codec.ASSETS.table
            row = connection.execute(select(table).where(table.c.sha256 == sha256)).one_or_none()
            known = connection.execute(select(_has_picture(sha256, project))).scalar_one()
            return codec.ASSETS.record(row) if row is not None and (project is None or known) else None

        return await self._snapshots.read(read)

    async def flight(self, scope: str, fingerprint: str) -> tuple[Render, tuple[Attempt, ...]] | None:
        """What the fingerprint points at now, for quotes; nothing is locked."""

        def read(connection: Connection) -> tuple[Render, tuple[Attempt, ...]] | None:
            at = and_(flights.c.scope == scope, flights.c.fingerprint == fingerprint)
            named = or_(flights.c.render_id == renders.c.id, flights.c.good_render_id == renders.c.id)
            newest = (flights.c.render_id == renders.c.id).label("newest")
            rows = connection.execute(select(renders, newest).join(flights, named).where(at)).all()
            found = {bool(row.newest): codec.RENDERS.record(row[:-1]) for row in rows}
            render = standing(found.get(True), found.get(False))
            if render is None:
                return None
            return render, self._views.attempts(connection, [render.id]).get(render.id, ())

        return await self._snapshots.read(read)

    async def render(self, render_id: str) -> tuple[Render, tuple[Attempt, ...]] | None:
        """A render and its attempts by number."""

        def read(connection: Connection) -> tuple[Render, tuple[Attempt, ...]] | None:
            row = connection.execute(select(renders).where(renders.c.id == render_id)).one_or_none()
            if row is None:
                return None
            return codec.RENDERS.record(row), self._views.attempts(connection, [render_id]).get(render_id, ())

        return await self._snapshots.read(read)

    async def events(self, render_id: str) -> tuple[Event, ...]:
        """The unusual things that happened to a render, oldest first."""
        statement = (
            select(events)
            .where(events.c.render_id == render_id)
            .order_by(events.c.at, events.c.id)
            .limit(events_shown_max)
        )
        return await self._snapshots.read(
            lambda connection: tuple(codec.EVENTS.record(row) for row in connection.execute(statement))
        )


def _shown_state() -> ColumnElement[str]:
    """The state of a job as it is shown: a running render shows through."""
    works = renders.c.state.in_((RenderState.RUNNING.value, RenderState.STORING.value))
    return case((jobs.c.final_at.is_not(None), jobs.c.state), (works, "RUNNING"), else_="QUEUED")


def _settlement() -> ColumnElement[str]:
    """How far the accounts of a job's own attempts have come; the least settled of them decides."""
    rank = case(
        (attempts.c.hold_open, 4),
        (attempts.c.grade == Grade.UNCONFIRMED.value, 3),
        (attempts.c.grade == Grade.NONE.value, 0),
        (attempts.c.grade.in_(_CONFIRMED), 1),
        else_=2,
    )
    worst = func.coalesce(
        select(func.max(rank)).where(attempts.c.payer_job == jobs.c.id).scalar_subquery(), 0
    )
    names = {0: "VOIDED", 1: "CONFIRMED", 2: "POSTED", 3: "UNCONFIRMED", 4: "OPEN"}
    return case(names, value=worst)


def _provider(names: Sequence[str]) -> ColumnElement[bool]:
    """Whether the newest attempt went to one of these providers."""
    later = attempts.alias("later")
    superseded = exists().where(later.c.render_id == attempts.c.render_id, later.c.number > attempts.c.number)
    newest = and_(attempts.c.render_id == jobs.c.render_id, ~superseded)
    return exists().where(newest, attempts.c.provider.in_(names))


def _has_picture(sha256: str, project: str | None) -> ColumnElement[bool]:
    def among(table: Any) -> ColumnElement[bool]:
        return exists().where(
            table.c.sha256 == sha256, jobs.c.render_id == table.c.render_id, jobs.c.project == (project or "")
        )

    return or_(among(render_assets), among(render_inputs))


def _page(query: JobQuery, through: int | None, json_text: Any) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    plain: tuple[tuple[ColumnElement[Any], tuple[str, ...]], ...] = (
        (jobs.c.operation, query.operations),
        (jobs.c.model, query.models),
        (jobs.c.origin, query.origins),
        (_shown_state(), query.states),
        (literal_column(json_text("jobs.failure", "reason")), query.failure_reasons),
        (_settlement(), query.settlements),
    )
    conditions += [column.in_(wanted) for column, wanted in plain if wanted]
    if query.project is not None:
        conditions.append(jobs.c.project == query.project)
    if query.providers:
        conditions.append(_provider(query.providers))
    if query.accepted_from is not None:
        conditions.append(jobs.c.accepted_at >= query.accepted_from)
    if query.accepted_before is not None:
        conditions.append(jobs.c.accepted_at < query.accepted_before)
    if query.fingerprint is not None:
        conditions.append(jobs.c.fingerprint == query.fingerprint)
    if query.asset_sha256 is not None:
        pictured = and_(
            render_assets.c.render_id == jobs.c.render_id, render_assets.c.sha256 == query.asset_sha256
        )
        conditions.append(exists().where(pictured))
    for key, value in query.labels:
        one = and_(job_labels.c.job_id == jobs.c.id, job_labels.c.label_key == key)
        conditions.append(exists().where(one, job_labels.c.label_value == value))
    place = tuple_(jobs.c.accepted_at, jobs.c.id)
    if query.after is not None:
        at = tuple_(*query.after)
        conditions.append(place < at if query.newest_first else place > at)
    if through is not None:
        conditions.append(jobs.c.accepted_at < through)
    order = (jobs.c.accepted_at, jobs.c.id)
    ordered = [column.desc() for column in order] if query.newest_first else list(order)
    return SHOWN.where(*conditions).order_by(*ordered).limit(query.limit)
