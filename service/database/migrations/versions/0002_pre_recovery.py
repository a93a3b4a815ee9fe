"""What recovery, operators and retention need. The SQL stands beside this file, frozen, per engine.

The release before runs against it: it names its columns in every statement, and the new ones have defaults.
"""

from __future__ import annotations

from service.database.migrate import run_sql_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns, tables and indexes; take the grade of each post from the journal."""
    run_sql_beside(__file__)
