"""The circuit breaker: a route that keeps failing, or an account that is blocked, is not asked for a while.

Only dispatches are held back; requests that the provider has accepted are followed whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.domain.exchange import CancelAnswer, DispatchAnswer, Health, Order, Refused, Result, Status
from service.domain.failure import ProviderDenied
from service.ports import Clock, Provider
from service.providers.circuits import BLOCKED_SECONDS, FAILURES_MAX, OPEN_SECONDS, Circuits
from service.providers.errors import account_blocked, route_refused
from service.providers.wrapper import Wrapper


class Breaker(Wrapper):
    """A provider with circuits. Implements `service.ports.RouteHealth` too."""

    def __init__(
        self,
        inner: Provider,
        clock: Clock,
        *,
        failures_max: int = FAILURES_MAX,
        open_seconds: float = OPEN_SECONDS,
        blocked_seconds: float = BLOCKED_SECONDS,
    ) -> None:
        super().__init__(inner)
        self._circuits = Circuits(
            clock, failures_max=failures_max, open_seconds=open_seconds, blocked_seconds=blocked_seconds
        )

    def health(self, endpoint: str) -> Health:
        """The health of a route now."""
        return self._circuits.health(endpoint)

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Dispatch, unless the circuit is open: then Refused with kind `circuit_open`, nothing sent."""
        health = self.health(order.endpoint)
        if health in (Health.OPEN, Health.ACCOUNT_BLOCKED):
            seconds = self._circuits.pause_seconds(order.endpoint)
            failure = route_refused("The route keeps failing.", retry_delay_seconds=seconds)
            blocked = health is Health.ACCOUNT_BLOCKED
            return Refused(account_blocked() if blocked else failure, "circuit_open", seconds)
        self._circuits.begin(order.endpoint)
        answer = await self._inner.dispatch(order, send_before)
        self._circuits.learn(order.endpoint, answer)
        return answer

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """Poll; a denial blocks the account, not the request."""
        with self._denials():
            return await self._inner.poll(endpoint, provider_id)

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """Fetch; a denial blocks the account, not the request."""
        with self._denials():
            return await self._inner.result(endpoint, provider_id)

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Cancel; a denial blocks the account, not the request."""
        with self._denials():
            return await self._inner.cancel(endpoint, provider_id)

    @contextmanager
    def _denials(self) -> Iterator[None]:
        try:
            yield
        except ProviderDenied:
            self._circuits.block()
            raise
