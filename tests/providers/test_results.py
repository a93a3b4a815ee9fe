"""Downloads of results: from which hosts, how much, how long, and when repeating is useless."""

from __future__ import annotations

import asyncio
import base64

import httpx
import pytest

from service.domain.failure import DownloadFailed
from service.providers.downloads import HttpDownloads
from tests.providers.internet import Internet, strict
from tests.providers.rig import FAL_ENDPOINT, REPLICATE_ENDPOINT, Rig, tls
from tests.providers.wire_server import WireServer, http


@pytest.mark.parametrize("name", ["fal", "replicate"])
async def test_results_of_the_sandbox_are_fetched(name: str, fal: Rig, replicate: Rig) -> None:
    """The outputs that an adapter names can be downloaded without a key."""
    rig, endpoint = (fal, FAL_ENDPOINT) if name == "fal" else (replicate, REPLICATE_ENDPOINT)
    result = await rig.provider.result(endpoint, await rig.accepted())
    downloads = HttpDownloads(allow_loopback=True, tls=tls())
    content = await downloads.fetch_result(name, result.outputs[0].url)
    await downloads.close()
    assert content.startswith((b"\xff\xd8\xff", b"RIFF"))


@pytest.mark.parametrize(
    ("fault", "args", "final"),
    [
        ("lost_files", {}, True),
        ("foreign_host_url", {}, True),
        ("truncated_image", {}, False),
        ("status", {"code": 503, "on": "download"}, False),
        ("status", {"code": 429, "on": "download"}, False),
        ("status", {"code": 403, "on": "download"}, False),
    ],
)
async def test_failed_downloads_say_whether_to_repeat(
    fal: Rig, fault: str, args: dict[str, object], final: bool
) -> None:
    """Gone or foreign is final; cut, throttled or refused for now is not."""
    fal.fault(fault, **args)
    result = await fal.provider.result(FAL_ENDPOINT, await fal.accepted())
    downloads = HttpDownloads(allow_loopback=True, tls=tls())
    with pytest.raises(DownloadFailed) as caught:
        await downloads.fetch_result("fal", result.outputs[0].url)
    await downloads.close()
    assert final is caught.value.final


@pytest.mark.parametrize(
    ("provider", "url", "allowed"),
    [
        ("fal", "https://v3.fal.media/files/a.png", True),
        ("fal", "https://fal.media/a", True),
        ("fal", "https://V3B.FAL.media/a", True),
        ("replicate", "https://replicate.delivery/a", True),
        ("replicate", "https://pbxt.replicate.delivery/a", True),
        ("replicate", "https://v3.fal.media/a", False),
        ("fal", "http://v3.fal.media/a", False),
        ("fal", "https://v3.fal.media:8443/a", False),
        ("fal", "https://user:pw@v3.fal.media/a", False),
        ("fal", "https://evilfal.media/a", False),
        ("fal", "https://fal.media.evil.test/a", False),
        ("fal", "https://127.0.0.1/a", False),
        ("fal", "http://localhost/a", False),
        ("fal", "file:///etc/passwd", False),
        ("fal", "nonsense", False),
        ("fal", "https://[broken/a", False),
        ("other", "https://v3.fal.media/a", False),
    ],
)
async def test_results_come_from_the_providers_own_hosts(provider: str, url: str, allowed: bool) -> None:
    """https, the usual port, a host on the provider's list; anything else is final, and nobody is asked."""
    internet = Internet(a=httpx.Response(200, content=b"picture"))
    internet.pages["files/a.png"] = httpx.Response(200, content=b"picture")
    downloads = strict(internet)
    if allowed:
        assert b"picture" == await downloads.fetch_result(provider, url)
        assert "authorization" not in internet.requests[0].headers
    else:
        with pytest.raises(DownloadFailed) as caught:
            await downloads.fetch_result(provider, url)
        assert (True, []) == (caught.value.final, internet.requests)


async def test_redirects_of_a_result_stay_on_the_list() -> None:
    """A redirect is followed to a host of the provider, at most three times, and to no other."""
    internet = Internet(
        near=httpx.Response(302, headers={"Location": "https://v3b.fal.media/there"}),
        there=httpx.Response(200, content=b"picture"),
        far=httpx.Response(302, headers={"Location": "https://evil.test/there"}),
        down=httpx.Response(302, headers={"Location": "http://v3.fal.media/there"}),
        round=httpx.Response(302, headers={"Location": "/round"}),
    )
    downloads = strict(internet)
    assert b"picture" == await downloads.fetch_result("fal", "https://v3.fal.media/near")
    for path in ("far", "down", "round"):
        internet.requests.clear()
        with pytest.raises(DownloadFailed) as caught:
            await downloads.fetch_result("fal", f"https://v3.fal.media/{path}")
        assert caught.value.final
        assert (4 if path == "round" else 1) == len(internet.requests)
        assert {"v3.fal.media"} == {request.url.host for request in internet.requests}


async def test_results_are_bounded_in_bytes_and_time(local: HttpDownloads) -> None:
    """Too large is final, announced or not; too slow is not."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        await writer.drain()
        await reader.read()

    large = http("200 OK", b"x" * 10_001)
    unannounced = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 10_001
    async with WireServer({"/large": large, "/unannounced": unannounced}) as server:
        for path in server.answers:
            with pytest.raises(DownloadFailed, match="too large") as caught:
                await local.fetch_result("fal", server.url + path)
            assert caught.value.final
    async with WireServer(play=drip) as server:
        with pytest.raises(DownloadFailed) as caught:
            await local.fetch_result("fal", server.url)
        assert not caught.value.final


@pytest.mark.parametrize(
    ("url", "content"),
    [
        ("data:image/png;base64," + base64.b64encode(b"picture").decode(), b"picture"),
        ("data:,a%20b", b"a b"),
        ("data:image/png;base64,####", None),
        ("data:image/png;base64", None),
        ("data:;base64," + "A" * 20_000, None),
        ("data:," + "A" * 40_000, None),
    ],
)
async def test_inline_results_are_decoded_and_bounded(
    local: HttpDownloads, url: str, content: bytes | None
) -> None:
    """data: URIs need no network; damaged or too large ones are final."""
    if content is not None:
        assert content == await local.fetch_result("fal", url)
    else:
        with pytest.raises(DownloadFailed) as caught:
            await local.fetch_result("fal", url)
        assert caught.value.final


async def test_cookies_are_neither_kept_nor_sent(local: HttpDownloads) -> None:
    """What a host wants to be remembered is forgotten."""
    async with WireServer({"*": http("200 OK", b"x", "Set-Cookie: a=b; Path=/")}) as server:
        for _ in range(2):
            await local.fetch_result("fal", server.url)
        assert all("cookie" not in head.lower() for head in server.heads)
