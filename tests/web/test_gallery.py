"""Pictures of the embedded store at the HTTP door, over real loopback HTTP."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.domain.errors import StorageUnavailable
from service.ports import BlobInfo
from service.storage.folder import FolderBlobs
from service.web.routes import Sources
from tests.web.world import World, running

PICTURE = b"\x89PNG\r\n\x1a\n and so on"
SHA256 = hashlib.sha256(PICTURE).hexdigest()
KEY = f"images/{SHA256[:2]}/{SHA256}.png"


@pytest.fixture
async def gallery(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A door with an embedded store that holds one picture."""
    world, blobs = World(), FolderBlobs(tmp_path, "http://127.0.0.1/assets")
    await blobs.put(KEY, PICTURE, "image/png")
    async with running(Sources(world.expose, world.ledger, world.readiness, blobs)) as (_, client):
        yield client
    await blobs.close()


async def test_a_picture_is_served_as_what_it_is(gallery: httpx.AsyncClient) -> None:
    """Bytes, type, tag, and leave to keep it for ever; nothing for a browser to guess."""
    answer = await gallery.get(f"/assets/{KEY}")
    assert (200, PICTURE) == (answer.status_code, answer.content)
    expected = {
        "content-type": "image/png",
        "etag": f'"{SHA256}"',
        "cache-control": "public, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "cross-origin",
    }
    assert expected == {name: answer.headers[name] for name in expected}


async def test_a_picture_can_be_asked_about_without_reading_it(gallery: httpx.AsyncClient) -> None:
    """HEAD gives the headers of GET, the true length included, and no body."""
    answer = await gallery.head(f"/assets/{KEY}")
    assert (200, b"", str(len(PICTURE))) == (
        answer.status_code,
        answer.content,
        answer.headers["content-length"],
    )
    assert "image/png" == answer.headers["content-type"]


@pytest.mark.parametrize("tags", [f'"{SHA256}"', f'W/"{SHA256}"', f'"other", "{SHA256}"', "*"])
async def test_a_picture_that_the_caller_has_is_not_sent_again(gallery: httpx.AsyncClient, tags: str) -> None:
    """A matching If-None-Match is answered 304 without a body."""
    answer = await gallery.get(f"/assets/{KEY}", headers={"if-none-match": tags})
    assert (304, b"") == (answer.status_code, answer.content)


async def test_another_tag_gets_the_picture(gallery: httpx.AsyncClient) -> None:
    """A foreign If-None-Match does not keep the picture back."""
    assert 200 == (await gallery.get(f"/assets/{KEY}", headers={"if-none-match": '"other"'})).status_code


@pytest.mark.parametrize(
    "path",
    [
        f"/assets/images/00/{'0' * 64}.png",
        f"/assets/{KEY}.bak",
        f"/assets/{KEY[:-4]}.jpg",
        "/assets/images/../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets//etc/passwd",
        "/assets/incoming/x",
        "/assets/",
        "/assets",
    ],
)
async def test_what_is_not_stored_is_not_found(gallery: httpx.AsyncClient, path: str) -> None:
    """An unknown picture, another name of a known one, and any path out of the store are 404."""
    answer = await gallery.get(path)
    assert 404 == answer.status_code
    assert "passwd" not in answer.text


async def test_a_store_that_is_away_is_not_an_absent_picture() -> None:
    """StorageUnavailable is 503, so that nobody takes the picture for lost."""

    class Away(FolderBlobs):
        async def head(self, key: str) -> BlobInfo | None:
            raise StorageUnavailable("disk on fire")

    world, blobs = World(), Away(Path("nowhere"), "http://127.0.0.1/assets")
    async with running(Sources(world.expose, world.ledger, world.readiness, blobs)) as (_, client):
        answer = await client.get(f"/assets/{KEY}")
        assert (503, {"error": "unavailable"}) == (answer.status_code, answer.json())
    await blobs.close()


async def test_without_an_embedded_store_there_are_no_pictures() -> None:
    """Where a bucket serves the pictures, the door has none."""
    world = World()
    async with running(Sources(world.expose, world.ledger, world.readiness)) as (_, client):
        assert 404 == (await client.get(f"/assets/{KEY}")).status_code
