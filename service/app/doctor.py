"""`python -m service doctor`: looks at everything that a start and a render need, changes nothing, and says what to do.

One blob is put into the picture store, always the same one; nothing is ever deleted, migrated or spent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from service.app.doctor_inside import check_catalog, check_database, check_settings
from service.app.doctor_outside import check_accounts, check_pictures, check_public_url
from service.app.findings import Finding, Verdict
from service.clock import SystemClock
from service.settings import Configuration, Settings

_HIDDEN: Final = "***"


async def examined(configuration: Configuration) -> tuple[Finding, ...]:
    """Every finding, in the order of the start. Takes as long as the slowest answer, at most half a minute."""
    settings, clock = configuration.settings, SystemClock()
    looks: Sequence[Awaitable[list[Finding]]] = (
        check_settings(configuration),
        check_catalog(settings, clock),
        check_database(settings, clock),
        check_accounts(settings, clock),
        check_pictures(settings, clock),
        check_public_url(settings),
    )
    found = [one for look in await asyncio.gather(*looks) for one in look]
    secrets = _secrets(settings)
    return tuple(replace(one, text=_without(one.text, secrets)) for one in found)


def report(findings: Sequence[Finding], *, as_json: bool) -> str:
    """A line per finding, or one JSON object."""
    if as_json:
        checks = [{"check": one.check, "verdict": one.verdict.value, "text": one.text} for one in findings]
        return json.dumps({"ok": healthy(findings), "checks": checks}, ensure_ascii=False, indent=2) + "\n"
    width = max(len(one.check) for one in findings)
    return "".join(f"{one.verdict.value:<4}  {one.check:<{width}}  {one.text}\n" for one in findings)


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed; warnings don't count."""
    return all(one.verdict is not Verdict.FAIL for one in findings)


def _secrets(settings: Settings) -> list[str]:
    """What must not be printed, whatever a driver or a server says."""
    given = (
        settings.fal_key,
        settings.replicate_api_token,
        settings.r2_secret_access_key,
        settings.log_secret,
    )
    found = [one.get_secret_value() for one in given if one is not None]
    password = urlsplit(settings.database).password
    return [one for one in (*found, password) if one]


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return text
