"""What was sent, in a form that can be compared with what a provider says it received."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def input_digest(body: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of an input as canonical JSON: keys sorted, `1.0` as `1`, members that are null left out.

    A provider lists inputs as its own JSON library writes them: order, spaces and the form of whole numbers change on the way.
    """
    text = json.dumps(_canonical(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_canonical(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
