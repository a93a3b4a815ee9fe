"""What goes wrong in a run: a plan rolled from a seed, and how each of its faults is carried out and taken back."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.deployment import Deployment, Replica
from tests.chaos.proxy import Cut, Proxy
from tests.chaos.wires import Moment

STOP_SECONDS_MAX = 30.0

_SUBMIT_FAULTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("drop_after_accept", {}),
    ("drop_before_accept", {}),
    ("nginx_502", {"accept": True}),
    ("nginx_502", {"accept": False}),
    ("no_id", {"accept": True}),
    ("status", {"code": 500, "on": "submit", "accept": False}),
    ("status", {"code": 503, "on": "submit", "accept": True}),
    ("rate_limited", {"retry_after": 1}),
    ("delay", {"seconds": 3.0}),
)
_RUN_FAULTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("status", {"code": 502, "on": "poll", "count": 3}),
    ("status", {"code": 500, "on": "result", "count": 2}),
    ("status", {"code": 503, "on": "download", "count": 2}),
    ("slow", {"seconds": 20.0}),
    ("requeue", {}),
    ("fail_run", {}),
    ("truncated_image", {}),
    ("fewer_images", {"n": 1}),
    ("lose_webhook", {}),
    ("repeat_webhook", {}),
    ("list_unavailable", {"code": 503}),
    ("list_delay", {"seconds": 20.0}),
)


@dataclass(frozen=True)
class Round:
    """One fault of the plan."""

    name: str
    replica: int
    seconds: float
    """How long it lasts."""
    choice: float
    """0 to 1: which of several variants."""


def plan(seed: int, rounds: int, *, replicas: int = 3, quick: bool = False) -> list[Round]:
    """The faults of a run, the same for the same seed; the first ones are one of each kind. `quick` ones last briefly."""
    dice = random.Random(seed)
    names = list(FAULTS)
    dice.shuffle(names)
    while len(names) < rounds:
        names.append(dice.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])[0])
    longest = 3.0 if quick else STOP_SECONDS_MAX
    return [
        Round(
            name,
            dice.randrange(replicas),
            round(1.0 + dice.random() ** 3 * (longest - 1.0), 1),
            dice.random(),
        )
        for name in names[:rounds]
    ]


class Troublemaker:
    """Carries out rounds, several at a time, and counts what it did. A replica has one trouble of its own at a time."""

    def __init__(self, deployment: Deployment) -> None:
        self.counts: Counter[str] = Counter()
        self.deployment = deployment
        self._troubled: set[str] = set()
        self._calmer = asyncio.Condition()
        self.restarting = asyncio.Lock()

    async def carry_out(self, round_: Round) -> None:
        """Do it, wait, take it back."""
        _, carry_out = FAULTS[round_.name]
        self.counts[round_.name] += 1
        await carry_out(self, round_)

    async def on_one(self, round_: Round, work: Callable[[Replica], Awaitable[None]]) -> None:
        """Work on the planned replica or, when that has its own trouble, on another one, soon; one is always left alone."""
        replicas = self.deployment.replicas
        turned = replicas[round_.replica :] + replicas[: round_.replica]
        async with self._calmer:
            await self._calmer.wait_for(lambda: len(self._troubled) < len(replicas) - 1)
            victim = next(one for one in turned if one.name not in self._troubled)
            self._troubled.add(victim.name)
        try:
            await work(victim)
        finally:
            async with self._calmer:
                self._troubled.discard(victim.name)
                self._calmer.notify()


async def _kill(trouble: Troublemaker, round_: Round) -> None:
    """SIGKILL, and a new process at the same place: at once, or later than its lease."""

    async def work(victim: Replica) -> None:
        await victim.program.kill()
        trouble.counts["kills"] += 1
        await asyncio.sleep(0.0 if round_.choice < 0.4 else round_.seconds)
        await victim.start()

    await trouble.on_one(round_, work)


async def _stop(trouble: Troublemaker, round_: Round) -> None:
    """SIGSTOP in the middle of whatever it does, and SIGCONT."""

    async def work(victim: Replica) -> None:
        victim.program.send(signal.SIGSTOP)
        trouble.counts["stops"] += 1
        try:
            await asyncio.sleep(round_.seconds)
        finally:
            victim.program.send(signal.SIGCONT)
        await asyncio.sleep(1.0)

    await trouble.on_one(round_, work)


async def _restart_database(trouble: Troublemaker, round_: Round) -> None:
    """Stop PostgreSQL, politely or not, and start it again."""
    mode = "immediate" if round_.choice < 0.5 else "fast"
    async with trouble.restarting:
        await trouble.deployment.postgres.restart(mode)
    trouble.counts["database_restarts"] += 1


async def _cut_connections(trouble: Troublemaker, round_: Round) -> None:
    """All connections of one replica to the database, at once, a few times."""

    async def work(victim: Replica) -> None:
        for _ in range(3):
            trouble.counts["cuts"] += victim.to_database.cut()
            await asyncio.sleep(0.3)

    await trouble.on_one(round_, work)


async def _cut_commits(trouble: Troublemaker, round_: Round) -> None:
    """Every third commit of a replica, before it reaches the server or before its word comes back."""
    moment = Moment.BEFORE if round_.choice < 0.5 else Moment.DONE
    seen = 0

    async def hook(now: Moment, said: bytes) -> None:
        nonlocal seen
        if now is moment and said:
            seen += 1
            if seen % 3 == 0:
                trouble.counts["commits_cut"] += 1
                raise Cut

    async def work(victim: Replica) -> None:
        victim.commits.append(hook)
        try:
            await asyncio.sleep(min(round_.seconds, 5.0))
        finally:
            victim.commits.remove(hook)

    await trouble.on_one(round_, work)


async def _silent_database(trouble: Troublemaker, round_: Round) -> None:
    """Nothing passes between a replica and the database, and nothing says so."""
    await trouble.on_one(round_, lambda victim: _silent(victim.to_database, round_.seconds))


async def _database_away(trouble: Troublemaker, round_: Round) -> None:
    """A replica is refused by the database."""
    await trouble.on_one(round_, lambda victim: _refusing([victim.to_database], round_.seconds))


async def _slow_wires(trouble: Troublemaker, round_: Round) -> None:
    """Everything that a replica sends or hears takes a while."""

    async def work(victim: Replica) -> None:
        for wire in victim.proxies:
            wire.delay_seconds = 0.02 + 0.1 * round_.choice
        try:
            await asyncio.sleep(round_.seconds)
        finally:
            for wire in victim.proxies:
                wire.delay_seconds = 0.0

    await trouble.on_one(round_, work)


async def _providers_away(trouble: Troublemaker, round_: Round) -> None:
    """Nobody reaches the providers: refused, or silence on one replica's wire."""
    seconds = min(round_.seconds, 8.0)
    if round_.choice < 0.5:
        await _refusing([one.to_providers for one in trouble.deployment.replicas], seconds)
    else:
        await trouble.on_one(round_, lambda victim: _silent(victim.to_providers, seconds))


async def _pictures_away(trouble: Troublemaker, round_: Round) -> None:
    """Nobody reaches the bucket."""
    await _refusing([one.to_pictures for one in trouble.deployment.replicas], round_.seconds)


async def _submits_fail(trouble: Troublemaker, round_: Round) -> None:
    """The providers answer submits badly, having accepted them or not."""
    await _order(trouble, _SUBMIT_FAULTS, round_)


async def _runs_fail(trouble: Troublemaker, round_: Round) -> None:
    """The providers stumble over what they accepted."""
    await _order(trouble, _RUN_FAULTS, round_)


async def _order(
    trouble: Troublemaker, kinds: tuple[tuple[str, dict[str, object]], ...], round_: Round
) -> None:
    kind, args = kinds[int(round_.choice * len(kinds))]
    trouble.counts["provider_faults"] += 2
    await trouble.deployment.order(kind, args=args, times=2)


async def _silent(wire: Proxy, seconds: float) -> None:
    wire.flowing.clear()
    try:
        await asyncio.sleep(seconds)
    finally:
        wire.flowing.set()


async def _refusing(wires: list[Proxy], seconds: float) -> None:
    for wire in wires:
        await wire.refuse()
    try:
        await asyncio.sleep(seconds)
    finally:
        for wire in wires:
            await wire.start()


FAULTS: dict[str, tuple[int, Callable[[Troublemaker, Round], Awaitable[None]]]] = {
    "kill": (6, _kill),
    "stop": (4, _stop),
    "restart database": (2, _restart_database),
    "cut connections": (2, _cut_connections),
    "cut commits": (4, _cut_commits),
    "silent database": (2, _silent_database),
    "database away": (2, _database_away),
    "slow wires": (1, _slow_wires),
    "providers away": (1, _providers_away),
    "pictures away": (1, _pictures_away),
    "submits fail": (4, _submits_fail),
    "runs fail": (2, _runs_fail),
}
"""Every kind: how often it comes, and what it is."""
