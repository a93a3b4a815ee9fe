"""Fetching pictures: results from the providers' own hosts, inputs from wherever a caller points. Implements
`service.ports.Downloads`.

No credentials, no cookies, no proxies out of the environment, bounded in bytes, time, redirects and number.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_to_bytes

import httpx

from service.domain.errors import InputImageTooLarge, InputUrlRefused, InputUrlUnreachable
from service.domain.failure import DownloadFailed
from service.domain.limits import (
    download_bytes_max,
    download_seconds_max,
    input_image_bytes_max,
    provider_call_seconds_max,
)
from service.providers.addresses import Address, Resolve, address_of, is_public, resolve_by_system
from service.providers.errors import FOREIGN, AnswerTooLarge
from service.providers.wire import CONNECT_SECONDS_MAX, USER_AGENT, no_cookies, plain_transport, read_answer

RESULT_HOSTS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "fal": ("fal.media", "*.fal.media"),
        "replicate": ("replicate.delivery", "*.replicate.delivery"),
    }
)
"""Where outputs are served (fal docs: media; Replicate's OpenAPI description)."""

REDIRECTS_MAX: Final = 3
DOWNLOADS_PARALLEL_MAX: Final = 32
ADDRESSES_TRIED_MAX: Final = 3
URL_CHARACTERS_MAX: Final = 8_192
HTTPS_PORT: Final = 443

FOREIGN_CLASSES: Final = tuple(foreign for foreign, _ in FOREIGN)

FINAL_STATUSES: Final = (400, 404, 405, 410, 414, 451)
"""Answers to a result's download after which another try is useless."""

REFUSED_TEXT: Final = "only https addresses of public hosts, on the usual port, are fetched"
UNREACHABLE_TEXT: Final = "the address did not answer with a picture"


class HttpDownloads:
    """Downloads over HTTP.

    `result_hosts`: by provider, hosts and `*.domain` patterns that its outputs may come from, over https.
    `allow_loopback`: for the sandbox and tests only; loopback hosts are then fetched too, over http as well.
    `resolve`: how names become addresses.

    At most 32 downloads run at once; the deadline of the others begins when it is their turn.
    """

    def __init__(
        self,
        result_hosts: Mapping[str, Sequence[str]] = RESULT_HOSTS,
        *,
        allow_loopback: bool = False,
        resolve: Resolve = resolve_by_system,
        result_bytes_max: int = download_bytes_max,
        input_bytes_max: int = input_image_bytes_max,
        result_seconds_max: float = download_seconds_max,
        input_seconds_max: float = provider_call_seconds_max,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._result_hosts = {name: tuple(hosts) for name, hosts in result_hosts.items()}
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._result_bytes_max = result_bytes_max
        self._input_bytes_max = input_bytes_max
        self._result_seconds_max = result_seconds_max
        self._input_seconds_max = input_seconds_max
        self._slots = asyncio.Semaphore(DOWNLOADS_PARALLEL_MAX)
        # Connections are never kept: one to a checked address would be reused for another name behind it.
        inner = transport or plain_transport(tls, connections_max=DOWNLOADS_PARALLEL_MAX, keep_alive_max=0)
        self._client = httpx.AsyncClient(
            transport=inner,
            headers={"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(result_seconds_max, connect=CONNECT_SECONDS_MAX),
            cookies=no_cookies(),
            trust_env=False,
            follow_redirects=False,
        )

    async def fetch_result(self, provider: str, url: str) -> bytes:
        """A provider's output. See `service.ports.Downloads`."""
        if url.startswith("data:"):
            return self._inline(url)
        async with self._slots:
            with _result_door():
                async with asyncio.timeout(self._result_seconds_max):
                    return await self._follow_result(provider, url)

    async def _follow_result(self, provider: str, url: str) -> bytes:
        target = httpx.URL(url)
        for _ in range(REDIRECTS_MAX + 1):
            if not self._is_result_host(provider, target):
                raise DownloadFailed("the picture is on a host that is not the provider's", final=True)
            async with self._client.stream("GET", target) as response:
                if response.has_redirect_location:
                    target = target.join(response.headers["location"])
                    continue
                if response.status_code != httpx.codes.OK:
                    status = response.status_code
                    raise DownloadFailed(f"HTTP {status}", final=status in FINAL_STATUSES)
                return (await read_answer(response, self._result_bytes_max)).body
        raise DownloadFailed("too many redirects", final=True)

    def _is_result_host(self, provider: str, url: httpx.URL) -> bool:
        if url.userinfo:
            return False
        if self._allow_loopback and url.scheme in ("http", "https") and _is_loopback(url.host):
            return True
        if url.scheme != "https" or url.port is not None:
            return False
        return any(_matches(pattern, url.host) for pattern in self._result_hosts.get(provider, ()))

    def _inline(self, url: str) -> bytes:
        """The bytes of a data: URI. A provider may answer with one although none was asked for."""
        if len(url) > self._result_bytes_max * 3:
            raise DownloadFailed("the inline picture is too large", final=True)
        head, comma, tail = url.partition(",")
        try:
            content = unquote_to_bytes(tail)
            if head.endswith(";base64"):
                content = base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise DownloadFailed("the inline picture is damaged", final=True) from error
        if not comma or len(content) > self._result_bytes_max:
            raise DownloadFailed("the inline picture is damaged or too large", final=True)
        return content

    async def fetch_input(self, url: str) -> bytes:
        """A caller's input. See `service.ports.Downloads`.

        Raises InputUrlRefused, InputUrlUnreachable, and InputImageTooLarge; none tells an address of ours.
        """
        if len(url) > URL_CHARACTERS_MAX or not url.isprintable():
            raise InputUrlRefused(REFUSED_TEXT)
        async with self._slots:
            with self._input_door():
                async with asyncio.timeout(self._input_seconds_max):
                    return await self._follow_input(url)

    async def _follow_input(self, url: str) -> bytes:
        target = httpx.URL(url)
        for _ in range(REDIRECTS_MAX + 1):
            async with aclosing(await self._open_input(target)) as response:
                if response.has_redirect_location:
                    target = target.join(response.headers["location"])
                    continue
                if response.status_code != httpx.codes.OK:
                    raise InputUrlUnreachable(f"{UNREACHABLE_TEXT} (HTTP {response.status_code})")
                return (await read_answer(response, self._input_bytes_max)).body
        raise InputUrlUnreachable(f"{UNREACHABLE_TEXT} (too many redirects)")

    async def _open_input(self, url: httpx.URL) -> httpx.Response:
        """Connect to a checked address of the host, and ask there under the host's own name."""
        host = url.raw_host.decode("ascii")
        extensions = {} if address_of(host) else {"sni_hostname": host}
        failure: Exception | None = None
        for address in (await self._checked(url))[:ADDRESSES_TRIED_MAX]:
            request = self._client.build_request(
                "GET",
                url.copy_with(host=str(address)),
                headers={"Host": url.netloc.decode("ascii")},
                extensions=extensions,
            )
            try:
                return await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise InputUrlUnreachable(UNREACHABLE_TEXT) from failure

    async def _checked(self, url: httpx.URL) -> list[Address]:
        """The addresses of the host, each of them allowed. Raises InputUrlRefused, or OSError of the
        resolver.
        """
        usual = url.scheme == "https" and url.port is None
        if url.userinfo or not url.host or not (usual or self._allow_loopback):
            raise InputUrlRefused(REFUSED_TEXT)
        host = url.raw_host.decode("ascii")
        port = url.port or HTTPS_PORT
        texts = [host] if address_of(host) else await self._resolve(host, port)
        addresses = [address_of(text) for text in texts]
        if not addresses:
            raise InputUrlUnreachable(UNREACHABLE_TEXT)
        checked = [
            address for address in addresses if address is not None and self._may_connect(address, url)
        ]
        if len(checked) < len(addresses):
            raise InputUrlRefused(REFUSED_TEXT)
        return checked

    def _may_connect(self, address: Address, url: httpx.URL) -> bool:
        if self._allow_loopback and address.is_loopback:
            return url.scheme in ("http", "https")
        return is_public(address) and url.scheme == "https" and url.port is None

    @contextmanager
    def _input_door(self) -> Iterator[None]:
        try:
            yield
        except AnswerTooLarge as error:
            limit = self._input_bytes_max
            text = f"the picture behind the address has more than {limit} bytes"
            raise InputImageTooLarge(text, metadata={"limit": str(limit)}) from error
        except httpx.InvalidURL as error:
            raise InputUrlRefused(REFUSED_TEXT) from error
        except FOREIGN_CLASSES as error:
            raise InputUrlUnreachable(UNREACHABLE_TEXT) from error

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self._client.aclose()


@contextmanager
def _result_door() -> Iterator[None]:
    try:
        yield
    except AnswerTooLarge as error:
        raise DownloadFailed("the picture is too large", final=True) from error
    except httpx.InvalidURL as error:
        raise DownloadFailed("the address of the picture is damaged", final=True) from error
    except FOREIGN_CLASSES as error:
        words = next(words for foreign, words in FOREIGN if isinstance(error, foreign))
        raise DownloadFailed(f"the picture's host: {words}", final=False) from error


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) >= len(pattern)
    return host == pattern


def _is_loopback(host: str) -> bool:
    address = address_of(host)
    return host == "localhost" or (address is not None and address.is_loopback)
