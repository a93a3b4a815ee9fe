"""Whatever happens in whatever order, the books are right after every single command.

Seeded walks over jobs that are accepted, joined, refreshed, sent, refused, lost, proven absent, found again, resolved by hand,
drawn, billed late, drawn late, overdue, taken over, cancelled and expired, under budgets that are set, lowered and ended. A
failure prints its seed; running the walk of that seed repeats it.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from service.domain import commands as c
from service.domain.errors import LightmeterError
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Attempt, AttemptState, Job, Period, Render, RenderState
from service.domain.render import RENDER_FINAL
from tests.support.books import by_source, faults
from tests.support.clock import FakeClock, SeededDice
from tests.support.memory_store import MemoryStore
from tests.support.orders import CEILING_NANOS, Orders, asset, route
from tests.unit.domain.desk import BROKE, REFUSED

WALKS_COUNT = 40
STEPS_COUNT = 150
LABELS = ((), (("team", "ads"),), (("team", "web"),))
PLANS = (
    (route("fal"), route("replicate")),
    (route("replicate", CEILING_NANOS + 5), route("fal", CEILING_NANOS + 9)),
    (route("fal", 1),),
)
UNITS = (None, "0.25", "1", "1", "2")


def _not_sent(attempt: Attempt) -> c.NotSent:
    return c.NotSent(attempt.id, attempt.send_before or 0)


class Walk:
    """One seeded history. `step` makes the next command and checks everything after it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = FakeClock()
        self.dice = SeededDice(seed, self.clock)
        self.orders = Orders(self.dice)
        self.store = MemoryStore(self.clock, reporting_labels={"growth": ("team",)})
        self.done: Counter[str] = Counter()
        self.shown: dict[str, tuple[int, tuple[Any, ...]]] = {}
        self.commands: list[c.Command] = []

    @property
    def tables(self) -> Any:
        return self.store.tables

    def step(self) -> None:
        """One command, or a small batch of accepts."""
        self.clock.advance(self.random.choice((0, 0.001, 1, 600, 40_000)))
        act = self.random.choices(self.ACTS, weights=self.WEIGHTS)[0]
        made = act(self)
        if made is None:
            return
        attempts = dict(self.tables.attempts)
        commands = made if isinstance(made, list) else [made]
        before = self.tables.image()
        outcomes = self.store.batch(commands)
        refused = [isinstance(one, LightmeterError) for one in outcomes]
        if all(refused):
            assert before == self.tables.image(), "a refused command left a trace"
        self.commands = (self.commands + commands)[-40:]
        for command, outcome in zip(commands, outcomes, strict=True):
            word = outcome.name if isinstance(outcome, c.RunOutcome) else type(outcome).__name__
            self.done[f"{type(command).__name__}: {word}"] += 1
        self._check(attempts)

    # -- what is done

    def _accept(self) -> list[c.Command]:
        return [self._one_accept() for _ in range(self.random.choice((1, 1, 1, 2, 3)))]

    def _one_accept(self) -> c.Command:
        pick = self.random.choice
        command = self.orders.accept(
            f"subject {self.random.randrange(6)}",
            labels=pick(LABELS),
            plan=pick(PLANS),
            cache_mode=pick((*(c.CacheMode.USE,) * 6, c.CacheMode.REFRESH, c.CacheMode.BYPASS)),
            fresh_micros=pick((None, 3_600 * MICROS_PER_SECOND)),
            max_cost_nanos=pick((None, None, CEILING_NANOS, CEILING_NANOS + 5)),
            job_timeout_micros=pick((None, None, 700 * MICROS_PER_SECOND)),
        )
        known = list(self.tables.jobs.values())
        if known and self.random.random() < 0.1:
            job: Job = pick(known)
            command = replace(command, request_id=job.request_id, request_digest=job.request_digest)
        return command

    def _render(self) -> Render | None:
        running = [one for one in self.tables.renders.values() if one.state not in RENDER_FINAL]
        return self.random.choice(running) if running else None

    def _newest(self, render: Render) -> Attempt:
        attempts = [one for one in self.tables.attempts.values() if one.render_id == render.id]
        return max(attempts, key=lambda one: one.number)

    def _advance(self) -> c.Command | None:
        """What the owner would do next; sometimes something else happens to it."""
        render = self._render()
        if render is None:
            return None
        attempt = self._newest(render)
        fence = (render.id, attempt.id, render.owner, render.fence)
        failing = c.Fail(
            *fence, BROKE, self.dice.new_id(), self.dice.new_token(),
            failover=self.random.random() < 0.8, again=self.random.random() < 0.4,
        )  # fmt: skip
        options: dict[AttemptState, list[c.Command]] = {
            AttemptState.HELD: [*[c.Dispatch(*fence, seed=1)] * 5, failing, *self._earlier(attempt)],
            AttemptState.DISPATCHING: [
                *[c.BindProviderId(attempt.id, attempt.provider, f"id-{attempt.id}")] * 4,
                _not_sent(attempt), c.Reject(attempt.id, REFUSED), c.MarkUnknown(*fence), *self._earlier(attempt),
            ],
            AttemptState.UNKNOWN: [
                c.ResolveUnconfirmed(*fence), *[c.ResolveAbsent(*fence)] * 2,
                c.BindProviderId(attempt.id, attempt.provider, f"id-{attempt.id}"),
                c.Reject(attempt.id, REFUSED), _not_sent(attempt), self._by_hand(attempt),
            ],
            AttemptState.ACCEPTED: [
                c.Progress(*fence, state=self.random.choice(("QUEUED", "RUNNING"))),
                *[self._told(attempt)] * 3, c.ResolveUnconfirmed(*fence, failure=BROKE), *self._earlier(attempt),
            ],
            AttemptState.SUCCEEDED: [
                *[c.Finish(*fence, assets=((0, asset(render.fingerprint), False),))] * 4,
                c.Finish(*fence, partial=True, assets=((0, asset(render.fingerprint), False),)), failing,
            ],
        }  # fmt: skip
        return self.random.choice(options.get(attempt.state, [failing]))

    def _told(self, attempt: Attempt) -> c.Command:
        ended = self.random.choice(("SUCCEEDED", "SUCCEEDED", "FAILED", "CANCELLED", "ABORTED"))
        units = self.random.choice(UNITS)
        return c.RecordResult(
            attempt.id,
            ended=ended,
            metrics=() if units is None else (("image_count", units),),
            surely_unbilled=ended != "SUCCEEDED" and self.random.random() < 0.6,
            charge_ceiling=ended != "SUCCEEDED" and self.random.random() < 0.2,
            failure=None if ended == "SUCCEEDED" else BROKE,
        )

    def _evidence(self) -> c.Command | None:
        """Something about any attempt at any time, true or not."""
        attempts = list(self.tables.attempts.values())
        if not attempts:
            return None
        attempt = self.random.choice(attempts)
        known = self.random.choice(attempts)
        return self.random.choice(
            (
                self._told(attempt),
                self._told(attempt),
                c.Reject(attempt.id, REFUSED),
                _not_sent(attempt),
                c.BindProviderId(attempt.id, attempt.provider, f"id-{known.id}", source="WEBHOOK"),
                *[self._found(attempt)] * 2,
            )
        )

    def _found(self, attempt: Attempt) -> c.Command:
        """The provider had it all the time, if it was sent at all."""
        if attempt.dispatched_at is None:
            return self._told(attempt)
        return c.BindProviderId(attempt.id, attempt.provider, f"id-{attempt.id}", source="SEARCH")

    def _earlier(self, attempt: Attempt) -> list[c.Command]:
        """An earlier attempt of the same render turns out to be at work."""
        others = [one for one in self.tables.attempts.values() if one.render_id == attempt.render_id]
        return [self._found(one) for one in others if one.number < attempt.number]

    def _late(self) -> c.Command | None:
        """Pictures of an attempt that was drawn, whether its render still wants them or not."""
        drawn = [one for one in self.tables.attempts.values() if one.state is AttemptState.SUCCEEDED]
        wanting = [
            one for one in drawn if self.tables.renders[one.render_id].state is not RenderState.SUCCEEDED
        ]
        if not drawn:
            return None
        attempt = self.random.choice(wanting or drawn)
        render = self.tables.renders[attempt.render_id]
        stored = ((0, asset(render.fingerprint), False),)
        return c.LateResult(attempt.id, stored, keep=self.random.random() < 0.8)

    def _by_hand(self, attempt: Attempt) -> c.Command:
        decision: dict[str, Any] = self.random.choice(
            (
                {"not_accepted": True},
                {"amount_nanos": self.random.choice((0, 1, CEILING_NANOS, 3 * CEILING_NANOS))},
                {"adopt_provider_id": f"id-{attempt.id}"},
            )
        )
        return c.ResolveByHand(self.dice.new_id(), attempt.id, reason="seen", by="tests", **decision)

    def _overdue(self) -> c.Command:
        return c.EndOverdue(tuple(self.tables.renders)[-30:])

    def _takeover(self) -> c.Command | None:
        render = self._render()
        if render is None:
            return None
        fence = render.fence - (self.random.random() < 0.2)
        return c.TakeOver(((render.id, fence),), self.random.choice(("replica-1", "replica-2")))

    def _stray(self) -> c.Command | None:
        """A fenced command in a state that it was not made for, or of an owner that lost its render."""
        if not self.tables.attempts:
            return None
        attempt = self.random.choice(list(self.tables.attempts.values()))
        fence = (attempt.render_id, attempt.id, "replica-1", self.random.choice((1, 1, 1, 2)))
        return self.random.choice(
            (
                c.Dispatch(*fence),
                c.MarkUnknown(*fence),
                c.ResolveUnconfirmed(*fence),
                c.ResolveAbsent(*fence),
                self._by_hand(attempt),
                c.Fail(*fence, BROKE, self.dice.new_id(), self.dice.new_token()),
            )
        )

    def _cancel(self) -> c.Command | None:
        jobs = [one for one in self.tables.jobs.values() if not one.is_final] or list(
            self.tables.jobs.values()
        )
        return c.Cancel(self.random.choice(jobs).id, None) if jobs else None

    def _expire(self) -> c.Command:
        return c.ExpireJobs(tuple(self.tables.jobs))

    def _gone(self) -> c.Command:
        return self.random.choice((c.MarkGone, c.MarkSeen))(tuple(self.tables.assets)[:2])

    def _budget(self) -> c.Command:
        live = [one for one in self.tables.budgets.values() if one.live]
        if live and self.random.random() < 0.2:
            return c.DeleteBudget(self.random.choice(live).id, self.dice.new_id(), by="tests")
        key, value = self.random.choice((("", ""), ("team", "ads"), ("team", "web")))
        return self.orders.budget(
            self.random.choice((1, 3, 8)) * CEILING_NANOS,
            label_key=key,
            label_value=value,
            period=self.random.choice(tuple(Period)),
            hard=self.random.random() < 0.8,
        )

    def _again(self) -> c.Command | None:
        """One of the last commands once more, as after a commit whose outcome was not known."""
        return self.random.choice(self.commands) if self.commands else None

    ACTS: tuple[Callable[["Walk"], Any], ...] = (
        _accept, _advance, _evidence, _late, _stray, _cancel, _expire, _gone, _budget, _again, _overdue, _takeover,
    )  # fmt: skip
    WEIGHTS = (20, 55, 8, 3, 4, 3, 2, 2, 2, 4, 1, 2)

    # -- what must hold

    def _check(self, attempts_before: dict[str, Attempt]) -> None:
        assert [] == faults(self.tables)
        self._check_limits()
        self._check_versions()
        self._check_ends()
        for attempt in self.tables.attempts.values():
            if attempt.id not in attempts_before and attempt.number > 1:
                self._check_failover(attempt)

    def _check_limits(self) -> None:
        """spent - overrun + held <= limit of a hard budget, as long as nobody changed the limit.

        A correction upwards within the hold may pass it, because the room was given back when the hold was posted.
        """
        raised: Counter[tuple[str, int]] = Counter()
        sources = by_source(self.tables)
        for row in self.tables.hold_budgets.values():
            totals = [one.total_after_nanos for one in sources[row.attempt_id][1:]]
            ups = (min(new, row.nanos) - min(old, row.nanos) for old, new in pairwise(totals))
            raised[row.budget_id, row.window_start] += sum(max(0, up) for up in ups)
        opened = self._opened()
        for key, window in self.tables.windows.items():
            budget = self.tables.budgets[key[0]]
            covered = window.spent_nanos - window.overrun_nanos + window.held_nanos - raised[key]
            if budget.hard and budget.revision == 1 and key not in opened:
                assert covered <= budget.limit_nanos, f"window {key} passed its limit"

    def _opened(self) -> set[tuple[str, int]]:
        """Windows that began with what was spent before their budget was set: those may start above the limit."""
        first = {row.budget_id: row.at for row in self.tables.budget_changes if row.revision == 1}
        return {
            (row.budget_id, row.window_start)
            for row in self.tables.hold_budgets.values()
            if self.tables.attempts[row.attempt_id].usage_at < first[row.budget_id]
        }

    def _check_versions(self) -> None:
        """The visible version never falls, grows with every change that is shown, and stands still once final."""
        world = self.tables.world(self.clock.now())
        for job in self.tables.jobs.values():
            view = world.view(job)
            render = view.render
            assert render is not None
            content: tuple[Any, ...] = (job.state, job.failure)
            if not job.is_final:
                content += (render.state, render.progress, len(view.attempts))
            version, known = self.shown.get(job.id, (0, ()))
            assert view.version >= version, f"job {job.id} went back from {version} to {view.version}"
            assert content == known or view.version > version, f"job {job.id} changed and its version did not"
            if known and version and not isinstance(known[0], str) and known[0].value in _FINAL:
                assert version == view.version, f"job {job.id} was final and changed"
            self.shown[job.id] = (view.version, content)

    def _check_ends(self) -> None:
        """Events are distinct; a flight's good render is one that succeeded."""
        ids = [one.id for one in self.tables.events]
        assert len(ids) == len(set(ids))
        for flight in self.tables.flights.values():
            if flight.good_render_id is not None:
                assert self.tables.renders[flight.good_render_id].state is RenderState.SUCCEEDED

    def _check_failover(self, attempt: Attempt) -> None:
        """A further attempt begins only when every one before it is surely free."""
        for other in self.tables.attempts.values():
            if other.render_id == attempt.render_id and other.number < attempt.number:
                assert (False, 0) == (other.hold_open, other.total_nanos), "paid once"
                assert other.unbilled or other.grade.value != "NONE", "surely free"


_FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


@pytest.mark.parametrize("seed", range(WALKS_COUNT))
def test_the_books_are_right_after_every_command_of_a_walk(seed: int) -> None:
    """Transfers, windows, totals, holds, versions, and at most one payment for each render."""
    walk = Walk(seed)
    for _ in range(STEPS_COUNT):
        walk.step()


def test_the_walks_go_everywhere() -> None:
    """Every outcome that a command can have is met by some walk, else the walks would prove little."""
    done: Counter[str] = Counter()
    for seed in range(1_000, 1_000 + 12):
        walk = Walk(seed)
        for _ in range(STEPS_COUNT):
            walk.step()
        done += walk.done
        done += Counter(one.kind for one in walk.tables.events)
    met = set(done)
    wanted = {
        "Accept: New", "Accept: Hit", "Accept: Joined", "Accept: Existing", "Accept: NeedsCheck", "Accept: BudgetExceeded",
        "Cancel: Cancelled", "Dispatch: Send", "Dispatch: LOST", "Finish: DONE", "Finish: PutAgain", "Fail: NextAttempt",
        "Fail: DONE", "Fail: LOST", "ResolveUnconfirmed: DONE", "ResolveUnconfirmed: LOST", "Progress: DONE",
        "ResolveAbsent: DONE", "ResolveAbsent: LOST", "ResolveByHand: Attempt", "ResolveByHand: EtagMismatch",
        "LateResult: bool", "EndOverdue: int", "TakeOver: tuple", "Dispatch: CANCELLED",
        "TAKEN_OVER", "NOT_SENT", "UNKNOWN", "FOUND", "ABSENT", "UNCONFIRMED", "DOUBLE_DISPATCH", "CANCEL_ASKED",
        "FAILED_OVER", "LATE", "OVERDUE", "RESOLVED_BY_HAND",
        "MarkUnknown: DONE", "RecordResult: Attempt", "Reject: Attempt", "BindProviderId: Bound", "NotSent: Attempt",
        "SetBudget: Budget", "DeleteBudget: Budget", "ExpireJobs: tuple",
    }  # fmt: skip
    assert set() == wanted - met
