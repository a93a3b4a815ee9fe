"""What must hold of the committed rows after every command: the sentences of the ledger, each as a check."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from service.domain.records import Attempt, Grade, Transfer, TransferKind
from service.domain.render import RENDER_FINAL
from tests.support.memory_store import Tables

_MOVES = (TransferKind.POST, TransferKind.CORRECTION)


def faults(tables: Tables) -> list[str]:
    """One sentence per difference; empty when the books are right."""
    return [
        *_sources(tables), *_accounts(tables), *_windows(tables), *_totals(tables), *_ends(tables), *_renders(tables),
    ]  # fmt: skip


def by_source(tables: Tables) -> dict[str, list[Transfer]]:
    """The transfers of each attempt in the order of their booking."""
    found: dict[str, list[Transfer]] = defaultdict(list)
    for transfer in tables.transfers:
        if transfer.kind is TransferKind.ACCRUAL:
            continue
        found[transfer.source].append(transfer)
    return found


def moved(transfer: Transfer) -> int:
    """What a transfer adds to what its project pays."""
    if transfer.kind not in _MOVES:
        return 0
    return transfer.amount_nanos if transfer.debit.startswith("project:") else -transfer.amount_nanos


def _sources(tables: Tables) -> Iterator[str]:
    sources = by_source(tables)
    if sources.keys() != tables.attempts.keys():
        yield "the sources of transfers are not the attempts"
    for source, rows in sources.items():
        attempt = tables.attempts[source]
        if [row.ordinal for row in rows] != list(range(len(rows))):
            yield f"{source}: ordinals are not dense"
        kinds = [row.kind.value for row in rows]
        if (
            kinds[0] != "HOLD"
            or (kinds[1:2] not in ([], ["POST"], ["VOID"]))
            or set(kinds[2:]) - {"CORRECTION"}
        ):
            yield f"{source}: transfers are out of order: {kinds}"
        total = 0
        for row in rows:
            total += moved(row)
            if row.amount_nanos < 0 or row.total_after_nanos != total:
                yield f"{source}/{row.ordinal}: {row.total_after_nanos} is not the running sum {total}"
            if {row.debit, row.credit} != {f"project:{attempt.project}", f"provider:{attempt.provider}"}:
                yield f"{source}/{row.ordinal}: accounts"
        if rows[0].amount_nanos != attempt.hold_nanos or attempt.hold_open != (len(rows) == 1):
            yield f"{source}: hold"
        if (attempt.settled_nanos or 0) != total or attempt.ordinal != rows[-1].ordinal:
            yield f"{source}: settled {attempt.settled_nanos}, transfers come to {total}"


def _accounts(tables: Tables) -> Iterator[str]:
    balances: Counter[str] = Counter()
    for row in tables.transfers:
        if row.kind in _MOVES:
            balances[row.debit] -= row.amount_nanos
            balances[row.credit] += row.amount_nanos
    if sum(balances.values()):
        yield "accounts do not sum to zero"
    owed: Counter[str] = Counter()
    for attempt in tables.attempts.values():
        owed[f"project:{attempt.project}"] -= attempt.total_nanos
        owed[f"provider:{attempt.provider}"] += attempt.total_nanos
    yield from (f"balance of {name}" for name in owed if owed[name] != balances[name])


def _windows(tables: Tables) -> Iterator[str]:
    rows: dict[tuple[str, int], list[tuple[Attempt, int]]] = defaultdict(list)
    for row in tables.hold_budgets.values():
        rows[row.budget_id, row.window_start].append((tables.attempts[row.attempt_id], row.nanos))
    for key, window in tables.windows.items():
        seen = rows[key]
        expected = (
            sum(attempt.total_nanos for attempt, _ in seen),
            sum(nanos for attempt, nanos in seen if attempt.hold_open),
            sum(max(0, attempt.total_nanos - nanos) for attempt, nanos in seen),
            sum(attempt.total_nanos for attempt, _ in seen if attempt.grade is Grade.UNCONFIRMED),
        )
        actual = (window.spent_nanos, window.held_nanos, window.overrun_nanos, window.unconfirmed_nanos)
        if expected != actual:
            yield f"window {key}: (spent, held, overrun, unconfirmed) {actual} is not {expected}"


def _totals(tables: Tables) -> Iterator[str]:
    sums: Counter[tuple[str, ...]] = Counter()
    expected: Counter[tuple[str, ...]] = Counter()
    for key, delta in tables.totals:
        at = (key.project, key.provider, key.route, key.model, key.operation)
        sums[*at, "charged"] += delta.charged_nanos
        sums[*at, "up"] += delta.corrected_up_nanos
        sums[*at, "down"] += delta.corrected_down_nanos
        sums[*at, "attempts"] += delta.attempts
        sums["jobs", key.outcome] += delta.jobs
        sums["avoided", key.origin] += delta.avoided_nanos
    for row in tables.transfers:
        at = (row.project, row.provider, row.route, row.model, row.operation)
        if row.kind in (TransferKind.POST, TransferKind.ACCRUAL):
            expected[*at, "charged"] += row.amount_nanos
        elif row.kind is TransferKind.CORRECTION:
            expected[*at, "up" if moved(row) > 0 else "down"] += row.amount_nanos
        if row.kind in (TransferKind.POST, TransferKind.VOID):
            expected[*at, "attempts"] += 1
    for job in tables.jobs.values():
        if job.is_final:
            expected["jobs", job.state.value] += 1
            expected["avoided", job.origin.value] += job.avoided_nanos or 0
    for name in sums.keys() | expected.keys():
        if sums[name] != expected[name]:
            yield f"totals {name}: {sums[name]} is not {expected[name]}"


def _ends(tables: Tables) -> Iterator[str]:
    for attempt in tables.attempts.values():
        render = tables.renders[attempt.render_id]
        if attempt.hold_open and render.state in RENDER_FINAL:
            yield f"{attempt.id}: its render ended ({render.state.value}) and its hold is open"
        if attempt.unbilled and attempt.total_nanos:
            yield f"{attempt.id}: unbilled and charged"


def _renders(tables: Tables) -> Iterator[str]:
    for render in tables.renders.values():
        final = render.state in RENDER_FINAL
        if final and (render.joinable or render.finished_at is None):
            yield f"render {render.id}: final and joinable"
        attempts = [one for one in tables.attempts.values() if one.render_id == render.id]
        if sorted(one.number for one in attempts) != list(range(1, len(attempts) + 1)):
            yield f"render {render.id}: attempts are not numbered"
    for job in tables.jobs.values():
        if not job.is_final and tables.renders[job.render_id].state in RENDER_FINAL:
            yield f"job {job.id}: waits for a render that ended"
