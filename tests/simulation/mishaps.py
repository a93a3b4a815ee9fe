"""What goes wrong, and how often: each seed has its own weather, so that some runs are calm and others are all storm."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from service.domain import commands as c
from tests.simulation.loop import Life, Process

_ACTING = (
    "Dispatch", "Bind", "RecordResult", "Finish", "Fail", "Accept", "NotSent", "Reject", "Mark", "Resolve", "Late",
    "TakeOver", "Cancel", "ExpireJobs", "End", "POST", "result", "put", "download", "cancel", "find",
    "silence",
)  # fmt: skip
"""Calls between which a process dies most interestingly."""
_SHORT_SECONDS = 2.0
_QUIET_PACE = 10.0


def _rate(random_: random.Random, low: float, high: float) -> float:
    return random_.choice((0.0, 0.0, low, low, high))


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances, each between 0 and 1 unless it says otherwise."""

    kill: float
    """That a replica dies at a call that acts, before it or after its effect."""
    stop: float
    """That it is stopped there for a while."""
    commit_lost: float
    commit_unheard: float
    commit_late: float
    commit_twice: float
    slow: float
    read_fails: float
    database_away: int
    """How many outages of the database."""
    hints_dropped: float
    refused: float
    """That a dispatch is refused: by rate, by input, by account, or because nobody listens."""
    reply_lost: float
    """That a POST arrives and its answer does not."""
    post_lost: float
    """That neither arrives."""
    post_slow: float
    queue_long: float
    queue_endless: float
    goes_back: float
    fails: float
    fewer: float
    bills_other: float
    """That it bills other units than estimated."""
    says_no_bill: float
    forgets: float
    """That polls answer 404 for a while."""
    denied: float
    """That a look is answered with 403."""
    unavailable: float
    list_away: float
    list_partial: float
    list_dead: str
    """`away` or `partial` when the providers' lists are so for ever, even when all else is quiet."""
    lost_for_good: float
    """That a provider forgets a request it accepted, or never hands its result out."""
    download_fails: float
    result_broken: float
    storage_fails: float
    storage_away: int
    """How many outages of the picture store."""
    private: bool
    """Whether providers cannot read the picture store, so that inputs are uploaded."""
    power_cuts: int
    """How often all replicas die at once."""
    webhooks: bool
    webhook_lost: float
    webhook_late: float
    webhook_repeated: float
    webhook_forged: float
    operator: float
    """That somebody decides or switches something by hand."""


def weather(random_: random.Random) -> Weather:
    """What this seed brings."""
    two = lambda low, high: _rate(random_, low, high)  # noqa: E731 -- a short word for a table
    return Weather(
        kill=two(0.004, 0.03), stop=two(0.004, 0.02),
        commit_lost=two(0.02, 0.1), commit_unheard=two(0.02, 0.1), commit_late=two(0.02, 0.1),
        commit_twice=two(0.05, 0.2), slow=two(0.05, 0.3), read_fails=two(0.02, 0.1),
        database_away=random_.choice((0, 0, 1, 3)), hints_dropped=random_.choice((0.0, 0.0, 0.3, 1.0)),
        refused=two(0.1, 0.3), reply_lost=two(0.1, 0.4), post_lost=two(0.05, 0.3), post_slow=two(0.05, 0.3),
        queue_long=two(0.1, 0.4), queue_endless=two(0.02, 0.1), goes_back=two(0.1, 0.3), fails=two(0.1, 0.3),
        fewer=two(0.1, 0.3), bills_other=two(0.1, 0.3), says_no_bill=two(0.05, 0.2), forgets=two(0.02, 0.1),
        denied=two(0.01, 0.05), unavailable=two(0.02, 0.2), list_away=two(0.1, 0.5), list_partial=two(0.1, 0.5),
        list_dead=random_.choice(("", "", "", "", "away", "partial")), lost_for_good=two(0.02, 0.1),
        download_fails=two(0.05, 0.3), result_broken=two(0.02, 0.1), storage_fails=two(0.05, 0.3),
        storage_away=random_.choice((0, 0, 1, 2)), private=random_.random() < 0.3,
        power_cuts=random_.choice((0, 0, 0, 1)),
        webhooks=random_.random() < 0.6, webhook_lost=two(0.2, 0.7), webhook_late=two(0.1, 0.5),
        webhook_repeated=two(0.1, 0.5), webhook_forged=two(0.05, 0.3), operator=two(0.1, 0.5),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Commit:
    """What becomes of a command: when it is carried out (once, twice, never), and when its caller hears of it."""

    runs: tuple[float, ...]
    """Seconds from now at which it is carried out."""
    heard: bool
    """Whether the caller gets the outcome of the last run; else StoreUnavailable after three seconds."""
    back: float = 0.0


class Mishaps:
    """The chance of one run. `quiet` ends everything bad."""

    def __init__(self, seed: int, now: Any, **changes: Any) -> None:
        self.random = random.Random(f"mishaps {seed}")
        self.weather = replace(weather(self.random), **changes)
        self._now = now
        self.quiet = False
        self.kills_left = 12
        self.on_kill: Any = None
        self.on_stop: Any = None
        self.database_outages: list[tuple[float, float]] = []
        self.storage_outages: list[tuple[float, float]] = []

    def plan_outages(self, seconds: float) -> None:
        """Choose when the database and the picture store are away, within the first so many seconds."""
        for count, outages, longest in (
            (self.weather.database_away, self.database_outages, 40.0),
            (self.weather.storage_away, self.storage_outages, 120.0),
        ):
            for _ in range(count):
                start = self.random.uniform(0, seconds)
                outages.append((start, start + self.random.uniform(0.5, longest)))

    def happens(self, chance: float) -> bool:
        """Whether something bad of this chance happens now."""
        return chance > 0 and not self.quiet and self.random.random() < chance

    def pace(self, seconds: float) -> float:
        """How long a short pause lasts: when all is quiet, looks that will find nothing may come more rarely."""
        return seconds * _QUIET_PACE if self.quiet and 0.2 < seconds <= _SHORT_SECONDS else seconds

    # -- processes

    def strike(self, process: Process, call: str) -> None:
        """Perhaps stop or kill the process at this call."""
        if self.quiet or process.life is not Life.ALIVE:
            return
        share = 1.0 if call.startswith(_ACTING) else 0.02
        if self.weather.kill and self.random.random() < self.weather.kill * share and self.kills_left > 0:
            self.kills_left -= 1
            self.on_kill(process, call)
        elif self.weather.stop and self.random.random() < self.weather.stop * share:
            self.on_stop(process, call, self.random.choice((1.0, 6.0, 12.0, 25.0, 70.0, 200.0)))

    def had_left(self) -> bool:
        """Whether what was under way had reached the wire."""
        return self.random.random() < 0.5

    # -- the database

    def commit(self, command: c.Command) -> Commit:
        """What becomes of a command."""
        away = self._end_of_outage(self.database_outages)
        there = self.random.uniform(0.0005, 0.01)
        if self.happens(self.weather.slow):
            there = self.random.uniform(0.05, 2.5)
        back = self.random.uniform(0.0, 0.002)
        if command.patient:
            there += away + (
                self.random.uniform(0.1, 30.0) if self.happens(self.weather.commit_lost) else 0.0
            )
            again = there + self.random.uniform(0.01, 5.0)
            twice = self.happens(self.weather.commit_twice)
            return Commit((there, again) if twice else (there,), heard=True, back=back)
        if away or self.happens(self.weather.commit_lost):
            # Given up before it was tried, or tried for the last time when the database is back.
            return Commit((away + there,) if self.random.random() < 0.2 else (), heard=False)
        if self.happens(self.weather.commit_unheard):
            return Commit((there,), heard=False)
        if self.happens(self.weather.commit_late):
            return Commit((self.random.uniform(2.9, 6.0),), heard=False)
        if self.happens(self.weather.commit_twice):
            return Commit((there, there + self.random.uniform(0.01, 0.4)), heard=True, back=back)
        return Commit((there,), heard=True, back=back)

    def read_fails(self) -> bool:
        """Whether a read gets no answer."""
        return self._end_of_outage(self.database_outages) > 0 or self.happens(self.weather.read_fails)

    # -- the picture store

    def storage_fails(self) -> bool:
        """Whether the picture store does not answer."""
        return self._end_of_outage(self.storage_outages) > 0 or self.happens(self.weather.storage_fails)

    def _end_of_outage(self, outages: list[tuple[float, float]]) -> float:
        """Seconds until it is back; 0 when it is there."""
        now = self._now()
        if self.quiet:
            return 0.0
        return max((end - now for start, end in outages if start <= now < end), default=0.0)
