"""Rows to records and back. A record's fields are its table's columns, in the same order; only a few need translating."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from enum import Enum
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Boolean, Table

from service.database import bill_tables as bills
from service.database import ledger_tables as money
from service.database import tables as work
from service.domain import oversight as o
from service.domain import records as r
from service.domain.bills import Discrepancy, Reconciliation, Side
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from service.domain.totals import TotalsDelta, TotalsKey

Record = TypeVar("Record")
Translate = Callable[[Any], Any]


class Codec(Generic[Record]):
    """Between one table's rows and its records.

    `fixed` are columns that no decision changes, beside the key.
    """

    def __init__(
        self,
        table: Table,
        record: type[Record],
        translate: dict[str, tuple[Translate, Translate]] | None = None,
        fixed: Iterable[str] = (),
    ) -> None:
        names = [field.name for field in fields(record)]  # type: ignore[arg-type]  # every record is a dataclass
        assert names == [column.name for column in table.columns], f"{table.name} is not {record.__name__}"
        self.table = table
        self.key_count = len(table.primary_key.columns)
        self._record = record
        self._get = attrgetter(*names)
        truths = [column.name for column in table.columns if isinstance(column.type, Boolean)]
        both: dict[str, tuple[Translate, Translate]] = dict.fromkeys(truths, (bool, bool))
        both |= translate or {}
        self._encoders = [(names.index(name), pair[0]) for name, pair in both.items() if pair[0] is not bool]
        self._decoders = [(names.index(name), pair[1]) for name, pair in both.items()]
        self._encode = dict(self._encoders)
        self._plain_key = not any(index < self.key_count for index in self._encode)
        keys = {column.name for column in table.primary_key.columns}
        assert keys == set(names[: self.key_count]), f"{table.name}: the key comes first"
        self._fixed = frozenset(names.index(name) for name in fixed) | frozenset(range(self.key_count))

    def row(self, record: Record) -> list[Any]:
        """The record in the order of the columns."""
        row = list(self._get(record))
        for index, encode in self._encoders:
            row[index] = encode(row[index])
        return row

    def differing(self, pairs: Sequence[tuple[Record, Record]]) -> list[int]:
        """The columns in which any pair of an old and a new record differs. A fixed one is a programmer's mistake."""
        found: set[int] = set()
        for old, new in pairs:
            before, after = self._get(old), self._get(new)
            found.update(i for i, value in enumerate(after) if value is not before[i] and value != before[i])
        assert not found & self._fixed, f"{self.table.name}: a fixed column changed"
        return sorted(found)

    def part(self, record: Record, columns: Sequence[int]) -> list[Any]:
        """The key and some columns of a record."""
        values = self._get(record)
        encode = self._encode
        row = [encode[i](values[i]) if i in encode else values[i] for i in columns]
        if self._plain_key:
            return [*values[: self.key_count], *row]
        return [*self.row(record)[: self.key_count], *row]

    def record(self, row: Sequence[Any]) -> Record:
        """The record of a row that has (at least) the table's columns first, in order."""
        values = list(row)
        for index, decode in self._decoders:
            values[index] = decode(values[index])
        return self._record(*values)


def _enum(kind: type[Enum]) -> tuple[Translate, Translate]:
    members = {member.value: member for member in kind}
    return attrgetter("_value_"), members.__getitem__


def _pairs_text(pairs: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(pairs) if pairs else "[]"


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return () if text == "[]" else tuple((key, value) for key, value in json.loads(text))


def _failure_text(failure: Failure | None) -> str | None:
    if failure is None:
        return None
    return json.dumps(
        {
            "reason": failure.reason.value,
            "message": failure.message,
            "fault": failure.fault.value,
            "retry_advice": failure.retry_advice.value,
            "metadata": dict(failure.metadata),
            "retry_delay_seconds": failure.retry_delay_seconds,
            "provider_message": failure.provider_message,
        }
    )


def _failure(text: str | None) -> Failure | None:
    if text is None:
        return None
    data = json.loads(text)
    return Failure(
        reason=Reason(data["reason"]),
        message=data["message"],
        fault=Fault(data["fault"]),
        retry_advice=RetryAdvice(data["retry_advice"]),
        metadata=data["metadata"],
        retry_delay_seconds=data["retry_delay_seconds"],
        provider_message=data["provider_message"],
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text))


_FAILURE: Final = (_failure_text, _failure)
_LABELS: Final = (_pairs_text, _pairs)

JOBS: Final = Codec(
    work.jobs,
    r.Job,
    {"origin": _enum(r.Origin), "state": _enum(r.JobState), "labels": _LABELS, "failure": _FAILURE},
    fixed=("project", "request_id", "request_digest", "fingerprint", "accepted_at", "labels", "options"),
)
FLIGHTS: Final = Codec(work.flights, r.Flight)
RENDERS: Final = Codec(
    work.renders,
    r.Render,
    {"state": _enum(r.RenderState)},
    fixed=("project", "scope", "fingerprint", "operation", "model", "plan", "content", "created_at"),
)
ATTEMPTS: Final = Codec(
    work.attempts,
    r.Attempt,
    {
        "state": _enum(r.AttemptState),
        "grade": _enum(r.Grade),
        "posted_grade": _enum(r.Grade),
        "failure": _FAILURE,
    },
    fixed=("render_id", "number", "project", "provider", "route", "endpoint", "token", "price", "usage_at"),
)
PROVIDER_IDS: Final = Codec(work.provider_ids, r.ProviderId)
ASSETS: Final = Codec(work.assets, r.Asset, {"state": _enum(r.AssetState)})
RENDER_ASSETS: Final = Codec(work.render_assets, r.RenderAsset)
RENDER_INPUTS: Final = Codec(work.render_inputs, r.RenderInput)
REPLICAS: Final = Codec(work.replicas, r.Replica)
EVENTS: Final = Codec(work.events, o.Event)
SWITCHES: Final = Codec(
    work.switches, o.Switch, {"scope": _enum(o.SwitchScope), "state": _enum(o.SwitchState)}
)
AUDIT_EVENTS: Final = Codec(work.audit_events, o.AuditEvent)
DISCREPANCIES: Final = Codec(bills.discrepancies, Discrepancy, {"side": _enum(Side)})
RECONCILIATIONS: Final = Codec(bills.reconciliations, Reconciliation, {"grade": _enum(r.Grade)})
BUDGETS: Final = Codec(
    money.budgets, r.Budget, {"period": _enum(r.Period), "alert_percents": (json.dumps, _numbers)}
)
BUDGET_CHANGES: Final = Codec(money.budget_changes, r.BudgetChange)
WINDOWS: Final = Codec(money.budget_windows, r.Window)
HOLD_BUDGETS: Final = Codec(money.hold_budgets, r.HoldBudget)
TRANSFERS: Final = Codec(
    money.transfers, r.Transfer, {"kind": _enum(r.TransferKind), "grade": _enum(r.Grade)}
)


def totals_row(key: TotalsKey, deltas: Iterable[TotalsDelta], *between: str | int) -> list[Any]:
    """The sum of deltas as a row of totals; `between` stands between the dimensions and the sums."""
    sums = [0] * len(money.SUMS)
    buckets = [0] * len(money.BUCKETS)
    for delta in deltas:
        for index, value in enumerate(_sums(delta)):
            sums[index] += value
        for index, count in (delta.buckets or {}).items():
            buckets[index] += count
    return [*_dimensions(key), *between, *sums, *buckets]


_dimensions = attrgetter("usage_hour", "booked_hour", *money.DIMENSIONS)
_sums = attrgetter(*money.SUMS)
