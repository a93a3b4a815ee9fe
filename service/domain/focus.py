"""Transfers as rows of the FinOps Open Cost and Usage Specification (FOCUS 1.2, focus.finops.org).

One row per settled attempt and per storage charge; each correction is a row of its own. `BilledCost` of all rows sums to what
the ledger says is to be paid, to the nano-dollar. What FOCUS has no column for is in columns that begin with `x_`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from service.domain.budget import window_end, window_start
from service.domain.limits import MICROS_PER_SECOND
from service.domain.money import CURRENCY, usd_from_nanos
from service.domain.records import Period, Transfer, TransferKind
from service.domain.statement import STORAGE_PROVIDER

FOCUS_VERSION: Final = "1.2"
CHARGING: Final = (TransferKind.POST, TransferKind.CORRECTION, TransferKind.ACCRUAL)
"""Kinds of transfers that are costs; holds and voids are not."""

_HOUR: Final = 3_600 * MICROS_PER_SECOND
_DAY: Final = 24 * _HOUR
_ONE: Final = "1.0"
"""A quantity is a decimal, and readers that guess a column's type by its digits are told so."""
_NAMES: Final[Mapping[str, str]] = {"fal": "fal", "replicate": "Replicate", STORAGE_PROVIDER: "Cloudflare"}


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """A transfer that is a cost, with the labels of the job that pays (none once the job is pruned)."""

    transfer: Transfer
    labels: tuple[tuple[str, str], ...]

    @property
    def nanos(self) -> int:
        """What it adds to the bill; negative for a refund."""
        refund = self.transfer.credit.startswith("project:")
        return -self.transfer.amount_nanos if refund else self.transfer.amount_nanos


COLUMNS: Final = (
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_AttemptNumber",
    "x_Evidence",
    "x_JobId",
    "x_Memo",
    "x_TransferOrdinal",
    "x_TransferSource",
    "x_Units",
)


def focus_row(charge: ChargeRow) -> tuple[str, ...]:
    """The row in the order of COLUMNS; an empty text is null."""
    transfer = charge.transfer
    values = {**_money(charge), **_times(transfer), **_what(transfer), **_ours(transfer)}
    values["Tags"] = json.dumps(dict(charge.labels), sort_keys=True, ensure_ascii=False)
    return tuple(values.get(name, "") for name in COLUMNS)


def _money(charge: ChargeRow) -> dict[str, str]:
    cost = _usd(charge.nanos)
    values = dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost)
    values |= {"BillingCurrency": CURRENCY, "PricingCurrency": CURRENCY, "PricingCurrencyEffectiveCost": cost}
    if charge.transfer.kind is TransferKind.CORRECTION:
        # A difference has no quantity and no unit price.
        return values
    prices = ("ContractedUnitPrice", "ListUnitPrice")
    unit = "Days" if charge.transfer.kind is TransferKind.ACCRUAL else "Requests"
    values |= dict.fromkeys((*prices, *(f"PricingCurrency{name}" for name in prices)), cost)
    values |= {"ConsumedQuantity": _ONE, "ConsumedUnit": unit, "PricingQuantity": _ONE, "PricingUnit": unit}
    return values | {"PricingCategory": "Standard"}


def _usd(nanos: int) -> str:
    return f"{usd_from_nanos(nanos):f}"


def _times(transfer: Transfer) -> dict[str, str]:
    month = window_start(Period.MONTH, transfer.booked_at)
    month_end = window_end(Period.MONTH, month)
    period = _DAY if transfer.kind is TransferKind.ACCRUAL else _HOUR
    used = transfer.usage_at - transfer.usage_at % period
    assert month_end is not None, "a month ends"
    return {
        "BillingPeriodStart": _time(month),
        "BillingPeriodEnd": _time(month_end),
        "ChargePeriodStart": _time(used),
        "ChargePeriodEnd": _time(used + period),
    }


def _time(at: int) -> str:
    return datetime.fromtimestamp(at // MICROS_PER_SECOND, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _what(transfer: Transfer) -> dict[str, str]:
    provider = _NAMES.get(transfer.provider, transfer.provider)
    stored = transfer.kind is TransferKind.ACCRUAL
    values = {
        "BillingAccountId": transfer.provider,
        "BillingAccountName": f"{provider} account",
        "BillingAccountType": "Provider account",
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if _corrects_a_closed_month(transfer) else "",
        "ChargeDescription": _description(transfer),
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": provider,
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": "Storage" if stored else "AI and Machine Learning",
        "ServiceSubcategory": "Object Storage" if stored else "Generative AI",
        "ServiceName": "Picture storage" if stored else "Image generation",
        "SubAccountId": transfer.project,
        "SubAccountName": transfer.project,
        "SubAccountType": "Project",
    }
    if stored:
        return values | {"SkuId": f"{transfer.provider}/storage", "SkuPriceId": transfer.price_version}
    request = transfer.evidence_ref or transfer.source
    return values | {
        "ResourceId": request,
        "ResourceName": transfer.model,
        "ResourceType": "Image generation request",
        "SkuId": f"{transfer.provider}/{transfer.route}/{transfer.operation.lower()}",
        "SkuMeter": "Image generation requests",
        "SkuPriceId": transfer.price_version,
    }


def _corrects_a_closed_month(transfer: Transfer) -> bool:
    """FOCUS calls only that a correction: within the month that is still open it is part of the charge."""
    months = [window_start(Period.MONTH, at) for at in (transfer.usage_at, transfer.booked_at)]
    return transfer.kind is TransferKind.CORRECTION and months[0] < months[1]


def _description(transfer: Transfer) -> str:
    if transfer.kind is TransferKind.ACCRUAL:
        return transfer.memo or "Storage of pictures"
    what = f"{transfer.operation.capitalize()} with {transfer.model} at {transfer.provider}/{transfer.route}"
    correction = ", correction" if transfer.kind is TransferKind.CORRECTION else ""
    return f"{what}, attempt {transfer.attempt_number}{correction}"


def _ours(transfer: Transfer) -> dict[str, str]:
    return {
        "x_AttemptNumber": str(transfer.attempt_number) if transfer.job_id else "",
        "x_Evidence": transfer.grade.value,
        "x_JobId": transfer.job_id,
        "x_Memo": transfer.memo,
        "x_TransferOrdinal": str(transfer.ordinal),
        "x_TransferSource": transfer.source,
        "x_Units": transfer.units,
    }
