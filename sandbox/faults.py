"""Faults that can be ordered from the sandbox: their kinds, who gets them, and how a prompt can order one.

A fault is ordered for the requests that match it (`POST /admin/faults`), written into a prompt as
``[[fault:kind a=b]]`` when the sandbox was started with `--prompt-faults`, or belongs to a test model. Each
order hits `times` requests. Orders of different kinds meet on one request; of the same kind, each request
takes one, in the order of ordering.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

ORDERS_MAX = 1_000

KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    # The answer to the submit or create.
    "drop_before_accept": ("Close the connection without accepting the request.", {}),
    "drop_after_accept": ("Accept (and bill) the request, then close the connection without an answer.", {}),
    "hang_before_accept": (
        "Leave the caller waiting, then close the connection, without accepting the request.",
        {"seconds": 60.0},
    ),
    "hang_after_accept": ("Accept, then leave the caller waiting, then close.", {"seconds": 60.0}),
    "delay": ("Answer the submit late.", {"seconds": 1.0}),
    "status": (
        (
            "Answer with this HTTP status. on: submit, poll, result, download, upload. count: how many such "
            "calls of one request. accept: whether a submit is accepted all the same."
        ),
        {"code": 500, "body": None, "headers": {}, "on": "submit", "count": 1, "accept": False},
    ),
    "exhausted_balance": ("fal's 403 for a locked account (Replicate: 402).", {}),
    "payment_required": ("402, out of credit.", {}),
    "rate_limited": (
        "429 with body retry_after; header: whether Retry-After is sent too.",
        {"retry_after": 5, "header": True},
    ),
    "nginx_502": (
        "An HTML 502 of a proxy. accept: whether the request was accepted behind it.",
        {"accept": True},
    ),
    "redirect_307": ("A redirect instead of an answer.", {"accept": True, "location": ""}),
    "no_id": ("2xx without an id.", {"accept": True}),
    "foreign_body": ("2xx with a body that is no JSON.", {"accept": True}),
    "refuse_input": ("422 in the provider's own shape, on the submit.", {}),
    "concurrency_limited": ("fal: 429 concurrent_requests_limit.", {}),
    # The run.
    "fail_run": (
        (
            "The accepted request ends failed. code: result status at fal; type: fal's error type; error: "
            "the text at Replicate; bare: fal's detail is a plain string; infrastructure: fal's flat body."
        ),
        {
            "code": 500,
            "type": "internal_server_error",
            "error": "",
            "bare": False,
            "infrastructure": False,
            "billed": False,
        },
    ),
    "canceled": ("The provider ends the request as canceled while it runs.", {}),
    "aborted": ("The provider ends the request before it starts (Replicate: aborted).", {}),
    "slow": ("The work takes this many seconds longer, at speed 1.", {"seconds": 5.0}),
    "stuck": (
        "The request never leaves the queue (or, with running, never ends) until it is cancelled.",
        {"running": False},
    ),
    "deep_queue": (
        "A queue position of thousands, and the queueing to match.",
        {"position": 12_654, "seconds": 5.0},
    ),
    "requeue": ("fal: from IN_PROGRESS back to IN_QUEUE once.", {"seconds": 0.5}),
    "flag_content": (
        "Moderation: flagged and billed (flux at fal), else refused. at: positions, empty = all.",
        {"at": []},
    ),
    "partial_moderation": ("Some pictures are dropped: the list is shorter than asked for.", {"dropped": 1}),
    "fewer_images": ("Only n pictures come out, and are billed.", {"n": 1}),
    "more_images": ("n pictures more than asked for, billed.", {"n": 1}),
    # The bill.
    "bill_factor": ("Bill this many times the right amount.", {"factor": "2"}),
    "bill_missing": ("No units header (fal), no metrics (Replicate); the bill exists all the same.", {}),
    "bill_zero": ("Units 0 in the header, metrics 0; the bill exists all the same.", {}),
    "bill_late": ("The billing event comes this much later.", {"seconds": 60.0}),
    "bill_gap": ("The billing event never comes.", {}),
    # The pictures.
    "corrupt_image": ("The downloaded bytes cannot be decoded.", {}),
    "truncated_image": ("The download ends in the middle.", {}),
    "wrong_extension": ("The URL's extension is another format's.", {}),
    "wrong_size": ("Pictures of another size than asked for.", {"width": 640, "height": 480}),
    "foreign_host_url": (
        "Picture URLs on a host that is not the provider's.",
        {"host": "pictures.example.net"},
    ),
    "lost_files": ("The pictures' URLs answer 404.", {}),
    "null_sizes": ("fal: width, height, content_type and file_name are null.", {}),
    # Reads.
    "status_unknown_word": ("A status word that nobody knows.", {"word": "PREPARING", "count": 1}),
    "missing_logs_key": ("fal: status without the key logs.", {}),
    "result_expires": (
        "The result goes this long after the end (fal: 404, like after 1 h or, when large, 6 minutes; Replicate: data_removed).",
        {"seconds": 360.0},
    ),
    "lost_request": ("The id is unknown from now on: 404 on every read.", {}),
    "processing_with_output": ("Replicate: output is complete while the status is processing.", {"reads": 1}),
    "dict_error": ("Replicate: the error of a failed prediction is an object.", {}),
    "null_version": ("Replicate: version and model are null.", {}),
    "remapped": (
        "Replicate: the answer names another model and version than the request.",
        {"model": "replicate/lifeboat", "version": "d-" + "5" * 32},
    ),
    "old_metrics": ("Replicate: image_count instead of image_output_count.", {}),
    # Webhooks.
    "lose_webhook": ("Webhooks are never sent.", {}),
    "repeat_webhook": ("Each webhook is sent again.", {"copies": 1}),
    "forge_webhook": (
        "A webhook with a wrong signature comes first; only: no right one follows.",
        {"only": False},
    ),
    "delay_webhook": (
        "Webhooks come late. event: only those of this event (start, output, logs, completed), so that they change places.",
        {"seconds": 5.0, "event": ""},
    ),
    "stale_webhook": ("The signature's timestamp is old.", {"seconds": 600}),
    "replay_webhook": (
        "Each webhook is sent again, byte for byte, its old signature included, this much later.",
        {"seconds": 1.0, "copies": 1},
    ),
    "truncate_webhook": (
        (
            "A webhook that ends in the middle comes first. signed: what is there is rightly signed; cut: the "
            "connection ends before the announced length. only: no right one follows."
        ),
        {"signed": True, "cut": False, "only": False},
    ),
    "huge_webhook": (
        "A rightly signed webhook of this many bytes comes first; only: no right one follows.",
        {"bytes": 10 * 1024 * 1024, "only": False},
    ),
    "stray_webhook": (
        (
            "A rightly signed webhook about a request that nobody knows comes first, to a token that nobody "
            "knows; same_token: to the request's own."
        ),
        {"same_token": False},
    ),
    "gateway_webhook": (
        "fal: request_id names a try of fal's own, gateway_request_id what was submitted.",
        {},
    ),
    "null_payload_webhook": ("fal: payload null and payload_error.", {}),
    # Lists.
    "list_delay": ("The request shows up late in the provider's list.", {"seconds": 5.0}),
    "list_missing": ("The request never shows up in the provider's list.", {}),
    "list_bare": ("fal: the list does not show the request's payloads.", {}),
    "list_respelled": ("The list shows the request's input with the model's defaults filled in.", {}),
    "list_unavailable": (
        (
            "A list, or the keys of webhooks, answer with this status. endpoint: by-endpoint, billing-events, usage, jwks (fal); "
            "predictions, webhook-secret (Replicate). retry_after: seconds, 0 = not said."
        ),
        {"code": 503, "retry_after": 0},
    ),
}
"""Every kind: what it does, and its arguments with their defaults."""

LIST_KINDS = ("list_unavailable",)
"""Kinds that hit calls of a list instead of requests."""

_IN_PROMPT = re.compile(r"\[\[fault:([a-z0-9_]+)([^\]]*)\]\]")


class FaultError(ValueError):
    """An order for a fault that does not exist, or with arguments it does not have."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault on its way to one request."""

    kind: str
    args: Mapping[str, Any]

    def number(self, name: str) -> float:
        """A numeric argument."""
        return float(self.args[name])

    def flag(self, name: str) -> bool:
        """A yes-or-no argument."""
        return bool(self.args[name])


def make_fault(kind: str, args: Mapping[str, Any]) -> Fault:
    """The fault with its defaults filled in. Raises FaultError for unknown kinds and arguments."""
    if kind not in KINDS:
        raise FaultError(f"unknown fault kind {kind!r}; GET /admin/faults lists them")
    defaults = KINDS[kind][1]
    unknown = set(args) - set(defaults)
    if unknown:
        raise FaultError(f"fault {kind!r} has no argument {min(unknown)!r}; it has {sorted(defaults)}")
    if kind == "bill_factor":
        try:
            Decimal(str(args.get("factor", "2")))
        except InvalidOperation as error:
            raise FaultError("factor must be a decimal number") from error
    return Fault(kind, {**defaults, **args})


def faults_in_prompt(prompt: str) -> list[Fault]:
    """The faults a prompt orders. Raises FaultError like `make_fault`."""
    found = []
    for kind, rest in _IN_PROMPT.findall(prompt):
        args: dict[str, Any] = {}
        for pair in rest.split():
            name, _, text = pair.partition("=")
            args[name] = _value(text)
        found.append(make_fault(kind, args))
    return found


def _value(text: str) -> Any:
    if text in ("", "true"):
        return True
    if text == "false":
        return False
    try:
        return int(text)
    except ValueError:
        return text


@dataclass(slots=True)
class FaultOrder:
    """An order: which requests it hits (None = any), and how many more of them (None = for ever)."""

    number: int
    fault: Fault
    provider: str | None = None
    endpoint: str | None = None
    match_prompt: str | None = None
    times: int | None = 1
    hits: int = 0

    @property
    def hits_calls(self) -> bool:
        """Whether it hits calls that belong to no request: lists and uploads."""
        return self.fault.kind in LIST_KINDS or self.fault.args.get("on") == "upload"

    def wants(self, provider: str, endpoint: str, prompt: str) -> bool:
        """Whether this order hits such a request now."""
        return (
            (self.times is None or self.hits < self.times)
            and self.provider in (None, provider)
            and (self.endpoint is None or fnmatchcase(endpoint, self.endpoint))
            and (self.match_prompt is None or self.match_prompt in prompt)
        )

    def shown(self) -> dict[str, Any]:
        """The order as JSON."""
        return {
            "id": self.number,
            "provider": self.provider,
            "endpoint": self.endpoint,
            "match_prompt": self.match_prompt,
            "times": self.times,
            "hits": self.hits,
            "kind": self.fault.kind,
            "args": dict(self.fault.args),
        }


@dataclass(slots=True)
class FaultBoard:
    """All standing orders."""

    reads_prompts: bool
    orders: list[FaultOrder] = field(default_factory=list)
    _next_number: int = 1

    def order(self, wish: Mapping[str, Any]) -> FaultOrder:
        """Take {kind, args?, provider?, endpoint?, match_prompt?, times?}. Raises FaultError."""
        unknown = set(wish) - {"kind", "args", "provider", "endpoint", "match_prompt", "times"}
        if unknown:
            raise FaultError(f"unknown key {min(unknown)!r}")
        if wish.get("provider") not in (None, "fal", "replicate"):
            raise FaultError("provider must be fal or replicate")
        if len(self.orders) >= ORDERS_MAX:
            raise FaultError(f"at most {ORDERS_MAX} orders")
        fault = make_fault(str(wish.get("kind")), wish.get("args") or {})
        order = FaultOrder(
            self._next_number,
            fault,
            wish.get("provider"),
            wish.get("endpoint"),
            wish.get("match_prompt"),
            wish.get("times", 1),
        )
        self._next_number += 1
        self.orders.append(order)
        return order

    def claim(
        self, provider: str, endpoint: str, prompt: str, own: Iterable[tuple[str, Mapping[str, Any]]] = ()
    ) -> list[Fault]:
        """The faults that hit this request: the model's own, the ordered ones, and those in its prompt."""
        claimed = [make_fault(kind, args) for kind, args in own]
        taken: set[tuple[str, Any]] = set()
        for order in self.orders:
            slot = (order.fault.kind, order.fault.args.get("on"))
            if not order.hits_calls and slot not in taken and order.wants(provider, endpoint, prompt):
                order.hits += 1
                taken.add(slot)
                claimed.append(order.fault)
        if self.reads_prompts:
            claimed.extend(faults_in_prompt(prompt))
        return claimed

    def claim_list(self, provider: str, name: str) -> Fault | None:
        """The fault that hits this call of a list, to whose name the order's endpoint glob is matched."""
        return self._claim_call(provider, name, lambda fault: fault.kind in LIST_KINDS)

    def claim_call(self, provider: str, on: str) -> Fault | None:
        """The `status` fault that hits this call (an upload) which belongs to no request, if any."""
        return self._claim_call(provider, on, lambda fault: fault.args.get("on") == on)

    def _claim_call(self, provider: str, name: str, fits: Callable[[Fault], bool]) -> Fault | None:
        for order in self.orders:
            if order.hits_calls and fits(order.fault) and order.wants(provider, name, ""):
                order.hits += 1
                return order.fault
        return None

    def withdraw(self, number: int | None = None) -> int:
        """Take back one order, or all; how many were there."""
        kept = [] if number is None else [order for order in self.orders if order.number != number]
        count = len(self.orders) - len(kept)
        self.orders = kept
        return count
