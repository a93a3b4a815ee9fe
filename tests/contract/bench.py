"""A store with its readers, whichever it is, in which time can be let pass: what the contracts of recovery work at."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.records import Attempt, Render
from service.domain.view import JobView
from service.ports import JobReader, OperatorReader, Store, WorkReader
from tests.support.clock import SeededDice
from tests.support.orders import Orders, Steps, asset

FAILURE = Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE)
DOUBTED_SECONDS = 120.0
"""So long after its dispatch anybody may judge an attempt."""
DAY_SECONDS = 24 * 3600.0


@dataclass
class Sight:
    """What is looked at."""

    jobs: JobReader

    async def view(self, accept: c.Accept) -> JobView:
        """The job as readers see it."""
        view = await self.jobs.view(accept.job_id)
        assert view is not None
        return view

    async def render(self, accept: c.Accept) -> Render:
        """Its render."""
        render = (await self.view(accept)).render
        assert render is not None
        return render

    async def attempt(self, accept: c.Accept) -> Attempt:
        """Its newest attempt."""
        return (await self.view(accept)).attempts[-1]

    async def kinds(self, accept: c.Accept) -> list[str]:
        """What was unusual about its render, in order."""
        return [one.kind for one in await self.jobs.events(accept.render_id)]


@dataclass
class Bench(Sight):
    """The store under test. `pass_time` lets seconds pass for everything that is written down; `now` is in microseconds."""

    store: Store
    work: WorkReader
    oversight: OperatorReader
    pass_time: Callable[[float], Awaitable[None]]
    now: Callable[[], int]
    orders: Orders = field(default_factory=lambda: Orders(SeededDice(11)))

    async def run(self, *commands: c.Command) -> Any:
        """Carry them out one after another. Answers the last outcome."""
        outcome = None
        for command in commands:
            outcome = await self.store.execute(command)
        return outcome

    async def accepted(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A request that was taken."""
        accept = self.orders.accept(subject, **changes)
        await self.run(accept)
        return accept

    async def dispatched(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A request whose first attempt is being sent; its input's digest is that of its fingerprint."""
        accept = await self.accepted(subject, **changes)
        await self.run(replace(Steps(accept).dispatch(), input_digest=f"digest {subject}"))
        return accept

    async def unknown(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A request of which nobody knows whether the provider took it, long enough ago to be judged."""
        accept = await self.dispatched(subject, **changes)
        await self.run(Steps(accept).unknown())
        await self.pass_time(DOUBTED_SECONDS)
        return accept

    async def given_up(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A request that ended without evidence, charged as unconfirmed."""
        accept = await self.unknown(subject, **changes)
        assert c.RunOutcome.DONE is await self.run(Steps(accept).unconfirmed())
        return accept

    async def drawn(self, subject: str = "a lighthouse", **changes: Any) -> c.Accept:
        """A request whose picture is stored."""
        accept = self.orders.accept(subject, **changes)
        await self.run(*Steps(accept).all())
        return accept


def absent(accept: c.Accept) -> c.ResolveAbsent:
    """The provider's list shows that it never arrived."""
    return c.ResolveAbsent(accept.render_id, accept.attempt_id, accept.owner, 1, memo="two scans")


def late(accept: c.Accept, **changes: Any) -> c.LateResult:
    """Its picture is stored after all."""
    stored = ((0, asset(accept.fingerprint), False),)
    return c.LateResult(**{"attempt_id": accept.attempt_id, "assets": stored, **changes})
