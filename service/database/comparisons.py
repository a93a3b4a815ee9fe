"""Loading what a comparison with a provider's books may change. Comparisons are rare: they take one another's turn."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from service.database import codec
from service.database.bill_tables import discrepancies, reconciliations
from service.database.dialect import Dialect
from service.database.loaded import Locked
from service.database.session import Session
from service.domain.reach import Reach
from service.domain.world import World


class Comparisons:
    """Prebuilt for one engine; used by one thread at a time."""

    def __init__(self, dialect: Dialect) -> None:
        d = dialect
        self._lock: Final = d.lock_table(reconciliations, readers_too=False)
        r, n = reconciliations.c, discrepancies.c
        self._kept: Final = (
            f"SELECT {d.columns(reconciliations)} FROM reconciliations"
            f" WHERE provider = {d.param('provider')} AND grade = {d.param('grade')}"
            f" AND range_from = {d.param('range_from')} ORDER BY {r.number.name}"
        )
        columns = d.columns(discrepancies)
        self._open: Final = (
            f"SELECT {columns} FROM discrepancies WHERE provider = {d.param('provider')}"
            f" AND usage_at >= {d.param('range_from')} AND usage_at < {d.param('range_before')}"
            " AND resolved_at IS NULL"
        )
        self._named: Final = (
            f"SELECT {columns} FROM discrepancies WHERE {d.keys(n.provider, n.side, n.subject)}"
        )

    def load(self, session: Session, world: World, locked: Locked, wanted: Iterable[Reach]) -> None:
        """Read kept comparisons and discrepancies of the spans, held against other comparisons."""
        spans = {span for reach in wanted for span in reach.comparisons}
        if not spans:
            return
        if self._lock is not None:
            session.run(self._lock)
        for provider, grade, range_from, range_before in sorted(spans, key=str):
            place = {"provider": provider, "grade": grade.value, "range_from": range_from}
            for row in session.rows(self._kept, place):
                kept = codec.RECONCILIATIONS.record(row)
                key = (kept.provider, kept.grade, kept.range_from, kept.number)
                world.reconciliations.load(key, kept)
            span = {"provider": provider, "range_from": range_from, "range_before": range_before}
            self._take(world, locked, session.rows(self._open, span))
        named = {(provider, side.value, key) for reach in wanted for provider, side, key in reach.disputes}
        if named:
            self._take(world, locked, session.rows(self._named, {"keys": json.dumps(sorted(named))}))

    def _take(self, world: World, locked: Locked, rows: Iterable[object]) -> None:
        for row in rows:
            one = codec.DISCREPANCIES.record(row)  # type: ignore[arg-type]  # a row of the driver
            world.discrepancies.load((one.provider, one.side, one.subject), one)
            locked.discrepancies.add((one.provider, one.side, one.subject))
