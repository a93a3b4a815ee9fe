"""The tables of reconciliation, and an index for it. The SQL stands beside this file, frozen, per engine.

The release before runs against it: it knows nothing of these tables. On PostgreSQL new attempts wait while the index is made:
a few seconds for millions of them.
"""

from __future__ import annotations

from service.database.migrate import run_sql_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create both tables and the index."""
    run_sql_beside(__file__)
