"""What both webhook checks do with headers, times and bodies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from service.domain.failure import WebhookForged
from service.domain.limits import MICROS_PER_SECOND, webhook_age_seconds_max
from service.ports import Clock

TIMESTAMP_DIGITS_MAX: Final = 12
HEADER_CHARACTERS_MAX: Final = 4_096


def header(headers: Mapping[str, str], name: str) -> str:
    """One header. Raises WebhookForged(`missing_header` or `malformed_header`)."""
    text = headers.get(name, "")
    if not text:
        raise WebhookForged(f"a webhook without {name}", kind="missing_header")
    if not text.isascii() or not text.isprintable() or len(text) > HEADER_CHARACTERS_MAX:
        raise WebhookForged(f"a webhook with an unreadable {name}", kind="malformed_header")
    return text


def check_time(text: str, clock: Clock) -> None:
    """Whether a timestamp in Unix seconds is near enough to now. Raises WebhookForged(`malformed_header` or `stale`)."""
    if not text.isdigit() or len(text) > TIMESTAMP_DIGITS_MAX:
        raise WebhookForged("a webhook whose time is no number", kind="malformed_header")
    age_seconds = clock.now() / MICROS_PER_SECOND - int(text)
    if abs(age_seconds) > webhook_age_seconds_max:
        raise WebhookForged(f"a webhook of {age_seconds:.0f} s ago", kind="stale")


def read_object(body: bytes) -> Mapping[str, Any]:
    """The body as a JSON object. Raises WebhookForged(`malformed_body`)."""
    try:
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WebhookForged("a webhook that is no JSON", kind="malformed_body") from error
    if not isinstance(data, dict):
        raise WebhookForged("a webhook that is no JSON object", kind="malformed_body")
    return data
