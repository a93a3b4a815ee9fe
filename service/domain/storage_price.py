"""What keeping pictures costs: R2's price of a day, and each project's share of it.

Cloudflare's price list (developers.cloudflare.com/r2/pricing, read 2026-11-21): 0.015 USD per GB-month, 4.50 USD per million
Class A operations (each put is one), with 10 GB-months and a million operations free each month. Cloudflare rounds the month of
the whole account up to a whole unit; a share of a day is not rounded here, so the invoice may be up to one unit higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from service.domain.money import Rounding, nanos_from_usd

BYTES_PER_GB: Final = 1_000_000_000
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class StoragePrice:
    """USD, and what is free each month for the whole account."""

    gb_month_usd: Decimal = Decimal("0.015")
    million_writes_usd: Decimal = Decimal("4.50")
    free_gb_months: Decimal = Decimal(10)
    free_writes: int = _MILLION
    version: str = "r2/standard@2026-11-21"


@dataclass(frozen=True, slots=True)
class StoredShare:
    """What one project keeps at the end of a day, wrote on it, and wrote earlier in its month."""

    project: str
    size_bytes: int
    writes_count: int
    earlier_writes_count: int


@dataclass(frozen=True, slots=True)
class StorageCharge:
    """One project's cost of a day. `units` is what it rests on, in words."""

    project: str
    nanos: int
    units: str


def charges_of_day(
    price: StoragePrice, shares: Sequence[StoredShare], days_of_month: int
) -> tuple[StorageCharge, ...]:
    """Every project's cost of a day, by project. What is free is shared in proportion to what each one uses."""
    stored = sum(one.size_bytes for one in shares)
    free_bytes = price.free_gb_months * BYTES_PER_GB
    billable = max(Decimal(0), stored - free_bytes)
    day_usd = billable / BYTES_PER_GB * price.gb_month_usd / days_of_month
    written = sum(one.writes_count for one in shares)
    earlier = sum(one.earlier_writes_count for one in shares)
    charged = max(0, earlier + written - price.free_writes) - max(0, earlier - price.free_writes)
    writes_usd = Decimal(charged) / _MILLION * price.million_writes_usd
    return tuple(
        StorageCharge(
            one.project,
            nanos_from_usd(
                _part(day_usd, one.size_bytes, stored) + _part(writes_usd, one.writes_count, written),
                Rounding.NEAREST,
            ),
            f"{one.size_bytes} bytes kept, {one.writes_count} writes",
        )
        for one in sorted(shares, key=lambda one: one.project)
    )


def _part(whole: Decimal, share: int, of: int) -> Decimal:
    return whole * share / of if of else Decimal(0)
