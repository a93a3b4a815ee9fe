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
from dataclasses import dataclass, replace
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.book import Book, Entry
from sandbox.catalog import Provider
from sandbox.chores import Chores
from sandbox.clock import SandboxClock
from sandbox.dice import Dice
from sandbox.options import SandboxOptions
from sandbox.outgoing import Outgoing

Bodies = Callable[[Entry], Mapping[str, Any]]
FAL_USER = "sandbox-user"
SENT_KEPT_MAX = 1_000
KEYS = 3
SPOILERS = ("forge_webhook", "truncate_webhook", "huge_webhook")
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


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery on its way. `cut`: the connection ends before the announced length."""

    provider: Provider
    request_id: str
    event: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    attempt: int = 0
    cut: bool = False


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
        self._dice = dice
        self._turn = 0
        self._fal_keys = [self._fal_key(number) for number in range(KEYS)]
        self.replicate_secret = self._replicate_secret(0)
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
        if late is not None and late.args["event"] in ("", event):
            await self._clock.sleep(self._clock.scaled(late.number("seconds")))
        for spoilt in self._spoilt(entry, event, url, body):
            await self.send(spoilt)
        if any(fault.kind in SPOILERS and fault.args.get("only") for fault in entry.faults):
            return
        gap_seconds, tries_max = RETRIES[entry.provider]
        tries_max = tries_max if event == "completed" else 1
        sent = self._parcel(entry, event, url, body)
        for attempt in range(1, tries_max + 1):
            # Each try is dated anew.
            sent = replace(self._parcel(entry, event, url, body), attempt=attempt)
            answer = await self.send(sent)
            if 200 <= answer < 300:
                break
            if 300 <= answer < 400:
                return
            if attempt < tries_max:
                await self._clock.sleep(self._clock.scaled(gap_seconds * 2 ** (attempt - 1)))
        repeat = entry.fault("repeat_webhook")
        for _ in range(0 if repeat is None else int(repeat.number("copies"))):
            await self.send(replace(self._parcel(entry, event, url, body), attempt=1))
        replay = entry.fault("replay_webhook")
        for _ in range(0 if replay is None else int(replay.number("copies"))):
            assert replay is not None
            await self._clock.sleep(self._clock.scaled(replay.number("seconds")))
            await self.send(sent)

    def _parcel(
        self, entry: Entry, event: str, url: str, body: bytes, *, forged: bool = False, cut: bool = False
    ) -> Parcel:
        stale = entry.fault("stale_webhook")
        age_seconds = 0 if stale is None else int(stale.number("seconds"))
        headers = self.sign(
            entry.provider, entry.id, body, event=event, forged=forged, age_seconds=age_seconds
        )
        return Parcel(entry.provider, entry.id, event, url, body, headers, cut=cut)

    def _spoilt(self, entry: Entry, event: str, url: str, body: bytes) -> list[Parcel]:
        """What comes before the right webhook."""
        found = []
        for fault in entry.faults:
            match fault.kind:
                case "forge_webhook":
                    found.append(self._parcel(entry, event, url, body, forged=True))
                case "truncate_webhook" if fault.flag("cut"):
                    found.append(self._parcel(entry, event, url, body, cut=True))
                case "truncate_webhook":
                    half = body[: len(body) // 2]
                    whole = self._parcel(entry, event, url, half if fault.flag("signed") else body)
                    found.append(replace(whole, body=half))
                case "huge_webhook":
                    padding = b" " * max(0, int(fault.number("bytes")) - len(body))
                    found.append(self._parcel(entry, event, url, body + padding))
                case "stray_webhook":
                    found.append(self._stray(entry, event, url, same_token=fault.flag("same_token")))
                case _:
                    continue
        return found

    def _stray(self, entry: Entry, event: str, url: str, *, same_token: bool) -> Parcel:
        number = self._dice.next_number()
        fal = entry.provider == "fal"
        request_id = self._dice.fal_id(number) if fal else self._dice.replicate_id(number)
        body = stray_body(entry.provider, request_id)
        to = url if same_token else url.rsplit("/", 1)[0] + f"/{hashlib.sha256(body).hexdigest()[:32]}"
        return Parcel(
            entry.provider, request_id, event, to, body, self.sign(entry.provider, request_id, body)
        )

    async def send(self, parcel: Parcel) -> int:
        """One delivery; the HTTP status of its answer, 0 when there was none."""
        headers = {"Content-Type": "application/json", **parcel.headers}
        async with self._gate:
            try:
                response = await self._outgoing.post(parcel.url, parcel.body, headers, cut=parcel.cut)
                answer = response.status_code
            except httpx.HTTPError:
                answer = 0
        self._book.totals[parcel.provider].webhooks_sent += 1
        self.sent.append(
            Sent(parcel.provider, parcel.request_id, parcel.event, parcel.url, parcel.attempt, answer)
        )
        return answer

    def allows(self, url: str) -> bool:
        """Whether a webhook may be sent there."""
        return self._outgoing.allows(url)

    def rotate(self) -> None:
        """Sign with new keys from now on. fal goes on publishing two of the old ones."""
        self._turn += 1
        self._fal_keys = [self._fal_keys[2], self._fal_key(KEYS + self._turn), self._fal_keys[0]]
        self.replicate_secret = self._replicate_secret(self._turn)

    def _fal_key(self, number: int) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256(f"{self._dice.picture_seed(str(number))}|{number}".encode()).digest()
        )

    def _replicate_secret(self, number: int) -> str:
        name = "replicate webhook secret" + (f" {number}" if number else "")
        secret = hashlib.sha256(f"{self._dice.picture_seed(name)}".encode()).digest()[:24]
        return "whsec_" + base64.b64encode(secret).decode()

    def sign(
        self,
        provider: Provider,
        request_id: str,
        body: bytes,
        *,
        event: str = "completed",
        forged: bool = False,
        age_seconds: int = 0,
    ) -> dict[str, str]:
        """The signature headers of one delivery."""
        timestamp = self._clock.real_unix_seconds() - age_seconds
        if provider == "fal":
            return self._sign_fal(request_id, timestamp, body, forged=forged)
        message_id = f"msg_{request_id.replace('-', '')}_{event}"
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


def stray_body(provider: Provider, request_id: str) -> bytes:
    """A webhook's body about a request that is not in the book."""
    if provider == "fal":
        ids = {"request_id": request_id, "gateway_request_id": request_id}
        return json.dumps({**ids, "status": "OK", "payload": {}}).encode()
    return json.dumps({"id": request_id, "status": "succeeded", "output": [], "metrics": {}}).encode()


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
