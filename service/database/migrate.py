"""Bringing a database to the newest schema, at the start of every process. Forward only."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
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


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
