"""What the steps of a render work with, handed in once by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.logfeed import LogFeed
from service.domain.catalog import Catalog
from service.metrics import Metrics
from service.ports import (
    Blobs,
    Clock,
    Dice,
    Downloads,
    Hints,
    JobReader,
    Log,
    Pictures,
    Provider,
    ProviderRecords,
    Store,
    WorkReader,
)


@dataclass(frozen=True, slots=True)
class RunContext:
    """Ports and shared pieces. `providers` is by name, and so is `records`, as far as their books can be read."""

    store: Store
    jobs: JobReader
    work: WorkReader
    providers: Mapping[str, Provider]
    records: Mapping[str, ProviderRecords]
    catalog: Catalog
    blobs: Blobs
    pictures: Pictures
    downloads: Downloads
    hints: Hints
    feed: LogFeed
    clock: Clock
    dice: Dice
    log: Log
    metrics: Metrics
    tag: Callable[[str], str]
    """What a log line says instead of a fingerprint: equal for equal requests, and nothing to guess from."""
    webhooks_on: bool = False
    """Whether providers were told where to send webhooks: then polling is only a safety net."""
