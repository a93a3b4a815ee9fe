"""The first tables, and the triggers that let the journal only grow. The SQL stands beside this file, frozen, per engine.

"pre" in a name: the previous release runs against the migrated database; it may be applied before the new one starts.
"""

from __future__ import annotations

from service.database.migrate import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    run_sql_beside(__file__)
