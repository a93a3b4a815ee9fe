"""The check of the books: everything is computed anew from the transfers and compared. It reports, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import Connection

from service.database.ledger_tables import SUMS

SENTENCES_PER_RULE_MAX: Final = 20
"""Differences told per rule; a broken ledger is not listed whole."""

_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR

_SIGNED: Final = """CASE WHEN t.kind IN ('HOLD', 'VOID') THEN 0
                 WHEN substr(t.debit, 1, 8) = 'project:' THEN t.amount_nanos ELSE -t.amount_nanos END"""
_RUNNING: Final = f"""
    (SELECT t.source, t.ordinal, t.total_after_nanos,
            row_number() OVER (PARTITION BY t.source ORDER BY t.ordinal) - 1 AS place,
            sum({_SIGNED}) OVER (PARTITION BY t.source ORDER BY t.ordinal) AS running
     FROM transfers AS t) AS r
"""
_LAST: Final = f"""
    (SELECT t.source, max(t.ordinal) AS ordinal, sum({_SIGNED}) AS total,
            sum(CASE WHEN t.kind = 'HOLD' THEN 1 ELSE 0 END) AS holds,
            sum(CASE WHEN t.kind IN ('POST', 'VOID') THEN 1 ELSE 0 END) AS closes,
            sum(CASE WHEN t.kind = 'HOLD' THEN t.amount_nanos ELSE 0 END) AS held
     FROM transfers AS t GROUP BY t.source) AS l
"""
_TRUE_WINDOWS: Final = """
    (SELECT h.budget_id, h.window_start,
            sum(CASE WHEN a.hold_open THEN 0 ELSE coalesce(a.settled_nanos, 0) END) AS spent,
            sum(CASE WHEN a.hold_open THEN h.nanos ELSE 0 END) AS held,
            sum(CASE WHEN NOT a.hold_open AND a.settled_nanos > h.nanos
                     THEN a.settled_nanos - h.nanos ELSE 0 END) AS overrun,
            sum(CASE WHEN a.grade = 'UNCONFIRMED' THEN coalesce(a.settled_nanos, 0) ELSE 0 END) AS unconfirmed
     FROM hold_budgets AS h JOIN attempts AS a ON a.id = h.attempt_id
     GROUP BY h.budget_id, h.window_start) AS t
"""


class Rule(NamedTuple):
    """What must not be: a query for the rows that break it, whose columns fill the sentence."""

    sentence: str
    sql: str


_RULES: Final = (
    Rule(
        "source {0}: transfer {1} stands at place {2}",
        f"SELECT source, ordinal, place FROM {_RUNNING} WHERE ordinal <> place",
    ),
    Rule(
        "source {0}: transfer {1} says {2} in total, the amounts sum to {3}",
        f"SELECT source, ordinal, total_after_nanos, running FROM {_RUNNING} WHERE total_after_nanos <> running",
    ),
    Rule(
        "source {0}: transfer {1} is a {2}, which does not belong there",
        """SELECT source, ordinal, kind FROM transfers
           WHERE kind = 'HOLD' AND ordinal <> 0 OR kind IN ('POST', 'VOID') AND ordinal <> 1
              OR kind = 'CORRECTION' AND ordinal < 2""",
    ),
    Rule(
        "source {0}: transfer {1} has the amount {2}",
        "SELECT source, ordinal, amount_nanos FROM transfers WHERE amount_nanos < 0",
    ),
    Rule(
        "attempt {0}: its ledger ends at {1}, the attempt says {2}",
        f"""SELECT a.id, l.ordinal, a.ordinal FROM attempts AS a LEFT JOIN {_LAST} ON l.source = a.id
            WHERE l.ordinal IS NULL OR l.ordinal <> a.ordinal""",
    ),
    Rule(
        "attempt {0}: its ledger sums to {1}, the attempt was settled at {2}",
        f"""SELECT a.id, l.total, a.settled_nanos FROM attempts AS a JOIN {_LAST} ON l.source = a.id
            WHERE l.total <> coalesce(a.settled_nanos, 0)""",
    ),
    Rule(
        "attempt {0}: {1} holds, and {2} posts or voids",
        f"""SELECT a.id, l.holds, l.closes FROM attempts AS a JOIN {_LAST} ON l.source = a.id
            WHERE l.holds <> 1 OR l.closes <> CASE WHEN a.hold_open THEN 0 ELSE 1 END""",
    ),
    Rule(
        "attempt {0}: its ledger held {1}, the attempt says {2}",
        f"""SELECT a.id, l.held, a.hold_nanos FROM attempts AS a JOIN {_LAST} ON l.source = a.id
            WHERE l.held <> a.hold_nanos""",
    ),
    Rule(
        "attempt {0}: its hold is open though its render {1} is {2}",
        # Renders and jobs are removed when they are old; one with an open hold never is.
        """SELECT a.id, a.render_id, coalesce(r.state, 'gone')
           FROM attempts AS a LEFT JOIN renders AS r ON r.id = a.render_id
           WHERE a.hold_open AND (r.id IS NULL OR r.finished_at IS NOT NULL)""",
    ),
    Rule(
        "job {0}: it waits for render {1}, which is {2}",
        """SELECT j.id, j.render_id, coalesce(r.state, 'gone')
           FROM jobs AS j LEFT JOIN renders AS r ON r.id = j.render_id
           WHERE j.final_at IS NULL AND (r.id IS NULL OR r.finished_at IS NOT NULL)""",
    ),
    Rule(
        "transfers of {0}: there is no such attempt",
        """SELECT DISTINCT t.source FROM transfers AS t LEFT JOIN attempts AS a ON a.id = t.source
           WHERE a.id IS NULL AND t.kind <> 'ACCRUAL'""",
    ),
    Rule(
        (
            "budget {0}, window {1}: it says spent {2}, held {3}, overrun {4}, unconfirmed {5}; "
            "its attempts come to {6}, {7}, {8}, {9}"
        ),
        f"""SELECT w.budget_id, w.window_start, w.spent_nanos, w.held_nanos, w.overrun_nanos, w.unconfirmed_nanos,
                   coalesce(t.spent, 0), coalesce(t.held, 0), coalesce(t.overrun, 0), coalesce(t.unconfirmed, 0)
            FROM budget_windows AS w
            LEFT JOIN {_TRUE_WINDOWS} ON t.budget_id = w.budget_id AND t.window_start = w.window_start
            WHERE w.spent_nanos <> coalesce(t.spent, 0) OR w.held_nanos <> coalesce(t.held, 0)
               OR w.overrun_nanos <> coalesce(t.overrun, 0) OR w.unconfirmed_nanos <> coalesce(t.unconfirmed, 0)""",
    ),
    Rule(
        "hold of attempt {0} on budget {1}: there is no window {2}",
        """SELECT h.attempt_id, h.budget_id, h.window_start
           FROM hold_budgets AS h
           LEFT JOIN budget_windows AS w ON w.budget_id = h.budget_id AND w.window_start = h.window_start
           WHERE w.budget_id IS NULL""",
    ),
)


def checks() -> tuple[Callable[[Connection], list[str]], ...]:
    """Each rule as a read of its own: one statement, which sees one moment, so that nothing is held open for the whole check."""
    return tuple(partial(_broken, rule) for rule in (*_RULES, *_SUM_RULES))


def differences(connection: Connection) -> list[str]:
    """One sentence per difference, at most `SENTENCES_PER_RULE_MAX` per rule."""
    return [sentence for check in checks() for sentence in check(connection)]


def _broken(rule: Rule, connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql(f"{rule.sql} LIMIT {SENTENCES_PER_RULE_MAX}").all()
    return [rule.sentence.format(*row) for row in rows]


def _compared(sentence: str, ours: str, theirs: str, columns_count: int) -> Rule:
    """Two ways to the same sums. Both are queries for project, time and the columns; `{2}` and on of the sentence are ours,
    then theirs.
    """
    places = range(columns_count)
    left = ", ".join(f"c{n}" for n in places) + "".join(f", 0 AS d{n}" for n in places)
    right = ", ".join(f"0 AS c{n}" for n in places) + "".join(f", c{n} AS d{n}" for n in places)
    sums = ", ".join(f"sum({name}{n})" for name in "cd" for n in places)
    differ = " OR ".join(f"sum(c{n}) <> sum(d{n})" for n in places)
    return Rule(
        sentence,
        f"SELECT project, at, {sums} FROM (SELECT project, at, {left} FROM ({ours}) AS ours "
        f"UNION ALL SELECT project, at, {right} FROM ({theirs}) AS theirs) AS both_ways "
        f"GROUP BY project, at HAVING {differ} ORDER BY project, at",
    )


def _named(columns: Iterable[str]) -> str:
    return ", ".join(f"{name} AS c{place}" for place, name in enumerate(columns))


def _figures(first: int, count: int) -> str:
    return "[" + ", ".join(f"{{{place}}}" for place in range(first, first + count)) + "]"


def _days(hours: str, days: str) -> Rule:
    """The days that were summed, as their rows and as their hours have them."""
    count = len(SUMS)
    return _compared(
        f"{days} of {{0}}, day {{1}}, say {_figures(2, count)}; the hours sum to {_figures(2 + count, count)}",
        f"SELECT project, booked_day AS at, {_named(SUMS)} FROM {days}",
        f"SELECT project, booked_hour / {_DAY} * {_DAY} AS at, {_named(SUMS)} FROM {hours} WHERE booked_hour > 0 "
        f"AND booked_hour < (SELECT coalesce(max(booked_day) + {_DAY}, 0) FROM rolled_days)",
        count,
    )


_MONEY: Final = _named(("charged_nanos", "corrected_up_nanos", "corrected_down_nanos"))
_BOOKED: Final = _named(
    (
        "CASE WHEN kind IN ('POST', 'ACCRUAL') THEN amount_nanos ELSE 0 END",
        "CASE WHEN kind = 'CORRECTION' AND substr(credit, 1, 8) <> 'project:' THEN amount_nanos ELSE 0 END",
        "CASE WHEN kind = 'CORRECTION' AND substr(credit, 1, 8) = 'project:' THEN amount_nanos ELSE 0 END",
    )
)
_SUM_RULES: Final = (
    _compared(
        f"totals of {{0}}, hour {{1}}, say {_figures(2, 3)}; the transfers sum to {_figures(5, 3)}",
        f"SELECT project, usage_hour AS at, {_MONEY} FROM totals WHERE usage_hour > 0",
        f"SELECT project, usage_at / {_HOUR} * {_HOUR} AS at, {_BOOKED} FROM transfers",
        3,
    ),
    _compared(
        f"lifetime totals of {{0}} say {_figures(2, 3)}; the hours sum to {_figures(5, 3)}",
        f"SELECT project, 0 AS at, {_MONEY} FROM totals WHERE usage_hour = 0",
        f"SELECT project, 0 AS at, {_MONEY} FROM totals WHERE usage_hour > 0",
        3,
    ),
    _days("totals", "day_totals"),
    _days("label_totals", "day_label_totals"),
)
