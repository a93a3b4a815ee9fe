"""fal's queue as a `Provider`. What may fal's HTTP 429 become? See `fal_answers`."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

import fal_client
import httpx
from fal_client.client import CDN_URL, QUEUE_URL_FORMAT, REST_URL, AppId

from service.domain.exchange import (
    CancelAnswer,
    DispatchAnswer,
    Ended,
    Order,
    Refused,
    Result,
    Status,
    Unclear,
)
from service.domain.failure import ProviderUnavailable
from service.domain.limits import (
    dispatch_post_seconds_max,
    download_seconds_max,
    provider_call_seconds_max,
)
from service.ports import Clock
from service.providers.fal_answers import judge_submit, never_ran, read_cancel, read_result, read_status
from service.providers.posting import OnePost, posting_transport
from service.providers.wire import Answer, Caller, calling_transport, no_answer, trust, usable_url

NAME: Final = "fal"
FILES_KEPT_SECONDS: Final = 48 * 3600
"""How long fal is asked to keep the pictures of a request."""
RESULT_PROMISED_SECONDS: Final = 24 * 3600
"""What we count on: true as long as the result is read within a day of its end."""
UPLOAD_KEPT_SECONDS: Final = 24 * 3600


class FalProvider:
    """fal, through its queue. Implements `service.ports.Provider`.

    Where the package is used: `AsyncRequestHandle` holds a request's addresses and our client, `AppId` knows
    which part of an endpoint id they contain. Its calls are not: submit, status, result and cancel are each
    repeated up to ten times inside the package, submits included; its parser trips over unknown words and
    missing keys; the header with the billed units and the difference between 200 and 202 of a cancel are
    dropped; an `AsyncClient` takes no address, so uploads could be sent elsewhere only by assigning the
    package's module constants, for everybody in the process.

    `webhook_base_url`: the public address of our HTTP door, or None when fal cannot reach us. The URLs in
    fal's answers are never followed: they are rebuilt from the id, and the transport lets the key out to our
    own origins only.
    """

    def __init__(
        self,
        key: str,
        clock: Clock,
        *,
        queue_url: str = QUEUE_URL_FORMAT,
        rest_url: str = REST_URL,
        cdn_url: str = CDN_URL,
        webhook_base_url: str | None = None,
        post_seconds_max: float = dispatch_post_seconds_max,
        call_seconds_max: float = provider_call_seconds_max,
        upload_seconds_max: float = download_seconds_max,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._key = key
        self._clock = clock
        self._queue_url = queue_url.rstrip("/")
        self._rest_url = rest_url.rstrip("/")
        self._cdn_url = cdn_url.rstrip("/")
        self._webhook_base_url = None if webhook_base_url is None else webhook_base_url.rstrip("/")
        tls = tls or trust()
        self._post = OnePost(
            NAME,
            clock,
            [self._queue_url],
            transport=transport or posting_transport(tls),
            seconds_max=post_seconds_max,
        )
        calling = transport or calling_transport(tls)
        self._caller = Caller(
            NAME,
            {"Authorization": f"Key {key}"},
            [self._queue_url, self._rest_url],
            transport=calling,
            seconds_max=call_seconds_max,
        )
        self._cdn = Caller(NAME, {}, [self._cdn_url], transport=calling, seconds_max=upload_seconds_max)

    @property
    def name(self) -> str:
        """`fal`."""
        return NAME

    async def dispatch(self, order: Order, send_before: float) -> DispatchAnswer | None:
        """Submit once. See `service.ports.Provider.dispatch`."""
        url = f"{self._queue_url}/{quote(order.endpoint)}"
        if self._webhook_base_url is not None:
            webhook_url = f"{self._webhook_base_url}/webhooks/{NAME}/{order.token}"
            url += "?" + urlencode({"fal_webhook": webhook_url})
        sent = await self._post.send(url, self._submit_headers(order), order.body, send_before)
        if sent is None or isinstance(sent, Refused | Unclear):
            return sent
        return judge_submit(sent, self._clock)

    def _submit_headers(self, order: Order) -> dict[str, str]:
        """The headers of a submit.

        `X-Fal-No-Retry` is not sent: what fal's queue repeats by itself (503, 504, lost runners) keeps one id
        and one bill, costs nothing where it fails, and ends at the start timeout; without it we would fail
        over for money.
        """
        return {
            "Authorization": f"Key {self._key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "X-Fal-Request-Timeout": str(order.start_timeout_seconds),
            # The model that is billed must be the model that was asked for.
            "x-app-fal-disable-fallback": "true",
            "X-Fal-Object-Lifecycle-Preference": json.dumps(
                {"expiration_duration_seconds": FILES_KEPT_SECONDS}
            ),
        }

    async def poll(self, endpoint: str, provider_id: str) -> Status:
        """One look, with the newest log lines (the same ones again on each look)."""
        url = self._handle(endpoint, provider_id).status_url
        return read_status(await self._caller.ask("GET", url, params={"logs": "1"}), self._clock)

    async def result(self, endpoint: str, provider_id: str) -> Result:
        """The result with its evidence, which is in a header that fal-client does not show.

        A cancelled request answers the same error whether it was taken out of the queue or stopped under way: whether it ran, and
        so may be billed, is told by its status.
        """
        handle = self._handle(endpoint, provider_id)
        answer = await self._caller.ask("GET", handle.response_url)
        result = read_result(answer, self._clock, kept_seconds=RESULT_PROMISED_SECONDS)
        if result.ended is Ended.CANCELLED and not result.billable_units:
            status = await self._caller.ask("GET", handle.status_url, params={"logs": "1"})
            return replace(result, surely_unbilled=never_ran(status))
        return result

    async def cancel(self, endpoint: str, provider_id: str) -> CancelAnswer:
        """Ask fal to stop. Only CANCELLED says that it did not run."""
        url = self._handle(endpoint, provider_id).cancel_url
        return read_cancel(await self._caller.ask("PUT", url), self._clock)

    def _handle(self, endpoint: str, provider_id: str) -> fal_client.AsyncRequestHandle:
        """The request's addresses: owner and app of the endpoint, whatever path follows them."""
        app = AppId.from_endpoint_id(endpoint)
        parts = [part for part in (app.namespace, app.owner, app.alias) if part]
        path = "/".join(quote(part, safe="") for part in parts)
        root = f"{self._queue_url}/{path}/requests/{quote(provider_id, safe='')}"
        return fal_client.AsyncRequestHandle(
            request_id=provider_id,
            response_url=root,
            status_url=f"{root}/status",
            cancel_url=f"{root}/cancel",
            client=self._caller.client,
        )

    async def upload(self, content: bytes, mime_type: str) -> str:
        """Put a picture on fal's CDN for a day: the two requests that fal-client 1.0.3 makes, to our own
        addresses.

        The CDN gets a token that is good for uploads only; the key stays with the REST host.
        """
        asked = await self._caller.ask(
            "POST",
            f"{self._rest_url}/storage/auth/token",
            params={"storage_type": "fal-cdn-v3"},
            headers={"Content-Type": "application/json"},
            content=b"{}",
        )
        token = self._read(asked)
        answer = await self._cdn.ask(
            "POST",
            f"{self._cdn_url}/files/upload",
            headers={
                "Authorization": f"{token.get('token_type')} {token.get('token')}",
                "Content-Type": mime_type,
                "X-Fal-Object-Lifecycle": _kept_for(UPLOAD_KEPT_SECONDS),
            },
            content=content,
        )
        url = usable_url(self._read(answer).get("access_url"))
        if url is None:
            raise ProviderUnavailable("fal: an upload without an address")
        return url

    def _read(self, answer: Answer) -> dict[str, Any]:
        data = answer.object()
        if not 200 <= answer.status < 300 or data is None:
            raise no_answer(NAME, answer, self._clock)
        return dict(data)

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self._post.close()
        await self._caller.close()
        await self._cdn.close()


def _kept_for(seconds: int) -> str:
    return json.dumps({"expiration_duration_seconds": seconds})
