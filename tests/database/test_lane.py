"""What happens to commands when batches fail: repeated, reconnected, halved, given up; never answered before the commit."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from service.clock import SystemClock
from service.database.batch import Committed, Done, Later, Refusal
from service.database.dialect import Moved, PostgresDialect
from service.database.lane import BatchReport, CommandFailed, Lane, Watcher
from service.domain import commands as c
from service.domain.errors import JobNotFound, Overloaded, StoreUnavailable
from service.domain.limits import batch_commands_max
from service.domain.value import value

Plan = Callable[[Sequence[str]], Committed | BaseException | None]


@value(frozen=True, slots=True)
class Note(c.Command):
    """A command that does nothing."""

    name: str


@value(frozen=True, slots=True)
class Proof(Note):
    """The same, patient."""

    patient = True


def lost(state: str | None = None) -> DBAPIError:
    """A driver's error, wrapped as in life. Without a state the connection is lost."""

    class Error(psycopg.OperationalError):
        sqlstate = state

    return DBAPIError("statement", {}, Error("no details"))


class Script:
    """Stands where batches are carried out: answers every batch as the plan says, by default with the names."""

    def __init__(self) -> None:
        self.plan: Plan = lambda names: None
        self.batches: list[list[str]] = []
        self.resets = 0
        self.gate = threading.Event()
        self.gate.set()

    def run(self, commands: Sequence[Any]) -> Committed:
        self.gate.wait(5.0)
        names = [command.name for command in commands if isinstance(command, Note)]
        self.batches.append(names)
        planned = self.plan(names)
        if isinstance(planned, BaseException):
            raise planned
        return planned or Committed([Done(name) for name in names], tuple(names), ())

    def reset(self) -> None:
        self.resets += 1


class Ears(Watcher):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.reports: list[BatchReport] = []
        self.causes: list[str] = []

    def committed(self, report: BatchReport) -> None:
        self.reports.append(report)

    def replayed(self, cause: str) -> None:
        self.causes.append(cause)


@dataclass
class Rig:
    """A lane over a script."""

    lane: Lane
    script: Script
    ears: Ears
    published: list[tuple[str, ...]]

    async def all(self, *commands: Note) -> list[Any]:
        """Hand all in at once; answers and errors in order."""
        return await asyncio.gather(*(self.lane.execute(one) for one in commands), return_exceptions=True)


@asynccontextmanager
async def _rig(answer_seconds_max: float) -> AsyncIterator[Rig]:
    script, ears, published = Script(), Ears(), []
    lane = Lane(
        "test",
        script,
        PostgresDialect(),
        SystemClock(),
        lambda: 0.01,
        published.append,
        ears,
        answer_seconds_max=answer_seconds_max,
    )
    lane.start()
    yield Rig(lane, script, ears, published)
    script.gate.set()
    script.plan = lambda names: None
    await lane.stop(5.0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with _rig(5.0) as rig:
        yield rig


@pytest.fixture
async def hasty() -> AsyncIterator[Rig]:
    """A lane whose callers wait 50 ms."""
    async with _rig(0.05) as rig:
        yield rig


async def test_what_is_queued_becomes_one_batch(rig: Rig) -> None:
    """Commands handed in together share a transaction, in order, up to the limit of a batch."""
    names = [str(number) for number in range(batch_commands_max + 10)]
    assert names == await rig.all(*(Note(name) for name in names))
    assert [names[:batch_commands_max], names[batch_commands_max:]] == rig.script.batches
    assert [batch_commands_max, 10] == [report.commands_count for report in rig.ears.reports]
    assert names == [key for keys in rig.published for key in keys]


async def test_a_change_of_budgets_has_its_own_batch(rig: Rig) -> None:
    """The command that locks the table shares its transaction with nobody."""
    delete = c.DeleteBudget("id", "change", "tests")
    rig.script.plan = lambda names: Committed([Done("x") for _ in names or [1]], (), ())
    await asyncio.gather(*(rig.lane.execute(one) for one in (Note("a"), Note("b"), delete, Note("d"))))
    assert [["a", "b"], [], ["d"]] == rig.script.batches


async def test_a_refusal_is_its_callers_alone(rig: Rig) -> None:
    """The others of the batch have their answers."""
    refused = JobNotFound("no such job")
    rig.script.plan = lambda names: Committed([Done("a"), Refusal(refused), Done("c")], (), ())
    assert ["a", refused, "c"] == await rig.all(Note("a"), Note("b"), Note("c"))


@pytest.mark.parametrize("error", [lost("40001"), lost("40P01"), lost("23505"), Moved()])
async def test_a_lost_race_is_run_again(rig: Rig, error: Exception) -> None:
    """The whole batch, up to three times, and nobody is told."""
    rig.script.plan = lambda names: error if len(rig.script.batches) <= 3 else None
    assert ["a", "b"] == await rig.all(Note("a"), Note("b"))
    assert [["a", "b"]] * 4 == rig.script.batches
    assert ["AGAIN"] * 3 == rig.ears.causes


@pytest.mark.parametrize("state", [None, "55P03", "57014", "57P01", "57P03", "08006", "53300", "25P03"])
async def test_a_lost_connection_is_made_anew(rig: Rig, state: str | None) -> None:
    """The connection is dropped, and the whole batch is run again as often as it takes."""
    rig.script.plan = lambda names: lost(state) if len(rig.script.batches) <= 4 else None
    assert ["a", "b"] == await rig.all(Note("a"), Note("b"))
    assert [["a", "b"]] * 5 == rig.script.batches
    assert 4 == rig.script.resets


async def test_one_bad_command_is_found_by_halving(rig: Rig) -> None:
    """In order, until it fails alone; the others are carried out once, and it is never told a driver's words."""
    rig.script.plan = lambda names: lost("22021") if "bad" in names else None
    answers = await rig.all(*(Note(name) for name in ("a", "b", "bad", "d", "e")))
    assert ["a", "b", "d", "e"] == [answer for answer in answers if isinstance(answer, str)]
    assert isinstance(answers[2], CommandFailed)
    assert "no details" not in str(answers[2])
    done = [names for names in rig.script.batches if "bad" not in names]
    assert [["a", "b"], ["d", "e"]] == done


async def test_a_mistake_of_ours_is_told_as_it_is(rig: Rig) -> None:
    """An assertion that fails in a decision reaches the caller whose command it was."""
    rig.script.plan = lambda names: AssertionError("never") if "bad" in names else None
    answers = await rig.all(Note("a"), Note("bad"))
    assert "a" == answers[0]
    assert isinstance(answers[1], AssertionError)


async def test_a_command_that_keeps_losing_is_told_to_ask_again(rig: Rig) -> None:
    """Alone and after three repetitions, a race that is always lost is StoreUnavailable."""
    rig.script.plan = lambda names: lost("40001")
    answers = await rig.all(Note("a"))
    assert isinstance(answers[0], StoreUnavailable)
    assert 4 == len(rig.script.batches)


async def test_a_deferred_command_is_decided_after_its_batch(rig: Rig) -> None:
    """It has a batch of its own afterwards; one that never gets what it needs fails."""

    def plan(names: Sequence[str]) -> Committed:
        answers = [Later() if name in {"late", "never"} else Done(name) for name in names]
        if names == ["late", "never"] and len(rig.script.batches) == 2:
            answers[0] = Done("late")
        return Committed(list(answers), (), ())

    rig.script.plan = plan
    answers = await rig.all(Note("a"), Note("late"), Note("never"))
    assert ["a", "late"] == answers[:2]
    assert isinstance(answers[2], CommandFailed)
    assert [["a", "late", "never"], ["late", "never"], ["never"], ["never"]] == rig.script.batches


async def test_callers_are_told_when_the_database_is_away(hasty: Rig) -> None:
    """After their time they get StoreUnavailable and their command is dropped; evidence waits on and is committed."""
    hasty.script.plan = lambda names: lost()
    evidence = asyncio.ensure_future(hasty.lane.execute(Proof("evidence")))
    with pytest.raises(StoreUnavailable):
        await hasty.lane.execute(Note("hasty"))
    assert not evidence.done()
    hasty.script.batches.clear()
    hasty.script.plan = lambda names: None
    assert "evidence" == await evidence
    assert ["evidence"] == hasty.script.batches[-1]


async def test_a_full_queue_refuses(rig: Rig) -> None:
    """Beyond its bound a caller is told at once; evidence is still taken."""
    rig.lane._queue_max = 2
    rig.script.gate.clear()
    running = asyncio.ensure_future(rig.lane.execute(Note("running")))
    for _ in range(3):  # until the lane has taken it from its queue
        await asyncio.sleep(0)
    queued = [asyncio.ensure_future(rig.lane.execute(Note(name))) for name in ("a", "b")]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await rig.lane.execute(Note("c"))
    evidence = asyncio.ensure_future(rig.lane.execute(Proof("evidence")))
    await asyncio.sleep(0)
    rig.script.gate.set()
    assert ["running", "a", "b", "evidence"] == list(await asyncio.gather(running, *queued, evidence))


async def test_a_cancelled_callers_command_is_carried_out(rig: Rig) -> None:
    """What was handed in stays handed in."""
    rig.script.gate.clear()
    calling = asyncio.ensure_future(rig.lane.execute(Note("a")))
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    rig.script.gate.set()
    assert "b" == await rig.lane.execute(Note("b"))
    assert ["a", "b"] == [name for names in rig.script.batches for name in names]


async def test_stop_finishes_what_was_handed_in(rig: Rig) -> None:
    """Queued commands are answered; later ones are refused; stopping twice is legal."""
    rig.script.gate.clear()
    queued = asyncio.ensure_future(rig.lane.execute(Note("a")))
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(rig.lane.stop(5.0))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable):
        await rig.lane.execute(Note("b"))
    rig.script.gate.set()
    await stopping
    assert "a" == await queued
    await rig.lane.stop(5.0)


async def test_stop_gives_up_on_a_database_that_is_away(rig: Rig) -> None:
    """Evidence, too, is told in the end: the process has to go."""
    rig.script.plan = lambda names: lost()
    evidence = asyncio.ensure_future(rig.lane.execute(Proof("evidence")))
    await asyncio.sleep(0)
    await rig.lane.stop(0.05)
    with pytest.raises(StoreUnavailable):
        await evidence


async def test_a_lane_that_never_ran_can_be_stopped() -> None:
    """Before its start nothing is taken, and stopping it does nothing."""
    lane = Lane("test", Script(), PostgresDialect(), SystemClock(), lambda: 1.0, lambda keys: None, Watcher())
    with pytest.raises(StoreUnavailable):
        await lane.execute(Note("a"))
    await lane.stop(1.0)
