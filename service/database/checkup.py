"""A look at a database without touching it: is it there, which schema has it, what time is it there, who lives on it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select

from service.database.engine import Address
from service.database.snapshots import Snapshots
from service.database.tables import replicas
from service.ports import Clock


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found. `revision` is None where nothing was migrated yet, and `missing` then counts all migrations."""

    described: str
    """The address without secrets."""
    embedded: bool
    revision: str | None
    head: str
    there: bool
    """False for an embedded file that nobody has made yet."""
    missing: int | None
    """How many migrations the next start applies; None when the revision is not known to this release."""
    now: int | None = None
    """The database's time in microseconds; None where it has no clock of its own."""
    living: tuple[str, ...] = ()
    """Ids of replicas whose lease has not ended."""
    in_use: bool = False
    """Whether a process serves the embedded file now."""


async def checkup(url: str, clock: Clock) -> Checkup:
    """Look. Raises StoreUnavailable or ReadFailed; an embedded file that is not there is not made."""
    address = Address(url)
    scripts = _scripts()
    if address.file is not None and not address.file.exists():
        return Checkup(str(address), True, None, _head(scripts), there=False, missing=_missing(scripts, None))
    snapshots = Snapshots(address, clock, connections_max=1)
    try:
        return await snapshots.read(lambda connection: _look(connection, address, snapshots, scripts))
    finally:
        await asyncio.to_thread(snapshots.close)


def _look(
    connection: Connection, address: Address, snapshots: Snapshots, scripts: ScriptDirectory
) -> Checkup:
    names = set(inspect(connection).get_table_names())
    revision = None
    if "alembic_version" in names:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    now = snapshots.now(connection)
    living: tuple[str, ...] = ()
    if replicas.name in names:
        living = tuple(connection.scalars(select(replicas.c.id).where(replicas.c.lease_until > now)))
    return Checkup(
        described=str(address),
        embedded=address.embedded,
        revision=revision,
        head=_head(scripts),
        there=True,
        missing=_missing(scripts, revision),
        now=None if address.embedded else now,
        living=living,
        in_use=_in_use(address),
    )


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def _head(scripts: ScriptDirectory) -> str:
    head = scripts.get_current_head()
    assert head is not None, "there is a first migration"
    return head


def _missing(scripts: ScriptDirectory, revision: str | None) -> int | None:
    count = 0
    for script in scripts.walk_revisions():
        if script.revision == revision:
            return count
        count += 1
    return count if revision is None else None


def _in_use(address: Address) -> bool:
    """Whether the lock file is held. It is tried shared and let go of at once, and never made."""
    if address.file is None:
        return False
    try:
        handle = os.open(address.file.with_name(address.file.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
