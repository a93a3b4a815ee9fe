"""The one way to change state, and the wake-ups that follow."""

from __future__ import annotations

from typing import Any, Protocol


class Store(Protocol):
    """The one way to change state. See docs/architecture.md for the protocol."""

    async def execute(self, command: Any) -> Any:
        """Carry the command out in one transaction and answer its outcome after the commit.

        MUST be idempotent by the command's own keys; MUST leave no trace when it raises a `LightmeterError` of the decision;
        raises `StoreUnavailable` when the commit is not known after `store_answer_seconds_max` (evidence commands wait on).
        Cancellation of the caller MUST NOT undo a command that was handed in.
        """
        ...


class Hints(Protocol):
    """Wake-ups. Rows are the truth: losing every hint MUST only cost time."""

    def subscribe(self, *keys: str) -> HintSubscription:
        """Listen for changes of jobs and renders by id."""
        ...

    def publish(self, keys: tuple[str, ...]) -> None:
        """Wake whoever listens, here and on the other replicas. The store does this itself for what it changed."""
        ...


class HintSubscription(Protocol):
    """One listener. MUST be closed by whoever opened it; MAY wake without a change."""

    async def wait(self, seconds_max: float) -> bool:
        """Wait for a hint, at most this long. True when one came."""
        ...

    def add(self, key: str) -> None:
        """Listen for one more key."""
        ...

    def close(self) -> None:
        """Stop listening; legal twice."""
        ...
