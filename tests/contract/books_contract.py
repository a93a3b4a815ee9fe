"""What every reader for reconciliation promises, and what keeping a comparison promises. `test_reconciling.py` binds it."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from service.domain import commands as c
from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.limits import MICROS_PER_SECOND
from service.domain.queries import DiscrepancyQuery, ReconciliationQuery
from service.domain.records import Grade
from service.ports import BooksReader, Store
from tests.support.clock import SeededDice
from tests.support.orders import CEILING_NANOS, Orders, Steps, draw

DAY = 24 * 3_600 * MICROS_PER_SECOND
FAR = 2**62


@dataclass
class Books:
    """Stores of one database, as many as it may have, and a reader."""

    stores: tuple[Store, ...]
    reader: BooksReader
    orders: Orders = field(default_factory=lambda: Orders(SeededDice(13)))

    async def run(self, command: c.Command) -> Any:
        """Carry it out."""
        return await self.stores[0].execute(command)

    async def used(self, **changes: Any) -> list[str]:
        """Attempts at fal, by usage."""
        asked: dict[str, Any] = {"since": 0, "before": FAR, "limit": 10}
        found = await self.reader.attempts_used("fal", **{**asked, **changes})
        return [one.attempt.id for one in found]

    async def compared(self, **query: Any) -> list[tuple[str, int, int]]:
        """Comparisons by provider, day and number."""
        page = await self.reader.reconciliations(ReconciliationQuery(**{"limit": 10, **query}))
        return [(one.provider, one.range_from // DAY, one.number) for one in page.reconciliations]

    async def disputed(self, **query: Any) -> list[str]:
        """Subjects in dispute."""
        page = await self.reader.discrepancies(DiscrepancyQuery(**{"limit": 10, **query}))
        return [one.subject for one in page.discrepancies]


def dispute(subject: str, usage_at: int, side: Side = Side.PROVIDER, provider: str = "fal") -> Discrepancy:
    """A charge that only one side knows."""
    return Discrepancy(
        provider=provider, side=side, subject=subject, endpoint="house/one", bill_id=subject,
        provider_id=f"id of {subject}", attempt_id="", job_id="", attempt_number=0, ledger_nanos=None,
        billed_nanos=7, usage_at=usage_at, created_at=0, resolved_at=None, resolution="",
    )  # fmt: skip


def comparison(day: int, *disputes: Discrepancy, **changes: Any) -> c.RecordComparison:
    """A comparison of a day of fal."""
    made = c.RecordComparison(
        provider="fal", grade=Grade.BILLING_EVENT, range_from=day * DAY, range_before=(day + 1) * DAY,
        complete=True, ledger_nanos=10, billed_nanos=10, corrected_nanos=0, matched_count=1,
        started_at=(day + 1) * DAY, disputes=disputes,
    )  # fmt: skip
    return replace(made, **changes)


class BooksContract:
    """The suite. The database is empty at the start."""

    # -- what is compared

    async def test_attempts_that_were_sent_come_by_usage(self, books: Books) -> None:
        """Of the provider and the span only, oldest first, in pages without gaps; what was never sent is nobody's bill."""
        sent = []
        for number in range(3):
            accept = books.orders.accept(f"subject {number}")
            await draw(books.stores[0], accept)
            sent.append(accept.attempt_id)
        await books.run(books.orders.accept("held, not sent"))
        assert sent == await books.used()
        assert sent[:2] == await books.used(limit=2)
        rows = await books.reader.attempts_used("fal", 0, FAR, 10)
        places = [(one.attempt.usage_at, one.attempt.id) for one in rows]
        assert sent[1:] == await books.used(after=places[0])
        assert [] == await books.used(after=places[-1])
        middle = places[1][0]
        assert [name for at, name in places if at >= middle] == await books.used(since=middle)
        assert [name for at, name in places if at < middle] == await books.used(before=middle)
        assert [] == await books.used(since=places[-1][0] + 1)
        assert () == await books.reader.attempts_used("replicate", 0, FAR, 10)

    async def test_attempts_come_with_every_id_of_theirs(self, books: Books) -> None:
        """An alias counts like the id itself, and both lead back to the attempt; ids of another provider do not."""
        accept = books.orders.accept()
        for command in Steps(accept).all()[:2]:
            await books.run(command)
        await books.run(c.BindProviderId(accept.attempt_id, "fal", "one", aliases=("two",)))
        [found] = await books.reader.attempts_used("fal", 0, FAR, 10)
        assert {"one", "two"} == set(found.provider_ids)
        wanted = ("one", "two", "three")
        assert dict.fromkeys(("one", "two"), accept.attempt_id) == await books.reader.attempts_of_ids(
            "fal", wanted
        )
        assert {} == await books.reader.attempts_of_ids("replicate", wanted)
        assert {} == await books.reader.attempts_of_ids("fal", ())

    async def test_more_ids_than_a_statement_takes_are_looked_up(self, books: Books) -> None:
        """A day's bills may be tens of thousands."""
        accept = books.orders.accept()
        await draw(books.stores[0], accept)
        ids = (*(f"id-{number}" for number in range(3_000)), f"fal-{accept.attempt_id}")
        assert [accept.attempt_id] == list((await books.reader.attempts_of_ids("fal", ids)).values())

    # -- what is kept of it

    async def test_a_comparison_is_kept_once(self, books: Books) -> None:
        """The same findings again, begun later, are not kept; other ones are, under the next number."""
        first = await books.run(comparison(1))
        assert first == await books.run(comparison(1))
        assert first == await books.run(comparison(1, started_at=9 * DAY))
        second = await books.run(comparison(1, billed_nanos=12, started_at=9 * DAY))
        assert (1, 2, 2) == (first.number, second.number, second.drift_nanos)
        assert [("fal", 1, 2), ("fal", 1, 1)] == await books.compared()

    async def test_replicas_that_compare_at_once_keep_one(self, books: Books) -> None:
        """Both hand in what they found, and both are answered with the same comparison; a dispute is there once."""
        command = comparison(1, dispute("bill", DAY))
        found: list[Reconciliation] = await asyncio.gather(
            *(store.execute(command) for store in books.stores for _ in range(4))
        )
        assert 1 == len(set(found))
        assert ([("fal", 1, 1)], ["bill"]) == (await books.compared(), await books.disputed())

    async def test_comparisons_are_listed_by_everything_that_may_be_asked(self, books: Books) -> None:
        """Newest first; each restriction alone finds exactly what it names; pages have no gaps and no repeats."""
        for day in (1, 2, 3):
            await books.run(comparison(day))
        await books.run(comparison(2, provider="replicate", grade=Grade.BILLED_UNITS))
        everything = [("fal", 3, 1), ("replicate", 2, 1), ("fal", 2, 1), ("fal", 1, 1)]
        assert everything == await books.compared()
        assert everything[1:2] == await books.compared(provider="replicate")
        assert everything[:3] == await books.compared(started_from=3 * DAY)
        assert everything[3:] == await books.compared(started_before=3 * DAY)
        seen, after = [], None
        while page := (
            await books.reader.reconciliations(ReconciliationQuery(1, after=after))
        ).reconciliations:
            [one] = page
            seen.append((one.provider, one.range_from // DAY, one.number))
            after = (one.started_at, one.provider, one.grade.value, one.range_from, one.number)
        assert everything == seen

    # -- disputes

    async def test_disputes_are_listed_by_everything_that_may_be_asked(self, books: Books) -> None:
        """By usage, newest first; each restriction alone finds exactly what it names; pages have no gaps and no repeats."""
        await books.run(comparison(1, dispute("a", DAY), dispute("b", DAY + 5, Side.LEDGER)))
        await books.run(
            comparison(
                2, dispute("c", 2 * DAY, Side.AMOUNT, "replicate"), provider="replicate", grade=Grade.BILLED_UNITS
            )
        )  # fmt: skip
        assert ["c", "b", "a"] == await books.disputed()
        assert ["c"] == await books.disputed(provider="replicate")
        assert ["b", "a"] == await books.disputed(provider="fal")
        assert ["c", "a"] == await books.disputed(sides=(Side.AMOUNT, Side.PROVIDER))
        assert ["c", "b"] == await books.disputed(used_from=DAY + 5)
        assert ["a"] == await books.disputed(used_before=DAY + 5)
        seen, after = [], None
        while page := (await books.reader.discrepancies(DiscrepancyQuery(1, after=after))).discrepancies:
            [one] = page
            seen.append(one.subject)
            after = (one.usage_at, one.provider, one.side.value, one.subject)
        assert ["c", "b", "a"] == seen

    async def test_a_dispute_ends_when_both_sides_were_seen(self, books: Books) -> None:
        """Then it is listed only on demand, with how it ended; what this comparison says nothing of stays open."""
        await books.run(
            comparison(1, dispute("settled", DAY, Side.LEDGER), dispute("open", DAY, Side.LEDGER))
        )
        await books.run(comparison(2, dispute("of another day", 2 * DAY)))
        await books.run(comparison(1, complete=False, in_order=frozenset({"settled", "of another day"})))
        assert ["of another day", "open"] == await books.disputed()
        assert ["of another day", "settled", "open"] == await books.disputed(include_resolved=True)
        page = await books.reader.discrepancies(DiscrepancyQuery(10, include_resolved=True))
        ended = {one.subject: (one.resolved_at is None, one.resolution) for one in page.discrepancies}
        assert (False, "found on both sides since") == ended["settled"]

    async def test_a_dispute_that_comes_back_is_open_again(self, books: Books) -> None:
        """Under the time at which it was first seen."""
        first = comparison(1, dispute("bill", DAY))
        await books.run(first)
        [before] = (await books.reader.discrepancies(DiscrepancyQuery(10))).discrepancies
        await books.run(comparison(1, in_order=frozenset({"bill"})))
        assert [] == await books.disputed()
        await books.run(replace(first, started_at=9 * DAY))
        assert [before] == list((await books.reader.discrepancies(DiscrepancyQuery(10))).discrepancies)

    async def test_a_correction_is_booked_once(self, books: Books) -> None:
        """Whoever hands it in, and however often at once."""
        accept = books.orders.accept()
        await draw(books.stores[0], accept)
        command = c.Correct(accept.attempt_id, CEILING_NANOS + 7, Grade.BILLING_EVENT, memo="bill b-1")
        settled = await asyncio.gather(*(store.execute(command) for store in books.stores for _ in range(3)))
        assert {(2, CEILING_NANOS + 7)} == {(one.ordinal, one.total_nanos) for one in settled}
