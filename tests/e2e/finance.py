"""Finance's view of a whole replica: its ledger, row by row, beside the sandbox's book, and time that passes for both."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox import Sandbox
from sandbox.catalog import Provider
from service.app import compared_days, verified
from service.app.finance import compared_invoice
from service.core.bookkeeping import DaysCompared
from service.database.engine import Address
from service.domain.bills import Reconciliation
from service.settings import Configuration, load
from tests.database.ageing import age
from tests.database.rows import Rows, all_rows
from tests.database.test_books import disarm
from tests.support.replica import local_settings

DAY_SECONDS = 24 * 3_600.0


@dataclass
class Office:
    """Who compares: with the database and the providers of a replica, which need not run."""

    configuration: Configuration
    sandbox: Sandbox
    folder: Path
    url: str

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        engine = Address(self.url).reader(1)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.exec_driver_sql(question)]
        finally:
            engine.dispose()

    async def compare(self, days_count: int = 2) -> DaysCompared:
        """Compare the last days, and once more, which must change nothing; the books are right before and after."""
        assert () == await verified(self.configuration)
        found = await compared_days(self.configuration, days_count)
        assert () == await verified(self.configuration)
        before = self.rows()
        again = await compared_days(self.configuration, days_count)
        assert (found.left_out, before) == (again.left_out, self.rows())
        return found

    async def invoice(self, provider: str, month: str, text: str) -> Reconciliation:
        """Compare a month with an invoice, and once more."""
        file = self.folder / "invoice.csv"
        file.write_text(text)
        found = await compared_invoice(self.configuration, provider, month, file)
        before = self.rows()
        assert found == await compared_invoice(self.configuration, provider, month, file)
        assert before == self.rows()
        return found

    def rows(self) -> Rows:
        """Everything but times."""
        return all_rows(self.url)

    def charged(self, provider: str) -> dict[str, int]:
        """What the journal has for each request of a provider, by the provider's id."""
        rows = self.ask(
            "SELECT i.provider_id, sum(CASE WHEN t.kind IN ('HOLD', 'VOID') THEN 0 "
            "WHEN substr(t.debit, 1, 8) = 'project:' THEN t.amount_nanos ELSE -t.amount_nanos END) "
            "FROM transfers AS t JOIN provider_ids AS i ON i.attempt_id = t.source "
            f"WHERE i.provider = '{provider}' GROUP BY i.provider_id"
        )
        return {name: int(nanos) for name, nanos in rows}

    def let_pages_show_all(self) -> None:
        """Exports stop a minute before now: let what was booked lie further back, behind the back of the journal's guards."""
        engine = Address(self.url).writer()
        with engine.begin() as connection:
            disarm(connection)
            connection.exec_driver_sql("UPDATE transfers SET booked_at = booked_at - 120000000")
        engine.dispose()

    def month(self) -> str:
        """The UTC month in which the requests were used."""
        [(at,)] = self.ask("SELECT max(usage_at) FROM attempts")
        return datetime.fromtimestamp(at // 1_000_000, tz=UTC).strftime("%Y-%m")

    async def pass_time(self, seconds: float) -> None:
        """Let everything that was done lie further back, here and at the providers."""
        await age(Address(self.url), seconds)
        book = self.sandbox.world.book
        for entry in (*book.newest_first("fal"), *book.newest_first("replicate")):
            entry.accepted_at -= seconds
            entry.queued_at -= seconds
            entry.started_at = None if entry.started_at is None else entry.started_at - seconds
            entry.ended_at = None if entry.ended_at is None else entry.ended_at - seconds


def office(
    folder: Path, sandbox: Sandbox, url: str | None = None, settings: Mapping[str, str] | None = None
) -> Office:
    """An office with the settings of `running_replica` in the same folder."""
    environment = {
        **local_settings(folder),
        "LIGHTMETER_SANDBOX": "on",
        "LIGHTMETER_SANDBOX_URL": sandbox.url,
        **({} if url is None else {"LIGHTMETER_DATABASE_URL": url}),
        **(settings or {}),
    }
    configuration = load(environment)
    return Office(configuration, sandbox, folder, configuration.settings.database)


def billed(sandbox: Sandbox, provider: Provider) -> dict[str, int]:
    """What the provider's own book has for each request."""
    return {entry.id: entry.bill_nanos for entry in sandbox.world.book.newest_first(provider)}


def invoice_of(sandbox: Sandbox, provider: Provider) -> str:
    """The book of a provider as an invoice."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("request_id", "endpoint", "amount_usd", "time"))
    for entry in sandbox.world.book.newest_first(provider):
        at = sandbox.world.clock.at(entry.ended_at or 0.0)
        dollars = f"{entry.bill_nanos // 10**9}.{entry.bill_nanos % 10**9:09}"
        writer.writerow((entry.id, entry.model.endpoint, dollars, at.isoformat()))
    return text.getvalue()
