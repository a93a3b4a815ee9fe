"""One seeded history of requests, their provider's books, budgets and storage, in which every command may be run twice or be
lost before its commit.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from service.core.reconcile import DAY_MICROS, Reconciler
from service.domain import commands as c
from service.domain.absence import doubted_from
from service.domain.bills import Discrepancy
from service.domain.budget import window_start
from service.domain.errors import LightmeterError, StoreUnavailable
from service.domain.limits import MICROS_PER_SECOND
from service.domain.queries import DiscrepancyQuery
from service.domain.records import Attempt, AttemptState, Period, Render
from service.domain.render import RENDER_FINAL
from service.domain.storage_price import StorageCharge
from tests.support import finance
from tests.support.books import faults
from tests.support.clock import FakeClock, SeededDice
from tests.support.fake_provider import FakeLog
from tests.support.memory_books import MemoryBooks
from tests.support.memory_store import Fault, MemoryStore
from tests.support.orders import CEILING_NANOS, Orders, asset, route
from tests.unit.domain.desk import BROKE, REFUSED
from tests.unit.domain.honest import Honest, HonestBooks

PROVIDERS = ("fal", "replicate")
LABELS = ((), (("team", "ads"),), (("team", "web"), ("order", "7")))
_SENT_SECONDS_MAX = 3_000
_ROUNDS_MAX = 5_000


class FinanceWalk:
    """`step` does something and checks the books; `end` brings everything to its end."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = FakeClock()
        self.dice = SeededDice(seed, self.clock)
        self.orders = Orders(self.dice)
        self.store = MemoryStore(self.clock, reporting_labels={"growth": ("team",)})
        self.honest = Honest(self.random, self.clock)
        self.books = MemoryBooks(self.store)
        providers = {name: HonestBooks(self.honest, name, self.clock) for name in PROVIDERS}
        self.reconciler = Reconciler(self.store, self.books, providers, self.clock, FakeLog())
        self.done: Counter[str] = Counter()
        self.accrued_nanos = 0

    @property
    def tables(self) -> Any:
        return self.store.tables

    async def step(self) -> None:
        """One of the acts, and everything that must hold after it."""
        self.clock.advance(self.random.choice((0.001, 1, 60, 600)))
        act = self.random.choices(self.ACTS, weights=self.WEIGHTS)[0]
        made = act(self)
        if made is not None:
            await made
        self.check()

    def check(self) -> None:
        """The books by both of their readers."""
        assert [] == faults(self.tables)
        assert [] == finance.differences(self.tables)
        stored = finance.balances(self.tables.transfers)["storage:r2"]
        assert self.accrued_nanos == stored

    def run(self, command: c.Command) -> Any:
        """Carry it out; now and then it is lost before its commit, or run again after it, and nobody sees a difference."""
        if self.random.random() < 0.1:
            before = self.tables.image()
            self.store._decide(self.tables.world(self.clock.now(), self.store._labels), command)
            assert before == self.tables.image(), "a transaction that was rolled back left a trace"
        outcome = self.store.batch([command])[0]
        name = type(outcome).__name__ if isinstance(outcome, LightmeterError) else "done"
        self.done[f"{type(command).__name__}: {name}"] += 1
        if self.random.random() < 0.15:
            before = self.tables.image()
            self.store.batch([command])
            assert before == self.tables.image(), f"{command} did something the second time"
        return outcome

    # -- requests

    def _accept(self) -> None:
        pick = self.random.choice
        plan = tuple(
            replace(route(name, pick((1, CEILING_NANOS, CEILING_NANOS + 9))), endpoint=f"house/{pick('ab')}")
            for name in pick((PROVIDERS, PROVIDERS[::-1], ("fal",)))
        )
        project = pick(("growth", "growth", "growth", "rival"))
        self.run(
            self.orders.accept(
                f"subject {self.random.randrange(9)}", labels=pick(LABELS), plan=plan, project=project,
                scope=project, cache_mode=pick((*(c.CacheMode.USE,) * 3, c.CacheMode.BYPASS)),
                max_cost_nanos=pick((None, None, CEILING_NANOS + 9)),
                job_timeout_micros=pick((None, None, 900 * MICROS_PER_SECOND)),
            )
        )  # fmt: skip

    def _running(self) -> list[Render]:
        return [one for one in self.tables.renders.values() if one.state not in RENDER_FINAL]

    def _advance(self) -> None:
        running = self._running()
        if running:
            self._one_step(self.random.choice(running))

    def _newest(self, render: Render) -> Attempt:
        attempts = [one for one in self.tables.attempts.values() if one.render_id == render.id]
        return max(attempts, key=lambda one: one.number)

    def _one_step(self, render: Render, *, ending: bool = False) -> None:
        """What the owner does next."""
        attempt = self._newest(render)
        fence = (render.id, attempt.id, render.owner, render.fence)
        failing = c.Fail(
            *fence, BROKE, self.dice.new_id(), self.dice.new_token(),
            failover=not ending and self.random.random() < 0.8,
        )  # fmt: skip
        if attempt.state is AttemptState.HELD:
            late = self.clock.now() - attempt.usage_at > _SENT_SECONDS_MAX * MICROS_PER_SECOND
            self._send(attempt, c.Dispatch(*fence, seed=1)) if not (late or ending) else self.run(failing)
        elif attempt.state is AttemptState.DISPATCHING:
            self._answered(attempt, fence)
        elif attempt.state is AttemptState.UNKNOWN:
            self._doubted(attempt, fence)
        elif attempt.state is AttemptState.ACCEPTED:
            self._accepted(attempt, fence, ending=ending)
        elif attempt.state is AttemptState.SUCCEEDED and self.random.random() < 0.9:
            self.run(c.Finish(*fence, assets=((0, asset(render.fingerprint), False),)))
        else:
            self.run(failing)

    def _send(self, attempt: Attempt, dispatch: c.Dispatch) -> None:
        self.run(dispatch)
        if self.tables.attempts[attempt.id].state is AttemptState.DISPATCHING:
            self.done["taken" if self.honest.take(self.tables.attempts[attempt.id]) else "not taken"] += 1

    def _bind(self, attempt: Attempt, source: str) -> None:
        deed = self.honest.deeds[attempt.id]
        self.run(c.BindProviderId(attempt.id, attempt.provider, deed.provider_id, source=source))

    def _answered(self, attempt: Attempt, fence: tuple[Any, ...]) -> None:
        if self.random.random() < 0.3:
            self.run(c.MarkUnknown(*fence, cause="timeout"))
        elif attempt.id in self.honest.deeds:
            self._bind(attempt, "POST")
        else:
            self.run(
                self.random.choice(
                    (c.Reject(attempt.id, REFUSED), c.NotSent(attempt.id, attempt.send_before or 0))
                )
            )

    def _doubted(self, attempt: Attempt, fence: tuple[Any, ...]) -> None:
        until = max(0, doubted_from(attempt.send_before or 0) - self.clock.now())
        self.clock.advance(until / MICROS_PER_SECOND)
        deed = self.honest.deeds.get(attempt.id)
        chance = self.random.random()
        if chance < 0.3:
            self.run(c.ResolveUnconfirmed(*fence))
        elif chance < 0.4:
            decision: dict[str, Any] = {"not_accepted": True}
            if deed is not None:
                decision = self.random.choice(
                    ({"adopt_provider_id": deed.provider_id}, {"amount_nanos": deed.billed_nanos})
                )
            self.run(c.ResolveByHand(self.dice.new_id(), attempt.id, reason="seen", by="tests", **decision))
        elif deed is not None:
            self._bind(attempt, self.random.choice(("WEBHOOK", "SEARCH")))
        else:
            self.run(c.ResolveAbsent(*fence, memo="two scans"))

    def _accepted(self, attempt: Attempt, fence: tuple[Any, ...], *, ending: bool) -> None:
        chance = 1.0 if ending else self.random.random()
        if chance < 0.2:
            self.run(c.Progress(*fence, state="RUNNING"))
        elif chance < 0.3:
            self.run(c.ResolveUnconfirmed(*fence, failure=BROKE))
        else:
            self.tell(attempt)

    def tell(self, attempt: Attempt) -> None:
        """The provider's own word of how the request of this id ended."""
        deed = self.honest.of_id(attempt.provider_id)
        if deed is not None:
            self.run(replace(self.honest.result(deed), attempt_id=attempt.id))

    def _late_word(self) -> None:
        attempts = list(self.tables.attempts.values())
        if attempts:
            self.tell(self.random.choice(attempts))

    def _watchers(self) -> None:
        jobs = list(self.tables.jobs)
        if jobs:
            self.run(
                self.random.choice((c.Cancel(self.random.choice(jobs), None), c.ExpireJobs(tuple(jobs))))
            )

    def _wait(self) -> None:
        """Hours pass, and what nobody could end is ended."""
        self.clock.advance(self.random.choice((7_200, 30_000)))
        self.run(c.EndOverdue(tuple(one.id for one in self._running())))

    # -- money

    def _budget(self) -> None:
        self.clock.advance(0.001)
        live = [one for one in self.tables.budgets.values() if one.live]
        if live and self.random.random() < 0.3:
            self.run(c.DeleteBudget(self.random.choice(live).id, self.dice.new_id(), by="tests"))
        else:
            key, value = self.random.choice((("", ""), ("team", "ads"), ("team", "web")))
            limit = self.random.choice((2, 8, 40)) * CEILING_NANOS
            period = self.random.choice(tuple(Period))
            self.run(self.orders.budget(limit, label_key=key, label_value=value, period=period))
        self.clock.advance(0.001)

    def _storage(self) -> None:
        day = window_start(Period.DAY, self.clock.now()) - DAY_MICROS * self.random.randrange(1, 4)
        nanos = self.random.randrange(1, 10_000)
        command = c.AccrueStorage(day, f"day {day}", (StorageCharge("growth", nanos, "bytes"),), "r2@1")
        self.accrued_nanos += nanos * int(self.run(command))

    async def _reconcile(self) -> None:
        """A day that had attempts, while the database may be lost in the middle of it."""
        days = self.days()
        if not days:
            return
        if self.random.random() < 0.5:
            kind = self.random.choice((c.Correct, c.RecordComparison, c.BindProviderId))
            self.store.faults.append(Fault(kind, committed=self.random.random() < 0.5))
        day, provider = self.random.choice(days), self.random.choice(PROVIDERS)
        try:
            await self.reconciler.compare_day(provider, day)
        except StoreUnavailable:
            self.done["comparison cut short"] += 1
        self.store.faults.clear()
        await self.compare(provider, day)

    def days(self) -> list[int]:
        """UTC days of which there are attempts."""
        used = {window_start(Period.DAY, one.usage_at) for one in self.tables.attempts.values()}
        return sorted(used)

    async def compare(self, provider: str, day: int) -> None:
        """Compare, and once more: that changes nothing."""
        await self.reconciler.compare_day(provider, day)
        before = self.tables.image()
        await self.reconciler.compare_day(provider, day)
        assert before == self.tables.image(), "the second comparison changed something"
        self.done["compared"] += 1

    async def disputes(self, provider: str) -> list[Discrepancy]:
        """What is open."""
        page = await self.books.discrepancies(DiscrepancyQuery(limit=100_000))
        return [one for one in page.discrepancies if one.provider == provider]

    ACTS: tuple[Callable[[FinanceWalk], Any], ...] = (
        _accept, _advance, _late_word, _watchers, _wait, _budget, _storage, _reconcile, lambda self: self.honest.strange(),
    )  # fmt: skip
    WEIGHTS = (25, 60, 6, 4, 1, 3, 2, 4, 0.5)

    # -- the end

    async def end(self) -> None:
        """Every render ends, every result that can be told is told, the books are complete, and everything is compared."""
        for _ in range(_ROUNDS_MAX):
            running = self._running()
            if not running:
                break
            self._one_step(running[0], ending=True)
        assert not self._running(), "something does not end"
        self.clock.advance(6 * 24 * 3_600)
        for _ in range(2):
            for provider in PROVIDERS:
                for day in self.days():
                    await self.compare(provider, day)
            # Whoever got an id from a bill is asked for its end, and the books are read again.
            for attempt in list(self.tables.attempts.values()):
                if attempt.result is None:
                    self.tell(attempt)
        self.check()
