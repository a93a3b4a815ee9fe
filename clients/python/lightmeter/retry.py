"""When a call is repeated, and how long to wait before. Pure decisions; connection.py carries them out."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import grpc

from lightmeter.errors import TransportError
from lightmeter.status import Verdict

_BROKEN_OFF: Final = frozenset({grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED})
"""How gRPC names an answer that a proxy or a dying server broke off. The service itself always gives its reason."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is with a service that is away.

    UNAVAILABLE is repeated, and an answer that was broken off on its way; of submissions also a call whose
    deadline passed: all with the very same request_id, which is why nothing is ever paid twice. The wait doubles
    from `first_seconds` to `wait_seconds_max` and is jittered down to half; a wait that the service asks for is
    kept if it is at most `asked_seconds_max`, and ends the retries if it is longer. `attempts_max` counts failures
    in a row; a watch starts anew with each event.
    """

    attempts_max: int = 8
    first_seconds: float = 0.1
    wait_seconds_max: float = 5.0
    asked_seconds_max: float = 30.0

    def wait_seconds(self, failures: int, verdict: Verdict, *, deadline_too: bool = False) -> float | None:
        """Seconds to wait after the given number of failures in a row, or None when it is time to give up."""
        repeatable = {grpc.StatusCode.UNAVAILABLE}
        if deadline_too:
            repeatable.add(grpc.StatusCode.DEADLINE_EXCEEDED)
        error = verdict.error
        if isinstance(error, TransportError):
            repeatable |= _BROKEN_OFF
        if error.code not in repeatable or verdict.retry_forbidden or failures >= self.attempts_max:
            return None
        asked = error.retry_after or 0.0
        if asked > self.asked_seconds_max:
            return None
        backoff = min(self.first_seconds * 2.0 ** (failures - 1), self.wait_seconds_max)
        return asked + backoff * random.uniform(0.5, 1.0)


NO_RETRY = RetryPolicy(attempts_max=1)
