"""One look at an address, for an operator who asks whether it is there: what it answered, when by its own clock, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from service.domain.failure import ProviderUnavailable
from service.domain.limits import MICROS_PER_SECOND
from service.providers.wire import Answer, Caller, calling_transport

VISIT_SECONDS_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of it. With a `fault` there was no answer, and the status is 0."""

    status: int
    body: bytes = b""
    served_at: int | None = None
    """The answer's Date in microseconds, which it has in whole seconds; None without one."""
    fault: str = ""


async def visit_fal(api_url: str, key: str, endpoint: str) -> Visit:
    """Ask fal's platform for the price of an endpoint: needs a key, changes nothing, costs nothing (fal docs: platform API)."""
    return await visit(
        f"{api_url}/models/pricing",
        headers={"Authorization": f"Key {key}"},
        params={"endpoint_id": endpoint},
    )


async def visit_replicate(url: str, token: str) -> Visit:
    """Ask Replicate whose token this is (Replicate docs: GET /v1/account)."""
    return await visit(f"{url}/v1/account", headers={"Authorization": f"Bearer {token}"})


async def visit(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> Visit:
    """One request, no redirects, at most `VISIT_SECONDS_MAX`; the headers go to this host only. Raises nothing of the wire."""
    caller = Caller(
        "it", headers or {}, [url], transport=calling_transport(None), seconds_max=VISIT_SECONDS_MAX
    )
    try:
        answer = await caller.ask(method, url, params=params, content=content)
    except ProviderUnavailable as error:
        return Visit(0, fault=str(error).removeprefix("it: "))
    finally:
        await caller.close()
    return Visit(answer.status, answer.body, _served_at(answer))


def _served_at(answer: Answer) -> int | None:
    try:
        moment = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return int(moment.timestamp()) * MICROS_PER_SECOND
