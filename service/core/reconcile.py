"""Comparing the ledger with a provider's own books, attempt by attempt, and booking the difference.

A day is compared by the usage times of its attempts. Bills trail their requests and lie on the other side of midnight at
times, so they are read over a wider span, and a day is complete only when its bills have had time to come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.commands import BindProviderId, Correct, RecordComparison
from service.domain.exchange import Bill, Ended
from service.domain.limits import (
    MICROS_PER_SECOND,
    absence_on_bill_seconds,
    bill_edge_seconds,
    bill_pages_max,
    bill_settle_seconds,
    reconcile_attempts_max,
)
from service.domain.price import PriceSnapshot, UsageEvidence
from service.domain.queries import BilledAttempt
from service.domain.records import Attempt, Grade
from service.ports import BooksReader, Clock, Log, ProviderBills, Store

DAY_MICROS = 24 * 3_600 * MICROS_PER_SECOND


class TooMuchToCompare(Exception):
    """A span has more attempts or bills than one comparison takes."""


@dataclass(frozen=True, slots=True)
class Books:
    """A provider's books over a span, read as far as they could be."""

    bills: tuple[Bill, ...]
    whole: bool


@dataclass(slots=True)
class _Findings:
    """What one comparison has come to so far."""

    ledger_nanos: int = 0
    billed_nanos: int = 0
    corrected_nanos: int = 0
    matched_count: int = 0
    disputes: list[Discrepancy] = field(default_factory=list)


class Reconciler:
    """The use case of reconciliation. Running it twice on the same books changes nothing the second time."""

    def __init__(
        self,
        store: Store,
        reader: BooksReader,
        bills: Mapping[str, ProviderBills],
        clock: Clock,
        log: Log,
    ) -> None:
        self._store = store
        self._reader = reader
        self._bills = bills
        self._clock = clock
        self._log = log

    @property
    def providers(self) -> tuple[str, ...]:
        """Those whose books can be read."""
        return tuple(self._bills)

    async def compare_day(self, provider: str, day: int) -> Reconciliation:
        """Compare the attempts of the UTC day that begins at `day` (microseconds). Raises ProviderUnavailable, ProviderDenied,
        StoreUnavailable, Overloaded or TooMuchToCompare.
        """
        now = self._clock.now()
        edge = bill_edge_seconds * MICROS_PER_SECOND
        books = await self._read(provider, day - edge, min(now, day + DAY_MICROS + edge))
        complete = books.whole and now >= day + DAY_MICROS + bill_settle_seconds * MICROS_PER_SECOND
        grade = Grade.BILLING_EVENT if _names_money(provider) else Grade.BILLED_UNITS
        return await self.compare(provider, grade, day, day + DAY_MICROS, books.bills, complete=complete)

    async def compare(
        self,
        provider: str,
        grade: Grade,
        range_from: int,
        range_before: int,
        bills: Sequence[Bill],
        *,
        complete: bool,
    ) -> Reconciliation:
        """Compare attempts used in the span with these bills, which may reach beyond it."""
        started_at = self._clock.now()
        findings = _Findings()
        attempts = await self._attempts(provider, range_from, range_before)
        owners = dict(await self._reader.attempts_of_ids(provider, tuple(bill.provider_id for bill in bills)))
        strangers = [bill for bill in bills if bill.provider_id not in owners]
        adopted = await self._adopt(provider, attempts, strangers)
        owners |= adopted
        by_attempt: dict[str, list[Bill]] = {}
        for bill in bills:
            if bill.provider_id in owners:
                by_attempt.setdefault(owners[bill.provider_id], []).append(bill)
        for one in attempts:
            await self._compare_attempt(
                one, by_attempt.get(one.attempt.id, []), grade, findings, complete=complete
            )
        for bill in strangers:
            if bill.provider_id not in adopted and range_from <= bill.at < range_before and bill.nanos != 0:
                findings.billed_nanos += bill.nanos or 0
                findings.disputes.append(_stranger(provider, bill))
        recorded: Reconciliation = await self._store.execute(
            RecordComparison(
                provider=provider,
                grade=grade,
                range_from=range_from,
                range_before=range_before,
                complete=complete,
                ledger_nanos=findings.ledger_nanos,
                billed_nanos=findings.billed_nanos,
                corrected_nanos=findings.corrected_nanos,
                matched_count=findings.matched_count,
                started_at=started_at,
                disputes=tuple(findings.disputes),
            )
        )
        self._log.info(
            "compared_with_bill",
            provider=provider,
            complete=complete,
            matched=findings.matched_count,
            corrected_nanos=findings.corrected_nanos,
            drift_nanos=recorded.drift_nanos,
            disputes=len(findings.disputes),
        )
        return recorded

    async def _read(self, provider: str, since: int, before: int) -> Books:
        found: dict[str, Bill] = {}
        whole = True
        page: str | None = None
        for _ in range(bill_pages_max):
            answer = await self._bills[provider].bills(since, before, page)
            found |= {bill.bill_id: bill for bill in answer.bills}
            whole = whole and answer.unreadable_count == 0
            page = answer.next_page
            if page is None:
                return Books(tuple(found.values()), whole)
        return Books(tuple(found.values()), whole=False)

    async def _attempts(self, provider: str, since: int, before: int) -> tuple[BilledAttempt, ...]:
        found = await self._reader.attempts_used(provider, since, before, reconcile_attempts_max + 1)
        if len(found) > reconcile_attempts_max:
            raise TooMuchToCompare(f"more than {reconcile_attempts_max} attempts at {provider} in the span")
        return found

    # -- bills whose id nobody knows

    async def _adopt(
        self, provider: str, attempts: Sequence[BilledAttempt], strangers: Sequence[Bill]
    ) -> dict[str, str]:
        """Give bills of unknown ids to attempts that were given up without one, where it is clear which belongs to which:
        as many of the one as of the other at the endpoint. They are taken in time order.
        """
        lost = [one for one in attempts if one.attempt.grade is Grade.UNCONFIRMED and not one.provider_ids]
        adopted: dict[str, str] = {}
        for endpoint in sorted({one.attempt.endpoint for one in lost}):
            waiting = sorted(
                (one.attempt for one in lost if one.attempt.endpoint == endpoint),
                key=lambda attempt: attempt.dispatched_at or 0,
            )
            candidates = sorted(
                (bill for bill in strangers if any(_may_be(bill, attempt) for attempt in waiting)),
                key=lambda bill: bill.at,
            )
            if len(candidates) != len(waiting):
                continue
            for bill, attempt in zip(candidates, waiting, strict=True):
                await self._store.execute(
                    BindProviderId(attempt.id, provider, bill.provider_id, source="BILL")
                )
                adopted[bill.provider_id] = attempt.id
        return adopted

    # -- one attempt

    async def _compare_attempt(
        self, one: BilledAttempt, bills: list[Bill], grade: Grade, findings: _Findings, *, complete: bool
    ) -> None:
        attempt = one.attempt
        findings.ledger_nanos += attempt.total_nanos
        amount = sum_of(attempt, bills) if bills else None
        if amount is not None:
            findings.matched_count += 1
            findings.billed_nanos += amount
            memo = f"bill {bills[0].bill_id}" + (f" and {len(bills) - 1} more" if len(bills) > 1 else "")
            await self._correct(attempt, amount, grade, _units(bills), memo, findings)
            if amount != attempt.total_nanos and grade.rank < attempt.grade.rank:
                findings.disputes.append(_dispute(one, Side.AMOUNT, bills[0], amount))
            return
        if bills or not complete:
            return
        age = self._clock.now() - (attempt.dispatched_at or attempt.usage_at)
        if attempt.grade is Grade.UNCONFIRMED and age >= absence_on_bill_seconds * MICROS_PER_SECOND:
            memo = "absent from the provider's complete bill"
            await self._correct(
                attempt, 0, max(grade, Grade.BILLED_UNITS, key=lambda g: g.rank), "", memo, findings
            )
        elif attempt.total_nanos:
            findings.disputes.append(_dispute(one, Side.LEDGER, None, None))

    async def _correct(
        self, attempt: Attempt, amount: int, grade: Grade, units: str, memo: str, findings: _Findings
    ) -> None:
        settled: Attempt = await self._store.execute(
            Correct(attempt.id, amount_nanos=amount, grade=grade, units=units, memo=memo)
        )
        findings.corrected_nanos += settled.total_nanos - attempt.total_nanos


def _names_money(provider: str) -> bool:
    """fal's billing events are amounts; Replicate lists what is to be priced."""
    return provider == "fal"


def sum_of(attempt: Attempt, bills: Sequence[Bill]) -> int | None:
    """What the bills of an attempt come to in nano-USD; None when one of them can't be priced."""
    amount = 0
    for bill in bills:
        nanos = bill.nanos
        if nanos is None:
            if bill.ended not in (None, Ended.SUCCEEDED):
                # What a failed or cancelled request costs is the route's to say, and was said with its result.
                return None
            charge = PriceSnapshot.from_json(attempt.price).settle(UsageEvidence(metrics=bill.metrics))
            if charge is None:
                return None
            nanos = charge.nanos
        amount += nanos
    return amount


def _units(bills: Sequence[Bill]) -> str:
    counted = [bill for bill in bills if bill.units is not None]
    return ", ".join(f"{bill.units} units" for bill in counted)


def _may_be(bill: Bill, attempt: Attempt) -> bool:
    sent = attempt.dispatched_at or attempt.usage_at
    earliest = sent - 120 * MICROS_PER_SECOND
    return bill.endpoint == attempt.endpoint and earliest <= bill.at < sent + DAY_MICROS


def _dispute(one: BilledAttempt, side: Side, bill: Bill | None, billed: int | None) -> Discrepancy:
    attempt = one.attempt
    return Discrepancy(
        provider=attempt.provider,
        side=side,
        subject=attempt.id,
        endpoint=attempt.endpoint,
        bill_id=bill.bill_id if bill else "",
        provider_id=attempt.provider_id or "",
        attempt_id=attempt.id,
        job_id=attempt.payer_job,
        attempt_number=attempt.number,
        ledger_nanos=attempt.total_nanos,
        billed_nanos=billed,
        usage_at=attempt.usage_at,
        created_at=0,
        resolved_at=None,
        resolution="",
    )


def _stranger(provider: str, bill: Bill) -> Discrepancy:
    return Discrepancy(
        provider=provider,
        side=Side.PROVIDER,
        subject=bill.bill_id,
        endpoint=bill.endpoint,
        bill_id=bill.bill_id,
        provider_id=bill.provider_id,
        attempt_id="",
        job_id="",
        attempt_number=0,
        ledger_nanos=None,
        billed_nanos=bill.nanos,
        usage_at=bill.at,
        created_at=0,
        resolved_at=None,
        resolution="",
    )
