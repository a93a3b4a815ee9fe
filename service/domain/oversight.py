"""The rows that operators look at and write: switches, the audit, and the unusual events of renders."""

from __future__ import annotations

from enum import Enum

from service.domain.value import value


class SwitchScope(Enum):
    """What a switch takes out of use."""

    PROVIDER = "PROVIDER"
    ROUTE = "ROUTE"
    PROJECT = "PROJECT"
    DISPATCH = "DISPATCH"


class SwitchState(Enum):
    """ON; DRAIN: nothing new is accepted; OFF: nor is anything more dispatched."""

    ON = "ON"
    DRAIN = "DRAIN"
    OFF = "OFF"


@value(frozen=True, slots=True)
class Event:
    """Something unusual that happened to a render; what is usual is told by the rows themselves. Append-only, pruned by age."""

    id: str
    render_id: str
    attempt_number: int
    """0: the render as a whole."""
    at: int
    kind: str
    """TAKEN_OVER, NOT_SENT, UNKNOWN, FOUND, ABSENT, UNCONFIRMED, DOUBLE_DISPATCH, CANCEL_ASKED, FAILED_OVER, LATE, OVERDUE,
    RESOLVED_BY_HAND."""
    cause: str
    """Why, in a few words; never a prompt."""


@value(frozen=True, slots=True)
class Switch:
    """A position that an operator chose, until it expires. One row per scope and target."""

    scope: SwitchScope
    target: str
    state: SwitchState
    expires_at: int | None
    reason: str
    set_by: str
    set_at: int
    event_id: str
    """The audit event that set it."""

    @property
    def name(self) -> str:
        """How people write it: `provider:fal`, `route:fal/flux-dev`, `project:growth`, `dispatch`."""
        kind = self.scope.value.lower()
        return f"{kind}:{self.target}" if self.target else kind


@value(frozen=True, slots=True)
class AuditEvent:
    """One change that was made outside the jobs. Append-only."""

    id: str
    at: int
    actor: str
    action: str
    target: str
    reason: str
    details: str
    """As JSON; never secrets or prompts."""
