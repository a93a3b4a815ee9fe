"""Transfers as FOCUS 1.2 rows: the specification's rules that matter, without its own validator (which `make focus` sets up)."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from service.domain.focus import CHARGING, COLUMNS, ChargeRow, focus_row
from service.domain.records import Grade, TransferKind
from tests.rpc.samples import T0, transfer

HOUR = 3_600_000_000
DAY = 24 * HOUR
FEBRUARY = T0 + 31 * DAY

# FOCUS 1.2, "Columns": everything that a row may not leave out.
NEVER_NULL = {
    "BilledCost", "BillingAccountId", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName", "ServiceCategory",
    "ServiceName", "ServiceSubcategory", "SubAccountType",
}  # fmt: skip
DECIMALS = {
    "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost",
    "ListUnitPrice", "PricingCurrencyContractedUnitPrice", "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice", "PricingQuantity",
}  # fmt: skip
TIMES = {"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"}
PAIRS = {  # what is null together
    "BillingAccountId": "BillingAccountType",
    "ConsumedQuantity": "ConsumedUnit",
    "PricingQuantity": "PricingUnit",
    "ResourceId": "ResourceType",
    "SubAccountId": "SubAccountType",
}
NOT_USED = {  # nothing here reserves capacity, commits to a spend, or lies in a region
    "AvailabilityZone", "CapacityReservationId", "CapacityReservationStatus", "CommitmentDiscountCategory",
    "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity", "CommitmentDiscountStatus",
    "CommitmentDiscountType", "CommitmentDiscountUnit", "InvoiceId", "RegionId", "RegionName",
}  # fmt: skip
USED = {
    "BillingAccountName", "ChargeClass", "ChargeDescription", "ChargeFrequency", "PricingCategory",
    "PricingCurrency", "ResourceName", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountName",
    "Tags",
}  # fmt: skip
OFFICIAL = NEVER_NULL | DECIMALS | TIMES | set(PAIRS) | set(PAIRS.values()) | NOT_USED | USED


def charges() -> Iterator[ChargeRow]:
    """Every kind of charge, by both providers, of this month and of an earlier one, upwards and downwards."""
    labels = (("team", "ads"), ("quote", 'a "fox"'))
    for provider, booked_at in product(("fal", "replicate"), (T0 + DAY, FEBRUARY + DAY)):
        made = transfer(provider=provider, credit=f"provider:{provider}", booked_at=booked_at)
        yield ChargeRow(made, labels)
        correction = replace(
            made, kind=TransferKind.CORRECTION, ordinal=2, grade=Grade.INVOICE, amount_nanos=7
        )
        yield ChargeRow(correction, labels)
        yield ChargeRow(replace(correction, debit=made.credit, credit=made.debit, memo='said "so",\nand'), ())
    yield ChargeRow(
        transfer(
            kind=TransferKind.ACCRUAL, source="storage:default:2026-01-01", ordinal=0, provider="r2",
            credit="storage:r2", model="", route="storage", operation="", job_id="", render_id="",
            attempt_number=0, evidence_ref="", amount_nanos=3, price_version="r2/standard@2026-11-21",
        ),
        (),
    )  # fmt: skip


def rows() -> list[dict[str, str]]:
    """Their rows."""
    return [dict(zip(COLUMNS, focus_row(one), strict=True)) for one in charges()]


def moment(text: str) -> datetime:
    """A time of a row."""
    return datetime.fromisoformat(text)


def test_every_column_is_focus_s_or_begins_with_x() -> None:
    """In order, once each, and none of FOCUS 1.2 for a cost row is left out."""
    assert sorted(COLUMNS) == list(COLUMNS)
    assert {name for name in COLUMNS if not name.startswith("x_")} == OFFICIAL


def test_nothing_that_a_row_needs_is_null() -> None:
    """And what does not exist here is null in every row."""
    assert [] == [name for row in rows() for name in NEVER_NULL if not row[name]]
    assert [] == [name for row in rows() for name in NOT_USED if row[name]]


def test_quantities_and_their_units_are_null_together() -> None:
    """So are ids and their types."""
    assert [] == [
        pair for row in rows() for pair in PAIRS.items() if bool(row[pair[0]]) != bool(row[pair[1]])
    ]


def test_numbers_are_plain_decimals() -> None:
    """No exponent, no thousands, at least one digit on each side of the point."""
    numbers = [row[name] for row in rows() for name in DECIMALS if row[name]]
    assert [] == [number for number in numbers if not re.fullmatch(r"-?\d+\.\d+", number)]


def test_times_are_whole_hours_in_utc_and_months_are_whole() -> None:
    """ISO 8601 with Z; the charge period is the hour of use, or the day of storage, the billing period the month of booking."""
    for row, one in zip(rows(), charges(), strict=True):
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row[name]) for name in TIMES)
        start, end = moment(row["BillingPeriodStart"]), moment(row["BillingPeriodEnd"])
        assert (1, 1, True) == (start.day, end.day, start < end)
        booked = datetime.fromtimestamp(one.transfer.booked_at / 10**6, tz=UTC)
        used = datetime.fromtimestamp(one.transfer.usage_at / 10**6, tz=UTC)
        assert start <= booked < end
        assert moment(row["ChargePeriodStart"]) <= used < moment(row["ChargePeriodEnd"])
        hours = 24 if one.transfer.kind is TransferKind.ACCRUAL else 1
        assert timedelta(hours=hours) == moment(row["ChargePeriodEnd"]) - moment(row["ChargePeriodStart"])


def test_only_what_moves_an_earlier_month_is_a_correction() -> None:
    """FOCUS says so of ChargeClass; within the month a difference is a charge like others."""
    for row, one in zip(rows(), charges(), strict=True):
        earlier = one.transfer.kind is TransferKind.CORRECTION and one.transfer.booked_at >= FEBRUARY
        assert ("Correction" if earlier else "") == row["ChargeClass"]
    assert {"Correction", ""} == {row["ChargeClass"] for row in rows()}


def test_prices_times_quantities_are_costs() -> None:
    """Where there is a unit price; a difference has neither price nor quantity nor category of pricing."""
    for row, one in zip(rows(), charges(), strict=True):
        difference = one.transfer.kind is TransferKind.CORRECTION
        assert difference == (row["PricingQuantity"] == row["ListUnitPrice"] == row["PricingCategory"] == "")
        if not difference:
            quantity = Decimal(row["PricingQuantity"])
            assert Decimal(row["ListCost"]) == Decimal(row["ListUnitPrice"]) * quantity
            assert Decimal(row["ContractedCost"]) == Decimal(row["ContractedUnitPrice"]) * quantity


def test_costs_come_to_the_ledger_s_sum() -> None:
    """To the nano-dollar, refunds taken off, and all kinds of cost are the same: there is no discount."""
    assert sum(one.nanos for one in charges()) == sum(Decimal(row["BilledCost"]) for row in rows()) * 10**9
    for row in rows():
        costs = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost")
        assert 1 == len({row[name] for name in costs})


@pytest.mark.parametrize("kind", [TransferKind.HOLD, TransferKind.VOID])
def test_holds_and_voids_are_no_costs(kind: TransferKind) -> None:
    """They are not asked for, and would be wrong as rows."""
    assert kind not in CHARGING


def test_words_are_those_of_the_specification() -> None:
    """Values of the columns that allow a list of values only."""
    allowed = {
        "ChargeCategory": {"Usage"},
        "ChargeFrequency": {"Usage-Based"},
        "PricingCategory": {"Standard", ""},
        "ServiceCategory": {"AI and Machine Learning", "Storage"},
        "ServiceSubcategory": {"Generative AI", "Object Storage"},
        "BillingCurrency": {"USD"},
        "PricingCurrency": {"USD"},
    }
    for name, words in allowed.items():
        assert {row[name] for row in rows()} <= words


def test_tags_are_one_flat_json_object() -> None:
    """FOCUS's key-value format: the job's labels, an empty object for none."""
    tags = [json.loads(row["Tags"]) for row in rows()]
    assert {"team": "ads", "quote": 'a "fox"'} == tags[0]
    assert {} == tags[-1]
    assert all(type(value) is str for one in tags for value in one.values())


def test_a_row_leads_back_to_its_transfer() -> None:
    """Source and ordinal name it; request, job and attempt are there where it has them."""
    keys = [(row["x_TransferSource"], row["x_TransferOrdinal"]) for row in rows()]
    assert [(one.transfer.source, str(one.transfer.ordinal)) for one in charges()] == keys
    first, *_, storage = rows()
    assert ("fal-1", "1", "BILLED_UNITS") == (
        first["ResourceId"],
        first["x_AttemptNumber"],
        first["x_Evidence"],
    )
    assert ("", "", "") == (storage["ResourceId"], storage["x_AttemptNumber"], storage["x_JobId"])
