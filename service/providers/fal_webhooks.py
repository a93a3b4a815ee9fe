"""Whether a webhook is fal's: ED25519 over four lines, with keys that fal publishes (fal docs: webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpx
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.domain.exchange import WebhookNotice
from service.domain.failure import ProviderUnavailable, WebhookForged
from service.domain.limits import webhook_keys_call_seconds_max
from service.ports import Clock
from service.providers.webhook_body import check_time, header, read_object
from service.providers.webhook_keys import KeptKeys
from service.providers.wire import Caller, calling_transport, no_answer, trust, usable_id

NAME: Final = "fal"
REST_URL: Final = "https://rest.fal.ai"
KEYS_COUNT_MAX: Final = 32
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

PublicKeys = tuple[Ed25519PublicKey, ...]


class FalWebhooks:
    """Verifies fal's webhooks. Implements `service.ports.WebhookCheck`.

    Nothing secret is needed: the keys are public, and fal's own for all its customers. A right signature therefore says that fal
    sent it, and the token in the address, which nobody can guess, says that it was meant for us.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        rest_url: str = REST_URL,
        call_seconds_max: float = webhook_keys_call_seconds_max,
        tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._clock = clock
        self._url = f"{rest_url.rstrip('/')}/.well-known/jwks.json"
        self._caller = Caller(
            NAME,
            {},
            [self._url],
            transport=transport or calling_transport(tls or trust()),
            seconds_max=call_seconds_max,
        )
        self._keys = KeptKeys(NAME, clock, self._fetch)

    @property
    def name(self) -> str:
        """`fal`."""
        return NAME

    async def check(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Verify, and answer both ids that fal may know the request by. See `service.ports.WebhookCheck.check`."""
        request_id = header(headers, "x-fal-webhook-request-id")
        user_id = header(headers, "x-fal-webhook-user-id")
        timestamp = header(headers, "x-fal-webhook-timestamp")
        signature = _signature(header(headers, "x-fal-webhook-signature"))
        check_time(timestamp, self._clock)
        digest = hashlib.sha256(body).hexdigest()
        message = f"{request_id}\n{user_id}\n{timestamp}\n{digest}".encode()
        keys = await self._keys.current()
        if not _is_signed(keys, signature, message):
            newer = await self._keys.newer(keys)
            if newer is None or not _is_signed(newer, signature, message):
                raise WebhookForged("no key of fal's made this signature", kind="bad_signature")
        return _notice(read_object(body))

    async def _fetch(self) -> PublicKeys:
        answer = await self._caller.ask("GET", self._url)
        data = answer.object()
        if answer.status != 200 or data is None:
            raise no_answer(NAME, answer, self._clock)
        listed = data.get("keys")
        found = [_key(one) for one in listed[:KEYS_COUNT_MAX]] if isinstance(listed, list) else []
        keys = tuple(key for key in found if key is not None)
        if not keys:
            raise ProviderUnavailable("fal: a key set without a usable key")
        return keys

    async def close(self) -> None:
        """Free the sockets; legal twice."""
        await self._caller.close()


def _signature(text: str) -> bytes:
    try:
        signature = bytes.fromhex(text)
    except ValueError as error:
        raise WebhookForged("a signature that is not hexadecimal", kind="bad_signature") from error
    if len(signature) != SIGNATURE_BYTES:
        raise WebhookForged("a signature of another length", kind="bad_signature")
    return signature


def _key(one: Any) -> Ed25519PublicKey | None:
    """A key of the set; None for one of another kind."""
    text = one.get("x") if isinstance(one, dict) else None
    if not isinstance(text, str) or not text.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return Ed25519PublicKey.from_public_bytes(raw) if len(raw) == KEY_BYTES else None
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None


def _is_signed(keys: PublicKeys, signature: bytes, message: bytes) -> bool:
    return any(_fits(key, signature, message) for key in keys)


def _fits(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _notice(data: Mapping[str, Any]) -> WebhookNotice:
    """After a retry of fal's own, `request_id` may name the try, and `gateway_request_id` what was submitted and
    can be asked for.
    """
    ids = [usable_id(data.get(name)) for name in ("gateway_request_id", "request_id")]
    known = list(dict.fromkeys(one for one in ids if one is not None))
    if not known:
        raise WebhookForged("a webhook about no request", kind="malformed_body")
    return WebhookNotice(known[0], tuple(known[1:]))
