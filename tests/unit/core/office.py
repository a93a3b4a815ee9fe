"""An office whose ledger is compared with made-up books of a provider."""

from collections.abc import Sequence
from dataclasses import replace

from service.core.reconcile import DAY_MICROS, Reconciler
from service.domain.bills import Discrepancy, Reconciliation
from service.domain.budget import window_start
from service.domain.commands import Accept
from service.domain.exchange import Bill, BillPage
from service.domain.limits import MICROS_PER_SECOND, bill_settle_seconds
from service.domain.queries import DiscrepancyQuery
from service.domain.records import Grade, Period
from tests.support.fake_provider import FakeLog
from tests.support.memory_books import MemoryBooks
from tests.support.orders import CEILING_NANOS
from tests.unit.domain.desk import Desk


class FakeBills:
    """Implements `ProviderBills`: the given bills in pages of two."""

    def __init__(self) -> None:
        self.all: list[Bill] = []
        self.unreadable = 0
        self.asked: list[tuple[int, int]] = []

    async def bills(self, since: int, before: int, page: str | None = None) -> BillPage:
        """Two at a time."""
        self.asked.append((since, before))
        found = [one for one in self.all if since <= one.at < before]
        at = int(page or 0)
        following = str(at + 2) if at + 2 < len(found) else None
        return BillPage(tuple(found[at : at + 2]), following, self.unreadable)

    async def bills_of(self, provider_ids: tuple[str, ...], since: int) -> BillPage:
        """Those of the requests."""
        return BillPage(tuple(one for one in self.all if one.provider_id in provider_ids and one.at >= since))


class Office:
    """A desk whose ledger is compared with made-up books."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.bills = FakeBills()
        self.books = MemoryBooks(self.desk.store)
        self.reconciler = Reconciler(
            self.desk.store,
            self.books,
            {"fal": self.bills, "replicate": self.bills},
            self.desk.clock,
            FakeLog(),
        )
        self.day = window_start(Period.DAY, self.desk.clock.now())

    def drawn(self, subject: str = "a lighthouse", **changes: object) -> Accept:
        """A request that was drawn and settled by its units."""
        asked = self.desk.sent(subject, **changes)
        self.desk.bind(asked)
        self.desk.result(asked)
        self.desk.finish(asked)
        return asked

    def bill(self, asked: Accept, nanos: int | None = CEILING_NANOS, **changes: object) -> Bill:
        """A bill for it."""
        attempt = self.desk.attempt(asked)
        made = Bill(
            bill_id=f"bill of {attempt.provider_id}",
            provider_id=attempt.provider_id or "",
            endpoint=attempt.endpoint,
            at=attempt.usage_at + 5 * MICROS_PER_SECOND,
            nanos=nanos,
        )
        made = replace(made, **changes)  # type: ignore[arg-type]  # fields of Bill
        self.bills.all.append(made)
        return made

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.desk.clock.advance(seconds)

    def settled(self) -> None:
        """Let time pass until the day's bills are complete."""
        self.desk.until(self.day + DAY_MICROS + bill_settle_seconds * MICROS_PER_SECOND)

    async def compare(self, provider: str = "fal") -> Reconciliation:
        """Once bills have come, and once more: the second time changes nothing."""
        self.wait(60)
        found = await self.reconciler.compare_day(provider, self.day)
        before = self.desk.tables.image()
        again = await self.reconciler.compare_day(provider, self.day)
        assert (found, before) == (again, self.desk.tables.image())
        return found

    async def invoiced(self, bills: Sequence[Bill], days: int = 1) -> Reconciliation:
        """Compare an invoice over the day (or more), and once more: the second time changes nothing."""
        self.wait(60)
        span = (self.day, self.day + days * DAY_MICROS)
        found = await self.reconciler.compare("fal", Grade.INVOICE, *span, bills, complete=True)
        before = self.desk.tables.image()
        again = await self.reconciler.compare("fal", Grade.INVOICE, *span, bills, complete=True)
        assert (found, before) == (again, self.desk.tables.image())
        return found

    async def disputes(self) -> Sequence[Discrepancy]:
        """What is open."""
        return (await self.books.discrepancies(DiscrepancyQuery(limit=50))).discrepancies
