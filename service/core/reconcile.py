"""Comparing the ledger with a provider's own books, attempt by attempt, and booking the difference.

A day is compared by the usage times of its attempts. Bills trail their requests and lie on the other side of midnight at
times, so they are read over a wider span, and a day is complete only when its bills have had time to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.commands import BindProviderId, Correct, RecordComparison
from service.domain.exchange import Bill, Ended
from service.domain.ledger import moves
from service.domain.limits import (
    MICROS_PER_SECOND,
    absence_on_bill_seconds,
    bill_edge_seconds,
    bill_pages_max,
    bill_settle_seconds,
    reconcile_attempts_max,
    reconcile_page_rows,
    search_span_seconds,
)
from service.domain.price import PriceSnapshot, UsageEvidence
from service.domain.queries import BilledAttempt
from service.domain.records import Attempt, Grade
from service.ports import BooksReader, Clock, Log, ProviderBills, Store

DAY_MICROS: Final = 24 * 3_600 * MICROS_PER_SECOND
_EDGE: Final = bill_edge_seconds * MICROS_PER_SECOND


class TooMuchToCompare(Exception):
    """A span has more attempts or bills than one comparison takes."""


@dataclass(frozen=True, slots=True)
class Books:
    """A provider's books over a span, read as far as they could be."""

    bills: tuple[Bill, ...]
    whole: bool


@dataclass(slots=True)
class _Comparison:
    """One comparison under way: what is compared with what, and what it has come to so far."""

    provider: str
    grade: Grade
    range_from: int
    range_before: int
    complete: bool
    bills: dict[str, list[Bill]] = field(default_factory=dict)
    """By attempt."""
    lost: list[BilledAttempt] = field(default_factory=list)
    """Given up without an id: their bills have ids that nobody knows."""
    ledger_nanos: int = 0
    billed_nanos: int = 0
    corrected_nanos: int = 0
    matched_count: int = 0
    disputes: list[Discrepancy] = field(default_factory=list)
    in_order: set[str] = field(default_factory=set)
    """Subjects of disputes that are none (any more): attempts and bills that the other side knows."""

    @property
    def is_invoice(self) -> bool:
        """An invoice ends at midnight as the provider sees it: what was used shortly before may be on the next one."""
        return self.grade is Grade.INVOICE

    @property
    def first_usage(self) -> int:
        """From when on attempts are looked at."""
        return self.range_from - (_EDGE if self.is_invoice else 0)

    def concerns(self, attempt: Attempt) -> bool:
        """Whether this attempt belongs to these books."""
        if attempt.id in self.bills:
            return True
        return self.range_from <= attempt.usage_at < self.range_before - (_EDGE if self.is_invoice else 0)


class Reconciler:
    """The use case of reconciliation. Running it twice on the same books changes nothing the second time."""

    def __init__(
        self,
        store: Store,
        reader: BooksReader,
        bills: Mapping[str, ProviderBills],
        clock: Clock,
        log: Log,
        *,
        page_rows: int = reconcile_page_rows,
    ) -> None:
        self._page_rows = page_rows
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
        books = await self._read(provider, day - _EDGE, min(now, day + DAY_MICROS + _EDGE))
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
        under_way = _Comparison(provider, grade, range_from, range_before, complete)
        owners = await self._reader.attempts_of_ids(provider, tuple({bill.provider_id for bill in bills}))
        for bill in bills:
            if bill.provider_id in owners:
                under_way.bills.setdefault(owners[bill.provider_id], []).append(bill)
                under_way.in_order.add(bill.bill_id)
        seen = await self._compare_attempts(under_way)
        strangers = [bill for bill in bills if bill.provider_id not in owners]
        strangers = await self._adopt(under_way, strangers)
        for one in under_way.lost:
            await self._compare_attempt(under_way, one)
        _list_strangers(under_way, strangers)
        if under_way.is_invoice:
            _list_misplaced(under_way, seen)
        return await self._record(under_way, started_at)

    async def _record(self, under_way: _Comparison, started_at: int) -> Reconciliation:
        recorded: Reconciliation = await self._store.execute(
            RecordComparison(
                provider=under_way.provider,
                grade=under_way.grade,
                range_from=under_way.range_from,
                range_before=under_way.range_before,
                complete=under_way.complete,
                ledger_nanos=under_way.ledger_nanos,
                billed_nanos=under_way.billed_nanos,
                corrected_nanos=under_way.corrected_nanos,
                matched_count=under_way.matched_count,
                started_at=started_at,
                disputes=tuple(under_way.disputes),
                in_order=frozenset(under_way.in_order),
            )
        )
        self._log.info(
            "compared_with_bill",
            provider=under_way.provider,
            complete=under_way.complete,
            matched=under_way.matched_count,
            corrected_nanos=under_way.corrected_nanos,
            drift_nanos=recorded.drift_nanos,
            disputes=len(under_way.disputes),
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

    async def _compare_attempts(self, under_way: _Comparison) -> set[str]:
        """Page after page; answers which attempts were looked at. Those that were lost wait until bills were given to them."""
        seen: set[str] = set()
        after: tuple[int, str] | None = None
        while True:
            page = await self._reader.attempts_used(
                under_way.provider, under_way.first_usage, under_way.range_before, self._page_rows, after
            )
            for one in page:
                if not under_way.concerns(one.attempt):
                    continue
                seen.add(one.attempt.id)
                if one.attempt.grade is Grade.UNCONFIRMED and not one.provider_ids:
                    under_way.lost.append(one)
                else:
                    await self._compare_attempt(under_way, one)
            if len(seen) > reconcile_attempts_max:
                raise TooMuchToCompare(
                    f"more than {reconcile_attempts_max} attempts at {under_way.provider} in the span"
                )
            if len(page) < self._page_rows:
                return seen
            after = (page[-1].attempt.usage_at, page[-1].attempt.id)

    # -- bills whose id nobody knows

    async def _adopt(self, under_way: _Comparison, strangers: Sequence[Bill]) -> list[Bill]:
        """Give bills of unknown ids to attempts that were given up without one, where it is clear which belongs to which:
        as many of the one as of the other at the endpoint, in time order. Answers the bills that are left.
        """
        adopted: set[str] = set()
        for endpoint in sorted({one.attempt.endpoint for one in under_way.lost}):
            waiting = sorted(
                (one.attempt for one in under_way.lost if one.attempt.endpoint == endpoint),
                key=lambda attempt: attempt.dispatched_at or 0,
            )
            candidates = sorted(
                (bill for bill in strangers if any(_may_be(bill, attempt) for attempt in waiting)),
                key=lambda bill: bill.at,
            )
            if len({bill.provider_id for bill in candidates}) != len(candidates) or len(candidates) != len(
                waiting
            ):
                continue
            for bill, attempt in zip(candidates, waiting, strict=True):
                await self._store.execute(
                    BindProviderId(attempt.id, under_way.provider, bill.provider_id, source="BILL")
                )
                under_way.bills[attempt.id] = [bill]
                under_way.in_order.add(bill.bill_id)
                adopted.add(bill.bill_id)
        return [bill for bill in strangers if bill.bill_id not in adopted]

    # -- one attempt

    async def _compare_attempt(self, under_way: _Comparison, one: BilledAttempt) -> None:
        attempt = one.attempt
        if attempt.hold_open and not under_way.complete:
            # Its own end will say what it costs; the next comparison finds it settled.
            return
        bills = under_way.bills.get(attempt.id, [])
        amount = sum_of(attempt, bills) if bills else None
        if amount is not None:
            under_way.ledger_nanos += attempt.total_nanos
            under_way.matched_count += 1
            under_way.billed_nanos += amount
            memo = f"bill {bills[0].bill_id}" + (f" and {len(bills) - 1} more" if len(bills) > 1 else "")
            await self._correct(under_way, attempt, amount, under_way.grade, _units(bills), memo)
            if amount != attempt.total_nanos and under_way.grade.rank < attempt.grade.rank:
                under_way.disputes.append(_dispute(attempt, Side.AMOUNT, bills[0], amount))
            else:
                under_way.in_order.add(attempt.id)
            return
        if bills:
            # Known on both sides, and the books name no money for it: what it costs was said with its result.
            under_way.in_order.add(attempt.id)
            return
        if not under_way.complete:
            # Its bill may still come.
            return
        under_way.ledger_nanos += attempt.total_nanos
        age = self._clock.now() - (attempt.dispatched_at or attempt.usage_at)
        if attempt.grade is Grade.UNCONFIRMED and age >= absence_on_bill_seconds * MICROS_PER_SECOND:
            memo = "absent from the provider's complete bill"
            grade = max(under_way.grade, Grade.BILLED_UNITS, key=lambda g: g.rank)
            await self._correct(under_way, attempt, 0, grade, "", memo)
            under_way.in_order.add(attempt.id)
        elif attempt.total_nanos:
            under_way.disputes.append(_dispute(attempt, Side.LEDGER, None, None))
        else:
            under_way.in_order.add(attempt.id)

    async def _correct(
        self, under_way: _Comparison, attempt: Attempt, amount: int, grade: Grade, units: str, memo: str
    ) -> None:
        if not moves(attempt, amount, grade):
            # Most bills say what is known: they are not worth a transaction each.
            return
        settled: Attempt = await self._store.execute(
            Correct(attempt.id, amount_nanos=amount, grade=grade, units=units, memo=memo)
        )
        under_way.corrected_nanos += settled.total_nanos - attempt.total_nanos


def _names_money(provider: str) -> bool:
    """fal's billing events are amounts; Replicate lists what is to be priced."""
    return provider == "fal"


def sum_of(attempt: Attempt, bills: Sequence[Bill]) -> int | None:
    """What the bills of an attempt come to in nano-USD; None when one of them can't be priced, or when they are below nothing."""
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
    # Credits are taken off; nobody is paid for having a picture drawn.
    return amount if amount >= 0 else None


def _units(bills: Sequence[Bill]) -> str:
    counted = [bill for bill in bills if bill.units is not None]
    return ", ".join(f"{bill.units} units" for bill in counted)


def _may_be(bill: Bill, attempt: Attempt) -> bool:
    sent = attempt.dispatched_at or attempt.usage_at
    earliest = sent - int(search_span_seconds * MICROS_PER_SECOND)
    return bill.endpoint == attempt.endpoint and earliest <= bill.at < sent + _EDGE


def _list_strangers(under_way: _Comparison, strangers: Iterable[Bill]) -> None:
    """Charges of the span that no attempt has; free ones are nobody's concern."""
    for bill in strangers:
        if bill.nanos != 0 and under_way.range_from <= bill.at < under_way.range_before:
            under_way.billed_nanos += bill.nanos or 0
            under_way.disputes.append(_stranger(under_way.provider, bill))


def _list_misplaced(under_way: _Comparison, seen: set[str]) -> None:
    """Lines of an invoice about attempts of another time: to be looked at, not to be booked."""
    for attempt_id, bills in under_way.bills.items():
        for bill in bills if attempt_id not in seen else ():
            under_way.in_order.discard(bill.bill_id)
            under_way.billed_nanos += bill.nanos or 0
            misplaced = _stranger(under_way.provider, bill)
            under_way.disputes.append(replace(misplaced, attempt_id=attempt_id))


def _dispute(attempt: Attempt, side: Side, bill: Bill | None, billed: int | None) -> Discrepancy:
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
