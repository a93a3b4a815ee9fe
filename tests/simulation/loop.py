"""An event loop whose time is made up: when nobody can go on, it jumps to the next timer. Processes live, stop and die in it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, ContextVar, copy_context
from enum import Enum
from typing import Any

_TASKS_WEEDED = 512
_CLOSING_ROUNDS_MAX = 1_000


class Stuck(AssertionError):
    """Everybody waits for something that will never come."""


class Life(Enum):
    """What a process does with what it is woken for."""

    ALIVE = "ALIVE"
    STOPPED = "STOPPED"
    """As after SIGSTOP: nothing of it moves, everything goes on later."""
    DEAD = "DEAD"
    """As after SIGKILL: nothing of it ever moves again, not even a `finally`."""
    UNWOUND = "UNWOUND"
    """The run is over, and its tasks are ended one by one; nothing that they do reaches the world."""


class Process:
    """Whatever lives and dies together: its tasks, timers and callbacks. Code belongs to the process in whose context it runs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.life = Life.ALIVE
        self.held: list[tuple[Callable[..., object], tuple[Any, ...], Context]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._weed_at = _TASKS_WEEDED

    def stop(self) -> None:
        """Let nothing of it move until `resume`."""
        if self.life is Life.ALIVE:
            self.life = Life.STOPPED

    def resume(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let it go on, with everything that it missed, in order."""
        if self.life is Life.STOPPED:
            self.life = Life.ALIVE
            self.release(loop)

    def kill(self) -> None:
        """Let nothing of it ever move again."""
        self.life = Life.DEAD

    def release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand what was held back to the loop."""
        held, self.held = self.held, []
        for callback, args, context in held:
            loop.call_soon(callback, *args, context=context)

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold on to a task: what is left of the dead must not be found by the garbage collector, which would run their
        `finally` whenever it likes.
        """
        self._tasks.append(task)
        if len(self._tasks) >= self._weed_at:
            self._tasks = [one for one in self._tasks if not one.done()]
            self._weed_at = 2 * len(self._tasks) + _TASKS_WEEDED


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class _Timeless(selectors.BaseSelector):
    """Waits for no file, and for no time: a wait only moves the made-up time."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._files: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, fileobj, events, data)
        self._files[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("everybody waits for nothing")
        self.elapsed += max(0.0, timeout)
        return []

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files[fileobj]

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files


class _Task(asyncio.Task):  # type: ignore[type-arg]  # generic in stubs only
    """A task whose place in a set does not depend on where it lies in memory."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **words: Any) -> None:
        self.number = number
        super().__init__(coro, **words)

    def __hash__(self) -> int:
        return self.number

    __eq__ = object.__eq__


class _Future(asyncio.Future):  # type: ignore[type-arg]  # generic in stubs only
    """The same for a future."""

    def __init__(self, number: int, **words: Any) -> None:
        self.number = number
        super().__init__(**words)

    def __hash__(self) -> int:
        return self.number

    __eq__ = object.__eq__


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of one run. Everything that happens in it follows from what was put into it, in the same order each time."""

    def __init__(self) -> None:
        self._timeless = _Timeless()
        super().__init__(self._timeless)
        self._numbers = 0
        self.set_task_factory(_make_task)
        self.processes: list[Process] = []
        self.world = copy_context()
        """The context of whatever belongs to no process."""
        self.world.run(PROCESS.set, None)

    def time(self) -> float:
        """Seconds since the run began."""
        return self._timeless.elapsed

    def next_number(self) -> int:
        """One more than the last."""
        self._numbers += 1
        return self._numbers

    def create_future(self) -> asyncio.Future[Any]:
        """A future with a number."""
        return _Future(self.next_number(), loop=self)

    # -- processes

    def spawn(self, process: Process, coro: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run something as part of a process."""
        context = copy_context()
        context.run(PROCESS.set, process)
        return self.create_task(coro, name=name, context=context)

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        """The loop's own, for code that belongs to a process: only while it lives."""
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        context = context or copy_context()
        return super().call_soon(self._guarded, process, callback, args, context, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """The same for timers."""
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        context = context or copy_context()
        return super().call_at(when, self._guarded, process, callback, args, context, context=context)

    def _guarded(
        self, process: Process, callback: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> None:
        if process.life in (Life.ALIVE, Life.UNWOUND):
            callback(*args)
        else:
            process.held.append((callback, args, context))

    # -- the end

    def unwind(self) -> None:
        """End every task that is left, living or dead, so that nothing is left to the garbage collector; then close."""
        for process in self.processes:
            process.life = Life.UNWOUND
            process.release(self)
        for _ in range(_CLOSING_ROUNDS_MAX):
            left = sorted(asyncio.all_tasks(self), key=hash)
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_until_complete(_turn())
        else:
            raise Stuck("tasks do not end when they are cancelled")
        self.run_until_complete(self.shutdown_asyncgens())
        self.close()


async def _turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def _make_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **words: Any
) -> asyncio.Task[Any]:
    assert isinstance(loop, VirtualLoop)
    task = _Task(loop.next_number(), coro, loop=loop, **words)
    process = (words.get("context") or copy_context()).get(PROCESS)
    if process is not None:
        process.keep(task)
    return task
