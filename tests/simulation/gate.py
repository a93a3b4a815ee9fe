"""What stands between a process and the world: calls take time, and between any two of them the process may stop or die."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from tests.simulation.loop import Life, Process, VirtualLoop

Answer = TypeVar("Answer")


class Strikes(Protocol):
    """Who decides when a process is struck, and what becomes of what it had under way."""

    def strike(self, process: Process, call: str) -> None:
        """Perhaps stop or kill the process, here and now."""
        ...

    def had_left(self) -> bool:
        """Whether a call that was under way when its process was struck had reached the wire."""
        ...


class Gate:
    """The calls of one process. What a call does to the world is done by the world: a dead caller does not take it back."""

    def __init__(self, loop: VirtualLoop, process: Process, strikes: Strikes) -> None:
        self._loop = loop
        self._process = process
        self._strikes = strikes

    @property
    def process(self) -> Process:
        """Whose gate it is."""
        return self._process

    async def call(
        self, name: str, effect: Callable[[], Answer], *, there: float, back: float = 0.0
    ) -> Answer:
        """Let the effect happen `there` seconds from now, and answer `back` seconds later what it came to.

        A process that died meanwhile gets no answer; one that is stopped gets it when it goes on.
        """
        self._check()
        self._strikes.strike(self._process, name)
        future: asyncio.Future[Any] = self._loop.create_future()
        if there > 0:
            self._loop.call_later(there, self._arrive, future, name, effect, back, context=self._loop.world)
        else:
            self._loop.call_soon(self._arrive, future, name, effect, back, context=self._loop.world)
        answer: Answer = await future
        return answer

    async def refuse(self, name: str, error: Exception, *, after: float) -> Any:
        """Nothing happens, and that is what the caller learns."""

        def fail() -> None:
            raise error

        await self.call(name, fail, there=after)

    async def silence(self, seconds: float) -> None:
        """Time passes for the caller; nothing else happens."""
        await self.call("silence", _nothing, there=seconds)

    def later(self, seconds: float, effect: Callable[[], Any]) -> None:
        """Something that is under way already happens then, whatever becomes of the process."""
        self._loop.call_later(seconds, effect, context=self._loop.world)

    def _check(self) -> None:
        if self._process.life is Life.UNWOUND:
            raise asyncio.CancelledError

    def _arrive(self, future: asyncio.Future[Any], name: str, effect: Callable[[], Any], back: float) -> None:
        process = self._process
        if process.life is Life.DEAD and not self._strikes.had_left():
            return
        if process.life is Life.STOPPED and not self._strikes.had_left():
            # It did not come as far as the wire: it goes out when the process goes on.
            process.held.append((self._arrive, (future, name, effect, back), self._loop.world))
            return
        if process.life is Life.UNWOUND:
            return
        answer: Any = None
        error: Exception | None = None
        try:
            answer = effect()
        except Exception as raised:  # noqa: BLE001 -- whatever it is, it is told to whoever called
            error = raised
        self._strikes.strike(process, name + ".done")
        if back > 0:
            self._loop.call_later(back, _tell, future, answer, error, context=self._loop.world)
        else:
            _tell(future, answer, error)


def _tell(future: asyncio.Future[Any], answer: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
        future.exception()  # a caller that went away is no reason for a warning
    else:
        future.set_result(answer)


def _nothing() -> None:
    """Does nothing."""
