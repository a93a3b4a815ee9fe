"""The one door for the composition root: a database by its address, with everything that stands on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from service.database.book_reads import DatabaseBooksReader
from service.database.engine import Address, OneProcess
from service.database.exports import DatabaseLedgerExports
from service.database.hints import LocalHints, NotifyHints
from service.database.lane import Watcher
from service.database.ledger_reads import DatabaseLedgerReader
from service.database.migrate import migrate
from service.database.operator_reads import DatabaseOperatorReader
from service.database.paid_reads import DatabasePaidReader
from service.database.reads import DatabaseJobReader
from service.database.snapshots import Snapshots
from service.database.storage_reads import DatabaseStorageReader
from service.database.store import DatabaseStore
from service.database.work_reads import DatabaseWorkReader
from service.domain.errors import StoreUnavailable
from service.ports import Clock

READ_CONNECTIONS_MAX: Final = 4
REPORT_CONNECTIONS_MAX: Final = 2


class Database:
    """A store, its readers and its hints. `start`, then use, then `stop`; stopping before starting, and twice, is legal."""

    def __init__(
        self,
        address: Address,
        clock: Clock,
        jitter: Callable[[], float],
        reporting_labels: Mapping[str, tuple[str, ...]],
        watcher: Watcher | None,
        hints: LocalHints | None,
    ) -> None:
        self._address = address
        self._clock = clock
        self._lock = OneProcess(address.file) if address.file is not None else None
        self._snapshots = Snapshots(address, clock, connections_max=READ_CONNECTIONS_MAX)
        self._reports = Snapshots(address, clock, connections_max=REPORT_CONNECTIONS_MAX, reports=True)
        own = LocalHints if address.embedded else partial(NotifyHints, address.driver_url)
        self._hints: Final = hints if hints is not None else own()
        self.hints: Final = self._hints
        self.store: Final = DatabaseStore(
            address,
            clock,
            jitter,
            reporting_labels=reporting_labels,
            publish=self._hints.publish,
            watcher=watcher,
        )
        self.jobs: Final = DatabaseJobReader(self._snapshots)
        self.work: Final = DatabaseWorkReader(self._snapshots)
        self.oversight: Final = DatabaseOperatorReader(self._snapshots, self._reports)
        self.ledger: Final = DatabaseLedgerReader(self._snapshots, self._reports)
        self.exports: Final = DatabaseLedgerExports(self._reports)
        self.stored: Final = DatabaseStorageReader(self._reports)
        self.reconciled: Final = DatabaseBooksReader(self._reports)
        self.paid: Final = DatabasePaidReader(self._reports)

    async def start(self) -> None:
        """Lock an embedded file, bring the schema up to date, open for commands. Raises DatabaseInUse, and StoreUnavailable when
        the database does not answer.
        """
        if self._lock is not None:
            self._lock.take()
        try:
            await asyncio.to_thread(migrate, self._address)
        except OperationalError as error:
            raise StoreUnavailable(f"{self._address} cannot be reached or used: {error.orig}") from error
        self.store.start()
        await self._hints.start()

    async def stop(self) -> None:
        """Finish what was handed in, then let go of everything."""
        await self.store.stop()
        await self._hints.stop()
        await asyncio.to_thread(self._snapshots.close)
        await asyncio.to_thread(self._reports.close)
        if self._lock is not None:
            self._lock.release()

    async def ready(self) -> None:
        """Return when the database takes changes and answers a read; raises StoreUnavailable or Overloaded."""
        if self.store.is_stuck:
            raise StoreUnavailable("the database takes no changes now")
        await self._snapshots.read(_answers)

    def describe(self) -> str:
        """For the first lines of a start; without secrets."""
        return str(self._address)


def open_database(
    url: str,
    clock: Clock,
    jitter: Callable[[], float],
    *,
    reporting_labels: Mapping[str, tuple[str, ...]] | None = None,
    watcher: Watcher | None = None,
    hints: LocalHints | None = None,
) -> Database:
    """The database at an SQLite or PostgreSQL address; nothing is touched before `start`. `hints` replace the engine's own."""
    return Database(Address(url), clock, jitter, reporting_labels or {}, watcher, hints)


def _answers(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT 1").scalar_one()
