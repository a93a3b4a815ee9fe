"""The steps of the replica that owns a render. Those that act are fenced."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from service.domain.commands.command import Command, Lane
from service.domain.failure import Failure
from service.domain.records import Asset, Attempt, Render
from service.domain.value import value


@value(frozen=True, slots=True)
class Heartbeat(Command):
    """This replica lives. Answers its ordinal (int)."""

    lane: ClassVar[Lane] = Lane.HEARTBEAT
    replica_id: str
    leaving: bool = False
    """It stops: its lease ends now, and others need not wait for its renders."""


@value(frozen=True, slots=True)
class TakeOver(Command):
    """Own these renders, as far as nobody alive works on them. Answers the ids of their payers' jobs (tuple[str, ...])."""

    renders: tuple[tuple[str, int], ...]
    """(render, fencing number as it was seen): one that has moved on since is left alone."""
    owner: str
    """The replica that takes over; renders that it owned already and lost sight of are taken too."""


@value(frozen=True, slots=True)
class EndOverdue(Command):
    """The last way out of every state: end those of these renders that nobody could bring to their end in all the time that
    their state may take. Answers how many were ended (int).
    """

    render_ids: tuple[str, ...]


@value(frozen=True, slots=True)
class Fenced(Command):
    """Acts for a render: only its owner, with the current fencing number, may."""

    render_id: str
    attempt_id: str
    owner: str
    fence: int


@value(frozen=True, slots=True)
class Dispatch(Fenced):
    """Mark the attempt as about to be sent."""

    seed: int | None = None
    input_digest: str = ""
    """`service.domain.sent.input_digest` of what is sent: by it a lost request is found again in the provider's list."""


@value(frozen=True, slots=True)
class Send:
    """Go: one POST, before `send_before` by the sender's own clock."""

    render: Render
    attempt: Attempt


class RunOutcome(Enum):
    """Answers of fenced commands that need no more words."""

    DONE = "DONE"
    LOST = "LOST"
    """Another replica owns the render, or it is final: stop acting."""
    CANCELLED = "CANCELLED"
    """The render ended before it was sent."""


@value(frozen=True, slots=True)
class MarkUnknown(Fenced):
    """The POST ended without an answer that tells whether it was accepted."""

    cause: str = ""


@value(frozen=True, slots=True)
class ResolveAbsent(Fenced):
    """The provider's own list proves that an UNKNOWN attempt never arrived: it costs nothing. Answers DONE, or LOST when an id
    was bound meanwhile. The render goes on, or ends, with the Fail that follows.
    """

    failure: Failure | None = None
    memo: str = ""
    """What proved it, for the record of the attempt."""


@value(frozen=True, slots=True)
class ResolveUnconfirmed(Fenced):
    """Give up on an attempt: post its hold as unconfirmed and fail the render. Answers DONE, or LOST when there is nothing to
    give up (yet).
    """

    failure: Failure | None = None
    """Why, for an attempt that the provider has. None: nobody knows whether it has it; LOST when an id was bound meanwhile."""


@value(frozen=True, slots=True)
class Progress(Fenced):
    """A visible step at the provider. Droppable."""

    state: str = "QUEUED"
    """RenderState QUEUED or RUNNING."""
    progress: str = "{}"


@value(frozen=True, slots=True)
class PutAgain:
    """These pictures are not promised any more: put them again, then finish again."""

    sha256s: tuple[str, ...]


@value(frozen=True, slots=True)
class Finish(Fenced):
    """The pictures are stored: the render and every waiting job succeed. Answers RunOutcome or PutAgain."""

    assets: tuple[tuple[int, Asset, bool], ...] = ()
    """(position, picture, flagged)."""
    partial: bool = False
    keep: bool = True
    """False: never served from the cache (partial or flagged results)."""
    notices: str = "[]"
    phases: str = "{}"
    """Measured seconds as JSON (`download_seconds`, `store_seconds`); kept where the progress stood."""
    put_again: frozenset[str] = frozenset()
    """Pictures that were put once more after a PutAgain."""


@value(frozen=True, slots=True)
class Fail(Fenced):
    """The attempt ended without a picture: go on with the next route if there is one, else end the render."""

    failure: Failure | None = None
    next_attempt_id: str = ""
    next_token: str = ""
    failover: bool = True
    """False when no other route can help."""
    again: bool = False
    """The same route may be tried once more: the request never reached it, which says nothing against it."""


@value(frozen=True, slots=True)
class NextAttempt:
    """The render is PENDING again with this attempt."""

    render: Render
    attempt: Attempt
