"""Where the rooms' counts go: what a room reports, in its own words, becomes metrics here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from service.database.lane import BatchReport, Watcher
from service.domain.catalog import Catalog
from service.domain.exchange import Health
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Attempt, Job, JobState, Origin
from service.metrics import Metrics
from service.ports import RouteHealth

_CLOSED_TO_US: Final = frozenset({Health.OPEN, Health.ACCOUNT_BLOCKED})


class StoreMeter(Watcher):
    """Counts batches, and the jobs that became final in them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, report: BatchReport) -> None:
        """A batch was committed."""
        store = self._metrics.store
        store.batch_commands.observe(report.commands_count)
        store.commit_seconds.observe(report.seconds)
        for seconds in report.queue_seconds:
            store.queue_seconds.observe(seconds)
        for job, winning in report.ended:
            self._ended(job, winning)

    def replayed(self, cause: str) -> None:
        """A batch failed and is tried again."""
        self._metrics.store.replays.labels(cause).inc()

    def _ended(self, job: Job, winning: Attempt | None) -> None:
        provider = winning.provider if winning else ""
        fault = job.failure.fault.value if job.failure else "NONE"
        jobs = self._metrics.jobs
        jobs.finished.labels(
            job.project, job.model, provider, job.operation, job.origin.value, job.state.value, fault
        ).inc()
        if job.state is not JobState.SUCCEEDED or job.final_at is None:
            return
        total = (job.final_at - job.accepted_at) / MICROS_PER_SECOND
        jobs.seconds.labels(job.model, provider, job.origin.value).observe(total)
        if job.origin is Origin.CACHE:
            jobs.added_seconds.labels(job.origin.value).observe(total)
        elif job.origin is Origin.PROVIDER and winning is not None:
            self._phases(job, winning, total)

    def _phases(self, job: Job, winning: Attempt, total: float) -> None:
        jobs = self._metrics.jobs
        queue, run = winning.queue_seconds or 0.0, winning.run_seconds or 0.0
        jobs.phase_seconds.labels(job.model, winning.provider, "provider_queue").observe(queue)
        jobs.phase_seconds.labels(job.model, winning.provider, "provider_run").observe(run)
        retried = (
            max(0, (winning.dispatched_at or job.accepted_at) - job.accepted_at) if winning.number > 1 else 0
        )
        ours = max(0.0, total - queue - run - retried / MICROS_PER_SECOND)
        jobs.phase_seconds.labels(job.model, winning.provider, "added").observe(ours)
        jobs.added_seconds.labels(job.origin.value).observe(ours)


class ProviderMeter:
    """Counts what happens at the providers, by route names of the catalog."""

    def __init__(self, metrics: Metrics, catalog: Catalog) -> None:
        self._metrics = metrics
        self._routes = {
            (route.provider, route.endpoint): route.name
            for model in catalog.models.values()
            for route in model.routes
        }

    def dispatch(self, provider: str, endpoint: str, outcome: str) -> None:
        """One dispatch."""
        self._metrics.providers.dispatches.labels(provider, self._route(provider, endpoint), outcome).inc()

    def error(self, provider: str, endpoint: str, kind: str) -> None:
        """One error."""
        self._metrics.providers.errors.labels(provider, self._route(provider, endpoint), kind).inc()

    def poll(self, provider: str, outcome: str) -> None:
        """One look."""
        self._metrics.providers.polls.labels(provider, outcome).inc()

    def _route(self, provider: str, endpoint: str) -> str:
        return self._routes.get((provider, endpoint), endpoint)


def watch_breakers(metrics: Metrics, catalog: Catalog, breakers: Mapping[str, RouteHealth]) -> None:
    """Let the gauges of routes and accounts look at the breakers whenever they are scraped."""
    endpoints: dict[str, list[str]] = {provider: [] for provider in breakers}
    for model in catalog.models.values():
        for route in model.routes:
            endpoints[route.provider].append(route.endpoint)
            metrics.providers.breaker_open.labels(route.provider, route.name).set_function(
                partial(_is_open, breakers[route.provider], route.endpoint)
            )
    for provider, breaker in breakers.items():
        metrics.providers.account_ok.labels(provider).set_function(
            partial(_is_served, breaker, endpoints[provider])
        )


def _is_open(breaker: RouteHealth, endpoint: str) -> float:
    return float(breaker.health(endpoint) in _CLOSED_TO_US)


def _is_served(breaker: RouteHealth, endpoints: Sequence[str]) -> float:
    return float(all(breaker.health(one) is not Health.ACCOUNT_BLOCKED for one in endpoints))
