"""The store alone, without a door before it: so many callers of `store.execute`, for so many seconds.

    python -m benchmarks.store_load DATABASE_URL MIX CONCURRENCY SECONDS

prints the figures as JSON. A command counts when it is answered, which is after its commit. `store_hit` is an Accept that
the cache answers; `store_run` is everything that a new render hands in: Accept, Dispatch, BindProviderId, RecordResult,
Finish, one after the other.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvloop

from benchmarks.figures import Measured, measured
from service.catalog.loader import load_catalog
from service.clock import SystemClock, SystemDice
from service.core.prepare import Prepared, Preparer, request_digest
from service.core.pricing import Catalogs
from service.core.requests import Submission
from service.database.open import open_database
from service.domain import commands as c
from service.domain.drawing import Drawing, Operation
from service.domain.records import Asset, AssetState
from service.ports import Store

MODEL: Final = "flux-schnell"
PROMPT: Final = "a lighthouse on a cliff at dusk, long exposure, film grain"
OWNER: Final = "benchmark"
WARM_SECONDS_MAX: Final = 1.0


class Orders:
    """Makes the commands that the use cases would make, out of the catalog's own plan."""

    def __init__(self) -> None:
        clock = SystemClock()
        self._dice = SystemDice(clock.now)
        self._run = uuid.uuid4().hex
        drawing = Drawing(model=MODEL, prompt=PROMPT, operation=Operation.GENERATE)
        submission = Submission(project="default", request_id="r", drawing=drawing)
        self._prepared: Prepared = Preparer(Catalogs(load_catalog(sandbox=True), clock)).prepare(
            submission, drawing
        )
        self._digest = request_digest(submission)
        self._count = 0

    def accept(self, *, fresh: bool) -> c.Accept:
        """The request that everybody makes, or one of a picture that nobody has asked for."""
        self._count += 1
        prepared, dice = self._prepared, self._dice
        name = f"{self._run}-{self._count}"
        return c.Accept(
            job_id=dice.new_id(),
            render_id=dice.new_id(),
            attempt_id=dice.new_id(),
            token=dice.new_token(),
            project="default",
            request_id=name,
            request_digest=self._digest,
            fingerprint=_sha256(name) if fresh else prepared.fingerprint,
            scope="default",
            cache_mode=c.CacheMode.USE,
            cache_max_age_micros=None,
            operation="GENERATE",
            model=prepared.drawing.model,
            content=prepared.content,
            image_count=1,
            plan=prepared.routes,
            fresh_micros=None,
            owner=OWNER,
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def steps_of(accept: c.Accept) -> list[c.Command]:
    """What follows the Accept of a render whose picture comes."""
    fence = {"render_id": accept.render_id, "attempt_id": accept.attempt_id, "owner": OWNER, "fence": 1}
    provider = accept.plan[0].provider
    name = _sha256(accept.render_id)
    picture = Asset(
        name, "jpg", "image/jpeg", 46_068, 1024, 1024, False, "#2f3d58", AssetState.PRESENT, 2**60
    )
    return [
        c.Dispatch(**fence, seed=7),
        c.BindProviderId(accept.attempt_id, provider, f"id-{accept.attempt_id}"),
        c.RecordResult(
            accept.attempt_id,
            ended="SUCCEEDED",
            billable_units="1",
            images_count=1,
            result='{"outputs":[{"url":"https://files.invalid/1.jpg"}],"billable_units":"1","seed":7}',
            run_seconds=0.1,
        ),
        c.Finish(**fence, assets=((0, picture, False),)),
    ]


async def _draw(store: Store, accept: c.Accept, took: Callable[[float], None]) -> None:
    for command in [accept, *steps_of(accept)]:
        began = time.perf_counter()
        outcome = await store.execute(command)
        took(time.perf_counter() - began)
        assert outcome not in (c.RunOutcome.LOST, c.RunOutcome.CANCELLED), f"{command} was not carried out"
        if isinstance(outcome, c.Hit):
            return  # an earlier case drew it into the same database


async def measure(store: Store, mix: str, concurrency: int, seconds: float) -> Measured:
    """One mix at one concurrency."""
    orders = Orders()
    await _draw(store, orders.accept(fresh=False), lambda _: None)
    latencies: list[float] = []

    async def hit() -> None:
        began = time.perf_counter()
        outcome: Any = await store.execute(orders.accept(fresh=False))
        latencies.append(time.perf_counter() - began)
        assert isinstance(outcome, c.Hit), "not from the cache"

    async def run() -> None:
        await _draw(store, orders.accept(fresh=True), latencies.append)

    one = {"store_hit": hit, "store_run": run}[mix]
    await many(concurrency, min(WARM_SECONDS_MAX, seconds / 3), one)
    latencies.clear()
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    await many(concurrency, seconds, one)
    return measured(latencies, time.perf_counter() - began)


async def many(concurrency: int, seconds: float, one: Callable[[], Awaitable[None]]) -> None:
    """So many callers, one call after the other, for so many seconds."""
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while time.perf_counter() < end:
            await one()

    async with asyncio.TaskGroup() as callers:
        for _ in range(concurrency):
            callers.create_task(caller())


async def main(url: str, mix: str, concurrency: int, seconds: float) -> None:
    """Open the database, run one mix and print its figures."""
    clock = SystemClock()
    database = open_database(url, clock, SystemDice(clock.now).jitter)
    await database.start()
    try:
        print((await measure(database.store, mix, concurrency, seconds)).to_json(), flush=True)
    finally:
        await database.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
