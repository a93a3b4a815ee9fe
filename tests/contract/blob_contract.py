"""What every picture store promises. An implementation binds it with a fixture `blobs`; see test_blobs.py."""

import asyncio
import hashlib
import os

import pytest

from service.domain.errors import StorageUnavailable
from service.ports import BlobInfo, Blobs

PNG = "image/png"
NO_KEYS = [
    "",
    "images",
    "images/../../etc/passwd",
    "../images/aa/" + "a" * 64 + ".png",
    "images/ab/" + "a" * 64 + ".png",  # the shard is not the beginning of the name
    "images/aa/" + "A" * 64 + ".png",
    "images/aa/" + "a" * 64 + ".exe",
    "images/aa/" + "a" * 63 + ".png",
    "images/aa/" + "a" * 64 + ".png\n",
]


def blob(size_bytes: int = 1000, extension: str = "png") -> tuple[str, bytes]:
    """Bytes that nobody stored before, and their key."""
    content = os.urandom(size_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    return f"images/{sha256[:2]}/{sha256}.{extension}", content


class BlobContract:
    """The suite. It needs a store to itself only as far as fresh keys go."""

    async def test_what_was_put_can_be_read(self, blobs: Blobs) -> None:
        """The same bytes come back, and head knows their size and type."""
        key, content = blob()
        assert await blobs.put(key, content, PNG) is True
        assert content == await blobs.get(key)
        assert BlobInfo(key, 1000, PNG) == await blobs.head(key)

    @pytest.mark.parametrize(
        ("extension", "mime_type"),
        [("jpg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp"), ("svg", "image/svg+xml")],
    )
    async def test_the_content_type_is_kept(self, blobs: Blobs, extension: str, mime_type: str) -> None:
        """Each kind of picture is remembered as what it is."""
        key, content = blob(extension=extension)
        await blobs.put(key, content, mime_type)
        info = await blobs.head(key)
        assert info is not None
        assert mime_type == info.mime_type

    async def test_a_blob_is_written_once(self, blobs: Blobs) -> None:
        """The second put answers False and leaves the blob as it is."""
        key, content = blob()
        assert await blobs.put(key, content, PNG) is True
        assert await blobs.put(key, content, PNG) is False
        assert content == await blobs.get(key)

    async def test_one_of_many_racing_writers_wins(self, blobs: Blobs) -> None:
        """Of twelve puts of one key at once exactly one says that it wrote."""
        key, content = blob(50_000)
        wrote = await asyncio.gather(*(blobs.put(key, content, PNG) for _ in range(12)))
        assert 1 == wrote.count(True)
        assert content == await blobs.get(key)

    async def test_many_blobs_at_once_are_all_kept(self, blobs: Blobs) -> None:
        """More puts than there are threads all arrive."""
        many = [blob(2_000) for _ in range(40)]
        assert [True] * 40 == await asyncio.gather(*(blobs.put(*one, PNG) for one in many))
        assert [content for _, content in many] == await asyncio.gather(*(blobs.get(key) for key, _ in many))

    async def test_an_absent_blob_is_none(self, blobs: Blobs) -> None:
        """What nobody stored is neither there nor an error."""
        key, _ = blob()
        assert await blobs.head(key) is None
        assert await blobs.get(key) is None

    async def test_a_text_that_is_no_key_names_nothing(self, blobs: Blobs) -> None:
        """No path leads out of the store, and none into it by another name."""
        for text in NO_KEYS:
            assert (None, None) == (await blobs.head(text), await blobs.get(text))
            with pytest.raises(ValueError, match="not a key"):
                await blobs.put(text, b"x", PNG)

    async def test_a_key_that_does_not_name_the_bytes_is_refused(self, blobs: Blobs) -> None:
        """Bytes are never stored under the name of others, nor a type under the extension of another."""
        key, content = blob()
        with pytest.raises(ValueError, match="does not name"):
            await blobs.put(key, content + b"!", PNG)
        with pytest.raises(ValueError, match="cannot hold"):
            await blobs.put(key, content, "image/jpeg")
        assert await blobs.head(key) is None

    async def test_a_large_blob_comes_back_whole(self, blobs: Blobs) -> None:
        """Twenty megabytes are nothing special."""
        key, content = blob(20 * 1024 * 1024)
        await blobs.put(key, content, PNG)
        assert content == await blobs.get(key)

    async def test_a_cancelled_put_leaves_all_or_nothing(self, blobs: Blobs) -> None:
        """Whoever gives up in the middle leaves no broken blob behind, and the key can still be written."""
        key, content = blob(2_000_000)
        task = asyncio.ensure_future(blobs.put(key, content, PNG))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await blobs.get(key) in (None, content)
        await blobs.put(key, content, PNG)
        assert content == await blobs.get(key)

    async def test_the_address_stays_the_same(self, blobs: Blobs) -> None:
        """Asking again at once answers the same address, which ends later than now or never."""
        key, _ = blob()
        url, end = blobs.url(key)
        assert (url, end) == blobs.url(key)
        assert url.startswith("http")
        assert key in url
        assert end is None or end > 0

    async def test_a_closed_store_says_that_it_is_away(self, blobs: Blobs) -> None:
        """Closing twice is legal; afterwards calls are refused as StorageUnavailable, not left hanging."""
        key, content = blob()
        await blobs.close()
        await blobs.close()
        with pytest.raises(StorageUnavailable):
            await blobs.put(key, content, PNG)
        with pytest.raises(StorageUnavailable):
            await blobs.get(key)
