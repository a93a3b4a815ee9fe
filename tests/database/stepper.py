"""Two transactions on two real connections, stepped statement by statement in any order that a test asks for."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, event

import service.database.session as database
from service.database.batch import Batches, Committed, Done, Refusal
from service.database.dialect import Verdict
from service.database.engine import Address
from service.domain.commands import Command

STEP_SECONDS_MAX = 5.0


@dataclass
class Told:
    """What a stepped command came to: its outcome, or its refusal."""

    outcome: Any


class Gated(database.Session):
    """Statements that each wait at a gate."""

    def __init__(self, connection: Connection, gate: Callable[[str], None]) -> None:
        super().__init__(connection)
        self._gate = gate

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[database.Row]:
        """Wait, then ask."""
        self._gate(sql)
        return super().rows(sql, parameters)

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Wait, then tell."""
        self._gate(sql)
        super().run(sql, parameters)


class Session:
    """One connection whose statements, commit included, each wait for `step`."""

    def __init__(self, address: Address, watch: psycopg.Connection[Any]) -> None:
        self._engine = address.writer()
        event.listen(self._engine, "commit", self._before_commit)
        self._batches = Batches(self._engine, address.dialect, lambda: 0, {}, lambda: 0, self._gated)
        self._dialect = address.dialect
        self._watch = watch
        self._thread = ThreadPoolExecutor(1)
        self._moved = threading.Condition()
        self._waiting = False
        self._allowed = 0
        self._free = False
        self._running: Future[Committed] | None = None
        self._pid = 0
        self.statements: list[str] = []

    def begin(self, command: Command) -> None:
        """Hand a command in; it stops before its first statement."""
        self.statements.clear()
        self._free = False
        self._allowed = 0
        self._running = self._thread.submit(self._run, [command])
        self._settle()

    def step(self) -> bool:
        """Let one statement go. False when the transaction is over or waits for the other one."""
        with self._moved:
            if not self._waiting:
                return False
            self._allowed += 1
            self._waiting = False
            self._moved.notify_all()
        self._settle()
        return True

    def finish(self) -> bool:
        """Let all statements go. False when it waits for the other transaction."""
        with self._moved:
            self._free = True
            self._waiting = False
            self._moved.notify_all()
        return self._settle()

    def told(self) -> Any:
        """The outcome or refusal, once it is over."""
        assert self._running is not None
        answer = self._running.result(STEP_SECONDS_MAX).answers[0]
        assert isinstance(answer, Done | Refusal)
        return answer.outcome if isinstance(answer, Done) else answer.error

    def run(self, command: Command) -> Any:
        """One command, undisturbed."""
        self.begin(command)
        self.finish()
        return self.told()

    def close(self) -> None:
        """Let go of thread and connection."""
        self._free = True
        self._thread.submit(self._batches.reset).result(STEP_SECONDS_MAX)
        self._thread.shutdown()
        self._engine.dispose()

    def _run(self, commands: Sequence[Command]) -> Committed:
        try:
            while True:
                try:
                    return self._batches.run(commands)
                except BaseException as error:
                    # As the lane does, but a deadlock would be a fault of the lock order.
                    if self._dialect.judge(error) is not Verdict.AGAIN or "deadlock" in str(error):
                        raise
        finally:
            with self._moved:
                self._moved.notify_all()

    def _gated(self, connection: Connection) -> "Gated":
        driver = connection.connection.driver_connection
        assert driver is not None
        self._pid = driver.info.backend_pid
        return Gated(connection, self._gate)

    def _before_commit(self, connection: Connection) -> None:
        self._gate("COMMIT")

    def _gate(self, statement: str) -> None:
        with self._moved:
            self.statements.append(statement)
            self._waiting = True
            self._moved.notify_all()
            while not self._free and self._allowed == 0:
                assert self._moved.wait(STEP_SECONDS_MAX), "nobody steps"
            self._allowed = max(0, self._allowed - 1)
            self._waiting = False

    def _settle(self) -> bool:
        """Wait until it stands at a statement, is over, or waits for a lock; False for the last."""
        assert self._running is not None
        while True:
            with self._moved:
                if self._running.done() or (self._waiting and not self._free):
                    return True
                self._moved.wait(0.002)
                if self._running.done() or (self._waiting and not self._free):
                    return True
            row = self._watch.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", (self._pid,)).fetchone()
            if row is not None and row[0]:
                return False


def interleave(
    one: Session, other: Session, first: Command, second: Command, i: int, j: int
) -> tuple[Any, Any]:
    """Run `i` statements of the first, `j` of the second, then the first to its end, then the second; each goes
    on where the other has to wait for it. Answers what both came to.
    """
    one.begin(first)
    other.begin(second)
    for _ in range(i):
        one.step()
    for _ in range(j):
        other.step()
    if not one.finish():
        assert other.finish(), "each waits for the other"
    other.finish()
    return one.told(), other.told()
