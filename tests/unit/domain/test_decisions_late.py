"""A picture that comes after its job ended is paid for: the next request finds it, and what was told stays told."""

from dataclasses import replace

import pytest

from service.domain import commands as c
from service.domain.limits import MICROS_PER_SECOND
from service.domain.records import FOREVER, AssetState, AttemptState, JobState, Origin, RenderState
from tests.support.orders import asset
from tests.unit.domain.desk import HOLD, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


def _ended(desk: Desk, subject: str = "a lighthouse", **changes: object) -> c.Accept:
    """A render that was given up, and whose provider tells now that it was drawn."""
    asked = desk.sent(subject, **changes)
    desk.unknown(asked)
    desk.unconfirmed(asked)
    desk.bind(asked, source="SEARCH")
    desk.result(asked)
    return asked


def test_a_late_picture_is_found_by_the_next_request(desk: Desk) -> None:
    """The render succeeds, the flight leads to it, and a hit avoids what it cost."""
    asked = _ended(desk)
    before = desk.view(asked)
    desk.clock.advance(60)
    assert desk.late(asked) is True
    render = desk.render(asked)
    assert (RenderState.SUCCEEDED, FOREVER, desk.clock.now(), False) == (
        render.state, render.fresh_until, render.finished_at, render.joinable,
    )  # fmt: skip
    assert before.render is not None
    assert before.render.version + 1 == render.version
    hit = desk.run(desk.orders.accept())
    assert isinstance(hit, c.Hit)
    assert (Origin.CACHE, HOLD, asked.render_id) == (
        hit.view.job.origin, hit.view.job.avoided_nanos, hit.view.job.render_id,
    )  # fmt: skip
    assert 1 == len(hit.view.assets)
    assert ("LATE", "1 pictures came after the end") == desk.events(asked)[-1]


def test_the_job_that_failed_stays_as_it_was_told(desk: Desk) -> None:
    """State, version, failure, avoided and the books: a final job never changes, nor does the money move by a picture."""
    asked = _ended(desk)
    joined, version = desk.job(asked), desk.view(asked).version
    transfers, totals = list(desk.tables.transfers), list(desk.tables.totals)
    desk.late(asked)
    assert (joined, version) == (desk.job(asked), desk.view(asked).version)
    assert JobState.FAILED is joined.state
    assert (transfers, totals) == (desk.tables.transfers, desk.tables.totals)
    same = desk.run(desk.orders.accept(request_id=asked.request_id))
    assert isinstance(same, c.Existing)


def test_the_second_run_answers_the_same_and_writes_nothing(desk: Desk) -> None:
    """And other pictures than those that the render has are not taken."""
    asked = _ended(desk)
    desk.late(asked)
    stored = ((0, asset(asked.fingerprint), False),)
    assert desk.twice(c.LateResult(asked.attempt_id, assets=stored)) is True
    other = ((0, asset("another picture"), False),)
    assert desk.twice(c.LateResult(asked.attempt_id, assets=other)) is False


@pytest.mark.parametrize("step", ["accept", "running", "storing"])
def test_a_render_that_runs_is_finished_by_its_owner(desk: Desk, step: str) -> None:
    """It has not ended, so nothing is late."""
    asked = desk.at(step)
    stored = ((0, asset(asked.fingerprint), False),)
    assert desk.twice(c.LateResult(asked.attempt_id, assets=stored)) is False


def test_only_an_attempt_that_succeeded_has_pictures(desk: Desk) -> None:
    """One that was given up, failed, or brings none, revives nothing."""
    asked = desk.sent()
    desk.unknown(asked)
    desk.unconfirmed(asked)
    stored = ((0, asset(asked.fingerprint), False),)
    assert desk.twice(c.LateResult(asked.attempt_id, assets=stored)) is False
    desk.result(asked)
    assert desk.twice(c.LateResult(asked.attempt_id)) is False
    assert AttemptState.SUCCEEDED is desk.attempt(asked).state


def test_a_cancelled_render_keeps_its_late_picture_too(desk: Desk) -> None:
    """Whoever cancelled has left; the picture is there for the next."""
    asked = desk.sent()
    desk.bind(asked)
    desk.cancel(asked)
    desk.result(asked, "CANCELLED")
    desk.fail(asked)
    assert RenderState.CANCELLED is desk.render(asked).state
    desk.result(asked)
    assert desk.late(asked) is True
    assert isinstance(desk.run(desk.orders.accept()), c.Hit)


@pytest.mark.parametrize("how", ["keep", "partial", "bypass"])
def test_what_is_not_to_be_kept_is_not_served(desk: Desk, how: str) -> None:
    """Flagged or fewer pictures than asked for, or a request that asked for no trace: stored, and promised to nobody."""
    changes = {"partial": {"image_count": 2}, "bypass": {"cache_mode": c.CacheMode.BYPASS}}.get(how, {})
    asked = _ended(desk, **changes)
    flights = dict(desk.tables.flights)
    assert desk.late(asked, keep=how != "keep") is True
    assert (None, how == "partial") == (desk.render(asked).fresh_until, desk.render(asked).partial)
    assert flights == desk.tables.flights
    assert isinstance(desk.run(desk.orders.accept()), c.New)


def test_freshness_counts_from_the_arrival(desk: Desk) -> None:
    """A plan that keeps an hour keeps it an hour from now."""
    asked = _ended(desk, fresh_micros=3_600 * MICROS_PER_SECOND)
    desk.late(asked)
    desk.clock.advance(3_599)
    assert isinstance(desk.run(desk.orders.accept()), c.Hit)
    desk.clock.advance(2)
    assert isinstance(desk.run(desk.orders.accept()), c.New)


def test_a_picture_that_is_being_deleted_is_put_again(desk: Desk) -> None:
    """As with Finish: nobody is promised bytes that go away."""
    asked = _ended(desk)
    stored = asset(asked.fingerprint)
    desk.tables.assets[stored.sha256] = replace(stored, state=AssetState.DELETING)
    assert c.PutAgain((stored.sha256,)) == desk.late(asked)
    assert desk.late(asked, put_again=frozenset({stored.sha256})) is True
    assert AssetState.PRESENT is desk.tables.assets[stored.sha256].state


# -- which render the next request finds


def test_a_newer_picture_is_not_pushed_aside_by_a_late_one(desk: Desk) -> None:
    """Somebody asked again meanwhile and got a fresh one: the flight stays with that."""
    asked = _ended(desk)
    newer = desk.drawn()
    desk.late(asked)
    assert desk.flight(asked) is not None
    hit = desk.run(desk.orders.accept())
    assert newer.render_id == hit.view.job.render_id


def test_a_late_picture_answers_when_the_newer_render_ends_without(desk: Desk) -> None:
    """While the newer one runs it is joined; once it failed, the late picture is there."""
    asked = _ended(desk)
    newer = desk.running()
    desk.late(asked)
    joined = desk.run(desk.orders.accept())
    assert isinstance(joined, c.Joined)
    desk.result(newer, "FAILED", surely_unbilled=True)
    desk.fail(newer, failover=False)
    hit = desk.run(desk.orders.accept())
    assert isinstance(hit, c.Hit)
    assert asked.render_id == hit.view.job.render_id


def test_a_late_picture_takes_the_place_of_a_newer_failure(desk: Desk) -> None:
    """The newer render has ended without a picture."""
    asked = _ended(desk)
    newer = desk.sent()
    desk.reject(newer)
    desk.fail(newer, failover=False)
    desk.late(asked)
    flight = desk.flight(asked)
    assert flight is not None
    assert asked.render_id == flight.render_id


def test_a_flight_that_was_removed_is_made_again(desk: Desk) -> None:
    """The next request finds the picture all the same."""
    asked = _ended(desk)
    desk.tables.flights.clear()
    desk.late(asked)
    assert isinstance(desk.run(desk.orders.accept()), c.Hit)


@pytest.mark.parametrize("end", ["failed", "cancelled", "partial"])
def test_a_failed_refresh_leaves_the_older_picture_where_it_was(desk: Desk, end: str) -> None:
    """A good picture is not lost because somebody wished for a better one; while the newer one is drawn it is joined."""
    older = desk.drawn()
    refresh = desk.running(cache_mode=c.CacheMode.REFRESH)
    assert isinstance(desk.run(desk.orders.accept()), c.Joined)
    if end == "partial":
        desk.result(refresh)
        desk.finish(refresh, partial=True)
    else:
        for job in [one for one in desk.tables.jobs.values() if not one.is_final and end == "cancelled"]:
            desk.run(c.Cancel(job.id, None))
        desk.result(refresh, "FAILED", surely_unbilled=True)
        desk.fail(refresh, failover=False)
    for _ in range(2):
        hit = desk.run(desk.orders.accept())
        assert isinstance(hit, c.Hit)
        assert older.render_id == hit.view.job.render_id
    again = desk.drawn(cache_mode=c.CacheMode.REFRESH)
    assert again.render_id == desk.run(desk.orders.accept()).view.job.render_id


def test_the_older_picture_survives_several_failed_refreshes(desk: Desk) -> None:
    """Each of them takes the place of one that failed, never of the good one; once stale it is good no more."""
    older = desk.drawn(fresh_micros=3_600 * MICROS_PER_SECOND)
    for _ in range(3):
        refresh = desk.sent(cache_mode=c.CacheMode.REFRESH)
        desk.reject(refresh)
        desk.fail(refresh, failover=False)
    flight = desk.flight(older)
    assert flight is not None
    assert older.render_id == flight.good_render_id
    assert older.render_id == desk.run(desk.orders.accept()).view.job.render_id
    desk.clock.advance(3_600)
    asked = desk.accept()
    flight = desk.flight(asked)
    assert flight is not None
    assert (asked.render_id, None) == (flight.render_id, flight.good_render_id)


def test_a_running_render_of_others_does_not_hide_a_shared_picture(desk: Desk) -> None:
    """In a shared scope only finished pictures are shared: the older one answers a project that may not join."""
    older = desk.drawn(scope="shared")
    desk.running(scope="shared", cache_mode=c.CacheMode.REFRESH)
    hit = desk.run(desk.orders.accept(scope="shared", project="other"))
    assert isinstance(hit, c.Hit)
    assert older.render_id == hit.view.job.render_id


def test_the_picture_of_an_older_attempt_names_that_attempt(desk: Desk) -> None:
    """Provider and seed of a hit are those of the attempt that drew it, though a newer one failed."""
    asked = desk.sent()
    desk.unknown(asked)
    desk.doubted(asked)
    first = desk.attempt(asked)
    desk.absent(asked)
    desk.fail(asked)
    desk.dispatch(asked)
    desk.run(c.BindProviderId(first.id, "fal", "late"))
    desk.reject(asked)
    desk.fail(asked)
    desk.run(c.RecordResult(first.id, ended="SUCCEEDED", images_count=1, metrics=(("image_count", "1"),)))
    assert desk.late(asked) is False, "the newest attempt drew nothing"
    assert desk.late(asked, attempt_id=first.id) is True
    hit = desk.run(desk.orders.accept())
    assert hit.view.winning.id == first.id
    assert desk.view(asked).winning.id == desk.attempt(asked).id, "the failed job shows what it showed"
