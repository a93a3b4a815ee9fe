"""What a batch writes: inserts sorted by their unique key, changes of rows that are locked, sums of totals. Then the commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import Table

from service.database import codec
from service.database import ledger_tables as money
from service.database import tables as work
from service.database.codec import Codec
from service.database.dialect import Dialect, Run, Upsert
from service.database.loaded import Loaded, Unlocked
from service.database.session import Session
from service.domain.totals import TotalsDelta, TotalsKey
from service.domain.world import Rows, World

UPDATE_TEXTS_MAX: Final = 64
"""Update statements remembered per table; further ones are built each time."""

_DIMENSIONS = ("usage_hour", "booked_hour", *money.DIMENSIONS)
_SUMS = (*money.SUMS, *money.BUCKETS)


class _Kept:
    """One table's statements. An update names only the columns that a batch changes, so there is one per set of them."""

    def __init__(self, dialect: Dialect, kept: Codec[Any]) -> None:
        self.codec = kept
        self.insert = dialect.insert(kept.table)
        self._dialect = dialect
        self._updates: dict[tuple[int, ...], Run] = {}

    def update(self, session: Session, pairs: list[tuple[Any, Any]]) -> None:
        """Write what differs between old and new records."""
        columns = self.codec.differing(pairs)
        statement = self._updates.get(tuple(columns))
        if statement is None:
            names = [column.name for column in self.codec.table.columns]
            statement = self._dialect.update(self.codec.table, [names[i] for i in columns])
            if len(self._updates) < UPDATE_TEXTS_MAX:
                self._updates[tuple(columns)] = statement
        count = self.codec.key_count
        rows = [self.codec.part(new, columns) for _, new in pairs]
        statement(session, sorted(rows, key=lambda row: row[:count]))


class Writer:
    """Prebuilt for one engine; used by one thread at a time."""

    def __init__(self, dialect: Dialect) -> None:
        self._kept = {
            one.table.name: _Kept(dialect, one)
            for one in (
                codec.JOBS, codec.FLIGHTS, codec.RENDERS, codec.ATTEMPTS, codec.PROVIDER_IDS, codec.ASSETS,
                codec.RENDER_ASSETS, codec.RENDER_INPUTS, codec.REPLICAS, codec.BUDGETS, codec.WINDOWS,
                codec.HOLD_BUDGETS, codec.SWITCHES, codec.DISCREPANCIES, codec.RECONCILIATIONS,
            )
        }  # fmt: skip
        self._job_labels = dialect.insert(work.job_labels)
        self._transfers = dialect.insert(money.transfers)
        self._budget_changes = dialect.insert(money.budget_changes)
        self._events = dialect.insert(work.events)
        self._audit_events = dialect.insert(work.audit_events)
        self._totals = _summing(dialect, money.totals, (*_DIMENSIONS, "slot"))
        self._label_totals = _summing(
            dialect, money.label_totals, (*_DIMENSIONS, "label_key", "label_value", "slot")
        )
        flights = work.flights.c
        empty = f"{dialect.keys(flights.scope, flights.fingerprint)} AND render_id IS NULL"
        self._unmake_flights = f"DELETE FROM flights WHERE {empty}"

    def write(self, session: Session, loaded: Loaded, slot: int) -> None:
        """Write the changes of the world. Raises `Unlocked` when a changed row was not locked."""
        world, locked = loaded.world, loaded.locked
        write = _Write(session, self._kept)
        write.table("flights", world.flights, locked.flights)
        write.table("renders", world.renders, locked.renders)
        write.table("attempts", world.attempts, locked.attempts)
        write.table("jobs", world.jobs, locked.jobs, sort=lambda row: (row[2], row[1]))
        write.table("provider_ids", world.provider_ids, ())
        write.table("assets", world.assets, locked.assets)
        write.table("render_assets", world.render_assets, ())
        write.table("render_inputs", world.render_inputs, ())
        write.table("replicas", world.replicas, locked.replicas)
        write.table("discrepancies", world.discrepancies, locked.discrepancies)
        write.table("reconciliations", world.reconciliations, ())
        write.table("switches", world.switches, locked.switches)
        write.table("budgets", world.budgets, {key for key, _ in world.budgets.updated()})
        write.table("budget_windows", world.windows, locked.windows)
        write.table("hold_budgets", world.hold_budgets, ())
        self._write_labels(session, world)
        self._transfers(
            session, sorted((codec.TRANSFERS.row(one) for one in world.transfers.entries), key=_pair)
        )
        self._budget_changes(session, [codec.BUDGET_CHANGES.row(one) for one in world.budget_changes.entries])
        self._events(session, sorted(codec.EVENTS.row(one) for one in world.events.entries))
        self._audit_events(session, sorted(codec.AUDIT_EVENTS.row(one) for one in world.audit.entries))
        self._drop_empty_flights(session, loaded)
        self._write_totals(session, world, slot)

    def _write_labels(self, session: Session, world: World) -> None:
        rows = [
            [job.id, key, value, job.project]
            for _, job in world.jobs.inserted()
            if job.labels
            for key, value in job.labels
        ]
        self._job_labels(session, sorted(rows))

    def _drop_empty_flights(self, session: Session, loaded: Loaded) -> None:
        """A refused request leaves no flight behind."""
        flights = loaded.world.flights
        empty = [
            key for key in loaded.new_flights if (row := flights.get(key)) is None or row.render_id is None
        ]
        if empty:
            session.run(self._unmake_flights, {"keys": json.dumps(empty)})

    def _write_totals(self, session: Session, world: World, slot: int) -> None:
        sums: dict[TotalsKey, list[TotalsDelta]] = {}
        for key, delta in world.totals.entries:
            sums.setdefault(key, []).append(delta)
            sums.setdefault(key.lifetime(), []).append(delta)
        rows = [codec.totals_row(key, deltas, slot) for key, deltas in sums.items()]
        self._totals(session, sorted(rows))
        labelled: dict[tuple[TotalsKey, str, str], list[TotalsDelta]] = {}
        for key, name, value, delta in world.label_totals.entries:
            labelled.setdefault((key, name, value), []).append(delta)
            labelled.setdefault((key.lifetime(), name, value), []).append(delta)
        rows = [
            codec.totals_row(key, deltas, name, value, slot)
            for (key, name, value), deltas in labelled.items()
        ]
        self._label_totals(session, sorted(rows))


def _pair(row: list[Any]) -> tuple[Any, Any]:
    return row[0], row[1]


def _summing(dialect: Dialect, table: Table, keys: tuple[str, ...]) -> Run:
    return dialect.insert(table, Upsert(keys, _SUMS))


class _Write:
    """Inserts and updates of one batch."""

    def __init__(self, session: Session, kept: dict[str, _Kept]) -> None:
        self._session = session
        self._kept = kept

    def table(
        self,
        name: str,
        rows: Rows[Any, Any],
        locked: Iterable[Any],
        sort: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        """Write what changed in one table."""
        changed = rows.changes()
        if not changed:
            return
        kept = self._kept[name]
        made, moved = [], []
        allowed = set(locked)
        for key, old, new in changed:
            if old is None:
                made.append(kept.codec.row(new))
            elif key not in allowed:
                raise Unlocked(f"{name}: a row was changed that is not locked")
            else:
                moved.append((old, new))
        if moved:
            # First, so that a new row may take the place that an old one leaves in a partial unique index.
            kept.update(self._session, moved)
        count = kept.codec.key_count
        kept.insert(self._session, sorted(made, key=sort or (lambda row: row[:count])))
