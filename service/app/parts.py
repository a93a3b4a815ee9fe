"""What lies outside the process: providers, picture store, downloads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from service.app.accounts import accounts
from service.app.meters import ProviderMeter
from service.domain.catalog import Catalog
from service.metrics import Metrics
from service.ports import (
    Blobs,
    Clock,
    Downloads,
    Pictures,
    Provider,
    ProviderBills,
    ProviderRecords,
    WebhookCheck,
)
from service.providers.breaker import Breaker
from service.providers.downloads import HttpDownloads
from service.providers.metered import Metered
from service.providers.sandbox_process import SandboxAddress, SandboxProcess
from service.providers.wire import trust
from service.settings import Settings, host_of
from service.storage.folder import FolderBlobs
from service.storage.metered import MeteredBlobs
from service.storage.pictures import PillowPictures
from service.storage.s3 import S3Blobs, S3Options


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything that is reached over a wire or a disk, ready to use."""

    providers: Mapping[str, Provider]
    breakers: Mapping[str, Breaker]
    records: Mapping[str, ProviderRecords]
    bills: Mapping[str, ProviderBills]
    checks: Mapping[str, WebhookCheck]
    """Of the webhooks of those providers that were told where to send them."""
    blobs: Blobs
    bucket: FolderBlobs | S3Blobs
    pictures: Pictures
    downloads: Downloads
    pictures_in: str
    described: str
    played: frozenset[str]
    """Which providers the sandbox plays."""
    stack: AsyncExitStack

    @property
    def webhooks_on(self) -> bool:
        """Whether every provider sends webhooks: then polling is only a safety net."""
        return self.checks.keys() == self.providers.keys()

    async def close(self) -> None:
        """End everything, in the opposite order of its start."""
        await self.stack.aclose()


async def open_outside(settings: Settings, clock: Clock, metrics: Metrics, meter: ProviderMeter) -> Outside:
    """Build and start what the settings name."""
    stack = AsyncExitStack()
    try:
        sandbox = await _sandbox(settings, stack)
        known = accounts(settings, clock, sandbox)
        for one in known.values():
            stack.push_async_callback(one.close)
        breakers = {name: Breaker(Metered(one.provider, meter), clock) for name, one in known.items()}
        bucket, pictures_in = open_bucket(settings, clock, reached_by_providers=sandbox is None)
        stack.push_async_callback(bucket.close)
        pictures = PillowPictures()
        stack.push_async_callback(pictures.close)
        allow_loopback = sandbox is not None or _on_loopback(settings)
        downloads = HttpDownloads(allow_loopback=allow_loopback, tls=trust())
        stack.push_async_callback(downloads.close)
    except BaseException:
        await stack.aclose()
        raise
    blobs = MeteredBlobs(bucket, metrics.pictures.blob_seconds.observe, clock.monotonic)
    return Outside(
        providers=breakers,
        breakers=breakers,
        records={name: one.records for name, one in known.items()},
        bills={name: one.records for name, one in known.items()},
        checks={name: one.check for name, one in known.items() if one.webhooks_on},
        blobs=blobs,
        bucket=bucket,
        pictures=pictures,
        downloads=downloads,
        pictures_in=pictures_in,
        described=", ".join(one.described for one in known.values()),
        played=frozenset(
            name
            for name, sandboxed in (
                ("fal", settings.fal_sandboxed),
                ("replicate", settings.replicate_sandboxed),
            )
            if sandboxed
        ),
        stack=stack,
    )


def _on_loopback(settings: Settings) -> bool:
    """Whether a provider's address was set to this machine: then its pictures come from there too."""
    urls = (settings.fal_queue_url, settings.fal_rest_url, settings.fal_cdn_url, settings.replicate_url)
    return any(host_of(url).is_loopback for url in urls if url)


async def _sandbox(settings: Settings, stack: AsyncExitStack) -> SandboxAddress | None:
    if not (settings.fal_sandboxed or settings.replicate_sandboxed):
        return None
    if settings.sandbox_url is not None:
        url = settings.sandbox_url
        return SandboxAddress(url, f"{url}/fal", f"{url}/replicate")
    process = SandboxProcess(instant=settings.sandbox_instant, speed=settings.sandbox_speed)
    stack.push_async_callback(process.stop)
    return await process.start()


def open_bucket(
    settings: Settings, clock: Clock, *, reached_by_providers: bool
) -> tuple[FolderBlobs | S3Blobs, str]:
    """The picture store that the settings name, and where it is, in words."""
    bucket = settings.bucket
    if bucket is None:
        root = settings.data_dir / "pictures"
        base_url = settings.public_url or f"http://{settings.http_address}"
        return FolderBlobs(root, f"{base_url}/assets"), f"folder {root}"
    options = S3Options(
        endpoint_url=bucket.endpoint_url,
        bucket=bucket.name,
        access_key_id=bucket.access_key_id,
        secret_access_key=bucket.secret_access_key.get_secret_value(),
        public_base_url=bucket.public_base_url,
        url_seconds=settings.url_seconds,
        # The sandbox fetches from loopback only: it is given uploads instead.
        reached_by_providers=reached_by_providers,
    )
    return S3Blobs(options, clock), f"bucket {bucket.name} at {bucket.endpoint_url}"


def offered(catalog: Catalog, outside: Outside) -> Catalog:
    """The catalog without the routes of providers that are not there, and without models that lose all of theirs.

    Test models are the sandbox's own: a real provider is never asked for them.
    """
    models = {}
    for name, model in catalog.models.items():
        at = outside.played if model.test else frozenset(outside.providers)
        routes = tuple(route for route in model.routes if route.provider in at)
        if routes:
            models[name] = replace(model, routes=routes)
    return replace(catalog, models=models)
