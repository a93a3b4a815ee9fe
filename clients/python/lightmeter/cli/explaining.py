"""A job's story, put together from the job, its receipt and its rows of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lightmeter.catalog import seconds_text
from lightmeter.cli import words
from lightmeter.job import Job
from lightmeter.ledger import AttemptReceipt, Receipt, Transfer


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the story. Events of the same time keep the order in which they were found."""

    time: datetime | None
    name: str
    text: str


def story(job: Job, receipt: Receipt, transfers: Sequence[Transfer]) -> str:
    """One line per event, by time.

    The ledger lists rows a minute after they were booked; until then what the receipt says stands for them.
    """
    events = [*_accepted(job), *_money(receipt, transfers), *_sent(receipt), *_unusual(job), *_ended(job)]
    end = max((event.time for event in events if event.time), default=None)
    events.sort(key=lambda event: (event.time is None, event.time or end))
    lines = [words.columns([(words.clock(event.time), event.name, event.text) for event in events])]
    if any(not _rows_of(attempt, transfers) for attempt in receipt.attempts):
        lines.append("(the ledger's rows are listed a minute after they are booked)")
    return "\n".join(lines)


def _accepted(job: Job) -> Iterator[Event]:
    yield Event(
        job.create_time,
        "accepted",
        f"{job.operation.lower()} {job.model} for project {job.project}, request_id {job.request_id}",
    )
    if job.origin == "CACHE":
        age = f", drawn {seconds_text(job.age)} before" if job.age is not None else ""
        yield Event(job.create_time, "cached", f"found a finished result{age}")
    if job.origin == "SHARED":
        yield Event(job.create_time, "shared", "joined a render that was running")


def _rows_of(attempt: AttemptReceipt, transfers: Sequence[Transfer]) -> list[Transfer]:
    return [row for row in transfers if row.attempt_number == attempt.attempt_number]


def _money(receipt: Receipt, transfers: Sequence[Transfer]) -> Iterator[Event]:
    routes = {a.attempt_number: f"{a.provider}/{a.route}" for a in receipt.attempts}
    for row in transfers:
        name, text = _transfer(row)
        where = f" for attempt {row.attempt_number} at {routes.get(row.attempt_number, row.credit)}"
        memo = f" · {row.memo}" if row.memo else ""
        yield Event(row.book_time, name, text + (where if name == "held" else "") + memo)
    for attempt in receipt.attempts:
        if _rows_of(attempt, transfers):
            continue
        if attempt.held:
            yield Event(receipt.usage_time, "held", f"{attempt.held} for attempt {attempt.attempt_number}")
        elif attempt.settlement == "VOIDED":
            yield Event(attempt.finish_time, "voided", f"attempt {attempt.attempt_number} cost nothing")
        else:
            yield Event(attempt.finish_time, "posted", f"{attempt.charged} {words.lower(attempt.evidence)}")
        if attempt.corrected:
            yield Event(receipt.update_time, "corrected", words.signed(attempt.corrected))


def _transfer(row: Transfer) -> tuple[str, str]:
    evidence = words.lower(row.evidence)
    if row.kind == "HOLD":
        return "held", str(row.amount)
    if row.kind == "VOID":
        return "voided", f"{row.amount} given back"
    if row.kind == "CORRECTION":
        amount = row.amount if row.debit.startswith("project:") else -row.amount
        return "corrected", f"{words.signed(amount)} {evidence}".rstrip()
    name = {"POST": "posted", "ACCRUAL": "accrued"}.get(row.kind, row.kind.lower())
    return name, f"{row.amount} {evidence}".rstrip()


def _sent(receipt: Receipt) -> Iterator[Event]:
    for attempt in receipt.attempts:
        if attempt.dispatch_time is not None:
            known = f" as {attempt.provider_request_id}" if attempt.provider_request_id else ""
            yield Event(attempt.dispatch_time, "sent", f"to {attempt.provider}/{attempt.route}{known}")


def _unusual(job: Job) -> Iterator[Event]:
    """What the receipt's times don't tell: taken over, found, given up, decided by hand."""
    attempts = {event.attempt_number for event in job.events if event.attempt_number}
    for event in job.events:
        which = f"attempt {event.attempt_number}: " if event.attempt_number and len(attempts) > 1 else ""
        yield Event(event.time, words.lower(event.kind), f"{which}{event.cause}")


def _ended(job: Job) -> Iterator[Event]:
    if not job.is_final:
        return
    yield Event(job.finish_time, job.state.lower(), words.ending(job).partition(" ")[2] or words.price(job))
    if job.failure is not None:
        yield Event(job.finish_time, "because", f"{job.failure.reason}: {job.failure.message}")
    if job.receipt.avoided:
        payer = f", paid by job {job.receipt.payer_job_id}" if job.receipt.payer_job_id else ""
        yield Event(job.finish_time, "avoided", f"{job.receipt.avoided}{payer}")
