"""What each project keeps in the picture store. A picture belongs to the project whose render brought it first."""

from __future__ import annotations

from sqlalchemy import Connection, and_, case, func, literal, select

from service.database.snapshots import Snapshots
from service.database.tables import assets, render_assets, renders
from service.domain.records import AssetState
from service.domain.storage_price import StoredShare


class DatabaseStorageReader:
    """Implements `StorageReader`, on the connections of reports."""

    def __init__(self, reports: Snapshots) -> None:
        self._reports = reports

    async def shares(self, month_start: int, day: int, day_end: int) -> tuple[StoredShare, ...]:
        """Kept at the end of the day, written on it, written before it in its month; by project."""

        def read(connection: Connection) -> tuple[StoredShare, ...]:
            rank = func.row_number().over(
                partition_by=render_assets.c.sha256, order_by=(renders.c.finished_at, renders.c.id)
            )
            firsts = (
                select(render_assets.c.sha256, renders.c.project, renders.c.finished_at, rank.label("place"))
                .select_from(render_assets.join(renders, renders.c.id == render_assets.c.render_id))
                .where(renders.c.finished_at < day_end)
                .subquery()
            )
            c = firsts.c
            kept = assets.c.state != AssetState.GONE.value
            on_day = c.finished_at >= day
            earlier = and_(c.finished_at >= month_start, c.finished_at < day)
            statement = (
                select(
                    c.project,
                    func.sum(case((kept, assets.c.size_bytes), else_=literal(0))),
                    func.sum(case((on_day, literal(1)), else_=literal(0))),
                    func.sum(case((earlier, literal(1)), else_=literal(0))),
                )
                .select_from(firsts.join(assets, assets.c.sha256 == c.sha256))
                .where(c.place == 1)
                .group_by(c.project)
                .order_by(c.project)
            )
            return tuple(
                StoredShare(project, int(size), int(writes), int(before))
                for project, size, writes, before in connection.execute(statement)
            )

        return await self._reports.read(read)
