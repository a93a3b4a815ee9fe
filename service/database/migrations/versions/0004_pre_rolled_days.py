"""Days of booking summed once they have ended, and what was counted now and then. The SQL stands beside this file, frozen, per
engine.

The release before runs against it: it knows nothing of these tables, and nothing that it writes has to be in them.
"""

from __future__ import annotations

from service.database.migrate import run_sql_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables and the index; the days that have ended are summed by the service."""
    run_sql_beside(__file__)
