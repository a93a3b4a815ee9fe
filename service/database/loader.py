"""What a batch reads before it decides, and the locks that it takes on the way, always in one order.

Budgets (table) → flights → renders → attempts → jobs → assets → budget windows, keys sorted within each. A row's newest
version is read by the statement that locks it; what hangs on a locked row is read by a later statement. Steps without
keys are skipped.

One thing is not locked: a flight that points at a finished, fresh render. Such a render never changes, so a request
answered from it needs no lock. Should the decision turn out otherwise it changes the flight, and the batch is run again
with every lock (`Unlocked`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from service.database import codec
from service.database.comparisons import Comparisons
from service.database.dialect import Dialect, Moved
from service.database.loaded import Loaded, Locked
from service.database.opening import Openings
from service.database.session import Session
from service.database.statements import Statements
from service.domain.budget import covering, empty_window, window_start
from service.domain.commands import Accept, CacheMode, Command, SetBudget
from service.domain.decisions import may_hold
from service.domain.reach import Reach, reach
from service.domain.records import Render, RenderState
from service.domain.world import World

KNOWN_WINDOWS_MAX: Final = 100_000


class Loader:
    """Prebuilt for one engine; used by one thread at a time.

    `known_windows` remembers which windows exist, so that they need not be made again; windows are never deleted.
    """

    def __init__(
        self, dialect: Dialect, now: Callable[[], int], reporting_labels: dict[str, tuple[str, ...]]
    ) -> None:
        self._statements = Statements(dialect)
        self._openings = Openings(dialect)
        self._comparisons = Comparisons(dialect)
        self._now = now
        self._reporting_labels = reporting_labels
        self._known_windows: set[tuple[str, int]] = set()

    def load(self, session: Session, commands: Sequence[Command], *, careful: bool) -> Loaded:
        """Read and lock everything that the commands reach. `careful` locks also what is expected not to change."""
        world = World(self._now(), self._reporting_labels)
        load = _Load(self._statements, session, world, commands, careful, self._known_windows)
        load.look_ahead()
        load.lock_budgets()
        load.lock_flights()
        load.lock_renders()
        world.now = self._clock(session, load.ahead_now)
        load.read_attempts()
        load.read_jobs()
        load.read_assets()
        load.read_replicas()
        load.read_oversight()
        self._comparisons.load(session, world, load.locked, load.reaches)
        load.lock_windows()
        openings = [
            self._openings.prepare(session, world, command)
            for command in commands
            if isinstance(command, SetBudget)
        ]
        return Loaded(world, load.locked, load.new_flights, [one for one in openings if one is not None])

    def remember(self, windows: Iterable[tuple[str, int]]) -> None:
        """These windows are committed."""
        if len(self._known_windows) >= KNOWN_WINDOWS_MAX:
            self._known_windows.clear()
        self._known_windows.update(windows)

    def _clock(self, session: Session, ahead: int) -> int:
        """The database's time after the first locks; that of the look-ahead where nothing was locked."""
        sql = self._statements.dialect.clock_sql
        if sql is None:
            return self._now()
        return ahead or int(session.rows(sql)[0][0])


class _Load:
    """One batch being loaded."""

    def __init__(
        self,
        statements: Statements,
        session: Session,
        world: World,
        commands: Sequence[Command],
        careful: bool,
        known_windows: set[tuple[str, int]],
    ) -> None:
        self._sql = statements
        self._locks = statements.dialect.locks
        self._session = session
        self._world = world
        self._careful = careful
        self._known_windows = known_windows
        self._wanted: list[tuple[Command, Reach]] = [(command, reach(command)) for command in commands]
        self._calm: set[int] = set()
        self._acting: set[str] = set()
        self._waited: set[str] = set()
        self._settling: set[str] = set()
        self._shown: set[str] = set()
        self._to_lock: set[str] = set()
        self._flight_keys: set[tuple[str, str]] = set()
        self._missing_flights: set[tuple[str, str]] = set()
        self._job_ids: set[str] = set()
        self._projects: set[str] = set()
        self.ahead_now = 0
        self.locked = Locked()
        self.new_flights: list[tuple[str, str]] = []

    @property
    def reaches(self) -> list[Reach]:
        """What each command starts from."""
        return [one for _, one in self._wanted]

    # -- before any lock

    def look_ahead(self) -> None:
        """Find out, without a lock, which renders the commands lead to."""
        self._read_requests()
        self._read_flights()
        jobs = self._renders_of(self._sql.render_of_job, [key for _, r in self._wanted for key in r.jobs])
        attempts = self._renders_of(
            self._sql.render_of_attempt, [key for _, r in self._wanted for key in r.attempts]
        )
        for index, (_, r) in enumerate(self._wanted):
            if index in self._calm:
                continue
            found = {*r.renders}
            found |= {jobs[key] for key in r.jobs if key in jobs}
            found |= {attempts[key] for key in r.attempts if key in attempts}
            self._acting |= found
            self._to_lock |= found
            self._job_ids |= set(r.jobs)
            if r.waiting:
                self._waited |= found
            if r.settles:
                self._settling |= found
            if r.flights_of_attempts:
                rows = self._read(self._sql.flights_of_renders, found)
                self._flight_keys |= {(scope, fingerprint) for scope, fingerprint in rows}

    def _read_requests(self) -> None:
        keys = {key for _, r in self._wanted for key in r.requests}
        self._take_requests(keys)
        for index, (_, r) in enumerate(self._wanted):
            if any(self._world.job_by_request(*key) for key in r.requests):
                self._calm.add(index)

    def _take_requests(self, keys: Iterable[tuple[str, str]]) -> None:
        wanted = set(keys)
        for row in self._read(self._sql.jobs_by_request_id, {request_id for _, request_id in wanted}):
            job = codec.JOBS.record(row)
            if (job.project, job.request_id) not in wanted:
                continue
            self._world.load_jobs((job,))
            if job.is_final:
                self._shown.add(job.render_id)
            else:
                self._to_lock.add(job.render_id)
                self._acting.add(job.render_id)
                self._job_ids.add(job.id)

    def _read_flights(self) -> None:
        wanted = {key for i, (_, r) in enumerate(self._wanted) if i not in self._calm for key in r.flights}
        width = len(codec.FLIGHTS.table.columns)
        at: dict[tuple[str, str], Render | None] = {}
        for row in self._read(self._sql.flights_ahead, wanted):
            flight = codec.FLIGHTS.record(row[:width])
            self.ahead_now = row[width]
            at[flight.scope, flight.fingerprint] = (
                codec.RENDERS.record(row[width + 1 :]) if row[width + 1] is not None else None
            )
            self._world.flights.load((flight.scope, flight.fingerprint), flight)
        good = self._good_renders(at)
        for index, (command, r) in enumerate(self._wanted):
            if index in self._calm or not r.flights:
                continue
            render = at.get(r.flights[0])
            older = good.get(r.flights[0])
            if self._careful or render is None:
                self._flight_keys |= set(r.flights)
            elif self._answers(command, render):
                self._expect(index, render)
            elif older is not None and render.finished_at is not None and self._answers(command, older):
                self._world.renders.load(render.id, render)
                self._expect(index, older)
            else:
                self._flight_keys |= set(r.flights)
        self._missing_flights = self._flight_keys - at.keys()

    def _good_renders(self, at: dict[tuple[str, str], Render | None]) -> dict[tuple[str, str], Render]:
        """Older renders that may answer, by flight."""
        by_id = {
            flight.good_render_id: key
            for key in at
            if (flight := self._world.flights.get(key)) is not None and flight.good_render_id is not None
        }
        rows = [codec.RENDERS.record(row) for row in self._read(self._sql.renders, by_id)]
        return {by_id[render.id]: render for render in rows}

    def _answers(self, command: Command, render: Render) -> bool:
        return _answers(command, render, self.ahead_now or self._world.now)

    def _expect(self, index: int, render: Render) -> None:
        """The command will be answered from this finished render, without a lock."""
        self._calm.add(index)
        self._world.renders.load(render.id, render)
        self._shown.add(render.id)

    def _renders_of(self, sql: str, keys: Iterable[str]) -> dict[str, str]:
        return {row[0]: row[1] for row in self._read(sql, set(keys))}

    # -- locks, in order

    def lock_budgets(self) -> None:
        """Reading budgets keeps them as they are until the commit: whoever changes them waits for their readers."""
        active = [r for index, (_, r) in enumerate(self._wanted) if index not in self._calm]
        if any(r.budgets_exclusive for r in active):
            self._run(self._sql.lock_budgets)
        elif any(r.settles or r.holds for r in active):
            self._run(self._sql.hold_budgets_table)
        projects = {project for r in active for project in r.budgets_of}
        holding = {key for r in active if r.holds for key in r.renders}
        projects |= {row[0] for row in self._read(self._sql.projects_of_renders, holding)}
        rows = self._read(self._sql.live_budgets, projects)
        rows += self._read(self._sql.budgets, {key for r in active for key in r.budget_ids})
        for row in rows:
            budget = codec.BUDGETS.record(row)
            self._world.budgets.load(budget.id, budget)

    def lock_flights(self) -> None:
        """Make missing flights and lock all, then look for the requests once more: whoever held the lock may have
        answered them.
        """
        if not self._flight_keys:
            return
        missing = sorted(self._missing_flights)
        self._sql.make_flights(self._session, [[*key, None, None] for key in missing])
        self.new_flights = missing
        for row in self._read(self._sql.flights, self._flight_keys):
            flight = codec.FLIGHTS.record(row)
            key = (flight.scope, flight.fingerprint)
            self._world.flights.load(key, flight)
            self.locked.flights.add(key)
            self._to_lock |= {key for key in (flight.render_id, flight.good_render_id) if key is not None}
        if self._flight_keys - self.locked.flights:
            raise Moved  # one that was seen was removed meanwhile
        if self._locks:
            self._take_requests(
                key
                for index, (_, r) in enumerate(self._wanted)
                if index not in self._calm
                for key in r.requests
            )

    def lock_renders(self) -> None:
        """Lock the renders that may change; read the others that are shown."""
        if self._flight_keys or self._to_lock:
            self.ahead_now = 0
        for row in self._read(self._sql.renders_locked, self._to_lock):
            self._world.renders.load(row[0], codec.RENDERS.record(row))
            self.locked.renders.add(row[0])
        seen = {key for key in self._shown - self.locked.renders if self._world.renders.get(key) is not None}
        for row in self._read(self._sql.renders, self._shown - self.locked.renders - seen):
            self._world.renders.load(row[0], codec.RENDERS.record(row))

    def read_attempts(self) -> None:
        """All attempts of the renders at hand; those that may change are locked."""
        acting = self._acting & self.locked.renders
        for row in self._read(self._sql.attempts_locked, acting):
            self._world.load_attempts((codec.ATTEMPTS.record(row),))
            self.locked.attempts.add(row[0])
        others = (self._shown | self._to_lock) - acting
        self._world.load_attempts(
            codec.ATTEMPTS.record(row) for row in self._read(self._sql.attempts, others)
        )
        wanted = {key for _, r in self._wanted for key in r.provider_ids}
        for row in self._read(self._sql.provider_ids, wanted):
            bound = codec.PROVIDER_IDS.record(row)
            self._world.provider_ids.load((bound.provider, bound.provider_id), bound)

    def read_jobs(self) -> None:
        """Named jobs, payers, and whoever waits; all locked."""
        payers = {
            attempt.payer_job
            for render_id in self._settling & self.locked.renders
            for attempt in self._world.attempts_of(render_id)
        }
        rows = self._read(self._sql.waiting_locked, self._waited & self.locked.renders)
        seen = {row[0] for row in rows}
        rows += self._read(self._sql.jobs_locked, (self._job_ids | payers) - seen)
        for row in rows:
            job = codec.JOBS.record(row)
            if not job.is_final and job.render_id not in self.locked.renders:
                raise Moved
            self._world.load_jobs((job,))
            self.locked.jobs.add(job.id)

    def read_assets(self) -> None:
        """The pictures of finished renders, unlocked; named pictures, locked."""
        renders = self._world.renders
        finished = {
            key
            for key in self._shown | self._to_lock
            if (render := renders.get(key)) is not None and render.state is RenderState.SUCCEEDED
        }
        width = len(codec.RENDER_ASSETS.table.columns)
        for row in self._read(self._sql.assets_of_renders, finished):
            asset = codec.ASSETS.record(row[width:])
            self._world.assets.load(asset.sha256, asset)
            self._world.load_render_assets((codec.RENDER_ASSETS.record(row[:width]),))
        for row in self._read(self._sql.assets_locked, {key for _, r in self._wanted for key in r.assets}):
            self._world.assets.load(row[0], codec.ASSETS.record(row))
            self.locked.assets.add(row[0])

    def read_replicas(self) -> None:
        """All replicas, held against other heartbeats, so that no two take one ordinal."""
        if not any(r.replicas for _, r in self._wanted):
            return
        self._run(self._sql.lock_replicas)
        for row in self._session.rows(self._sql.replicas):
            self._world.replicas.load(row[0], codec.REPLICAS.record(row))
            self.locked.replicas.add(row[0])

    def read_oversight(self) -> None:
        """Named switches, locked; and which of the named lines of an audit are written already."""
        switches = {(scope.value, target) for _, r in self._wanted for scope, target in r.switches}
        for row in self._read(self._sql.switches_locked, switches):
            switch = codec.SWITCHES.record(row)
            self._world.switches.load((switch.scope, switch.target), switch)
            self.locked.switches.add((switch.scope, switch.target))
        for row in self._read(self._sql.audit_events, {key for _, r in self._wanted for key in r.audit}):
            self._world.audit_known[row[0]] = codec.AUDIT_EVENTS.record(row)
        sources = {key for _, r in self._wanted for key in r.sources}
        self._world.sources_known = {row[0] for row in self._read(self._sql.sources, sources)}
        changes = {key for _, r in self._wanted for key in r.budget_changes}
        for row in self._read(self._sql.budget_changes, changes):
            self._world.budget_changes_known[row[0]] = codec.BUDGET_CHANGES.record(row)

    def lock_windows(self) -> None:
        """The windows that a hold may be taken from, and those that settled attempts were."""
        world = self._world
        keys = set()
        for index, (command, r) in enumerate(self._wanted):
            if index in self._calm or not (r.budgets_of or r.holds):
                continue
            for project, labels in may_hold(world, command):
                for budget in covering(world.budgets.values(), project, labels):
                    keys.add((budget.id, window_start(budget.period, world.now)))
        settled = {a.id for key in self._settling & self.locked.renders for a in world.attempts_of(key)}
        rows = [codec.HOLD_BUDGETS.record(row) for row in self._read(self._sql.hold_budgets, settled)]
        world.load_hold_budgets(rows)
        keys |= {(row.budget_id, row.window_start) for row in rows}
        missing = sorted(keys - self._known_windows)
        empty = [codec.WINDOWS.row(empty_window(*key)) for key in missing]
        self._sql.make_windows(self._session, empty)
        for row in self._read(self._sql.windows_locked, keys):
            window = codec.WINDOWS.record(row)
            key = (window.budget_id, window.window_start)
            world.windows.load(key, window)
            self.locked.windows.add(key)

    def _run(self, sql: str | None) -> None:
        if sql is not None:
            self._session.run(sql)

    def _read(self, sql: str, keys: Iterable[Any]) -> list[Any]:
        wanted = list(keys)
        if not wanted:
            return []
        return self._session.rows(sql, {"keys": json.dumps(wanted)})


def _answers(command: Command, render: Render, now: int) -> bool:
    """Whether a finished render will answer this request from the cache, as far as its row can tell."""
    if not isinstance(command, Accept) or command.cache_mode is not CacheMode.USE:
        return False
    if render.state is not RenderState.SUCCEEDED or render.fresh_until is None or render.fresh_until <= now:
        return False
    age_max = command.cache_max_age_micros
    return age_max is None or render.finished_at is None or now - render.finished_at <= age_max
