"""One replica, whole: what it is made of, in which order it starts, drains and stops."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

from service.app.doors import Doors, open_doors
from service.app.duties import Duties
from service.app.finance import BooksOutOfReach
from service.app.meters import ProviderMeter, StoreMeter, watch_breakers
from service.app.parts import Outside, offered, open_outside
from service.catalog.loader import CatalogInvalid, load_catalog
from service.clock import SystemClock, SystemDice
from service.core.budget_rules import apply_budgets
from service.core.budgeting import BudgetLine, Budgets
from service.core.context import RunContext
from service.core.late import LateResults
from service.core.logfeed import LogFeed
from service.core.price_news import PriceNews
from service.core.pricing import Catalogs
from service.core.reconcile import Reconciler
from service.core.retention import Ages
from service.core.runner import Runner
from service.core.storing import StorageAccrual
from service.core.switches import SwitchBoard
from service.database.engine import DatabaseInUse
from service.database.open import Database, open_database
from service.domain.catalog import Catalog
from service.domain.errors import LightmeterError
from service.domain.records import Period
from service.log import fingerprint_tag, get_logger
from service.metrics import Metrics, new_registry
from service.providers.sandbox_process import SandboxFailed
from service.settings import Configuration, Rules, Settings
from service.storage.s3 import S3Blobs

VERSION = "0.1.0"

REFUSALS = (BooksOutOfReach, CatalogInvalid, DatabaseInUse, LightmeterError, OSError, SandboxFailed)
"""What a start may end with that an operator can mend; its text is a sentence for him."""


class Application:
    """A running Lightmeter. `start`, then `drain`, then `stop`; stopping before starting, and twice, is legal.

    Things stop in the opposite order of their start: doors first, the database last, so that whatever still runs can
    commit.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._stack = AsyncExitStack()
        self._runner: Runner | None = None
        self._doors: Doors | None = None
        self.broken = asyncio.Event()
        """Set when a duty ended by a fault of ours: the process must not go on without it."""
        self.facts: dict[str, str] = {}
        """What the first lines say: listens on, database, pictures, providers."""

    @property
    def grpc_address(self) -> str:
        """Where callers connect."""
        assert self._doors is not None, "the application was not started"
        return self._doors.grpc_address

    @property
    def http_url(self) -> str:
        """Where operators look."""
        assert self._doors is not None, "the application was not started"
        return self._doors.http.url

    async def start(self) -> None:
        """Bring everything up, leaves first; what was started is stopped again when a later part fails."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        settings = self._configuration.settings
        clock = SystemClock()
        dice = SystemDice(clock.now)
        catalog = load_catalog(sandbox=settings.fal_sandboxed or settings.replicate_sandboxed)
        metrics = _metrics(catalog.version)
        replica_id = settings.replica_id or dice.new_id()

        database = await self._open_database(clock, dice, metrics)
        duties = Duties(self._stack, replica_id, self._died)
        lease = await duties.live(database.store, clock)
        await apply_budgets(
            Budgets(database.store, database.ledger, dice), _budget_lines(self._configuration.rules)
        )
        outside = await open_outside(settings, clock, metrics, ProviderMeter(metrics, catalog))
        self._stack.push_async_callback(outside.close)
        catalog = offered(catalog, outside)
        watch_breakers(metrics, catalog, outside.breakers)
        switches = SwitchBoard(database.oversight, database.hints, clock, get_logger("switches"))
        self._stack.push_async_callback(switches.stop)
        switches.on_death = self._died
        # Before the doors open: what an operator has stopped must not be taken in by a replica that knows no better.
        await switches.start()
        context = RunContext(
            store=database.store,
            jobs=database.jobs,
            work=database.work,
            providers=outside.providers,
            records=outside.records,
            catalog=catalog,
            blobs=outside.blobs,
            pictures=outside.pictures,
            downloads=outside.downloads,
            hints=database.hints,
            lease=lease,
            switches=switches,
            feed=LogFeed(),
            clock=clock,
            dice=dice,
            log=get_logger("run"),
            metrics=metrics,
            tag=partial(fingerprint_tag, _log_secret(settings, dice)),
            webhooks_on=outside.webhooks_on,
        )
        late = LateResults(context)
        self._stack.push_async_callback(late.stop)
        context = replace(context, superseded=late.follow_superseded)
        self._runner = await duties.work(context, late, _ages(settings))
        await duties.keep_books(*self._bookkeepers(database, outside, catalog, clock), database, context)
        self._doors = await open_doors(
            self._configuration, context, self._runner, late, database, outside, replica_id
        )
        self._stack.push_async_callback(self._doors.stop)
        self.facts = {
            "gRPC": self._doors.grpc_address,
            "HTTP": self._doors.http.url,
            "database": database.describe(),
            "pictures": outside.pictures_in,
            "providers": outside.described,
        }

    async def _open_database(self, clock: SystemClock, dice: SystemDice, metrics: Metrics) -> Database:
        rules = self._configuration.rules
        database = open_database(
            self._configuration.settings.database,
            clock,
            dice.jitter,
            reporting_labels=dict(rules.reporting_labels),
            watcher=StoreMeter(metrics),
        )
        self._stack.push_async_callback(database.stop)
        await database.start()
        return database

    def _bookkeepers(
        self, database: Database, outside: Outside, catalog: Catalog, clock: SystemClock
    ) -> tuple[Reconciler, StorageAccrual | None, PriceNews]:
        log = get_logger("bookkeeping")
        reconciler = Reconciler(database.store, database.reconciled, outside.bills, clock, log)
        news = _price_news(database, catalog, clock)
        if not isinstance(outside.bucket, S3Blobs):
            return reconciler, None, news
        price = self._configuration.rules.storage.price
        return reconciler, StorageAccrual(database.store, database.stored, price, clock, log), news

    def _died(self, _duty: str) -> None:
        self.broken.set()

    async def drain(self) -> int:
        """Take no new calls and let what runs end, within the drain time. Answers how many renders still run."""
        if self._doors is None or self._runner is None:
            return 0
        await self._doors.drain()
        return await self._runner.drain(self._configuration.settings.drain_seconds)

    async def stop(self) -> None:
        """End everything, in the opposite order of its start."""
        await self._stack.aclose()


def _metrics(catalog_version: str) -> Metrics:
    metrics = Metrics(new_registry())
    metrics.watch_process()
    metrics.replica.set_build(VERSION)
    metrics.replica.set_catalog(catalog_version)
    return metrics


def _price_news(database: Database, catalog: Catalog, clock: SystemClock) -> PriceNews:
    return PriceNews(
        store=database.store,
        paid=database.paid,
        oversight=database.oversight,
        catalogs=Catalogs(catalog, clock),
        clock=clock,
        log=get_logger("prices"),
    )


def _ages(settings: Settings) -> Ages:
    return Ages(
        content_days=settings.retention_content_days,
        events_days=settings.retention_events_days,
        jobs_days=settings.retention_jobs_days,
    )


def _log_secret(settings: Settings, dice: SystemDice) -> bytes:
    chosen = settings.log_secret
    return (chosen.get_secret_value() if chosen else dice.new_token()).encode()


def _budget_lines(rules: Rules) -> list[BudgetLine]:
    return [
        BudgetLine(
            project=rule.project,
            label_key=rule.label.key if rule.label else "",
            label_value=rule.label.value if rule.label else "",
            period=Period(rule.window.upper()),
            limit_nanos=rule.limit_nanos,
            hard=rule.enforcement == "hard",
            alert_percents=rule.alert_percents,
        )
        for rule in rules.budgets
    ]
