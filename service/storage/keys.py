"""What a key of the picture store looks like: `images/<first 2 of sha256>/<sha256>.<extension>`."""

from __future__ import annotations

import hashlib
import re
from typing import Final

MIME_TYPES: Final = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "svg": "image/svg+xml",
}
"""Extension to content type. The bytes chose the extension, so it alone decides how a blob is served."""

_KEY: Final = re.compile(r"images/([0-9a-f]{2})/(\1[0-9a-f]{62})\.([a-z]{3,4})")


def mime_type_of(key: str) -> str | None:
    """The content type of a well-formed key; None for any other text (so no path leads out of the store)."""
    match = _KEY.fullmatch(key)
    return MIME_TYPES.get(match[3]) if match else None


def check_blob(key: str, content: bytes, mime_type: str) -> None:
    """Hold a blob against its key. Raises ValueError: whoever made the key made a mistake."""
    if mime_type_of(key) is None:
        raise ValueError(f"not a key of the picture store: {key!r}")
    if mime_type_of(key) != mime_type:
        raise ValueError(f"{key} cannot hold {mime_type}")
    if hashlib.sha256(content).hexdigest() != key.rsplit("/", 1)[1].partition(".")[0]:
        raise ValueError(f"{key} does not name these bytes")
