"""When a serving process checks the books, and what it tells of it."""

from math import isnan

import pytest
from prometheus_client import CollectorRegistry

from service.core.verifying import BooksCheck, verification
from service.domain.errors import StoreUnavailable
from service.domain.limits import verify_first_seconds, verify_look_seconds, verify_seconds
from service.metrics import Metrics
from tests.support.clock import FakeClock
from tests.support.fake_provider import FakeLog
from tests.support.memory_reads import MemoryReader
from tests.support.memory_store import MemoryStore


class Ledger(MemoryReader):
    """Implements `LedgerReader`; what its check finds is the test's to say."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(MemoryStore(clock), clock)
        self.found: list[tuple[str, ...] | StoreUnavailable] = []
        self.checks = 0

    async def verify(self) -> tuple[str, ...]:
        """What the test said."""
        self.checks += 1
        answer = self.found.pop(0) if self.found else ()
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer


class Bureau:
    """A replica that leads, or not, and checks the books."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = FakeLog()
        self.metrics = Metrics(CollectorRegistry())
        self.ledger = Ledger(self.clock)
        self.leads = True
        check = BooksCheck(self.ledger, self.metrics, self.clock, self.log)
        self.duty = verification(check, lambda: self.leads, self.clock, self.log)

    @property
    def told(self) -> float | None:
        """The metric."""
        return self.metrics.registry.get_sample_value("lightmeter_ledger_verify_ok")


@pytest.fixture
def bureau() -> Bureau:
    return Bureau()


async def test_books_are_checked_an_hour_after_the_start_and_then_daily(bureau: Bureau) -> None:
    """Until then the metric is no number; right books are 1."""
    await bureau.duty.start()
    await bureau.clock.run(verify_first_seconds - 1)
    assert (0, True) == (bureau.ledger.checks, bureau.told is not None and isnan(bureau.told))
    await bureau.clock.run(verify_look_seconds)
    assert (1, 1.0) == (bureau.ledger.checks, bureau.told)
    await bureau.clock.run(verify_seconds - 2 * verify_look_seconds)
    assert 1 == bureau.ledger.checks
    await bureau.clock.run(2 * verify_look_seconds)
    assert 2 == bureau.ledger.checks
    await bureau.duty.stop()


async def test_a_difference_is_told_by_metric_and_log(bureau: Bureau) -> None:
    """Each as an error of its own; the next good check takes the metric back."""
    bureau.ledger.found = [("source a: odd", "source b: odd")]
    await bureau.duty.start()
    await bureau.clock.run(verify_first_seconds + verify_look_seconds)
    assert 0.0 == bureau.told
    assert ["ledger_wrong", "ledger_wrong"] == bureau.log.names()
    await bureau.clock.run(verify_seconds + verify_look_seconds)
    assert 1.0 == bureau.told
    await bureau.duty.stop()


async def test_only_the_replica_that_leads_checks(bureau: Bureau) -> None:
    """And one that leads no more says nothing of the books."""
    await bureau.duty.start()
    await bureau.clock.run(verify_first_seconds + verify_look_seconds)
    bureau.leads = False
    await bureau.clock.run(verify_seconds + verify_look_seconds)
    assert (1, True) == (bureau.ledger.checks, bureau.told is not None and isnan(bureau.told))
    await bureau.duty.stop()


async def test_a_check_that_could_not_be_made_waits_a_day(bureau: Bureau) -> None:
    """A database that did not answer is not asked all of it again at once; meanwhile nothing is known."""
    bureau.ledger.found = [StoreUnavailable("too slow")]
    await bureau.duty.start()
    await bureau.clock.run(verify_first_seconds + 3 * verify_look_seconds)
    assert (1, True) == (bureau.ledger.checks, bureau.told is not None and isnan(bureau.told))
    assert ["duty_failed"] == bureau.log.names()
    await bureau.clock.run(verify_seconds)
    assert (2, 1.0) == (bureau.ledger.checks, bureau.told)
    await bureau.duty.stop()
