"""The two doors of a replica: gRPC for callers, HTTP for operators. HTTP opens first and closes last."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

from service.app.parts import Outside
from service.app.price_files import amended
from service.core.budgeting import Budgets
from service.core.cancel import Cancellations
from service.core.context import RunContext
from service.core.export import FocusExport
from service.core.inputs import Inputs
from service.core.late import LateResults
from service.core.ledger_page import families
from service.core.oversee import Oversight
from service.core.prepare import Preparer
from service.core.pricing import Catalogs
from service.core.quote import Quotes
from service.core.runner import Runner
from service.core.submit import Submissions, SubmitRules
from service.core.watch import Watches
from service.core.webhooks import Webhooks
from service.core.whatif import WhatIf
from service.database.open import Database
from service.domain.errors import LightmeterError
from service.log import get_logger
from service.metrics import Family
from service.rpc.identity import NamedProjects
from service.rpc.image_service import ImageService
from service.rpc.ledger_service import LedgerService
from service.rpc.model_service import ModelService
from service.rpc.operator_service import OperatorService
from service.rpc.quote_inputs import QuoteInputs
from service.rpc.receipts import Receipts
from service.rpc.server import GrpcServer
from service.rules import Rules
from service.settings import Address, Configuration
from service.storage.folder import FolderBlobs
from service.web.routes import Sources
from service.web.server import HttpServer


@dataclass(frozen=True, slots=True)
class Doors:
    """Both doors, open."""

    grpc: GrpcServer
    http: HttpServer
    host: str

    @property
    def grpc_address(self) -> str:
        """Where callers connect, with the port that was bound."""
        return str(Address(self.host, self.grpc.port))

    async def drain(self) -> None:
        """Readiness goes first; then no new calls, and watches end."""
        await self.http.drain()
        await self.grpc.drain()

    async def stop(self) -> None:
        """Close both."""
        await self.grpc.stop()
        await self.http.stop()


async def open_doors(
    configuration: Configuration,
    context: RunContext,
    runner: Runner,
    late: LateResults,
    database: Database,
    outside: Outside,
    replica_id: str,
) -> Doors:
    """Build the use cases, put the doors before them, and listen."""
    settings = configuration.settings
    http = _http(configuration, context, late, database, outside)
    await http.start()
    if isinstance(outside.bucket, FolderBlobs):
        outside.bucket.served_at(f"{settings.public_url or http.url}/assets")
    grpc = _grpc(configuration, context, runner, database, outside, replica_id)
    try:
        await grpc.start()
    except BaseException:
        await http.stop()
        raise
    return Doors(grpc, http, settings.grpc_address.host)


def _http(
    configuration: Configuration,
    context: RunContext,
    late: LateResults,
    database: Database,
    outside: Outside,
) -> HttpServer:
    async def ledger() -> Sequence[Family]:
        return families(await database.ledger.snapshot())

    async def readiness() -> Mapping[str, bool]:
        return {
            "database": await _answers(database.ready()),
            "pictures": await _answers(outside.bucket.ready()),
        }

    address = configuration.settings.http_address
    assets = outside.bucket if isinstance(outside.bucket, FolderBlobs) else None
    webhooks = _webhooks(context, late, outside) if outside.checks else None
    sources = Sources(context.metrics.expose, ledger, readiness, assets, webhooks)
    return HttpServer(sources, host=address.host, port=address.port)


def _webhooks(context: RunContext, late: LateResults, outside: Outside) -> Webhooks:
    return Webhooks(
        checks=outside.checks,
        work=context.work,
        store=context.store,
        hints=context.hints,
        late=late,
        clock=context.clock,
        log=get_logger("webhooks"),
        metrics=context.metrics,
    )


async def _answers(question: Awaitable[None]) -> bool:
    try:
        await question
    except LightmeterError:
        return False
    return True


def _grpc(
    configuration: Configuration,
    context: RunContext,
    runner: Runner,
    database: Database,
    outside: Outside,
    replica_id: str,
) -> GrpcServer:
    callers = NamedProjects()
    receipts = Receipts(database.ledger, outside.blobs)
    catalogs = Catalogs(context.catalog, context.clock, configuration.rules.unpriced)
    submissions = _submissions(configuration.rules, context, catalogs, runner, outside, replica_id)
    return GrpcServer(
        address=str(configuration.settings.grpc_address),
        images=ImageService(
            callers=callers,
            submissions=submissions,
            watches=Watches(context.jobs, context.hints, context.feed, context.clock, context.metrics),
            cancellations=Cancellations(context.store, context.hints),
            jobs=context.jobs,
            blobs=outside.blobs,
            receipts=receipts,
        ),
        models=ModelService(
            callers=callers,
            catalogs=catalogs,
            quotes=Quotes(catalogs, context.jobs, database.ledger, context.switches, context.clock),
            inputs=QuoteInputs(context.jobs, outside.pictures),
            healths=outside.breakers,
            switched_off=context.switches.is_off_for_all,
            clock=context.clock,
        ),
        ledger=_ledger(callers, receipts, context, catalogs, database),
        operator=_operator(callers, context, database),
        metrics=context.metrics,
        clock=context.clock,
        dice=context.dice,
        log=get_logger("rpc"),
    )


def _submissions(
    rules: Rules,
    context: RunContext,
    catalogs: Catalogs,
    runner: Runner,
    outside: Outside,
    replica_id: str,
) -> Submissions:
    inputs = Inputs(context.jobs, outside.blobs, outside.pictures, outside.downloads, context.clock)
    return Submissions(
        store=context.store,
        jobs=context.jobs,
        preparer=Preparer(catalogs),
        switches=context.switches,
        inputs=inputs,
        blobs=outside.blobs,
        runner=runner,
        dice=context.dice,
        metrics=context.metrics,
        replica_id=replica_id,
        rules=SubmitRules(rules.cache_ttl_seconds, dict(rules.required_labels)),
    )


def _ledger(
    callers: NamedProjects,
    receipts: Receipts,
    context: RunContext,
    catalogs: Catalogs,
    database: Database,
) -> LedgerService:
    return LedgerService(
        callers=callers,
        ledger=database.ledger,
        jobs=context.jobs,
        receipts=receipts,
        budgets=Budgets(context.store, database.ledger, context.dice),
        books=database.exports,
        focus=FocusExport(database.exports),
        reconciled=database.reconciled,
        whatif=WhatIf(database.paid, catalogs, amended),
        clock=context.clock,
    )


def _operator(callers: NamedProjects, context: RunContext, database: Database) -> OperatorService:
    oversight = Oversight(
        store=context.store,
        reader=database.oversight,
        board=context.switches,
        hints=context.hints,
        catalog=context.catalog,
        absences={name: one.absence for name, one in context.records.items()},
        dice=context.dice,
    )
    return OperatorService(
        callers=callers,
        oversight=oversight,
        reader=database.oversight,
        jobs=context.jobs,
        clock=context.clock,
    )
