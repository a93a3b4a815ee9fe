"""Webhooks: signed like each provider signs them, sent, and sent again when the receiver did not answer 2xx.

fal signs with ED25519 over four lines and publishes its keys as a JWKS; Replicate uses the Standard Webhooks
HMAC.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.book import Book, Entry
from sandbox.chores import Chores
from sandbox.clock import SandboxClock
from sandbox.dice import Dice
from sandbox.options import SandboxOptions
from sandbox.outgoing import Outgoing

Bodies = Callable[[Entry], Mapping[str, Any]]
FAL_USER = "sandbox-user"
SENT_KEPT_MAX = 1_000
KEYS = 3
ROTATED_SECRET = "whsec_" + base64.b64encode(b"a secret of the past").decode()
RETRIES = {"fal": (15.0, 9), "replicate": (2.0, 5)}
"""First gap in seconds, each further one twice as long, and tries: over an hour at fal, half a minute."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery try, as `GET /admin/webhooks` shows it. `answer`: HTTP status, 0 when there was none."""

    provider: str
    request_id: str
    event: str
    url: str
    attempt: int
    answer: int


class Webhooks:
    """Keys and deliveries. The doors give it the bodies, because those are theirs to write."""

    def __init__(
        self,
        options: SandboxOptions,
        clock: SandboxClock,
        dice: Dice,
        book: Book,
        chores: Chores,
        outgoing: Outgoing,
    ) -> None:
        self._options = options
        self._clock = clock
        self._book = book
        self._chores = chores
        self._gate = asyncio.Semaphore(options.webhook_parallel_max)
        self._outgoing = outgoing
        self._fal_keys = [
            Ed25519PrivateKey.from_private_bytes(
                hashlib.sha256(f"{dice.picture_seed(str(n))}|{n}".encode()).digest()
            )
            for n in range(KEYS)
        ]
        secret = hashlib.sha256(f"{dice.picture_seed('replicate webhook secret')}".encode()).digest()[:24]
        self.replicate_secret = "whsec_" + base64.b64encode(secret).decode()
        self.sent: deque[Sent] = deque(maxlen=SENT_KEPT_MAX)
        self.bodies: dict[str, Bodies] = {}

    def jwks(self) -> dict[str, Any]:
        """fal's public keys. The one that signs is neither the first nor the only one."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "use": "sig",
                    "kid": f"sandbox-{number}",
                    "x": _unpadded(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
                }
                for number, key in enumerate(self._fal_keys)
            ]
        }

    def announce(self, entry: Entry, event: str) -> None:
        """Send what the receiver of this request asked to hear about this event."""
        if entry.webhook_url is None or event not in entry.webhook_events:
            return
        if entry.fault("lose_webhook") is not None or not self._outgoing.allows(entry.webhook_url):
            return
        body = json.dumps(self.bodies[entry.provider](entry)).encode()
        self._chores.start(self._deliver(entry, event, entry.webhook_url, body))

    async def _deliver(self, entry: Entry, event: str, url: str, body: bytes) -> None:
        late = entry.fault("delay_webhook")
        if late is not None:
            await self._clock.sleep(self._clock.scaled(late.number("seconds")))
        message_id = f"msg_{entry.id.replace('-', '')}_{event}"
        forged = entry.fault("forge_webhook")
        if forged is not None:
            await self._post(entry, event, url, body, self.sign(entry, message_id, body, forged=True), 0)
            if forged.flag("only"):
                return
        gap_seconds, tries_max = RETRIES[entry.provider]
        tries_max = tries_max if event == "completed" else 1
        for attempt in range(1, tries_max + 1):
            answer = await self._post(entry, event, url, body, self.sign(entry, message_id, body), attempt)
            if 200 <= answer < 300:
                break
            if 300 <= answer < 400:
                return
            if attempt < tries_max:
                await self._clock.sleep(self._clock.scaled(gap_seconds * 2 ** (attempt - 1)))
        repeat = entry.fault("repeat_webhook")
        for _ in range(0 if repeat is None else int(repeat.number("copies"))):
            await self._post(entry, event, url, body, self.sign(entry, message_id, body), 1)

    async def _post(
        self, entry: Entry, event: str, url: str, body: bytes, headers: Mapping[str, str], attempt: int
    ) -> int:
        async with self._gate:
            try:
                response = await self._outgoing.post(
                    url, body, {"Content-Type": "application/json", **headers}
                )
                answer = response.status_code
            except httpx.HTTPError:
                answer = 0
        self._book.totals[entry.provider].webhooks_sent += 1
        self.sent.append(Sent(entry.provider, entry.id, event, url, attempt, answer))
        return answer

    def sign(self, entry: Entry, message_id: str, body: bytes, *, forged: bool = False) -> dict[str, str]:
        """The signature headers of one delivery."""
        timestamp = self._clock.real_unix_seconds()
        stale = entry.fault("stale_webhook")
        if stale is not None:
            timestamp -= int(stale.number("seconds"))
        if entry.provider == "fal":
            return self._sign_fal(entry.id, timestamp, body, forged=forged)
        return self._sign_replicate(message_id, timestamp, body, forged=forged)

    def _sign_fal(self, request_id: str, timestamp: int, body: bytes, *, forged: bool) -> dict[str, str]:
        signature = fal_signature(self._fal_keys[1], request_id, FAL_USER, timestamp, body)
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": FAL_USER,
            "X-Fal-Webhook-Timestamp": str(timestamp),
            "X-Fal-Webhook-Signature": ("00" + signature[2:]) if forged else signature,
        }

    def _sign_replicate(
        self, message_id: str, timestamp: int, body: bytes, *, forged: bool
    ) -> dict[str, str]:
        signatures = [replicate_signature(ROTATED_SECRET, message_id, timestamp, body)]
        if not forged:
            signatures.append(replicate_signature(self.replicate_secret, message_id, timestamp, body))
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }


def fal_signature(key: Ed25519PrivateKey, request_id: str, user_id: str, timestamp: int, body: bytes) -> str:
    """fal's: ED25519 over id, user, time and the body's SHA-256, one a line; hex (fal docs: webhooks)."""
    digest = hashlib.sha256(body).hexdigest()
    return key.sign(f"{request_id}\n{user_id}\n{timestamp}\n{digest}".encode()).hex()


def replicate_signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Replicate's: HMAC-SHA256 as Standard Webhooks has it, with its version in front."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(signature).decode()


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
