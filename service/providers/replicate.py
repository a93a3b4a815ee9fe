"""Replicate's predictions as a `Provider`. What may Replicate's HTTP 402 become? See `replicate_answers`."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from typing import Final
from urllib.parse import quote

import httpx
from replicate.client import Client
from replicate.exceptions import ReplicateError

from service.domain.exchange import CancelAnswer, DispatchAnswer, Order, Refused, Result, Status, Unclear
from service.domain.failure import ProviderDenied, ProviderUnavailable
from service.domain.limits import (
    dispatch_post_seconds_max,
    download_seconds_max,
    provider_call_seconds_max,
)
from service.ports import Clock
from service.providers.errors import FOREIGN, door
from service.providers.posting import OnePost, posting_transport
from service.providers.replicate_answers import judge_create, read_cancel, read_result, read_status
from service.providers.wire import (
    DENIED,
    USER_AGENT,
    Caller,
    GuardedTransport,
    calling_transport,
    trust,
    usable_url,
)

NAME: Final = "replicate"
CANCEL_AFTER_SECONDS_MIN: Final = 5
"""Replicate refuses less."""

PACKAGE_FAULTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    *FOREIGN,
    (ValueError, "an answer that the package cannot read"),
    (TypeError, "an answer of another shape"),
    (AttributeError, "an answer of another shape"),
)
"""Foreign exceptions of the package: no JSON and
a strict model's complaints are ValueErrors, an array as error body is an AttributeError inside it."""


class ReplicateProvider:
    """Replicate, through its HTTP API. Implements `service.ports.Provider`.

    Where the package is used: uploads (`files.async_create`). Its predictions are not: its strict model turns
    `aborted`, a null version or an object as error into exceptions, on the answer to a create too, where the
    id of a paid prediction would be lost; its transport repeats GETs on 429 and 503 and waits for any
    Retry-After, uncapped; the deadline of its creates is infinite, and `Cancel-After` cannot be set per call
    (observed with replicate 1.0.7).

    `endpoint` is `owner/name` for official models, which are priced by output, and `owner/name:version` for
    others, which are priced by time. `webhook_base_url`: the public address of our HTTP door, or None when
    Replicate cannot reach us.
    """

    def __init__(
        self,
        token: str,
        clock: Clock,
        *,
        base_url: str = "https://api.replicate.com",
        webhook_base_url: str | None = None,
        post_seconds_max: float = dispatch_post_seconds_max,
        call_seconds_max: float = provider_call_seconds_max,
        upload_seconds_max: float = download_seconds_max,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._base_url = base_url.rstrip("/")
        self._webhook_base_url = None if webhook_base_url is None else webhook_base_url.rstrip("/")
        self._upload_seconds_max = upload_seconds_max
        self._headers = {"Authorization": f"Bearer {token}"}
        origins = [self._base_url]
        tls = tls or trust()
        self._post = OnePost(
            NAME,
            clock,
            origins,
            transport=transport or posting_transport(tls),
            seconds_max=post_seconds_max,
        )
        self._transport = GuardedTransport(origins, transport or calling_transport(tls))
        self._caller = Caller(
            NAME, self._headers, origins, transport=self._transport, seconds_max=call_seconds_max
        )
        # Token, address and transport are given, so that nothing is taken from the environment.
        self._package = Client(
            api_token=token,
            base_url=self._base_url,
            transport=self._transport,
            headers={**self._headers, "User-Agent": USER_AGENT},
            trust_env=False,
        )

    @property
    def name(self) -> str:
        """`replicate`."""
        return NAME

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Create the prediction once. See `service.ports.Provider.dispatch`.

        `Cancel-After` ends a stuck prediction at Replicate itself, also when we are no longer there to cancel
        it.
        """
        seconds = max(CANCEL_AFTER_SECONDS_MIN, order.start_timeout_seconds + order.run_seconds_max)
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Cancel-After": f"{seconds}s",
        }
        url, envelope = self._create(order)
        sent = await self._post.send(url, headers, envelope, send_before)
        if sent is None or isinstance(sent, Refused | Unclear):
            return sent
        return judge_create(sent, self._clock)

    def _create(self, order: Order) -> tuple[str, bytes]:
        """Address and body. The input goes in as the bytes that were hashed."""
        fields: dict[str, object] = {}
        path = f"models/{quote(order.endpoint)}/predictions"
        if ":" in order.endpoint:
            fields["version"] = order.endpoint
            path = "predictions"
        if self._webhook_base_url is not None:
            fields["webhook"] = f"{self._webhook_base_url}/webhooks/{NAME}/{order.token}"
            fields["webhook_events_filter"] = ["completed"]
        rest = json.dumps(fields)[1:-1].encode()
        envelope = b'{"input":' + order.body + (b"," + rest if rest else b"") + b"}"
        return f"{self._base_url}/v1/{path}", envelope

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """One look, with the newest log lines (the same ones again on each look)."""
        del endpoint
        return read_status(await self._caller.ask("GET", self._url(provider_id)), self._clock)

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """The ended prediction with its metrics."""
        answer = await self._caller.ask("GET", self._url(provider_id))
        return read_result(answer, self._clock, priced_by_time=":" in endpoint)

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Ask Replicate to stop. A prediction that ran is charged all the same."""
        del endpoint
        return read_cancel(await self._caller.ask("POST", f"{self._url(provider_id)}/cancel"), self._clock)

    def _url(self, provider_id: str) -> str:
        return f"{self._base_url}/v1/predictions/{quote(provider_id, safe='')}"

    async def upload(self, content: bytes, mime_type: str) -> str:
        """Keep a picture at Replicate for a day, through the package: one POST, which it never repeats."""
        name = f"input.{mime_type.rpartition('/')[2]}"
        with door(NAME, PACKAGE_FAULTS):
            try:
                async with asyncio.timeout(self._upload_seconds_max):
                    file = await self._package.files.async_create(
                        io.BytesIO(content), filename=name, content_type=mime_type
                    )
            except ReplicateError as error:
                denied = error.status in DENIED
                raise (ProviderDenied if denied else ProviderUnavailable)(
                    f"replicate: HTTP {error.status}"
                ) from error
        url = usable_url(file.urls.get("get"))
        if url is None:
            raise ProviderUnavailable("replicate: an upload without an address")
        return url

    async def close(self) -> None:
        """Free the sockets; legal twice. The package has no close of its own; its sockets are in our
        transport.
        """
        await self._post.close()
        await self._caller.close()
        await self._transport.aclose()
