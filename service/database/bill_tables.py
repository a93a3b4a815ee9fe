"""The tables of reconciliation: comparisons with the providers' books, and charges that only one side knows."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from service.database.dialect import partial_index
from service.database.tables import flag, metadata, micros, nanos, number, text

discrepancies = Table(
    "discrepancies",
    metadata,
    text("provider", key=True),
    text("side", "who knows of it: LEDGER, PROVIDER, AMOUNT", key=True),
    text("subject", "the bill at PROVIDER, else the attempt", key=True),
    text("endpoint", "the provider's own name of the model"),
    text("bill_id"),
    text("provider_id", "the provider's id of the request"),
    text("attempt_id"),
    text("job_id", "who pays"),
    number("attempt_number"),
    nanos("ledger_nanos", "NULL: the ledger has nothing", null=True),
    nanos("billed_nanos", "NULL: the bill has nothing, or names no money", null=True),
    micros("usage_at", "when it was used, as the better-informed side says"),
    micros("created_at", "when it was first seen"),
    micros("resolved_at", null=True),
    text("resolution", "empty while it is open"),
    Index("discrepancies_by_time", "usage_at", "provider", "side", "subject"),
    comment="Charges that a provider's books and the ledger disagree about.",
)
partial_index(
    "discrepancies_open",
    discrepancies.c.provider,
    discrepancies.c.usage_at,
    where=discrepancies.c.resolved_at.is_(None),
)

reconciliations = Table(
    "reconciliations",
    metadata,
    text("provider", key=True),
    text("grade", "what the provider's figures are", key=True),
    Column("range_from", BigInteger, primary_key=True, autoincrement=False, comment="usage times compared"),
    number("number", "from 1; one that finds what the one before it found is not kept", key=True),
    micros("range_before"),
    flag("complete", "whether absence from the provider's books proves anything"),
    nanos("ledger_nanos", "what the ledger had before"),
    nanos("billed_nanos"),
    nanos("corrected_nanos"),
    number("matched_count"),
    number("unmatched_ledger_count"),
    number("unmatched_provider_count"),
    micros("started_at"),
    micros("finished_at"),
    Index("reconciliations_by_time", "started_at", "provider", "grade", "range_from", "number"),
    comment="Comparisons of the ledger with the providers' books.",
)
