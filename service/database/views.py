"""Building what is shown of a job: the row with its render, the render's attempts, and its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

from service.database import codec
from service.database.dialect import Dialect
from service.database.statements import Statements
from service.database.tables import jobs, renders
from service.domain.records import Asset, Attempt, Job, Render, RenderAsset, RenderState
from service.domain.view import JobView

SHOWN: Final = select(jobs, renders).select_from(jobs.outerjoin(renders, renders.c.id == jobs.c.render_id))
"""Jobs and their renders side by side, as `Views.of_rows` takes them."""
_JOB_COLUMNS: Final = len(jobs.columns)


class Views:
    """Prebuilt for one engine; usable from any thread."""

    def __init__(self, dialect: Dialect) -> None:
        self._sql = Statements(dialect)

    def of_job(self, connection: Connection, job_id: str) -> JobView | None:
        """One job, or None."""
        rows = connection.execute(SHOWN.where(jobs.c.id == job_id)).all()
        return next(self.of_rows(connection, rows), None)

    def of_jobs(self, connection: Connection, job_ids: Sequence[str]) -> list[JobView]:
        """These jobs in this order; those that are not there are left out."""
        rows = connection.execute(SHOWN.where(jobs.c.id.in_(job_ids))).all()
        found = {view.job.id: view for view in self.of_rows(connection, rows)}
        return [found[job_id] for job_id in job_ids if job_id in found]

    def of_rows(self, connection: Connection, rows: Sequence[Any]) -> Iterator[JobView]:
        """Views of rows of `SHOWN`, in their order."""
        shown: list[tuple[Job, Render | None]] = []
        for row in rows:
            render = codec.RENDERS.record(row[_JOB_COLUMNS:]) if row[_JOB_COLUMNS] is not None else None
            shown.append((codec.JOBS.record(row[:_JOB_COLUMNS]), render))
        found = {render.id: render for _, render in shown if render is not None}
        attempts_by_render = self.attempts(connection, list(found))
        finished = [key for key, render in found.items() if render.state is RenderState.SUCCEEDED]
        assets = self._assets(connection, finished)
        for job, render in shown:
            key = job.render_id
            yield JobView(job, render, attempts_by_render.get(key, ()), assets.get(key, ()))

    def attempts(self, connection: Connection, render_ids: list[str]) -> dict[str, tuple[Attempt, ...]]:
        """The attempts of renders, by number."""
        found: dict[str, list[Attempt]] = {}
        for row in self._rows(connection, self._sql.attempts, render_ids):
            attempt = codec.ATTEMPTS.record(row)
            found.setdefault(attempt.render_id, []).append(attempt)
        return {key: tuple(sorted(rows, key=lambda one: one.number)) for key, rows in found.items()}

    def _assets(
        self, connection: Connection, render_ids: list[str]
    ) -> dict[str, tuple[tuple[RenderAsset, Asset], ...]]:
        width = len(codec.RENDER_ASSETS.table.columns)
        found: dict[str, list[tuple[RenderAsset, Asset]]] = {}
        for row in self._rows(connection, self._sql.assets_of_renders, render_ids):
            place = codec.RENDER_ASSETS.record(row[:width])
            found.setdefault(place.render_id, []).append((place, codec.ASSETS.record(row[width:])))
        return {key: tuple(sorted(rows, key=lambda one: one[0].position)) for key, rows in found.items()}

    def _rows(self, connection: Connection, sql: str, keys: list[str]) -> Sequence[Any]:
        return connection.exec_driver_sql(sql, {"keys": json.dumps(keys)}).all() if keys else ()
