"""What a provider, or our own sender, once told about an attempt. Never refused."""

from __future__ import annotations

from typing import ClassVar

from service.domain.commands.command import Command
from service.domain.failure import Failure
from service.domain.records import Asset, Attempt, Render
from service.domain.value import value


@value(frozen=True, slots=True)
class Evidence(Command):
    """What a provider, or our own sender, once told about an attempt. Accepted from anyone, in any state."""

    patient: ClassVar[bool] = True
    attempt_id: str


@value(frozen=True, slots=True)
class NotSent(Evidence):
    """Nothing was sent: the window had passed. Before anybody doubted it the attempt is HELD again; afterwards it is REJECTED."""

    send_before: int
    """Of the marker that is taken back. A word that comes late, or twice, says nothing about a marker that was set after it:
    that one's POST may be under way.
    """


@value(frozen=True, slots=True)
class Reject(Evidence):
    """The provider surely did not accept it; it costs nothing."""

    failure: Failure


@value(frozen=True, slots=True)
class BindProviderId(Evidence):
    """The provider's id of the attempt. `source` is POST, WEBHOOK, SEARCH or OPERATOR."""

    provider: str
    provider_id: str
    aliases: tuple[str, ...] = ()
    source: str = "POST"
    queue_position: int | None = None


@value(frozen=True, slots=True)
class Bound:
    """What the id was bound to."""

    render: Render
    attempt: Attempt
    newest: Attempt
    """Another attempt than `attempt` when the render went on meanwhile: the same picture is drawn twice."""


@value(frozen=True, slots=True)
class RecordResult(Evidence):
    """The end at the provider: outcome and evidence. Settles the money."""

    ended: str
    """ports.Ended value."""
    billable_units: str | None = None
    metrics: tuple[tuple[str, str], ...] = ()
    images_count: int = 0
    surely_unbilled: bool = False
    charge_ceiling: bool = False
    """The provider may have charged up to the ceiling and said nothing: post the hold as unconfirmed."""
    failure: Failure | None = None
    result: str = "{}"
    result_expires_in_micros: int | None = None
    queue_seconds: float | None = None
    run_seconds: float | None = None


@value(frozen=True, slots=True)
class LateResult(Evidence):
    """The pictures of an attempt whose render ended without them are stored: they enter the cache, final jobs stay as they are.

    Answers True when the render has them now. A render that succeeded is left alone.
    """

    assets: tuple[tuple[int, Asset, bool], ...] = ()
    """(position, picture, flagged)."""
    keep: bool = True
    """False: never served from the cache."""
    notices: str = "[]"
    put_again: frozenset[str] = frozenset()
    """Pictures that were put once more after a PutAgain."""
