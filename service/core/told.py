"""What a provider said at the end of a request: as the command that books it, and read again from the row that it became.

The same for the owner and for late results.
"""

from __future__ import annotations

import json

from service.domain.catalog import FailureCharge, Route
from service.domain.commands import RecordResult
from service.domain.exchange import Ended, Output, Result
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Attempt


def record(attempt_id: str, route: Route, result: Result) -> RecordResult:
    """The evidence. The rule of the route fills in where a failure says nothing of its price."""
    # A cancelled run was stopped under way and may be charged; a failed one costs what the route's rule says.
    fails_free = result.ended is Ended.FAILED and route.failure_charge is FailureCharge.NONE
    free = result.surely_unbilled or (fails_free and result.billable_units is None)
    units = None if result.billable_units is None else str(result.billable_units)
    metrics = {name: str(value) for name, value in result.metrics.items()}
    kept = {
        "outputs": [{"url": one.url, "flagged": one.flagged} for one in result.outputs],
        "seed": result.seed,
        "notices": list(result.notices),
        "billable_units": units,
        "metrics": metrics,
    }
    expires = result.expires_in_seconds
    return RecordResult(
        attempt_id,
        ended=result.ended.value,
        billable_units=units,
        metrics=tuple(metrics.items()),
        images_count=len(result.outputs),
        surely_unbilled=free,
        failure=result.failure,
        result=json.dumps(kept),
        result_expires_in_micros=None if expires is None else int(expires * MICROS_PER_SECOND),
        queue_seconds=result.queue_seconds,
        run_seconds=result.run_seconds,
    )


def recorded(attempt: Attempt, now: int) -> Result:
    """The result of an attempt that succeeded, as its row tells it: enough to bring its pictures home without asking again."""
    kept = json.loads(attempt.result or "{}")
    expires = attempt.result_expires_at
    return Result(
        Ended.SUCCEEDED,
        outputs=tuple(Output(one["url"], flagged=bool(one["flagged"])) for one in kept.get("outputs", ())),
        failure=attempt.failure,
        seed=kept.get("seed"),
        notices=tuple(kept.get("notices", ())),
        expires_in_seconds=None if expires is None else max(0, expires - now) / MICROS_PER_SECOND,
    )
