"""The pictures of a render: brought home before they expire, verified, stored, and fetched again by whoever takes over."""

import json
from typing import Any

import pytest

from service.core.requests import InputSource
from service.domain import commands as c
from service.domain.drawing import Operation
from service.domain.errors import Reason
from service.domain.exchange import (
    Accepted,
    Ended,
    Output,
    Result,
)
from service.domain.failure import (
    DownloadFailed,
    Failure,
    Fault,
    RetryAdvice,
)
from service.domain.records import AssetState, JobState, RenderState
from tests.support.clock import settle
from tests.support.fake_provider import ENDED, RUNNING, success
from tests.unit.core.rig import CATALOG, MODEL, PRICE, Rig

URL = "https://provider.invalid/a.png"
HOUR = 3_600.0
INVALID = Failure(Reason.PROVIDER_REJECTED_INPUT, "a bad field", Fault.CALLER, RetryAdvice.NEVER)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_downloads_repeat_until_a_minute_before_the_result_expires(rig: Rig) -> None:
    """Then the job fails, charged: the picture was drawn."""
    rig.downloads.say(URL, *[DownloadFailed("503", final=False)] * 4)
    assert JobState.SUCCEEDED is (await rig.drawn()).job.state
    rig.downloads.say(URL, *[DownloadFailed("503", final=False)] * 9_999)
    started = rig.clock.monotonic()
    view = await rig.drawn("another")
    assert Reason.RESULT_LOST is rig.failure(view).reason
    assert HOUR - 120 < rig.clock.monotonic() - started < HOUR
    assert ("POST", PRICE, "BILLED_UNITS") == rig.kinds(view.attempts[0])[-1]


async def test_a_bucket_that_stays_away_fails_the_job(rig: Rig) -> None:
    """It says whose fault it is."""
    rig.blobs.away = 9_999
    view = await rig.drawn()
    assert (Reason.STORAGE_UNAVAILABLE, Fault.OPERATOR) == (rig.failure(view).reason, rig.failure(view).fault)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"bad bytes", Reason.RESULT_INVALID), (DownloadFailed("404", final=True), Reason.RESULT_LOST)],
)
async def test_what_is_no_picture_does_not_count_and_is_charged(
    rig: Rig, answer: bytes | Exception, reason: Reason
) -> None:
    """Repeating is useless, and so is another route: this one is paid."""
    rig.downloads.say(URL, answer)
    view = await rig.drawn()
    assert (reason, PRICE) == (rig.failure(view).reason, view.attempts[0].settled_nanos)
    assert (1, []) == (len(rig.downloads.fetched), rig.replicate.posted)


async def test_a_result_without_pictures_fails_with_the_providers_reason(rig: Rig) -> None:
    """NO_IMAGES when it gives none."""
    rig.fal.results.append(Result(Ended.SUCCEEDED))
    assert Reason.NO_IMAGES is rig.failure(await rig.drawn()).reason
    rig.fal.results.append(Result(Ended.SUCCEEDED, failure=INVALID))
    assert INVALID == rig.failure(await rig.drawn("another"))


async def test_fewer_pictures_than_asked_are_partial_with_a_notice_for_each_place(rig: Rig) -> None:
    """The good ones keep their places; the next request draws anew."""
    urls = [f"https://provider.invalid/{index}.png" for index in range(3)]
    rig.downloads.say(urls[1], b"bad bytes")
    rig.fal.results.append(success(*urls))
    view = await rig.drawn(drawing={"image_count": 3})
    assert view.render is not None
    assert (JobState.SUCCEEDED, True, [0, 2]) == (
        view.job.state, view.render.partial, [row.position for row, _ in view.assets],
    )  # fmt: skip
    notices = json.loads(view.render.notices)
    assert [{"asked": "3", "received": "2"}, {"index": "1"}] == [
        one["metadata"] for one in notices if one["code"] == "FEWER_IMAGES"
    ]
    again = await rig.submit(drawing={"image_count": 3})
    assert not again.view.job.is_final
    await rig.finish()


async def test_more_pictures_are_kept_up_to_the_routes_maximum(rig: Rig) -> None:
    """They are charged, so they are not thrown away."""
    rig.fal.results.append(success(*(f"https://provider.invalid/{index}.png" for index in range(9))))
    view = await rig.drawn()
    assert CATALOG.models[MODEL].routes[0].images_max == len(view.assets)


async def test_a_flagged_picture_is_delivered_and_not_kept(rig: Rig) -> None:
    """With a notice; the next request draws anew."""
    rig.fal.results.append(success(outputs=(Output(URL, flagged=True),)))
    view = await rig.drawn()
    assert view.render is not None
    assert ([True], None) == ([row.flagged for row, _ in view.assets], view.render.fresh_until)
    assert "CONTENT_FLAGGED" in view.render.notices


async def test_a_picture_that_was_gone_is_put_again(rig: Rig) -> None:
    """The same bytes as before; a bucket that is away in between is asked again, and one that stays away fails the job."""
    first = await rig.drawn()
    sha256 = first.assets[0][1].sha256
    rig.store.run(c.MarkGone((sha256,)))

    def away(command: c.Command) -> None:
        rig.blobs.away = 2 if isinstance(command, c.Finish) and not command.put_again else 0

    rig.store.before = away
    view = await rig.drawn()
    assert (JobState.SUCCEEDED, AssetState.PRESENT) == (view.job.state, view.assets[0][1].state)
    assert 3 == rig.blobs.puts.count(first.assets[0][1].key)
    rig.store.run(c.MarkGone((sha256,)))
    rig.store.before = lambda command: setattr(rig.blobs, "away", 99 if isinstance(command, c.Finish) else 0)
    view = await rig.drawn()
    assert Reason.STORAGE_UNAVAILABLE is rig.failure(view).reason


async def test_a_result_in_storing_is_fetched_again_after_a_take_over(rig: Rig) -> None:
    """From the provider, by its id, without another charge."""
    rig.blobs.away = 9_999
    submitted = await rig.submit()
    await rig.clock.run(20)
    assert RenderState.STORING is rig.render(submitted).state
    await rig.runner.stop()
    rig.blobs.away = 0
    rig.store.run(c.TakeOver(((rig.render(submitted).id, rig.render(submitted).fence),), "replica-1"))
    await rig.runner.start()
    rig.runner.begin(rig.view(submitted))
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.fal.posted))
    assert 1 == [kind for kind, _, _ in rig.kinds(rig.attempt(submitted))].count("POST")


async def test_inputs_that_providers_cannot_read_are_uploaded(rig: Rig) -> None:
    """Where the bucket can be read from outside they get its address instead."""
    source = (InputSource("edit.inputs.images[0]", content=b"a picture"),)
    for readable, uploads in ((True, 0), (False, 1)):
        rig.blobs.readable = readable
        view = await rig.drawn(f"edit {readable}", model="flux-kontext-pro", images=source, drawing=_edit())
        assert JobState.SUCCEEDED is view.job.state
        assert uploads == len(rig.fal.uploads) + len(rig.replicate.uploads)


def _edit() -> dict[str, Any]:
    return {"operation": Operation.EDIT}


async def test_an_accepted_attempt_is_followed_on_after_a_take_over(rig: Rig) -> None:
    """By the id that its row has."""
    rig.fal.dispatches.append(Accepted("its-id"))
    rig.fal.last_poll = RUNNING
    submitted = await rig.submit()
    await rig.clock.run(20)
    await rig.runner.stop()
    rig.store.run(c.TakeOver(((rig.render(submitted).id, rig.render(submitted).fence),), "replica-1"))
    rig.fal.last_poll = ENDED
    await rig.runner.start()
    rig.runner.begin(rig.view(submitted))
    await settle()
    await rig.finish()
    assert (JobState.SUCCEEDED, 1) == (rig.job(submitted).state, len(rig.fal.posted))
