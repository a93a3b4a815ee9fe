"""Counting what happens between us and a provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from service.domain.exchange import Accepted, CancelAnswer, DispatchAnswer, Order, Refused, Result, Status
from service.domain.failure import ProviderDenied, ProviderUnavailable
from service.ports import Provider
from service.providers.wrapper import Wrapper


class Meter(Protocol):
    """Where the counts go. MUST NOT block or raise. Endpoints come from the catalog: their number is
    bounded.
    """

    def dispatch(self, provider: str, endpoint: str, outcome: str) -> None:
        """One dispatch: accepted, refused, unclear or not_sent."""
        ...

    def error(self, provider: str, endpoint: str, kind: str) -> None:
        """One error: the kind of a refusal or of an unclear dispatch, `unavailable` or `denied`."""
        ...

    def poll(self, provider: str, outcome: str) -> None:
        """One look at a running request: queued, running, ended, gone or error."""
        ...


class Metered(Wrapper):
    """A provider whose calls are counted."""

    def __init__(self, inner: Provider, meter: Meter) -> None:
        super().__init__(inner)
        self._meter = meter

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Dispatch, and count how it went."""
        answer = await self._inner.dispatch(order, send_before)
        if answer is None or isinstance(answer, Accepted):
            self._meter.dispatch(self.name, order.endpoint, "not_sent" if answer is None else "accepted")
            return answer
        outcome = "refused" if isinstance(answer, Refused) else "unclear"
        self._meter.dispatch(self.name, order.endpoint, outcome)
        self._meter.error(self.name, order.endpoint, answer.kind)
        return answer

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """Poll, and count what was seen."""
        try:
            with self._errors(endpoint):
                status = await self._inner.poll(endpoint, provider_id)
        except (ProviderUnavailable, ProviderDenied):
            self._meter.poll(self.name, "error")
            raise
        self._meter.poll(self.name, status.stage.value.lower())
        return status

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """Fetch, and count errors."""
        with self._errors(endpoint):
            return await self._inner.result(endpoint, provider_id)

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Cancel, and count errors."""
        with self._errors(endpoint):
            return await self._inner.cancel(endpoint, provider_id)

    @contextmanager
    def _errors(self, endpoint: str) -> Iterator[None]:
        try:
            yield
        except (ProviderUnavailable, ProviderDenied) as error:
            kind = "denied" if isinstance(error, ProviderDenied) else "unavailable"
            self._meter.error(self.name, endpoint, kind)
            raise
