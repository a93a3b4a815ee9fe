"""What tunes a submission and does not enter the fingerprint, as keyword arguments and as a message."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TypedDict, cast

from lightmeter import wire
from lightmeter.job import Job, LogLine, Preview, Progress
from lightmeter.money import Money, usd
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import job_pb2


class SubmitOptions(TypedDict, total=False):
    """Keyword arguments of every submission.

    `request_id` names the submission (1 to 64 printable characters); one is made when it is absent, so every
    retry is the same submission. `cache` is use, refresh or bypass; `cache_max_age` (timedelta or seconds)
    narrows use. `policy` orders the routes by name; `pin` allows only a provider (`"fal"`) or a route
    (`"fal/flux-dev"`). `max_cost` binds the job: Money, Decimal or a string of dollars. `job_timeout`
    (timedelta or seconds) ends the job, while the method's own `timeout` ends only the waiting. `labels` are
    for reports and budgets.
    """

    request_id: str
    cache: str
    cache_max_age: timedelta | float
    policy: str
    pin: str
    max_cost: Money | Decimal | str
    job_timeout: timedelta | float
    labels: Mapping[str, str]
    previews: bool


class WatchOptions(TypedDict, total=False):
    """Keyword arguments of everything that waits; each callback runs in the order of events.

    `on_progress` gets the progress of every version, `on_job` every version itself, `on_log` lines of the
    provider's log and `on_preview` unfinished pictures where the provider has them.
    """

    on_progress: Callable[[Progress], object]
    on_job: Callable[[Job], object]
    on_log: Callable[[LogLine], object]
    on_preview: Callable[[Preview], object]


class CallOptions(SubmitOptions, WatchOptions, total=False):
    """Keyword arguments of what submits and then waits."""


def split(options: CallOptions) -> tuple[SubmitOptions, WatchOptions]:
    """What is for the submission, and what for the watch after it."""
    mine = WatchOptions.__annotations__.keys()
    follow = {key: value for key, value in options.items() if key in mine}
    submit = {key: value for key, value in options.items() if key not in mine}
    return cast("SubmitOptions", submit), cast("WatchOptions", follow)


def new_request_id() -> str:
    """A name for a submission that has none."""
    return str(uuid.uuid4())


def submit_options(options: SubmitOptions) -> pb.SubmitOptions:
    """The message for the wire. A word that does not exist, two routings or a float of dollars are refused
    here.
    """
    unknown = options.keys() - SubmitOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown option: {', '.join(sorted(unknown))}")
    message = pb.SubmitOptions(
        request_id=options.get("request_id") or new_request_id(),
        labels=options.get("labels"),
        previews=options.get("previews", False),
    )
    if cache := options.get("cache"):
        message.cache_mode = wire.number(job_pb2.CacheMode, cache, "cache")
    if (age := options.get("cache_max_age")) is not None:
        message.cache_max_age.CopyFrom(wire.as_duration(age))
    if (span := options.get("job_timeout")) is not None:
        message.job_timeout.CopyFrom(wire.as_duration(span))
    if (cost := options.get("max_cost")) is not None:
        message.max_cost.CopyFrom(usd(cost).proto)
    policy, pin = options.get("policy"), options.get("pin")
    if policy and pin:
        raise ValueError("policy and pin exclude each other")
    if policy:
        message.policy = policy
    if pin:
        message.pin.provider, _, message.pin.route = pin.partition("/")
    return message
