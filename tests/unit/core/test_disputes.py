"""What ends a dispute and what does not, what an invoice reaches, and what is left alone until it is settled."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.core.bookkeeping import bookkeeping, compare_days
from service.core.reconcile import DAY_MICROS, Reconciler
from service.domain.bills import Side
from service.domain.exchange import Bill, BillPage
from service.domain.failure import ProviderUnavailable
from service.domain.limits import (
    MICROS_PER_SECOND,
    bill_edge_seconds,
    reconcile_days_count,
    reconcile_look_seconds,
    reconcile_seconds,
)
from service.domain.records import Grade
from service.ports import Store
from tests.support.fake_provider import FakeLog
from tests.support.orders import CEILING_NANOS
from tests.unit.core.office import Office

HOUR = 3_600


class Listening:
    """A store that notes what it is handed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.handed_in: list[object] = []

    async def execute(self, command: object) -> object:
        """Note it and hand it on."""
        self.handed_in.append(command)
        return await self._store.execute(command)


@pytest.fixture
def office() -> Office:
    return Office()


async def test_what_runs_is_left_to_its_own_end(office: Office) -> None:
    """A bill for a request whose hold is open is not booked, and is no drift: its result settles it."""
    asked = office.desk.running()
    office.bill(asked, 5)
    found = await office.compare()
    assert (0, 0, 0) == (found.ledger_nanos, found.billed_nanos, found.drift_nanos)
    assert office.desk.attempt(asked).hold_open
    assert not await office.disputes()


async def test_a_bill_that_may_still_come_is_no_drift(office: Office) -> None:
    """While the books are not complete a charge without its bill counts on neither side."""
    office.drawn()
    found = await office.compare()
    assert (False, 0, 0) == (found.complete, found.ledger_nanos, found.drift_nanos)


async def test_agreement_costs_no_transaction(office: Office) -> None:
    """However many pages of attempts there are: bills of the amounts that stand hand in the record of the comparison alone."""
    for number in range(3):
        office.bill(office.drawn(f"subject {number}"))
    office.wait(60)
    store = Listening(office.desk.store)
    reconciler = Reconciler(
        store, office.books, {"fal": office.bills}, office.desk.clock, FakeLog(), page_rows=2
    )
    found = await reconciler.compare_day("fal", office.day)
    assert (3, ["RecordComparison"]) == (found.matched_count, [type(one).__name__ for one in store.handed_in])


async def test_unreadable_books_end_no_dispute(office: Office) -> None:
    """What a whole reading found missing stays in dispute when the next reading has gaps."""
    office.drawn()
    office.settled()
    await office.compare()
    assert 1 == len(await office.disputes())
    office.bills.unreadable = 1
    await office.compare()
    [kept] = await office.disputes()
    assert (Side.LEDGER, None) == (kept.side, kept.resolved_at)


async def test_a_late_bill_ends_the_dispute_about_its_absence(office: Office) -> None:
    """The charge was listed as unknown to the provider; its bill comes, and it is resolved and corrected."""
    asked = office.drawn()
    office.settled()
    await office.compare()
    office.bill(asked, 9)
    found = await office.compare()
    assert not await office.disputes()
    [dispute] = office.desk.tables.discrepancies.values()
    assert "found on both sides since" == dispute.resolution
    assert (9, 0) == (office.desk.attempt(asked).total_nanos, found.drift_nanos)


async def test_a_bill_that_was_withdrawn_is_in_dispute_no_more(office: Office) -> None:
    """Once the books are complete and it is not in them; not before."""
    stranger = Bill("b-1", "r-1", "house/one", office.day + MICROS_PER_SECOND, nanos=9)
    office.bills.all.append(stranger)
    await office.compare()
    office.bills.all.clear()
    await office.compare()
    assert 1 == len(await office.disputes())
    office.settled()
    await office.compare()
    assert not await office.disputes()


async def test_free_bills_of_nobody_are_no_dispute(office: Office) -> None:
    """A request of somebody else that cost nothing is not listed."""
    office.bills.all.append(Bill("b-1", "r-1", "house/one", office.day + MICROS_PER_SECOND, nanos=0))
    found = await office.compare()
    assert (0, 0) == (found.unmatched_provider_count, found.drift_nanos)


# -- invoices


async def test_an_invoice_speaks_for_what_it_names(office: Office) -> None:
    """Its lines become the charges, and a charge that it does not name is listed."""
    named, missing = office.drawn("named"), office.drawn("missing")
    line = replace(office.bill(named, 4), bill_id="invoice:fal-1:1")
    found = await office.invoiced([line])
    assert (4, Grade.INVOICE) == (office.desk.attempt(named).total_nanos, office.desk.attempt(named).grade)
    [dispute] = await office.disputes()
    assert (Side.LEDGER, office.desk.attempt(missing).id) == (dispute.side, dispute.attempt_id)
    assert (1, -CEILING_NANOS) == (found.unmatched_ledger_count, found.drift_nanos)


async def test_the_last_hours_of_a_month_may_be_on_the_next_invoice(office: Office) -> None:
    """A charge shortly before midnight that this invoice misses is no dispute, and the next invoice corrects it."""
    office.desk.until(office.day + DAY_MICROS - bill_edge_seconds * MICROS_PER_SECOND)
    asked = office.drawn()
    line = replace(office.bill(asked, 6), bill_id="invoice:fal-1:1")
    first = await office.invoiced([])
    assert (0, 0) == (first.unmatched_ledger_count, first.drift_nanos)
    assert not await office.disputes()
    office.day += DAY_MICROS
    second = await office.invoiced([line])
    assert (6, 1, 0) == (office.desk.attempt(asked).total_nanos, second.matched_count, second.drift_nanos)


async def test_a_line_about_another_month_is_listed_and_not_booked(office: Office) -> None:
    """An invoice that names an attempt of long before says something odd: it is in dispute, with its attempt."""
    asked = office.drawn()
    line = replace(office.bill(asked, 6), bill_id="invoice:fal-1:1")
    office.day += 2 * DAY_MICROS
    office.desk.until(office.day + DAY_MICROS)
    found = await office.invoiced([replace(line, at=office.day)])
    [dispute] = await office.disputes()
    assert (Side.PROVIDER, office.desk.attempt(asked).id) == (dispute.side, dispute.attempt_id)
    assert (CEILING_NANOS, 6) == (office.desk.attempt(asked).total_nanos, found.drift_nanos)


async def test_daily_books_do_not_end_what_an_invoice_disputes(office: Office) -> None:
    """A line of an invoice that nobody knows stays listed however often the days are compared, and the other way round."""
    office.bill(office.drawn())
    at = office.day + MICROS_PER_SECOND
    office.bills.all.append(Bill("b-1", "r-1", "house/one", at, nanos=9))
    line = Bill("invoice:r-2:1", "r-2", "house/one", at, nanos=8)
    office.settled()
    for _ in range(2):
        await office.compare()
        await office.invoiced([line, *office.bills.all[:1]])
    assert {"b-1", "invoice:r-2:1"} == {one.bill_id for one in await office.disputes()}


# -- days


async def test_a_provider_that_is_away_leaves_the_others_compared(office: Office) -> None:
    """What could not be read is said, and said from which day on; the other provider's days are compared."""

    class Away:
        """Implements `ProviderBills`, badly."""

        async def bills(self, since: int, before: int, page: str | None = None) -> BillPage:
            raise ProviderUnavailable("fal: no answer")

        async def bills_of(self, provider_ids: tuple[str, ...], since: int) -> BillPage:
            raise ProviderUnavailable("fal: no answer")

    office.reconciler._bills = {"fal": Away(), "replicate": office.bills}
    found = await compare_days(office.reconciler, office.desk.clock, FakeLog(), 2)
    days: Sequence[int] = [one.range_from for one in found.reconciliations]
    assert [office.day - DAY_MICROS, office.day] == days
    assert ("fal, from 2025-12-31 on: fal: no answer",) == found.left_out


async def test_days_are_compared_every_hour_by_the_replica_that_leads(office: Office) -> None:
    """Not while it starts; another replica that begins to lead does not wait for the next full hour."""
    leading = [True]
    clock = office.desk.clock
    duty = bookkeeping(office.reconciler, lambda: leading[0], clock, FakeLog())
    await duty.start()
    await clock.run(reconcile_look_seconds - 1)
    assert [] == office.bills.asked
    await clock.run(2)
    once = 2 * reconcile_days_count  # both providers
    assert once == len(office.bills.asked)
    await clock.run(reconcile_seconds - reconcile_look_seconds)
    assert once == len(office.bills.asked)
    leading[0] = False
    await clock.run(2 * reconcile_seconds)
    assert once == len(office.bills.asked)
    leading[0] = True
    await clock.run(reconcile_look_seconds)
    assert 2 * once == len(office.bills.asked)
    await duty.stop()
