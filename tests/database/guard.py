"""Looks at budgets in the last moment of every transaction, with its own eyes: what it wrote, while it still holds the locks."""

from __future__ import annotations

import threading
from typing import Any, Final

from sqlalchemy import Connection, event

from service.database.open import Database

_RAISED: Final = """
    (SELECT coalesce(sum(CASE WHEN t.capped > p.capped THEN t.capped - p.capped ELSE 0 END), 0)
     FROM (SELECT h.budget_id, h.window_start, c.source, c.ordinal, c.kind,
                  CASE WHEN c.total_after_nanos < h.nanos THEN c.total_after_nanos ELSE h.nanos END AS capped
           FROM hold_budgets AS h JOIN transfers AS c ON c.source = h.attempt_id) AS t
     JOIN (SELECT h.budget_id, c.source, c.ordinal,
                  CASE WHEN c.total_after_nanos < h.nanos THEN c.total_after_nanos ELSE h.nanos END AS capped
           FROM hold_budgets AS h JOIN transfers AS c ON c.source = h.attempt_id) AS p
       ON p.source = t.source AND p.ordinal = t.ordinal - 1 AND p.budget_id = t.budget_id
     WHERE t.kind = 'CORRECTION' AND t.budget_id = w.budget_id AND t.window_start = w.window_start)
"""
"""What corrections raised within the holds of a window: room that was given back when the holds were posted, now taken again."""
_LEVELS: Final = f"""
    SELECT w.budget_id, w.window_start, b.limit_nanos, b.hard, w.spent_nanos - w.overrun_nanos + w.held_nanos - {_RAISED},
           w.held_nanos, w.spent_nanos
    FROM budget_windows AS w JOIN budgets AS b ON b.id = w.budget_id
"""
_MINE: Final = " WHERE w.xmin::text = (pg_current_xact_id()::text::numeric % 4294967296)::text"
"""The rows that this transaction wrote; others may be on the way."""


class Guard:
    """The rule: `spent - overrun + held`, less what corrections raised, is within the limit or no more than it was before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._levels: dict[tuple[str, int], int] = {}
        self.looks = 0
        self.broken: list[str] = []
        self.highest: dict[tuple[str, int], int] = {}
        """The most that each window ever came to."""

    def watch(self, database: Database) -> None:
        """From now on, every commit of a lane."""
        event.listen(database.store._engine, "commit", self._look)

    def _look(self, connection: Connection) -> None:
        sql = _LEVELS + ("" if connection.dialect.name == "sqlite" else _MINE)
        driver: Any = connection.connection.driver_connection
        rows = driver.execute(sql).fetchall()
        with self._lock:
            self.looks += 1
            for budget_id, start, limit, hard, level, held, spent in rows:
                key = (budget_id, start)
                before = self._levels.get(key)
                self._levels[key] = level
                self.highest[key] = max(level, self.highest.get(key, 0))
                # A window that is opened for a new budget may begin with more than its limit.
                if hard and before is not None and level > limit and level > before:
                    self.broken.append(f"{key}: {before} became {level}, the limit is {limit}")
                if held < 0 or spent < 0:
                    self.broken.append(f"{key}: held {held}, spent {spent}")
