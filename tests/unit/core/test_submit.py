"""Taking requests in: what is looked up before anything else, what is refused, and who runs what was accepted."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.core.requests import InputSource
from service.core.submit import SubmitRules
from service.domain import commands as c
from service.domain.drawing import Operation
from service.domain.errors import (
    AssetNotFound,
    InputImageInvalid,
    InputUrlUnreachable,
    LabelRequired,
    MaxCostExceeded,
    ModelNotFound,
    Overloaded,
    RequestIdRequired,
    RequestIdReused,
    StoreUnavailable,
)
from service.domain.failure import DownloadFailed
from service.domain.limits import asset_check_seconds
from service.domain.records import JobState, Origin
from tests.support.clock import settle
from tests.support.memory_store import Fault
from tests.unit.core.rig import Rig

EDIT: dict[str, Any] = {"model": "flux-kontext-pro", "drawing": {"operation": Operation.EDIT}}
URL = "https://callers.invalid/cat.png"


def brought(**source: Any) -> tuple[InputSource, ...]:
    return (InputSource("edit.inputs.images[0]", **source),)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_equal_requests_share_then_hit(rig: Rig) -> None:
    """One is drawn, one joins it, one finds it; each under its own id."""
    first = await rig.submit()
    second = await rig.submit()
    await rig.finish()
    third = await rig.submit()
    origins = [rig.job(one).origin for one in (first, second, third)]
    assert [Origin.PROVIDER, Origin.SHARED, Origin.CACHE] == origins
    assert ([False] * 3, 1) == ([one.replayed for one in (first, second, third)], len(rig.fal.posted))
    assert third.view.job.is_final


async def test_a_request_id_is_answered_by_its_job(rig: Rig) -> None:
    """While it runs and after its end, without another payment."""
    first = await rig.submit(request_id="banner")
    again = await rig.submit(request_id="banner")
    assert (True, first.view.job.id) == (again.replayed, again.view.job.id)
    await rig.finish()
    last = await rig.submit(request_id="banner")
    assert (True, JobState.SUCCEEDED) == (last.replayed, last.view.job.state)
    assert 1 == len(rig.fal.posted)


@pytest.mark.parametrize(
    "change",
    [{"model": "no-such-model"}, {"labels": ()}, {"pin_route": "none"}],
    ids=["catalog", "labels", "pin"],
)
async def test_what_was_accepted_once_stays_accepted(change: dict[str, Any]) -> None:
    """A request_id is looked up when preparing fails: whatever the rules, labels or catalog say now."""
    rules = SubmitRules()
    rig = Rig(rules=rules)
    told = {"request_id": "banner", "labels": (("team", "ads"),)}
    first = await rig.submit(**told)
    await rig.finish()
    rules.required_labels["growth"] = ("team",)
    changed = {**told, **change}
    if change == {"labels": ()}:
        again = await rig.submit(**changed)
        assert (True, first.view.job.id) == (again.replayed, again.view.job.id)
    else:
        with pytest.raises(RequestIdReused) as caught:
            await rig.submit(**changed)
        assert first.view.job.id == caught.value.metadata["jobId"]
        assert caught.value.metadata["differingFields"] in ("drawing", "options")


async def test_a_refusal_burns_no_request_id(rig: Rig) -> None:
    """After it the same id is free for a better request."""
    with pytest.raises(ModelNotFound):
        await rig.submit(request_id="banner", model="no-such-model")
    with pytest.raises(MaxCostExceeded):
        await rig.submit(request_id="banner", max_cost_nanos=1)
    assert not (await rig.submit(request_id="banner")).replayed
    await rig.finish()


async def test_required_labels_are_required_of_their_project() -> None:
    """A label budget cannot be evaded by leaving the label out; other projects are not asked."""
    rig = Rig(rules=SubmitRules(required_labels={"growth": ("team",)}))
    with pytest.raises(LabelRequired) as caught:
        await rig.submit(labels=(("other", "x"),))
    assert {"labelKey": "team"} == caught.value.metadata
    await rig.submit(labels=(("team", ""),))
    await rig.submit(project="ads")
    await rig.finish()


@pytest.mark.parametrize("mode", [c.CacheMode.REFRESH, c.CacheMode.BYPASS])
async def test_what_pays_again_needs_a_request_id(rig: Rig, mode: c.CacheMode) -> None:
    """A retry of such a call would be another payment."""
    with pytest.raises(RequestIdRequired):
        await rig.submit(cache_mode=mode)
    await rig.submit(cache_mode=mode, request_id="once")
    await rig.submit(cache_mode=mode, request_id="once")
    await rig.finish()
    assert 1 == len(rig.fal.posted)


async def test_a_cached_picture_is_looked_at_before_it_is_promised_again(rig: Rig) -> None:
    """Present: the hit is given, and a day long nobody looks again. Absent: drawn anew."""
    first = await rig.drawn()
    key = first.assets[0][1].key
    rig.clock.advance(asset_check_seconds + 1)
    assert Origin.CACHE is (await rig.submit()).view.job.origin
    assert 1 == sum(isinstance(one, c.MarkSeen) for one in rig.store.seen)
    del rig.blobs.stored[key]
    assert Origin.CACHE is (await rig.submit()).view.job.origin
    rig.clock.advance(asset_check_seconds + 1)
    assert Origin.PROVIDER is (await rig.submit()).view.job.origin
    await rig.finish()
    assert [key] == list(rig.blobs.stored)


async def test_pictures_that_change_too_quickly_end_the_asking(rig: Rig) -> None:
    """After three looks the caller is asked to come back."""
    view = await rig.drawn()
    rig.clock.advance(asset_check_seconds + 1)
    row, asset = view.assets[0]
    tables = rig.store.tables

    def before(command: c.Command) -> None:
        if isinstance(command, c.Accept):
            other = replace(asset, sha256=f"{len(rig.store.seen):064d}")
            tables.assets[other.sha256] = other
            tables.render_assets[row.render_id, 0] = replace(row, sha256=other.sha256)
            rig.blobs.stored[other.key] = b"another picture"

    rig.store.before = before
    with pytest.raises(Overloaded):
        await rig.submit()


async def test_a_caller_that_goes_away_leaves_no_render_that_nobody_runs(rig: Rig) -> None:
    """Its Accept commits; the recovery finds the render and runs it, so that the money that it holds is used."""
    await rig.runner.start()
    task = asyncio.get_running_loop().create_task(rig.submissions.submit(rig.asked()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (1, 0) == (len(rig.store.tables.jobs), rig.runner.running_count)
    await rig.recovered()
    assert {JobState.SUCCEEDED} == {job.state for job in rig.store.tables.jobs.values()}


async def test_an_unknown_commit_is_told_and_the_id_answers_later(rig: Rig) -> None:
    """The caller asks again with the same id and pays once."""
    rig.store.faults.append(Fault(c.Accept, committed=True))
    with pytest.raises(StoreUnavailable):
        await rig.submit(request_id="banner")
    assert (await rig.submit(request_id="banner")).replayed
    assert 1 == len(rig.store.tables.attempts)
    await rig.recovered()
    assert (1, {JobState.SUCCEEDED}) == (
        len(rig.fal.posted), {job.state for job in rig.store.tables.jobs.values()},
    )  # fmt: skip


async def test_what_was_taken_over_before_its_answer_came_is_not_begun(rig: Rig) -> None:
    """An Accept is tried again when its first commit was not heard of; by then another replica may run the render."""

    def taken_over(command: c.Command) -> None:
        if isinstance(command, c.Accept) and not rig.store.tables.renders:
            made = rig.store.run(command).view.render
            rig.store.tables.renders[made.id] = replace(made, owner="replica-2", fence=2)

    rig.store.before = taken_over
    submitted = await rig.submit()
    await settle(40)
    assert ("replica-2", 0, []) == (rig.render(submitted).owner, rig.runner.running_count, rig.fal.posted)


async def test_a_full_or_draining_replica_accepts_nothing(rig: Rig) -> None:
    """It says so before anything is written."""
    await rig.runner.start()
    await rig.runner.drain(0.0)
    with pytest.raises(Exception, match="stopping"):
        await rig.submissions.submit(rig.asked())
    assert {} == rig.store.tables.jobs


# -- inputs


async def test_inputs_are_fetched_measured_and_stored_once(rig: Rig) -> None:
    """By address, by bytes, by the hash of a known picture: the same picture is the same request."""
    rig.downloads.say(URL, b"a cat")
    first = await rig.submit(images=brought(url=URL), request_id="one", **EDIT)
    await rig.finish()
    again = await rig.submit(images=brought(url=URL), request_id="one", **EDIT)
    assert (True, 1) == (again.replayed, rig.downloads.fetched.count(URL))
    by_bytes = await rig.submit(images=brought(content=b"a cat"), **EDIT)
    assert Origin.CACHE is by_bytes.view.job.origin
    sha256 = next(row.sha256 for row in rig.store.tables.render_inputs.values())
    by_hash = await rig.submit(images=brought(sha256=sha256), **EDIT)
    assert (Origin.CACHE, rig.job(first).render_id) == (by_hash.view.job.origin, by_hash.view.job.render_id)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ({"sha256": "ab" * 32}, AssetNotFound),
        ({"content": b"bad bytes"}, InputImageInvalid),
        ({"url": URL}, InputUrlUnreachable),
    ],
)
async def test_inputs_that_are_no_pictures_are_refused(
    rig: Rig, source: dict[str, Any], error: type[Exception]
) -> None:
    """Before any money moves."""
    rig.downloads.say(URL, DownloadFailed("gone", final=True))
    with pytest.raises(error):
        await rig.submit(images=brought(**source), **EDIT)
    assert {} == rig.store.tables.jobs


async def test_a_picture_of_another_project_does_not_exist(rig: Rig) -> None:
    """Hashes give no access."""
    view = await rig.drawn()
    with pytest.raises(AssetNotFound):
        await rig.submit(images=brought(sha256=view.assets[0][1].sha256), project="ads", **EDIT)
    await rig.submit(images=brought(sha256=view.assets[0][1].sha256), **EDIT)
    await settle()
    await rig.finish()
