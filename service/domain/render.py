"""Where a render and an attempt can go. One table of legal moves each; whoever moves asks here."""

from __future__ import annotations

from dataclasses import replace

from service.domain.records import Attempt, AttemptState, JobState, Render, RenderState

_R = RenderState
_A = AttemptState

RENDER_MOVES: dict[RenderState, frozenset[RenderState]] = {
    _R.PENDING: frozenset({_R.DISPATCHING, _R.FAILED, _R.CANCELLED}),
    _R.DISPATCHING: frozenset({_R.PENDING, _R.QUEUED, _R.RUNNING, _R.STORING, _R.FAILED, _R.CANCELLED}),
    # A provider may put a running request back into its queue; a refused or unbilled attempt goes back to PENDING.
    _R.QUEUED: frozenset({_R.PENDING, _R.QUEUED, _R.RUNNING, _R.STORING, _R.FAILED, _R.CANCELLED}),
    _R.RUNNING: frozenset({_R.PENDING, _R.QUEUED, _R.RUNNING, _R.STORING, _R.FAILED, _R.CANCELLED}),
    _R.STORING: frozenset({_R.SUCCEEDED, _R.FAILED}),
    _R.SUCCEEDED: frozenset(),
    _R.FAILED: frozenset(),
    _R.CANCELLED: frozenset(),
}

ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    _A.HELD: frozenset({_A.DISPATCHING, _A.CANCELLED}),
    _A.DISPATCHING: frozenset(
        {_A.HELD, _A.UNKNOWN, _A.ACCEPTED, _A.REJECTED, _A.SUCCEEDED, _A.FAILED, _A.CANCELLED}
    ),
    _A.UNKNOWN: frozenset({_A.ACCEPTED, _A.REJECTED, _A.SUCCEEDED, _A.FAILED, _A.CANCELLED}),
    _A.ACCEPTED: frozenset({_A.SUCCEEDED, _A.FAILED, _A.CANCELLED}),
    _A.SUCCEEDED: frozenset(),
    # Given up as unconfirmed; what the provider says later is still taken in.
    _A.FAILED: frozenset({_A.SUCCEEDED, _A.CANCELLED}),
    _A.CANCELLED: frozenset({_A.SUCCEEDED, _A.FAILED}),
    _A.REJECTED: frozenset({_A.ACCEPTED, _A.SUCCEEDED, _A.FAILED, _A.CANCELLED}),
}

LATE_MOVES: dict[RenderState, frozenset[RenderState]] = {
    # Only by the pictures of one of its attempts, come after its end; the jobs that it ended stay as they are.
    _R.FAILED: frozenset({_R.SUCCEEDED}),
    _R.CANCELLED: frozenset({_R.SUCCEEDED}),
}

RENDER_FINAL = frozenset({_R.SUCCEEDED, _R.FAILED, _R.CANCELLED})


def can_move(render: Render, state: RenderState) -> bool:
    """Whether the move is legal."""
    return state in RENDER_MOVES[render.state]


def move(render: Render, state: RenderState, **changes: object) -> Render:
    """The render in its new state, one version on. An illegal move is a mistake of the programmer."""
    assert can_move(render, state), f"render {render.state.value} cannot become {state.value}"
    return replace(render, state=state, version=render.version + 1, **changes)  # type: ignore[arg-type]  # fields of Render


def revive(render: Render, **changes: object) -> Render:
    """An ended render whose picture came after all, one version on."""
    assert _R.SUCCEEDED in LATE_MOVES.get(render.state, ()), (
        f"render {render.state.value} has not ended without"
    )
    return replace(render, state=_R.SUCCEEDED, version=render.version + 1, **changes)  # type: ignore[arg-type]  # fields of Render


def move_attempt(attempt: Attempt, state: AttemptState, **changes: object) -> Attempt:
    """The attempt in its new state, one version on."""
    assert state in ATTEMPT_MOVES[attempt.state], f"attempt {attempt.state.value} cannot become {state.value}"
    return replace(attempt, state=state, version=attempt.version + 1, **changes)  # type: ignore[arg-type]  # fields of Attempt


def shown_state(render: Render) -> JobState:
    """What a job that waits for this render shows."""
    if render.state in (_R.RUNNING, _R.STORING):
        return JobState.RUNNING
    return JobState.QUEUED


def fenced_out(render: Render) -> Render:
    """The render with a new fencing number: whoever acts with the old one has lost it."""
    return replace(render, fence=render.fence + 1)
