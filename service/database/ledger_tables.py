"""The tables of the money: transfers, budgets and their windows, totals. Amounts are nano-USD, never negative in transfers.

`transfers` and `budget_changes` only grow: triggers of the first migration refuse anything else.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Table

from service.database.dialect import clustered, partial_index, roomy
from service.database.tables import flag, metadata, micros, nanos, number, text
from service.domain.totals import LATENCY_BOUNDS_SECONDS

BUCKETS = tuple(f"bucket_{index:02d}" for index in range(len(LATENCY_BOUNDS_SECONDS) + 1))
"""One column per latency bucket; the last one holds what is slower than every bound."""

SUMS = (
    "charged_nanos",
    "corrected_up_nanos",
    "corrected_down_nanos",
    "avoided_nanos",
    "jobs",
    "attempts",
    "images",
    "latency_micros",
)
DIMENSIONS = (
    "project",
    "model",
    "provider",
    "route",
    "operation",
    "origin",
    "outcome",
    "evidence",
    "fault",
)

transfers = Table(
    "transfers",
    metadata,
    text("source", "an attempt, or a storage day", key=True),
    number("ordinal", "0 HOLD, 1 POST or VOID, 2 and on CORRECTION", key=True),
    text("kind", "HOLD, POST, VOID, CORRECTION, ACCRUAL"),
    text("debit", "account; a refund swaps the sides"),
    text("credit", "account"),
    nanos("amount_nanos"),
    nanos("total_after_nanos", "what the source costs after this transfer"),
    text("grade", "how good the evidence is"),
    text("evidence_ref", "the provider's id or bill"),
    text("units"),
    text("price_version"),
    nanos("list_price_nanos"),
    nanos("discount_nanos"),
    text("project"),
    text("model"),
    text("provider"),
    text("route"),
    text("operation"),
    text("job_id", "the payer"),
    text("render_id"),
    number("attempt_number"),
    micros("usage_at", "when it was used: fixes window and month"),
    micros("booked_at", "when this row was written"),
    number("target_ordinal", "which transfer a correction moves", null=True),
    text("memo"),
    Index("transfers_by_time", "booked_at", "source", "ordinal"),
    Index("transfers_by_project", "project", "booked_at"),
    Index("transfers_by_job", "job_id"),
    comment="The journal. Never updated, never deleted; the database refuses both.",
    **clustered(),
)

budgets = Table(
    "budgets",
    metadata,
    text("id", key=True),
    text("project"),
    text("label_key", "empty: the whole project"),
    text("label_value"),
    text("period", "DAY, MONTH, TOTAL, in UTC"),
    nanos("limit_nanos"),
    flag("hard", "refuses a hold that does not fit"),
    text("alert_percents", "as JSON"),
    number("revision"),
    flag("live", "false once deleted"),
    micros("updated_at"),
    text("updated_by"),
    comment="Limits on what a project, or a label value in it, may spend in a window.",
)
partial_index(
    "budgets_live",
    budgets.c.project,
    budgets.c.label_key,
    budgets.c.label_value,
    budgets.c.period,
    where=budgets.c.live,
    unique=True,
)

budget_changes = Table(
    "budget_changes",
    metadata,
    text("id", key=True),
    text("budget_id"),
    number("revision"),
    micros("at"),
    text("by"),
    text("reason"),
    text("before", "the budget before, as JSON; empty when created"),
    text("after", "the budget after, as JSON; empty when deleted"),
    Index("budget_changes_by_budget", "budget_id", "revision"),
    comment="The audit of budgets. Never updated, never deleted; the database refuses both.",
)

budget_windows = Table(
    "budget_windows",
    metadata,
    text("budget_id", key=True),
    Column("window_start", BigInteger, primary_key=True, autoincrement=False, comment="0 for TOTAL"),
    nanos("spent_nanos", "what settled attempts cost"),
    nanos("held_nanos", "what open holds set aside"),
    nanos("overrun_nanos", "the part of spent beyond the attempts' holds"),
    nanos("unconfirmed_nanos", "the part of spent without evidence"),
    comment="What a budget has seen in a window. Always spent - overrun + held <= limit of a hard budget.",
    **clustered(),
    **roomy(fillfactor=50, hot=True),
)

hold_budgets = Table(
    "hold_budgets",
    metadata,
    text("attempt_id", key=True),
    text("budget_id", key=True),
    micros("window_start"),
    nanos("nanos"),
    Index("hold_budgets_by_window", "budget_id", "window_start"),
    comment="Which windows a hold was taken from; its post and corrections go there too, closed or not.",
    **clustered(),
)


def _time(name: str, comment: str | None = None) -> Column[Any]:
    return Column(name, BigInteger, primary_key=True, autoincrement=False, comment=comment)


def _totals_columns() -> list[Column[Any]]:
    hours = [_time(name, "0: the lifetime row") for name in ("usage_hour", "booked_hour")]
    return [*hours, *(text(name, key=True) for name in DIMENSIONS)]


def _sum_columns() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False) for name in (*SUMS, *BUCKETS)]


totals = Table(
    "totals",
    metadata,
    *_totals_columns(),
    number("slot", "the writing replica's ordinal mod 8, so that replicas seldom meet on a row", key=True),
    *_sum_columns(),
    Index("totals_by_booked_hour", "booked_hour"),
    comment="Sums over jobs and transfers, kept in the transactions of what they sum; every column only grows.",
    **clustered(),
    **roomy(fillfactor=50, hot=True),
)

label_totals = Table(
    "label_totals",
    metadata,
    *_totals_columns(),
    text("label_key", "a reporting label of the project", key=True),
    text("label_value", "empty: the job had none", key=True),
    number("slot", key=True),
    *_sum_columns(),
    Index("label_totals_by_booked_hour", "booked_hour"),
    comment="The totals once more, by the values of a project's reporting labels.",
    **clustered(),
    **roomy(fillfactor=50, hot=True),
)


def _day_columns() -> list[Column[Any]]:
    return [_time("usage_day"), _time("booked_day"), *(text(name, key=True) for name in DIMENSIONS)]


day_totals = Table(
    "day_totals",
    metadata,
    *_day_columns(),
    *_sum_columns(),
    comment="The totals of each day of booking that has ended, summed once: reports over months read these.",
    **clustered(),
)

day_label_totals = Table(
    "day_label_totals",
    metadata,
    *_day_columns(),
    text("label_key", key=True),
    text("label_value", key=True),
    *_sum_columns(),
    comment="The same of label_totals.",
    **clustered(),
)

rolled_days = Table(
    "rolled_days",
    metadata,
    _time("booked_day"),
    micros("rolled_at"),
    comment="Which days of booking are in day_totals: all up to the last one.",
)

stored_bytes = Table(
    "stored_bytes",
    metadata,
    text("project", key=True),
    Column("size_bytes", BigInteger, nullable=False),
    micros("counted_at"),
    comment="Bytes of pictures that are kept, as last counted; a picture belongs to the project that brought it first.",
)
