"""A provider as it truly is: what it accepted, what it drew, what it bills. Nobody but the closing account looks in here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.domain.absence import AbsenceRule
from service.domain.errors import Reason
from service.domain.exchange import (
    CancelAnswer,
    Ended,
    Listed,
    Order,
    Output,
    Result,
    Scan,
    Search,
    Stage,
    Status,
)
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.sent import input_digest
from tests.simulation.loop import VirtualLoop
from tests.simulation.mishaps import Mishaps
from tests.simulation.trace import Trace

PICTURE_NANOS = {"sandbox/test-ok": 10_000_000}
_EDIT_NANOS = 40_000_000
"""What one picture costs, at either provider: of the test model by its endpoint, and of the model that edits."""

FAL_ABSENCE = AbsenceRule(
    900.0, waits=True, scans=2, scan_gap_seconds=30.0, within_seconds=None, dispatch_again=False
)
REPLICATE_ABSENCE = AbsenceRule(
    120.0, waits=False, scans=2, scan_gap_seconds=30.0, within_seconds=3_000.0, dispatch_again=True
)


@dataclass(slots=True)
class Asked:
    """One accepted request. Times are seconds of the run."""

    provider_id: str
    token: str
    endpoint: str
    digest: str
    images_asked: int
    received_at: float
    starts_at: float
    ends_at: float
    back_at: float | None
    """When it goes back into the queue for a moment."""
    outcome: str
    """ok, failed, refused (failed by its input), expired (never started), cancelled."""
    images: int
    units: Decimal
    says_units: bool
    kept_seconds: float
    listed_at: float
    broken: bool = False
    forgotten: tuple[float, float] = (0.0, 0.0)
    bill_nanos: int = 0
    """What it will bill once it ended."""
    looks: int = 0
    mute: bool = False
    """Its status is shown, and its result never."""

    def stage(self, now: float) -> Stage:
        """Where it stands."""
        if now >= self.ends_at:
            return Stage.ENDED
        if now < self.starts_at or (self.back_at is not None and self.back_at <= now < self.back_at + 2.0):
            return Stage.QUEUED
        return Stage.RUNNING


class Cloud:
    """One provider. fal lists what has started; Replicate lists what it has received."""

    def __init__(self, name: str, loop: VirtualLoop, mishaps: Mishaps, trace: Trace) -> None:
        self.name = name
        self._loop = loop
        self._mishaps = mishaps
        self._trace = trace
        self.requests: dict[str, Asked] = {}
        self.on_accepted: Callable[[str, Asked], None] = _nobody
        self.on_ended: Callable[[str, Asked], None] = _nobody

    @property
    def absence(self) -> AbsenceRule:
        """What its list proves."""
        return FAL_ABSENCE if self.name == "fal" else REPLICATE_ABSENCE

    def accept(self, order: Order) -> Asked:
        """A POST has arrived and is good."""
        now, random, weather = self._loop.time(), self._mishaps.random, self._mishaps.weather
        happens = self._mishaps.happens
        body = json.loads(order.body)
        count = int(body.get("num_images", body.get("num_outputs", 1)))
        queue = random.uniform(0.05, 2.0)
        if happens(weather.queue_long):
            queue = random.uniform(20.0, 590.0)
        run = random.uniform(0.5, 15.0)
        outcome = "ok"
        if happens(weather.queue_endless):
            queue, run, outcome = float(order.start_timeout_seconds), 0.0, "expired"
        elif happens(weather.fails):
            outcome = random.choice(("failed", "failed", "refused"))
        images = random.randint(0, count) if happens(weather.fewer) else count
        units = Decimal(images or count)
        if happens(weather.bills_other):
            units = random.choice((Decimal("0.5"), Decimal(count * 3), Decimal(count) + Decimal("1.25")))
            if self.name == "replicate":
                units = Decimal(max(1, int(units)))
        asked = Asked(
            provider_id=f"{self.name}-{len(self.requests) + 1:04d}", token=order.token, endpoint=order.endpoint,
            digest=input_digest(body), images_asked=count, received_at=now, starts_at=now + queue,
            ends_at=now + queue + run, back_at=None, outcome=outcome, images=images, units=units,
            says_units=not happens(weather.says_no_bill),
            kept_seconds=random.choice((360.0, 3_600.0)) if self.name == "replicate" else 86_400.0,
            listed_at=self._listed_at(now, queue), broken=happens(weather.result_broken),
        )  # fmt: skip
        if run > 4.0 and happens(weather.goes_back):
            asked.back_at = asked.starts_at + random.uniform(0.5, run - 2.5)
        if happens(weather.forgets):
            start = now + random.uniform(0.0, queue + run)
            asked.forgotten = (start, start + random.uniform(1.0, 100.0))
        if happens(weather.lost_for_good):
            asked.forgotten = (now + random.uniform(0.0, queue + run), float("inf"))
            asked.mute = random.random() < 0.5
        asked.bill_nanos = self._bill(asked)
        self.requests[asked.provider_id] = asked
        self._trace.note(self.name, "accepted", asked.provider_id, order.token, outcome)
        self.on_accepted(self.name, asked)
        self._notify_at(asked)
        return asked

    def _listed_at(self, now: float, queue: float) -> float:
        late = self._mishaps.happens(self._mishaps.weather.list_partial)
        if self.name == "fal":
            return now + queue + (self._mishaps.random.uniform(0.0, 800.0) if late else 0.5)
        return now + (self._mishaps.random.uniform(0.0, 90.0) if late else 0.5)

    def _bill(self, asked: Asked) -> int:
        price = PICTURE_NANOS.get(asked.endpoint, _EDIT_NANOS)
        if asked.outcome == "ok":
            return int(asked.units * price)
        if asked.outcome == "refused" and self.name == "fal":
            return self._mishaps.random.choice((0, asked.images_asked * price))
        return 0

    def _notify_at(self, asked: Asked) -> None:
        ends_at = asked.ends_at

        def ended() -> None:
            if asked.ends_at == ends_at:
                self.on_ended(self.name, asked)

        self._loop.call_later(ends_at - self._loop.time(), ended, context=self._loop.world)

    # -- looks

    def status(self, provider_id: str) -> Status:
        """What a look at the status says."""
        asked = self.requests.get(provider_id)
        now = self._loop.time()
        if asked is None or (asked.forgotten[0] <= now < asked.forgotten[1] and not asked.mute):
            return Status(Stage.GONE)
        asked.looks += 1
        stage = asked.stage(now)
        if stage is Stage.QUEUED:
            return Status(stage, queue_position=max(0, int((asked.starts_at - now) / 5)))
        if stage is Stage.RUNNING and self.name == "replicate":
            share = (now - asked.starts_at) / max(0.001, asked.ends_at - asked.starts_at)
            return Status(stage, fraction=share)
        return Status(stage)

    def result(self, provider_id: str) -> Result | None:
        """The result of an ended request; None when there is none to be had."""
        asked = self.requests.get(provider_id)
        now = self._loop.time()
        if asked is None or now < asked.ends_at or asked.forgotten[1] == float("inf"):
            return None
        left = asked.kept_seconds if self.name == "fal" else asked.ends_at + asked.kept_seconds - now
        metrics = {"image_output_count": asked.units} if self.name == "replicate" and asked.says_units else {}
        match asked.outcome:
            case "ok":
                gone = self.name == "replicate" and left <= 0
                count = 0 if gone else asked.images
                outputs = tuple(
                    Output(f"https://{self.name}.invalid/{provider_id}/{n}") for n in range(count)
                )
                return Result(
                    Ended.SUCCEEDED, outputs=outputs, failure=None if outputs else _failure(Reason.NO_IMAGES),
                    billable_units=asked.units if self.name == "fal" and asked.says_units else None,
                    metrics=metrics, expires_in_seconds=max(0.0, left), queue_seconds=1.0, run_seconds=2.0,
                )  # fmt: skip
            case "cancelled":
                return Result(Ended.CANCELLED, failure=_failure(Reason.PROVIDER_FAILED))
            case "refused":
                return Result(Ended.FAILED, failure=_failure(Reason.CONTENT_REJECTED, Fault.CALLER),
                              surely_unbilled=self.name == "replicate")  # fmt: skip
            case "expired" if self.name == "replicate":
                return Result(Ended.ABORTED, failure=_failure(Reason.PROVIDER_FAILED), surely_unbilled=True)
            case _:
                return Result(Ended.FAILED, failure=_failure(Reason.PROVIDER_FAILED), surely_unbilled=True)

    def cancel(self, provider_id: str) -> CancelAnswer:
        """Somebody asks to stop it."""
        asked = self.requests.get(provider_id)
        now = self._loop.time()
        if asked is None:
            return CancelAnswer.UNKNOWN_ID
        self._trace.note(self.name, "asked to cancel", provider_id, asked.stage(now).value)
        match asked.stage(now):
            case Stage.ENDED:
                return CancelAnswer.TOO_LATE
            case Stage.QUEUED if asked.back_at is None:
                self._end(asked, now, 0)
                return CancelAnswer.CANCELLED
            case _:
                if self._mishaps.random.random() < 0.5:
                    # Stopped under way: what that costs nobody says.
                    self._end(asked, now + 1.0, self._mishaps.random.choice((0, asked.bill_nanos)))
                return CancelAnswer.ASKED

    def _end(self, asked: Asked, at: float, bill_nanos: int) -> None:
        if asked.starts_at > at:
            asked.listed_at = float("inf") if self.name == "fal" else asked.listed_at
            asked.starts_at = at
        asked.ends_at, asked.outcome, asked.bill_nanos, asked.back_at = at, "cancelled", bill_nanos, None
        self._notify_at(asked)

    def listed(self, search: Search, micros: Callable[[float], int]) -> Scan:
        """What its list shows of a search."""
        now = self._loop.time()
        weather = self._mishaps.weather
        partial = weather.list_dead == "partial" or self._mishaps.happens(weather.list_partial)
        found = [
            Listed(one.provider_id, micros(one.received_at))
            for one in self.requests.values()
            if one.listed_at <= now
            and (one.endpoint, one.digest) == (search.endpoint, search.input_digest)
            and search.sent_from <= micros(one.received_at) < search.sent_before
            and not (partial and self._mishaps.random.random() < 0.5)
        ]
        return Scan(tuple(found), complete=not partial)

    def picture(self, url: str) -> bytes | None:
        """The bytes behind an address of its own; None once they are gone."""
        provider_id, _, number = url.removeprefix(f"https://{self.name}.invalid/").partition("/")
        asked = self.requests.get(provider_id)
        if asked is None or self._loop.time() > asked.ends_at + asked.kept_seconds:
            return None
        return b"bad" if asked.broken else f"{asked.digest} {provider_id} {number}".encode()


def _failure(reason: Reason, fault: Fault = Fault.PROVIDER) -> Failure:
    return Failure(reason, "it did not work", fault, RetryAdvice.FREE)


def _nobody(_name: str, _asked: Asked) -> None:
    """Nobody listens."""


def facts(asked: Any) -> str:
    """One line about a request."""
    return (
        f"{asked.provider_id} token={asked.token[:8]} received={asked.received_at:.3f} ends={asked.ends_at:.3f} "
        f"{asked.outcome} bill={asked.bill_nanos}"
    )
