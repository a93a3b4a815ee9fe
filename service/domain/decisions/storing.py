"""Charging for pictures that are kept: one transfer per project and day."""

from __future__ import annotations

from service.domain import ledger
from service.domain.commands import AccrueStorage
from service.domain.records import Grade, Origin, Transfer, TransferKind
from service.domain.statement import STORAGE_PROVIDER
from service.domain.storage_price import StorageCharge
from service.domain.totals import TotalsDelta, TotalsKey
from service.domain.world import World

ROUTE = "storage"


def accrue_storage(world: World, command: AccrueStorage) -> int:
    """A day that was charged already stays as it is; what costs nothing is not booked."""
    news = [
        one for one in command.charges if one.nanos and command.source(one.project) not in world.sources_known
    ]
    for one in news:
        _book(world, command, one)
    return len(news)


def _book(world: World, command: AccrueStorage, charge: StorageCharge) -> None:
    world.transfers.add(
        Transfer(
            source=command.source(charge.project),
            ordinal=0,
            kind=TransferKind.ACCRUAL,
            debit=f"project:{charge.project}",
            credit=f"storage:{STORAGE_PROVIDER}",
            amount_nanos=charge.nanos,
            total_after_nanos=charge.nanos,
            grade=Grade.ESTIMATE,
            evidence_ref="",
            units=charge.units,
            price_version=command.price_version,
            list_price_nanos=charge.nanos,
            discount_nanos=0,
            project=charge.project,
            model="",
            provider=STORAGE_PROVIDER,
            route=ROUTE,
            operation="",
            job_id="",
            render_id="",
            attempt_number=0,
            usage_at=command.day,
            booked_at=world.now,
            memo=f"storage of pictures on {command.day_name}",
        )
    )
    key = TotalsKey(
        usage_hour=ledger.hour(command.day),
        booked_hour=ledger.hour(world.now),
        project=charge.project,
        model="",
        provider=STORAGE_PROVIDER,
        route=ROUTE,
        operation="",
        origin=Origin.PROVIDER.value,
        outcome="SUCCEEDED",
        evidence=Grade.ESTIMATE.value,
        fault="NONE",
    )
    ledger.add_totals(world, key, TotalsDelta(charged_nanos=charge.nanos), ())
