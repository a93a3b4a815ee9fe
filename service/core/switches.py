"""What operators have taken out of use, as this replica knows it.

The rows are the truth. Each replica reads them again every second, and at once when a hint says that one was set: replicas agree
within about a second. While the database is away the last reading stays in force; a switch that expires goes on by itself even
then. Plans of routes never remember a switch: they are narrowed each time that they are used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from service.domain.errors import LightmeterError, Paused
from service.domain.limits import MICROS_PER_SECOND, switches_look_seconds
from service.domain.oversight import Switch, SwitchScope, SwitchState
from service.domain.routing import PlannedRoute
from service.ports import Clock, Hints, HintSubscription, Log, OperatorReader

SWITCHES_KEY: Final = "switches"
"""The key of `Hints` that says: a switch was set."""

_Key = tuple[SwitchScope, str]
_TAKE_NOTHING_NEW: Final = frozenset({SwitchState.DRAIN, SwitchState.OFF})
_SEND_NOTHING: Final = frozenset({SwitchState.OFF})


def paused(switch: Switch) -> Paused:
    """The refusal of what this switch takes out of use."""
    metadata = {"scope": switch.name, "state": switch.state.value, "reason": switch.reason}
    if switch.expires_at is not None:
        moment = datetime.fromtimestamp(switch.expires_at // MICROS_PER_SECOND, tz=UTC)
        metadata["expireTime"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Paused(f"switched off: {metadata['scope']} ({switch.reason})", metadata=metadata)


class SwitchBoard:
    """The switches at hand. `start` reads them first and raises when it can't; then questions are answered without I/O."""

    def __init__(self, reader: OperatorReader, hints: Hints, clock: Clock, log: Log) -> None:
        self._reader = reader
        self._hints = hints
        self._clock = clock
        self._log = log
        self._switches: dict[_Key, Switch] = {}
        self._begun_count = 0
        self._newest = 0
        self.on_death: Callable[[str], None] = _unheard
        """Told its name when it ended by a fault of ours: nobody reads the switches any more."""
        self._task: asyncio.Task[None] | None = None
        self._subscription: HintSubscription | None = None

    async def start(self) -> None:
        """Read, then keep reading. Raises StoreUnavailable."""
        if self._task is not None:
            return
        self._subscription = self._hints.subscribe(SWITCHES_KEY)
        try:
            await self.refresh()
        except BaseException:
            self._subscription.close()
            raise
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._look(self._subscription), name="switches")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End; legal twice, and before the start."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._subscription is not None:
            self._subscription.close()

    async def refresh(self) -> None:
        """Read the rows now. Raises StoreUnavailable; the last reading then stays."""
        self._begun_count += 1
        number = self._begun_count
        switches = await self._reader.switches()
        # A reading that was begun earlier and ends later would bring back what was replaced meanwhile.
        if number > self._newest:
            self._newest = number
            self._switches = {(one.scope, one.target): one for one in switches}

    async def _look(self, subscription: HintSubscription) -> None:
        told = False
        while True:
            await subscription.wait(switches_look_seconds)
            try:
                await self.refresh()
                told = False
            except LightmeterError as error:
                if not told:
                    self._log.warning("switches_unread", error=error.text)
                told = True
                # A storm of hints must not become a storm of failing reads.
                await self._clock.sleep(switches_look_seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("duty_ended", duty="switches", error=repr(error), exc_info=error)
            self.on_death("switches")

    # -- what new requests are told

    def against(self, provider: str, route: str, project: str) -> Switch | None:
        """What keeps new work of this project from this route; the widest switch first."""
        return self._first(_keys(provider, route, project), _TAKE_NOTHING_NEW)

    def is_off_for_all(self, provider: str, route: str) -> bool:
        """Whether nobody may have new work done by this route, whatever the project."""
        return self.against(provider, route, "") is not None

    def narrow(
        self, project: str, routes: tuple[PlannedRoute, ...], refused: LightmeterError | None
    ) -> tuple[tuple[PlannedRoute, ...], LightmeterError | None]:
        """The routes of a plan that are in use, and with none left why: Paused where a switch is the cause."""
        if not self._switches:
            return routes, refused
        whole = self._first(_keys_of_all(project), _TAKE_NOTHING_NEW)
        if whole is not None:
            return (), paused(whole)
        against = [self.against(one.provider, one.route, project) for one in routes]
        kept = tuple(one for one, switch in zip(routes, against, strict=True) if switch is None)
        first = next((switch for switch in against if switch is not None), None)
        return kept, refused if kept or first is None else paused(first)

    # -- what accepted renders are told

    def held_back(self, provider: str, route: str, project: str) -> Switch | None:
        """The switch that is OFF and keeps what was accepted from being dispatched; None lets it go."""
        return self._first(_keys(provider, route, project), _SEND_NOTHING)

    async def wait_until_on(self, provider: str, route: str, project: str, seconds_max: float) -> bool:
        """Wait until nothing holds this dispatch back. False when it is still held back after so many seconds."""
        until = self._clock.monotonic() + seconds_max
        while self.held_back(provider, route, project) is not None:
            left = until - self._clock.monotonic()
            if left <= 0:
                return False
            await self._clock.sleep(min(switches_look_seconds, left))
        return True

    def _first(self, keys: Iterable[_Key], states: frozenset[SwitchState]) -> Switch | None:
        for key in keys if self._switches else ():
            switch = self._switches.get(key)
            if switch is not None and switch.state in states and self._lasts(switch):
                return switch
        return None

    def _lasts(self, switch: Switch) -> bool:
        return switch.expires_at is None or switch.expires_at > self._clock.now()


def _unheard(_name: str) -> None:
    """Nobody asked to be told."""


def _keys_of_all(project: str) -> tuple[_Key, ...]:
    return (SwitchScope.DISPATCH, ""), (SwitchScope.PROJECT, project)


def _keys(provider: str, route: str, project: str) -> tuple[_Key, ...]:
    return (
        *_keys_of_all(project),
        (SwitchScope.PROVIDER, provider),
        (SwitchScope.ROUTE, f"{provider}/{route}"),
    )
