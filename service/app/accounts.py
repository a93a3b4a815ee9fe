"""The providers that the settings name: each with its adapter, its own books, and the check of its webhooks."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from service.ports import Clock
from service.providers.fal import FalProvider
from service.providers.fal_records import FalRecords
from service.providers.fal_webhooks import FalWebhooks
from service.providers.replicate import ReplicateProvider
from service.providers.replicate_records import ReplicateRecords
from service.providers.replicate_webhooks import ReplicateWebhooks
from service.providers.sandbox_process import SandboxAddress
from service.providers.wire import trust
from service.settings import Settings, host_of

_FAL_QUEUE_URL = "https://queue.fal.run"
_FAL_REST_URL = "https://rest.fal.ai"
_FAL_CDN_URL = "https://v3.fal.media"
FAL_API_URL = "https://api.fal.ai/v1"
REPLICATE_URL = "https://api.replicate.com"
SANDBOX_FAL_KEY = "sandbox:key"
SANDBOX_REPLICATE_TOKEN = "sandbox"  # noqa: S105 -- the sandbox takes any; it is no secret


@dataclass(frozen=True, slots=True)
class Account:
    """One provider, as we are known to it."""

    provider: FalProvider | ReplicateProvider
    records: FalRecords | ReplicateRecords
    check: FalWebhooks | ReplicateWebhooks
    webhooks_on: bool
    """Whether its requests say where to send webhooks."""
    described: str

    async def close(self) -> None:
        """Free all sockets; legal twice."""
        await self.check.close()
        await self.records.close()
        await self.provider.close()


def accounts(settings: Settings, clock: Clock, sandbox: SandboxAddress | None) -> Mapping[str, Account]:
    """One per provider that is offered, by name."""
    tls = trust()
    found = {}
    if settings.fal_sandboxed and sandbox is not None:
        found["fal"] = _fal(settings, clock, tls, sandbox)
    elif settings.fal_key is not None:
        found["fal"] = _fal(settings, clock, tls, None)
    if settings.replicate_sandboxed and sandbox is not None:
        found["replicate"] = _replicate(settings, clock, tls, sandbox)
    elif settings.replicate_api_token is not None:
        found["replicate"] = _replicate(settings, clock, tls, None)
    return found


def _fal(settings: Settings, clock: Clock, tls: ssl.SSLContext, sandbox: SandboxAddress | None) -> Account:
    admin_key = settings.fal_admin_key
    if sandbox is not None:
        key, admin_key, described = SANDBOX_FAL_KEY, None, "fal (sandbox: nothing is spent)"
        queue, rest = f"{sandbox.fal_url}/queue", f"{sandbox.fal_url}/rest"
        cdn, api = sandbox.fal_url, f"{sandbox.fal_url}/api/v1"
    else:
        assert settings.fal_key is not None, "fal is offered with a key, or played"
        key, described = settings.fal_key.get_secret_value(), "fal"
        queue, rest = settings.fal_queue_url or _FAL_QUEUE_URL, settings.fal_rest_url or _FAL_REST_URL
        cdn, api = settings.fal_cdn_url or _FAL_CDN_URL, settings.fal_api_url or FAL_API_URL
    base = webhook_base_url(settings.public_url, queue)
    provider = FalProvider(
        key, clock, queue_url=queue, rest_url=rest, cdn_url=cdn, webhook_base_url=base, tls=tls
    )
    return Account(
        provider=provider,
        records=FalRecords(
            key,
            clock,
            admin_key=None if admin_key is None else admin_key.get_secret_value(),
            platform_url=api,
            tls=tls,
        ),
        check=FalWebhooks(clock, rest_url=rest, tls=tls),
        webhooks_on=base is not None,
        described=described,
    )


def _replicate(
    settings: Settings, clock: Clock, tls: ssl.SSLContext, sandbox: SandboxAddress | None
) -> Account:
    if sandbox is not None:
        token, described = SANDBOX_REPLICATE_TOKEN, "Replicate (sandbox: nothing is spent)"
        url = sandbox.replicate_url
    else:
        assert settings.replicate_api_token is not None, "Replicate is offered with a token, or played"
        token, described = settings.replicate_api_token.get_secret_value(), "Replicate"
        url = settings.replicate_url or REPLICATE_URL
    base = webhook_base_url(settings.public_url, url)
    return Account(
        provider=ReplicateProvider(token, clock, base_url=url, webhook_base_url=base, tls=tls),
        records=ReplicateRecords(token, clock, base_url=url, tls=tls),
        check=ReplicateWebhooks(token, clock, base_url=url, tls=tls),
        webhooks_on=base is not None,
        described=described,
    )


def webhook_base_url(public_url: str | None, provider_url: str) -> str | None:
    """Where this provider is told to send webhooks; None where it would not get through: its requests are then polled.

    This machine's loopback is reached from this machine only, and whoever plays a provider there sends nowhere else.
    """
    if public_url is None:
        return None
    here, there = host_of(public_url).is_loopback, host_of(provider_url).is_loopback
    return public_url if here == there else None
