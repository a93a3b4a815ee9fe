"""Answers that both doors give: JSON, dropped connections, refusals, and what faults make of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.book import Entry
from sandbox.catalog import Provider
from sandbox.faults import Fault
from sandbox.world import World

NGINX_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
EXHAUSTED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
INSUFFICIENT = (
    "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to "
    "purchase credit. Once you purchase credit, please wait a few minutes before trying again."
)
REFUSED_MESSAGE = "The input was refused"


class TooLarge(Exception):
    """A request body is larger than the sandbox takes."""


class Dropped(Response):
    """Closes the connection without a word."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Abort the transport, then wait until the server has noticed."""
        del send
        scope["state"]["transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Hung(Dropped):
    """Closes the connection without a word, after a wait."""

    def __init__(self, wait: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._wait = wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then drop."""
        await self._wait()
        await super().__call__(scope, receive, send)


def said(answer: Response) -> int:
    """The status of an answer as it is written into the book; 0 when there will be none."""
    return 0 if isinstance(answer, Dropped) else answer.status_code


def as_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json.dumps(body), status, headers, "application/json")


def problem(
    status: int, detail: str, title: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Replicate's problem+json."""
    body: dict[str, Any] = {"title": title} if title is not None else {}
    body |= {"detail": detail, "status": status}
    return Response(json.dumps(body), status, headers, "application/problem+json")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The request's body. Raises TooLarge."""
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def refusal(world: World, provider: Provider, fault: Fault) -> Response | None:
    """The answer with which this fault refuses a submit, or None when it doesn't."""
    match fault.kind:
        case "drop_before_accept":
            return Dropped()
        case "hang_before_accept":
            seconds = min(fault.number("seconds"), world.options.wait_max_seconds)
            return Hung(lambda: world.clock.sleep(seconds))
        case "refuse_input":
            return refused_input(provider)
        case "exhausted_balance" | "payment_required":
            return _unpaid(provider, fault)
        case "rate_limited":
            return _rate_limited(provider, fault)
        case "concurrency_limited":
            return concurrency_limited()
        case "status" | "nginx_502" | "redirect_307" | "no_id" | "foreign_body" if not fault.flag("accept"):
            return spoiled(fault) if fault.args.get("on", "submit") == "submit" else None
        case _:
            return None


def listless(provider: Provider, fault: Fault) -> Response:
    """What a list answers that is not to be had."""
    code, seconds = int(fault.number("code")), int(fault.number("retry_after"))
    headers = {"Retry-After": str(seconds)} if seconds else {}
    if provider == "replicate":
        return problem(code, "Service unavailable", headers=headers)
    kind = "rate_limited" if code == 429 else "server_error"
    return as_json({"error": {"type": kind, "message": "Temporarily unavailable"}}, code, headers)


def refused_input(provider: Provider) -> Response:
    """422 in the provider's own shape."""
    if provider == "replicate":
        return problem(422, f"- input.prompt: {REFUSED_MESSAGE}\n", "Input validation failed")
    error: dict[str, Any] = {
        "loc": ["body", "prompt"],
        "msg": REFUSED_MESSAGE,
        "type": "content_policy_violation",
        "url": "https://docs.fal.ai/errors#content_policy_violation",
        "ctx": {},
        "input": None,
    }
    return as_json({"detail": [error]}, 422, {"X-Fal-Retryable": "false"})


def concurrency_limited() -> Response:
    """fal's answer to one direct call too many."""
    body = {"detail": "Concurrent requests limit reached", "error_type": "concurrent_requests_limit"}
    return as_json(body, 429, {"X-Fal-needs-retry": "1", "X-Fal-Error-Type": "concurrent_requests_limit"})


def _unpaid(provider: Provider, fault: Fault) -> Response:
    if provider == "replicate":
        return problem(402, INSUFFICIENT, "Insufficient credit")
    if fault.kind == "payment_required":
        return as_json({"detail": "Payment required"}, 402)
    return as_json({"detail": EXHAUSTED}, 403)


def _rate_limited(provider: Provider, fault: Fault) -> Response:
    seconds = fault.args["retry_after"]
    headers = {"Retry-After": str(seconds)} if fault.flag("header") else {}
    if provider == "fal":
        return as_json({"detail": "Too many requests", "retry_after": seconds}, 429, headers)
    detail = f"Request was throttled. Your rate limit for creating predictions resets in ~{seconds}s."
    body = {"detail": detail, "status": 429, "retry_after": seconds}
    return Response(json.dumps(body), 429, headers, "application/problem+json")


def spoiled(fault: Fault) -> Response:
    """The answer that a fault puts in the place of the right one."""
    match fault.kind:
        case "nginx_502":
            return Response(NGINX_502, 502, None, "text/html")
        case "redirect_307":
            return Response(
                b"", 307, {"Location": str(fault.args["location"]) or "https://example.net/elsewhere"}
            )
        case "no_id":
            return as_json({"status": "IN_QUEUE"}, 200)
        case "foreign_body":
            return Response("<html><body>Welcome to the guest network</body></html>", 200, None, "text/html")
        case _:
            return _ordered_status(fault)


def _ordered_status(fault: Fault) -> Response:
    body = fault.args["body"]
    code = int(fault.args["code"])
    headers = {str(name): str(value) for name, value in fault.args["headers"].items()}
    if isinstance(body, str):
        return Response(body, code, headers, "text/plain")
    return as_json({"detail": "Internal Server Error"} if body is None else body, code, headers)


async def settle_answer(world: World, faults: Iterable[Fault], right: Response) -> Response:
    """The answer to an accepted submit: the right one, unless a fault spoils it."""
    for fault in faults:
        match fault.kind:
            case "delay":
                await world.clock.sleep(min(fault.number("seconds"), world.options.wait_max_seconds))
            case "drop_after_accept":
                return Dropped()
            case "hang_after_accept":
                await world.clock.sleep(min(fault.number("seconds"), world.options.wait_max_seconds))
                return Dropped()
            case "redirect_307" | "no_id" | "foreign_body" | "nginx_502":
                return spoiled(fault)
            case "status" if fault.args["on"] == "submit":
                return spoiled(fault)
            case _:
                continue
    return right


def read_fault(entry: Entry, kind: str) -> Response | None:
    """What a `status` fault answers in the place of a read (poll, result, download) of this request."""
    for fault in entry.faults:
        if (
            fault.kind == "status"
            and fault.args["on"] == kind
            and entry.reads[f"fault {kind}"] < fault.number("count")
        ):
            entry.reads[f"fault {kind}"] += 1
            return spoiled(fault)
    return None
