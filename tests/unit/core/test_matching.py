"""Which request of a provider's list an attempt is given: its own, or none."""

from dataclasses import replace

import pytest

from service.core.matching import Sighting, look, seed_is_ours
from service.domain import commands as c
from service.domain.exchange import Listed, Scan, Search
from service.domain.limits import MICROS_PER_SECOND, search_span_seconds
from service.domain.records import Attempt, Render
from tests.support.fake_provider import REPLICATE_ABSENCE, ReplyLost
from tests.unit.core.rig import Rig

SPAN = int(search_span_seconds * MICROS_PER_SECOND)


class Listing:
    """Implements `ProviderRecords` with one answer; knows what was asked."""

    def __init__(self, *ids: str, complete: bool = True, others: tuple[str, ...] = ()) -> None:
        self.absence = REPLICATE_ABSENCE
        self.scan = Scan(tuple(Listed(one, at) for at, one in enumerate(ids)), complete, others)
        self.asked: list[Search] = []

    async def find(self, search: Search) -> Scan:
        """The answer."""
        self.asked.append(search)
        return self.scan

    async def close(self) -> None:
        """Nothing to free."""


class Scene:
    """Attempts that were perhaps sent, all with the same seed of their callers unless told otherwise."""

    def __init__(self) -> None:
        self.rig = Rig()
        for records in self.rig.records.values():
            records.away = 9_999

    async def lost(self, project: str, seed: int | None = 7) -> tuple[Render, Attempt]:
        """One more; time stands still."""
        self.rig.replicate.dispatches.append(ReplyLost("timeout", "no answer"))
        submitted = await self.rig.submit(pin_provider="replicate", drawing={"seed": seed}, project=project)
        await self.rig.clock.run(0.5)
        return self.rig.render(submitted), self.rig.attempt(submitted)

    async def sight(self, listing: Listing, of: tuple[Render, Attempt]) -> Sighting:
        """What this list says about it."""
        return await look(listing, self.rig.jobs, *of)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_the_list_is_read_two_minutes_to_both_sides(scene: Scene) -> None:
    """By endpoint and the digest of what was sent."""
    _, attempt = mine = await scene.lost("growth")
    listing = Listing()
    assert Sighting(absent=True) == await scene.sight(listing, mine)
    at = attempt.dispatched_at or 0
    assert [Search(attempt.endpoint, attempt.input_digest, at - SPAN, at + SPAN)] == listing.asked
    assert attempt.input_digest
    await scene.rig.runner.stop()


async def test_a_seed_of_ours_needs_no_comparison(scene: Scene) -> None:
    """The first id is canonical; were there more, they are the same request under other names."""
    mine = await scene.lost("growth", seed=None)
    assert seed_is_ours(*mine)
    assert Sighting(("a", "b")) == await scene.sight(Listing("a", "b", complete=False), mine)
    await scene.rig.runner.stop()


async def test_a_callers_seed_needs_the_whole_list_and_as_many_as_are_missed(scene: Scene) -> None:
    """Two are missed: one found is nobody's, two are given by time, three are nobody's; and a list in part says nothing."""
    first, second = await scene.lost("growth"), await scene.lost("research")
    assert not seed_is_ours(*first)
    for ids, mine, theirs in (
        (("a",), (), ()), (("a", "b"), ("a",), ("b",)), (("a", "b", "c"), (), ()),
    ):  # fmt: skip
        assert (Sighting(mine), Sighting(theirs)) == (
            await scene.sight(Listing(*ids), first),
            await scene.sight(Listing(*ids), second),
        )
    assert Sighting() == await scene.sight(Listing("a", "b", complete=False), first)
    await scene.rig.runner.stop()


async def test_only_what_was_sent_at_about_the_same_time_is_compared(scene: Scene) -> None:
    """An equal request of an hour ago that nobody resolved is no rival."""
    old = await scene.lost("growth")
    tables = scene.rig.store.tables
    moved = replace(old[1], dispatched_at=(old[1].dispatched_at or 0) - SPAN - MICROS_PER_SECOND)
    tables.attempts[moved.id] = moved
    mine = await scene.lost("research")
    assert Sighting(("a",)) == await scene.sight(Listing("a"), mine)
    await scene.rig.runner.stop()


async def test_ids_of_other_attempts_do_not_count(scene: Scene) -> None:
    """Neither as matches nor as what may be it in another spelling."""
    other, mine = await scene.lost("growth"), await scene.lost("research")
    scene.rig.store.run(c.BindProviderId(other[1].id, "replicate", "theirs"))
    assert Sighting(("a",)) == await scene.sight(Listing("theirs", "a"), mine)
    assert Sighting(absent=True) == await scene.sight(Listing("theirs"), mine)
    assert Sighting(absent=True) == await scene.sight(Listing(others=("theirs",)), mine)
    assert Sighting() == await scene.sight(Listing(others=("strange",)), mine)
    await scene.rig.runner.stop()


async def test_an_attempt_that_has_its_id_meanwhile_is_not_absent(scene: Scene) -> None:
    """Its own id in the list proves the contrary."""
    mine = await scene.lost("growth")
    scene.rig.store.run(c.BindProviderId(mine[1].id, "replicate", "its-own", source="WEBHOOK"))
    assert Sighting() == await scene.sight(Listing("its-own"), mine)
    await scene.rig.runner.stop()
