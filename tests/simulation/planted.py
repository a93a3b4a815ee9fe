"""Known faults, planted one at a time: a simulation that does not find them would not find ours either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from service.domain import commands as c
from service.domain.decisions.end import UNCONFIRMED
from service.domain.exchange import CancelAnswer, DispatchAnswer, Order, Result, Status, Unclear
from service.domain.records import AttemptState
from tests.simulation.doors import ProviderDoor, refusal
from tests.simulation.twists import Twists

_FENCE = ("render_id", "attempt_id", "owner", "fence")
Decide = Callable[[str, Any], Any]


class _Provider:
    """A provider door with one method exchanged."""

    def __init__(self, inner: ProviderDoor) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        return await self._inner.dispatch(order, send_before)

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        return await self._inner.poll(endpoint, provider_id)

    async def result(self, endpoint: str, provider_id: str) -> Result:
        return await self._inner.result(endpoint, provider_id)

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        return await self._inner.cancel(endpoint, provider_id)

    async def upload(self, content: bytes, mime_type: str) -> str:
        return await self._inner.upload(content, mime_type)

    async def close(self) -> None:
        await self._inner.close()


class Resending(_Provider):
    """Sends a doubtful POST once more, as provider libraries like to."""

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        answer = await self._inner.dispatch(order, send_before)
        return await self._inner.post(order, send_before) if isinstance(answer, Unclear) else answer


class Tardy(_Provider):
    """Does not look at the clock before it sends."""

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        return await self._inner.dispatch(order, float("inf"))


class Certain(_Provider):
    """Takes every doubtful answer for a refusal."""

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        answer = await self._inner.dispatch(order, send_before)
        return refusal(5) if isinstance(answer, Unclear) else answer


def _unfenced(decide: Decide) -> Decide:
    """Whoever comes may act, whatever the fence says."""

    def carry_out(who: str, command: Any) -> Any:
        tables = carry_out.tables  # type: ignore[attr-defined]  # set below
        if isinstance(command, c.Fenced) and (render := tables.renders.get(command.render_id)) is not None:
            command = replace(command, owner=render.owner, fence=render.fence)
        return decide(who, command)

    carry_out.tables = decide.__self__.tables  # type: ignore[attr-defined]  # a bound method of Database
    return carry_out


def _takes_all(decide: Decide) -> Decide:
    """A takeover moves the owner and not the fence."""
    database = decide.__self__  # type: ignore[attr-defined]  # a bound method of Database

    def carry_out(who: str, command: Any) -> Any:
        if not isinstance(command, c.TakeOver):
            return decide(who, command)
        kept = database.tables.take

        def take(world: Any) -> Any:
            for _, _, new in world.renders.changes():
                world.put_render(replace(new, fence=new.fence - 1))
            return kept(world)

        database.tables.take = take
        try:
            return decide(who, command)
        finally:
            database.tables.take = kept

    return carry_out


def _gives_back(decide: Decide) -> Decide:
    """Gives the hold of a doubtful attempt back instead of charging it as unconfirmed."""
    tables = decide.__self__.tables  # type: ignore[attr-defined]  # a bound method of Database

    def carry_out(who: str, command: Any) -> Any:
        doubted = isinstance(command, c.ResolveUnconfirmed)
        if doubted and tables.attempts[command.attempt_id].state is AttemptState.UNKNOWN:
            decide(who, c.Reject(command.attempt_id, UNCONFIRMED))
            again = c.Fail(*(getattr(command, name) for name in _FENCE), failure=UNCONFIRMED, failover=False)
            return decide(who, again)
        return decide(who, command)

    return carry_out


def _drops(kind: type[c.Command]) -> Callable[[Decide], Decide]:
    """Says that it committed one kind of command, one time in three, and did not."""

    def twist(decide: Decide) -> Decide:
        seen = 0
        database = decide.__self__  # type: ignore[attr-defined]  # a bound method of Database

        def carry_out(who: str, command: Any) -> Any:
            nonlocal seen
            seen += isinstance(command, kind)
            if not isinstance(command, kind) or seen % 3:
                return decide(who, command)
            kept = database.tables.take
            database.tables.take = lambda world: (world.rollback(0), kept(world))[1]
            try:
                return decide(who, command)
            finally:
                database.tables.take = kept

        return carry_out

    return twist


def _forgets_money(decide: Decide) -> Decide:
    """Loses the transfer of one settlement in three, and keeps the rest of it."""
    seen = 0
    database = decide.__self__  # type: ignore[attr-defined]  # a bound method of Database

    def carry_out(who: str, command: Any) -> Any:
        nonlocal seen
        kept = database.tables.take

        def take(world: Any) -> Any:
            nonlocal seen
            if world.transfers.entries and isinstance(command, c.RecordResult):
                seen += 1
                if seen % 3 == 0:
                    world.transfers.entries.clear()
            return kept(world)

        database.tables.take = take
        try:
            return decide(who, command)
        finally:
            database.tables.take = kept

    return carry_out


def _believes_old_words(decide: Decide) -> Decide:
    """Takes a late NotSent for the word of whoever set the newest marker."""
    tables = decide.__self__.tables  # type: ignore[attr-defined]  # a bound method of Database

    def carry_out(who: str, command: Any) -> Any:
        if isinstance(command, c.NotSent):
            command = replace(command, send_before=tables.attempts[command.attempt_id].send_before)
        return decide(who, command)

    return carry_out


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault, the weather that brings it out, and in how many seeds at most it has to be found."""

    twists: Twists
    weather: dict[str, Any] = field(default_factory=dict)
    seeds: int = 12


_DOUBTFUL = {"reply_lost": 0.5, "webhooks": False, "list_dead": "away", "operator": 0.0}
_DROWSY = {"stop": 0.1, "kill": 0.0}

PLANTED: dict[str, Planted] = {
    "a doubtful POST is sent again": Planted(Twists(provider=Resending)),
    "a doubtful POST is taken for a refusal": Planted(Twists(provider=Certain)),
    "a POST leaves however late it is": Planted(Twists(provider=Tardy), _DROWSY),
    "fences are not checked": Planted(Twists(decide=_unfenced), _DROWSY),
    "a takeover does not raise the fence": Planted(Twists(decide=_takes_all)),
    "results are not written down": Planted(Twists(decide=_drops(c.RecordResult))),
    "doubtful holds are given back": Planted(Twists(decide=_gives_back), _DOUBTFUL),
    "markers are not written down": Planted(Twists(decide=_drops(c.Dispatch))),
    "accepted requests are not written down": Planted(Twists(decide=_drops(c.Accept))),
    "transfers get lost": Planted(Twists(decide=_forgets_money)),
    "old words are believed": Planted(
        Twists(decide=_believes_old_words), {**_DROWSY, "commit_twice": 0.9}, 60
    ),
}
