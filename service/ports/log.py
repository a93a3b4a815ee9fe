"""Structured log lines."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """Structured log lines. MUST NOT be given prompts, keys, fingerprints or provider texts about balances."""

    def info(self, event: str, **fields: Any) -> Any:
        """Something worth knowing happened."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """Something went wrong that the service handles."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Something went wrong that an operator has to look at."""
        ...
