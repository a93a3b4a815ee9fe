"""HTTP as both adapters use it: bounded answers, keys that stay with their host, calls that may be
repeated.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from service.domain.exchange import LogLine
from service.domain.failure import DoorError, ProviderDenied, ProviderUnavailable
from service.domain.limits import MICROS_PER_SECOND, provider_call_seconds_max
from service.ports import Clock
from service.providers.errors import AnswerTooLarge, ForeignHost, clean, door

USER_AGENT: Final = "lightmeter"
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
CONNECT_SECONDS_MAX: Final = 5.0
CONNECTIONS_MAX: Final = 100
KEEP_ALIVE_CONNECTIONS_MAX: Final = 20
KEEP_ALIVE_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS_MAX: Final = 300.0
LOG_LINES_MAX: Final = 50
EXPONENT_MAX: Final = 30

DENIED: Final = (401, 402, 403)

_NAME_CHARACTERS_MAX: Final = 300
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_RESETS_IN: Final = re.compile(r"~\s?(\d{1,6})\s?s")
_PERCENT: Final = re.compile(r"(?<!\d)(\d{1,3})%\|")

Origin = tuple[str, str, int]


def origin_of(url: str | httpx.URL) -> Origin:
    """Scheme, host and port of an address: who would see what is sent there."""
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port or {"http": 80, "https": 443}.get(parsed.scheme, 0)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends a request once, and only to an origin that was named; raises ForeignHost otherwise.

    Whatever stands above it (our clients, fal-client's handles, the replicate package) may have been given an
    address by a provider; the key goes along with every one of them, so the check belongs below all of them.
    """

    def __init__(self, origins: Iterable[str], inner: httpx.AsyncBaseTransport) -> None:
        self._origins = frozenset(origin_of(url) for url in origins)
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, or raise ForeignHost with nothing sent."""
        if origin_of(request.url) not in self._origins:
            raise ForeignHost("this host may not see our key", request=request)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the sockets below."""
        await self._inner.aclose()


def no_cookies() -> CookieJar:
    """A jar that takes nothing and gives nothing."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def trust() -> ssl.SSLContext:
    """Which certificates are believed: those that httpx brings along, whatever the environment says. Takes
    25 ms and some memory: make one and share it.
    """
    return httpx.create_ssl_context(trust_env=False)


def plain_transport(
    tls: ssl.SSLContext | None, *, connections_max: int, keep_alive_max: int
) -> httpx.AsyncHTTPTransport:
    """HTTP/1.1, no retries, no proxies out of the environment. `tls`: see `trust`, which None stands for."""
    limits = httpx.Limits(
        max_connections=connections_max,
        max_keepalive_connections=keep_alive_max,
        keepalive_expiry=KEEP_ALIVE_SECONDS,
    )
    return httpx.AsyncHTTPTransport(
        verify=tls or trust(), retries=0, http1=True, http2=False, trust_env=False, limits=limits
    )


def calling_transport(tls: ssl.SSLContext | None) -> httpx.AsyncHTTPTransport:
    """For calls that may be repeated: connections are kept for a few seconds."""
    return plain_transport(tls, connections_max=CONNECTIONS_MAX, keep_alive_max=KEEP_ALIVE_CONNECTIONS_MAX)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said, read whole and bounded."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON, fractions as Decimal; None when it is none (or too deep)."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_no_number)
        except (ValueError, RecursionError, InvalidOperation):
            return None

    def object(self) -> Mapping[str, Any] | None:
        """The body as a JSON object; None when it is anything else."""
        data = self.json()
        return data if isinstance(data, dict) else None


def _no_number(word: str) -> None:
    del word  # NaN and Infinity are no evidence of anything


async def read_answer(response: httpx.Response, bytes_max: int = ANSWER_BYTES_MAX) -> Answer:
    """Read a streamed response. Raises AnswerTooLarge, and what httpx raises."""
    announced = response.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > bytes_max:
        raise AnswerTooLarge(f"more than {bytes_max} bytes", request=response.request)
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in response.aiter_bytes():
        size_bytes += len(chunk)
        if size_bytes > bytes_max:
            raise AnswerTooLarge(f"more than {bytes_max} bytes", request=response.request)
        chunks.append(chunk)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, b"".join(chunks))


class Caller:
    """Calls that may be repeated: one try each, one deadline each, the key to the named origins only.

    Raises ProviderUnavailable when there is no answer; any HTTP status is an answer.
    """

    def __init__(
        self,
        provider: str,
        headers: Mapping[str, str],
        origins: Iterable[str],
        *,
        transport: httpx.AsyncBaseTransport,
        seconds_max: float = provider_call_seconds_max,
    ) -> None:
        self._provider = provider
        self._seconds_max = seconds_max
        self.client = httpx.AsyncClient(
            transport=GuardedTransport(origins, transport),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
            timeout=httpx.Timeout(seconds_max, connect=CONNECT_SECONDS_MAX),
            cookies=no_cookies(),
            trust_env=False,
            follow_redirects=False,
        )

    async def ask(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send one request and read its answer."""
        with door(self._provider):
            async with (
                asyncio.timeout(self._seconds_max),
                self.client.stream(method, url, params=params, headers=headers, content=content) as response,
            ):
                return await read_answer(response)

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self.client.aclose()


def no_answer(provider: str, answer: Answer, clock: Clock) -> DoorError:
    """The error for an answer that tells nothing about a request: denied, or unavailable."""
    if answer.status in DENIED:
        return ProviderDenied(f"{provider}: HTTP {answer.status}")
    return ProviderUnavailable(
        f"{provider}: HTTP {answer.status}", retry_after_seconds=retry_after(answer, clock)
    )


def retry_after(answer: Answer, clock: Clock) -> float | None:
    """How long to wait: the header (seconds or a date), the body's `retry_after`, or `~5s` in its text.
    Capped.
    """
    seconds = _header_seconds(answer.headers.get("retry-after", ""), clock)
    if seconds is None:
        data = answer.object() or {}
        asked = number(data.get("retry_after"))
        text = _RESETS_IN.search(str(data.get("detail", "")))
        if asked is not None:
            seconds = float(asked)
        elif text is not None:
            seconds = float(text.group(1))
    return None if seconds is None else min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


def _header_seconds(text: str, clock: Clock) -> float | None:
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return until - clock.now() / MICROS_PER_SECOND


def number(value: Any) -> Decimal | None:
    """A finite JSON number of sane size, exactly; None for anything else (texts and booleans too)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    if not exact.is_finite() or (exact and abs(exact.adjusted()) > EXPONENT_MAX):
        return None
    return exact


def number_in_text(text: str | None) -> Decimal | None:
    """A header's number, exactly; None when it is missing or none."""
    if text is None:
        return None
    try:
        return number(Decimal(text.strip()))
    except InvalidOperation:
        return None


def integer(value: Any) -> int | None:
    """A JSON integer that a BIGINT can hold; None for anything else."""
    exact = number(value)
    if exact is None or exact != exact.to_integral_value() or abs(exact) >= 2**63:
        return None
    return int(exact)


def usable_id(value: Any) -> str | None:
    """A provider's id that can stand in an address; None when it is none."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def usable_name(value: Any) -> str | None:
    """A provider's name of a model that can be kept and shown; None when it is none."""
    good = isinstance(value, str) and 0 < len(value) <= _NAME_CHARACTERS_MAX and value.isprintable()
    return value if good else None


def usable_url(value: Any) -> str | None:
    """An address under which a picture may be fetched: http(s) or data:, without anything unprintable."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return None
    return value if value.startswith(("https://", "http://", "data:")) else None


def fraction_of(lines: Sequence[LogLine]) -> float | None:
    """How far the run is, from the newest progress bar (`40%|…`) in its log."""
    for line in reversed(lines):
        found = _PERCENT.findall(line.text)
        if found:
            return min(int(found[-1]), 100) / 100
    return None


def log_line(text: object, level: object = "INFO", at: int | None = None) -> LogLine:
    """One line of a provider's log, bounded and printable."""
    return LogLine(clean(text), clean(level)[:16], at)
