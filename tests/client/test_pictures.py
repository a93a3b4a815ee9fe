"""Pictures in both directions: inputs of edits, and the bytes of results."""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import lightmeter
import pytest
from lightmeter import AsyncClient
from lightmeter.v1 import image_service_pb2 as pb
from lightmeter.v1 import job_pb2
from PIL import Image

from tests.client.fake_service import PICTURE, PICTURE_SHA256, Script, job, picture_parts, refusal
from tests.client.test_submit import ASK

EDITED = pb.EditResponse(job=job())


@contextmanager
def web(content: bytes, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A little web server; yields its address and the paths that it was asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's spelling
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def made(client: AsyncClient, script: Script, url: str) -> lightmeter.Asset:
    """The asset of a finished job with a URL."""
    script.on("Generate", pb.GenerateResponse(job=job(url=url)))
    script.on("DownloadAsset", picture_parts())
    return (await client.generate(ASK)).assets[0]


async def test_a_picture_is_read_by_its_url(client: AsyncClient, script: Script) -> None:
    with web(PICTURE) as (address, asked):
        asset = await made(client, script, f"{address}/a.png")
        assert PICTURE == await asset.read()
    assert (["/a.png"], []) == (asked, script.asked["DownloadAsset"])


@pytest.mark.parametrize(
    ("content", "status"), [(b"gone", 404), (b"other bytes", 200), (PICTURE + b"!", 200)]
)
async def test_a_url_that_fails_or_lies_is_only_a_detour(
    client: AsyncClient, script: Script, content: bytes, status: int
) -> None:
    with web(content, status) as (address, _):
        asset = await made(client, script, f"{address}/a.png")
        assert PICTURE == await asset.read()
    assert 1 == len(script.asked["DownloadAsset"])


@pytest.mark.parametrize("url", ["", "s3://bucket/a.png", "http://127.0.0.1:1/a.png"])
async def test_without_a_route_to_the_storage_grpc_delivers(
    client: AsyncClient, script: Script, url: str
) -> None:
    asset = await made(client, script, url)
    assert PICTURE == await asset.read()


async def test_a_broken_download_goes_on_where_it_stopped(client: AsyncClient, script: Script) -> None:
    half = tuple(picture_parts()[:3])
    script.on(
        "DownloadAsset",
        refusal(grpc.StatusCode.UNAVAILABLE, before=half),
        lambda request: picture_parts(start=request.offset_bytes),
    )
    assert PICTURE == await client.read(PICTURE_SHA256)
    assert [0, 400_000] == [sent.offset_bytes for sent in script.asked["DownloadAsset"]]


async def test_bytes_that_are_not_the_picture_are_refused(client: AsyncClient, script: Script) -> None:
    script.on("DownloadAsset", [pb.DownloadAssetResponse(chunk=b"something else")])
    with pytest.raises(lightmeter.AssetCorrupt):
        await client.read(PICTURE_SHA256)


async def test_a_picture_is_saved_as_it_is(client: AsyncClient, script: Script, tmp_path: Path) -> None:
    asset = await made(client, script, "")
    assert PICTURE == (await asset.save(tmp_path / "fox.png")).read_bytes()


async def test_inputs_are_bytes_files_urls_names_and_pillow_images(
    client: AsyncClient, script: Script, tmp_path: Path
) -> None:
    script.on("Edit", EDITED)
    file = tmp_path / "in.png"
    file.write_bytes(b"from a file")
    drawn = Image.new("RGB", (4, 4), "red")
    await client.edit(
        ASK,
        [
            b"bytes",
            tmp_path / "in.png",
            str(tmp_path / "in.png"),
            "https://example.com/a.png",
            "a" * 64,
            drawn,
        ],
        mask=b"the mask",
        strength=0.5,
        expansion=lightmeter.Expansion(left_px=8),
    )
    (sent,) = script.asked["Edit"]
    images = sent.inputs.images
    assert [b"bytes", b"from a file", b"from a file"] == [image.content for image in images[:3]]
    assert ("https://example.com/a.png", "a" * 64) == (images[3].url, images[4].asset_sha256)
    assert (4, 4) == Image.open(io.BytesIO(images[5].content)).size
    assert (b"the mask", 0.5, 8) == (
        sent.inputs.mask.content,
        sent.inputs.strength,
        sent.inputs.expansion.left_px,
    )


async def test_large_inputs_are_uploaded_until_the_rest_fits(client: AsyncClient, script: Script) -> None:
    script.on("Edit", EDITED)
    script.on("UploadImage", pb.UploadImageResponse())
    large, small = b"L" * (3 * 1024 * 1024), b"S" * 1000
    await client.edit(ASK, [small, large])
    (sent,) = script.asked["Edit"]
    assert small == sent.inputs.images[0].content
    assert hashlib.sha256(large).hexdigest() == sent.inputs.images[1].asset_sha256
    assert [len(large)] == [upload.header.size_bytes for upload in script.asked["UploadImage"]]


async def test_an_upload_is_repeated_when_the_service_was_away(client: AsyncClient, script: Script) -> None:
    stored = pb.UploadImageResponse(asset=job_pb2.Asset(sha256="b" * 64))
    script.on("UploadImage", refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING"), stored)
    assert "b" * 64 == await client.upload(b"a picture")


async def test_a_service_without_uploads_says_what_to_do(client: AsyncClient, script: Script) -> None:
    script.on("UploadImage", refusal(grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED"))
    with pytest.raises(lightmeter.Unsupported, match="make it smaller"):
        await client.edit(ASK, b"L" * (3 * 1024 * 1024 + 1))
    assert [] == script.asked["Edit"]


async def test_a_picture_that_is_none_is_refused_before_it_is_sent(client: AsyncClient) -> None:
    with pytest.raises(TypeError, match="no picture"):
        await client.edit(ASK, 7)  # type: ignore[arg-type] # that is the point
