"""A desk for tests of decisions: a store in memory, a clock that stands still, and the commands of a run by short names."""

from typing import Any

from service.domain import commands as c
from service.domain.absence import doubted_from
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Attempt, Flight, Job, Render, Transfer, Window
from service.domain.view import JobView
from tests.support.books import faults
from tests.support.clock import FakeClock, SeededDice
from tests.support.memory_store import MemoryStore
from tests.support.orders import CEILING_NANOS, Orders, asset

REFUSED = Failure(Reason.ROUTES_UNAVAILABLE, "refused", Fault.PROVIDER, RetryAdvice.FREE)
BROKE = Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE)
HOLD = CEILING_NANOS


class Sight:
    """The committed rows of one store, by the request that they belong to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock, reporting_labels={"growth": ("team",)})

    @property
    def tables(self) -> Any:
        return self.store.tables

    def job(self, asked: c.Accept) -> Job:
        job: Job = self.tables.jobs[asked.job_id]
        return job

    def view(self, asked: c.Accept) -> JobView:
        return self.tables.world(self.clock.now()).view(self.job(asked))

    def render(self, asked: c.Accept) -> Render:
        render: Render = self.tables.renders[self.job(asked).render_id]
        return render

    def attempts(self, asked: c.Accept) -> tuple[Attempt, ...]:
        return self.view(asked).attempts

    def attempt(self, asked: c.Accept) -> Attempt:
        return self.attempts(asked)[-1]

    def flight(self, asked: c.Accept) -> Flight | None:
        flight: Flight | None = self.tables.flights.get((asked.scope, asked.fingerprint))
        return flight

    def window(self, budget: Any) -> Window:
        found = [row for row in self.tables.windows.values() if row.budget_id == budget.id]
        assert len(found) == 1
        return found[0]

    def transfers(self, attempt: Attempt) -> list[Transfer]:
        return [row for row in self.tables.transfers if row.source == attempt.id]


class Desk(Sight):
    """One store; every command is checked against the books after it."""

    def __init__(self) -> None:
        super().__init__()
        self.dice = SeededDice(1, self.clock)
        self.orders = Orders(self.dice)

    def run(self, command: c.Command) -> Any:
        """Carry one out; the books stay right whether it is refused or not."""
        try:
            return self.store.run(command)
        finally:
            assert [] == faults(self.tables)

    def twice(self, command: c.Command) -> Any:
        """Carry it out again: nothing changes. Answers the second outcome."""
        before = self.tables.image()
        outcome = self.run(command)
        assert before == self.tables.image()
        return outcome

    def accept(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A request, carried out. Answers the command."""
        command = self.orders.accept(subject, **changes)
        self.run(command)
        return command

    def budget(self, limit_nanos: int, **changes: Any) -> Any:
        """A budget, set."""
        return self.run(self.orders.budget(limit_nanos, **changes))

    # -- the books

    def kinds(self, attempt: Attempt) -> list[tuple[str, int, str]]:
        """(kind, total after, grade) of each transfer."""
        return [(row.kind.value, row.total_after_nanos, row.grade.value) for row in self.transfers(attempt)]

    def events(self, asked: c.Accept) -> list[tuple[str, str]]:
        """(kind, cause) of what was unusual, in the order of its writing."""
        render_id = self.job(asked).render_id
        return [(one.kind, one.cause) for one in self.tables.events if one.render_id == render_id]

    # -- steps of the newest attempt

    def _fence(self, asked: c.Accept) -> dict[str, Any]:
        render = self.render(asked)
        return {
            "render_id": render.id, "attempt_id": self.attempt(asked).id,
            "owner": render.owner, "fence": render.fence,
        }  # fmt: skip

    def dispatch(self, asked: c.Accept, **changes: Any) -> Any:
        return self.run(c.Dispatch(**{**self._fence(asked), "seed": 7, **changes}))

    def bind(self, asked: c.Accept, provider_id: str = "", **changes: Any) -> Attempt:
        attempt = self.attempt(asked)
        known = provider_id or f"{attempt.provider}-{attempt.id}"
        bound: c.Bound = self.run(c.BindProviderId(attempt.id, attempt.provider, known, **changes))
        return bound.attempt

    def progress(self, asked: c.Accept, state: str = "RUNNING", progress: str = "{}") -> Any:
        return self.run(c.Progress(**self._fence(asked), state=state, progress=progress))

    def unknown(self, asked: c.Accept) -> Any:
        return self.run(c.MarkUnknown(**self._fence(asked), cause="timeout"))

    def doubted(self, asked: c.Accept) -> c.Accept:
        """Let time pass until others than the sender may judge the newest attempt."""
        self.until(doubted_from(self.attempt(asked).send_before or 0))
        return asked

    def until(self, at: int) -> None:
        """Let time pass until this moment."""
        self.clock.advance(max(0, at - self.clock.now()) / MICROS_PER_SECOND)

    def unconfirmed(self, asked: c.Accept, **changes: Any) -> Any:
        self.doubted(asked)
        told = {"failure": BROKE} if self.attempt(asked).provider_id is not None else {}
        return self.run(c.ResolveUnconfirmed(**{**self._fence(asked), **told, **changes}))

    def absent(self, asked: c.Accept, **changes: Any) -> Any:
        return self.run(c.ResolveAbsent(**{**self._fence(asked), "memo": "two scans", **changes}))

    def late(self, asked: c.Accept, **changes: Any) -> Any:
        stored = ((0, asset(asked.fingerprint), False),)
        return self.run(c.LateResult(**{"attempt_id": self.attempt(asked).id, "assets": stored, **changes}))

    def reject(self, asked: c.Accept) -> Attempt:
        rejected: Attempt = self.run(c.Reject(self.attempt(asked).id, REFUSED))
        return rejected

    def result(self, asked: c.Accept, ended: str = "SUCCEEDED", **changes: Any) -> Attempt:
        """What the provider says; a success has one picture that was billed."""
        told: dict[str, Any] = {"ended": ended}
        if ended == "SUCCEEDED":
            told |= {"images_count": 1, "metrics": (("image_count", "1"),)}
        else:
            told |= {"failure": BROKE}
        recorded: Attempt = self.run(c.RecordResult(self.attempt(asked).id, **{**told, **changes}))
        return recorded

    def finish(self, asked: c.Accept, **changes: Any) -> Any:
        return self.run(self.finish_command(asked, **changes))

    def finish_command(self, asked: c.Accept, **changes: Any) -> c.Finish:
        stored = ((0, asset(asked.fingerprint), False),)
        return c.Finish(**{**self._fence(asked), "assets": stored, **changes})

    def fail(self, asked: c.Accept, **changes: Any) -> Any:
        return self.run(self.fail_command(asked, **changes))

    def fail_command(self, asked: c.Accept, **changes: Any) -> c.Fail:
        told = {
            **self._fence(asked), "failure": BROKE,
            "next_attempt_id": self.dice.new_id(), "next_token": self.dice.new_token(),
        }  # fmt: skip
        return c.Fail(**{**told, **changes})

    def cancel(self, asked: c.Accept) -> c.CancelOutcome:
        outcome: c.Cancelled = self.run(c.Cancel(asked.job_id, asked.project))
        return outcome.outcome

    # -- places in a run

    def sent(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A render whose first attempt is being sent."""
        asked = self.accept(subject, **changes)
        self.dispatch(asked)
        return asked

    def running(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A render that runs at its provider."""
        asked = self.sent(subject, **changes)
        self.bind(asked)
        self.progress(asked)
        return asked

    def storing(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A render whose picture is being fetched."""
        asked = self.running(subject, **changes)
        self.result(asked)
        return asked

    def at(self, step: str, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A render at any of the places where it may wait."""
        if step in ("unknown", "rejected"):
            asked = self.sent(subject, **changes)
            _ = self.unknown(asked) if step == "unknown" else self.reject(asked)
            return asked
        placed: c.Accept = getattr(self, step)(subject, **changes)
        return placed

    def drawn(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A render that succeeded."""
        asked = self.storing(subject, **changes)
        assert self.finish(asked) is c.RunOutcome.DONE
        return asked


def not_sent(desk: Desk, asked: c.Accept) -> c.NotSent:
    """The word of whoever set the marker that stands now; it is not handed in yet."""
    attempt = desk.attempt(asked)
    return c.NotSent(attempt.id, attempt.send_before or 0)
