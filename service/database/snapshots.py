"""Reading outside the lanes: a few pooled connections on threads of their own, one snapshot per read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.database.dialect import Verdict
from service.database.engine import Address
from service.domain.errors import Overloaded, StoreUnavailable
from service.domain.limits import store_answer_seconds_max, watches_open_max
from service.ports import Clock

Result = TypeVar("Result")
READS_WAITING_MAX: Final = watches_open_max
"""Every open watch may look at its job at the same moment; more is refused."""
REPORT_SECONDS_MAX: Final = 125.0
"""A little more than the sessions of reports allow a statement."""


class ReadFailed(RuntimeError):
    """The database refused a statement for what it is: a fault of ours, explained by the cause."""


class Snapshots:
    """Runs read functions in read-only transactions that see one moment of the database."""

    def __init__(
        self,
        address: Address,
        clock: Clock,
        *,
        connections_max: int,
        reports: bool = False,
        answer_seconds_max: float = store_answer_seconds_max,
    ) -> None:
        self.dialect: Final = address.dialect
        self._engine = address.reader(connections_max, reports=reports)
        self._clock = clock
        self._threads = ThreadPoolExecutor(connections_max, thread_name_prefix="read")
        self._waiting = 0
        self._answer_seconds_max = REPORT_SECONDS_MAX if reports else answer_seconds_max

    async def read(self, work: Callable[[Connection], Result]) -> Result:
        """The result of `work`, which may be run twice. Raises StoreUnavailable or Overloaded."""
        if self._waiting >= READS_WAITING_MAX:
            raise Overloaded("too many requests wait to read the database")
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            # A server that falls silent ends no read by itself: whoever waits is told, the thread goes on waiting.
            async with asyncio.timeout(self._answer_seconds_max):
                return await loop.run_in_executor(self._threads, self._run, work)
        except TimeoutError as error:
            raise StoreUnavailable("the database did not answer the read in time") from error
        finally:
            self._waiting -= 1

    def now(self, connection: Connection) -> int:
        """The database's time in microseconds."""
        sql = self.dialect.clock_sql
        return self._clock.now() if sql is None else int(connection.exec_driver_sql(sql).scalar_one())

    def close(self) -> None:
        """Let reads that run end, refuse others; legal twice. Blocks for as long as those reads may take."""
        # A pool that is disposed of forgets what is lent, and such a connection would stay open.
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._engine.dispose()

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        try:
            return self._once(work)
        except DBAPIError as error:
            if self.dialect.judge(error) is Verdict.FAULT:
                raise ReadFailed("the database refused a read") from error
        except PoolTimeout as error:
            raise StoreUnavailable("the database is busy") from error
        # A connection of the pool may have died unused; a second one is new.
        try:
            return self._once(work)
        except (DBAPIError, PoolTimeout) as error:
            raise StoreUnavailable("the database cannot be read now") from error

    def _once(self, work: Callable[[Connection], Result]) -> Result:
        with self._engine.connect() as connection, connection.begin():
            return work(connection)
