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
    """What a caller may do, the least first: each role may do what the ones before it may.

    An operator looks after dispatches and switches. An admin sees the jobs and costs of all projects; everybody else the own
    ones.
    """

    CALLER = "CALLER"
    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"

    @property
    def rank(self) -> int:
        """Greater may do more."""
        return _ROLES.index(self)


_ROLES: Final = tuple(Role)


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

    def sees_all_or_own(self) -> str | None:
        """For a request that names no project: None (all) for an admin, the own one for everybody else."""
        return None if self.role is Role.ADMIN else self.project

    def require(self, role: Role) -> None:
        """Raise RoleInsufficient unless the caller has this role or a higher one."""
        if self.role.rank < role.rank:
            raise RoleInsufficient(
                "the caller's role does not allow this", metadata={"requiredRole": role.value}
            )

    def require_admin(self) -> None:
        """Raise RoleInsufficient unless the caller is an admin."""
        self.require(Role.ADMIN)


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
