"""Taking a request in: every answer of Accept, in the order in which they are tried."""

import json
from dataclasses import replace

import pytest

from service.domain import commands as c
from service.domain.errors import BudgetExceeded, MaxCostExceeded, RequestIdReused
from service.domain.limits import MICROS_PER_SECOND, asset_check_seconds
from service.domain.records import AssetState, AttemptState, JobState, Origin, Period, RenderState
from tests.support.books import faults
from tests.support.orders import asset
from tests.unit.domain.desk import HOLD, Desk

DAY = 86_400.0


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_new_request_holds_its_ceiling(desk: Desk) -> None:
    """A render PENDING, one attempt HELD for the first route, and the flight pointing at it."""
    asked = desk.orders.accept()
    outcome = desk.run(asked)
    assert isinstance(outcome, c.New)
    assert (JobState.QUEUED, Origin.PROVIDER, 2) == (
        outcome.view.job.state, outcome.view.job.origin, outcome.view.version,
    )  # fmt: skip
    assert (RenderState.PENDING, True, "replica-1", 1) == (
        desk.render(asked).state, desk.render(asked).joinable, desk.render(asked).owner, desk.render(asked).fence,
    )  # fmt: skip
    held = desk.attempt(asked)
    assert (AttemptState.HELD, "fal", HOLD, True) == (
        held.state,
        held.provider,
        held.hold_nanos,
        held.hold_open,
    )
    assert [("HOLD", 0, "NONE")] == desk.kinds(held)
    flight = desk.flight(asked)
    assert flight is not None
    assert asked.render_id == flight.render_id


def test_the_same_command_again_answers_what_it_did(desk: Desk) -> None:
    """After an unknown commit New stays New, so that whoever asked still runs the render; nothing is written twice."""
    first = desk.accept()
    assert isinstance(desk.twice(first), c.New)
    joiner = desk.accept()
    assert isinstance(desk.twice(joiner), c.Joined)
    desk.drawn("a cat")
    hit = desk.accept("a cat")
    assert isinstance(desk.twice(hit), c.Hit)


def test_a_known_request_id_answers_the_same_job(desk: Desk) -> None:
    """Whatever became of it, and without a trace of the second request."""
    first = desk.drawn()
    again = replace(desk.orders.accept(), request_id=first.request_id)
    outcome = desk.twice(again)
    assert isinstance(outcome, c.Existing)
    assert desk.view(first) == outcome.view


@pytest.mark.parametrize(
    ("digest", "differing"),
    [
        ("d.i.X", "options"),
        ("X.i.o", "drawing"),
        ("X.X.o", "drawing,inputs"),
        ("X.X.X", "drawing,inputs,options"),
    ],
)
def test_a_request_id_belongs_to_one_request(desk: Desk, digest: str, differing: str) -> None:
    """Another request under the same id is refused with the parts that differ; other projects have ids of their own."""
    first = desk.accept(request_id="banner", request_digest="d.i.o")
    with pytest.raises(RequestIdReused) as caught:
        desk.twice(desk.orders.accept(request_id="banner", request_digest=digest))
    assert {"jobId": first.job_id, "differingFields": differing} == caught.value.metadata
    other = desk.orders.accept(request_id="banner", request_digest=digest, project="ads", scope="ads")
    assert isinstance(desk.run(other), c.New)


def test_a_fresh_result_answers_from_the_cache(desk: Desk) -> None:
    """The job is final at once, costs nothing, and says what it avoided; no attempt is made, no money held."""
    first = desk.drawn()
    asked = desk.orders.accept()
    outcome = desk.run(asked)
    assert isinstance(outcome, c.Hit)
    job = outcome.view.job
    assert (JobState.SUCCEEDED, Origin.CACHE, HOLD, first.render_id) == (
        job.state, job.origin, job.avoided_nanos, job.render_id,
    )  # fmt: skip
    assert job.is_final
    assert 1 == len(outcome.view.assets)
    assert 1 == len(desk.tables.attempts)


def test_a_hit_avoids_what_the_render_costs_after_corrections(desk: Desk) -> None:
    """The cached render's total at the time of the hit."""
    first = desk.drawn()
    desk.result(first, images_count=3, metrics=(("image_count", "3"),))
    hit = desk.accept()
    assert 3 * HOLD == desk.job(hit).avoided_nanos


@pytest.mark.parametrize(
    ("seconds", "fresh_seconds", "max_age_seconds", "kind"),
    [
        (60.0, None, None, c.Hit),
        (60.0, 61, None, c.Hit),
        (60.0, 60, None, c.New),
        (60.0, None, 60, c.Hit),
        (61.0, None, 60, c.New),
    ],
)
def test_a_result_is_served_while_it_is_fresh(
    desk: Desk, seconds: float, fresh_seconds: int | None, max_age_seconds: int | None, kind: type
) -> None:
    """`fresh_until` is the end of its life; cache_max_age narrows it for one request."""
    desk.drawn(fresh_micros=None if fresh_seconds is None else fresh_seconds * MICROS_PER_SECOND)
    desk.clock.advance(seconds)
    age = None if max_age_seconds is None else max_age_seconds * MICROS_PER_SECOND
    assert isinstance(desk.run(desk.orders.accept(cache_max_age_micros=age)), kind)


@pytest.mark.parametrize("how", [{"partial": True}, {"partial": True, "keep": True}, {"keep": False}])
def test_what_is_not_kept_is_never_served_again(desk: Desk, how: dict[str, bool]) -> None:
    """Partial and flagged results go to those who waited, and to nobody after them."""
    asked = desk.storing()
    desk.finish(asked, **how)
    assert JobState.SUCCEEDED is desk.job(asked).state
    assert isinstance(desk.run(desk.orders.accept()), c.New)


def test_a_picture_that_was_not_seen_for_a_day_is_looked_at_first(desk: Desk) -> None:
    """NeedsCheck writes nothing; after MarkSeen the same request hits, and for a day nobody looks again."""
    first = desk.drawn()
    desk.clock.advance(asset_check_seconds + 1)
    asked = desk.orders.accept()
    outcome = desk.twice(asked)
    assert isinstance(outcome, c.NeedsCheck)
    assert [asset(first.fingerprint).sha256] == [one.sha256 for one in outcome.assets]
    desk.run(c.MarkSeen(tuple(one.sha256 for one in outcome.assets)))
    assert isinstance(desk.run(asked), c.Hit)
    assert isinstance(desk.run(desk.orders.accept()), c.Hit)


def test_a_check_counts_also_when_its_mark_was_overtaken(desk: Desk) -> None:
    """What the request itself looked at is seen enough for it."""
    first = desk.drawn()
    desk.clock.advance(asset_check_seconds + 1)
    checked = frozenset({asset(first.fingerprint).sha256})
    assert isinstance(desk.run(desk.orders.accept(checked=checked)), c.Hit)


@pytest.mark.parametrize("state", [AssetState.GONE, AssetState.DELETING])
def test_a_picture_that_is_gone_is_drawn_anew(desk: Desk, state: AssetState) -> None:
    """Neither a gone picture nor one that is being deleted is promised to anybody."""
    first = desk.drawn()
    sha256 = asset(first.fingerprint).sha256
    if state is AssetState.GONE:
        desk.run(c.MarkGone((sha256, "unknown")))
    else:
        desk.tables.assets[sha256] = replace(desk.tables.assets[sha256], state=state)
    asked = desk.orders.accept()
    assert isinstance(desk.run(asked), c.New)
    flight = desk.flight(asked)
    assert flight is not None
    assert asked.render_id == flight.render_id


def test_a_running_render_is_joined_by_its_own_project(desk: Desk) -> None:
    """Joining holds nothing; the joiner shows what the render shows."""
    first = desk.running()
    asked = desk.orders.accept()
    outcome = desk.run(asked)
    assert isinstance(outcome, c.Joined)
    assert (Origin.SHARED, first.render_id) == (outcome.view.job.origin, outcome.view.job.render_id)
    assert 1 == len(desk.tables.attempts)
    stranger = desk.orders.accept(project="ads", scope=first.scope)
    assert isinstance(desk.run(stranger), c.New)


def test_two_accepts_in_one_batch_pay_once(desk: Desk) -> None:
    """The second sees what the first decided, and joins it."""
    outcomes = desk.store.batch([desk.orders.accept(), desk.orders.accept(), desk.orders.accept("a cat")])
    assert [c.New, c.Joined, c.New] == [type(one) for one in outcomes]
    assert [] == faults(desk.tables)


def test_a_refused_request_leaves_no_trace_in_its_batch(desk: Desk) -> None:
    """The ones before and after it in the same batch are answered as if it had not been there."""
    budget = desk.budget(HOLD)
    first, second, third = (desk.orders.accept(subject) for subject in ("a", "b", "a"))
    outcomes = desk.store.batch([first, second, third])
    assert [c.New, BudgetExceeded, c.Joined] == [type(one) for one in outcomes]
    assert {first.job_id, third.job_id} == desk.tables.jobs.keys()
    assert (HOLD, 0) == (desk.window(budget).held_nanos, desk.window(budget).spent_nanos)
    assert [] == faults(desk.tables)


def test_refresh_draws_anew_and_is_what_the_fingerprint_points_at(desk: Desk) -> None:
    """A refresh neither reads nor joins; later requests join the refresh, and hit its result."""
    first = desk.running()
    refresh = desk.orders.accept(cache_mode=c.CacheMode.REFRESH)
    assert isinstance(desk.run(refresh), c.New)
    assert not desk.render(first).joinable
    joiner = desk.accept()
    assert refresh.render_id == desk.job(joiner).render_id
    desk.result(first)
    assert desk.finish(first) is c.RunOutcome.DONE
    assert JobState.SUCCEEDED is desk.job(first).state
    again = desk.accept(cache_mode=c.CacheMode.REFRESH)
    for step in (desk.dispatch, desk.bind, desk.result, desk.finish):
        step(again)
    assert again.render_id == desk.job(desk.accept()).render_id


def test_bypass_stands_alone(desk: Desk) -> None:
    """It neither reads, nor joins, nor is joined, nor is kept, nor touches the flight."""
    first = desk.drawn()
    alone = desk.orders.accept(cache_mode=c.CacheMode.BYPASS)
    assert isinstance(desk.run(alone), c.New)
    assert not desk.render(alone).joinable
    for step in (desk.dispatch, desk.bind, desk.result, desk.finish):
        step(alone)
    assert desk.render(alone).fresh_until is None
    flight = desk.flight(first)
    assert flight is not None
    assert first.render_id == flight.render_id


def test_a_hard_budget_refuses_and_says_why(desk: Desk) -> None:
    """With the figures at that moment, and nothing written."""
    desk.budget(2 * HOLD - 1)
    desk.accept("a")
    with pytest.raises(BudgetExceeded) as caught:
        desk.twice(desk.orders.accept("b"))
    assert {
        "budget": "growth/month",
        "limitNanos": str(2 * HOLD - 1),
        "spentNanos": "0",
        "heldNanos": str(HOLD),
        "askedNanos": str(HOLD),
        "windowEndTime": "2026-02-01T00:00:00Z",
    } == caught.value.metadata
    assert caught.value.retry_after_seconds is None


def test_a_refusal_says_when_to_come_back_if_that_is_soon(desk: Desk) -> None:
    """Only within the last hour of a window."""
    desk.budget(HOLD - 1, period=Period.DAY)
    desk.clock.advance(DAY - 3_600)
    with pytest.raises(BudgetExceeded) as caught:
        desk.run(desk.orders.accept())
    assert 3_600.0 == caught.value.retry_after_seconds


def test_a_soft_budget_only_counts(desk: Desk) -> None:
    """It lets everything pass and shows what was held."""
    budget = desk.budget(1, hard=False)
    desk.accept()
    assert HOLD == desk.window(budget).held_nanos


def test_every_budget_that_covers_a_job_has_to_have_room(desk: Desk) -> None:
    """The project's and those of its labels; one without room refuses, and then none holds anything."""
    whole = desk.budget(10 * HOLD)
    team = desk.budget(HOLD, label_key="team", label_value="ads", period=Period.DAY)
    other = desk.budget(10 * HOLD, label_key="team", label_value="web", period=Period.TOTAL)
    labels = (("team", "ads"),)
    desk.accept("a", labels=labels)
    with pytest.raises(BudgetExceeded) as caught:
        desk.run(desk.orders.accept("b", labels=labels))
    assert "growth/team=ads/day" == caught.value.metadata["budget"]
    desk.accept("b")
    assert (2 * HOLD, HOLD, 0) == tuple(desk.window(one).held_nanos for one in (whole, team, other))


def test_a_new_window_begins_with_the_utc_day(desk: Desk) -> None:
    """What yesterday held counts in yesterday's window for ever."""
    desk.budget(HOLD, period=Period.DAY)
    first = desk.running("a")
    desk.clock.advance(DAY)
    desk.accept("b")
    desk.result(first)
    figures = {row.window_start: (row.spent_nanos, row.held_nanos) for row in desk.tables.windows.values()}
    assert [(HOLD, 0), (0, HOLD)] == [figures[start] for start in sorted(figures)]


def test_what_nobody_may_pay_is_refused_unless_it_costs_nothing(desk: Desk) -> None:
    """A plan without routes carries its refusal; the cache and a running render still answer."""
    refusal = MaxCostExceeded("too dear")
    poor = {"plan": (), "refusal": refusal}
    with pytest.raises(MaxCostExceeded):
        desk.twice(desk.orders.accept(**poor))
    desk.running()
    assert isinstance(desk.run(desk.orders.accept(**poor)), c.Joined)
    desk.drawn("a cat")
    assert isinstance(desk.run(desk.orders.accept("a cat", **poor)), c.Hit)


def test_input_pictures_get_rows_of_their_own(desk: Desk) -> None:
    """What a request brought is known from then on; a known row stays; a gone one comes back when stored again."""
    brought = replace(asset("input"), seen_at=5)
    asked = desk.accept("a", input_assets=(brought,), inputs=(("IMAGE", 0, brought.sha256),))
    row = desk.tables.assets[brought.sha256]
    assert desk.clock.now() == row.seen_at
    assert [(asked.render_id, "IMAGE", 0)] == list(desk.tables.render_inputs)
    desk.run(c.MarkGone((brought.sha256,)))
    desk.accept("b", input_assets=(replace(row, state=AssetState.PRESENT),))
    assert AssetState.GONE is desk.tables.assets[brought.sha256].state
    desk.accept("c", input_assets=(replace(row, seen_at=desk.clock.now() + 1),))
    assert AssetState.PRESENT is desk.tables.assets[brought.sha256].state


def test_a_job_carries_its_deadline_and_the_plan_its_routes(desk: Desk) -> None:
    """Times are the database's; the plan is frozen with the render."""
    asked = desk.accept(job_timeout_micros=30 * MICROS_PER_SECOND, max_cost_nanos=HOLD)
    job = desk.job(asked)
    assert (desk.clock.now() + 30 * MICROS_PER_SECOND, HOLD) == (job.deadline_at, job.max_cost_nanos)
    plan = json.loads(desk.render(asked).plan)
    assert ["fal", "replicate"] == [one["provider"] for one in plan["routes"]]
