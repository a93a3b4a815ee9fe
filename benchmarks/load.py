"""One process of load over gRPC: so many callers, each with one call after the other, for so many seconds.

    python -m benchmarks.load ADDRESS CASE CONCURRENCY SECONDS

prints the figures as JSON. Every case has the same client: generated messages through a bare `grpc.aio` channel, one
request with a request_id of its own per call.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import uvloop
from lightmeter.v1 import drawing_pb2, image_service_pb2, job_pb2

from benchmarks.echo_server import METHOD
from benchmarks.figures import Measured, measured, percentile

GENERATE: Final = "/lightmeter.v1.ImageService/Generate"
MODEL: Final = "flux-schnell"
PROMPT: Final = "a lighthouse on a cliff at dusk, long exposure, film grain"
WARM_SECONDS_MAX: Final = 1.0
CALL_SECONDS_MAX: Final = 30.0
WAIT_SECONDS: Final = 20

Request = image_service_pb2.GenerateRequest
Call = Callable[[Request], Awaitable[Any]]


class Asker:
    """Makes the requests of one process: no two have the same request_id."""

    def __init__(self) -> None:
        self._run = uuid.uuid4().hex[:20]
        self._count = 0

    def request(self, *, fresh: bool = False, wait: bool = False) -> Request:
        """The request that everybody makes, or a picture that nobody has asked for."""
        self._count += 1
        drawing = drawing_pb2.Drawing(model=MODEL, prompt=PROMPT)
        if fresh:
            drawing.prompt = f"{PROMPT}, number {self._run}-{self._count}"
        request = Request(drawing=drawing)
        request.options.request_id = f"{self._run}-{self._count}"
        if wait:
            request.options.wait.seconds = WAIT_SECONDS
        return request


async def _many(concurrency: int, seconds: float, one: Callable[[], Awaitable[None]]) -> list[float]:
    """The latencies of all answers in this time."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        began = time.perf_counter()
        while began < end:
            await one()
            ended = time.perf_counter()
            latencies.append(ended - began)
            began = ended

    async with asyncio.TaskGroup() as callers:
        for _ in range(concurrency):
            callers.create_task(caller())
    return latencies


async def _timed(concurrency: int, seconds: float, one: Callable[[], Awaitable[None]]) -> Measured:
    await _many(concurrency, min(WARM_SECONDS_MAX, seconds / 3), one)
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    latencies = await _many(concurrency, seconds, one)
    return measured(latencies, time.perf_counter() - began)


async def echo(channel: grpc.aio.Channel, concurrency: int, seconds: float) -> Measured:
    """The bare echo."""
    asker = Asker()
    call: Call = channel.unary_unary(METHOD, Request.SerializeToString, Request.FromString)

    async def one() -> None:
        request = asker.request()
        answer = await call(request)
        assert answer.options.request_id == request.options.request_id, "not what was sent"

    return await _timed(concurrency, seconds, one)


async def cached_generate(channel: grpc.aio.Channel, concurrency: int, seconds: float) -> Measured:
    """A picture that is there already: one durable job per call."""
    asker = Asker()
    call = _generate(channel)
    first = await call(asker.request(wait=True))
    assert first.job.state == job_pb2.JOB_STATE_SUCCEEDED, f"the first picture failed: {first.job}"

    async def one() -> None:
        answer = await call(asker.request())
        assert answer.job.origin == job_pb2.ORIGIN_CACHE, "not from the cache"

    return await _timed(concurrency, seconds, one)


async def render(channel: grpc.aio.Channel, concurrency: int, seconds: float) -> Measured:
    """A new picture each time; `added_…` is what we add to the provider's own time."""
    asker = Asker()
    call = _generate(channel)
    added: list[float] = []

    async def one() -> None:
        answer = await call(asker.request(fresh=True, wait=True))
        assert answer.job.state == job_pb2.JOB_STATE_SUCCEEDED, f"a picture failed: {answer.job}"
        span = answer.job.timing.added
        added.append(span.seconds * 1_000 + span.nanos / 1_000_000)

    await one()
    added.clear()
    began = time.perf_counter()
    latencies = await _many(concurrency, seconds, one)
    elapsed = time.perf_counter() - began
    further = {"added_p50_ms": percentile(added, 50), "added_p99_ms": percentile(added, 99)}
    return measured(latencies, elapsed, **further)


def _generate(channel: grpc.aio.Channel) -> Call:
    stub = channel.unary_unary(
        GENERATE, Request.SerializeToString, image_service_pb2.GenerateResponse.FromString
    )
    return lambda request: stub(request, timeout=CALL_SECONDS_MAX)


CASES: Final = {"echo": echo, "cached_generate": cached_generate, "render": render}


async def main(address: str, case: str, concurrency: int, seconds: float) -> None:
    """Run one case and print its figures."""
    async with grpc.aio.insecure_channel(address) as channel:
        await asyncio.wait_for(channel.channel_ready(), CALL_SECONDS_MAX)
        print((await CASES[case](channel, concurrency, seconds)).to_json(), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
