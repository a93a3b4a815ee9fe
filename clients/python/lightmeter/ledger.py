"""The books as values: receipts, transfers, summaries of costs. Every value keeps its message in `.proto`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from lightmeter import wire
from lightmeter.money import ZERO, Money
from lightmeter.v1 import drawing_pb2, job_pb2
from lightmeter.v1 import ledger_service_pb2 as ledger_pb
from lightmeter.v1 import money_pb2 as pb


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One position of a calculation: quantity times unit price."""

    description: str
    quantity: Decimal
    unit: str
    unit_price: Decimal
    amount: Money

    @classmethod
    def from_proto(cls, message: pb.PriceLine) -> PriceLine:
        """Reads a message."""
        return cls(
            message.description,
            Decimal(message.quantity or "0"),
            message.unit,
            Decimal(message.unit_price or "0"),
            Money.from_proto(message.amount),
        )


@dataclass(frozen=True, slots=True)
class AttemptReceipt:
    """What one dispatch to one route cost."""

    attempt_number: int
    provider: str
    route: str
    provider_request_id: str
    settlement: str
    evidence: str
    held: Money
    charged: Money
    corrected: Money
    list_price: Money | None
    discount: Money | None
    price_rule: str
    price_version: str
    lines: tuple[PriceLine, ...]
    dispatch_time: datetime | None
    finish_time: datetime | None
    proto: pb.AttemptReceipt = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: pb.AttemptReceipt) -> AttemptReceipt:
        """Reads a message."""
        return cls(
            attempt_number=message.attempt_number,
            provider=message.provider,
            route=message.route,
            provider_request_id=message.provider_request_id,
            settlement=wire.word(pb.Settlement, message.settlement),
            evidence=wire.word(pb.Evidence, message.evidence),
            held=Money.from_proto(message.held),
            charged=Money.from_proto(message.charged),
            corrected=Money.from_proto(message.corrected),
            list_price=wire.money(message, "list_price"),
            discount=wire.money(message, "discount"),
            price_rule=message.price.rule_id,
            price_version=message.price.version,
            lines=tuple(PriceLine.from_proto(line) for line in message.lines),
            dispatch_time=wire.time(message, "dispatch_time"),
            finish_time=wire.time(message, "finish_time"),
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a job costs and why. It may change after the job is final: `settlement` says whether that is
    expected.
    """

    job_id: str
    version: int
    settlement: str
    evidence: str
    held: Money
    charged: Money
    corrected: Money
    avoided: Money | None
    payer_job_id: str
    attempts: tuple[AttemptReceipt, ...]
    usage_time: datetime | None
    update_time: datetime | None
    proto: pb.Receipt = field(repr=False, compare=False)

    @property
    def owed(self) -> Money:
        """What the project owes for the job at this moment: charged plus corrected."""
        return self.charged + self.corrected

    @classmethod
    def from_proto(cls, message: pb.Receipt) -> Receipt:
        """Reads a message."""
        return cls(
            job_id=message.job_id,
            version=message.version,
            settlement=wire.word(pb.Settlement, message.settlement),
            evidence=wire.word(pb.Evidence, message.evidence),
            held=Money.from_proto(message.held),
            charged=Money.from_proto(message.charged),
            corrected=Money.from_proto(message.corrected),
            avoided=wire.money(message, "avoided"),
            payer_job_id=message.payer_job_id,
            attempts=tuple(AttemptReceipt.from_proto(attempt) for attempt in message.attempts),
            usage_time=wire.time(message, "usage_time"),
            update_time=wire.time(message, "update_time"),
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """How long jobs took. Absent quantiles have no samples."""

    p50: timedelta | None
    p90: timedelta | None
    p99: timedelta | None
    sample_count: int

    @classmethod
    def from_proto(cls, message: pb.Latency) -> Latency:
        """Reads a message."""
        return cls(
            wire.duration(message, "p50"),
            wire.duration(message, "p90"),
            wire.duration(message, "p99"),
            message.sample_count,
        )


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row of the ledger. It is never changed; its identity is source and ordinal."""

    source: str
    ordinal: int
    kind: str
    debit: str
    credit: str
    amount: Money
    job_id: str
    attempt_number: int
    evidence: str
    price_version: str
    usage_time: datetime | None
    book_time: datetime | None
    memo: str
    proto: ledger_pb.Transfer = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: ledger_pb.Transfer) -> Transfer:
        """Reads a message."""
        return cls(
            source=message.source,
            ordinal=message.ordinal,
            kind=wire.word(ledger_pb.TransferKind, message.kind),
            debit=message.debit,
            credit=message.credit,
            amount=Money.from_proto(message.amount),
            job_id=message.job_id,
            attempt_number=message.attempt_number,
            evidence=wire.word(pb.Evidence, message.evidence),
            price_version=message.price_version,
            usage_time=wire.time(message, "usage_time"),
            book_time=wire.time(message, "book_time"),
            memo=message.memo,
            proto=message,
        )


@dataclass(frozen=True, slots=True)
class CostFigures:
    """The sums of a row. `net` is charged plus corrected_up minus corrected_down; `avoided` is not money."""

    job_count: int
    attempt_count: int
    image_count: int
    charged: Money
    corrected_up: Money
    corrected_down: Money
    net: Money
    held: Money
    avoided: Money
    net_estimated: Money
    net_unconfirmed: Money

    @property
    def estimated_share(self) -> Decimal:
        """The part of `net` that rests on estimates or waits for a bill, 0 to 1; 0 where nothing is owed."""
        if self.net <= ZERO:
            return Decimal(0)
        return Decimal(self.net_estimated.nanos + self.net_unconfirmed.nanos) / Decimal(self.net.nanos)

    @classmethod
    def from_proto(cls, message: ledger_pb.CostFigures) -> CostFigures:
        """Reads a message."""
        return cls(
            job_count=message.job_count,
            attempt_count=message.attempt_count,
            image_count=message.image_count,
            charged=Money.from_proto(message.charged),
            corrected_up=Money.from_proto(message.corrected_up),
            corrected_down=Money.from_proto(message.corrected_down),
            net=Money.from_proto(message.net),
            held=Money.from_proto(message.held),
            avoided=Money.from_proto(message.avoided),
            net_estimated=Money.from_proto(message.net_estimated),
            net_unconfirmed=Money.from_proto(message.net_unconfirmed),
        )


@dataclass(frozen=True, slots=True)
class CostRow:
    """One row: its time, its group as dimension to value (only what was grouped by), and its sums."""

    interval_start_time: datetime | None
    group: Mapping[str, str]
    figures: CostFigures
    latency: Latency | None
    proto: ledger_pb.CostRow = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: ledger_pb.CostRow) -> CostRow:
        """Reads a message."""
        return cls(
            interval_start_time=wire.time(message, "interval_start_time"),
            group=_group(message.group),
            figures=CostFigures.from_proto(message.figures),
            latency=Latency.from_proto(message.latency) if message.HasField("latency") else None,
            proto=message,
        )


_WORDS = {
    "operation": drawing_pb2.Operation,
    "origin": job_pb2.Origin,
    "outcome": job_pb2.JobState,
    "evidence": pb.Evidence,
    "fault": job_pb2.Fault,
}


def _group(message: ledger_pb.CostGroup) -> dict[str, str]:
    group = {}
    for descriptor, value in message.ListFields():
        name = descriptor.name
        group[name.removesuffix("_value")] = wire.word(_WORDS[name], value) if name in _WORDS else value
    return group


@dataclass(frozen=True, slots=True)
class CostReport:
    """A summary of costs: all its rows, their sum, and the time up to which the books were read."""

    rows: tuple[CostRow, ...]
    total: CostFigures
    as_of_time: datetime | None
    proto: ledger_pb.SummarizeCostsResponse = field(repr=False, compare=False)

    @classmethod
    def from_proto(cls, message: ledger_pb.SummarizeCostsResponse) -> CostReport:
        """Reads a message into which the rows of all pages were gathered."""
        return cls(
            rows=tuple(CostRow.from_proto(row) for row in message.rows),
            total=CostFigures.from_proto(message.total),
            as_of_time=wire.time(message, "as_of_time"),
            proto=message,
        )
