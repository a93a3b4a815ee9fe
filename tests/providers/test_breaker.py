"""The circuit breaker: when dispatches are held back, for how long, and that nothing else is."""

from __future__ import annotations

import pytest

from service.domain.errors import Reason
from service.domain.exchange import (
    Accepted,
    CancelAnswer,
    DispatchAnswer,
    Ended,
    Health,
    Order,
    Refused,
    Result,
    Stage,
    Status,
    Unclear,
)
from service.domain.failure import ProviderDenied
from service.providers.breaker import Breaker
from service.providers.errors import (
    account_blocked,
    content_rejected,
    input_rejected,
    route_refused,
    unreachable,
)
from service.providers.metered import Metered
from tests.providers.rig import order
from tests.support.clock import FakeClock

A, B = "fal-ai/a", "fal-ai/b"
OK = Accepted("abc")
DOWN = unreachable("fal")
BLOCKED = Refused(account_blocked(), "account_blocked")
UNAUTHORIZED = Refused(account_blocked(), "unauthorized")
THROTTLED = Refused(route_refused("x"), "rate_limited", 90.0)
CONTENT = Refused(content_rejected(), "content", fatal=True)
INPUT = Refused(input_rejected(), "invalid_input")
LOST = Unclear("timeout", "x")


class Scripted:
    """A provider that answers what it is told to, and counts."""

    name = "fal"

    def __init__(self) -> None:
        self.answer: DispatchAnswer | None = OK
        self.denies = False
        self.dispatches_count = 0
        self.closes_count = 0

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        self.dispatches_count += 1
        return self.answer

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        self._deny()
        return Status(Stage.RUNNING)

    async def result(self, endpoint: str, provider_id: str) -> Result:
        self._deny()
        return Result(Ended.SUCCEEDED)

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        self._deny()
        return CancelAnswer.ASKED

    async def upload(self, content: bytes, mime_type: str) -> str:
        return "https://v3.fal.media/x"

    async def close(self) -> None:
        self.closes_count += 1

    def _deny(self) -> None:
        if self.denies:
            raise ProviderDenied("fal: HTTP 403")


class Bench:
    """A breaker with its clock and its scripted provider."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.inner = Scripted()
        self.breaker = Breaker(self.inner, self.clock)

    async def send(self, *answers: DispatchAnswer | None, endpoint: str = A) -> DispatchAnswer | None:
        """Dispatch once per scripted answer; the last one that came out."""
        out: DispatchAnswer | None = None
        for answer in answers:
            self.inner.answer = answer
            out = await self.breaker.dispatch(order("fal", endpoint), self.clock.monotonic() + 5)
        return out


@pytest.fixture
def bench() -> Bench:
    """A fresh one."""
    return Bench()


def kind_of(answer: DispatchAnswer | None) -> str:
    """The kind of a refusal."""
    assert isinstance(answer, Refused)
    return answer.kind


@pytest.mark.parametrize("failure", [DOWN, LOST, THROTTLED])
async def test_five_failures_in_a_row_open_the_route(bench: Bench, failure: DispatchAnswer) -> None:
    """The fifth opens it: the sixth dispatch is refused without being sent. Another route stays as it was."""
    await bench.send(*[failure] * 4)
    assert Health.DEGRADED is bench.breaker.health(A)
    await bench.send(failure)
    assert (Health.OPEN, Health.OK) == (bench.breaker.health(A), bench.breaker.health(B))
    refused = await bench.send(OK)
    assert ("circuit_open", 5) == (kind_of(refused), bench.inner.dispatches_count)
    assert isinstance(refused, Refused)
    assert refused.failure.reason is Reason.ROUTES_UNAVAILABLE
    assert (90.0 if failure is THROTTLED else 30.0) == refused.retry_after_seconds
    assert OK == await bench.send(OK, endpoint=B)


async def test_a_success_in_between_closes_the_count(bench: Bench) -> None:
    """Four failures, a success, four failures: still not open."""
    await bench.send(*[DOWN] * 4, OK, *[DOWN] * 4)
    assert Health.DEGRADED is bench.breaker.health(A)
    await bench.send(OK)
    assert Health.OK is bench.breaker.health(A)


@pytest.mark.parametrize("healthy", [CONTENT, INPUT])
async def test_refusals_of_the_input_are_no_failures_of_the_route(bench: Bench, healthy: Refused) -> None:
    """A route that judges inputs is alive, however often it says no."""
    await bench.send(*[healthy] * 20)
    assert Health.OK is bench.breaker.health(A)


async def test_five_unclear_dispatches_a_minute_open_the_route_in_spite_of_successes(bench: Bench) -> None:
    """Each unclear dispatch may cost twice: five within 60 s are too many, five within more are not."""
    for _ in range(6):
        await bench.send(LOST, OK)
        bench.clock.advance(16)
    assert Health.OK is bench.breaker.health(A)
    bench.clock.advance(60)
    for _ in range(4):
        await bench.send(LOST, OK)
        bench.clock.advance(1)
    assert LOST == await bench.send(LOST)
    assert Health.OPEN is bench.breaker.health(A)


async def test_after_the_pause_one_dispatch_is_the_trial(bench: Bench) -> None:
    """When the pause is over one goes through; the others wait for its answer; it decides."""
    await bench.send(*[DOWN] * 5)
    bench.clock.advance(30)
    assert Health.DEGRADED is bench.breaker.health(A)

    class Probe(Scripted):
        async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
            assert Health.OPEN is bench.breaker.health(A)
            return DOWN

    probe = Probe()
    bench.breaker._inner = probe
    assert DOWN == await bench.send(DOWN)
    assert Health.OPEN is bench.breaker.health(A)
    bench.breaker._inner = bench.inner
    bench.clock.advance(30)
    assert OK == await bench.send(OK)
    assert Health.OK is bench.breaker.health(A)


async def test_a_trial_without_an_answer_is_repeated(bench: Bench) -> None:
    """A trial that was not sent in time proves nothing; another one follows."""
    await bench.send(*[DOWN] * 5)
    bench.clock.advance(30)
    assert await bench.send(None) is None
    assert Health.OPEN is bench.breaker.health(A)
    bench.clock.advance(30)
    assert OK == await bench.send(OK)


async def test_a_blocked_account_stops_all_routes(bench: Bench) -> None:
    """An empty balance holds every route for five minutes; the trial after it opens all of them again."""
    await bench.send(BLOCKED)
    assert (Health.ACCOUNT_BLOCKED, Health.ACCOUNT_BLOCKED) == (
        bench.breaker.health(A),
        bench.breaker.health(B),
    )
    refused = await bench.send(OK, endpoint=B)
    assert isinstance(refused, Refused)
    assert ("circuit_open", Reason.PROVIDER_ACCOUNT_BLOCKED, 300.0) == (
        refused.kind,
        refused.failure.reason,
        refused.retry_after_seconds,
    )
    bench.clock.advance(300)
    assert Health.DEGRADED is bench.breaker.health(B)
    assert OK == await bench.send(OK, endpoint=B)
    assert (Health.OK, Health.OK) == (bench.breaker.health(A), bench.breaker.health(B))


async def test_an_endpoint_that_refuses_our_key_is_opened_alone(bench: Bench) -> None:
    """401 or a 403 of one endpoint may be about this endpoint only."""
    await bench.send(UNAUTHORIZED)
    assert (Health.OPEN, Health.OK) == (bench.breaker.health(A), bench.breaker.health(B))


async def test_a_denial_while_following_blocks_the_account_and_no_request(bench: Bench) -> None:
    """Dispatches stop; polls, results and cancels go on being asked."""
    bench.inner.denies = True
    for look in (bench.breaker.poll, bench.breaker.result, bench.breaker.cancel):
        with pytest.raises(ProviderDenied):
            await look(A, "abc")
    assert Health.ACCOUNT_BLOCKED is bench.breaker.health(B)
    bench.inner.denies = False
    assert Stage.RUNNING is (await bench.breaker.poll(A, "abc")).stage
    assert "https://v3.fal.media/x" == await bench.breaker.upload(b"x", "image/png")
    await bench.breaker.close()
    assert ("fal", 1) == (bench.breaker.name, bench.inner.closes_count)


class Counts:
    """A meter that writes down what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def dispatch(self, provider: str, endpoint: str, outcome: str) -> None:
        self.seen.append(("dispatch", provider, endpoint, outcome))

    def error(self, provider: str, endpoint: str, kind: str) -> None:
        self.seen.append(("error", provider, endpoint, kind))

    def poll(self, provider: str, outcome: str) -> None:
        self.seen.append(("poll", provider, outcome))


@pytest.mark.parametrize(
    ("answer", "outcome", "kind"),
    [
        (OK, "accepted", None),
        (None, "not_sent", None),
        (DOWN, "refused", "unreachable"),
        (LOST, "unclear", "timeout"),
    ],
)
async def test_every_dispatch_is_counted_once(
    answer: DispatchAnswer | None, outcome: str, kind: str | None
) -> None:
    """Outcome of each dispatch, and the kind of what went wrong."""
    inner, counts = Scripted(), Counts()
    inner.answer = answer
    assert answer == await Metered(inner, counts).dispatch(order("fal", A), 0.0)
    errors = [] if kind is None else [("error", "fal", A, kind)]
    assert [("dispatch", "fal", A, outcome), *errors] == counts.seen


async def test_looks_and_their_errors_are_counted() -> None:
    """A poll counts by what it saw; errors count by kind, and pass."""
    inner, counts = Scripted(), Counts()
    metered = Metered(inner, counts)
    await metered.poll(A, "abc")
    await metered.result(A, "abc")
    await metered.cancel(A, "abc")
    assert [("poll", "fal", "running")] == counts.seen
    inner.denies = True
    counts.seen.clear()
    for look in (metered.poll, metered.result, metered.cancel):
        with pytest.raises(ProviderDenied):
            await look(A, "abc")
    denied = ("error", "fal", A, "denied")
    assert [denied, ("poll", "fal", "error"), denied, denied] == counts.seen
