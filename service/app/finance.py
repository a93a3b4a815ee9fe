"""Work on the books that needs no running replica: checking them, comparing them with bills, and the account of a month."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from service.app.accounts import accounts
from service.clock import SystemClock, SystemDice
from service.core.bookkeeping import compare_days
from service.core.invoice import read_invoice
from service.core.reconcile import Reconciler
from service.database.open import Database, open_database
from service.domain.bills import Reconciliation
from service.domain.errors import FieldInvalid
from service.domain.limits import invoice_bytes_max
from service.domain.records import Grade
from service.domain.statement import Statement, month_span
from service.log import get_logger
from service.providers.sandbox_process import SandboxAddress
from service.settings import Configuration, Settings

Answer = TypeVar("Answer")


async def verified(configuration: Configuration) -> tuple[str, ...]:
    """One sentence per difference between the transfers and what was derived from them; empty when the books are right."""
    return await _reading(configuration, lambda database: database.ledger.verify())


async def statement_of(configuration: Configuration, project: str, month: str) -> Statement:
    """The account of a project for a UTC month (`2026-11`). Raises FieldInvalid for what is no month."""
    if month_span(month) is None:
        raise FieldInvalid.of("month", "must be a UTC month such as 2026-11", actual=month[:20])
    return await _reading(configuration, lambda database: database.exports.statement(project, month))


async def compared_days(configuration: Configuration, days_count: int) -> tuple[Reconciliation, ...]:
    """Compare the last days with the providers' own books, as the serving process does by itself. On an embedded database
    nothing may serve meanwhile.
    """

    async def work(reconciler: Reconciler) -> tuple[Reconciliation, ...]:
        return await compare_days(reconciler, SystemClock(), get_logger("reconcile"), days_count)

    return await _comparing(configuration, work)


async def compared_invoice(
    configuration: Configuration, provider: str, month: str, path: Path
) -> Reconciliation:
    """Compare a UTC month with an invoice. Raises FieldInvalid naming the line of what cannot be read."""
    span = month_span(month)
    if span is None:
        raise FieldInvalid.of("month", "must be a UTC month such as 2026-11", actual=month[:20])
    bills = read_invoice(await asyncio.to_thread(_text_of, path), span[0])

    async def work(reconciler: Reconciler) -> Reconciliation:
        return await reconciler.compare(provider, Grade.INVOICE, *span, bills, complete=True)

    return await _comparing(configuration, work)


def _text_of(path: Path) -> str:
    if path.stat().st_size > invoice_bytes_max:
        raise FieldInvalid.of("invoice", f"at most {invoice_bytes_max} bytes", limit=invoice_bytes_max)
    return path.read_text(encoding="utf-8-sig")


async def _reading(
    configuration: Configuration, work: Callable[[Database], Coroutine[Any, Any, Answer]]
) -> Answer:
    clock = SystemClock()
    database = open_database(configuration.settings.database, clock, SystemDice(clock.now).jitter)
    try:
        return await work(database)
    finally:
        await database.stop()


async def _comparing(
    configuration: Configuration, work: Callable[[Reconciler], Coroutine[Any, Any, Answer]]
) -> Answer:
    settings, clock = configuration.settings, SystemClock()
    rules = dict(configuration.rules.reporting_labels)
    database = open_database(settings.database, clock, SystemDice(clock.now).jitter, reporting_labels=rules)
    known = accounts(settings, clock, _sandbox(settings))
    try:
        await database.start()
        bills = {name: one.records for name, one in known.items()}
        log = get_logger("reconcile")
        return await work(Reconciler(database.store, database.reconciled, bills, clock, log))
    finally:
        for one in known.values():
            await one.close()
        await database.stop()


def _sandbox(settings: Settings) -> SandboxAddress | None:
    """A sandbox that runs already; the book of one that a serving process started lives and ends with it."""
    url = settings.sandbox_url
    return None if url is None else SandboxAddress(url, f"{url}/fal", f"{url}/replicate")
