"""When a call is repeated, and how long to wait before. Pure decisions; connection.py carries them out."""

from __future__ import annotations

import random
from dataclasses import dataclass

import grpc

from lightmeter.status import Verdict


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is with a service that is away.

    Only UNAVAILABLE is repeated, and of submissions also a call whose deadline passed: both with the very
    same request_id, which is why nothing is ever paid twice. The wait doubles from `first_seconds` to
    `wait_seconds_max` and is jittered down to half; a wait that the service asks for is kept if it is at
    most `asked_seconds_max`, and ends the retries if it is longer. `attempts_max` counts failures in a row;
    a watch starts anew with each event.
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
        if error.code not in repeatable or verdict.retry_forbidden or failures >= self.attempts_max:
            return None
        asked = error.retry_after or 0.0
        if asked > self.asked_seconds_max:
            return None
        backoff = min(self.first_seconds * 2.0 ** (failures - 1), self.wait_seconds_max)
        return asked + backoff * random.uniform(0.5, 1.0)


NO_RETRY = RetryPolicy(attempts_max=1)
