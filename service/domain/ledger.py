"""The ledger's rules: how a hold is taken, posted, voided and corrected, and what each does to windows and totals.

Every function changes the `World` of the running batch and nothing else. Transfers of one attempt are numbered: 0 HOLD,
1 POST or VOID, 2 and on CORRECTION; `total_after_nanos` is the running sum and the attempt's settled amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from service.domain import budget as rules
from service.domain.limits import MICROS_PER_SECOND
from service.domain.price import PriceSnapshot
from service.domain.records import (
    Attempt,
    AttemptState,
    Grade,
    HoldBudget,
    Job,
    Origin,
    Transfer,
    TransferKind,
)
from service.domain.routing import PlannedRoute
from service.domain.totals import TotalsDelta, TotalsKey
from service.domain.world import World

_HOUR = 3_600 * MICROS_PER_SECOND

Labels = tuple[tuple[str, str], ...]


class WindowMissing(Exception):
    """A command of the same batch changed what this one needs: decide it again in the next batch."""


def hour(at: int) -> int:
    """The full UTC hour that holds `at`."""
    return at - at % _HOUR


def new_attempt(
    world: World, attempt_id: str, token: str, render_id: str, number: int, payer: Job, route: PlannedRoute
) -> Attempt:
    """An attempt that is about to hold its route's ceiling for the job that pays."""
    return Attempt(
        id=attempt_id,
        render_id=render_id,
        number=number,
        payer_job=payer.id,
        project=payer.project,
        provider=route.provider,
        route=route.route,
        endpoint=route.endpoint,
        state=AttemptState.HELD,
        version=1,
        token=token,
        price=route.price_json,
        hold_nanos=route.ceiling_nanos,
        hold_open=True,
        ordinal=0,
        settled_nanos=None,
        grade=Grade.NONE,
        units="",
        usage_at=world.now,
    )


def take_hold(
    world: World, attempt: Attempt, labels: Labels, freed: Mapping[tuple[str, int], int] | None = None
) -> Attempt:
    """Set the ceiling of an attempt aside in every budget that covers it, or raise BudgetExceeded and change nothing.

    `freed` is what this transaction gave back to a window before.
    """
    windows = []
    for one in rules.covering(world.budgets.values(), attempt.project, labels):
        key = (one.id, rules.window_start(one.period, world.now))
        window = world.windows.get(key)
        if window is None:
            raise WindowMissing
        given_back = (freed or {}).get(key, 0)
        rules.check_room(one, rules.hold(window, given_back), attempt.hold_nanos, given_back, world.now)
        windows.append((key, window))
    for key, window in windows:
        world.windows.put(key, rules.hold(window, attempt.hold_nanos))
        world.put_hold_budget(HoldBudget(attempt.id, key[0], key[1], attempt.hold_nanos))
    held = replace(attempt, hold_open=True, ordinal=0)
    world.put_attempt(held)
    _book(world, held, TransferKind.HOLD, attempt.hold_nanos, 0, Grade.NONE)
    return held


def void(world: World, attempt: Attempt, memo: str = "") -> dict[tuple[str, int], int]:
    """Give the hold back unspent. Answers what each window got back; nothing when the hold is closed already."""
    freed: dict[tuple[str, int], int] = {}
    if not attempt.hold_open:
        return freed
    for row in world.holds_of(attempt.id):
        key = (row.budget_id, row.window_start)
        window = world.windows.get(key)
        if window is None:
            raise WindowMissing
        world.windows.put(key, rules.release(window, row.nanos))
        freed[key] = row.nanos
    closed = replace(
        attempt, hold_open=False, ordinal=1, settled_nanos=0, grade=Grade.NONE, version=attempt.version + 1
    )
    world.put_attempt(closed)
    _book(world, closed, TransferKind.VOID, attempt.hold_nanos, 0, Grade.NONE, memo=memo)
    _count(world, closed, TotalsDelta(attempts=1), Grade.NONE)
    return freed


def settle(
    world: World, attempt: Attempt, amount_nanos: int, grade: Grade, *, units: str = "", memo: str = ""
) -> Attempt:
    """Charge an attempt: post its hold, or correct what was posted. Never clamped.

    A correction to the amount that stands, or by weaker evidence, writes nothing; only evidence that confirms an
    unconfirmed amount is booked even when the amount stays.
    """
    return _post(world, attempt, amount_nanos, grade, units, memo) if attempt.hold_open else _correct(
        world, attempt, amount_nanos, grade, units, memo
    )  # fmt: skip


def moves(attempt: Attempt, amount_nanos: int, grade: Grade) -> bool:
    """Whether this evidence of what an attempt costs writes anything."""
    if attempt.hold_open:
        return True
    confirms = attempt.grade is Grade.UNCONFIRMED and grade.rank > attempt.grade.rank
    return grade.rank >= attempt.grade.rank and (amount_nanos != attempt.total_nanos or confirms)


def _post(world: World, attempt: Attempt, amount_nanos: int, grade: Grade, units: str, memo: str) -> Attempt:
    for row in world.holds_of(attempt.id):
        key = (row.budget_id, row.window_start)
        window = world.windows.get(key)
        if window is None:
            raise WindowMissing
        unconfirmed = grade is Grade.UNCONFIRMED
        world.windows.put(key, rules.post(window, row.nanos, amount_nanos, unconfirmed=unconfirmed))
    posted = replace(
        attempt, hold_open=False, ordinal=1, settled_nanos=amount_nanos, grade=grade, units=units,
        unbilled=attempt.unbilled and amount_nanos == 0, posted_grade=grade, version=attempt.version + 1,
    )  # fmt: skip
    world.put_attempt(posted)
    _book(world, posted, TransferKind.POST, amount_nanos, amount_nanos, grade, memo=memo)
    _count(world, posted, TotalsDelta(charged_nanos=amount_nanos, attempts=1), grade)
    return posted


def _correct(
    world: World, attempt: Attempt, amount_nanos: int, grade: Grade, units: str, memo: str
) -> Attempt:
    before = attempt.total_nanos
    if not moves(attempt, amount_nanos, grade):
        return attempt
    # The release before does not write it; with the first correction it is the grade that stands.
    unsaid = attempt.posted_grade is Grade.NONE and attempt.ordinal == 1
    posted_grade = attempt.grade if unsaid else attempt.posted_grade
    for row in world.holds_of(attempt.id):
        key = (row.budget_id, row.window_start)
        window = world.windows.get(key)
        if window is None:
            raise WindowMissing
        moved = rules.correct(
            window, row.nanos, before, amount_nanos,
            was_unconfirmed=attempt.grade is Grade.UNCONFIRMED, is_unconfirmed=grade is Grade.UNCONFIRMED,
        )  # fmt: skip
        world.windows.put(key, moved)
    corrected = replace(
        attempt, ordinal=attempt.ordinal + 1, settled_nanos=amount_nanos, grade=grade, units=units,
        unbilled=attempt.unbilled and amount_nanos == 0, posted_grade=posted_grade, version=attempt.version + 1,
    )  # fmt: skip
    world.put_attempt(corrected)
    difference = amount_nanos - before
    _book(
        world, corrected, TransferKind.CORRECTION, abs(difference), amount_nanos, grade,
        memo=memo, refund=difference < 0, target=attempt.ordinal,
    )  # fmt: skip
    delta = TotalsDelta(corrected_up_nanos=max(0, difference), corrected_down_nanos=max(0, -difference))
    _count(world, corrected, delta, posted_grade)
    return corrected


def _book(
    world: World,
    attempt: Attempt,
    kind: TransferKind,
    amount_nanos: int,
    total_after_nanos: int,
    grade: Grade,
    *,
    memo: str = "",
    refund: bool = False,
    target: int | None = None,
) -> None:
    render = world.renders.get(attempt.render_id)
    assert render is not None, "an attempt is settled with its render at hand"
    payer, payee = f"project:{attempt.project}", f"provider:{attempt.provider}"
    world.transfers.add(
        Transfer(
            source=attempt.id,
            ordinal=attempt.ordinal,
            kind=kind,
            debit=payee if refund else payer,
            credit=payer if refund else payee,
            amount_nanos=amount_nanos,
            total_after_nanos=total_after_nanos,
            grade=grade,
            evidence_ref=attempt.provider_id or "",
            units=attempt.units,
            price_version=price_version(attempt.price),
            list_price_nanos=amount_nanos,
            discount_nanos=0,
            project=attempt.project,
            model=render.model,
            provider=attempt.provider,
            route=attempt.route,
            operation=render.operation,
            job_id=attempt.payer_job,
            render_id=attempt.render_id,
            attempt_number=attempt.number,
            usage_at=attempt.usage_at,
            booked_at=world.now,
            target_ordinal=target,
            memo=memo,
        )
    )


def price_version(price: str) -> str:
    """How a transfer names the price: `rule@version`."""
    snapshot = PriceSnapshot.from_json(price)
    return f"{snapshot.rule_id}@{snapshot.version}"


def _count(world: World, attempt: Attempt, delta: TotalsDelta, grade: Grade) -> None:
    render = world.renders.get(attempt.render_id)
    assert render is not None, "an attempt is counted with its render at hand"
    outcome = attempt.state.value if attempt.is_ended else AttemptState.FAILED.value
    key = TotalsKey(
        usage_hour=hour(attempt.usage_at),
        booked_hour=hour(world.now),
        project=attempt.project,
        model=render.model,
        provider=attempt.provider,
        route=attempt.route,
        operation=render.operation,
        origin=Origin.PROVIDER.value,
        outcome="FAILED" if outcome == "REJECTED" else outcome,
        evidence=grade.value,
        fault=attempt.failure.fault.value if attempt.failure else "NONE",
    )
    payer = world.jobs.get(attempt.payer_job)
    add_totals(world, key, delta, payer.labels if payer else ())


def count_job(world: World, job: Job, winning: Attempt | None, delta: TotalsDelta) -> None:
    """Add a job that became final to the totals of its hour."""
    key = TotalsKey(
        usage_hour=hour(job.accepted_at),
        booked_hour=hour(world.now),
        project=job.project,
        model=job.model,
        provider=winning.provider if winning else "",
        route=winning.route if winning else "",
        operation=job.operation,
        origin=job.origin.value,
        outcome=job.state.value,
        evidence=winning.grade.value if winning and job.origin is Origin.PROVIDER else Grade.NONE.value,
        fault=job.failure.fault.value if job.failure else "NONE",
    )
    add_totals(world, key, delta, job.labels)
    world.ended.add((job, winning))


def add_totals(world: World, key: TotalsKey, delta: TotalsDelta, labels: Labels) -> None:
    """Add to the totals, and to those of the project's reporting labels."""
    world.totals.add((key, delta))
    for label_key in world.reporting_labels.get(key.project, ()):
        value = next((value for name, value in labels if name == label_key), "")
        world.label_totals.add((key, label_key, value, delta))
