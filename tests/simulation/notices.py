"""The providers' webhooks: most come, some late, some twice, some never, and some from strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.simulation.callers import Gone
from tests.simulation.cloud import Asked
from tests.simulation.loop import VirtualLoop
from tests.simulation.mishaps import Mishaps

_WEBHOOK_TRIES_MAX = 6


class Notices:
    """Brings webhooks to whichever replica answers, again and later when none says yes."""

    def __init__(
        self, loop: VirtualLoop, mishaps: Mishaps, pick: Callable[[], Any], broken: Callable[..., None]
    ) -> None:
        self._loop = loop
        self._mishaps = mishaps
        self._pick = pick
        self._broken = broken

    def ended(self, name: str, asked: Asked) -> None:
        """A request ended: the provider says so, or forgets to, or says it twice."""
        mishaps, weather = self._mishaps, self._mishaps.weather
        if not weather.webhooks or mishaps.happens(weather.webhook_lost):
            return
        after = mishaps.random.uniform(0.05, 1.0)
        if mishaps.happens(weather.webhook_late):
            after = mishaps.random.choice(
                (mishaps.random.uniform(5.0, 900.0), mishaps.random.uniform(900.0, 9_000.0))
            )
        times = mishaps.random.randint(2, 3) if mishaps.happens(weather.webhook_repeated) else 1
        for _ in range(times):
            self._send(after, name, asked.token, asked.provider_id, 1)
            after += mishaps.random.uniform(0.0, 60.0)
        if mishaps.happens(weather.webhook_forged):
            forged = (
                (asked.token, f"{name}-9999")
                if mishaps.random.random() < 0.5
                else ("0" * 32, asked.provider_id)
            )
            self._send(
                after, name, *forged, 1, forged=mishaps.random.random() < 0.7 or forged[0] == asked.token
            )

    def _send(
        self, after: float, name: str, token: str, provider_id: str, number: int, *, forged: bool = False
    ) -> None:
        def deliver() -> None:
            replica = self._pick()
            if replica is None:
                told(None)
                return
            headers = {"x-signature": "bad" if forged else "good"}
            answer = replica.deliver(name, token, headers, provider_id.encode())
            answer.add_done_callback(told, context=self._loop.world)

        def told(answer: asyncio.Future[Any] | None) -> None:
            """Anything but a quick yes: it comes again, later and later."""
            taken = None
            if answer is not None and not answer.cancelled():
                error = answer.exception()
                if error is not None and not isinstance(error, Gone):
                    self._broken(f"a webhook raised {error!r}", token)
                taken = None if error is not None else answer.result()
            if (taken is None or taken.value == "unavailable") and number < _WEBHOOK_TRIES_MAX:
                self._send(5.0 * 3**number, name, token, provider_id, number + 1, forged=forged)

        self._loop.call_later(after, deliver, context=self._loop.world)
