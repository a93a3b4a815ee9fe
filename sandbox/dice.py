"""Ids and chance, both made from one secret: with a seed they repeat, without one they never do."""

from __future__ import annotations

import base64
import hashlib
import os
import uuid


class Dice:
    """Ids in each provider's form, and numbers between 0 and 1 that belong to an id."""

    def __init__(self, seed: int | None) -> None:
        self._secret = os.urandom(16) if seed is None else str(seed).encode()
        self._count = 0

    def _digest(self, *parts: object) -> bytes:
        return hashlib.sha256(b"|".join([self._secret, *(str(part).encode() for part in parts)])).digest()

    def next_number(self) -> int:
        """The next of 1, 2, 3 and so on."""
        self._count += 1
        return self._count

    def fal_id(self, number: int) -> str:
        """A UUID."""
        return str(uuid.UUID(bytes=self._digest("fal", number)[:16], version=4))

    def replicate_id(self, number: int) -> str:
        """26 lowercase base32 characters."""
        return base64.b32encode(self._digest("replicate", number))[:26].decode().lower()

    def file_id(self, number: int) -> str:
        """A name for an uploaded file."""
        return base64.b32encode(self._digest("file", number))[:24].decode().lower()

    def share(self, request_id: str, purpose: str) -> float:
        """A number in [0, 1) that depends on the id and the purpose only."""
        return int.from_bytes(self._digest(request_id, purpose)[:6]) / 2**48

    def picture_seed(self, request_id: str) -> int:
        """The seed of a request that named none: 32 bits."""
        return int.from_bytes(self._digest(request_id, "seed")[:4])
