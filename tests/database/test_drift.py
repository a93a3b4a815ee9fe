"""What metrics show of reconciliation: the newest figures of each day, and what is still in dispute."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from service.clock import SystemClock
from service.core.ledger_page import families
from service.database.open import Database, open_database
from service.domain.bills import Side
from service.domain.limits import drift_days_count
from service.domain.records import Grade
from service.metrics import expose_families
from tests.contract.books_contract import DAY, comparison, dispute
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_folder: Path) -> Iterator[str]:
    """A database without a row, on either engine."""
    if request.param == "file":
        yield f"sqlite:///{tmp_path}/books.db"
    else:
        with emptied_database(postgres_folder) as url:
            yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    """Open."""
    opened = open_database(url, SystemClock(), lambda: 0.0)
    await opened.start()
    yield opened
    await opened.stop()


async def test_drift_is_that_of_the_newest_comparison_of_each_day(database: Database) -> None:
    """Of the last month; an invoice has a drift of its own, and what is long past counts no more."""
    today = SystemClock().now() // DAY
    for command in (
        comparison(today, billed_nanos=15),
        comparison(today, billed_nanos=12),
        comparison(today - 1, billed_nanos=7),
        comparison(today - 2, billed_nanos=500, grade=Grade.INVOICE),
        comparison(today - drift_days_count - 1, billed_nanos=500),
        comparison(today, provider="replicate", grade=Grade.BILLED_UNITS),
    ):
        await database.store.execute(command)
    snapshot = await database.ledger.snapshot()
    assert {"fal": 2 - 3, "replicate": 0} == snapshot.drift_by_provider


async def test_open_disputes_are_counted_by_side(database: Database) -> None:
    """What was resolved is not counted; a side without any shows zero, so that an alert ends."""
    today = SystemClock().now() // DAY
    lost = [dispute(name, today * DAY, Side.LEDGER) for name in "ab"]
    first = comparison(today, *lost, dispute("c", today * DAY))
    await database.store.execute(first)
    await database.store.execute(
        replace(first, complete=False, disputes=(lost[0],), in_order=frozenset({"b"}))
    )
    snapshot = await database.ledger.snapshot()
    assert {("fal", Side.LEDGER): 1, ("fal", Side.PROVIDER): 1} == snapshot.unmatched
    shown = {one.name: dict(one.samples) for one in families(snapshot)}
    assert {("fal", "ledger"): 1, ("fal", "provider"): 1, ("fal", "amount"): 0} == shown[
        "lightmeter_reconcile_unmatched"
    ]
    assert {("fal",): Decimal(0)} == shown["lightmeter_ledger_drift_usd"]
    assert b'lightmeter_ledger_drift_usd{provider="fal"} 0' in expose_families(families(snapshot))
