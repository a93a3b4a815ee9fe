"""One batch in one transaction: load, decide each command in order, write, commit. Runs on its lane's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from service.database.dialect import Dialect
from service.database.loaded import Loaded, Unlocked
from service.database.loader import Loader
from service.database.opening import Openings
from service.database.pruning import Pruning
from service.database.rolling import Rolling
from service.database.session import Session
from service.database.writer import Writer
from service.domain.commands import Command, Prune, RecordStored, RollDays
from service.domain.decisions import decide
from service.domain.errors import LightmeterError
from service.domain.ledger import WindowMissing
from service.domain.records import Attempt, Job
from service.domain.value import value
from service.domain.world import World


@value(frozen=True, slots=True)
class Done:
    """An outcome, committed."""

    outcome: Any


@value(frozen=True, slots=True)
class Refusal:
    """The decision raised; the command left no trace."""

    error: LightmeterError


@value(frozen=True, slots=True)
class Later:
    """Another command of the batch changed what this one needs: decide it again in a batch after this one."""


Answer = Done | Refusal | Later


@value(frozen=True, slots=True)
class Committed:
    """The answers in the order of the commands, the ids of the jobs and renders that changed, and the jobs that became
    final with the attempts that stand for their work.
    """

    answers: list[Answer]
    changed: tuple[str, ...]
    ended: tuple[tuple[Job, Attempt | None], ...]


class Batches:
    """Carries batches out on one connection of its own. Not safe for two threads at once."""

    def __init__(
        self,
        engine: Engine,
        dialect: Dialect,
        now: Callable[[], int],
        reporting_labels: dict[str, tuple[str, ...]],
        slot: Callable[[], int],
        session: Callable[[Connection], Session] = Session,
    ) -> None:
        self._engine = engine
        self._loader = Loader(dialect, now, reporting_labels)
        self._writer = Writer(dialect)
        self._openings = Openings(dialect)
        self._pruning = Pruning(dialect)
        self._rolling = Rolling(dialect)
        self._slot = slot
        self._open = session
        self._connection: Connection | None = None
        self._session: Session | None = None

    def run(self, commands: Sequence[Command]) -> Committed:
        """Commit the commands and answer them. Whatever it raises, nothing is known to be committed."""
        try:
            return self._run(commands, careful=False)
        except Unlocked:
            return self._run(commands, careful=True)

    def reset(self) -> None:
        """Forget the connection; the next batch makes a new one."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = self._session = None

    def _run(self, commands: Sequence[Command], *, careful: bool) -> Committed:
        connection, session = self._connected()
        with connection.begin():
            loaded = self._loader.load(session, commands, careful=careful)
            answers = [self._answer(session, loaded, command) for command in commands]
            for opening in loaded.openings:
                self._openings.plant(loaded.world, opening)
            self._writer.write(session, loaded, self._slot())
            for opening in loaded.openings:
                self._openings.write(session, loaded.world, opening)
        self._loader.remember(loaded.locked.windows)
        return Committed(answers, _changed(loaded.world), tuple(loaded.world.ended.entries))

    def _answer(self, session: Session, loaded: Loaded, command: Command) -> Answer:
        world = loaded.world
        if isinstance(command, Prune):
            return Done(self._pruning.run(session, command, world.now))
        if isinstance(command, RollDays):
            return Done(self._rolling.roll(session, command, world.now))
        if isinstance(command, RecordStored):
            self._rolling.record_stored(session, command, world.now)
            return Done(None)
        mark = world.mark()
        try:
            return Done(decide(world, command))
        except LightmeterError as error:
            world.rollback(mark)
            return Refusal(error)
        except WindowMissing:
            world.rollback(mark)
            return Later()

    def _connected(self) -> tuple[Connection, Session]:
        if self._connection is not None and self._connection.invalidated:
            self.reset()  # SQLAlchemy would connect anew by itself, and the session would not know
        if self._connection is None or self._session is None:
            self._connection = self._engine.connect()
            self._session = self._open(self._connection)
        return self._connection, self._session


def _changed(world: World) -> tuple[str, ...]:
    return (*(key for key, _, _ in world.jobs.changes()), *(key for key, _, _ in world.renders.changes()))
