"""What the sandbox says to others: webhooks, and requests for input pictures. Loopback, unless allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import httpx

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
REQUEST_SECONDS = 15.0


class Outgoing:
    """One HTTP client, made when it is first needed: loading the system's certificates takes a while."""

    def __init__(self, allowed_hosts: tuple[str, ...]) -> None:
        self._hosts = (*LOOPBACK_HOSTS, *allowed_hosts)
        self._client: httpx.AsyncClient | None = None

    def allows(self, url: str) -> bool:
        """Whether the sandbox may talk to this address at all."""
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.hostname in self._hosts

    async def get(self, url: str) -> httpx.Response:
        """GET without redirects. Raises httpx.HTTPError."""
        return await self._open().get(url)

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, cut: bool = False
    ) -> httpx.Response:
        """POST without redirects. Raises httpx.HTTPError. `cut`: announce all of it, send half, hang up, and raise."""
        if not cut:
            return await self._open().post(url, content=body, headers=dict(headers))
        announced = {**headers, "Content-Length": str(len(body))}
        return await self._open().post(url, content=_half(body), headers=announced)

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=REQUEST_SECONDS, trust_env=False, follow_redirects=False)
        return self._client

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def _half(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise httpx.WriteError("cut on purpose")
