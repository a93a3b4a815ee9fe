"""Until the database's own reader for operators is there: nothing is switched, nothing is listed."""

from __future__ import annotations

from typing import Any, cast

from service.database.open import Database
from service.domain.oversight import Switch
from service.domain.queries import AttemptQuery, AuditPage, AuditQuery, OpenAttempt
from service.ports import OperatorReader, WorkReader


class _Nothing:
    async def attempts(self, query: AttemptQuery) -> tuple[OpenAttempt, ...]:
        del query
        return ()

    async def attempt(self, attempt_id: str) -> OpenAttempt | None:
        del attempt_id
        return None

    async def switches(self) -> tuple[Switch, ...]:
        return ()

    async def audit(self, query: AuditQuery) -> AuditPage:
        del query
        return AuditPage(())


def operator_reader(database: Database) -> OperatorReader:
    """The database's own reader, or one that knows nothing."""
    found: OperatorReader = getattr(database, "oversight", None) or _Nothing()
    return found


def work_reader(database: Database) -> WorkReader:
    """The database's own reader of what is to be done."""
    found: Any = getattr(database, "work", None) or database.jobs
    return cast(WorkReader, found)
