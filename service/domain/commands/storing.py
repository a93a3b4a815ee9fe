"""Charging for pictures that are kept."""

from __future__ import annotations

from service.domain.commands.command import Command
from service.domain.storage_price import StorageCharge
from service.domain.value import value


@value(frozen=True, slots=True)
class AccrueStorage(Command):
    """Charge each project for a UTC day of storage, once. Answers how many were charged now (int)."""

    day: int
    """Its start, in microseconds."""
    day_name: str
    """`2026-11-21`: with the project it names the source of the transfer."""
    charges: tuple[StorageCharge, ...]
    price_version: str

    def source(self, project: str) -> str:
        """The source of a project's transfer."""
        return f"storage:{project}:{self.day_name}"
