"""Comparing with a provider's books: what is corrected, what is kept in dispute, and that a second time changes nothing."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.core.reconcile import DAY_MICROS
from service.domain.bills import Side
from service.domain.exchange import Bill, Ended
from service.domain.limits import MICROS_PER_SECOND, absence_on_bill_seconds, bill_edge_seconds
from service.domain.records import Grade
from tests.support.orders import CEILING_NANOS
from tests.unit.core.office import Office

HOUR = 3_600


@pytest.fixture
def office() -> Office:
    return Office()


async def test_a_bill_that_agrees_changes_nothing(office: Office) -> None:
    """A settled attempt and its bill of the same amount are matched, without a correction and without drift."""
    asked = office.drawn()
    office.bill(asked)
    found = await office.compare()
    assert (1, 0, 0) == (found.matched_count, found.corrected_nanos, found.drift_nanos)
    assert 2 == len(office.desk.transfers(office.desk.attempt(asked)))


@pytest.mark.parametrize("nanos", [0, 1, CEILING_NANOS - 7, CEILING_NANOS + 7])
async def test_a_bill_moves_the_charge_to_the_nano(office: Office, nanos: int) -> None:
    """Whatever the bill says becomes the charge, by a transfer that names the bill, and no drift is left."""
    asked = office.drawn()
    bill = office.bill(asked, nanos)
    found = await office.compare()
    attempt = office.desk.attempt(asked)
    assert (nanos, Grade.BILLING_EVENT) == (attempt.total_nanos, attempt.grade)
    assert (CEILING_NANOS, nanos, nanos - CEILING_NANOS, 0) == (
        found.ledger_nanos, found.billed_nanos, found.corrected_nanos, found.drift_nanos,
    )  # fmt: skip
    assert f"bill {bill.bill_id}" == office.desk.transfers(attempt)[-1].memo


async def test_every_bill_of_an_attempt_counts(office: Office) -> None:
    """An attempt that a provider knows under two ids is charged what both were billed."""
    asked = office.drawn()
    office.bill(asked, 10)
    office.desk.bind(asked, "another-id", source="WEBHOOK")
    office.bill(asked, 7, bill_id="second", provider_id="another-id")
    found = await office.compare()
    assert (17, 17) == (office.desk.attempt(asked).total_nanos, found.billed_nanos)


async def test_metrics_are_priced_with_the_price_of_the_attempt(office: Office) -> None:
    """Books that name no money are priced by the frozen price; a failed request there says nothing about the charge."""
    asked = office.drawn()
    office.bill(asked, None, metrics={"image_count": Decimal(3)}, ended=Ended.SUCCEEDED)
    found = await office.reconciler.compare(
        "fal", Grade.BILLED_UNITS, office.day, office.day + DAY_MICROS, office.bills.all, complete=False
    )
    assert (3 * CEILING_NANOS, 3 * CEILING_NANOS) == (
        office.desk.attempt(asked).total_nanos, found.billed_nanos,
    )  # fmt: skip
    other = office.drawn("a failure")
    bill = office.bill(other, None, metrics={"image_count": Decimal(3)}, ended=Ended.FAILED)
    await office.reconciler.compare(
        "fal", Grade.BILLED_UNITS, office.day, office.day + DAY_MICROS, [bill], complete=False
    )
    assert CEILING_NANOS == office.desk.attempt(other).total_nanos


async def test_a_bill_of_nobody_is_kept_in_dispute(office: Office) -> None:
    """A bill without an attempt is listed with its amount, is all of the drift, and is resolved when its attempt shows up."""
    asked = office.drawn()
    office.bill(asked)
    stranger = Bill("b-1", "r-1", "house/one", office.day + MICROS_PER_SECOND, nanos=9)
    office.bills.all.append(stranger)
    found = await office.compare()
    [dispute] = await office.disputes()
    assert (Side.PROVIDER, "b-1", 9, None) == (
        dispute.side, dispute.bill_id, dispute.billed_nanos, dispute.ledger_nanos,
    )  # fmt: skip
    assert (1, 9) == (found.unmatched_provider_count, found.drift_nanos)
    office.desk.bind(asked, "r-1", source="OPERATOR")
    await office.compare()
    assert not await office.disputes()
    [kept] = office.desk.tables.discrepancies.values()
    assert kept.resolution


async def test_a_charge_without_a_bill_is_disputed_only_when_the_bill_is_complete(office: Office) -> None:
    """Until the day's bills are complete their absence says nothing; then the charge is listed and stays as it is."""
    asked = office.drawn()
    assert not (await office.compare()).complete
    assert not await office.disputes()
    office.settled()
    found = await office.compare()
    [dispute] = await office.disputes()
    assert (True, Side.LEDGER, CEILING_NANOS) == (found.complete, dispute.side, dispute.ledger_nanos)
    assert CEILING_NANOS == office.desk.attempt(asked).total_nanos
    assert -CEILING_NANOS == found.drift_nanos


async def test_unreadable_bills_make_the_day_incomplete(office: Office) -> None:
    """A row that could not be read may be anybody's: nothing is concluded from what is missing."""
    office.drawn()
    office.settled()
    office.bills.unreadable = 1
    assert not (await office.compare()).complete
    assert not await office.disputes()


async def test_an_unconfirmed_charge_is_confirmed_by_its_bill(office: Office) -> None:
    """A charge that nothing spoke for takes the bill's amount and grade, and leaves the unconfirmed part of its budget."""
    budget = office.desk.budget(10 * CEILING_NANOS)
    asked = office.desk.sent()
    office.desk.bind(asked)
    office.desk.unconfirmed(asked)
    assert CEILING_NANOS == office.desk.window(budget).unconfirmed_nanos
    office.bill(asked)
    await office.compare()
    assert Grade.BILLING_EVENT is office.desk.attempt(asked).grade
    assert (CEILING_NANOS, 0) == (
        office.desk.window(budget).spent_nanos, office.desk.window(budget).unconfirmed_nanos,
    )  # fmt: skip


async def test_an_unconfirmed_charge_absent_from_a_complete_bill_is_given_back(office: Office) -> None:
    """Only after 72 hours and from a complete bill: then it is corrected to nothing, and says why."""
    asked = office.desk.sent()
    office.desk.unknown(asked)
    office.desk.unconfirmed(asked)
    office.settled()
    await office.compare()
    assert CEILING_NANOS == office.desk.attempt(asked).total_nanos
    office.wait(absence_on_bill_seconds)
    await office.compare()
    attempt = office.desk.attempt(asked)
    assert (0, "absent from the provider's complete bill") == (
        attempt.total_nanos, office.desk.transfers(attempt)[-1].memo,
    )  # fmt: skip


async def test_a_lost_attempt_adopts_the_bill_that_can_only_be_its_own(office: Office) -> None:
    """One attempt given up without an id and one bill of nobody at its endpoint belong together."""
    asked = office.desk.sent()
    office.desk.unknown(asked)
    office.desk.unconfirmed(asked)
    sent = office.desk.attempt(asked)
    at = (sent.dispatched_at or 0) + 30 * MICROS_PER_SECOND
    office.bills.all.append(Bill("b-1", "r-1", sent.endpoint, at, nanos=11))
    await office.compare()
    attempt = office.desk.attempt(asked)
    assert ("r-1", 11, Grade.BILLING_EVENT) == (attempt.provider_id, attempt.total_nanos, attempt.grade)


async def test_two_bills_for_one_lost_attempt_are_not_guessed(office: Office) -> None:
    """Where it is not clear which bill belongs to which attempt, none is taken and all are listed."""
    asked = office.desk.sent()
    office.desk.unknown(asked)
    office.desk.unconfirmed(asked)
    sent = office.desk.attempt(asked)
    for number in (1, 2):
        at = (sent.dispatched_at or 0) + number * MICROS_PER_SECOND
        office.bills.all.append(Bill(f"b-{number}", f"r-{number}", sent.endpoint, at, nanos=11))
    await office.compare()
    assert office.desk.attempt(asked).provider_id is None
    assert 2 == len(await office.disputes())


async def test_bills_beyond_midnight_are_read_too(office: Office) -> None:
    """The bill of a request of the day's last second lies on the next day, and is found."""
    office.desk.until(office.day + DAY_MICROS - MICROS_PER_SECOND)
    asked = office.drawn()
    office.bill(asked, 5, at=office.day + DAY_MICROS + 60 * MICROS_PER_SECOND)
    office.wait(2 * HOUR)
    found = await office.compare()
    assert (1, 5) == (found.matched_count, office.desk.attempt(asked).total_nanos)
    edge = bill_edge_seconds * MICROS_PER_SECOND
    assert office.day - edge == office.bills.asked[0][0]


async def test_an_invoice_overrules_and_is_not_overruled(office: Office) -> None:
    """An invoice moves what a billing event said; a billing event later does not move it back, and the difference is listed."""
    asked = office.drawn()
    office.bill(asked, 10)
    await office.compare()
    invoice = [replace(office.bills.all[0], nanos=12)]
    await office.reconciler.compare(
        "fal", Grade.INVOICE, office.day, office.day + DAY_MICROS, invoice, complete=True
    )
    assert (12, Grade.INVOICE) == (
        office.desk.attempt(asked).total_nanos, office.desk.attempt(asked).grade,
    )  # fmt: skip
    await office.compare()
    assert 12 == office.desk.attempt(asked).total_nanos
    [dispute] = await office.disputes()
    assert (Side.AMOUNT, 12, 10) == (dispute.side, dispute.ledger_nanos, dispute.billed_nanos)
