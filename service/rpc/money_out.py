"""Money, receipts and price lines for the wire.

A receipt is made from the attempts that a job pays for. An attempt knows what it costs in the end; how much of that was
posted at first and how much was corrected later is known from its transfers, which are read only where there was a
correction (`posted` below). While that is unknown all of it stands under `charged`: charged plus corrected is always right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from lightmeter.v1 import money_pb2 as pb

from service.domain.limits import MICROS_PER_SECOND
from service.domain.money import CURRENCY
from service.domain.price import PriceLine, PriceSnapshot, UsageEvidence
from service.domain.records import Attempt, Grade, Job, Origin, Transfer, TransferKind
from service.domain.view import JobView
from service.rpc import enums
from service.rpc.instants import put_time

_CONFIRMED: Final = frozenset({Grade.BILLING_EVENT, Grade.INVOICE})
_BY_RULE: Final = frozenset({Grade.ESTIMATE, Grade.BILLED_UNITS})
# In which order one attempt decides for the whole receipt.
_DECIDING: Final = (
    pb.SETTLEMENT_OPEN,
    pb.SETTLEMENT_UNCONFIRMED,
    pb.SETTLEMENT_POSTED,
    pb.SETTLEMENT_CONFIRMED,
)
_RESULTS_KEPT: Final = 1_024
_ZERO: Final = pb.Money(currency_code=CURRENCY)
_NOTHING_CHARGED: Final = pb.AttemptReceipt(held=_ZERO, charged=_ZERO, corrected=_ZERO)
_NOTHING_PAID: Final = pb.Receipt(settlement=pb.SETTLEMENT_VOIDED, held=_ZERO, charged=_ZERO, corrected=_ZERO)


@dataclass(frozen=True, slots=True)
class Posted:
    """What the transfers of one attempt tell: the amount of its post (0 for a void), and when it last changed."""

    nanos: int
    booked_at: int


def money(nanos: int) -> pb.Money:
    """Nano-USD."""
    return pb.Money(currency_code=CURRENCY, amount_nanos=nanos)


def own_attempts(view: JobView) -> list[Attempt]:
    """The attempts that the job pays for."""
    return [one for one in view.attempts if one.payer_job == view.job.id]


def is_corrected(attempt: Attempt) -> bool:
    """Whether something was booked after the post or void."""
    return attempt.ordinal > 1


def posted_by_source(transfers: Sequence[Transfer]) -> Mapping[str, Posted]:
    """What the transfers tell of each attempt whose post or void is among them."""
    posted: dict[str, Posted] = {}
    for one in sorted(transfers, key=lambda row: (row.source, row.ordinal)):
        if one.kind is TransferKind.POST:
            posted[one.source] = Posted(one.amount_nanos, one.booked_at)
        elif one.kind is TransferKind.VOID:
            posted[one.source] = Posted(0, one.booked_at)
        elif one.kind is TransferKind.CORRECTION and one.source in posted:
            posted[one.source] = Posted(posted[one.source].nanos, one.booked_at)
    return posted


def settlement(attempt: Attempt) -> pb.Settlement:
    """How far the accounts of an attempt have come."""
    if attempt.hold_open:
        return pb.SETTLEMENT_OPEN
    if attempt.grade is Grade.NONE:
        return pb.SETTLEMENT_VOIDED
    if attempt.grade is Grade.UNCONFIRMED:
        return pb.SETTLEMENT_UNCONFIRMED
    return pb.SETTLEMENT_CONFIRMED if attempt.grade in _CONFIRMED else pb.SETTLEMENT_POSTED


def receipt(view: JobView, posted: Mapping[str, Posted]) -> pb.Receipt:
    """The job's receipt as it is now. `posted` is by attempt and needs only those with corrections."""
    message = pb.Receipt()
    put_receipt(message, view, posted)
    return message


def put_receipt(message: pb.Receipt, view: JobView, posted: Mapping[str, Posted]) -> None:
    """Write the receipt, as `receipt` makes it, into a field."""
    job = view.job
    own = own_attempts(view)
    message.CopyFrom(_NOTHING_PAID)
    message.job_id = job.id
    # Every change of an attempt, a further attempt, and the end of the job each make it greater.
    message.version = 1 + len(view.attempts) + job.is_final
    if own:
        _put_attempts(message, own, posted)
    avoided = 0 if job.origin is Origin.PROVIDER else job.avoided_nanos
    if avoided is not None:
        message.avoided.currency_code = CURRENCY
        message.avoided.amount_nanos = avoided
    winning = view.winning
    if winning is not None and winning.project == job.project:
        message.payer_job_id = winning.payer_job
    put_time(message.usage_time, own[0].usage_at if own else job.accepted_at)
    put_time(message.update_time, _changed_at(job, own, posted))


def _put_attempts(message: pb.Receipt, own: Sequence[Attempt], posted: Mapping[str, Posted]) -> None:
    message.version += sum(one.version for one in own)
    held = charged = corrected = 0
    for attempt in own:
        line = message.attempts.add()
        _put_attempt(line, attempt, posted.get(attempt.id))
        held += line.held.amount_nanos
        charged += line.charged.amount_nanos
        corrected += line.corrected.amount_nanos
    message.held.amount_nanos = held
    message.charged.amount_nanos = charged
    message.corrected.amount_nanos = corrected
    reached = {line.settlement for line in message.attempts}
    message.settlement = next((one for one in _DECIDING if one in reached), pb.SETTLEMENT_VOIDED)
    grades = [one.grade for one in own if not one.hold_open and one.grade is not Grade.NONE]
    if grades:
        message.evidence = enums.EVIDENCES[min(grades, key=lambda grade: grade.rank)]


def _changed_at(job: Job, own: Sequence[Attempt], posted: Mapping[str, Posted]) -> int:
    times = [job.accepted_at, job.final_at or 0]
    for one in own:
        times += [one.usage_at, one.dispatched_at or 0, one.accepted_at or 0, one.ended_at or 0]
        if one.id in posted:
            times.append(posted[one.id].booked_at)
    return max(times)


def _put_attempt(message: pb.AttemptReceipt, attempt: Attempt, posted: Posted | None) -> None:
    total = 0 if attempt.hold_open else attempt.total_nanos
    charged = posted.nanos if posted is not None and is_corrected(attempt) else total
    message.CopyFrom(_NOTHING_CHARGED)
    message.attempt_number = attempt.number
    message.provider = attempt.provider
    message.route = attempt.route
    message.provider_request_id = attempt.provider_id or ""
    message.settlement = settlement(attempt)
    message.evidence = enums.EVIDENCES[attempt.grade]
    message.held.amount_nanos = attempt.hold_nanos if attempt.hold_open else 0
    message.charged.amount_nanos = charged
    message.corrected.amount_nanos = total - charged
    message.price.CopyFrom(_frozen(attempt.price))
    if attempt.dispatched_at is not None:
        put_time(message.dispatch_time, attempt.dispatched_at)
    if attempt.ended_at is not None:
        put_time(message.finish_time, attempt.ended_at)
    if not attempt.hold_open and attempt.grade in _BY_RULE:
        # No discounts are agreed on yet, so what the rule says is what was charged.
        message.list_price.CopyFrom(money(total))
        message.lines.extend(price_lines(_calculation(attempt.price, attempt.result or "{}", total)))


@lru_cache(maxsize=_RESULTS_KEPT)
def _frozen(price: str) -> pb.PriceSnapshot:
    """The message of a snapshot. It is shared: copy it, never write to it."""
    return price_snapshot(PriceSnapshot.from_json(price))


@lru_cache(maxsize=_RESULTS_KEPT)
def _calculation(price: str, result: str, total_nanos: int) -> tuple[PriceLine, ...]:
    """How the charge follows from the recorded evidence; nothing where the evidence does not come to it."""
    told: dict[str, Any] = json.loads(result)
    units = told.get("billable_units")
    evidence = UsageEvidence(
        billable_units=None if units is None else Decimal(units),
        metrics={name: Decimal(value) for name, value in told.get("metrics", {}).items()},
        images_count=len(told.get("outputs", ())) or None,
    )
    charge = PriceSnapshot.from_json(price).settle(evidence)
    return charge.lines if charge is not None and charge.nanos == total_nanos else ()


def price_lines(lines: Sequence[PriceLine]) -> list[pb.PriceLine]:
    """Positions of a calculation."""
    return [
        pb.PriceLine(
            description=one.description,
            quantity=one.quantity,
            unit=one.unit,
            unit_price=one.unit_price,
            amount=money(one.amount_nanos),
        )
        for one in lines
    ]


def price_snapshot(snapshot: PriceSnapshot) -> pb.PriceSnapshot:
    """The version of a price rule; without a time where there is none, because no price is known."""
    message = pb.PriceSnapshot(
        rule_id=snapshot.rule_id, version=snapshot.version, source_uri=snapshot.source_uri
    )
    if snapshot.effective_on:
        effective = datetime.fromisoformat(snapshot.effective_on).replace(tzinfo=UTC)
        put_time(message.effective_time, int(effective.timestamp()) * MICROS_PER_SECOND)
    return message
