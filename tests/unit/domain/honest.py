"""A provider that knows what it did, and its books: what it drew, what it billed, and what it lets us know of it and when."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from service.domain import commands as c
from service.domain.exchange import Bill, BillPage, Ended
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import Attempt
from tests.support.clock import FakeClock
from tests.support.orders import CEILING_NANOS
from tests.unit.domain.desk import BROKE

PAGE_ROWS = 7


@dataclass(frozen=True)
class Deed:
    """What became of one request that reached the provider."""

    attempt_id: str
    provider: str
    provider_id: str
    endpoint: str
    ended: str
    """SUCCEEDED, FAILED or CANCELLED."""
    units: int
    billed_nanos: int
    at: int
    """When it was booked there."""
    shown_at: int
    """From when on the books have it."""
    second_nanos: int = 0
    """What of it is booked in a second line."""


class Honest:
    """Both providers. `fal` bills any amount; `replicate` what its metrics come to, and nothing for what failed."""

    def __init__(self, dice: random.Random, clock: FakeClock) -> None:
        self._dice = dice
        self._clock = clock
        self.deeds: dict[str, Deed] = {}
        self.foreign: list[Bill] = []

    def take(self, attempt: Attempt) -> bool:
        """The request arrives, or does not. Decides at once what will become of it."""
        pick = self._dice.choice
        if self._dice.random() < 0.15:
            return False
        ended = pick(("SUCCEEDED",) * 5 + ("FAILED", "CANCELLED"))
        units = pick((1, 1, 1, 2)) if ended == "SUCCEEDED" else 0
        billed = units * CEILING_NANOS
        if attempt.provider == "fal":
            billed = pick((billed, billed, billed + 13, max(0, billed - 7), 0, CEILING_NANOS))
        second = billed // 3 if attempt.provider == "fal" and self._dice.random() < 0.2 else 0
        booked = self._clock.now() + self._dice.randrange(1, 900) * MICROS_PER_SECOND
        self.deeds[attempt.id] = Deed(
            attempt.id, attempt.provider, f"at-{attempt.provider}-{attempt.id}", attempt.endpoint, ended, units, billed,
            booked, booked + pick((0, 60, 20_000)) * MICROS_PER_SECOND, second,
        )  # fmt: skip
        return True

    def of_id(self, provider_id: str | None) -> Deed | None:
        """What it did under an id. An attempt that was lost may have got the id of another one just like it."""
        return next((one for one in self.deeds.values() if one.provider_id == provider_id), None)

    def result(self, deed: Deed) -> c.RecordResult:
        """What the provider says of the end; it may say less than it bills, and other than it bills."""
        told: dict[str, Any] = {"attempt_id": deed.attempt_id, "ended": deed.ended}
        if deed.ended == "SUCCEEDED":
            counted = (("image_count", str(deed.units)),)
            told |= {"images_count": deed.units, "result": '{"outputs":[]}'}
            told["metrics"] = counted if deed.provider == "replicate" or self._dice.random() < 0.7 else ()
        else:
            told |= {"failure": BROKE, "result": "{}"}
            told["surely_unbilled"] = deed.provider == "replicate" or self._dice.random() < 0.6
            told["charge_ceiling"] = not told["surely_unbilled"] and self._dice.random() < 0.5
        return c.RecordResult(**told)

    def strange(self) -> None:
        """Somebody else used the same key."""
        at = self._clock.now()
        name = f"foreign-{len(self.foreign)}"
        self.foreign.append(Bill(name, name, "somebody/else", at, nanos=self._dice.randrange(1, 99)))

    def billed_nanos(self, provider: str) -> int:
        """What the provider bills for our requests."""
        return sum(one.billed_nanos for one in self.deeds.values() if one.provider == provider)

    def amounts(self, provider: str) -> dict[str, int]:
        """What each line of the books comes to."""
        lines = [
            (line, one) for one in self.deeds.values() if one.provider == provider for line in lines_of(one)
        ]
        return {line.bill_id: one.billed_nanos if line.nanos is None else line.nanos for line, one in lines}

    def invoice(self, provider: str, raised: Mapping[str, int]) -> list[Bill]:
        """The last word, a line for each request: the books, and what was raised since."""
        return [
            replace(lines_of(one)[0], nanos=one.billed_nanos + raised.get(one.attempt_id, 0))
            for one in self.deeds.values()
            if one.provider == provider
        ]


class HonestBooks:
    """Implements `ProviderBills` for one of them, in pages, as far as bills are shown by now."""

    def __init__(self, honest: Honest, provider: str, clock: FakeClock) -> None:
        self._honest = honest
        self._provider = provider
        self._clock = clock

    async def bills(self, since: int, before: int, page: str | None = None) -> BillPage:
        """What was booked in the span. fal lists nothing for what cost nothing."""
        now = self._clock.now()
        found = [
            line
            for one in self._honest.deeds.values()
            for line in lines_of(one)
            if one.provider == self._provider
            and since <= one.at < before
            and one.shown_at <= now
            and (self._provider == "replicate" or one.billed_nanos)
        ]
        if self._provider == "fal":
            found += [one for one in self._honest.foreign if since <= one.at < before]
        at = int(page or 0)
        more = str(at + PAGE_ROWS) if at + PAGE_ROWS < len(found) else None
        return BillPage(tuple(found[at : at + PAGE_ROWS]), more)

    async def bills_of(self, provider_ids: tuple[str, ...], since: int) -> BillPage:
        """Nobody asks by id here."""
        return BillPage(())


def lines_of(deed: Deed) -> list[Bill]:
    """As the books have it: amounts at fal, what is to be priced at Replicate."""
    bill = Bill(f"bill-{deed.attempt_id}", deed.provider_id, deed.endpoint, deed.at)
    if deed.provider == "fal":
        first = replace(bill, nanos=deed.billed_nanos - deed.second_nanos)
        second = replace(bill, bill_id=f"{bill.bill_id}-second", nanos=deed.second_nanos)
        return [first, second] if deed.second_nanos else [first]
    metrics = {"image_count": Decimal(deed.units)} if deed.units else {}
    return [replace(bill, metrics=metrics, ended=Ended[deed.ended])]
