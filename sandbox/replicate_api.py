"""Replicate's predictions: three routes that create them, get, list, cancel."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox import replicate_shapes
from sandbox.answers import (
    TooLarge,
    listless,
    problem,
    read_body,
    read_fault,
    refusal,
    said,
    settle_answer,
)
from sandbox.book import Entry, Outcome, Phase, Refused, digest_of
from sandbox.catalog import Model
from sandbox.faults import Fault, FaultError
from sandbox.fields import Problem, check
from sandbox.planning import plan
from sandbox.replicate_limits import Limits
from sandbox.world import World

PREFER = re.compile(r"^wait(?:=([1-9]|[1-5][0-9]|60))?$")
DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?$")
CANCEL_AFTER_MIN_SECONDS = 5
WAIT_DEFAULT_SECONDS = 60
PAGE = 100
CREATE_KEYS = frozenset({"version", "input", "webhook", "webhook_events_filter", "stream"})
EVENTS = ("start", "output", "logs", "completed")
UNAUTHENTICATED = "You did not pass a valid authentication token"
NO_MODEL = "The requested resource could not be found."


def refuse_token(request: Request) -> Response | None:
    """401 unless the request carries a token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "token") or token.strip() in (
        "",
        "sandbox-invalid",
        "sandbox:invalid",
    ):
        return problem(401, UNAUTHENTICATED, "Unauthenticated")
    return None


def cancel_after(text: str) -> float | None:
    """Seconds of a Cancel-After header: `90`, `90s`, `5m`, `1h30m45s`. None when it is not one."""
    match = DURATION.match(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


class ReplicateApi:
    """The door at /replicate/v1 for predictions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._limits = Limits()
        world.webhooks.bodies["replicate"] = lambda entry: replicate_shapes.prediction(world, entry)

    def routes(self) -> list[Route]:
        """Where this door is."""
        root = "/replicate/v1"
        return [
            Route(f"{root}/predictions", self.create, methods=["POST"]),
            Route(f"{root}/predictions", self.page, methods=["GET"]),
            Route(f"{root}/models/{{owner}}/{{name}}/predictions", self.create, methods=["POST"]),
            Route(
                f"{root}/models/{{owner}}/{{name}}/versions/{{version}}/predictions",
                self.create,
                methods=["POST"],
            ),
            Route(f"{root}/deployments/{{owner}}/{{name}}/predictions", self.create, methods=["POST"]),
            Route(f"{root}/predictions/{{id}}", self.get, methods=["GET"]),
            Route(f"{root}/predictions/{{id}}/cancel", self.cancel, methods=["POST"]),
            Route("/replicate/stream/{id}", self.stream, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """Create a prediction; with `Prefer: wait` the answer waits for the output."""
        headers = self._limits.spend("create")
        answer = await self._create(request)
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        return answer

    async def _create(self, request: Request) -> Response:
        refused = refuse_token(request)
        if refused is not None:
            return refused
        try:
            given = json.loads(await read_body(request, self._world.options.body_max_bytes))
        except ValueError:
            return problem(400, "The request body is not valid JSON", "Bad request")
        except TooLarge:
            return problem(413, "The request body is too large", "Request entity too large")
        if not isinstance(given, dict):
            return problem(422, "- (root): Invalid type. Expected: object", "Invalid input")
        webhook_url = given.get("webhook") if isinstance(given.get("webhook"), str) else None
        routed = self._route(request, given)
        endpoint = routed[0].endpoint if isinstance(routed, tuple) else request.url.path
        posts = self._world.book.note_post("replicate", endpoint, given.get("input"), webhook_url)
        taken = routed if isinstance(routed, Response) else self._judge(request, given, *routed, webhook_url)
        if isinstance(taken, Response):
            token = None if webhook_url is None else webhook_url.rsplit("/", 1)[-1]
            self._world.book.note_refused(
                Refused(
                    "replicate",
                    endpoint,
                    said(taken),
                    self._world.clock.seconds(),
                    token,
                    digest_of(given.get("input")),
                )
            )
            return taken
        taken.posts = posts
        self._world.book.accept(taken)
        await self._world.works.begin(taken)
        right = await self._created(request, taken)
        return await settle_answer(self._world, taken.faults, right)

    def _route(self, request: Request, given: Mapping[str, Any]) -> tuple[Model, dict[str, Any]] | Response:
        """Which model is meant, and what the prediction will call it."""
        models = self._world.replicate
        unknown = set(given) - CREATE_KEYS
        if unknown:
            message = f"- (root): Additional property {min(unknown)} is not allowed\n"
            return problem(422, message, "Input validation failed")
        if "owner" in request.path_params:
            endpoint = f"{request.path_params['owner']}/{request.path_params['name']}"
            model = models.get(endpoint)
            if "/deployments/" in request.url.path and model is not None:
                return model, {"deployment": endpoint, "version": f"dp-{'4d0a4a0c' * 4}"}
            pinned = request.path_params.get("version")
            if (
                model is None
                or (not model.official and pinned is None)
                or (pinned not in (None, model.version))
            ):
                return problem(404, NO_MODEL)
            return model, {}
        version = given.get("version")
        if not isinstance(version, str):
            return problem(422, "- version is required\n", "Input validation failed")
        name, _, pinned = version.partition(":")
        for model in models.values():
            if version == model.version != "hidden" or (name == model.endpoint and pinned == model.version):
                return model, {}
            if name == model.endpoint and not pinned and model.official:
                return model, {}
        message = "The specified version does not exist (or perhaps you don't have permission to use it?)"
        return problem(422, f"- version: {message}\n", "Invalid version or not permitted")

    def _judge(
        self,
        request: Request,
        given: Mapping[str, Any],
        model: Model,
        route: Mapping[str, Any],
        webhook_url: str | None,
    ) -> Entry | Response:
        world = self._world
        inputs = given.get("input")
        if not isinstance(inputs, dict):
            return problem(422, "- input: Invalid type. Expected: object\n", "Input validation failed")
        prompt = inputs.get("prompt")
        try:
            faults = world.faults.claim(
                "replicate", model.endpoint, prompt if isinstance(prompt, str) else "", model.orders
            )
        except FaultError as error:
            return problem(400, str(error), "Bad request")
        for fault in faults:
            answer = refusal(world, "replicate", fault)
            if answer is not None:
                return answer
        problems = _header_problems(request)
        filled, wrong = check(model.fields, inputs)
        problems += wrong or model.more_rules(filled)
        events = given.get("webhook_events_filter") or ["output", "completed"]
        if not isinstance(events, list) or any(event not in EVENTS for event in events):
            problems.append(
                Problem(("body", "webhook_events_filter"), "one_of", f"Must be of {', '.join(EVENTS)}")
            )
        if problems:
            return problem(422, "".join(_line(one) for one in problems), "Input validation failed")
        return self._entry_of(request, model, inputs, filled, faults, route, webhook_url, tuple(events))

    def _entry_of(
        self,
        request: Request,
        model: Model,
        inputs: Mapping[str, Any],
        filled: Mapping[str, Any],
        faults: list[Fault],
        route: Mapping[str, Any],
        webhook_url: str | None,
        events: tuple[str, ...],
    ) -> Entry:
        world = self._world
        number = world.dice.next_number()
        prediction_id = world.dice.replicate_id(number)
        ask = model.read(filled)
        planned = plan(world, model, ask, prediction_id, faults)
        now = world.clock.seconds()
        limit = request.headers.get("cancel-after")
        limit_seconds = cancel_after(limit) if limit is not None else None
        return Entry(
            number=number,
            provider="replicate",
            id=prediction_id,
            model=model,
            input=inputs,
            faults=faults,
            accepted_at=now,
            queue_seconds=planned.queue_seconds,
            run_seconds=planned.run_seconds,
            queue_depth=planned.queue_depth,
            ask=ask,
            seed=planned.seed,
            webhook_url=webhook_url,
            webhook_events=events,
            deadline_at=None if limit_seconds is None else now + limit_seconds,
            route=route,
        )

    async def _created(self, request: Request, entry: Entry) -> Response:
        prefer = PREFER.match(request.headers.get("prefer", ""))
        if prefer is None:
            return _answer(replicate_shapes.prediction(self._world, entry, early=False), 201)
        seconds = int(prefer.group(1) or WAIT_DEFAULT_SECONDS)
        ended = await self._world.works.wait_end(entry, min(seconds, self._world.options.wait_max_seconds))
        early = ended and entry.outcome is Outcome.SUCCEEDED
        body = replicate_shapes.prediction(self._world, entry, early=early)
        if early and self._world.dice.share(entry.id, "inline") < 0.5:
            body["output"] = await replicate_shapes.inline_output(self._world, entry)
        headers = {"Preference-Applied": f"wait={seconds}", "Location": body["urls"]["get"]}
        return _answer(body, 201 if ended else 202, headers)

    async def get(self, request: Request) -> Response:
        """The prediction as it is now."""
        entry = self._find(request)
        if isinstance(entry, Response):
            return entry
        self._world.book.totals["replicate"].reads += 1
        answer = read_fault(entry, "poll")
        if answer is not None:
            return answer
        fault = entry.fault("processing_with_output")
        early = (
            fault is not None
            and entry.outcome is Outcome.SUCCEEDED
            and entry.reads["early"] < fault.number("reads")
        )
        entry.reads["early"] += int(early)
        return _answer(
            replicate_shapes.prediction(self._world, entry, early=early), 200, self._limits.spend("get")
        )

    async def cancel(self, request: Request) -> Response:
        """Ask for the end; a finished prediction stays as it is."""
        entry = self._find(request)
        if isinstance(entry, Response):
            return entry
        if entry.phase is not Phase.ENDED:
            self._world.works.cancel(entry)
            await self._world.works.wait_end(entry, 1.0)
        return _answer(replicate_shapes.prediction(self._world, entry), 200, self._limits.spend("cancel"))

    async def page(self, request: Request) -> Response:
        """Predictions, newest first, 100 a page, with created_after, created_before and a cursor."""
        refused = refuse_token(request)
        if refused is not None:
            return refused
        fault = self._world.faults.claim_list("replicate", "predictions")
        if fault is not None:
            return listless("replicate", fault)
        try:
            after, before = _moment(request, "created_after"), _moment(request, "created_before")
            below = _cursor(request.query_params.get("cursor"))
        except ValueError:
            return problem(400, "Invalid query parameter", "Bad request")
        found = []
        for entry in self._world.book.newest_first("replicate"):
            created = self._world.clock.at(entry.accepted_at)
            if after is not None and created < after:
                break
            if (below is not None and entry.number >= below) or (before is not None and created >= before):
                continue
            if self._is_listed(entry):
                found.append(entry)
            if len(found) > PAGE:
                break
        results = [replicate_shapes.listed(self._world, entry) for entry in found[:PAGE]]
        body = {"previous": None, "next": self._next_url(request, found), "results": results}
        return _answer(body, 200, self._limits.spend("list"))

    async def stream(self, request: Request) -> Response:
        """Outputs as server-sent events, then `done` or `error`."""
        entry = self._find(request)
        if isinstance(entry, Response):
            return entry
        return StreamingResponse(self._output_events(entry), media_type="text/event-stream")

    async def _output_events(self, entry: Entry) -> AsyncIterator[str]:
        await self._world.works.wait_end(entry, self._world.options.wait_max_seconds)
        body = replicate_shapes.prediction(self._world, entry)
        output = body.get("output")
        for number, url in enumerate([output] if isinstance(output, str) else output or []):
            yield f"event: output\nid: {number}\ndata: {url}\n\n"
        if entry.outcome is Outcome.FAILED:
            yield f"event: error\ndata: {json.dumps({'detail': body['error']})}\n\n"
        reason = {} if entry.outcome is Outcome.SUCCEEDED else {"reason": body["status"]}
        yield f"event: done\ndata: {json.dumps(reason)}\n\n"

    def _is_listed(self, entry: Entry) -> bool:
        late = entry.fault("list_delay")
        if late is not None and self._world.clock.seconds() < entry.accepted_at + late.number("seconds"):
            return False
        return entry.fault("list_missing") is None

    def _next_url(self, request: Request, found: list[Entry]) -> str | None:
        if len(found) <= PAGE:
            return None
        kept = {name: value for name, value in request.query_params.items() if name != "cursor"}
        cursor = base64.urlsafe_b64encode(f"n={found[PAGE - 1].number}".encode()).decode()
        return f"{self._world.replicate_url}/v1/predictions?{urlencode({**kept, 'cursor': cursor})}"

    def _find(self, request: Request) -> Entry | Response:
        refused = refuse_token(request)
        if refused is not None:
            return refused
        entry = self._world.book.find("replicate", request.path_params["id"])
        if entry is None or entry.fault("lost_request") is not None:
            return problem(404, NO_MODEL)
        return entry


def _answer(body: Any, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status, headers, "application/json")


def _line(one: Problem) -> str:
    place = ".".join(str(part) for part in ("input", *one.where[1:]))
    return f"- {place}: {one.message}\n"


def _header_problems(request: Request) -> list[Problem]:
    problems = []
    prefer = request.headers.get("prefer")
    if prefer is not None and prefer.startswith("wait") and PREFER.match(prefer) is None:
        problems.append(Problem(("header", "Prefer"), "one_of", "Prefer must be wait or wait=1..60"))
    limit = request.headers.get("cancel-after")
    if limit is not None and (cancel_after(limit) or 0) < CANCEL_AFTER_MIN_SECONDS:
        problems.append(
            Problem(("header", "Cancel-After"), "one_of", "Cancel-After must be a duration of at least 5s")
        )
    return problems


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    return None if text is None else datetime.fromisoformat(text)


def _cursor(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(base64.urlsafe_b64decode(text).decode().removeprefix("n="))
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not a cursor") from error
