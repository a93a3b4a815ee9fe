"""Three books, compared: what callers were told, what the ledger says, what the providers billed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.load import Asked, Told

Row = dict[str, Any]
SENTENCES_MAX = 40


@dataclass
class Books:
    """The rows of the ledger's side, and the providers' accepted requests."""

    jobs: dict[str, Row]
    renders: dict[str, Row]
    attempts: dict[str, Row]
    transfers: list[Row]
    provider_ids: dict[tuple[str, str], str]
    """Attempt by provider and its id."""
    pictures: dict[str, list[str]]
    """SHA-256s by render, in order."""
    entries: list[Row]


@dataclass
class Findings:
    """What does not fit. All zero when everything does."""

    lost: int = 0
    paid_twice: int = 0
    unexplained_nanos: int = 0
    broken_invariants: int = 0
    sentences: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether every zero is zero."""
        return not (self.lost or self.paid_twice or self.unexplained_nanos or self.broken_invariants)

    def say(self, sentence: str) -> None:
        """Keep the first few sentences for people."""
        if len(self.sentences) < SENTENCES_MAX:
            self.sentences.append(sentence)


def compare(told: Told, books: Books) -> Findings:
    """Every difference between the three books, counted and, up to a bound, said."""
    findings = Findings()
    for sentence in _lost(told, books):
        findings.lost += 1
        findings.say(f"lost: {sentence}")
    drawn, strangers = drawn_by_attempt(books)
    for sentence in _paid_twice(books, drawn):
        findings.paid_twice += 1
        findings.say(f"paid twice: {sentence}")
    for nanos, sentence in _unexplained(books, drawn, strangers):
        findings.unexplained_nanos += nanos
        findings.say(f"unexplained: {sentence}")
    for sentence in told.strange:
        findings.broken_invariants += 1
        findings.say(f"strange answer: {sentence}")
    return findings


def _lost(told: Told, books: Books) -> Iterator[str]:
    by_request = {(job["project"], job["request_id"]): job for job in books.jobs.values()}
    for asked in told.asked:
        row = by_request.get((asked.project, asked.request_id))
        if not asked.job_id:
            continue
        if row is None:
            yield f"{asked.request_id} was told job {asked.job_id}, which does not exist"
        elif row["id"] != asked.job_id:
            yield f"{asked.request_id} was told job {asked.job_id} and is job {row['id']}"
        elif asked.final is not None:
            yield from (f"job {asked.job_id}: {fault}" for fault in _contradictions(asked, row, books))
    for job in books.jobs.values():
        if job["final_at"] is None:
            yield f"job {job['id']} has not ended; its render is {books.renders[job['render_id']]['state']}"
    for render in books.renders.values():
        if render["finished_at"] is None:
            yield f"render {render['id']} has not ended: {render['state']}"


def _contradictions(asked: Asked, row: Row, books: Books) -> Iterator[str]:
    final = asked.final
    assert final is not None
    if final.state != row["state"]:
        yield f"told {final.state}, is {row['state']}"
    if final.state == "SUCCEEDED":
        told, kept = [asset.sha256 for asset in final.assets], books.pictures.get(row["render_id"], [])
        if told != kept:
            yield f"told pictures {told}, has {kept}"
    charged = final.receipt.charged.nanos
    if charged not in _sums(row["id"], books):
        yield f"told {charged} nanos, its transfers came to {sorted(_sums(row['id'], books))}"


def _sums(job_id: str, books: Books) -> set[int]:
    """What a job's charge was at any time: the running sums of the transfers that it pays."""
    sums, total = {0}, 0
    for transfer in books.transfers:
        if transfer["job_id"] != job_id:
            continue
        if transfer["kind"] in ("POST", "CORRECTION"):
            to_pay = transfer["debit"].startswith("project:")
            total += transfer["amount_nanos"] if to_pay else -transfer["amount_nanos"]
            sums.add(total)
    return sums


def drawn_by_attempt(books: Books) -> tuple[dict[str, list[Row]], list[Row]]:
    """The providers' requests by attempt: by id, by token, else by prompt and seed; and those of nobody."""
    drawn: dict[str, list[Row]] = defaultdict(list)
    strangers = []
    by_token = {attempt["token"]: attempt["id"] for attempt in books.attempts.values()}
    by_content: dict[tuple[str, str, object], list[str]] = defaultdict(list)
    for attempt in books.attempts.values():
        prompt = books.renders[attempt["render_id"]]["prompt"]
        by_content[attempt["provider"], prompt, attempt["seed_sent"]].append(attempt["id"])
    for entry in books.entries:
        key = (entry["provider"], entry["input"].get("prompt", ""), entry["input"].get("seed"))
        candidates = by_content.get(key, [])
        lonely = [one for one in candidates if books.attempts[one]["provider_id"] is None]
        owner = (
            books.provider_ids.get((entry["provider"], entry["id"]))
            or by_token.get(entry["token"])
            or next(iter(lonely or candidates), None)
        )
        if owner is None:
            strangers.append(entry)
        else:
            drawn[owner].append(entry)
    return drawn, strangers


def _paid_twice(books: Books, drawn: dict[str, list[Row]]) -> Iterator[str]:
    billed: Counter[str] = Counter()
    for attempt_id, entries in drawn.items():
        if len(entries) > 1 or any(entry["posts"] > 1 for entry in entries):
            yield f"attempt {attempt_id} was sent as {[entry['id'] for entry in entries]}"
        elif entries[0]["bill_nanos"] > 0:
            billed[books.attempts[attempt_id]["render_id"]] += 1
    for render_id, count in billed.items():
        if count > 1:
            yield f"render {render_id} was billed {count} times"


def _unexplained(
    books: Books, drawn: dict[str, list[Row]], strangers: list[Row]
) -> Iterator[tuple[int, str]]:
    for entry in strangers:
        if entry["bill_nanos"]:
            yield entry["bill_nanos"], f"{entry['provider']} billed {entry['id']}, of which we know nothing"
    for attempt in books.attempts.values():
        if attempt["grade"] == "UNCONFIRMED":
            continue  # marked as not known, apart in every report, and corrected when evidence comes
        entries = drawn.get(attempt["id"], [])
        billed = sum(entry["bill_nanos"] for entry in entries)
        settled = attempt["settled_nanos"] or 0
        if billed != settled:
            seen = [(entry["id"], entry["status"], entry["faults"]) for entry in entries]
            what = f"attempt {attempt['id']} ({attempt['state']}, {attempt['grade']})"
            yield abs(billed - settled), f"{what} settled at {settled}, billed {billed} as {seen}"
        if attempt["hold_open"]:
            yield attempt["hold_nanos"], f"attempt {attempt['id']} ({attempt['state']}) still holds"
