"""The first tables, and the triggers that let the journal only grow. The SQL stands beside this file, frozen, per engine.

"pre" in a name: the previous release runs against the migrated database; it may be applied before the new one starts.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind()
    file = Path(__file__).with_suffix(f".{connection.dialect.name}.sql")
    for statement in file.read_text(encoding="utf-8").split("\n\n"):
        if any(line and not line.startswith("--") for line in statement.splitlines()):
            connection.exec_driver_sql(statement.replace("%", "%%") if "%" in statement else statement)
