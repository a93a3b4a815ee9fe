"""The owner's steps: dispatch, unknown, progress, and what the fence keeps out."""

from dataclasses import replace
from typing import Any

import pytest

from service.domain import commands as c
from service.domain.limits import MICROS_PER_SECOND, lease_seconds, overdue_grace_seconds, send_window_seconds
from service.domain.records import AttemptState, JobState, RenderState
from service.domain.render import shown_state
from tests.unit.domain.desk import Desk, not_sent


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_dispatch_marks_the_attempt_before_anything_is_sent(desk: Desk) -> None:
    """State, window and seed are committed; the render shows it."""
    asked = desk.accept()
    send = desk.dispatch(asked)
    assert isinstance(send, c.Send)
    attempt = desk.attempt(asked)
    assert send.attempt == attempt
    assert send.render == desk.render(asked)
    assert (AttemptState.DISPATCHING, 7, desk.clock.now()) == (
        attempt.state, attempt.seed_sent, attempt.dispatched_at,
    )  # fmt: skip
    assert desk.clock.now() + send_window_seconds * MICROS_PER_SECOND == attempt.send_before
    assert RenderState.DISPATCHING is desk.render(asked).state


def test_a_dispatch_that_runs_again_answers_the_same_send(desk: Desk) -> None:
    """Its commit was not known; the second run writes nothing."""
    asked = desk.accept()
    command = c.Dispatch(asked.render_id, asked.attempt_id, asked.owner, 1, seed=7, input_digest="of it")
    assert desk.run(command) == desk.twice(command)
    assert "of it" == desk.attempt(asked).input_digest
    desk.clock.advance(send_window_seconds + 1)
    later = desk.run(command)
    assert desk.clock.now() + send_window_seconds * MICROS_PER_SECOND == later.attempt.send_before
    assert desk.clock.now() == later.attempt.dispatched_at


@pytest.mark.parametrize("change", [{"seed": 8}, {"input_digest": "of another"}])
def test_another_dispatch_of_a_marked_attempt_is_lost(desk: Desk, change: dict[str, Any]) -> None:
    """The request of the one that marked it may be on its way: a second one would be a second picture."""
    asked = desk.accept()
    command = c.Dispatch(asked.render_id, asked.attempt_id, asked.owner, 1, seed=7, input_digest="of it")
    desk.run(command)
    assert desk.twice(replace(command, **change)) is c.RunOutcome.LOST


@pytest.mark.parametrize("step", ["bind", "unknown", "result"])
def test_what_was_sent_is_not_dispatched_again(desk: Desk, step: str) -> None:
    """Once anything is known of the sending, a dispatch is lost."""
    asked = desk.sent()
    getattr(desk, step)(asked)
    assert desk.dispatch(asked) is c.RunOutcome.LOST


def test_a_dispatch_after_a_cancel_sends_nothing(desk: Desk) -> None:
    """The hold is given back and the render ends, also when the cancel came while an earlier sending was under way."""
    asked = desk.accept()
    desk.cancel(asked)
    assert desk.dispatch(asked) is c.RunOutcome.LOST
    other = desk.sent("b")
    assert c.CancelOutcome.PROVIDER_ASKED is desk.cancel(other)
    desk.run(not_sent(desk, other))
    assert desk.dispatch(other) is c.RunOutcome.CANCELLED
    assert RenderState.CANCELLED is desk.render(other).state
    assert [("HOLD", 0, "NONE"), ("VOID", 0, "NONE")] == desk.kinds(desk.attempt(other))


def _fenced_commands(desk: Desk, asked: c.Accept) -> list[c.Command]:
    fence = (asked.render_id, asked.attempt_id, asked.owner, 1)
    return [
        c.Dispatch(*fence),
        c.MarkUnknown(*fence),
        c.Progress(*fence, state="RUNNING", progress='{"fraction":0.5}'),
        c.ResolveUnconfirmed(*fence),
        desk.finish_command(asked),
        desk.fail_command(asked),
    ]


@pytest.mark.parametrize(
    "change", [{"owner": "replica-2"}, {"fence": 2}, {"render_id": "r"}, {"attempt_id": "a"}]
)
@pytest.mark.parametrize("index", range(6))
def test_only_the_owner_with_the_current_fence_may_act(
    desk: Desk, index: int, change: dict[str, Any]
) -> None:
    """Everything fenced answers LOST to others and writes nothing."""
    asked = desk.running()
    command = replace(_fenced_commands(desk, asked)[index], **change)
    assert desk.twice(command) is c.RunOutcome.LOST


def test_no_step_acts_for_an_attempt_of_another_render(desk: Desk) -> None:
    """A pair of ids that do not belong together is lost."""
    asked, other = desk.running("a"), desk.running("b")
    for command in _fenced_commands(desk, asked):
        assert desk.twice(replace(command, attempt_id=other.attempt_id)) is c.RunOutcome.LOST


@pytest.mark.parametrize("index", range(6))
def test_nothing_acts_on_a_render_that_ended(desk: Desk, index: int) -> None:
    """Final is final: each step says that there is nothing to do, and writes nothing."""
    asked = desk.drawn()
    assert desk.twice(_fenced_commands(desk, asked)[index]) in (c.RunOutcome.LOST, c.RunOutcome.DONE)


def test_an_unclear_post_is_marked_once_and_stays_joinable(desk: Desk) -> None:
    """The visible version grows; a repeated mark writes nothing; a bound attempt is not unknown any more."""
    asked = desk.sent()
    before = desk.view(asked).version
    assert desk.unknown(asked) is c.RunOutcome.DONE
    assert AttemptState.UNKNOWN is desk.attempt(asked).state
    assert before < desk.view(asked).version
    desk.twice(c.MarkUnknown(asked.render_id, asked.attempt_id, asked.owner, 1))
    assert isinstance(desk.run(desk.orders.accept()), c.Joined)
    desk.bind(asked)
    desk.unknown(asked)
    assert AttemptState.ACCEPTED is desk.attempt(asked).state


def test_progress_shows_every_change_once(desk: Desk) -> None:
    """Queued, running, queued again (a provider may re-queue): each visible step is one version; the same step is none."""
    asked = desk.sent()
    desk.bind(asked, queue_position=3)
    assert '{"queue_position": 3}' == desk.render(asked).progress
    versions = [desk.view(asked).version]
    for state, progress in (
        ("QUEUED", "{}"),
        ("RUNNING", "{}"),
        ("RUNNING", '{"fraction":1}'),
        ("QUEUED", "{}"),
    ):
        desk.progress(asked, state, progress)
        assert RenderState(state) is desk.render(asked).state
        versions.append(desk.view(asked).version)
    assert sorted(set(versions)) == versions
    desk.progress(asked, "QUEUED", "{}")
    assert versions[-1] == desk.view(asked).version


@pytest.mark.parametrize("step", ["accept", "sent", "storing"])
def test_progress_that_comes_too_early_or_too_late_is_dropped(desk: Desk, step: str) -> None:
    """Before the id and after the result there is nothing to show."""
    asked = getattr(desk, step)()
    before = desk.tables.image()
    assert desk.progress(asked) is c.RunOutcome.DONE
    assert before == desk.tables.image()


def test_what_a_waiting_job_shows_follows_the_render(desk: Desk) -> None:
    """RUNNING while it is drawn and stored, QUEUED before."""
    asked = desk.accept()
    assert JobState.QUEUED is shown_state(desk.render(asked))
    desk.dispatch(asked)
    desk.bind(asked)
    assert JobState.QUEUED is shown_state(desk.render(asked))
    desk.progress(asked)
    assert JobState.RUNNING is shown_state(desk.render(asked))
    desk.result(asked)
    assert JobState.RUNNING is shown_state(desk.render(asked))


def test_replicas_have_the_smallest_free_ordinals(desk: Desk) -> None:
    """A replica keeps its own; one whose lease ended gives its ordinal away, and gets another when it comes back."""
    assert [0, 1, 2] == [desk.run(c.Heartbeat(name)) for name in ("a", "b", "c")]
    desk.clock.advance(lease_seconds)
    assert 0 == desk.run(c.Heartbeat("a"))
    assert 1 == desk.run(c.Heartbeat("d"))
    assert 2 == desk.run(c.Heartbeat("b"))
    assert 0 == desk.run(c.Heartbeat("a"))


def test_somebody_living_has_the_ordinal_0(desk: Desk) -> None:
    """Where nobody has it any more, whoever beats first leaves its own for it."""
    assert [0, 1, 2] == [desk.run(c.Heartbeat(name)) for name in ("a", "b", "c")]
    desk.clock.advance(lease_seconds - 1)
    assert [1, 2] == [desk.run(c.Heartbeat(name)) for name in ("b", "c")]
    desk.clock.advance(2)
    assert [0, 1] == [desk.run(c.Heartbeat(name)) for name in ("c", "b")]
    assert 2 == desk.run(c.Heartbeat("a"))


def test_renders_of_the_dead_are_taken_over_with_a_new_fence(desk: Desk) -> None:
    """From a replica whose lease ended, and from oneself; never from a living one, and never what has ended."""
    for name in ("replica-1", "replica-2"):
        desk.run(c.Heartbeat(name))
    asked, ended = desk.running("a"), desk.drawn("b")

    def seen(fence: int) -> tuple[tuple[str, int], ...]:
        return ((asked.render_id, fence), (ended.render_id, 1), ("unknown", 1))

    assert () == desk.twice(c.TakeOver(seen(1), "replica-2"))
    assert (asked.job_id,) == desk.run(c.TakeOver(seen(1), "replica-1"))
    assert [] == desk.tables.events, "to take one's own again is nothing unusual"
    desk.clock.advance(lease_seconds)
    desk.run(c.Heartbeat("replica-2"))
    before = desk.view(asked).version
    command = c.TakeOver(seen(2), "replica-2")
    assert (asked.job_id,) == desk.run(command) == desk.twice(command)
    assert ("replica-2", 3, before) == (
        desk.render(asked).owner,
        desk.render(asked).fence,
        desk.view(asked).version,
    )
    assert [("TAKEN_OVER", "from replica-1: its owner had stopped")] == desk.events(asked)
    old = c.Progress(asked.render_id, asked.attempt_id, "replica-1", 2, state="QUEUED")
    assert desk.twice(old) is c.RunOutcome.LOST
    desk.result(asked)
    assert desk.finish(asked) is c.RunOutcome.DONE


def test_a_render_that_moved_on_since_it_was_seen_is_not_taken(desk: Desk) -> None:
    """Two replicas find the same stray: the second one saw a fencing number that has passed, and takes nothing."""
    asked = desk.running()
    desk.run(c.TakeOver(((asked.render_id, 1),), "replica-2"))
    assert () == desk.twice(c.TakeOver(((asked.render_id, 1),), "replica-3"))
    assert () == desk.twice(c.TakeOver(((asked.render_id, 0),), "replica-2"))
    assert () == desk.twice(c.TakeOver(((asked.render_id, 3),), "replica-3"))
    assert ("replica-2", 2) == (desk.render(asked).owner, desk.render(asked).fence)


def test_an_overdue_render_is_taken_from_a_living_owner_and_then_left_alone(desk: Desk) -> None:
    """An owner that beats and does nothing loses it; whoever takes it has time to act before the next one comes."""
    asked = desk.running()
    due = desk.render(asked).next_step_at
    desk.until(due - 1)
    for name in ("replica-1", "replica-2", "replica-3"):
        desk.run(c.Heartbeat(name))
    assert () == desk.twice(c.TakeOver(((asked.render_id, 1),), "replica-2"))
    desk.until(due)
    command = c.TakeOver(((asked.render_id, 1),), "replica-2")
    assert (asked.job_id,) == desk.run(command) == desk.twice(command)
    assert due + overdue_grace_seconds * MICROS_PER_SECOND == desk.render(asked).next_step_at
    assert [("TAKEN_OVER", "from replica-1: its next step was overdue")] == desk.events(asked)
    desk.clock.advance(overdue_grace_seconds - 1)
    for name in ("replica-2", "replica-3"):
        desk.run(c.Heartbeat(name))
    assert () == desk.twice(c.TakeOver(((asked.render_id, 2),), "replica-3"))


def test_a_replica_that_leaves_is_not_waited_for(desk: Desk) -> None:
    """Its lease ends with its last heartbeat: its renders can be taken and its ordinal is free at once."""
    for name in ("replica-1", "replica-2"):
        desk.run(c.Heartbeat(name))
    asked = desk.running()
    desk.run(c.Heartbeat("replica-1", leaving=True))
    desk.twice(c.Heartbeat("replica-1", leaving=True))
    assert (asked.job_id,) == desk.run(c.TakeOver(((asked.render_id, 1),), "replica-2"))
    assert 0 == desk.run(c.Heartbeat("replica-3"))


def test_a_late_sender_cannot_mark_what_was_taken_over(desk: Desk) -> None:
    """Its dispatch is lost before anything is sent; what it sent before is still believed."""
    held, sent = desk.accept("a"), desk.sent("b")
    desk.run(c.TakeOver(((held.render_id, 1), (sent.render_id, 1)), "replica-2"))
    late = c.Dispatch(held.render_id, held.attempt_id, "replica-1", 1)
    assert desk.twice(late) is c.RunOutcome.LOST
    desk.bind(sent)
    assert AttemptState.ACCEPTED is desk.attempt(sent).state
