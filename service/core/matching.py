"""Which request in a provider's own list is the one whose answer was lost.

An attempt is found again by what was sent: equal canonical input, a time within `search_span_seconds` of the attempt's own, and
an id that no attempt has. Equal requests at about the same time are told apart by the seed that we rolled; without one, ids are
given out only when there are as many as attempts without an id, in the order of time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from service.domain.exchange import Listed, Search
from service.domain.limits import MICROS_PER_SECOND, search_span_seconds
from service.domain.records import Attempt, Render
from service.ports import ProviderRecords, WorkReader

_SPAN_MICROS = int(search_span_seconds * MICROS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one reading of the list says about an attempt."""

    provider_ids: tuple[str, ...] = ()
    """Its ids, the canonical one first; empty when none can be given to it."""
    absent: bool = False
    """The list was read to its end, and nothing in it can be this attempt."""


def seed_is_ours(render: Render, attempt: Attempt) -> bool:
    """Whether the seed that was sent is one that we rolled for this attempt alone."""
    return attempt.seed_sent is not None and json.loads(render.content).get("seed") is None


async def look(records: ProviderRecords, work: WorkReader, render: Render, attempt: Attempt) -> Sighting:
    """Read the list once. Raises ProviderUnavailable, ProviderDenied and StoreUnavailable; reading again is harmless."""
    sent_at = attempt.dispatched_at or 0
    search = Search(
        attempt.endpoint,
        attempt.input_digest,
        sent_from=sent_at - _SPAN_MICROS,
        sent_before=sent_at + _SPAN_MICROS,
    )
    scan = await records.find(search)
    # In this order: whoever was in the list and had no id yet is counted, and who got one meanwhile has it.
    rivals = await _rivals(work, attempt)
    listed = (*(one.provider_id for one in scan.matches), *scan.others)
    taken = await work.bound(attempt.provider, listed) if listed else {}
    if attempt.id in taken.values():
        return Sighting()
    matches = [one for one in scan.matches if one.provider_id not in taken]
    others = [one for one in scan.others if one not in taken]
    if not matches:
        return Sighting(absent=scan.complete and not others)
    if seed_is_ours(render, attempt):
        return Sighting(tuple(one.provider_id for one in matches))
    return _in_order_of_time(attempt, matches, rivals) if scan.complete else Sighting()


async def _rivals(work: WorkReader, attempt: Attempt) -> list[Attempt]:
    """Attempts without an id that sent the same at about the same time, this one among them."""
    found = await work.unresolved(attempt.provider, attempt.endpoint, attempt.input_digest)
    at = attempt.dispatched_at or 0
    return [one for one in found if abs((one.dispatched_at or 0) - at) <= _SPAN_MICROS]


def _in_order_of_time(attempt: Attempt, matches: list[Listed], rivals: list[Attempt]) -> Sighting:
    place = next((index for index, one in enumerate(rivals) if one.id == attempt.id), None)
    if place is None or len(matches) != len(rivals):
        return Sighting()
    return Sighting((matches[place].provider_id,))
