"""What finance works with, as values: budgets, statements, exports, reconciliations. Each value keeps its message in `.proto`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lightmeter import wire
from lightmeter.money import Money
from lightmeter.v1 import drawing_pb2, money_pb2
from lightmeter.v1 import ledger_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit for a project, or for one value of a label in it, with its current window."""

    name: str
    project: str
    label_key: str
    label_value: str
    window: str
    enforcement: str
    limit: Money
    alert_percents: tuple[int, ...]
    spent: Money
    held: Money
    window_start_time: datetime | None
    window_end_time: datetime | None
    etag: str
    updater: str
    proto: pb.Budget = field(repr=False, compare=False)

    @property
    def left(self) -> Money:
        """What a new request may still hold; below zero where a provider billed more than was held."""
        return self.limit - self.spent - self.held

    @classmethod
    def from_proto(cls, message: pb.Budget) -> Budget:
        """Reads a message."""
        return cls(
            name=message.name,
            project=message.project,
            label_key=message.label_key,
            label_value=message.label_value,
            window=wire.word(pb.BudgetWindow, message.window),
            enforcement=wire.word(pb.BudgetEnforcement, message.enforcement),
            limit=Money.from_proto(message.limit),
            alert_percents=tuple(message.alert_percents),
            spent=Money.from_proto(message.spent),
            held=Money.from_proto(message.held),
            window_start_time=wire.time(message, "window_start_time"),
            window_end_time=wire.time(message, "window_end_time"),
            etag=message.etag,
            updater=message.updater,
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One line of a statement; `provider` is `r2` for storage."""

    provider: str
    model: str
    operation: str
    job_count: int
    image_count: int
    charged: Money
    corrected_this_month: Money
    corrected_earlier_months: Money
    total: Money

    @classmethod
    def from_proto(cls, message: pb.StatementRow) -> StatementRow:
        """Reads a message."""
        return cls(
            provider=message.provider,
            model=message.model,
            operation=wire.word(drawing_pb2.Operation, message.operation),
            job_count=message.job_count,
            image_count=message.image_count,
            charged=Money.from_proto(message.charged),
            corrected_this_month=Money.from_proto(message.corrected_this_month),
            corrected_earlier_months=Money.from_proto(message.corrected_earlier_months),
            total=Money.from_proto(message.total),
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """The account of one project for one UTC month. A closed one never changes, and `sha256` proves it."""

    project: str
    month: str
    closed: bool
    opening_held: Money
    charged: Money
    corrected_this_month: Money
    corrected_earlier_months: Money
    storage: Money
    total: Money
    closing_held: Money
    rows: tuple[StatementRow, ...]
    sha256: str
    proto: pb.GetStatementResponse = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.GetStatementResponse) -> Statement:
        """Reads a message."""
        return cls(
            project=message.project,
            month=message.month,
            closed=message.closed,
            opening_held=Money.from_proto(message.opening_held),
            charged=Money.from_proto(message.charged),
            corrected_this_month=Money.from_proto(message.corrected_this_month),
            corrected_earlier_months=Money.from_proto(message.corrected_earlier_months),
            storage=Money.from_proto(message.storage),
            total=Money.from_proto(message.total),
            closing_held=Money.from_proto(message.closing_held),
            rows=tuple(StatementRow.from_proto(row) for row in message.rows),
            sha256=message.sha256,
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class FocusFile:
    """What a finished export wrote. `sha256` is of the CSV, and was compared with what arrived."""

    focus_version: str
    row_count: int
    billed_cost: Money
    sha256: str
    as_of_time: datetime | None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One comparison of the ledger with a provider's bill. `drift` is what is still unexplained."""

    reconciliation_id: str
    provider: str
    range_start_time: datetime | None
    range_end_time: datetime | None
    evidence: str
    complete: bool
    ledger_amount: Money
    billed_amount: Money
    corrected: Money
    drift: Money
    matched_count: int
    unmatched_ledger_count: int
    unmatched_provider_count: int
    start_time: datetime | None
    finish_time: datetime | None
    proto: pb.Reconciliation = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.Reconciliation) -> Reconciliation:
        """Reads a message."""
        return cls(
            reconciliation_id=message.reconciliation_id,
            provider=message.provider,
            range_start_time=wire.time(message.range, "start_time"),
            range_end_time=wire.time(message.range, "end_time"),
            evidence=wire.word(money_pb2.Evidence, message.evidence),
            complete=message.complete,
            ledger_amount=Money.from_proto(message.ledger_amount),
            billed_amount=Money.from_proto(message.billed_amount),
            corrected=Money.from_proto(message.corrected),
            drift=Money.from_proto(message.drift),
            matched_count=message.matched_count,
            unmatched_ledger_count=message.unmatched_ledger_count,
            unmatched_provider_count=message.unmatched_provider_count,
            start_time=wire.time(message, "start_time"),
            finish_time=wire.time(message, "finish_time"),
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One charge that a provider's bill and the ledger disagree about. `side` says who knows of it."""

    discrepancy_id: str
    provider: str
    side: str
    endpoint: str
    bill_id: str
    provider_request_id: str
    job_id: str
    attempt_number: int
    ledger_amount: Money | None
    billed_amount: Money | None
    usage_time: datetime | None
    create_time: datetime | None
    resolve_time: datetime | None
    resolution: str
    proto: pb.Discrepancy = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.Discrepancy) -> Discrepancy:
        """Reads a message."""
        return cls(
            discrepancy_id=message.discrepancy_id,
            provider=message.provider,
            side=wire.word(pb.DiscrepancySide, message.side),
            endpoint=message.endpoint,
            bill_id=message.bill_id,
            provider_request_id=message.provider_request_id,
            job_id=message.job_id,
            attempt_number=message.attempt_number,
            ledger_amount=wire.money(message, "ledger_amount"),
            billed_amount=wire.money(message, "billed_amount"),
            usage_time=wire.time(message, "usage_time"),
            create_time=wire.time(message, "create_time"),
            resolve_time=wire.time(message, "resolve_time"),
            resolution=message.resolution,
            proto=message,
        )
