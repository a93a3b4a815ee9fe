"""The account at the end: what callers were told, what the rows say, what the providers drew and bill. The three must agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from service.domain.records import Attempt, Grade, JobState, RenderState
from tests.simulation.callers import Callers
from tests.simulation.cloud import Asked, Cloud, facts
from tests.simulation.tables import KeptTables
from tests.support.books import faults

_MARKED = (Grade.UNCONFIRMED, Grade.ESTIMATE)
"""Amounts that say of themselves that they are not what the provider billed."""


@dataclass(slots=True)
class Account:
    """What is wrong, in numbers and in sentences: (sentence, key of a row)."""

    lost: int = 0
    paid_twice: int = 0
    unexplained_nanos: int = 0
    unconfirmed_nanos: int = 0
    findings: list[tuple[str, str]] = field(default_factory=list)


def account(
    tables: KeptTables,
    clouds: Mapping[str, Cloud],
    callers: Callers,
    stored: Mapping[str, bytes],
    misled: set[str],
) -> Account:
    """Compare the three books. What operators decided wrongly about the attempts in `misled` is on them."""
    found = Account()
    for sentence, key in (*_unfinished(tables), *_told(tables, callers), *_pictures(tables, stored)):
        found.lost += 1
        found.findings.append((sentence, key))
    _bills(tables, clouds, misled, found)
    _twice(tables, clouds, misled, found)
    found.findings += [(sentence, "") for sentence in faults(tables)]
    return found


def _unfinished(tables: KeptTables) -> Iterator[tuple[str, str]]:
    for job in tables.jobs.values():
        if not job.is_final:
            render = tables.renders[job.render_id]
            yield f"job {job.id} never ended; its render is {render.state.value}", job.render_id
        elif job.state is JobState.FAILED and job.failure is None:
            yield f"job {job.id} failed without a reason", job.render_id
    for attempt in tables.attempts.values():
        if attempt.hold_open:
            yield f"the hold of {attempt.id} is open ({attempt.state.value})", attempt.render_id


def _told(tables: KeptTables, callers: Callers) -> Iterator[tuple[str, str]]:
    yield from callers.wrong
    by_request = {(job.project, job.request_id): job.id for job in tables.jobs.values()}
    for told in callers.told:
        job = tables.jobs.get(told.job_id)
        if job is None:
            yield "a job that a caller was told of does not exist", told.job_id
            continue
        if told.request_id is not None and by_request.get((told.project, told.request_id)) != told.job_id:
            yield "a request_id stands for another job than its caller was told", told.job_id
        if told.final and (told.state, told.version) != (job.state.value, job.version):
            yield f"a caller was told {told.state} and the row says {job.state.value}", told.job_id


def _pictures(tables: KeptTables, stored: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for render in tables.renders.values():
        if render.state is not RenderState.SUCCEEDED:
            continue
        pictures = tables.kept.assets_of(render.id)
        if not pictures:
            yield f"render {render.id} succeeded without pictures", render.id
        for _, asset in pictures:
            if asset.key not in stored:
                yield f"a promised picture of {render.id} is not stored", render.id


def _bills(tables: KeptTables, clouds: Mapping[str, Cloud], misled: set[str], found: Account) -> None:
    by_token = {attempt.token: attempt for attempt in tables.attempts.values()}
    asked_of: dict[str, list[Asked]] = defaultdict(list)
    for cloud in clouds.values():
        for asked in cloud.requests.values():
            attempt = by_token.get(asked.token)
            if attempt is None:
                found.unexplained_nanos += asked.bill_nanos
                found.findings.append((f"{facts(asked)} belongs to no attempt", ""))
            else:
                asked_of[attempt.id].append(asked)
    for attempt in tables.attempts.values():
        if attempt.id not in misled:
            _bill(attempt, asked_of[attempt.id], found)


def _bill(attempt: Attempt, asked: list[Asked], found: Account) -> None:
    billed = sum(one.bill_nanos for one in asked)
    if attempt.grade in _MARKED and (asked or attempt.grade is Grade.UNCONFIRMED):
        found.unconfirmed_nanos += abs(attempt.total_nanos - billed)
        return
    if attempt.total_nanos != billed:
        found.unexplained_nanos += abs(attempt.total_nanos - billed)
        words = (
            f"charged {attempt.total_nanos} ({attempt.grade.value}, {attempt.state.value}), billed {billed}"
        )
        found.findings.append(
            (f"{words}: {'; '.join(map(facts, asked)) or 'never accepted'}", attempt.render_id)
        )


def _twice(tables: KeptTables, clouds: Mapping[str, Cloud], misled: set[str], found: Account) -> None:
    by_token = {attempt.token: attempt for attempt in tables.attempts.values()}
    paid: dict[str, list[Asked]] = defaultdict(list)
    for cloud in clouds.values():
        for asked in cloud.requests.values():
            attempt = by_token.get(asked.token)
            if attempt is not None and asked.bill_nanos > 0:
                paid[attempt.render_id].append(asked)
    theirs = {tables.attempts[key].render_id for key in misled}
    for render_id, several in paid.items():
        if len(several) > 1 and render_id not in theirs:
            found.paid_twice += len(several) - 1
            found.findings.append((f"paid {len(several)} times: {'; '.join(map(facts, several))}", render_id))


def overlooked(
    tables: KeptTables, clouds: Mapping[str, Cloud], lists_work: bool, since: float
) -> Iterator[tuple[str, str]]:
    """Charges that stand unconfirmed although the provider would have told, for hours, what they truly are."""
    for cloud in clouds.values():
        by_token = {asked.token: asked for asked in cloud.requests.values()}
        for attempt in tables.attempts.values():
            asked = by_token.get(attempt.token)
            if asked is None or attempt.grade is not Grade.UNCONFIRMED or asked.outcome == "cancelled":
                continue
            told = asked.ends_at < since and asked.forgotten[1] < since and asked.outcome != "refused"
            known = attempt.provider_id is not None or (lists_work and asked.listed_at < since)
            if told and known and asked.outcome == "ok":
                yield f"nobody asked again after {attempt.id}: {facts(asked)}", attempt.render_id
