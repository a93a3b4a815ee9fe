"""Who calls. Without keys the call's metadata names the project; with keys another `Callers` takes this one's place."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Final, Protocol

from service.domain.errors import FieldInvalid, RoleInsufficient
from service.domain.limits import project_characters_max
from service.domain.value import value

PROJECT_METADATA: Final = "lightmeter-project"
PROJECT_DEFAULT: Final = "default"
PROJECT_PATTERN: Final = re.compile(rf"[a-z0-9][a-z0-9_-]{{0,{project_characters_max - 1}}}")


class Role(Enum):
    """What a caller may do. An admin sees all projects; everybody else the own one."""

    CALLER = "CALLER"
    ADMIN = "ADMIN"


@value(frozen=True, slots=True)
class Caller:
    """The project that pays, and the role."""

    project: str
    role: Role

    @property
    def name(self) -> str:
        """How the audit calls it: without keys nothing but the project's name is known."""
        return self.project

    def seeing(self, project: str) -> str:
        """The project that a request names, or the caller's own for an empty name. Raises RoleInsufficient."""
        if not project or project == self.project:
            return self.project
        self.require_admin()
        return project

    def require_admin(self) -> None:
        """Raise RoleInsufficient unless the caller is an admin."""
        if self.role is not Role.ADMIN:
            raise RoleInsufficient(
                "the caller's role does not allow this", metadata={"requiredRole": Role.ADMIN.value}
            )


class Callers(Protocol):
    """Reads a call's metadata. MUST NOT do I/O; MUST raise FieldInvalid, CredentialsInvalid or nothing of ours."""

    def identify(self, context: Any) -> Caller:
        """The caller of a gRPC servicer context."""
        ...


class NamedProjects:
    """The embedded default: no keys, the metadata `lightmeter-project` is believed, and everybody is an admin.

    Right only where the server binds to loopback.
    """

    def identify(self, context: Any) -> Caller:
        """Raises FieldInvalid for a name that is none."""
        named = PROJECT_DEFAULT
        for key, text in context.invocation_metadata() or ():
            if key == PROJECT_METADATA:
                named = text
        if not PROJECT_PATTERN.fullmatch(named):
            raise FieldInvalid.of(
                PROJECT_METADATA,
                "must begin with a letter or digit and hold only a-z, 0-9, _ and -",
                limit=PROJECT_PATTERN.pattern,
                actual=named[:100],
            )
        return Caller(named, Role.ADMIN)
