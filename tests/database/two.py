"""Two replicas on one PostgreSQL, whose commands are run in every order of their locks and commits."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import psycopg
import pytest

from service.database.engine import Address
from service.database.verify import differences
from service.domain import commands as c
from service.domain.errors import Reason
from service.domain.failure import Failure, Fault, RetryAdvice
from tests.database.stepper import Session, interleave
from tests.support.clock import SeededDice
from tests.support.orders import Orders

FAILURE = Failure(Reason.PROVIDER_FAILED, "it broke", Fault.PROVIDER, RetryAdvice.FREE)


@dataclass
class Two:
    """Two sessions, and a look at the committed rows."""

    one: Session
    other: Session
    watch: psycopg.Connection[Any]
    address: Address
    orders: Orders
    count: int = 0

    def subject(self) -> str:
        """Something that nobody asked for before."""
        self.count += 1
        return f"subject {self.count}"

    def every_order(
        self,
        prepare: Callable[[], tuple[c.Command, c.Command]],
        check: Callable[[c.Command, c.Command, Any, Any], None],
    ) -> int:
        """Prepare and run the pair in each order: the first up to a point, the second up to a point, the rest of the
        first, the rest of the second. Answers how many orders there were.
        """
        points = []
        for session, index in ((self.one, 0), (self.other, 1)):
            session.run(prepare()[index])
            points.append(_points(session.statements))
        for i, j in product(*points):
            first, second = prepare()
            check(first, second, *interleave(self.one, self.other, first, second, i, j))
        return len(points[0]) * len(points[1])

    def value(self, sql: str, *parameters: Any) -> Any:
        """The one value of a query."""
        row = self.watch.execute(sql, parameters).fetchone()
        assert row is not None
        return row[0]

    def long_ago(self, accept: c.Accept) -> None:
        """Let what was done for it have been done two hours ago."""
        micros = 2 * 3600 * 1_000_000
        self.watch.execute(
            "UPDATE attempts SET usage_at = usage_at - %(m)s, send_before = send_before - %(m)s WHERE id = %(id)s",
            {"m": micros, "id": accept.attempt_id},
        )
        self.watch.execute(
            "UPDATE renders SET next_step_at = next_step_at - %(m)s WHERE id = %(id)s",
            {"m": micros, "id": accept.render_id},
        )

    def state(self, table: str, key: str) -> str:
        """The committed state of a job, render or attempt."""
        return str(self.value(f"SELECT state FROM {table} WHERE id = %s", key))


def _points(statements: list[str]) -> list[int]:
    """Numbers of statements after which the other one gets its turn."""
    points = {0, len(statements) - 1, len(statements)}
    for index, statement in enumerate(statements):
        if re.search("FOR UPDATE|LOCK TABLE|FROM budgets|DO NOTHING", statement):
            points |= {index, index + 1}
    return sorted(points)


@pytest.fixture
def two(postgres_url: str) -> Iterator[Two]:
    address = Address(postgres_url)
    with psycopg.connect(address.driver_url, autocommit=True) as watch:
        made = Two(Session(address, watch), Session(address, watch), watch, address, Orders(SeededDice(7)))
        yield made
        made.one.close()
        made.other.close()
        engine = address.reader(1)
        with engine.connect() as connection:
            assert [] == differences(connection)
        engine.dispose()
