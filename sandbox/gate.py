"""The gate before all doors: where outages meet calls."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.answers import Dropped, Hung, as_json
from sandbox.outages import Outage, Outages


class Gate:
    """Lets calls through, unless an outage meets them. The admin's door has none."""

    def __init__(self, app: ASGIApp, outages: Outages) -> None:
        self._app = app
        self._outages = outages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        outage = self._outages.meeting(scope["path"], scope["method"]) if scope["type"] == "http" else None
        if outage is None:
            await self._app(scope, receive, send)
            return
        match outage.mode:
            case "slow":
                await self._outages.delay(outage.delay_seconds)
                await self._app(scope, receive, send)
            case "drop":
                await Dropped()(scope, receive, send)
            case "hang":
                await Hung(lambda: self._outages.sit_out(outage))(scope, receive, send)
            case _:
                await _unavailable(outage)(scope, receive, send)


def _unavailable(outage: Outage) -> ASGIApp:
    """An answer of something in front of the provider: no word of the provider's own is in it."""
    headers = {} if outage.retry_after is None else {"Retry-After": str(outage.retry_after)}
    return as_json({"message": "Temporarily unavailable"}, outage.code, headers)
