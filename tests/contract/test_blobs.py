"""The picture stores, each held to the contract: a folder, and S3 against a real S3 server."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.clock import SystemClock
from service.domain.errors import StorageUnavailable
from service.ports import Blobs
from service.storage.folder import FolderBlobs
from service.storage.metered import MeteredBlobs
from service.storage.s3 import S3Blobs, S3Options
from tests.contract.blob_contract import PNG, BlobContract, blob
from tests.support.clock import FakeClock
from tests.support.seaweed import S3Server, running_s3_server


class TestFolder(BlobContract):
    """Files below a folder."""

    @pytest.fixture
    async def blobs(self, tmp_path: Path) -> AsyncIterator[FolderBlobs]:
        """An empty folder."""
        blobs = FolderBlobs(tmp_path / "pictures", "http://127.0.0.1:8080/assets")
        yield blobs
        await blobs.close()

    async def test_no_draft_is_left_behind(self, blobs: FolderBlobs, tmp_path: Path) -> None:
        """After puts, raced and repeated, the folder holds the blobs under their keys and nothing else."""
        key, content = blob()
        await asyncio.gather(*(blobs.put(key, content, PNG) for _ in range(8)))
        await blobs.put(key, content, PNG)
        root = tmp_path / "pictures"
        assert [key] == [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]

    async def test_a_new_start_finds_the_blobs(self, blobs: FolderBlobs, tmp_path: Path) -> None:
        """What was put is there for the next process too."""
        key, content = blob()
        await blobs.put(key, content, PNG)
        again = FolderBlobs(tmp_path / "pictures", "http://127.0.0.1:8080/assets/")
        assert content == await again.get(key)
        assert (f"http://127.0.0.1:8080/assets/{key}", None) == again.url(key)
        await again.close()

    async def test_a_folder_that_cannot_be_written_is_away(self, tmp_path: Path) -> None:
        """A file in the folder's place is StorageUnavailable with its cause, for put and for readiness."""
        (tmp_path / "file").write_text("in the way")
        blobs = FolderBlobs(tmp_path / "file", "http://127.0.0.1:8080/assets")
        key, content = blob()
        with pytest.raises(StorageUnavailable) as refusal:
            await blobs.put(key, content, PNG)
        assert isinstance(refusal.value.__cause__, OSError)
        with pytest.raises(StorageUnavailable):
            await blobs.ready()
        await blobs.close()

    async def test_a_writable_folder_is_ready(self, blobs: FolderBlobs) -> None:
        """Readiness makes the folder where it is missing."""
        await blobs.ready()

    async def test_providers_get_an_address_only_where_they_can_reach_it(self, tmp_path: Path) -> None:
        """A door on loopback is no address for a provider outside."""
        key, _ = blob()
        for reached in (False, True):
            blobs = FolderBlobs(tmp_path, "http://127.0.0.1:1", reached_by_providers=reached)
            assert (blobs.url(key)[0] if reached else None) == blobs.provider_url(key)
            await blobs.close()


class TestMetered(BlobContract):
    """A store whose calls are timed."""

    @pytest.fixture
    def observed(self) -> list[float]:
        """The seconds of each call."""
        return []

    @pytest.fixture
    async def blobs(self, tmp_path: Path, observed: list[float]) -> AsyncIterator[Blobs]:
        """A folder inside."""
        blobs = MeteredBlobs(
            FolderBlobs(tmp_path, "http://127.0.0.1:8080/assets"), observed.append, SystemClock().monotonic
        )
        yield blobs
        await blobs.close()

    async def test_each_call_is_observed(self, blobs: Blobs, observed: list[float]) -> None:
        """Successes, absences and refusals are timed alike."""
        key, content = blob()
        await blobs.put(key, content, PNG)
        await blobs.head(key)
        await blobs.get(blob()[0])
        with pytest.raises(ValueError, match="not a key"):
            await blobs.put("wrong", content, PNG)
        assert 4 == len(observed)
        assert all(0 <= seconds < 5 for seconds in observed)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all."""
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def options(s3_server: S3Server) -> S3Options:
    """How to reach its bucket."""
    return S3Options(
        s3_server.endpoint_url, s3_server.bucket, s3_server.access_key_id, s3_server.secret_access_key
    )


class TestS3(BlobContract):
    """A bucket of a real S3 server."""

    @pytest.fixture
    async def blobs(self, options: S3Options) -> AsyncIterator[S3Blobs]:
        """The bucket that the server was started with."""
        blobs = S3Blobs(options, SystemClock())
        yield blobs
        await blobs.close()

    async def test_the_address_reads_the_blob(self, blobs: S3Blobs) -> None:
        """Anybody with the address gets the bytes, their type, and leave to keep them for ever."""
        key, content = blob()
        await blobs.put(key, content, PNG)
        url, end = blobs.url(key)
        assert end is not None
        async with httpx.AsyncClient() as client:
            answer = await client.get(url)
        assert (200, content) == (answer.status_code, answer.content)
        assert ("image/png", "public, max-age=31536000, immutable") == (
            answer.headers["content-type"],
            answer.headers["cache-control"],
        )

    async def test_the_address_reads_and_nothing_else(self, blobs: S3Blobs) -> None:
        """Nobody writes or deletes with it, or reads another blob, or reads without its signature."""
        (key, content), (other, _) = blob(), blob()
        await blobs.put(key, content, PNG)
        url = blobs.url(key)[0]
        async with httpx.AsyncClient() as client:
            refused = [
                await client.put(url, content=b"other bytes"),
                await client.delete(url),
                await client.get(url.replace(key, other)),
                await client.get(url.partition("?")[0]),
            ]
        assert [403] * 4 == [answer.status_code for answer in refused]
        assert content == await blobs.get(key)

    async def test_the_address_ends(self, options: S3Options) -> None:
        """After its time the address is refused."""
        clock = FakeClock(SystemClock().now() - 120_000_000)
        blobs = S3Blobs(dataclasses.replace(options, url_seconds=60), clock)
        key, content = blob()
        await blobs.put(key, content, PNG)
        async with httpx.AsyncClient() as client:
            answer = await client.get(blobs.url(key)[0])
        assert answer.status_code in {400, 403}  # R2 says 400, others 403
        await blobs.close()

    async def test_an_address_is_kept_for_half_its_life(self, options: S3Options) -> None:
        """The same address is answered until half its life has passed, then a fresh one with a later end."""
        clock = FakeClock()
        blobs = S3Blobs(dataclasses.replace(options, url_seconds=100), clock)
        key, _ = blob()
        first, first_end = blobs.url(key)
        clock.advance(49)
        assert (first, first_end) == blobs.url(key)
        clock.advance(1)
        second, second_end = blobs.url(key)
        assert first != second
        assert first_end is not None
        assert first_end + 50_000_000 == second_end
        await blobs.close()

    async def test_a_public_domain_makes_plain_addresses(self, options: S3Options) -> None:
        """With a public domain the address is domain and key, and does not end."""
        blobs = S3Blobs(
            dataclasses.replace(options, public_base_url="https://pictures.example/"), SystemClock()
        )
        key, _ = blob()
        assert (f"https://pictures.example/{key}", None) == blobs.url(key)
        assert f"https://pictures.example/{key}" == blobs.provider_url(key)
        await blobs.close()

    async def test_the_bucket_is_ready(self, blobs: S3Blobs) -> None:
        """Readiness passes where the bucket can be read, although it has no such blob."""
        await blobs.ready()

    @pytest.mark.parametrize(
        "wrong", [{"bucket": "missing"}, {"secret_access_key": "wrong"}, {"access_key_id": "wrong"}]
    )
    async def test_trouble_with_the_bucket_is_not_absence(
        self, options: S3Options, wrong: dict[str, Any]
    ) -> None:
        """A missing bucket or a wrong key is StorageUnavailable: a blob must not look lost, and be paid
        again.
        """
        blobs = S3Blobs(dataclasses.replace(options, **wrong), SystemClock())
        key, content = blob()
        for call in (
            blobs.head(key),
            blobs.get(key),
            blobs.put(key, content, PNG),
            blobs.ready(),
        ):
            with pytest.raises(StorageUnavailable):
                await call
        await blobs.close()

    async def test_our_signature_is_the_one_of_boto3(self, options: S3Options) -> None:
        """Byte for byte the address that boto3 presigns for the same second."""
        for endpoint in (
            options.endpoint_url,
            "https://account.r2.cloudflarestorage.com",
            "https://s3.example:443",
        ):
            blobs = S3Blobs(dataclasses.replace(options, endpoint_url=endpoint), SystemClock())
            key, _ = blob()
            theirs = blobs._client.generate_presigned_url(
                "get_object", Params={"Bucket": options.bucket, "Key": key}, ExpiresIn=3600
            )
            moment = httpx.QueryParams(urlsplit(theirs).query)["X-Amz-Date"]
            now = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
            ours = blobs._signer.get_url(key, now_micros=round(now * 1_000_000), seconds=3600)
            assert urlsplit(theirs).path == urlsplit(ours).path
            assert httpx.QueryParams(urlsplit(theirs).query) == httpx.QueryParams(urlsplit(ours).query)
            await blobs.close()
