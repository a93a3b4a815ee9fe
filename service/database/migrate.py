"""Bringing a database to the newest schema, at the start of every process. Forward only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection

from service.database.engine import Address

_FOLDER: Final = Path(__file__).parent / "migrations"
_ADVISORY_KEY: Final = 7_310_579_623_311
"""Any number that nobody else on the server uses."""


def migrate(address: Address) -> None:
    """Apply what is missing, in one transaction; others that migrate the same database wait. Blocks: not for the event loop."""
    engine = address.migrator()
    try:
        with engine.begin() as connection:
            if address.dialect.advisory_lock is not None:
                connection.exec_driver_sql(f"{address.dialect.advisory_lock}({_ADVISORY_KEY})")
            command.upgrade(_config(connection), "head")
    finally:
        engine.dispose()


def run_sql_beside(script: str) -> None:
    """For a migration's own file: run the SQL of the engine at hand that stands beside it, statements parted by empty lines."""
    connection = op.get_bind()
    file = Path(script).with_suffix(f".{connection.dialect.name}.sql")
    for statement in file.read_text(encoding="utf-8").split("\n\n"):
        if any(line and not line.startswith("--") for line in statement.splitlines()):
            connection.exec_driver_sql(statement.replace("%", "%%") if "%" in statement else statement)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
