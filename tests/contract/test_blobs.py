"""The picture stores, each held to the contract: a folder, and S3 against a real S3 server."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.clock import SystemClock
from service.storage.folder import FolderBlobs
from service.storage.s3 import S3Blobs, S3Options
from tests.contract.blob_contract import BlobContract
from tests.support.seaweed import S3Server, running_s3_server


class TestFolder(BlobContract):
    """Files below a folder."""

    @pytest.fixture
    async def blobs(self, tmp_path: Path) -> AsyncIterator[FolderBlobs]:
        """An empty folder."""
        blobs = FolderBlobs(tmp_path / "pictures", "http://127.0.0.1:8080/assets")
        yield blobs
        await blobs.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for all."""
    with running_s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


class TestS3(BlobContract):
    """A bucket of a real S3 server."""

    @pytest.fixture
    async def blobs(self, s3_server: S3Server) -> AsyncIterator[S3Blobs]:
        """The bucket that the server was started with."""
        options = S3Options(
            s3_server.endpoint_url, s3_server.bucket, s3_server.access_key_id, s3_server.secret_access_key
        )
        blobs = S3Blobs(options, SystemClock())
        yield blobs
        await blobs.close()
