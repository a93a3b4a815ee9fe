"""fal's queue and direct calls: submit, status, status stream, result, cancel, run, stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox import fal_shapes
from sandbox.answers import (
    TooLarge,
    as_json,
    concurrency_limited,
    read_body,
    read_fault,
    refusal,
    said,
    settle_answer,
)
from sandbox.book import Entry, Phase, Refused, digest_of
from sandbox.catalog import Ask, Model
from sandbox.faults import Fault, FaultError
from sandbox.fields import check
from sandbox.outcomes import detail
from sandbox.planning import Plan, plan
from sandbox.world import World

NOT_FOUND = {"status": "NOT_FOUND"}
INVALID_KEY = "invalid key credentials"
NO_KEY = "Authentication is required to access this application."
STREAM_STEP_SECONDS = 0.25
START_TIMEOUT_MIN_SECONDS = 0.1


def refuse_key(request: Request) -> Response | None:
    """401 unless the request carries a key: `Key id:secret`, or a bearer token."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not key or scheme.lower() not in ("key", "bearer"):
        return as_json({"detail": NO_KEY}, 401)
    if scheme.lower() == "key" and (":" not in key or key == "sandbox:invalid"):
        return as_json({"detail": INVALID_KEY}, 401)
    return None


class FalQueue:
    """The door at /fal/queue and /fal/run."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.webhooks.bodies["fal"] = lambda entry: fal_shapes.webhook_body(world, entry)

    def routes(self) -> list[Route]:
        """Where this door is."""
        return [
            Route("/fal/queue/{path:path}/requests/{id}/status/stream", self.status_stream, methods=["GET"]),
            Route("/fal/queue/{path:path}/requests/{id}/status", self.status, methods=["GET"]),
            Route("/fal/queue/{path:path}/requests/{id}/cancel", self.cancel, methods=["PUT"]),
            Route("/fal/queue/{path:path}/requests/{id}/response", self.result, methods=["GET"]),
            Route("/fal/queue/{path:path}/requests/{id}", self.result, methods=["GET"]),
            Route("/fal/queue/{path:path}", self.submit, methods=["POST"]),
            Route("/fal/run/{path:path}", self.run, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Accept a request into the queue, unless its key, endpoint or a fault forbids it."""
        taken = await self._take(request, request.path_params["path"])
        if isinstance(taken, Response):
            return taken
        entry, faults = taken
        await self._world.works.begin(entry)
        right = as_json(fal_shapes.submitted(self._world, entry))
        return await settle_answer(self._world, faults, right)

    async def run(self, request: Request) -> Response:
        """A direct call: no queue, no status; the answer is the result. With /stream at the end, events."""
        path = request.path_params["path"]
        streams = path.endswith("/stream")
        if self._world.works.is_full("fal"):
            return concurrency_limited()
        taken = await self._take(request, path.removesuffix("/stream"))
        if isinstance(taken, Response):
            return taken
        entry, faults = taken
        entry.queue_seconds, entry.queue_depth = 0.0, 0
        await self._world.works.begin(entry)
        if streams:
            return StreamingResponse(self._output_events(entry), media_type="text/event-stream")
        await self._world.works.wait_end(entry, self._world.options.wait_max_seconds)
        return await settle_answer(self._world, faults, await self._answer(entry))

    async def status(self, request: Request) -> Response:
        """202 while queued or running, 200 when complete."""
        entry = self._entry(request)
        if isinstance(entry, Response):
            return entry
        self._world.book.totals["fal"].reads += 1
        spoiled = read_fault(entry, "poll")
        if spoiled is not None:
            return spoiled
        logs = request.query_params.get("logs", "0").lower() in ("1", "true")
        code = 200 if entry.phase is Phase.ENDED else 202
        return as_json(fal_shapes.status_of(self._world, entry, with_logs=logs), code)

    async def status_stream(self, request: Request) -> Response:
        """Status objects as events, until COMPLETED."""
        entry = self._entry(request)
        if isinstance(entry, Response):
            return entry
        logs = request.query_params.get("logs", "0").lower() in ("1", "true")
        return StreamingResponse(self._status_events(entry, with_logs=logs), media_type="text/event-stream")

    async def result(self, request: Request) -> Response:
        """The bare output of a success, the model's own error of a failure; 400 when asked too early."""
        entry = self._entry(request)
        if isinstance(entry, Response):
            return entry
        spoiled = read_fault(entry, "result")
        if spoiled is not None:
            return spoiled
        if entry.phase is not Phase.ENDED:
            return as_json({"detail": "Request is still in progress"}, 400)
        answer = await self._answer(entry)
        if fal_shapes.result_is_gone(self._world, entry, len(answer.body)):
            return as_json(NOT_FOUND, 404)
        return answer

    async def cancel(self, request: Request) -> Response:
        """200 taken out of the queue, 202 asked while running (it may finish and bill), 400 too late."""
        entry = self._entry(request)
        if isinstance(entry, Response):
            return entry
        if entry.phase is Phase.ENDED:
            return as_json({"status": "ALREADY_COMPLETED"}, 400)
        queued = entry.phase is Phase.QUEUED
        self._world.works.cancel(entry)
        return as_json({"status": "OK"}) if queued else as_json({"status": "CANCELLATION_REQUESTED"}, 202)

    def _entry(self, request: Request) -> Entry | Response:
        refused = refuse_key(request)
        if refused is not None:
            return refused
        entry = self._world.book.find("fal", request.path_params["id"])
        if entry is None or entry.fault("lost_request") is not None:
            return as_json(NOT_FOUND, 404)
        endpoint = entry.model.endpoint
        if request.path_params["path"] not in (fal_shapes.app_of(endpoint), endpoint):
            return as_json(NOT_FOUND, 404)
        return entry

    async def _take(self, request: Request, endpoint: str) -> tuple[Entry, list[Fault]] | Response:
        refused = refuse_key(request)
        if refused is not None:
            return refused
        try:
            given = json.loads(await read_body(request, self._world.options.body_max_bytes))
        except ValueError:
            return as_json({"detail": "Invalid JSON in the request body"}, 400)
        except TooLarge:
            return as_json({"detail": "Request body too large"}, 413)
        if not isinstance(given, dict):
            return as_json({"detail": "The request body should be a JSON object"}, 422)
        webhook_url = request.query_params.get("fal_webhook")
        posts = self._world.book.note_post("fal", endpoint, given, webhook_url)
        taken = self._judge(request, endpoint, given, webhook_url)
        if isinstance(taken, Response):
            self._note_refused(endpoint, said(taken), webhook_url, given)
            return taken
        entry, faults = taken
        entry.posts = posts
        self._world.book.accept(entry)
        return entry, faults

    def _judge(
        self, request: Request, endpoint: str, given: Mapping[str, Any], webhook_url: str | None
    ) -> tuple[Entry, list[Fault]] | Response:
        world = self._world
        model = world.fal.get(endpoint)
        if model is None:
            return as_json({"detail": f"Application '{endpoint}' not found"}, 404)
        prompt = given.get("prompt")
        try:
            faults = world.faults.claim(
                "fal", endpoint, prompt if isinstance(prompt, str) else "", model.orders
            )
        except FaultError as error:
            return as_json({"detail": str(error)}, 400)
        for fault in faults:
            answer = refusal(world, "fal", fault)
            if answer is not None:
                return answer
        limit = request.query_params.get("fal_max_queue_length")
        if limit is not None and limit.isdigit() and world.works.waiting("fal") >= int(limit):
            return as_json({"detail": "The queue of this endpoint is too long"}, 429)
        entry = self._entry_of(request, model, given, faults, webhook_url)
        if entry.problems and world.options.fal_validates_on_submit:
            return as_json(
                {"detail": [detail(one) for one in entry.problems]}, 422, {"X-Fal-Retryable": "false"}
            )
        return entry, faults

    def _entry_of(
        self,
        request: Request,
        model: Model,
        given: Mapping[str, Any],
        faults: list[Fault],
        webhook_url: str | None,
    ) -> Entry:
        world = self._world
        filled, problems = check(model.fields, given)
        if not problems:
            problems = model.more_rules(filled)
        ask: Ask | None = None if problems else model.read(filled)
        number = world.dice.next_number()
        request_id = world.dice.fal_id(number)
        planned: Plan = plan(world, model, ask, request_id, faults)
        now = world.clock.seconds()
        start_timeout = _seconds(request.headers.get("x-fal-request-timeout"))
        return Entry(
            number=number,
            provider="fal",
            id=request_id,
            model=model,
            input=given,
            faults=faults,
            accepted_at=now,
            queue_seconds=planned.queue_seconds,
            run_seconds=planned.run_seconds,
            queue_depth=planned.queue_depth,
            ask=ask,
            problems=tuple(problems),
            seed=planned.seed,
            webhook_url=webhook_url if webhook_url and urlsplit(webhook_url).scheme else None,
            webhook_events=("completed",),
            start_by=None if start_timeout is None else now + start_timeout,
            stored_io=request.headers.get("x-fal-store-io") != "0",
            files_expire_seconds=_lifecycle(request.headers.get("x-fal-object-lifecycle-preference")),
            gateway_id=request_id,
        )

    def _note_refused(
        self, endpoint: str, status: int, webhook_url: str | None, given: Mapping[str, Any]
    ) -> None:
        token = None if webhook_url is None else urlsplit(webhook_url).path.rsplit("/", 1)[-1]
        self._world.book.note_refused(
            Refused("fal", endpoint, status, self._world.clock.seconds(), token, digest_of(given))
        )

    async def _answer(self, entry: Entry) -> Response:
        headers = {"x-fal-request-id": entry.id}
        units = fal_shapes.billable_units(entry)
        if units is not None:
            headers["x-fal-billable-units"] = units
        if entry.failure is not None:
            return as_json(entry.failure.body, entry.failure.code, {**headers, **entry.failure.headers})
        return as_json(await fal_shapes.output_of(self._world, entry), 200, headers)

    async def _status_events(self, entry: Entry, *, with_logs: bool) -> AsyncIterator[bytes]:
        last = b""
        while True:
            ended = entry.phase is Phase.ENDED
            body = fal_shapes.status_of(self._world, entry, with_logs=with_logs)
            event = f"data: {json.dumps(body)}\n\n".encode()
            if event != last:
                yield event
            if ended:
                return
            last = event
            await self._world.works.wait_change(entry, self._world.clock.scaled(STREAM_STEP_SECONDS))

    async def _output_events(self, entry: Entry) -> AsyncIterator[bytes]:
        works = self._world.works
        while not await works.wait_end(entry, self._world.clock.scaled(STREAM_STEP_SECONDS)):
            yield f"data: {json.dumps({'progress': round(works.progress(entry), 3)})}\n\n".encode()
        answer = await self._answer(entry)
        yield b"data: " + bytes(answer.body) + b"\n\n"


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and seconds > START_TIMEOUT_MIN_SECONDS else None


def _lifecycle(text: str | None) -> float | None:
    """Seconds that a request's files are kept, from the lifecycle header; None = not limited."""
    if text is None:
        return None
    try:
        wish = json.loads(text)
    except ValueError:
        return None
    seconds = wish.get("expiration_duration_seconds") if isinstance(wish, dict) else None
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
