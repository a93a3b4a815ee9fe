"""What keeping pictures costs: R2's price of a day, its free part, and that a day is charged once."""

from decimal import Decimal

import pytest

from service.domain.commands import AccrueStorage
from service.domain.records import Grade, TransferKind
from service.domain.storage_price import (
    BYTES_PER_GB,
    StorageCharge,
    StoragePrice,
    StoredShare,
    charges_of_day,
)
from tests.unit.domain.desk import Desk

NOTHING_FREE = StoragePrice(free_gb_months=Decimal(0), free_writes=0)
GB = BYTES_PER_GB


def share(project: str, gigabytes: int = 0, writes: int = 0, earlier: int = 0) -> StoredShare:
    return StoredShare(project, gigabytes * GB, writes, earlier)


@pytest.mark.parametrize(
    ("gigabytes", "days", "nanos"),
    [
        (1, 30, 500_000),  # 0.015 USD a GB-month, a thirtieth of it
        (1_000, 30, 500_000_000),  # cloudflare's page: 1 TB for a month is 15 USD
        (100, 31, 48_387_097),  # 1.5 USD / 31, rounded half up
        (0, 30, 0),
    ],
)
def test_a_day_costs_its_part_of_the_month(gigabytes: int, days: int, nanos: int) -> None:
    """Bytes times the price of a GB-month, divided by the days of the month."""
    [charge] = charges_of_day(NOTHING_FREE, [share("growth", gigabytes)], days)
    assert nanos == charge.nanos


def test_writes_cost_like_class_a_operations() -> None:
    """A million puts cost 4.50 USD: Cloudflare's page."""
    [charge] = charges_of_day(NOTHING_FREE, [share("growth", 0, 1_000_000)], 30)
    assert 4_500_000_000 == charge.nanos


def test_what_is_free_is_shared_by_use() -> None:
    """Ten gigabytes are free for the account: of 40, three quarters are paid, by each project for its share."""
    found = charges_of_day(StoragePrice(free_writes=0), [share("a", 10), share("b", 30)], 30)
    assert [("a", 3_750_000), ("b", 11_250_000)] == [(one.project, one.nanos) for one in found]


def test_free_writes_end_within_the_month() -> None:
    """Writes before in the month use the free ones up; only what lies beyond is paid."""
    price = StoragePrice(free_gb_months=Decimal(0))
    [before] = charges_of_day(price, [share("a", 0, 400_000, earlier=500_000)], 30)
    [across] = charges_of_day(price, [share("a", 0, 400_000, earlier=800_000)], 30)
    [after] = charges_of_day(price, [share("a", 0, 400_000, earlier=1_000_000)], 30)
    assert [0, 900_000_000, 1_800_000_000] == [before.nanos, across.nanos, after.nanos]


def test_nothing_kept_costs_nothing() -> None:
    """No project, no charge; a project without bytes and writes pays nothing."""
    assert () == charges_of_day(NOTHING_FREE, [], 30)
    assert [0] == [one.nanos for one in charges_of_day(NOTHING_FREE, [share("a")], 30)]


def test_a_day_is_charged_once() -> None:
    """Each project gets one transfer to the storage's account and its place in the totals; a second time writes nothing."""
    desk = Desk()
    charges = (StorageCharge("growth", 7, "7 bytes"), StorageCharge("ops", 0, "nothing"))
    command = AccrueStorage(0, "1970-01-01", charges, "r2@1")
    assert 1 == desk.run(command)
    assert 0 == desk.twice(command)
    [row] = desk.tables.transfers
    assert (TransferKind.ACCRUAL, "project:growth", "storage:r2", 7, Grade.ESTIMATE) == (
        row.kind, row.debit, row.credit, row.amount_nanos, row.grade,
    )  # fmt: skip
    assert ("storage:growth:1970-01-01", 0) == (row.source, row.ordinal)
