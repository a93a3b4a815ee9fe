"""What every provider's books promise, to searches for lost requests and to reconciliation. An implementation
binds it with fixtures `books` (requests end before their dispatch is answered) and `slow_books`; see
test_provider_records.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.exchange import BillPage, Refused, Unclear
from service.domain.failure import ProviderDenied, ProviderUnavailable
from service.domain.limits import MICROS_PER_SECOND, bills_asked_count_max, bills_span_seconds_max
from tests.providers.books_rig import BooksRig

LISTS = {"fal": "by-endpoint", "replicate": "predictions"}
BILLS = {"fal": "billing-events", "replicate": "predictions"}


class RecordsContract:
    """The promises of `service.ports.ProviderRecords`."""

    @pytest.mark.parametrize("fault", ["drop_after_accept", "no_id", "redirect_307"])
    async def test_a_request_whose_answer_was_lost_is_found(self, books: BooksRig, fault: str) -> None:
        """Accepted, and we never heard its id: the list names it."""
        books.fault(fault)
        assert isinstance(await books.rig.send(), Unclear)
        search = books.search()
        scan = await books.books.find(search)
        assert ([books.entries[0].id], True) == ([one.provider_id for one in scan.matches], scan.complete)
        assert search.sent_from < scan.matches[0].sent_at < search.sent_before

    @pytest.mark.parametrize("fault", ["drop_before_accept", "hang_before_accept"])
    async def test_a_request_that_never_arrived_is_absent(self, books: BooksRig, fault: str) -> None:
        """Not accepted, and the answer was lost: a complete scan without a match, and without another candidate."""
        books.fault(fault, **({"seconds": 0.01} if fault.startswith("hang") else {}))
        assert isinstance(await books.rig.send(), Unclear)
        scan = await books.books.find(books.search())
        assert ((), True, ()) == (scan.matches, scan.complete, scan.others)
        assert (1, 0) == books.rig.counts

    async def test_two_equal_inputs_are_both_found_in_time_order(self, books: BooksRig) -> None:
        """Which of them is whose is for the books of the attempts to say."""
        sent = [await books.rig.accepted() for _ in range(2)]
        scan = await books.books.find(books.search())
        assert sent == [one.provider_id for one in scan.matches]
        assert scan.matches[0].sent_at <= scan.matches[1].sent_at

    async def test_what_is_sent_is_what_is_compared(self, books: BooksRig) -> None:
        """Fractions, whole numbers written as fractions, other alphabets and nulls survive the way there and back."""
        inputs: dict[str, Any] = {
            "prompt": "\u03bb \u96ea \U0001f98a \u2028",
            "guidance": 2.50,
            "guidance_scale": 3.0,
            "seed": 2**31,
        }
        found = await books.rig.accepted(**inputs, extra_of_ours=None)
        assert [found] == [
            one.provider_id for one in (await books.books.find(books.search(**inputs))).matches
        ]

    async def test_another_input_is_no_match_and_is_named(self, books: BooksRig) -> None:
        """A request to the same endpoint that is not the same is told apart, and told."""
        other = await books.rig.accepted(seed=8)
        scan = await books.books.find(books.search())
        assert ((), (other,), True) == (scan.matches, scan.others, scan.complete)

    async def test_an_input_in_another_spelling_forbids_to_conclude_absence(self, books: BooksRig) -> None:
        """Should a list ever show inputs with defaults, nothing would match: such a row is among `others`."""
        books.fault("list_respelled")
        found = await books.rig.accepted()
        scan = await books.books.find(books.search())
        assert ((), (found,)) == (scan.matches, scan.others)

    async def test_only_the_span_counts(self, books: BooksRig) -> None:
        """Equal requests from before and after it are neither matches nor others."""
        await books.rig.accepted()
        books.rig.sandbox.world.clock.advance(300)
        wanted = await books.rig.accepted()
        search = books.search(before=60, after=60)
        books.rig.sandbox.world.clock.advance(300)
        await books.rig.accepted()
        scan = await books.books.find(search)
        assert ([wanted], (), True) == ([one.provider_id for one in scan.matches], scan.others, scan.complete)

    async def test_a_list_that_is_late_shows_it_later(self, books: BooksRig) -> None:
        """Absent at first, then there: why one scan is not enough."""
        books.fault("list_delay", seconds=60)
        found = await books.rig.accepted()
        assert () == (await books.books.find(books.search())).matches
        books.rig.sandbox.world.clock.advance(61)
        assert [found] == [one.provider_id for one in (await books.books.find(books.search())).matches]

    async def test_a_list_of_many_pages_is_read_to_its_end(self, books: BooksRig) -> None:
        """The oldest of 130 requests is found behind a page of newer ones; with one page allowed the scan is not complete."""
        first = await books.rig.accepted()
        for number in range(130):
            await books.rig.accepted(seed=100 + number)
        scan = await books.books.find(books.search())
        assert ([first], True, 130) == (
            [one.provider_id for one in scan.matches],
            scan.complete,
            len(scan.others),
        )
        bounded = await books.bounded.find(books.search())
        assert ((), False) == (bounded.matches, bounded.complete)

    @pytest.mark.parametrize("code", [429, 500, 503])
    async def test_a_list_that_cannot_be_had_is_no_answer(self, books: BooksRig, code: int) -> None:
        """Unavailable, with the provider's Retry-After; asked again it answers."""
        await books.rig.accepted()
        books.trouble(LISTS[books.rig.provider.name], code=code, retry_after=7)
        with pytest.raises(ProviderUnavailable) as refused:
            await books.books.find(books.search())
        assert 7.0 == refused.value.retry_after_seconds
        assert 1 == len((await books.books.find(books.search())).matches)

    async def test_a_wrong_key_is_denied(self, books: BooksRig) -> None:
        """For the list as for the bills."""
        with pytest.raises(ProviderDenied):
            await books.denied.find(books.search())
        with pytest.raises(ProviderDenied):
            await books.denied.bills(*books.span)

    async def test_absence_is_believed_late(self, books: BooksRig) -> None:
        """More than one scan is needed, apart from each other, after the list has settled."""
        rule = books.books.absence
        assert rule.scans >= 2
        assert rule.scan_gap_seconds >= 30
        assert rule.settle_seconds >= 120
        assert rule.dispatch_again is (not rule.waits)

    async def test_closing_twice_is_legal(self, books: BooksRig) -> None:
        """`close` frees the sockets, also when they are free already."""
        await books.books.find(books.search())
        await books.books.close()
        await books.books.close()


class BillsContract:
    """The promises of `service.ports.ProviderBills`."""

    async def test_every_charge_is_there_once_and_exact(self, books: BooksRig) -> None:
        """One bill per billed request, under the provider's id, with what it comes to or is made of."""
        sent = [await books.rig.accepted(seed=number) for number in range(3)]
        books.rig.sandbox.world.clock.advance(10)
        page = await books.books.bills(*books.span)
        assert (set(sent), 3, 0, None) == (
            {bill.provider_id for bill in page.bills},
            len({bill.bill_id for bill in page.bills}),
            page.unreadable_count,
            page.next_page,
        )
        for bill in page.bills:
            entry = next(one for one in books.entries if one.id == bill.provider_id)
            assert entry.charge is not None
            assert bill.nanos == entry.bill_nanos if bill.nanos is not None else bill.metrics
            assert books.rig.endpoint == bill.endpoint
            assert books.span[0] <= bill.at < books.span[1]

    async def test_read_again_the_bills_have_the_same_names(self, books: BooksRig) -> None:
        """What was booked once is recognised: by span or by id, `bill_id` is the same."""
        sent = await books.rig.accepted()
        books.rig.sandbox.world.clock.advance(10)
        pages = [await books.books.bills(*books.span), await books.books.bills(*books.span)]
        pages.append(await books.books.bills_of((sent,), books.span[0]))
        assert pages[0] == pages[1] == pages[2]

    async def test_bills_can_be_asked_for_by_request(self, books: BooksRig) -> None:
        """Only these; an id that nobody knows is left out."""
        sent = [await books.rig.accepted(seed=number) for number in range(3)]
        books.rig.sandbox.world.clock.advance(10)
        page = await books.books.bills_of((sent[1], "nobodys-request"), books.span[0])
        assert [sent[1]] == [bill.provider_id for bill in page.bills]

    async def test_what_never_ran_has_no_charge(self, slow_books: BooksRig) -> None:
        """A request that was taken out of the queue has no bill, or one of nothing."""
        slow_books.fault("stuck")
        sent = await slow_books.rig.accepted()
        await slow_books.rig.provider.cancel(slow_books.rig.endpoint, sent)
        slow_books.rig.sandbox.world.clock.advance(10)
        page = await slow_books.books.bills_of((sent,), slow_books.span[0])
        assert [] == [bill for bill in page.bills if bill.nanos or bill.metrics.get("image_output_count")]

    async def test_spans_have_a_bound(self, books: BooksRig) -> None:
        """A span without length, or of more than ninety days, or more ids than fit, is a mistake of ours."""
        now = books.span[0]
        for since in (now, now + 1, now - (bills_span_seconds_max + 1) * MICROS_PER_SECOND):
            with pytest.raises(ValueError, match="span"):
                await books.books.bills(since, now)
        for count in (0, bills_asked_count_max + 1):
            with pytest.raises(ValueError, match="requests"):
                await books.books.bills_of(("one",) * count, now)

    async def test_bills_that_cannot_be_had_are_no_answer(self, books: BooksRig) -> None:
        """Unavailable is not the same as none."""
        books.trouble(BILLS[books.rig.provider.name], code=500)
        with pytest.raises(ProviderUnavailable):
            await books.books.bills(*books.span)

    async def test_a_refused_request_leaves_no_trace(self, books: BooksRig) -> None:
        """What the provider refused is in no list and on no bill."""
        books.fault("refuse_input")
        assert isinstance(await books.rig.send(), Refused)
        assert () == (await books.books.find(books.search())).matches
        assert BillPage(()) == await books.books.bills(*books.span)
