"""What runs beside the requests: the heartbeat first and last, the renders, and the looks that find what is to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from service.clock import SystemClock
from service.core.bookkeeping import bookkeeping
from service.core.context import RunContext
from service.core.housekeeping import Repeater, deadlines, heartbeats, leave, loop_lag
from service.core.late import LateResults, late_looks
from service.core.lease import Lease
from service.core.price_news import PriceNews, price_news
from service.core.reconcile import Reconciler
from service.core.recover import Recovery
from service.core.retention import Ages, retention
from service.core.rolling import rolling
from service.core.run import RenderRun
from service.core.runner import Runner
from service.core.storing import StorageAccrual, storage_accrual
from service.core.verifying import BooksCheck, verification
from service.database.open import Database
from service.domain.commands import Heartbeat
from service.log import get_logger
from service.ports import Store


class Duties:
    """Starts and stops this replica's work. `died` is told when a duty ended by a fault of ours."""

    def __init__(self, stack: AsyncExitStack, replica_id: str, died: Callable[[str], None]) -> None:
        self._stack = stack
        self._replica_id = replica_id
        self._died = died
        self._log = get_logger("housekeeping")
        self._heart: Repeater | None = None

    async def live(self, store: Store, clock: SystemClock) -> Lease:
        """Take a lease and keep it. The first heartbeat gives this replica its ordinal, before anything is counted."""
        lease = Lease(clock)
        started = clock.monotonic()
        ordinal: int = await store.execute(Heartbeat(self._replica_id))
        lease.beat(started, ordinal)
        self._heart = heartbeats(store, lease, self._replica_id, clock, self._log)
        await self._begin((self._heart,))
        return lease

    async def work(self, context: RunContext, late: LateResults, ages: Ages) -> Runner:
        """The renders of this replica, and what runs beside the requests."""
        store, clock, log = context.store, context.clock, self._log
        run = RenderRun(context)
        runner = Runner(run.run, get_logger("runner"), unstored=lambda: run.unstored_count)
        await runner.start()
        self._stack.push_async_callback(self._leave, store)
        self._stack.push_async_callback(runner.stop)
        recovery = Recovery(
            store=store,
            jobs=context.jobs,
            work=context.work,
            runner=runner,
            catalog=context.catalog,
            replica_id=self._replica_id,
            clock=clock,
            log=log,
            metrics=context.metrics,
        )
        await self._begin(
            (
                deadlines(store, context.work, clock, log),
                loop_lag(context.metrics, clock, log),
                recovery.looks(),
                recovery.ends(),
                late_looks(late, context),
                retention(store, ages, clock, log),
            )
        )
        return runner

    async def keep_books(
        self,
        reconciler: Reconciler,
        accrual: StorageAccrual | None,
        news: PriceNews,
        database: Database,
        context: RunContext,
    ) -> None:
        """What only one replica does: comparing with the providers' books, charging for pictures that are kept, telling of
        prices that change, checking the ledger, and summing what is over.
        """
        leads, clock, log = context.lease.leads, context.clock, self._log
        check = BooksCheck(database.ledger, context.metrics, clock, log)
        duties = [
            bookkeeping(reconciler, leads, clock, log),
            price_news(news, leads, clock, log),
            verification(check, leads, clock, log),
            rolling(context.store, database.stored, leads, clock, log),
        ]
        if accrual is not None:
            duties.append(storage_accrual(accrual, leads, clock, log))
        await self._begin(duties)

    async def _begin(self, duties: Iterable[Repeater]) -> None:
        for duty in duties:
            duty.on_death = self._died
            await duty.start()
            self._stack.push_async_callback(duty.stop)

    async def _leave(self, store: Store) -> None:
        """No render runs here any more: let others go on with what is left at once."""
        if self._heart is not None:
            await self._heart.stop()
        await leave(store, self._replica_id, self._log)
