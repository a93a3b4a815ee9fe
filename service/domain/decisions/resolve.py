"""What becomes of attempts whose end nobody saw: proven absent, given up, or ended because their time is over."""

from __future__ import annotations

from service.domain import ledger
from service.domain.absence import doubted_from
from service.domain.commands import EndOverdue, ResolveAbsent, ResolveUnconfirmed, RunOutcome
from service.domain.decisions.end import PERHAPS_CHARGED, UNCONFIRMED, end_failed, own
from service.domain.decisions.events import tell
from service.domain.decisions.evidence import never_accepted
from service.domain.due import ends_at
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.records import Attempt, AttemptState, Grade, Render
from service.domain.render import RENDER_FINAL, fenced_out, move_attempt
from service.domain.world import World

ABSENT = Failure(
    Reason.ROUTES_UNAVAILABLE, "the request never reached the provider", Fault.PROVIDER, RetryAdvice.FREE
)
_NOT_BEGUN = Failure(
    Reason.ROUTES_UNAVAILABLE, "nothing could send the request in time", Fault.SERVICE, RetryAdvice.FREE
)
_NO_END = Failure(
    Reason.PROVIDER_FAILED,
    "the provider took the request and did not tell its end in time",
    Fault.PROVIDER,
    RetryAdvice.MAY_PAY_AGAIN,
)
_NOT_STORED = Failure(
    Reason.RESULT_LOST,
    "the picture was drawn and could not be stored while the provider kept it",
    Fault.SERVICE,
    RetryAdvice.MAY_PAY_AGAIN,
)
_NO_PICTURE = Failure(
    Reason.PROVIDER_FAILED, "the provider gave no picture", Fault.PROVIDER, RetryAdvice.FREE
)

_OPEN = frozenset({AttemptState.DISPATCHING, AttemptState.UNKNOWN})


def may_be_judged(world: World, attempt: Attempt) -> bool:
    """Whether its POST has surely ended: before, nobody but its sender says what became of it."""
    return attempt.send_before is not None and doubted_from(attempt.send_before) <= world.now


def resolve_absent(world: World, command: ResolveAbsent) -> RunOutcome:
    """The provider's list shows that it never arrived. An id that was bound meanwhile is the better proof."""
    found = own(world, command)
    if found is None:
        return RunOutcome.LOST
    render, attempt = found
    if attempt.state is AttemptState.REJECTED:
        return RunOutcome.DONE
    # An attempt in doubt is the newest one: no other is begun before the doubt has ended.
    if render.state in RENDER_FINAL or attempt.state not in _OPEN:
        return RunOutcome.LOST
    if attempt.provider_id is not None or not may_be_judged(world, attempt):
        return RunOutcome.LOST
    never_accepted(world, attempt, command.failure or ABSENT, "absent")
    tell(world, render, attempt.number, "ABSENT", command.memo)
    return RunOutcome.DONE


def resolve_unconfirmed(world: World, command: ResolveUnconfirmed) -> RunOutcome:
    """Give up on an attempt whose end cannot be learnt: its hold is charged in full, as unconfirmed."""
    found = own(world, command)
    if found is None:
        return RunOutcome.LOST
    render, attempt = found
    if render.state in RENDER_FINAL:
        ended = attempt.state is AttemptState.FAILED
        return RunOutcome.DONE if ended else RunOutcome.LOST
    if attempt.state not in PERHAPS_CHARGED or attempt.id != world.attempts_of(render.id)[-1].id:
        return RunOutcome.LOST
    if attempt.state in _OPEN and not may_be_judged(world, attempt):
        return RunOutcome.LOST
    if attempt.provider_id is not None and command.failure is None:
        # Whoever gives up a search says nothing more; an id that was bound just before is what was searched for.
        return RunOutcome.LOST
    failure = command.failure or UNCONFIRMED
    _give_up(world, render, attempt, failure)
    tell(world, render, attempt.number, "UNCONFIRMED", failure.reason.value)
    return RunOutcome.DONE


def _give_up(world: World, render: Render, attempt: Attempt, failure: Failure) -> None:
    attempt = world.put_attempt(
        move_attempt(attempt, AttemptState.FAILED, ended_at=world.now, failure=failure)
    )
    ledger.settle(world, attempt, attempt.hold_nanos, Grade.UNCONFIRMED, memo="no evidence")
    end_failed(world, render, failure)


def end_overdue(world: World, command: EndOverdue) -> int:
    """The last way out of every state. Not fenced: it acts only where the time of every owner is over, and the new fencing
    number stops the one who wakes up late. Answers how many were ended.
    """
    ended_count = 0
    for render_id in command.render_ids:
        render = world.renders.get(render_id)
        if render is None or render.state in RENDER_FINAL:
            continue
        attempt = world.attempts_of(render.id)[-1]
        if ends_at(render, attempt) <= world.now:
            _end(world, render, attempt)
            ended_count += 1
    return ended_count


def _end(world: World, render: Render, attempt: Attempt) -> None:
    tell(world, render, attempt.number, "OVERDUE", f"{render.state.value}, attempt {attempt.state.value}")
    render = world.put_render(fenced_out(render))
    if attempt.state in PERHAPS_CHARGED:
        accepted = attempt.state is AttemptState.ACCEPTED
        _give_up(world, render, attempt, _NO_END if accepted else UNCONFIRMED)
    elif attempt.state is AttemptState.HELD:
        attempt = world.put_attempt(
            move_attempt(
                attempt, AttemptState.CANCELLED, ended_at=world.now, failure=_NOT_BEGUN, unbilled=True
            )
        )
        ledger.void(world, attempt, "never sent")
        end_failed(world, render, _NOT_BEGUN)
    else:
        ledger.void(world, attempt, "unbilled")
        drawn = attempt.state is AttemptState.SUCCEEDED
        end_failed(world, render, _NOT_STORED if drawn else attempt.failure or _NO_PICTURE)
