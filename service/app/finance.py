"""Work on the books that needs no running replica: checking them, comparing them with bills, and the account of a month."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from service.app.accounts import Account, accounts
from service.clock import SystemClock, SystemDice
from service.core.bookkeeping import DaysCompared, compare_days
from service.core.invoice import read_invoice
from service.core.reconcile import Reconciler
from service.database.open import Database, open_database
from service.domain.bills import Reconciliation
from service.domain.errors import FieldInvalid
from service.domain.limits import invoice_bytes_max
from service.domain.records import Grade
from service.domain.statement import Statement, month_span
from service.log import get_logger
from service.ports import ProviderBills
from service.providers.sandbox_process import SandboxAddress
from service.settings import Configuration, Settings

Answer = TypeVar("Answer")


class BooksOutOfReach(Exception):
    """No provider's books can be read from here: there is no key, or the sandbox that is played is another process's own."""

    def __init__(self) -> None:
        super().__init__("no provider's books can be read: set its key, or LIGHTMETER_SANDBOX_URL")


async def verified(configuration: Configuration) -> tuple[str, ...]:
    """One sentence per difference between the transfers and what was derived from them; empty when the books are right."""
    return await _reading(configuration, lambda database: database.ledger.verify())


async def statement_of(configuration: Configuration, project: str, month: str) -> Statement:
    """The account of a project for a UTC month (`2026-11`). Raises FieldInvalid for what is no month."""
    _span(month)
    return await _reading(configuration, lambda database: database.exports.statement(project, month))


async def compared_days(
    configuration: Configuration, days_count: int, provider: str | None = None
) -> DaysCompared:
    """Compare the last days with the providers' own books, or one provider's, as the serving process does by itself. On an
    embedded database nothing may serve meanwhile. Raises BooksOutOfReach.
    """
    known = {name: one for name, one in _readable(configuration.settings).items() if provider in (None, name)}

    async def work(reconciler: Reconciler) -> DaysCompared:
        return await compare_days(reconciler, SystemClock(), get_logger("reconcile"), days_count)

    try:
        if not known:
            raise BooksOutOfReach
        return await _comparing(configuration, {name: one.records for name, one in known.items()}, work)
    finally:
        for one in known.values():
            await one.close()


async def compared_invoice(
    configuration: Configuration, provider: str, month: str, path: Path
) -> Reconciliation:
    """Compare a UTC month with an invoice, or with what there is of it while the month runs. Raises FieldInvalid naming the
    line of what cannot be read.
    """
    span = _span(month)
    try:
        text = await asyncio.to_thread(_text_of, path)
    except UnicodeDecodeError as error:
        raise FieldInvalid.of("invoice", f"is not text in UTF-8: {error.reason}") from None
    bills = read_invoice(text, span[0])
    # What is missing while the month runs may still come.
    complete = span[1] <= SystemClock().now()

    async def work(reconciler: Reconciler) -> Reconciliation:
        return await reconciler.compare(provider, Grade.INVOICE, *span, bills, complete=complete)

    return await _comparing(configuration, {}, work)


def _span(month: str) -> tuple[int, int]:
    span = month_span(month)
    if span is None:
        raise FieldInvalid.of("month", "must be a UTC month such as 2026-11", actual=month[:20])
    return span


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
    configuration: Configuration,
    bills: Mapping[str, ProviderBills],
    work: Callable[[Reconciler], Coroutine[Any, Any, Answer]],
) -> Answer:
    settings, clock = configuration.settings, SystemClock()
    labels = dict(configuration.rules.reporting_labels)
    database = open_database(settings.database, clock, SystemDice(clock.now).jitter, reporting_labels=labels)
    try:
        await database.start()
        log = get_logger("reconcile")
        return await work(Reconciler(database.store, database.reconciled, bills, clock, log))
    finally:
        await database.stop()


def _readable(settings: Settings) -> Mapping[str, Account]:
    """The providers whose books can be read from here. The book of a sandbox that a serving process started is out of reach:
    it lives and ends with that process.
    """
    url = settings.sandbox_url
    sandbox = None if url is None else SandboxAddress(url, f"{url}/fal", f"{url}/replicate")
    known = accounts(settings, SystemClock(), sandbox)
    played = {"fal": settings.fal_sandboxed, "replicate": settings.replicate_sandboxed}
    return {name: one for name, one in known.items() if sandbox is not None or not played[name]}
