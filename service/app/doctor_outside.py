"""The doctor's checks of what is reached over a wire or a disk: the providers' keys, the picture store, the public address."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Final

from service.app.accounts import (
    FAL_API_URL,
    REPLICATE_URL,
    SANDBOX_FAL_KEY,
    SANDBOX_REPLICATE_TOKEN,
    webhook_base_url,
)
from service.app.findings import Finding, cause_of, clock_finding, fail, ok, warn
from service.app.parts import open_bucket
from service.domain.errors import StorageUnavailable
from service.ports import Clock
from service.providers.visits import Visit, visit, visit_fal, visit_replicate
from service.settings import Settings, host_of
from service.storage.folder import FolderBlobs
from service.storage.s3 import S3Blobs

PICTURES_SECONDS_MAX: Final = 20.0
FAL_ENDPOINT: Final = "fal-ai/flux/schnell"
"""Any endpoint that has a price."""
_REFUSED: Final = frozenset({401, 402, 403})
_PROBE: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""One pixel. Always the same, so that it is stored once."""
_PROBE_SHA: Final = hashlib.sha256(_PROBE).hexdigest()
PROBE_KEY: Final = f"images/{_PROBE_SHA[:2]}/{_PROBE_SHA}.png"
_NO_TOKEN: Final = "0" * 32


async def check_accounts(settings: Settings, clock: Clock) -> list[Finding]:
    """Whether the providers take our keys, by a call that costs nothing; and whether their clocks agree with ours."""
    found = await asyncio.gather(_fal(settings, clock), _replicate(settings, clock))
    return [one for findings in found for one in findings]


async def _fal(settings: Settings, clock: Clock) -> list[Finding]:
    check = "fal"
    if settings.fal_sandboxed:
        if settings.sandbox_url is None:
            return [ok(check, "played by the sandbox, which the service starts itself; needs no key")]
        seen = await visit_fal(f"{settings.sandbox_url}/fal/api/v1", SANDBOX_FAL_KEY, FAL_ENDPOINT)
        return [_played(check, settings.sandbox_url, seen)]
    if settings.fal_key is None:
        return [ok(check, "not offered: there is no FAL_KEY")]
    seen = await visit_fal(
        settings.fal_api_url or FAL_API_URL, settings.fal_key.get_secret_value(), FAL_ENDPOINT
    )
    return _judged(check, "FAL_KEY", seen, clock)


async def _replicate(settings: Settings, clock: Clock) -> list[Finding]:
    check = "replicate"
    if settings.replicate_sandboxed:
        if settings.sandbox_url is None:
            return [ok(check, "played by the sandbox, which the service starts itself; needs no token")]
        seen = await visit_replicate(f"{settings.sandbox_url}/replicate", SANDBOX_REPLICATE_TOKEN)
        return [_played(check, settings.sandbox_url, seen)]
    if settings.replicate_api_token is None:
        return [ok(check, "not offered: there is no REPLICATE_API_TOKEN")]
    seen = await visit_replicate(
        settings.replicate_url or REPLICATE_URL, settings.replicate_api_token.get_secret_value()
    )
    return _judged(check, "REPLICATE_API_TOKEN", seen, clock)


def _played(check: str, url: str, seen: Visit) -> Finding:
    if seen.status == 200:
        return ok(check, f"played by the sandbox at {url}")
    return fail(check, f"the sandbox at {url} {_said(seen)}; is `python -m sandbox` running there?")


def _judged(check: str, variable: str, seen: Visit, clock: Clock) -> list[Finding]:
    if seen.fault:
        text = f"{seen.fault}; calls to the provider need a way out of this network"
        return [fail(check, text)]
    if seen.status == 200:
        found = [ok(check, "takes the key")]
    elif seen.status in _REFUSED:
        text = f"refuses {variable} (HTTP {seen.status}): is it whole, in force, and is the account paid up?"
        found = [fail(check, text)]
    else:
        text = f"answers HTTP {seen.status}, which says nothing about the key; try again later"
        found = [warn(check, text)]
    if seen.served_at is not None:
        found.append(clock_finding(check, seen.served_at, clock.now(), grain_seconds=1.0))
    return found


def _said(seen: Visit) -> str:
    return seen.fault or f"answers HTTP {seen.status}"


# ---------------------------------------------------------------- pictures


async def check_pictures(settings: Settings, clock: Clock) -> list[Finding]:
    """Write, read back, and read as a caller would. The probe stays: nothing is deleted from a picture store."""
    store, where = open_bucket(settings, clock, reached_by_providers=False)
    try:
        async with asyncio.timeout(PICTURES_SECONDS_MAX):
            return [await _stored(store, where), *await _shown(store)]
    except TimeoutError:
        return [fail("pictures", f"{where}: no answer within {PICTURES_SECONDS_MAX:.0f} s")]
    except StorageUnavailable as error:
        return [fail("pictures", f"{where}: {cause_of(error)}")]
    finally:
        await store.close()


async def _stored(store: FolderBlobs | S3Blobs, where: str) -> Finding:
    await store.ready()
    await store.put(PROBE_KEY, _PROBE, "image/png")
    if await store.get(PROBE_KEY) != _PROBE:
        return fail("pictures", f"{where}: what is read is not what was written")
    return ok("pictures", f"{where} can be written and read")


async def _shown(store: FolderBlobs | S3Blobs) -> list[Finding]:
    """A folder is shown by the running service; a bucket by its own address."""
    if isinstance(store, FolderBlobs):
        return []
    url, _ = store.url(PROBE_KEY)
    host = host_of(url).host
    seen = await visit(url)
    if seen.status == 200 and seen.body == _PROBE:
        return [ok("picture addresses", f"callers can read them at {host}")]
    text = (
        f"{host} {_said(seen)} where callers read: check R2_PUBLIC_BASE_URL, or the rights of the credentials"
    )
    return [fail("picture addresses", text)]


# ---------------------------------------------------------------- the public address


async def check_public_url(settings: Settings) -> list[Finding]:
    """Whether this service answers at its public address, and whether webhooks get through to it."""
    url = settings.public_url
    if url is None:
        return [ok("public URL", "none is set: results are found by polling alone")]
    seen = await visit(f"{url}/healthz")
    if seen.status != 200 or seen.body != b"ok\n":
        other = "" if seen.fault else ", not with this service's page"
        hint = "is it running, and does the proxy lead to it?"
        return [fail("public URL", f"{url}/healthz {_said(seen)}{other}; {hint}")]
    through = await asyncio.gather(*(_webhooks(settings, url, provider) for provider in settings.providers))
    return [ok("public URL", f"{url} leads to the service"), *through]


async def _webhooks(settings: Settings, url: str, provider: str) -> Finding:
    """Send a forged one: it must be refused by the service itself, not by whatever stands before it."""
    check = f"webhooks of {provider}"
    if webhook_base_url(url, _address_of(settings, provider)) is None:
        return ok(check, f"{provider} can't reach {url}: its results are found by polling")
    seen = await visit(f"{url}/webhooks/{provider}/{_NO_TOKEN}", method="POST", content=b"{}")
    if seen.status == 401 and _is_ours(seen.body):
        return ok(check, "get through; a forged one was refused")
    if seen.status == 503 and _is_ours(seen.body):
        text = (
            "get through, but the service can't check them now: the database or the provider's keys are away"
        )
        return warn(check, text)
    text = f"{url}/webhooks/ {_said(seen)} to a forged one; let the proxy pass POST /webhooks/ on unchanged"
    return fail(check, text)


def _address_of(settings: Settings, provider: str) -> str:
    if provider == "fal":
        played, own = settings.fal_sandboxed, settings.fal_queue_url
    else:
        played, own = settings.replicate_sandboxed, settings.replicate_url
    return (settings.sandbox_url or "http://127.0.0.1") if played else own or f"https://{provider}.invalid"


def _is_ours(body: bytes) -> bool:
    try:
        told = json.loads(body)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("error") in {"not accepted", "unavailable"}
