"""What each project keeps in the picture store, and that it is charged once, on both engines."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.database.open import open_database
from service.domain import commands as c
from service.domain.limits import MICROS_PER_SECOND
from service.domain.storage_price import StorageCharge, StoredShare
from service.ports import Store
from tests.database.months import Months, at, copied, months
from tests.support.clock import FakeClock
from tests.support.orders import Steps, asset, draw
from tests.support.postgres import emptied_database, postgres_folder

__all__ = ["postgres_folder"]


@pytest.fixture(params=["file", "server"])
def server_url(request: pytest.FixtureRequest, postgres_folder: Path) -> Iterator[str | None]:
    """Where the rows are copied to; None: they stay."""
    if request.param == "file":
        yield None
        return
    with emptied_database(postgres_folder) as url:
        yield url


async def shares(
    winter: Months, folder: Path, server: str | None, days: Sequence[str]
) -> list[tuple[StoredShare, ...]]:
    """What each project kept, day by day."""
    database = winter.database
    if server is not None:
        copied(f"sqlite:///{folder}/months.db", server)
        database = open_database(server, winter.clock, lambda: 0.0)
        await database.start()
    try:
        return [
            await database.stored.shares(
                at(f"{day[:2]}-01 00:00"), at(f"{day} 00:00"), at(f"{day} 23:59:59") + 10**6
            )
            for day in days
        ]
    finally:
        if server is not None:
            await database.stop()


async def test_pictures_belong_to_whose_render_brought_them_first(
    tmp_path: Path, server_url: str | None
) -> None:
    """The same bytes drawn again by another project are not its own, in size or in writes; a picture that is gone is free."""
    async with months(tmp_path) as winter:
        first, second, other, gone = (
            winter.orders.accept("first"),
            winter.orders.accept("second"),
            winter.orders.accept("third", project="other", scope="other"),
            winter.orders.accept("gone"),
        )
        same = asset("the same bytes")
        await winter.until("01-05 10:00")
        for accept, picture in ((first, same), (second, asset("second")), (gone, asset("gone"))):
            await winter.run(*Steps(accept).all()[:-1], Steps(accept).finish(picture))
        await winter.until("01-06 10:00")
        await winter.run(*Steps(other).all()[:-1], Steps(other).finish(same))
        await winter.run(c.MarkGone((asset("gone").sha256,)))
        size = same.size_bytes
        expected = [
            (StoredShare("growth", 2 * size, 3, 0),),
            (StoredShare("growth", 2 * size, 0, 3),),
        ]
        assert expected == await shares(winter, tmp_path, server_url, ["01-05", "01-06"])


async def test_days_and_months_have_sharp_borders(tmp_path: Path, server_url: str | None) -> None:
    """A picture stored in a day's last second is that day's write; last month's writes do not use up this month's free ones."""
    async with months(tmp_path) as winter:
        for moment in ("01-31 12:00", "02-01 23:59:59", "02-02 00:00:00"):
            await winter.until(moment)
            await draw(winter.database.store, winter.orders.accept(moment))
        size = asset("").size_bytes
        expected = [
            (StoredShare("growth", size, 1, 0),),
            (StoredShare("growth", 2 * size, 1, 0),),
            (StoredShare("growth", 3 * size, 1, 1),),
        ]
        assert expected == await shares(winter, tmp_path, server_url, ["01-31", "02-01", "02-02"])


async def test_storage_is_charged_once_by_however_many_replicas(
    tmp_path: Path, server_url: str | None
) -> None:
    """All at once and again: one transfer per project and day, and totals and statement have it once."""
    clock = FakeClock()
    url = server_url or f"sqlite:///{tmp_path}/months.db"
    async with AsyncExitStack() as stack:
        databases = [open_database(url, clock, lambda: 1.0) for _ in range(1 if server_url is None else 2)]
        for database in databases:
            stack.push_async_callback(database.stop)
            await database.start()
        charges = (StorageCharge("growth", 7, "7 bytes"), StorageCharge("ops", 5, "5 bytes"))
        command = c.AccrueStorage(at("01-31 00:00"), "2026-01-31", charges, "r2@1")
        stores: list[Store] = [database.store for database in databases]
        booked = await asyncio.gather(*(store.execute(command) for store in stores for _ in range(3)))
        assert [0] * (len(booked) - 1) + [2] == sorted(booked)
        assert 0 == await stores[0].execute(command)
        assert () == await databases[0].ledger.verify()
        now = (await databases[0].ledger.snapshot()).as_of
        month = datetime.fromtimestamp(now / MICROS_PER_SECOND, tz=UTC).strftime("%Y-%m")
        statement = await databases[0].exports.statement("growth", month)
        assert (7, 7) == (statement.storage_nanos, statement.total_nanos)
