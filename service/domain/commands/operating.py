"""What operators decide, and what they are told, each with its line in the audit; and the removal of what is too old to keep."""

from __future__ import annotations

from typing import ClassVar

from service.domain.commands.command import Command, Lane
from service.domain.oversight import SwitchScope, SwitchState
from service.domain.value import value


@value(frozen=True, slots=True)
class SetSwitch(Command):
    """Turn something on or off, on every replica. Answers the Switch."""

    lane: ClassVar[Lane] = Lane.ACCEPT
    event_id: str
    scope: SwitchScope
    target: str
    """`fal`, `fal/flux-dev`, a project, or empty for every dispatch."""
    state: SwitchState
    expires_at: int | None
    reason: str
    by: str


@value(frozen=True, slots=True)
class ResolveByHand(Command):
    """Decide the fate of an UNKNOWN attempt by what an operator found out; exactly one of the three. Answers the Attempt.

    Refused with EtagMismatch when the attempt is not UNKNOWN any more (or its version is not the one that was seen), with
    JobNotFound when there is none, with FieldInvalid when the id belongs to another attempt.
    """

    event_id: str
    attempt_id: str
    reason: str
    by: str
    version: int | None = None
    adopt_provider_id: str | None = None
    not_accepted: bool = False
    amount_nanos: int | None = None


@value(frozen=True, slots=True)
class TellPrice(Command):
    """Write into the audit that a price changed or will. Answers whether this very command wrote it, or would have: another
    one with the same id and other details came before it.
    """

    event_id: str
    """The same for the same news, whoever tells it."""
    action: str
    target: str
    """The route: `fal/flux-dev`."""
    reason: str
    details: str
    """As JSON."""
    by: str


@value(frozen=True, slots=True)
class Prune(Command):
    """Remove what is older than its age, as much as one transaction should hold. Answers the `Pruned` counts.

    Ledger rows, attempts' money, budgets and the audit are never touched.
    """

    content_before: int
    """Prompts, inputs, provider texts and log lines of renders that ended before this (microseconds)."""
    events_before: int
    jobs_before: int
    """Jobs that became final before this, and renders that no job points at any more."""
    limit: int
    renders_before: int | None = None
    """Renders that ended before this, too; None as for jobs. A correction needs the render of its attempt."""


@value(frozen=True, slots=True)
class Pruned:
    """How many rows of each kind one Prune has removed or emptied; fewer than the limit in all of them means: done."""

    contents: int
    events: int
    jobs: int
    renders: int
