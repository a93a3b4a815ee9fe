"""The book: every request the sandbox has seen, what became of it, and what it billed.

It is the truth that tests compare a ledger with: POSTs, accepted requests and bills are counted apart, so
that a request that was sent twice shows up as two POSTs, and one that was paid twice as two bills.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sandbox.catalog import Ask, Model, Provider
from sandbox.clock import Nap
from sandbox.faults import Fault
from sandbox.fields import Problem
from sandbox.tariffs import Charge

INPUT_SHOWN_MAX_CHARACTERS = 4_000


class Phase(StrEnum):
    """Where a request is."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


class Outcome(StrEnum):
    """How a request ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed: fal's result answer (status, body, headers) and Replicate's error text."""

    code: int
    body: Mapping[str, Any]
    error: str
    error_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """One output picture as it is announced; its bytes are drawn when somebody downloads it."""

    width_px: int
    height_px: int
    flagged: bool = False


@dataclass(slots=True)
class Entry:
    """One accepted request. Times are seconds of the sandbox's clock."""

    number: int
    provider: Provider
    id: str
    model: Model
    input: Mapping[str, Any]
    faults: list[Fault]
    accepted_at: float
    queue_seconds: float
    run_seconds: float
    queue_depth: int
    ask: Ask | None = None
    problems: tuple[Problem, ...] = ()
    webhook_url: str | None = None
    webhook_events: tuple[str, ...] = ()
    deadline_at: float | None = None
    start_by: float | None = None
    stored_io: bool = True
    files_expire_seconds: float | None = None
    gateway_id: str = ""
    route: Mapping[str, Any] = field(default_factory=dict)
    posts: int = 1
    generation: int = 0
    phase: Phase = Phase.QUEUED
    queued_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    failure: Failure | None = None
    pictures: list[Picture] = field(default_factory=list)
    input_shas: tuple[str, ...] = ()
    seed: int = 0
    charge: Charge | None = None
    cancel_asked: bool = False
    nap: Nap | None = None
    watchers: set[Nap] = field(default_factory=set)
    reads: Counter[str] = field(default_factory=Counter)

    def fault(self, kind: str) -> Fault | None:
        """The first fault of this kind that this request has."""
        return next((fault for fault in self.faults if fault.kind == kind), None)

    def changed(self) -> None:
        """Tell everybody who waits for a change of this request."""
        for nap in self.watchers:
            nap.wake()

    @property
    def input_digest(self) -> str:
        """The input's SHA-256, however its keys were ordered and its numbers written."""
        return digest_of(self.input)

    @property
    def bill_nanos(self) -> int:
        """What the provider charges for this request, in nano-USD."""
        return 0 if self.charge is None else self.charge.nanos

    @property
    def token(self) -> str | None:
        """The last path segment of the webhook URL: the caller's correlation token."""
        return None if self.webhook_url is None else urlsplit(self.webhook_url).path.rsplit("/", 1)[-1]


@dataclass(slots=True)
class Refused:
    """A POST that was not accepted."""

    provider: Provider
    endpoint: str
    status: int
    at: float
    token: str | None
    input_digest: str | None = None


@dataclass(slots=True)
class Totals:
    """Counts since the start or the last reset; forgotten requests stay counted."""

    posts: int = 0
    accepted: int = 0
    billed_count: int = 0
    billed_nanos: int = 0
    webhooks_sent: int = 0
    reads: int = 0
    turned_away: int = 0
    """Calls that an outage met. POSTs among them are not counted as POSTs."""


def digest_of(given: Any) -> str:
    """SHA-256 of an input as canonical JSON: keys in order, `1.0` as `1`, members that are null left out."""
    text = json.dumps(_canonical(given), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Book:
    """Every request by id, in the order of acceptance; the oldest beyond `kept_max` are forgotten."""

    def __init__(self, kept_max: int) -> None:
        self._kept_max = kept_max
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._same: OrderedDict[str, int] = OrderedDict()
        self._generation = 0
        self.refused: list[Refused] = []
        self.totals: dict[str, Totals] = {"fal": Totals(), "replicate": Totals()}

    def note_post(self, provider: Provider, endpoint: str, given: Any, webhook_url: str | None) -> int:
        """Count one POST; how many equal ones (endpoint, input, webhook URL) there have been by now."""
        self.totals[provider].posts += 1
        canonical = json.dumps([provider, endpoint, given, webhook_url], sort_keys=True, default=str)
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        count = self._same.pop(digest, 0) + 1
        self._same[digest] = count
        if len(self._same) > self._kept_max:
            self._same.popitem(last=False)
        return count

    def note_refused(self, refused: Refused) -> None:
        """Remember a POST that was not accepted (the newest `kept_max`)."""
        self.refused.append(refused)
        if len(self.refused) > self._kept_max:
            del self.refused[: self._kept_max // 10 + 1]

    def accept(self, entry: Entry) -> None:
        """Write an accepted request down."""
        entry.generation = self._generation
        self._entries[entry.id] = entry
        self.totals[entry.provider].accepted += 1
        if len(self._entries) > self._kept_max:
            oldest = next(iter(self._entries.values()))
            if oldest.phase is Phase.ENDED or len(self._entries) > 2 * self._kept_max:
                del self._entries[oldest.id]

    def bill(self, entry: Entry, charge: Charge) -> None:
        """Write the bill of an ended request down, once."""
        if entry.charge is not None:
            raise ValueError(f"request {entry.id} is billed already")
        entry.charge = charge
        if not self.is_current(entry):
            return
        totals = self.totals[entry.provider]
        totals.billed_count += 1
        totals.billed_nanos += charge.nanos

    def find(self, provider: Provider, request_id: str) -> Entry | None:
        """The request of this id, unless it is unknown, forgotten, or lost by a fault."""
        entry = self._entries.get(request_id)
        if entry is None or entry.provider != provider:
            return None
        return entry

    def is_current(self, entry: Entry) -> bool:
        """False for a request from before the last reset, which nobody counts any more."""
        return entry.generation == self._generation

    def newest_first(self, provider: Provider) -> Iterator[Entry]:
        """All remembered requests of a provider."""
        return (entry for entry in reversed(self._entries.values()) if entry.provider == provider)

    def clear(self) -> None:
        """Forget everything."""
        self._generation += 1
        self._entries.clear()
        self._same.clear()
        self.refused.clear()
        self.totals = {"fal": Totals(), "replicate": Totals()}

    def __len__(self) -> int:
        return len(self._entries)
