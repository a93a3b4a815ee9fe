"""What each replica counts for Prometheus, and how exact ledger figures become exposition text.

Names and labels are a promise to dashboards: they are not changed, only added to. Labels hold names from
the catalog, the projects and our enums, never ids, prompts or texts of providers: configuration bounds them.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import nan
from typing import Any, Final, Self

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# What we add lies between half a millisecond and seconds, what a provider takes between seconds and minutes.
_OURS_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_CALL_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TRANSFER_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_JOB_SECONDS: Final = (
    0.01,
    0.1,
    0.5,
    1.0,
    2.0,
    3.0,
    5.0,
    7.5,
    10.0,
    15.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    900.0,
)
_PHASE_SECONDS: Final = (
    0.001,
    0.01,
    0.05,
    0.1,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    30.0,
    60.0,
    120.0,
    300.0,
    900.0,
)
_BATCH_COMMANDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
# A share above one is an overrun: the provider billed more than was set aside.
_HOLD_SHARES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0, 1.01, 1.1, 1.5, 2.0)


class Counter(prometheus_client.Counter):
    """The library's, which remembers each series by the values as they were given: most of a count was the way to it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._series: dict[tuple[Any, ...], Self] = {}
        super().__init__(*arguments, **options)

    def labels(self, *labelvalues: Any, **labelkwargs: Any) -> Self:
        """The series of these values."""
        found = None if labelkwargs else self._series.get(labelvalues)
        if found is None:
            found = super().labels(*labelvalues, **labelkwargs)
            if not labelkwargs:
                self._series[labelvalues] = found
        return found


class Histogram(prometheus_client.Histogram):
    """The same for histograms."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._series: dict[tuple[Any, ...], Self] = {}
        super().__init__(*arguments, **options)

    def labels(self, *labelvalues: Any, **labelkwargs: Any) -> Self:
        """The series of these values."""
        found = None if labelkwargs else self._series.get(labelvalues)
        if found is None:
            found = super().labels(*labelvalues, **labelkwargs)
            if not labelkwargs:
                self._series[labelvalues] = found
        return found


class CallMetrics:
    """Calls over gRPC, by the names that gRPC dashboards expect."""

    def __init__(self, registry: CollectorRegistry) -> None:
        method = ("grpc_service", "grpc_method")
        self.started = Counter(
            "grpc_server_started", "Calls that began.", method, registry=registry
        )  # a call that begins has no code yet
        self.handled = Counter(
            "grpc_server_handled", "Calls that ended, by code.", (*method, "grpc_code"), registry=registry
        )
        self.handling_seconds = Histogram(
            "grpc_server_handling_seconds",
            "Time from first byte to last, by code. Watches and calls with `wait` last on purpose.",
            (*method, "grpc_code"),
            buckets=_CALL_SECONDS,
            registry=registry,
        )
        self.refusals = Counter(
            "lightmeter_refusals",
            "Requests that were not accepted, by ErrorReason.",
            ("reason",),
            registry=registry,
        )
        self.budget_refusals = Counter(
            "lightmeter_budget_refusals",
            "Calls that a hard budget had no room for.",
            ("project", "budget"),
            registry=registry,
        )


class JobMetrics:
    """Jobs and what they took. Money is not here: exact figures come from the ledger's own page."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.accepted = Counter(
            "lightmeter_jobs_accepted",
            "Jobs accepted; replays of a request_id do not count.",
            ("project", "model", "operation", "origin"),
            registry=registry,
        )
        self.finished = Counter(
            "lightmeter_jobs_finished",
            "Jobs that became final.",
            ("project", "model", "provider", "operation", "origin", "outcome", "fault"),
            registry=registry,
        )
        self.seconds = Histogram(
            "lightmeter_job_seconds",
            "Time from acceptance to a succeeded job's final state.",
            ("model", "provider", "origin"),
            buckets=_JOB_SECONDS,
            registry=registry,
        )
        self.phase_seconds = Histogram(
            "lightmeter_job_phase_seconds",
            "Time that jobs spent in one phase; the phases of a job sum to its total.",
            ("model", "provider", "phase"),
            buckets=_PHASE_SECONDS,
            registry=registry,
        )
        self.added_seconds = Histogram(
            "lightmeter_added_seconds",
            "Time that is ours: total without the provider's queue and run, and without refused attempts.",
            ("origin",),
            buckets=_OURS_SECONDS,
            registry=registry,
        )
        self.cache_lookups = Counter(
            "lightmeter_cache_lookups", "Looks into the cache.", ("model", "outcome"), registry=registry
        )
        self.hold_use_ratio = Histogram(
            "lightmeter_hold_use_ratio",
            "Charged amount as a share of what was held for it; above 1 is an overrun.",
            ("model", "provider"),
            buckets=_HOLD_SHARES,
            registry=registry,
        )


class ProviderMetrics:
    """What happens between us and the providers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        route = ("provider", "route")
        self.dispatches = Counter(
            "lightmeter_dispatches", "Requests sent to a provider.", (*route, "outcome"), registry=registry
        )
        self.errors = Counter(
            "lightmeter_provider_errors",
            "Errors of a provider, by kind.",
            (*route, "kind"),
            registry=registry,
        )
        self.failovers = Counter(
            "lightmeter_failovers",
            "Renders that went on to another route.",
            ("from", "to", "cause"),
            registry=registry,
        )
        self.double_dispatches = Counter(
            "lightmeter_double_dispatches",
            "Requests that arrived after their render had gone on without them.",
            route,
            registry=registry,
        )
        self.breaker_open = Gauge(
            "lightmeter_breaker_open",
            "1 while a route is not asked because it keeps failing.",
            route,
            registry=registry,
        )
        self.account_ok = Gauge(
            "lightmeter_provider_account_ok",
            "0 while the provider refuses our account (key, balance, suspension).",
            ("provider",),
            registry=registry,
        )
        self.polls = Counter(
            "lightmeter_polls", "Looks at running requests.", ("provider", "outcome"), registry=registry
        )
        self.webhooks = Counter(
            "lightmeter_webhooks", "Webhooks that came in.", ("provider", "outcome"), registry=registry
        )


class PictureMetrics:
    """Bytes on their way."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.download_seconds = Histogram(
            "lightmeter_download_seconds",
            "Time to fetch one result from a provider.",
            buckets=_TRANSFER_SECONDS,
            registry=registry,
        )
        self.blob_seconds = Histogram(
            "lightmeter_blob_seconds",
            "Time of one call to the picture store.",
            buckets=_TRANSFER_SECONDS,
            registry=registry,
        )


class WatchMetrics:
    """Streams of job versions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge("lightmeter_watches_open", "Watches open on this replica.", registry=registry)
        self.delivery_seconds = Histogram(
            "lightmeter_watch_delivery_seconds",
            "Time from the transaction that ended a job to its last message on a watch, by two clocks.",
            buckets=_OURS_SECONDS,
            registry=registry,
        )


class StoreMetrics:
    """The database: batches, waits, repeats, leases."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_commands = Histogram(
            "lightmeter_store_batch_commands",
            "Commands that shared one transaction.",
            buckets=_BATCH_COMMANDS,
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "lightmeter_store_commit_seconds",
            "Time of one batch from its first query to its commit.",
            buckets=_OURS_SECONDS,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "lightmeter_store_queue_seconds",
            "Time a command waited for its batch.",
            buckets=_OURS_SECONDS,
            registry=registry,
        )
        self.replays = Counter(
            "lightmeter_store_replays", "Batches that had to be repeated.", ("cause",), registry=registry
        )
        self.lease_takeovers = Counter(
            "lightmeter_lease_takeovers",
            "Renders taken over from a replica that fell silent.",
            registry=registry,
        )


class ReplicaMetrics:
    """This process: what it is, and whether its event loop is held up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.event_loop_lag_seconds = Histogram(
            "lightmeter_event_loop_lag_seconds",
            "How much later than asked for the event loop woke a sleeper.",
            buckets=_OURS_SECONDS,
            registry=registry,
        )
        self._build_info = Gauge(
            "lightmeter_build_info", "1; the labels say what runs.", ("version", "python"), registry=registry
        )
        self._catalog_info = Gauge(
            "lightmeter_catalog_info",
            "1; the label names the loaded catalog.",
            ("version",),
            registry=registry,
        )
        self.ledger_verify_ok = Gauge(
            "lightmeter_ledger_verify_ok",
            "1 or 0: whether the last check found the books right. NaN where none was made yet, or another replica makes it.",
            registry=registry,
        )
        self.ledger_verify_ok.set(nan)

    def set_build(self, version: str) -> None:
        """Say which release runs, on which Python."""
        self._build_info.labels(version, platform.python_version()).set(1)

    def set_catalog(self, version: str) -> None:
        """Say which catalog is loaded; the one before is forgotten."""
        self._catalog_info.clear()
        self._catalog_info.labels(version).set(1)


def new_registry() -> CollectorRegistry:
    """An empty registry; one per replica."""
    return CollectorRegistry()


class Metrics:
    """All metrics of one replica, registered with the registry that it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # A switch of the whole process: without it every counter has a second series with its birth date.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it without annotations
        self.registry = registry
        self.calls = CallMetrics(registry)
        self.jobs = JobMetrics(registry)
        self.providers = ProviderMetrics(registry)
        self.pictures = PictureMetrics(registry)
        self.watches = WatchMetrics(registry)
        self.store = StoreMetrics(registry)
        self.replica = ReplicaMetrics(registry)

    def watch_process(self) -> None:
        """Add what the library measures of the process: memory, CPU time, open files. Once per registry."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def expose(self) -> bytes:
        """The exposition text. Takes 13 ms per 1,000 series: call it in a thread, never on the event loop."""
        return generate_latest(self.registry)


# ---------------------------------------------------------------- figures of the ledger


@dataclass(frozen=True, slots=True)
class Family:
    """One metric whose values were read elsewhere, in one snapshot: a name, a meaning, and its samples.

    `name` is the sample name in full (`lightmeter_ledger_charged_usd_total`). A sample is its label values in
    the order of `label_names`, and its value. Money comes from `usd_from_nanos`, never as a float.
    """

    name: str
    meaning: str
    label_names: tuple[str, ...]
    samples: Sequence[tuple[tuple[str, ...], Decimal | int]]
    counter: bool = False


def expose_families(families: Iterable[Family]) -> bytes:
    """Exposition text of the families, values written exactly. Raises ValueError when a sample lacks a label.

    Prometheus reads a value as a float64: exact to the nano-dollar below 8.39 million dollars per series.
    """
    lines: list[str] = []
    for family in families:
        kind = "counter" if family.counter else "gauge"
        meaning = family.meaning.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {family.name} {meaning}", f"# TYPE {family.name} {kind}"]
        for values, amount in family.samples:
            pairs = zip(family.label_names, values, strict=True)
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
            text = f"{amount:f}" if isinstance(amount, Decimal) else str(amount)
            lines.append(f"{family.name}{{{labels}}} {text}" if labels else f"{family.name} {text}")
    return "".join(f"{line}\n" for line in lines).encode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
