"""The committed rows, kept in one World that is never built anew: a commit costs what it changed, however much there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.domain.world import Log, Rows, World
from tests.support.memory_store import Tables


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did: rows by table as (key, before or None, after), and added lines by log."""

    rows: dict[str, list[tuple[Any, Any, Any]]]
    lines: dict[str, list[Any]]


class KeptTables(Tables):
    """Tables whose World stays. `newest` is what the last commit changed."""

    def __init__(self) -> None:
        super().__init__()
        self._world = World(0)
        self._rows: dict[str, Rows[Any, Any]] = {}
        self._logs: dict[str, Log[Any]] = {}
        for name, value in vars(self._world).items():
            if isinstance(value, Rows):
                self._rows[name] = value
                setattr(self, name, value._loaded)
            elif isinstance(value, Log):
                self._logs[name] = value
        self.newest = Change({}, {})

    @property
    def kept(self) -> World:
        """The World, to look into."""
        return self._world

    def world(self, now: int, reporting_labels: dict[str, tuple[str, ...]] | None = None) -> World:
        """The World as of now. What is decided in it and not taken is undone by whoever asks next."""
        self._world.rollback(0)
        self._world.now = now
        if reporting_labels is not None:
            self._world.reporting_labels = reporting_labels
        return self._world

    def take(self, world: World) -> list[str]:
        """Make what was decided the truth. Answers the ids of the jobs and renders among it."""
        rows = {
            name: changes for name, one in self._rows.items() if one._changed and (changes := one.changes())
        }
        for one in self._rows.values():
            if one._changed:
                one._loaded.update(one._changed)
                one._changed.clear()
        lines = {}
        for name, log in self._logs.items():
            if log.entries:
                lines[name] = log.entries
                getattr(self, name).extend(log.entries)
                log.entries = []
        world._journal.clear()
        world.budget_changes_known.update({one.id: one for one in lines.get("budget_changes", ())})
        world.audit_known.update({one.id: one for one in lines.get("audit", ())})
        self.newest = Change(rows, lines)
        return [key for name in ("jobs", "renders") for key, _, _ in rows.get(name, ())]

    def joinable_twice(self) -> list[tuple[str, str]]:
        """Left to the rules, which look at what changed only."""
        return []
