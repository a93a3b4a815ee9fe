"""Whether a webhook is Replicate's: HMAC-SHA256 as Standard Webhooks has it (Replicate docs: verify webhooks)."""

from __future__ import annotations

import base64
import binascii
import hmac
import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from service.domain.exchange import WebhookNotice
from service.domain.failure import ProviderUnavailable, WebhookForged
from service.domain.limits import webhook_keys_call_seconds_max
from service.ports import Clock
from service.providers.webhook_body import check_time, header, read_object
from service.providers.webhook_keys import KeptKeys
from service.providers.wire import Caller, calling_transport, no_answer, trust, usable_id

NAME: Final = "replicate"
API_URL: Final = "https://api.replicate.com"
PREFIX: Final = "whsec_"
SIGNATURES_COUNT_MAX: Final = 16


class ReplicateWebhooks:
    """Verifies Replicate's webhooks. Implements `service.ports.WebhookCheck`.

    The package's own check is not used: it wants text for a body, takes any scheme, stumbles over one
    unreadable signature before a right one, and checks no time unless told to (observed with replicate
    1.0.7).
    """

    def __init__(
        self,
        token: str,
        clock: Clock,
        *,
        base_url: str = API_URL,
        call_seconds_max: float = webhook_keys_call_seconds_max,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._url = f"{base_url.rstrip('/')}/v1/webhooks/default/secret"
        self._caller = Caller(
            NAME,
            {"Authorization": f"Bearer {token}"},
            [self._url],
            transport=transport or calling_transport(tls or trust()),
            seconds_max=call_seconds_max,
        )
        self._secret = KeptKeys(NAME, clock, self._fetch)

    @property
    def name(self) -> str:
        """`replicate`."""
        return NAME

    async def check(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Verify, and answer the prediction's id. See `service.ports.WebhookCheck.check`."""
        message_id = header(headers, "webhook-id")
        timestamp = header(headers, "webhook-timestamp")
        signatures = _signatures(header(headers, "webhook-signature"))
        check_time(timestamp, self._clock)
        message = f"{message_id}.{timestamp}.".encode() + body
        secret = await self._secret.current()
        if not _is_signed(secret, signatures, message):
            newer = await self._secret.newer(secret)
            if newer is None or not _is_signed(newer, signatures, message):
                raise WebhookForged("our secret did not make this signature", kind="bad_signature")
        provider_id = usable_id(read_object(body).get("id"))
        if provider_id is None:
            raise WebhookForged("a webhook about no prediction", kind="malformed_body")
        return WebhookNotice(provider_id)

    async def _fetch(self) -> bytes:
        answer = await self._caller.ask("GET", self._url)
        data = answer.object()
        if answer.status != 200 or data is None:
            raise no_answer(NAME, answer, self._clock)
        secret = secret_of(data.get("key"))
        if secret is None:
            raise ProviderUnavailable("replicate: a webhook secret that is none")
        return secret

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self._caller.close()


def secret_of(text: object) -> bytes | None:
    """The bytes of `whsec_<base64>`; None for anything else. An empty secret is none: everybody knows it."""
    if not isinstance(text, str) or not text.startswith(PREFIX):
        return None
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _signatures(text: str) -> list[bytes]:
    """The `v1` signatures, decoded. Others, and what cannot be decoded, do not count."""
    found = []
    for one in text.split()[:SIGNATURES_COUNT_MAX]:
        scheme, _, encoded = one.partition(",")
        if scheme != "v1":
            continue
        try:
            found.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found


def _is_signed(secret: bytes, signatures: list[bytes], message: bytes) -> bool:
    """Compares each in constant time, the rest too when one fits."""
    right = hmac.digest(secret, message, "sha256")
    fitting = [hmac.compare_digest(right, one) for one in signatures]
    return True in fitting
