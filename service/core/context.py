"""What the steps of a render work with, handed in once by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.lease import Lease
from service.core.logfeed import LogFeed
from service.core.switches import SwitchBoard
from service.domain.catalog import Catalog
from service.domain.records import Attempt
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


def _left(_attempt: Attempt) -> bool:
    """Nobody fetches aside what an attempt without a follower came to."""
    return False


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
    lease: Lease
    """Nothing is sent to a provider in the name of a render while it does not hold."""
    switches: SwitchBoard
    superseded: Callable[[Attempt], bool] = _left
    """Fetches what an attempt came to that its render did not wait for: its money and, where they help, its pictures."""
    webhooks_on: bool = False
    """Whether providers were told where to send webhooks: then polling is only a safety net."""
