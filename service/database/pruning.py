"""Removing what is too old to keep, as much as one transaction should hold. The journal, attempts and the audit stay.

Whatever somebody else holds at this moment is left for the next time: rows are locked with SKIP LOCKED in the order of every
batch, so that this never waits and nobody waits in a circle. A render goes when no job and no flight needs it any more. A
request that is answered from the cache takes no lock, so a render that could answer one stays until every transaction that may
have seen it so has surely ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from service.database import tables as work
from service.database.dialect import Dialect
from service.database.emptied import emptied_failure, emptied_notices, emptied_progress, emptied_result
from service.database.session import Row, Session
from service.domain.commands import Prune, Pruned
from service.domain.limits import MICROS_PER_SECOND, prune_margin_seconds

_MARGIN_MICROS: Final = int(prune_margin_seconds * MICROS_PER_SECOND)
_Key = tuple[str, str]


class _Flight(NamedTuple):
    scope: str
    fingerprint: str
    render_id: str | None
    good_render_id: str | None


class _Texts:
    """The statements."""

    def __init__(self, dialect: Dialect) -> None:
        d, p = dialect, dialect.param
        renders, jobs, attempts = work.renders.c, work.jobs.c, work.attempts.c
        before, limit, free = p("before"), p("limit"), dialect.free_row_lock
        of_render = d.keys(attempts.render_id)
        self.full_renders = (
            "SELECT id, state, progress, notices FROM renders WHERE finished_at IS NOT NULL AND content <> '' "
            f"AND finished_at < {before} ORDER BY finished_at LIMIT {limit}{free}"
        )
        self.empty_renders = d.update(work.renders, ["content", "progress", "notices"])
        self.delete_inputs = f"DELETE FROM render_inputs WHERE {of_render}"
        self.attempts = f"SELECT id, result, failure FROM attempts WHERE {of_render} ORDER BY id{d.row_lock}"
        self.empty_attempts = d.update(work.attempts, ["result", "failure"])
        self.failed_jobs = (
            f"SELECT id, failure FROM jobs WHERE {of_render} AND failure IS NOT NULL ORDER BY id{d.row_lock}"
        )
        self.empty_jobs = d.update(work.jobs, ["failure"])

        self.old_events = f"SELECT id FROM events WHERE at < {before} ORDER BY at LIMIT {limit}{free}"
        self.delete_events = f"DELETE FROM events WHERE {d.keys(work.events.c.id)}"

        # Accepted before it was final: the index of acceptance finds them, and reads little more than them.
        self.old_jobs = (
            f"SELECT id, render_id FROM jobs WHERE accepted_at < {before} AND final_at < {before} "
            f"ORDER BY accepted_at, id LIMIT {limit}"
        )
        self.jobs_to_delete = (
            f"SELECT id FROM jobs WHERE {d.keys(jobs.id)} AND final_at < {before} AND NOT EXISTS "
            f"(SELECT 1 FROM attempts AS a WHERE a.payer_job = jobs.id AND a.hold_open) ORDER BY id{free}"
        )
        self.delete_labels = f"DELETE FROM job_labels WHERE {d.keys(work.job_labels.c.job_id)}"
        self.delete_jobs = f"DELETE FROM jobs WHERE {d.keys(jobs.id)}"

        self.emptied_renders = (
            f"SELECT id, finished_at FROM renders WHERE content = '' AND finished_at < {before} "
            f"AND (finished_at, id) > ({p('at')}, {p('key')}) ORDER BY finished_at, id LIMIT {limit}"
        )
        self.flight_keys = (
            "SELECT DISTINCT f.scope, f.fingerprint FROM renders AS r "
            "JOIN flights AS f ON f.scope = r.scope AND f.fingerprint = r.fingerprint "
            f"WHERE {d.keys(renders.id, prefix='r.')}"
        )
        by_key = d.keys(work.flights.c.scope, work.flights.c.fingerprint)
        self.flights = f"SELECT {d.columns(work.flights)} FROM flights WHERE {by_key}"
        self.free_flights = f"{self.flights} ORDER BY scope, fingerprint{free}"
        self.move_flights = d.update(work.flights, ["render_id", "good_render_id"])
        self.delete_flights = f"DELETE FROM flights WHERE {by_key}"
        self.renders_to_delete = (
            f"SELECT id, scope, fingerprint, fresh_until FROM renders WHERE {d.keys(renders.id)} "
            f"AND finished_at < {before} ORDER BY id{free}"
        )
        self.shown_renders = f"SELECT DISTINCT render_id FROM jobs WHERE {of_render}"
        self.holding_renders = f"SELECT DISTINCT render_id FROM attempts WHERE {of_render} AND hold_open"
        self.ages = f"SELECT id, coalesce(finished_at, created_at) FROM renders WHERE {d.keys(renders.id)}"
        self.delete_parts = [
            f"DELETE FROM {table} WHERE {of_render}" for table in ("render_assets", "render_inputs", "events")
        ]
        self.delete_renders = f"DELETE FROM renders WHERE {d.keys(renders.id)}"


class Pruning:
    """Prebuilt for one engine; used by one thread at a time.

    Ended renders that could still answer from the cache when their last job went are looked at again in turns; `_looked_at`
    is where the last turn stopped. Losing it costs a turn.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._sql = _Texts(dialect)
        self._looked_at: tuple[int, str] = (0, "")

    def run(self, session: Session, command: Prune, now: int) -> Pruned:
        """Remove and empty at most `command.limit` rows of each kind."""
        contents_count = self._empty_contents(session, command)
        events_count = self._delete_events(session, command)
        old = session.rows(self._sql.old_jobs, {"before": command.jobs_before, "limit": command.limit})
        ids = list({row[1]: None for row in old})
        before = command.jobs_before if command.renders_before is None else command.renders_before
        ids += self._looked_at_again(session, before, command.limit - len(ids))
        renders = _Renders(self._sql, session, before, now - _MARGIN_MICROS, ids)
        renders.lock()
        jobs_count = self._delete_jobs(session, command, [row[0] for row in old])
        return Pruned(contents_count, events_count, jobs_count, renders.delete())

    def _empty_contents(self, session: Session, command: Prune) -> int:
        sql = self._sql
        # Nothing of a render outlives its jobs.
        before = max(command.content_before, command.jobs_before)
        rows = session.rows(sql.full_renders, {"before": before, "limit": command.limit})
        ids = [row[0] for row in rows]
        if not ids:
            return 0
        sql.empty_renders(
            session,
            [
                [key, "", emptied_progress(state, progress), emptied_notices(notices)]
                for key, state, progress, notices in rows
            ],
        )
        session.run(sql.delete_inputs, _keys(ids))
        attempts = session.rows(sql.attempts, _keys(ids))
        emptied = [
            [key, emptied_result(result), emptied_failure(failure)] for key, result, failure in attempts
        ]
        sql.empty_attempts(session, _differing(attempts, emptied))
        jobs = session.rows(sql.failed_jobs, _keys(ids))
        sql.empty_jobs(session, _differing(jobs, [[key, emptied_failure(failure)] for key, failure in jobs]))
        return len(ids)

    def _delete_events(self, session: Session, command: Prune) -> int:
        rows = session.rows(self._sql.old_events, {"before": command.events_before, "limit": command.limit})
        return _delete(session, self._sql.delete_events, [row[0] for row in rows])

    def _delete_jobs(self, session: Session, command: Prune, ids: list[str]) -> int:
        if not ids:
            return 0
        rows = session.rows(self._sql.jobs_to_delete, _keys(ids) | {"before": command.jobs_before})
        found = [row[0] for row in rows]
        _delete(session, self._sql.delete_labels, found)
        return _delete(session, self._sql.delete_jobs, found)

    def _looked_at_again(self, session: Session, before: int, limit: int) -> list[str]:
        """The next turn of ended renders that stand empty."""
        if limit <= 0:
            return []
        at, key = self._looked_at
        asked = {"before": before, "at": at, "key": key, "limit": limit}
        rows = session.rows(self._sql.emptied_renders, asked)
        self._looked_at = (rows[-1][1], rows[-1][0]) if len(rows) == limit else (0, "")
        return [row[0] for row in rows]


class _Renders:
    """The ended renders among `ids`: those that nothing needs any more are deleted.

    `before` is what they must have ended before; `answered` is since when a render cannot have answered anybody who is not
    done by now.
    """

    def __init__(self, sql: _Texts, session: Session, before: int, answered: int, ids: list[str]) -> None:
        self._sql = sql
        self._session = session
        self._before = before
        self._answered = answered
        self._ids = ids
        self._held_flights: dict[_Key, _Flight] = {}
        self._flights: dict[_Key, _Flight] = {}
        self._found: list[Row] = []

    def lock(self) -> None:
        """Flights first, then renders, as every batch does. What others hold is left out."""
        if not self._ids:
            return
        rows = self._session.rows(self._sql.flight_keys, _keys(self._ids))
        keys = {"keys": json.dumps([list(row) for row in rows])}
        if rows:
            self._held_flights = {
                (row[0], row[1]): _Flight(*row) for row in self._session.rows(self._sql.free_flights, keys)
            }
            self._flights = {
                (row[0], row[1]): _Flight(*row) for row in self._session.rows(self._sql.flights, keys)
            }
        asked = _keys(self._ids) | {"before": self._before}
        self._found = self._session.rows(self._sql.renders_to_delete, asked)

    def delete(self) -> int:
        """Delete what nobody needs, and let its flight forget it. Answers how many renders went."""
        ids = [row[0] for row in self._found]
        if not ids:
            return 0
        needed = {row[0] for row in self._session.rows(self._sql.shown_renders, _keys(ids))}
        needed |= {row[0] for row in self._session.rows(self._sql.holding_renders, _keys(ids))}
        newest = [one.render_id for one in self._flights.values() if one.render_id is not None]
        rows = self._session.rows(self._sql.ages, _keys(newest)) if newest else []
        settled = {key for key, at in rows if at < self._answered}
        gone = [row[0] for row in self._found if row[0] not in needed and self._is_free(row, settled)]
        self._forget(set(gone))
        for statement in self._sql.delete_parts:
            _delete(self._session, statement, gone)
        return _delete(self._session, self._sql.delete_renders, gone)

    def _is_free(self, row: Row, settled: set[str]) -> bool:
        """Whether it can answer nobody: not fresh for long, or for long not the one that its flight points at."""
        key, scope, fingerprint, fresh_until = row
        flight = self._flights.get((scope, fingerprint))
        stale = fresh_until is None or fresh_until < self._answered
        if flight is None:
            return stale
        if key in (flight.render_id, flight.good_render_id):
            return stale and (scope, fingerprint) in self._held_flights
        return stale or flight.render_id in settled

    def _forget(self, gone: set[str]) -> None:
        moved, empty = [], []
        for key, flight in self._held_flights.items():
            left = [one for one in (flight.render_id, flight.good_render_id) if one not in gone]
            left = [one for one in left if one is not None]
            if not left:
                empty.append(list(key))
            elif gone & {flight.render_id, flight.good_render_id}:
                moved.append([*key, left[0], left[1] if len(left) == 2 else None])
        self._sql.move_flights(self._session, sorted(moved))
        if empty:
            self._session.run(self._sql.delete_flights, {"keys": json.dumps(empty)})


def _keys(ids: Iterable[str]) -> dict[str, Any]:
    return {"keys": json.dumps(list(ids))}


def _differing(before: Sequence[Row], after: list[list[Any]]) -> list[list[Any]]:
    return [new for old, new in zip(before, after, strict=True) if list(old) != new]


def _delete(session: Session, sql: str, ids: list[str]) -> int:
    if ids:
        session.run(sql, _keys(ids))
    return len(ids)
